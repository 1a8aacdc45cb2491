//! A data directory as a server leaves it, read from outside, whole and damaged.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::OpenOptions;

use attestry_core::Timestamp;
use attestry_core::decision::{Answer, DecisionRequest, ImageDecision};
use attestry_store::{Backend, Options, Record, Store};

use super::*;
use crate::cli::{Common, Format};
use crate::environment::Environment;
use crate::output::Output;

fn decision(name: &str, namespace: &str, allowed: bool, image: &str) -> Decision {
    let request = DecisionRequest {
        uid: name.to_owned(),
        operation: "CREATE".to_owned(),
        kind: "v1/Pod".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        object_uid: None,
        user_name: None,
        images: Vec::new(),
    };
    let mut decision = Decision::new(Timestamp::UNIX_EPOCH, request, Digest::of("policies"));
    decision.allowed = allowed;
    let answer = Answer { allowed, undeterminable: false, denials: Vec::new(), warnings: Vec::new() };
    let digest = Some(Digest::of(image));
    decision.images.push(ImageDecision {
        image: image.to_owned(),
        digest,
        tagged: None,
        verdict: None,
        review: None,
        answer,
    });
    decision
}

/// Three decisions with a record of another kind between them; the name of the last.
fn written(folder: &Path) -> RecordName {
    let options = Options { reserve_bytes: 0, ..Options::default() };
    let (store, _) = Store::open(folder, &options, Backend::Redb, None).unwrap();
    let record = |bytes: Vec<u8>| Record { bytes, keys: Vec::new() };
    let records = [
        record(decision("a", "shop", true, "one").to_bytes()),
        record(br#"{"kind":"PolicySet"}"#.to_vec()),
        record(decision("b", "shop", false, "two").to_bytes()),
        record(decision("c", "other", false, "one").to_bytes()),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ids = runtime.block_on(store.log().append(&records)).unwrap();
    RecordName { log: store.log().log_id(), index: *ids.last().unwrap() }
}

fn names(folder: &Path, filter: Filter) -> Result<Vec<String>, Failure> {
    let output = Output::new(&Common { output: Format::Text, quiet: true, verbose: 0 }, true);
    let environment = Environment::read();
    let context = Context { environment: &environment, output: &output };
    let kept = list(folder, &filter, context)?;
    Ok(kept.into_iter().filter_map(|kept| kept.decision.request.name).collect())
}

#[test]
fn newest_first_and_only_what_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let last = written(folder.path());
    let all = Filter { digest: None, namespace: None, denied: false, limit: 10 };
    let check = |filter: Filter, expected: &[&str]| assert_eq!(names(folder.path(), filter).unwrap(), expected);
    check(all.clone(), &["c", "b", "a"]);
    check(Filter { limit: 2, ..all.clone() }, &["c", "b"]);
    check(Filter { denied: true, namespace: Some("shop".to_owned()), ..all.clone() }, &["b"]);
    check(Filter { digest: Some(Digest::of("one")), ..all }, &["c", "a"]);

    assert_eq!(show(folder.path(), last).unwrap().decision.request.name.as_deref(), Some("c"));
    // The record before the last two is no decision, and none has the next index.
    for index in [1, last.index + 1] {
        assert!(show(folder.path(), RecordName { index, ..last }).is_err());
    }
}

#[test]
fn a_log_that_was_cut_is_not_taken_for_a_short_one() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let segment = folder.path().join("log/0001.seg");
    let file = OpenOptions::new().write(true).open(&segment).unwrap();
    file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    let all = Filter { digest: None, namespace: None, denied: false, limit: 10 };
    let failure = names(folder.path(), all).unwrap_err();
    assert!(failure.describe().contains("its checkpoint covers 4"), "{}", failure.describe());
}
