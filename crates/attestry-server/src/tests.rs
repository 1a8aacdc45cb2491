//! The routers in process: what each kind of caller gets, and what is judged, cached and written down.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use attestry_core::Digest;
use attestry_playground::ImageBuilder;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, request::Builder},
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::{
    config::{Role, Token},
    router,
    stage::{Answered, Stage, pod, send},
};

const JSON: &str = "application/json";

fn request(method: &str, uri: &str) -> Builder {
    Request::builder().method(method).uri(uri)
}

async fn call(router: Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

async fn get(router: Router, uri: &str) -> (StatusCode, Value) {
    send(router, uri, None).await
}

/// The body with everything that differs from run to run replaced.
fn redacted(stage: &Stage, body: &Value) -> Value {
    let mut text = body.to_string().replace(&stage.registry.host(), "HOST");
    text = text.replace(&stage.app.recorder.store().log().log_id().to_string(), "LOG");
    for (name, value) in [
        ("policySet", "[policy set]"),
        ("evidence", "[evidence]"),
        ("review", "[review]"),
        ("attachment", "[attachment]"),
    ] {
        let pattern = format!("\"{name}\":\"sha256:");
        while let Some(at) = text.find(&pattern) {
            text.replace_range(at..at + pattern.len() + 65, &format!("\"{name}\":\"{value}\""));
        }
    }
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn attack_93_who_may_ask_for_what() {
    let token = |text: &str, role| Token { name: text.to_owned(), sha256: Digest::of(text), roles: vec![role] };
    let stage = Stage::with(vec![token("reads", Role::Reader), token("reviews", Role::Reviewer)], &[]).await;
    let image = stage.signed("app").await;
    let body = json!({"image": image}).to_string();
    for (token, review, list) in [
        (None, 401, 401),
        (Some("Bearer nobody"), 401, 401),
        (Some("Basic cmVhZHM6"), 401, 401),
        (Some("Bearer reads"), 401, 200),
        (Some("bearer reviews"), 200, 401),
    ] {
        let with = |builder: Builder| match token {
            Some(token) => builder.header("authorization", token),
            None => builder,
        };
        let asked = with(request("POST", "/v1/reviews")).header("content-type", JSON).body(body.clone().into());
        let (status, answer) = call(router::api(stage.app.clone()), asked.unwrap()).await;
        assert_eq!(status.as_u16(), review, "{token:?}: {answer}");
        let asked = with(request("GET", "/v1/decisions")).body(Body::empty()).unwrap();
        let (status, answer) = call(router::api(stage.app.clone()), asked).await;
        assert_eq!(status.as_u16(), list, "{token:?}: {answer}");
        if status == StatusCode::OK {
            assert_eq!(answer["decisions"], json!([]), "a review is never a decision");
        } else {
            assert_eq!(answer["code"], "unauthenticated");
        }
    }
    assert_eq!(stage.records(), 2, "the policy set and the review");
}

#[tokio::test]
async fn a_review_and_a_decision_as_they_are_answered() {
    let stage = Stage::new().await;
    let (signed, unsigned) = (stage.signed("app").await, stage.push("unsigned").await.1);
    insta::assert_json_snapshot!("review_trusted", redacted(&stage, &stage.review(&signed).await.1));
    insta::assert_json_snapshot!("review_untrusted", redacted(&stage, &stage.review(&unsigned).await.1));
    let answer = stage.answer(&pod(&[&unsigned], "dev"), "10s").await;
    let id = answer.id().unwrap();
    assert!(answer.0["response"]["status"]["message"].as_str().unwrap().starts_with(id));
    let (status, decision) = get(router::api(stage.app.clone()), &format!("/v1/decisions/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!("decision", redacted(&stage, &decision));
    let (_, page) = get(router::api(stage.app.clone()), "/v1/decisions?allowed=false&namespace=dev&limit=1").await;
    assert_eq!(page["decisions"][0]["id"], id);
    let (_, page) = get(router::api(stage.app.clone()), "/v1/decisions?allowed=true").await;
    assert_eq!(page["decisions"], json!([]));
}

#[tokio::test]
async fn bad_requests_are_problems_with_the_place() {
    let stage = Stage::new().await;
    let long = format!("{{\"image\": \"{}\"}}", "a".repeat(70 << 10));
    let decision = format!("/v1/decisions/{}-7", stage.app.recorder.store().log().log_id());
    for (method, uri, kind, body, status, code, told) in [
        ("POST", "/v1/reviews", JSON, "", 400, "request-malformed", "body"),
        ("POST", "/v1/reviews", JSON, "{\"image\": \"a", 400, "request-malformed", "body"),
        ("POST", "/v1/reviews", JSON, "[]", 400, "request-malformed", "body"),
        ("POST", "/v1/reviews", JSON, "{\"image\": 5}", 400, "request-malformed", "string"),
        ("POST", "/v1/reviews", JSON, "{\"image\": \"a\", \"imagee\": 1}", 400, "request-malformed", "imagee"),
        ("POST", "/v1/reviews", JSON, "{\"image\": \"UPPER/case@x\"}", 400, "reference-malformed", "image"),
        (
            "POST",
            "/v1/reviews",
            JSON,
            "{\"image\":\"a\",\"namespaceLabels\":{}}",
            400,
            "request-malformed",
            "namespace",
        ),
        ("POST", "/v1/reviews", JSON, &long, 413, "over-limit", "larger"),
        ("POST", "/v1/reviews", "text/plain", "{\"image\": \"a\"}", 415, "request-malformed", JSON),
        ("GET", "/v1/reviews", JSON, "", 405, "request-malformed", "GET"),
        ("GET", "/v1/nothing", JSON, "", 404, "request-malformed", "/v1/nothing"),
        ("GET", "/v1/decisions?limit=101", JSON, "", 400, "request-malformed", "limit"),
        ("GET", "/v1/decisions?limit=x", JSON, "", 400, "request-malformed", "limit"),
        ("GET", "/v1/decisions?digest=sha256:AB", JSON, "", 400, "request-malformed", "digest"),
        ("GET", "/v1/decisions?cursor=-1", JSON, "", 400, "request-malformed", "cursor"),
        ("GET", "/v1/decisions?colour=red", JSON, "", 400, "request-malformed", "colour"),
        ("GET", "/v1/decisions/7", JSON, "", 400, "request-malformed", "decision id"),
        ("GET", "/v1/decisions/%FF", JSON, "", 400, "request-malformed", "UTF-8"),
        ("GET", &decision, JSON, "", 404, "not-found", "no decision"),
        ("POST", "/v1/admission/validate", JSON, "{", 400, "request-malformed", "AdmissionReview"),
        ("POST", "/v1/admission/mutate", JSON, "{}", 400, "request-malformed", "AdmissionReview"),
        ("POST", "/v1/admission/validate", "application/yaml", "{}", 415, "request-malformed", JSON),
        ("POST", "/v1/admission/validate?timeout=soon", JSON, "{}", 400, "request-malformed", "10s"),
        ("POST", "/v1/admission/validate?timeout=1s&timeout=2s", JSON, "{}", 400, "request-malformed", "timeout"),
        ("GET", "/v1/admission/validate", JSON, "", 405, "request-malformed", "GET"),
    ] {
        let admission = uri.starts_with("/v1/admission");
        let router = if admission { router::admission } else { router::api }(stage.app.clone());
        let asked = request(method, uri).header("content-type", kind).body(Body::from(body.to_owned())).unwrap();
        let (found, answer) = call(router, asked).await;
        assert_eq!((found.as_u16(), answer["code"].as_str()), (status, Some(code)), "{method} {uri} {body}: {answer}");
        assert_eq!(answer["status"], status);
        assert!(answer["detail"].as_str().unwrap().contains(told), "{method} {uri}: {answer}");
    }
    let large = vec![b' '; (8 << 20) + 1];
    let asked = request("POST", "/v1/admission/validate").header("content-type", JSON).body(large.into()).unwrap();
    let (status, answer) = call(router::admission(stage.app.clone()), asked).await;
    assert_eq!((status.as_u16(), answer["code"].as_str()), (413, Some("over-limit")));
    // Attack 36: a body that never ends is not waited for beyond the request's own time.
    let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let asked = request("POST", "/v1/admission/validate?timeout=1s").header("content-type", JSON).body(never).unwrap();
    let (status, answer) = call(router::admission(stage.app.clone()), asked).await;
    assert_eq!((status.as_u16(), answer["code"].as_str()), (408, Some("request-malformed")));
    assert_eq!(stage.records(), 0, "nothing was written for any of them");
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let stage = Stage::new().await;
    let ops = || router::ops(stage.app.clone());
    assert_eq!(get(ops(), "/healthz").await, (StatusCode::OK, json!("ok\n")));
    let digest = stage.app.policies.current().unwrap().digest();
    let (status, ready) = get(ops(), "/readyz").await;
    assert_eq!((status, &ready["policySet"]), (StatusCode::OK, &json!(digest)));
    assert!(ready["conditions"].as_array().unwrap().iter().all(|c| c["status"] == "True"), "{ready:#}");
    // Attack 89: a broken edit is a condition, not an outage.
    fs::write(stage.folder.path().join("policies/broken.yaml"), "kind: nonsense").unwrap();
    stage.app.look_at_policies().await;
    let (status, ready) = get(ops(), "/readyz").await;
    assert_eq!((status, &ready["policySet"]), (StatusCode::OK, &json!(digest)));
    let refused: Vec<&Value> =
        ready["conditions"].as_array().unwrap().iter().filter(|c| c["status"] == "False").collect();
    assert!(refused.len() == 1 && refused[0]["type"] == "PolicyDirectoryAccepted", "{ready:#}");
    // Attack 64: replicas with different sets can be told apart.
    let (_, metrics) = get(ops(), "/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for line in [format!("attestry_policy_set{{digest=\"{digest}\"}} 1"), "attestry_policy_problem 1".to_owned()] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let (status, document) = get(router::api(stage.app.clone()), "/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (StatusCode::OK, &json!("3.1.0")));
}

#[tokio::test]
async fn one_image_is_collected_once_however_many_ask() {
    let stage = Stage::new().await;
    let image = stage.signed("app").await;
    let asking = (0..8).map(|_| stage.code_in("dev", &image));
    assert_eq!(futures::future::join_all(asking).await, ["admitted"; 8]);
    assert_eq!(stage.app.metrics.collections.get(), 1);
    let requests = stage.registry.requests();
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    assert_eq!(stage.registry.requests(), requests, "the cache answers");
    assert!(requests <= 5, "{:?}", stage.registry.seen());
}

#[tokio::test]
async fn attack_61_a_tag_that_moves_is_judged_anew() {
    let stage = Stage::new().await;
    stage.signed("app").await;
    let tag = format!("{}/shop/app:1", stage.registry.host());
    assert_eq!(stage.review(&tag).await.1["verdict"], "trusted");
    let other = ImageBuilder::single("linux/amd64").files(&[("app/name", "moved")]).build().unwrap();
    stage.registry.load("shop/app", &other, &["1"]).await.unwrap();
    assert_eq!(stage.review(&tag).await.1["verdict"], "untrusted");
}

#[tokio::test]
async fn attack_34_a_tag_that_names_another_image_than_its_digest_is_refused_where_a_policy_minds() {
    let stage = Stage::new().await;
    stage.signed("app").await;
    let digest = stage.signed("app").await.split_once('@').unwrap().1.to_owned();
    let named = |tag: &str| format!("{}/shop/app:{tag}@{digest}", stage.registry.host());
    assert_eq!(stage.code_in("dev", &named("1")).await, "admitted");
    let before = stage.registry.requests();
    assert_eq!(stage.code_in("dev", &named("gone")).await, "admitted");
    assert_eq!(stage.registry.requests(), before, "no policy minds, so nobody asks");

    let minds = json!({"kind": "ImagePolicy", "metadata": {"name": "minds"}, "spec": {
        "match": {"images": ["**"], "namespaces": {"names": ["dev"]}}, "tagBesideDigest": "Same",
        "require": [{"name": "listed", "digests": [digest]}]}});
    stage.add_policy("minds", &minds).await;
    let answer = stage.answer(&pod(&[&named("1")], "dev"), "10s").await;
    assert_eq!(answer.codes(), ["admitted"]);
    let uri = format!("/v1/decisions/{}", answer.id().unwrap());
    let (_, decision) = get(router::api(stage.app.clone()), &uri).await;
    let image = &decision["decision"]["images"][0];
    assert_eq!((image["tagged"].as_str(), image["digest"].as_str()), (Some(&*digest), Some(&*digest)), "{decision:#}");
    assert_eq!(stage.code_in("dev", &named("gone")).await, "not-found");
    // The policy is about one namespace.
    assert_eq!(stage.code_in("other", &named("gone")).await, "admitted");

    // The review is cached, what the tag names is not.
    let other = ImageBuilder::single("linux/amd64").files(&[("app/name", "moved")]).build().unwrap();
    stage.registry.load("shop/app", &other, &["1"]).await.unwrap();
    assert_eq!(stage.code_in("dev", &named("1")).await, "tag-digest-disagree");
    assert_eq!(stage.code_in("other", &named("1")).await, "admitted");
    stage.registry.cut_off().await.unwrap();
    assert_eq!(stage.code_in("dev", &named("1")).await, "registry-unreachable");
}

#[tokio::test]
async fn attack_50_62_a_cached_review_is_of_one_namespace_and_one_policy_set() {
    let production = json!({"kind": "ImagePolicy", "metadata": {"name": "production"}, "spec": {
        "match": {"images": ["**"], "namespaces": {"names": ["production"]}},
        "require": [{"name": "listed", "digests": [Digest::of("another image")]}]}});
    let stage = Stage::with(Vec::new(), &[production]).await;
    let image = stage.signed("app").await;
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    assert_eq!(stage.code_in("production", &image).await, "digest-not-listed");
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    let stricter = json!({"kind": "ImagePolicy", "metadata": {"name": "stricter"}, "spec": {
        "match": {"images": ["**"]},
        "require": [{"name": "listed", "digests": [Digest::of("another image")]}]}});
    stage.add_policy("stricter", &stricter).await;
    assert_eq!(stage.code_in("dev", &image).await, "digest-not-listed");
}

#[tokio::test]
async fn attack_65_a_passing_fault_is_not_remembered() {
    let stage = Stage::new().await;
    let image = stage.signed("app").await;
    stage.registry.cut_off().await.unwrap();
    assert_eq!(stage.code_in("dev", &image).await, "registry-unreachable");
    stage.registry.restore().await.unwrap();
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    // Attack 63: what was trusted stays so, as a whole review, while the registry is away.
    stage.registry.cut_off().await.unwrap();
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
}

#[tokio::test]
async fn attack_66_a_review_over_the_api_leaves_nothing_false_behind() {
    let stage = Stage::new().await;
    let image = stage.signed("app").await;
    let body = json!({"image": image, "namespace": "dev", "namespaceLabels": {"env": "none"}});
    let (_, review) = send(router::api(stage.app.clone()), "/v1/reviews", Some(body)).await;
    assert_eq!(review["verdict"], "trusted");
    // Admission knows no labels, so it does not share that review.
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    assert_eq!(stage.app.metrics.collections.get(), 2);
}

#[tokio::test]
async fn attack_58_a_dry_run_writes_nothing_and_spends_no_cache() {
    let stage = Stage::new().await;
    let image = stage.signed("app").await;
    let mut review = pod(&[&image], "dev");
    review["request"]["dryRun"] = json!(true);
    let Answered(answer) = stage.answer(&review, "10s").await;
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(stage.records(), 0);
    // The real request finds the review and stores its evidence.
    assert_eq!(stage.code_in("dev", &image).await, "admitted");
    assert_eq!((stage.records(), stage.app.metrics.collections.get()), (3, 1));
    let (_, review) = stage.review(&image).await;
    let evidence: Digest = review["evidence"].as_str().unwrap().parse().unwrap();
    assert!(stage.app.recorder.store().objects().get(&evidence).unwrap().is_some());
}

#[tokio::test]
async fn a_refusal_of_the_whole_names_a_policy_set_that_is_stored() {
    let stage = Stage::new().await;
    let mut review = pod(&[], "dev");
    review["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let Answered(answer) = stage.answer(&review, "10s").await;
    assert_eq!(answer["response"]["status"]["details"]["causes"][0]["reason"], "kind-unsupported");
    let set: Digest = answer["response"]["auditAnnotations"]["policy-set"].as_str().unwrap().parse().unwrap();
    assert!(stage.app.recorder.store().objects().get(&set).unwrap().is_some());
}

#[tokio::test]
async fn attack_90_a_full_house_refuses_at_once() {
    let stage = Stage::new().await;
    let turns: Vec<_> = std::iter::from_fn(|| stage.app.api_turn().ok()).collect();
    let asked = request("POST", "/v1/reviews").header("content-type", JSON).body("{\"image\": \"a\"}".into()).unwrap();
    let (status, answer) = call(router::api(stage.app.clone()), asked).await;
    assert_eq!((status.as_u16(), answer["code"].as_str()), (503, Some("overloaded")));
    assert!(stage.app.admission_turn().is_ok(), "the API starves no admission");
    drop(turns);
}
