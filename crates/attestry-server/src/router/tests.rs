//! The routers over an application opened as the service opens it, with a disk that fails and a registry that is slow:
//! what is admitted is on the disk, what is not known in time is refused, and what is refused once can be cured.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use attestry_core::Timestamp;
use attestry_oci::{ClientOptions, RegistryEntry};
use attestry_playground::{Effect, Fault, Image, ImageBuilder, Registry};
use attestry_policy::NoPolicy;
use attestry_store::{Backend, Disk, Options, RealDisk};
use attestry_testkit::{EvidenceBuilder, keys};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;

use crate::{
    app::App,
    config::{Configuration, Listener},
    server::open_app,
};

/// A disk whose syncs can be made to fail, or to wait.
#[derive(Debug, Default)]
struct Failing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Well,
    Fails,
    Stalls,
}

impl Failing {
    fn set(&self, state: State) {
        *self.state.lock().unwrap() = state;
        self.changed.notify_all();
    }

    /// Waits while the disk stalls; then whether it works.
    fn check(&self) -> io::Result<()> {
        let state = self.changed.wait_while(self.state.lock().unwrap(), |state| *state == State::Stalls).unwrap();
        match *state {
            State::Fails => Err(io::Error::other("the disk failed")),
            State::Well | State::Stalls => Ok(()),
        }
    }
}

impl Disk for Failing {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        RealDisk.write(path, file, bytes)
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        self.check()?;
        RealDisk.sync(path, file)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.check()?;
        RealDisk.sync_directory(path)
    }
}

/// An application, the registry that it reads and the disk that it writes.
struct Stage {
    app: Arc<App>,
    registry: Registry,
    disk: Arc<Failing>,
    folder: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::start().await.unwrap());
        fs::create_dir(folder.path().join("policies")).unwrap();
        let host = registry.host();
        let documents = [
            json!({"kind": "Authority", "metadata": {"name": "release"},
                   "spec": {"key": {"pem": keys::p256("release").public_key_pem()}}}),
            json!({"kind": "ImagePolicy", "metadata": {"name": "shop"}, "spec": {
                   "match": {"images": [format!("{host}/shop/**")]},
                   "require": [{"name": "signed", "signature": {"authorities": ["release"]}}]}}),
        ];
        for (number, mut document) in documents.into_iter().enumerate() {
            document["apiVersion"] = json!("attestry.dev/v1alpha1");
            fs::write(folder.path().join(format!("policies/{number}.yaml")), document.to_string()).unwrap();
        }
        let entry = RegistryEntry { host, private: true, plain_http: true, ..RegistryEntry::default() };
        let listener = || Listener { address: ([127, 0, 0, 1], 0).into(), tls: None };
        let configuration = Configuration {
            admission: listener(),
            api: listener(),
            tokens: Vec::new(),
            ops: listener(),
            data_directory: folder.path().join("data"),
            policy_directory: folder.path().join("policies"),
            backend: Backend::Redb,
            no_policy: NoPolicy::Deny,
            registries: ClientOptions::for_service(vec![entry]),
        };
        let disk = Arc::new(Failing::default());
        // Without checkpoints in between, the first thing that finds the disk failing is a decision.
        let options = Options {
            disk: disk.clone(),
            reserve_bytes: 0,
            checkpoint_interval: Duration::from_secs(3600),
            ..Options::default()
        };
        let app = open_app(&configuration, &options, clock).await.unwrap();
        assert!(app.policies.problem().is_none(), "{:?}", app.policies.problem());
        Self { app, registry, disk, folder }
    }

    /// An image of its own content in `shop/NAME`, and its reference by digest.
    async fn push(&self, name: &str) -> (Image, String) {
        let image = ImageBuilder::single("linux/amd64").files(&[("app/name", name)]).build().unwrap();
        self.registry.load(&format!("shop/{name}"), &image, &["1"]).await.unwrap();
        let reference = format!("{}/shop/{name}@{}", self.registry.host(), image.digest());
        (image, reference)
    }

    async fn sign(&self, name: &str, image: &Image) {
        let repository = format!("shop/{name}");
        let full = format!("{}/{repository}", self.registry.host());
        let evidence = EvidenceBuilder::new(&full, image).sign(&keys::p256("release")).build();
        let (blobs, manifests): (Vec<_>, Vec<_>) =
            evidence.documents().partition(|(_, document)| document.media_type.is_empty());
        for (_, blob) in blobs {
            self.registry.load_blob(&repository, blob.bytes.clone()).await.unwrap();
        }
        // What every bundle's manifest names as its config.
        self.registry.load_blob(&repository, "{}".into()).await.unwrap();
        for (digest, document) in manifests {
            let (digest, bytes) = (digest.to_string(), document.bytes.clone());
            self.registry.load_manifest(&repository, &digest, &document.media_type, bytes).await.unwrap();
        }
    }

    async fn signed(&self, name: &str) -> String {
        let (image, reference) = self.push(name).await;
        self.sign(name, &image).await;
        reference
    }

    /// The answer to a Pod with these images.
    async fn validate(&self, images: &[&str], timeout: &str) -> Answered {
        let containers: Vec<Value> = images.iter().map(|image| json!({"name": "c", "image": image})).collect();
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "1", "operation": "CREATE", "namespace": "shop", "name": "web",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "userInfo": {"username": "dev@shop.example"},
                "object": {"metadata": {"name": "web"}, "spec": {"containers": containers}},
            },
        });
        let uri = format!("/v1/admission/validate?timeout={timeout}");
        let (status, answer) = send(super::admission(self.app.clone()), &uri, Some(review)).await;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        Answered(answer)
    }

    async fn review(&self, image: &str) -> (StatusCode, Value) {
        send(super::api(self.app.clone()), "/v1/reviews", Some(json!({"image": image}))).await
    }

    async fn ops(&self, uri: &str) -> (StatusCode, Value) {
        send(super::ops(self.app.clone()), uri, None).await
    }

    fn records(&self) -> u64 {
        self.app.recorder.store().log().records()
    }
}

/// An AdmissionReview that came back.
struct Answered(Value);

impl Answered {
    /// `admitted`, or the codes of the refusal in their order.
    fn codes(&self) -> Vec<&str> {
        let response = &self.0["response"];
        if response["allowed"] == true {
            return vec!["admitted"];
        }
        let causes = response["status"]["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        causes.iter().map(|cause| cause["reason"].as_str().unwrap()).collect()
    }

    /// The id under which the decision is recorded.
    fn id(&self) -> Option<&str> {
        self.0["response"]["auditAnnotations"]["decision"].as_str()
    }
}

fn clock() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

async fn send(router: axum::Router, uri: &str, body: Option<Value>) -> (StatusCode, Value) {
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

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
    assert_eq!(late.codes(), ["budget-spent"]);
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
        "apiVersion": "attestry.dev/v1alpha1", "kind": "Revocation", "metadata": {"name": "incident"},
        "spec": {"entries": [{"keyId": keys::p256("release").key_id().to_string(), "reason": "laptop stolen"}]},
    });
    fs::write(stage.folder.path().join("policies/revocation.yaml"), revocation.to_string()).unwrap();
    stage.app.look_at_policies().await;
    assert!(stage.app.policies.problem().is_none());
    let refused = stage.validate(&[&signed], "10s").await;
    assert!(refused.codes().contains(&"revoked"), "{:#}", refused.0);
    let (_, text) = stage.ops("/metrics").await;
    let text = text.as_str().unwrap();
    for line in ["attestry_decisions_total{answer=\"admitted\"} 2", "attestry_decisions_total{answer=\"refused\"} 1"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
