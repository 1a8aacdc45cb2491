//! The routers over an application opened as the service opens it, with a disk that fails and a registry that is slow:
//! what is admitted is on the disk, what is not known in time is refused, and what is refused once can be cured.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use attestry_playground::{Effect, Fault};
use attestry_testkit::keys;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{
    router,
    stage::{Stage, State, send},
};

#[tokio::test]
async fn attack_90_what_cannot_be_recorded_is_not_admitted() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    let (_, unsigned) = stage.push("unsigned").await;
    let admitted = stage.validate(&[&signed], "10s").await;
    assert_eq!(admitted.codes(), ["admitted"]);
    assert!(admitted.id().is_some());
    let records = stage.records();
    stage.disk.set(State::Fails);
    // The review is cached and trusted; what is missing is the record of this decision.
    let refused = stage.validate(&[&signed], "10s").await;
    assert_eq!((refused.codes(), refused.id()), (vec!["record-failed"], None));
    // A refusal is given all the same, for its own reason and without an id.
    let refused = stage.validate(&[&unsigned], "10s").await;
    assert_eq!((refused.codes(), refused.id()), (vec!["signature-missing"], None));
    // A disk that is well again does not heal a log that lost a write.
    stage.disk.set(State::Well);
    assert_eq!(stage.validate(&[&signed], "10s").await.codes(), ["record-failed"]);
    assert_eq!(stage.records(), records, "nothing was counted that is not on the disk");
    let (status, ready) = stage.ops("/readyz").await;
    assert_eq!((status, &ready["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    let failed: Vec<&Value> =
        ready["conditions"].as_array().unwrap().iter().filter(|condition| condition["status"] == "False").collect();
    assert!(failed.len() == 1 && failed[0]["type"] == "LogWritable", "{ready:#}");
    assert_eq!(stage.ops("/healthz").await.0, StatusCode::OK, "the process itself is alive");
}

#[tokio::test]
async fn attack_90_a_sync_that_stalls_is_not_waited_for() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    assert_eq!(stage.validate(&[&signed], "10s").await.codes(), ["admitted"]);
    stage.disk.set(State::Stalls);
    let refused = stage.validate(&[&signed], "1s").await;
    assert_eq!((refused.codes(), refused.id()), (vec!["record-failed"], None));
    // It comes back, and so does the service.
    stage.disk.set(State::Well);
    assert_eq!(stage.validate(&[&signed], "30s").await.codes(), ["admitted"]);
    // What was written too late as an admit is followed by what was answered. Nobody waits for it, so it is asked for
    // until it is there; each question takes its time.
    let mut list = Value::Null;
    for _ in 0..1000 {
        (_, list) = send(router::api(stage.app.clone()), "/v1/decisions?allowed=false", None).await;
        if list["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()) {
            break;
        }
    }
    let corrected = &list["decisions"][0]["decision"];
    assert_eq!(corrected["reasons"][0]["code"], "record-failed", "{list:#}");
}

#[tokio::test]
async fn a_review_that_cannot_be_recorded_is_a_problem() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    stage.disk.set(State::Fails);
    let (status, problem) = stage.review(&signed).await;
    assert_eq!((status, &problem["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("record-failed")), "{problem:#}");
}

#[tokio::test]
async fn attack_88_what_comes_too_late_is_found_by_the_retry() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    // Byte by byte the listing takes longer than the shortest deadline and far less than a collection may.
    let slow = Effect::Drip { every: Duration::from_millis(1) };
    stage.registry.inject(Fault::any("/referrers/", slow).times(1));
    let late = stage.validate(&[&signed], "1s").await;
    assert!(late.codes().iter().all(|code| *code == "budget-spent"), "{:#}", late.0);
    let requests = |stage: &Stage| stage.registry.seen().iter().filter(|r| r.target.contains("/referrers/")).count();
    assert_eq!(stage.validate(&[&signed], "30s").await.codes(), ["admitted"]);
    assert_eq!((requests(&stage), stage.app.metrics.collections.get()), (1, 1), "the first collection went on");
}

#[tokio::test]
async fn eight_containers_with_one_image_are_one_collection() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    assert_eq!(stage.validate(&[signed.as_str(); 8], "10s").await.codes(), ["admitted"]);
    assert_eq!(stage.app.metrics.collections.get(), 1);
    let mut targets: Vec<String> = stage.registry.seen().into_iter().map(|seen| seen.target).collect();
    let asked = targets.len();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), asked, "nothing is read twice");
}

#[tokio::test]
async fn each_verdict_is_an_answer_and_never_another_images() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    let (_, unsigned) = stage.push("unsigned").await;
    let (_, unreadable) = stage.push("unreadable").await;
    let hidden = Effect::status(StatusCode::INTERNAL_SERVER_ERROR);
    stage.registry.inject(Fault::any("/shop/unreadable/", hidden));
    // Twice, so that the second answer comes from the cache where there is one.
    for round in ["first", "again"] {
        for (image, verdict) in [(&unsigned, "untrusted"), (&signed, "trusted"), (&unreadable, "undeterminable")] {
            let (status, review) = stage.review(image).await;
            assert_eq!((status, &review["verdict"]), (StatusCode::OK, &json!(verdict)), "{round} {image}: {review:#}");
        }
    }
    assert_eq!(stage.app.metrics.cache_hits.get(), 2, "what is undeterminable is not remembered");
    let (_, page) = send(super::api(stage.app.clone()), "/v1/decisions", None).await;
    assert_eq!(page["decisions"], json!([]), "a review is never a decision");
}

#[tokio::test]
async fn attack_20_a_revoked_key_is_refused_at_the_next_request() {
    let stage = Stage::new().await;
    let signed = stage.signed("signed").await;
    for _ in 0..2 {
        assert_eq!(stage.validate(&[&signed], "10s").await.codes(), ["admitted"]);
    }
    assert_eq!(stage.app.metrics.cache_hits.get(), 1);
    let revocation = json!({
        "kind": "Revocation", "metadata": {"name": "incident"},
        "spec": {"entries": [{"keyId": keys::p256("release").key_id().to_string(), "reason": "laptop stolen"}]},
    });
    stage.add_policy("revocation", &revocation).await;
    let refused = stage.validate(&[&signed], "10s").await;
    assert!(refused.codes().contains(&"revoked"), "{:#}", refused.0);
    let (_, text) = stage.ops("/metrics").await;
    let text = text.as_str().unwrap();
    for line in ["attestry_decisions_total{answer=\"admitted\"} 2", "attestry_decisions_total{answer=\"refused\"} 1"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
