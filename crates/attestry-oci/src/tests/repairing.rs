//! Rebuilding a fallback index from the manifests that are still there.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use attestry_core::manifest::OCI_INDEX;
use serde_json::Value;

use super::*;
use crate::{
    OciError,
    hostile::{Reply, Seen},
};

/// A manifest that says it is attached to `of`, and the entry that it makes.
fn attach(store: &Store, tag: Option<&str>, of: Digest, annotations: Value) -> (Digest, Value) {
    let mut manifest = json!({
        "schemaVersion": 2, "artifactType": "type", "layers": [],
        "config": {"mediaType": "x", "digest": Digest::of("{}"), "size": 2},
        "subject": {"mediaType": OCI_MANIFEST, "digest": of, "size": 1},
    });
    if !annotations.is_null() {
        manifest["annotations"] = annotations.clone();
    }
    let text = manifest.to_string();
    let mut entry = json!({"mediaType": OCI_MANIFEST, "size": text.len(), "artifactType": "type"});
    if !annotations.is_null() {
        entry["annotations"] = annotations;
    }
    let digest = store.state().manifest(tag, OCI_MANIFEST, text);
    entry["digest"] = json!(digest);
    (digest, entry)
}

fn write_index(sample: &Sample, entries: &[Value]) -> String {
    let tag = format!("sha256-{}", sample.image.hex());
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, "kept": true});
    sample.store.state().manifest(Some(&tag), OCI_INDEX, index.to_string());
    tag
}

fn wrong(entry: &Value) -> Value {
    let mut wrong = entry.clone();
    wrong["artifactType"] = "wrong".into();
    wrong
}

/// The store with a list of its tags.
fn with_tags(store: Store, tags: Vec<String>) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| match seen.path.as_str() {
        "/v2/app/tags/list" => Reply::json(&json!({"name": "app", "tags": tags})),
        _ => store.answer(seen),
    }
}

#[tokio::test]
async fn what_is_lost_or_wrong_is_put_right() {
    let sample = Sample::new(false);
    let store = &sample.store;
    let (fine, fine_entry) = attach(store, None, sample.image, json!({"a": "fine"}));
    let (bad, bad_entry) = attach(store, None, sample.image, json!({"a": "bad"}));
    let (tagged, tagged_entry) = attach(store, Some("extra"), sample.image, Value::Null);
    let (known, known_entry) = attach(store, None, sample.image, json!({"a": "known"}));
    let (others, _) = attach(store, Some("others"), Digest::of("another"), Value::Null);
    let gone = Digest::of("gone");
    let gone_entry = json!({"mediaType": OCI_MANIFEST, "digest": gone, "size": 1, "artifactType": "old"});
    let tag = write_index(&sample, &[gone_entry.clone(), wrong(&bad_entry), fine_entry.clone()]);
    let tags = ["1", "extra", "others"].map(str::to_owned).into_iter();
    let tags = tags.chain(store.state().tags.keys().filter(|name| name.starts_with("sha256-")).cloned()).collect();
    let server = Server::start(with_tags(store.clone(), tags)).await;

    let repaired = user().repair_listing(&server.subject(sample.image), &[known, others]).await.unwrap();
    assert_eq!((repaired.tag.as_str(), repaired.listed), (tag.as_str(), 5));
    assert_eq!(repaired.added, BTreeSet::from([tagged, known]).into_iter().collect::<Vec<_>>());
    assert_eq!((repaired.corrected, repaired.unreadable), (vec![bad], vec![gone]));
    let index = store.state().tagged(&tag).unwrap();
    assert_eq!((&index["kept"], &index["mediaType"]), (&json!(true), &json!(OCI_INDEX)));
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[..3], [gone_entry, bad_entry, fine_entry]);
    assert!(entries.contains(&tagged_entry) && entries.contains(&known_entry), "{entries:?}");
    assert_eq!(store.state().tagged("extra").unwrap()["subject"]["digest"], json!(sample.image));
    // A second time there is nothing to do.
    let (before, subject) = (server.count("PUT"), server.subject(sample.image));
    let again = user().repair_listing(&subject, &[known, fine]).await.unwrap();
    assert_eq!((again.added, again.corrected, again.listed), (vec![], vec![], 5));
    assert_eq!(server.count("PUT"), before);
}

/// Other people's tags must not keep an index from being repaired; a registry that fails must.
#[tokio::test]
async fn tags_that_lead_nowhere_are_passed_over() {
    let sample = Sample::new(false);
    let (found, _) = attach(&sample.store, Some("extra"), sample.image, Value::Null);
    let large = "x".repeat(user().limits().manifest as usize + 1);
    sample.store.state().manifest(Some("large"), OCI_MANIFEST, large);
    let tags = || ["gone", "large", "extra"].map(str::to_owned).to_vec();
    let server = Server::start(with_tags(sample.store.clone(), tags())).await;
    let repaired = user().repair_listing(&server.subject(sample.image), &[]).await.unwrap();
    assert_eq!(repaired.added, [found]);
    let answer = with_tags(sample.store.clone(), tags());
    let server = Server::start(move |seen: &Seen| match seen.path.as_str() {
        "/v2/app/manifests/gone" => Reply::status(403),
        _ => answer(seen),
    });
    let failed = user().repair_listing(&server.await.subject(sample.image), &[]).await;
    assert!(failed.is_err(), "{failed:?}");
}

#[tokio::test]
async fn one_wrong_entry_is_corrected() {
    let sample = Sample::new(false);
    let (bad, entry) = attach(&sample.store, None, sample.image, Value::Null);
    let tag = write_index(&sample, &[wrong(&entry)]);
    let server = Server::start(with_tags(sample.store.clone(), Vec::new())).await;
    let repaired = user().repair_listing(&server.subject(sample.image), &[]).await.unwrap();
    assert_eq!((repaired.added, repaired.corrected, repaired.listed), (vec![], vec![bad], 1));
    assert_eq!(sample.store.state().tagged(&tag).unwrap()["manifests"], json!([entry]));
}

#[tokio::test]
async fn attack_68_a_wrong_entry_that_is_put_back_is_no_success() {
    let sample = Sample::new(false);
    let (bad, entry) = attach(&sample.store, None, sample.image, Value::Null);
    let (lie, truth) = (wrong(&entry), entry);
    for last in [vec![lie.clone()], vec![]] {
        let tag = write_index(&sample, std::slice::from_ref(&lie));
        let (answer, reads) = (with_tags(sample.store.clone(), Vec::new()), AtomicUsize::new(0));
        let last = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": last}).to_string();
        let server = Server::start(move |seen| {
            // What is there, what is written upon, twice what was written, and what is there in the end.
            let read = seen.method == "GET" && seen.path.ends_with(&tag);
            if read && reads.fetch_add(1, SeqCst) == 4 { Reply::ok(OCI_INDEX, last.clone()) } else { answer(seen) }
        })
        .await;
        let error = user().repair_listing(&server.subject(sample.image), &[]).await.unwrap_err();
        assert!(matches!(error, OciError::NotListed { manifest, .. } if manifest == bad), "{error}");
        let tag = format!("sha256-{}", sample.image.hex());
        assert_eq!(sample.store.state().tagged(&tag).unwrap()["manifests"], json!([truth]));
    }
}

#[tokio::test]
async fn what_the_api_lists_needs_no_index() {
    let sample = Sample::new(true);
    let server = Server::start(with_tags(sample.store.clone(), Vec::new())).await;
    let repaired = user().repair_listing(&server.subject(sample.image), &[sample.attachment]).await.unwrap();
    assert_eq!((repaired.added, repaired.listed), (vec![], 0));
    assert_eq!(server.count("PUT"), 0);
}

#[tokio::test]
async fn a_thousand_tags_are_looked_through_and_no_more() {
    let sample = Sample::new(false);
    let check = async |answer: fn(&Seen) -> Reply, expected: Option<GapCause>| {
        let store = sample.store.clone();
        let server = Server::start(move |seen| match seen.path.ends_with("/tags/list") {
            true => answer(seen),
            false => store.answer(seen),
        })
        .await;
        let error = user().repair_listing(&server.subject(sample.image), &[]).await.err();
        let cause = error.map(|error| match error {
            OciError::Transport { cause, .. } => cause,
            OciError::Denied { .. } => GapCause::Denied,
            error => panic!("{error}"),
        });
        assert_eq!(cause, expected);
        server
    };
    // Tags of this very subject are not read one by one.
    fn own(count: usize) -> Reply {
        let hex = Sample::new(false).image.hex().to_string();
        let tags: Vec<String> = (0..count).map(|number| format!("sha256-{hex}.{number}")).collect();
        Reply::json(&json!({"name": "app", "tags": tags}))
    }
    check(|_| own(1000), None).await;
    check(|_| own(1001), Some(GapCause::OverLimit)).await;
    check(|_| Reply::status(403), Some(GapCause::Denied)).await;
    let endless = |seen: &Seen| own(1).with("link", format!("<?{}x>; rel=\"next\"", seen.query));
    let server = check(endless, Some(GapCause::OverLimit)).await;
    assert_eq!(server.count("/tags/list"), Limits::default().listing_pages);
}

#[tokio::test]
async fn as_many_tags_are_looked_through_as_are_listed() {
    let sample = Sample::new(false);
    let (tagged, _) = attach(&sample.store, Some("last"), sample.image, Value::Null);
    let names = |count: usize| (1..count).map(|n| format!("t{n}")).chain(["last".to_owned()]).collect::<Vec<_>>();
    let server = Server::start(with_tags(sample.store.clone(), names(1000))).await;
    let repaired = user().repair_listing(&server.subject(sample.image), &[]).await.unwrap();
    assert_eq!(repaired.added, [tagged]);
    let server = Server::start(with_tags(sample.store.clone(), names(1001))).await;
    let refused = user().repair_listing(&server.subject(sample.image), &[]).await.unwrap_err();
    assert!(refused.to_string().contains("more than 1000 tags"), "{refused}");
}
