//! Writing: uploads, bundles and cosign's tags, with each write lost, done but reported lost, or overwritten.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use attestry_core::manifest::OCI_INDEX;
use futures::FutureExt as _;
use serde_json::Value;

use super::*;
use crate::{
    BUNDLE, Bundle, LegacyKind, LegacyLayer, OciError, Place,
    hostile::{Reply, Seen},
};

fn bundle(text: &str) -> Bundle {
    Bundle {
        bytes: text.to_owned().into(),
        predicate_type: "https://spdx.dev/Document".into(),
        created: "2026-01-02T03:04:05.678Z".parse().unwrap(),
        annotations: [("team".to_owned(), "shop".to_owned())].into(),
    }
}

fn layer(text: &str, signature: &str) -> LegacyLayer {
    LegacyLayer {
        kind: LegacyKind::Signature,
        bytes: text.to_owned().into(),
        annotations: [("dev.cosignproject.cosign/signature".to_owned(), signature.to_owned())].into(),
    }
}

fn fallback_tag(sample: &Sample) -> String {
    format!("sha256-{}", sample.image.hex())
}

/// Digests that the fallback tag lists.
fn listed(sample: &Sample) -> Vec<String> {
    let index = sample.store.state().tagged(&fallback_tag(sample)).unwrap();
    index["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_manifest_is_the_published_shape() {
    for referrers in [true, false] {
        let sample = Sample::new(referrers);
        let server = sample.serve().await;
        let attached = user().attach_bundle(&server.subject(sample.image), &bundle("{}x")).await.unwrap();
        assert!(!attached.existed);
        let expected_place = if referrers { Place::Referrers } else { Place::Tag(fallback_tag(&sample)) };
        assert_eq!(attached.place, expected_place);
        let state = sample.store.state();
        let (media_type, bytes) = &state.manifests[&attached.manifest];
        assert_eq!(media_type, OCI_MANIFEST);
        let image_size = state.manifests[&sample.image].1.len();
        let annotations = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": "https://spdx.dev/Document",
            "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
            "team": "shop",
        });
        let expected = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of("{}"), "size": 2},
            "layers": [{"mediaType": BUNDLE, "digest": Digest::of("{}x"), "size": 3}],
            "subject": {"mediaType": OCI_MANIFEST, "digest": sample.image, "size": image_size},
            "annotations": annotations,
        });
        assert_eq!(serde_json::from_slice::<Value>(bytes).unwrap(), expected);
        if !referrers {
            let index = state.tagged(&fallback_tag(&sample)).unwrap();
            let entry = json!({
                "mediaType": OCI_MANIFEST, "digest": attached.manifest, "size": bytes.len(),
                "artifactType": BUNDLE, "annotations": annotations,
            });
            assert_eq!(index, json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}));
        }
    }
}

#[tokio::test]
async fn the_same_bundle_is_not_attached_twice() {
    for referrers in [true, false] {
        let sample = Sample::new(referrers);
        let server = sample.serve().await;
        let (client, subject) = (user(), server.subject(sample.image));
        let first = client.attach_bundle(&subject, &bundle("one")).await.unwrap();
        let manifests = sample.store.state().manifests.len();
        let later = Bundle { created: "2026-06-01T00:00:00Z".parse().unwrap(), ..bundle("one") };
        let again = client.attach_bundle(&subject, &later).await.unwrap();
        assert!(again.existed);
        assert_eq!((again.manifest, again.place), (first.manifest, first.place));
        assert_eq!(sample.store.state().manifests.len(), manifests);
        assert!(!client.attach_bundle(&subject, &bundle("two")).await.unwrap().existed);
    }
}

#[tokio::test]
async fn a_bundle_that_the_api_lists_needs_no_waiting() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let attached = user().attach_bundle(&server.subject(sample.image), &bundle("a bundle")).await.unwrap();
    assert_eq!((attached.manifest, attached.place, attached.existed), (sample.attachment, Place::Referrers, true));
    // Once to find it and once to say where it is.
    assert_eq!(server.count("/referrers/"), 2);
    assert_eq!(server.count("PUT"), 0);
}

#[tokio::test]
async fn attack_68_an_old_entry_that_is_wiped_out_meanwhile_is_written_again() {
    let sample = Sample::new(false);
    let index = |entries: Value| json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
    let there = index(json!([{"mediaType": OCI_MANIFEST, "digest": sample.attachment, "size": 1}]));
    let (tag, empty) = (fallback_tag(&sample), index(json!([])));
    sample.store.state().manifest(Some(&tag), OCI_INDEX, there);
    let (store, reads) = (sample.store.clone(), AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        // The first look finds the entry; then somebody with an older list writes it.
        if seen.method == "GET" && seen.path.ends_with(&tag) && reads.fetch_add(1, SeqCst) == 1 {
            store.state().manifest(Some(&tag), OCI_INDEX, empty.clone());
        }
        store.answer(seen)
    })
    .await;
    let attached = user().attach_bundle(&server.subject(sample.image), &bundle("a bundle")).await.unwrap();
    assert!(!attached.existed);
    assert_eq!(listed(&sample), [attached.manifest.to_string()]);
}

#[tokio::test]
async fn attack_43_an_attachment_that_is_not_listed_is_no_success() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let other = json!({"mediaType": OCI_MANIFEST, "digest": sample.attachment, "size": 1});
    let other = json!({"schemaVersion": 2, "manifests": [other]}).to_string();
    let server = Server::start(move |seen| match seen.path.contains("/referrers/") {
        true => Reply::ok(OCI_INDEX, other.clone()),
        false => store.answer(seen),
    })
    .await;
    // Another says OCI-Subject and has no such API at all.
    let store = sample.store.clone();
    let without = Server::start(move |seen| match seen.path.contains("/referrers/") {
        true => Reply::status(404),
        false => store.answer(seen),
    })
    .await;
    let client = user();
    let attach = async |server: &Server, text: &str| {
        client.attach_bundle(&server.subject(sample.image), &bundle(text)).await.unwrap_err()
    };
    let errors = tokio::join!(attach(&server, "x"), attach(&without, "y"));
    for error in [errors.0, errors.1] {
        assert!(matches!(error, OciError::NotListed { .. }), "{error}");
    }
}

#[tokio::test]
async fn attack_68_entries_that_others_lose_are_put_back() {
    // Right after our first write somebody who had read the old list writes theirs.
    for conditional in [false, true] {
        let sample = Sample::new(false);
        sample.store.state().conditional = conditional;
        let tag = fallback_tag(&sample);
        let old = json!({"mediaType": OCI_MANIFEST, "digest": sample.attachment, "size": 1});
        let index =
            |entries: Value| json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
        sample.store.state().manifest(Some(&tag), OCI_INDEX, index(json!([old])));
        let theirs = index(json!([old, {"mediaType": OCI_MANIFEST, "digest": Digest::of("theirs"), "size": 1}]));
        let (store, writes, written) = (sample.store.clone(), Arc::new(AtomicUsize::new(0)), tag.clone());
        let server = Server::start(move |seen| {
            let reply = store.answer(seen);
            let ours = seen.method == "PUT" && seen.path.ends_with(&written);
            if ours && writes.fetch_add(1, SeqCst) == 0 {
                store.state().manifest(Some(&written), OCI_INDEX, theirs.clone());
            }
            reply
        })
        .await;
        let attached = user().attach_bundle(&server.subject(sample.image), &bundle("ours")).await.unwrap();
        let expected = [sample.attachment, Digest::of("theirs"), attached.manifest].map(|digest| digest.to_string());
        assert_eq!(listed(&sample), expected);
    }
}

#[tokio::test]
async fn attack_68_everything_that_was_seen_is_put_back_and_holds_before_it_counts() {
    let sample = Sample::new(false);
    let tag = fallback_tag(&sample);
    let index = |digest: Digest| {
        let entry = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 1});
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).to_string()
    };
    sample.store.state().manifest(Some(&tag), OCI_INDEX, index(sample.attachment));
    // Somebody who knows of nothing else writes theirs over our first list, which had an older entry.
    let (store, theirs, writes) = (sample.store.clone(), index(Digest::of("theirs")), AtomicUsize::new(0));
    let times = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen_at = Arc::clone(&times);
    let server = Server::start(move |seen| {
        let reply = store.answer(seen);
        if seen.path.ends_with(&tag) {
            seen_at.lock().unwrap().push((seen.method.clone(), tokio::time::Instant::now()));
            if seen.method == "PUT" && writes.fetch_add(1, SeqCst) == 0 {
                store.state().manifest(Some(&tag), OCI_INDEX, theirs.clone());
            }
        }
        reply
    })
    .await;
    let attached = user().attach_bundle(&server.subject(sample.image), &bundle("ours")).await.unwrap();
    let expected = [Digest::of("theirs"), sample.attachment, attached.manifest].map(|digest| digest.to_string());
    assert_eq!(listed(&sample), expected);
    // Everybody who had read the list before has written it by the last look.
    let times = times.lock().unwrap();
    let written = times.iter().rfind(|(method, _)| method == "PUT").unwrap().1;
    assert!(times.last().unwrap().1 - written >= std::time::Duration::from_secs(1));
}

#[tokio::test]
async fn attack_68_a_turn_is_kept_while_it_is_held_and_forgotten_then() {
    let subject = |text: &str| Subject { repository: "a.example/app".parse().unwrap(), digest: Digest::of(text) };
    let turns = crate::tag_list::Turns::default();
    let held = turns.of(&subject("one")).await;
    drop(turns.of(&subject("two")).await);
    assert!(turns.of(&subject("one")).now_or_never().is_none());
    drop(held);
    drop(turns.of(&subject("two")).await);
    assert!(!format!("{turns:?}").contains(&Digest::of("one").hex().to_string()));
    assert!(format!("{turns:?}").contains(&Digest::of("two").hex().to_string()));
}

#[tokio::test]
async fn a_list_is_filled_up_to_a_thousand_entries() {
    for (there, full) in [(999, false), (1000, true)] {
        let sample = Sample::new(false);
        let entry = |number: usize| json!({"mediaType": "m", "digest": Digest::of(number.to_string()), "size": 1});
        let entries: Vec<Value> = (0..there).map(entry).collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
        sample.store.state().manifest(Some(&fallback_tag(&sample)), OCI_INDEX, index);
        let server = sample.serve().await;
        let result = user().attach_bundle(&server.subject(sample.image), &bundle("x")).await;
        assert_eq!(matches!(result, Err(OciError::ListFull { .. })), full, "{result:?}");
        assert_eq!(listed(&sample).len(), 1000);
    }
}

#[tokio::test]
async fn a_list_is_written_again_only_after_failures_that_pass() {
    for (status, writes) in [(403, 1), (503, 4)] {
        let sample = Sample::new(false);
        let (store, tag) = (sample.store.clone(), fallback_tag(&sample));
        let server = Server::start(move |seen| match seen.method == "PUT" && seen.path.ends_with(&tag) {
            true => Reply::status(status),
            false => store.answer(seen),
        })
        .await;
        user().attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap_err();
        assert_eq!(server.count("PUT /v2/app/manifests/sha256-"), writes, "{status}");
    }
    // What can never be written is not tried again.
    let sample = Sample::new(false);
    let entries: Vec<Value> = (0..40).map(|n| json!({"digest": Digest::of(n.to_string())})).collect();
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string();
    sample.store.state().manifest(Some(&fallback_tag(&sample)), OCI_INDEX, index);
    let server = sample.serve().await;
    let client = user_within(Limits { manifest: 3000, ..Limits::default() });
    let error = client.attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { what: "manifest", limit: 3000, .. }), "{error}");
}

/// A registry that asks to wait makes the list old that was to be written: it is read again, not sent again.
#[tokio::test]
async fn attack_68_a_list_that_became_old_is_not_written() {
    let sample = Sample::new(false);
    let tag = fallback_tag(&sample);
    let theirs = json!({"mediaType": OCI_MANIFEST, "digest": Digest::of("theirs"), "size": 1});
    let theirs = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [theirs]}).to_string();
    let (store, writes) = (sample.store.clone(), AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        if seen.method == "PUT" && seen.path.ends_with(&tag) && writes.fetch_add(1, SeqCst) == 0 {
            store.state().manifest(Some(&tag), OCI_INDEX, theirs.clone());
            return Reply::status(503).with("retry-after", "2");
        }
        store.answer(seen)
    })
    .await;
    let attached = user().attach_bundle(&server.subject(sample.image), &bundle("ours")).await.unwrap();
    assert_eq!(listed(&sample), [Digest::of("theirs"), attached.manifest].map(|digest| digest.to_string()));
}

#[tokio::test]
async fn attack_68_writers_of_one_process_and_of_two_lose_nothing() {
    let sample = Sample::new(false);
    let server = sample.serve().await;
    let (one, two) = (user(), user());
    let subject = server.subject(sample.image);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let (client, subject) = (if number % 2 == 0 { one.clone() } else { two.clone() }, subject.clone());
        tasks
            .spawn(async move { client.attach_bundle(&subject, &bundle(&number.to_string())).await.unwrap().manifest });
    }
    let mut wanted: Vec<String> = tasks.join_all().await.iter().map(ToString::to_string).collect();
    let mut found = listed(&sample);
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn lost_writes_are_found_out() {
    // Reported as done and never stored: the list never shows the entry.
    let sample = Sample::new(false);
    let (store, tag) = (sample.store.clone(), fallback_tag(&sample));
    let server = Server::start(move |seen| match seen.method == "PUT" && seen.path.ends_with(&tag) {
        true => Reply::status(201),
        false => store.answer(seen),
    })
    .await;
    let error = user().attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap_err();
    assert!(matches!(error, OciError::Contended { .. }), "{error}");

    // Stored and reported as failed: reading the list tells.
    let sample = Sample::new(false);
    let (store, tag, writes) = (sample.store.clone(), fallback_tag(&sample), AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let reply = store.answer(seen);
        let first = seen.method == "PUT" && seen.path.ends_with(&tag) && writes.fetch_add(1, SeqCst) == 0;
        if first { Reply::status(500) } else { reply }
    })
    .await;
    user().attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap();
    assert_eq!(listed(&sample).len(), 1);
}

#[tokio::test]
async fn each_write_can_fail_and_says_so() {
    type Wanted = fn(&OciError) -> bool;
    let denied: Wanted = |error| matches!(error, OciError::Denied { .. });
    let rejected: Wanted = |error| matches!(error, OciError::Rejected { .. });
    let transport: Wanted = |error| matches!(error, OciError::Transport { .. });
    for (step, status, wanted) in [
        ("GET manifests/sha256:", 401, denied),
        ("GET manifests/sha256:", 500, transport),
        ("GET manifests/sha256:", 404, |error| matches!(error, OciError::SubjectMissing(_))),
        ("HEAD blobs/", 403, denied),
        ("POST blobs/uploads/", 401, denied),
        ("POST blobs/uploads/", 403, denied),
        ("POST blobs/uploads/", 429, transport),
        ("POST blobs/uploads/", 404, rejected),
        ("PUT blobs/uploads/", 413, rejected),
        ("PUT blobs/uploads/", 500, transport),
        ("PUT manifests/sha256:", 400, rejected),
        ("PUT manifests/sha256:", 503, transport),
        ("PUT manifests/sha256-", 405, rejected),
        ("PUT manifests/sha256-", 403, denied),
        ("GET manifests/sha256-", 403, denied),
    ] {
        let sample = Sample::new(false);
        let store = sample.store.clone();
        let (method, path) = step.split_once(' ').unwrap();
        let line = format!("{method} /v2/app/{path}");
        let server = Server::start(move |seen| match seen.line().starts_with(&line) {
            true => Reply::status(status).body(r#"{"errors":[{"code":"NOPE","message":"not today"}]}"#),
            false => store.answer(seen),
        })
        .await;
        let error = user().attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap_err();
        assert!(wanted(&error), "{step} with {status}: {error:?}");
        if wanted as usize == rejected as usize {
            assert!(error.to_string().contains("NOPE: not today"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_not_written_over() {
    let sample = Sample::new(false);
    let image =
        json!({"schemaVersion": 2, "config": {"mediaType": "x", "digest": Digest::of("{}"), "size": 2}, "layers": []});
    let tag = fallback_tag(&sample);
    let before = sample.store.state().manifest(Some(&tag), OCI_MANIFEST, image.to_string() + " ");
    let server = sample.serve().await;
    let error = user().attach_bundle(&server.subject(sample.image), &bundle("x")).await.unwrap_err();
    assert!(matches!(error, OciError::TagTaken { .. }), "{error}");
    assert_eq!(sample.store.state().tags[&tag], before);
}

#[tokio::test]
async fn what_would_not_be_read_back_is_not_pushed() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let large = bundle(&"x".repeat((16 << 20) + 1));
    let error = user().attach_bundle(&server.subject(sample.image), &large).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { .. }), "{error}");
    assert_eq!(server.seen().len(), 0);
    let error = user().attach_bundle(&server.subject(Digest::of("absent")), &bundle("x")).await.unwrap_err();
    assert!(matches!(error, OciError::SubjectMissing(_)), "{error}");
    assert_eq!(server.count("POST") + server.count("PUT"), 0);
}

#[tokio::test]
async fn what_is_exactly_of_the_limit_is_attached() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let client = user_within(Limits { attachment: 3, ..Limits::default() });
    let subject = server.subject(sample.image);
    client.attach_bundle(&subject, &bundle("{}x")).await.unwrap();
    client.attach_legacy(&subject, &layer("{}x", "one")).await.unwrap();
    let before = server.seen().len();
    let error = client.attach_bundle(&subject, &bundle("{}xy")).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { size: 4, limit: 3, .. }), "{error}");
    let error = client.attach_legacy(&subject, &layer("{}xy", "one")).await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { size: 4, limit: 3, .. }), "{error}");
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn a_legacy_tag_begins_with_the_first_layer() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let attestation = LegacyLayer { kind: LegacyKind::Attestation, ..layer("payload", "one") };
    let attached = user().attach_legacy(&server.subject(sample.image), &attestation).await.unwrap();
    let tag = format!("sha256-{}.att", sample.image.hex());
    assert_eq!((attached.place, attached.existed), (Place::Tag(tag.clone()), false));
    assert_eq!(sample.store.state().tagged(&tag).unwrap()["layers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_legacy_manifest_keeps_its_type() {
    const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
    for (media_type, config) in [
        (OCI_MANIFEST, "application/vnd.oci.image.config.v1+json"),
        (DOCKER, "application/vnd.docker.container.image.v1+json"),
    ] {
        let sample = Sample::new(true);
        let tag = format!("sha256-{}.sig", sample.image.hex());
        let there = json!({"schemaVersion": 2, "mediaType": media_type,
            "config": {"mediaType": "x", "digest": Digest::of("{}"), "size": 2}, "layers": []});
        sample.store.state().manifest(Some(&tag), media_type, there.to_string());
        let server = sample.serve().await;
        let attached = user().attach_legacy(&server.subject(sample.image), &layer("payload", "one")).await.unwrap();
        let state = sample.store.state();
        assert_eq!(state.manifests[&attached.manifest].0, media_type);
        let manifest = state.tagged(&tag).unwrap();
        assert_eq!(
            (manifest["mediaType"].as_str(), manifest["config"]["mediaType"].as_str()),
            (Some(media_type), Some(config))
        );
    }
}

#[tokio::test]
async fn attack_42_a_legacy_tag_that_cannot_be_read_is_not_written_over() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let server = Server::start(move |seen| match seen.method == "GET" && seen.path.ends_with(".sig") {
        true => Reply::status(403),
        false => store.answer(seen),
    })
    .await;
    let error = user().attach_legacy(&server.subject(sample.image), &layer("x", "one")).await.unwrap_err();
    assert!(matches!(error, OciError::Denied { .. }), "{error}");
    assert_eq!(server.count("PUT /v2/app/manifests/"), 0);
    // The same for the subject.
    let error = user().attach_legacy(&server.subject(Digest::of("absent")), &layer("x", "one")).await.unwrap_err();
    assert!(matches!(error, OciError::SubjectMissing(_)), "{error}");
    let closed = Server::start(|_| Reply::status(403)).await;
    let error = user().attach_legacy(&closed.subject(sample.image), &layer("x", "one")).await.unwrap_err();
    assert!(matches!(error, OciError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn legacy_layers_are_appended_once_each() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let (client, subject) = (user(), server.subject(sample.image));
    let tag = format!("sha256-{}.sig", sample.image.hex());
    assert!(!client.attach_legacy(&subject, &layer("payload", "one")).await.unwrap().existed);
    // The same payload with another signature is another layer.
    assert!(!client.attach_legacy(&subject, &layer("payload", "two")).await.unwrap().existed);
    let last = client.attach_legacy(&subject, &layer("payload", "one")).await.unwrap();
    assert!(last.existed);
    assert_eq!(last.place, Place::Tag(tag.clone()));
    let state = sample.store.state();
    assert_eq!(state.tags[&tag], last.manifest);
    let manifest = state.tagged(&tag).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 3);
    assert_eq!(layers[1]["annotations"], json!({"dev.cosignproject.cosign/signature": "one"}));
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    let config: Value = serde_json::from_slice(&state.blobs[&config]).unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn blobs_are_mounted_where_the_registry_offers_it() {
    let server = Server::start(|seen: &Seen| match (seen.method.as_str(), seen.query.contains("mount=")) {
        ("HEAD", _) => Reply::status(404),
        ("POST", true) => Reply::status(201),
        _ => Reply::status(500),
    })
    .await;
    let from = server.reference("base").repository().clone();
    let digest = user().push_blob(&server.repository(), "x".into(), Some(&from)).await.unwrap();
    assert_eq!(digest, Digest::of("x"));
    let post = server.seen().pop().unwrap();
    assert_eq!(post.query, format!("mount=sha256%3A{}&from=base", digest.hex()));
}

#[tokio::test]
async fn an_upload_that_another_spoiled_is_looked_at_again() {
    for there in [true, false] {
        let (sample, puts) = (Sample::new(true), AtomicUsize::new(0));
        let store = sample.store.clone();
        let server = Server::start(move |seen| {
            if seen.method == "PUT" && puts.fetch_add(1, SeqCst) == 0 {
                if there {
                    store.answer(seen);
                }
                return Reply::status(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
            }
            store.answer(seen)
        })
        .await;
        let digest = user().push_blob(&server.repository(), "new".into(), None).await.unwrap();
        assert!(sample.store.state().blobs.contains_key(&digest));
        assert_eq!(server.count("PUT"), if there { 1 } else { 2 });
    }
}

#[tokio::test]
async fn uploads_stay_on_our_origin() {
    // A registry behind a proxy that names itself with the wrong scheme.
    let server = Server::start(|seen: &Seen| match seen.method.as_str() {
        "HEAD" => Reply::status(404),
        "POST" => Reply::status(202).with("location", "https://127.0.0.1/v2/app/blobs/uploads/7?a=b"),
        _ => Reply::status(201),
    })
    .await;
    user().push_blob(&server.repository(), "x".into(), None).await.unwrap();
    assert_eq!(server.count("PUT /v2/app/blobs/uploads/7"), 1);
    let elsewhere = Server::start(|_| Reply::status(201)).await;
    for location in ["http://169.254.169.254/", "http://registry.example/up", "nonsense://x"] {
        let server = Server::start(move |seen: &Seen| match seen.method.as_str() {
            "HEAD" => Reply::status(404),
            _ => Reply::status(202).with("location", location),
        })
        .await;
        let error = user().push_blob(&server.repository(), "x".into(), None).await.unwrap_err();
        assert!(matches!(error, OciError::Transport { cause: GapCause::NotAllowed, .. }), "{location}: {error:?}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_registry_that_stores_other_bytes_is_caught() {
    let server =
        Server::start(|_| Reply::status(201).with("docker-content-digest", Digest::of("other").to_string())).await;
    let error = user().push_manifest(&server.repository(), Some("1"), OCI_MANIFEST, "{}".into()).await.unwrap_err();
    assert!(matches!(error, OciError::Transport { cause: GapCause::Malformed, .. }), "{error}");
}
