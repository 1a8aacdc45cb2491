//! The routers in process: what each kind of caller gets, and what is judged, cached and written down.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs::{self, File},
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use attestry_core::{Digest, Timestamp};
use attestry_oci::{ClientOptions, Credentials, RegistryEntry};
use attestry_playground::{Effect, Fault, Image, ImageBuilder, Registry};
use attestry_policy::NoPolicy;
use attestry_store::{Backend, Disk, Options, RealDisk};
use attestry_testkit::{EvidenceBuilder, keys};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::{
    app::App,
    config::{Configuration, Listener, Role, Token},
    router,
    server::open_app,
};

const JSON: &str = "application/json";
const POLICIES: &str = r#"---
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: shop}
spec:
  match: {images: ["HOST/shop/**"]}
  require: [{name: signed, signature: {authorities: [release]}}]
---
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: production}
spec:
  match: {images: ["HOST/shop/**"], namespaces: {names: [production]}}
  require: [{name: listed, digests: ["sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"]}]
"#;

/// A service in this process, and the registry that it reads.
struct Service {
    app: Arc<App>,
    registry: Registry,
    folder: TempDir,
    disk: Arc<MoodyDisk>,
}

/// A disk that works until it is told otherwise.
#[derive(Debug, Default)]
struct MoodyDisk {
    mood: Mutex<Mood>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mood {
    #[default]
    Works,
    /// A sync does not come back.
    Stalls,
    /// Nothing fits any more.
    IsFull,
}

impl MoodyDisk {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_all();
    }
}

impl Disk for MoodyDisk {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        match *self.mood.lock().unwrap() {
            Mood::IsFull => Err(io::ErrorKind::StorageFull.into()),
            _ => RealDisk.write(path, file, bytes),
        }
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        let mood = self.mood.lock().unwrap();
        drop(self.changed.wait_while(mood, |mood| *mood == Mood::Stalls).unwrap());
        RealDisk.sync(path, file)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

impl Service {
    async fn new() -> Self {
        Self::with_tokens(&[]).await
    }

    async fn with_tokens(tokens: &[(&str, Role)]) -> Self {
        let (folder, registry) = (tempfile::tempdir().unwrap(), Registry::start().await.unwrap());
        let (policies, data) = (folder.path().join("policies"), folder.path().join("data"));
        fs::create_dir(&policies).unwrap();
        let key = keys::p256("release").public_key_pem().trim_end().replace('\n', "\n      ");
        let authority = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: release}}\nspec:\n  key:\n    pem: |\n      {key}\n"
        );
        fs::write(policies.join("shop.yaml"), authority + &POLICIES.replace("HOST", &registry.host())).unwrap();
        let entry = RegistryEntry {
            host: registry.host(),
            private: true,
            ca: None,
            plain_http: true,
            credentials: Credentials::Anonymous,
            token_realms: Vec::new(),
            blob_hosts: Vec::new(),
        };
        let listener = Listener { address: "127.0.0.1:0".parse().unwrap(), tls: None };
        let token = |(text, role): &(&str, Role)| Token {
            name: (*text).to_owned(),
            sha256: Digest::of(text),
            roles: vec![*role],
        };
        let configuration = Configuration {
            admission: listener.clone(),
            api: listener.clone(),
            tokens: tokens.iter().map(token).collect(),
            ops: listener,
            data_directory: data,
            policy_directory: policies,
            backend: Backend::Redb,
            no_policy: NoPolicy::Deny,
            registries: ClientOptions::for_service(vec![entry]),
        };
        let disk = Arc::new(MoodyDisk::default());
        let options = Options { disk: disk.clone(), ..Options::default() };
        let app = open_app(&configuration, &options, clock).await.unwrap();
        let service = Self { app, registry, folder, disk };
        assert!(service.app.policies.problem().is_none(), "{:?}", service.app.policies.problem());
        service
    }

    /// Pushes an image of its own content as `shop/NAME:1`; its reference by digest.
    async fn push(&self, name: &str, signed: bool) -> String {
        let image = ImageBuilder::single("linux/amd64").files(&[("app/name", name)]).build().unwrap();
        let repository = format!("shop/{name}");
        self.registry.load(&repository, &image, &["1"]).await.unwrap();
        let reference = format!("{}/{repository}@{}", self.registry.host(), image.digest());
        if signed {
            self.sign(&repository, &image).await;
        }
        reference
    }

    async fn sign(&self, repository: &str, image: &Image) {
        let name = format!("{}/{repository}", self.registry.host());
        let evidence = EvidenceBuilder::new(&name, image).sign(&keys::p256("release")).build();
        let (blobs, manifests): (Vec<_>, Vec<_>) = evidence.documents().partition(|(_, d)| d.media_type.is_empty());
        for (_, blob) in blobs {
            self.registry.load_blob(repository, blob.bytes.clone()).await.unwrap();
        }
        // What every bundle's manifest names as its config.
        self.registry.load_blob(repository, "{}".into()).await.unwrap();
        for (digest, document) in manifests {
            let (name, bytes) = (digest.to_string(), document.bytes.clone());
            self.registry.load_manifest(repository, &name, &document.media_type, bytes).await.unwrap();
        }
    }

    async fn validate(&self, image: &str, namespace: &str) -> Value {
        let body = pod(&[image], namespace).to_string();
        post(router::admission(self.app.clone()), "/v1/admission/validate", &body).await
    }

    /// The answer's code: `admitted`, or that of the first cause.
    async fn code(&self, image: &str, namespace: &str) -> String {
        let answer = self.validate(image, namespace).await;
        match answer["response"]["allowed"].as_bool().unwrap() {
            true => "admitted".to_owned(),
            false => answer["response"]["status"]["details"]["causes"][0]["reason"].as_str().unwrap().to_owned(),
        }
    }

    async fn review(&self, image: &str) -> Value {
        post(router::api(self.app.clone()), "/v1/reviews", &json!({"image": image, "namespace": "dev"}).to_string())
            .await
    }

    fn records(&self) -> u64 {
        self.app.recorder.store().log().records()
    }
}

fn clock() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn pod(images: &[&str], namespace: &str) -> Value {
    let containers: Vec<Value> = images.iter().map(|image| json!({"name": "c", "image": image})).collect();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "namespace": namespace, "name": "web",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "userInfo": {"username": "dev@shop.example"},
            "object": {"metadata": {"name": "web"}, "spec": {"containers": containers}},
        },
    })
}

fn request(method: &str, uri: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(uri)
}

async fn call(router: Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
    let text = || Value::String(String::from_utf8(bytes.to_vec()).unwrap());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}

async fn post(router: Router, uri: &str, body: &str) -> Value {
    let request = request("POST", uri).header("content-type", JSON).body(Body::from(body.to_owned())).unwrap();
    let (status, answer) = call(router, request).await;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    answer
}

async fn get(router: Router, uri: &str) -> (StatusCode, Value) {
    call(router, request("GET", uri).body(Body::empty()).unwrap()).await
}

/// The body with everything that differs from run to run replaced.
fn redacted(service: &Service, body: &Value) -> Value {
    let mut text = body.to_string().replace(&service.registry.host(), "HOST");
    text = text.replace(&service.app.recorder.store().log().log_id().to_string(), "LOG");
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
    let service = Service::with_tokens(&[("reads", Role::Reader), ("reviews", Role::Reviewer)]).await;
    let image = service.push("app", true).await;
    let body = json!({"image": image}).to_string();
    for (token, review, list) in [
        (None, 401, 401),
        (Some("Bearer nobody"), 401, 401),
        (Some("Basic cmVhZHM6"), 401, 401),
        (Some("Bearer reads"), 401, 200),
        (Some("bearer reviews"), 200, 401),
    ] {
        let with = |builder: axum::http::request::Builder| match token {
            Some(token) => builder.header("authorization", token),
            None => builder,
        };
        let asked = with(request("POST", "/v1/reviews")).header("content-type", JSON).body(body.clone().into());
        let (status, answer) = call(router::api(service.app.clone()), asked.unwrap()).await;
        assert_eq!(status.as_u16(), review, "{token:?}: {answer}");
        let asked = with(request("GET", "/v1/decisions")).body(Body::empty()).unwrap();
        let (status, answer) = call(router::api(service.app.clone()), asked).await;
        assert_eq!(status.as_u16(), list, "{token:?}: {answer}");
        if status == StatusCode::OK {
            assert_eq!(answer["decisions"], json!([]), "a review is never a decision");
        } else {
            assert_eq!(answer["code"], "unauthenticated");
        }
    }
    assert_eq!(service.records(), 2, "the policy set and the review");
}

#[tokio::test]
async fn a_review_and_a_decision_as_they_are_answered() {
    let service = Service::new().await;
    let (signed, unsigned) = (service.push("app", true).await, service.push("unsigned", false).await);
    insta::assert_json_snapshot!("review_trusted", redacted(&service, &service.review(&signed).await));
    insta::assert_json_snapshot!("review_untrusted", redacted(&service, &service.review(&unsigned).await));
    let answer = service.validate(&unsigned, "dev").await;
    let id = answer["response"]["auditAnnotations"]["decision"].as_str().unwrap();
    assert!(answer["response"]["status"]["message"].as_str().unwrap().starts_with(id));
    let (status, decision) = get(router::api(service.app.clone()), &format!("/v1/decisions/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!("decision", redacted(&service, &decision));
    let (_, page) = get(router::api(service.app.clone()), "/v1/decisions?allowed=false&namespace=dev&limit=1").await;
    assert_eq!(page["decisions"][0]["id"], id);
    let (_, page) = get(router::api(service.app.clone()), "/v1/decisions?allowed=true").await;
    assert_eq!(page["decisions"], json!([]));
}

#[tokio::test]
async fn bad_requests_are_problems_with_the_place() {
    let service = Service::new().await;
    let long = format!("{{\"image\": \"{}\"}}", "a".repeat(70 << 10));
    let decision = format!("/v1/decisions/{}-7", service.app.recorder.store().log().log_id());
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
        let router = if admission { router::admission } else { router::api }(service.app.clone());
        let asked = request(method, uri).header("content-type", kind).body(Body::from(body.to_owned())).unwrap();
        let (found, answer) = call(router, asked).await;
        assert_eq!((found.as_u16(), answer["code"].as_str()), (status, Some(code)), "{method} {uri} {body}: {answer}");
        assert_eq!(answer["status"], status);
        assert!(answer["detail"].as_str().unwrap().contains(told), "{method} {uri}: {answer}");
    }
    let large = vec![b' '; (8 << 20) + 1];
    let asked = request("POST", "/v1/admission/validate").header("content-type", JSON).body(large.into()).unwrap();
    let (status, answer) = call(router::admission(service.app.clone()), asked).await;
    assert_eq!((status.as_u16(), answer["code"].as_str()), (413, Some("over-limit")));
    assert_eq!(service.records(), 0, "nothing was written for any of them");
}

#[tokio::test]
async fn health_readiness_and_metrics() {
    let service = Service::new().await;
    let ops = || router::ops(service.app.clone());
    assert_eq!(get(ops(), "/healthz").await, (StatusCode::OK, json!("ok\n")));
    let digest = service.app.policies.current().unwrap().digest();
    let (status, ready) = get(ops(), "/readyz").await;
    assert_eq!((status, &ready["policySet"]), (StatusCode::OK, &json!(digest)));
    assert!(ready["conditions"].as_array().unwrap().iter().all(|c| c["status"] == "True"), "{ready:#}");
    // Attack 89: a broken edit is a condition, not an outage.
    fs::write(service.folder.path().join("policies/broken.yaml"), "kind: nonsense").unwrap();
    service.app.look_at_policies().await;
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
    let (status, document) = get(router::api(service.app.clone()), "/openapi.json").await;
    assert_eq!((status, &document["openapi"]), (StatusCode::OK, &json!("3.1.0")));
}

#[tokio::test]
async fn one_image_is_collected_once_however_many_ask() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    let asking = (0..8).map(|_| service.code(&image, "dev"));
    assert_eq!(futures::future::join_all(asking).await, ["admitted"; 8]);
    assert_eq!(service.app.metrics.collections.get(), 1);
    let requests = service.registry.requests();
    assert_eq!(service.code(&image, "dev").await, "admitted");
    assert_eq!(service.registry.requests(), requests, "the cache answers");
    assert!(requests <= 5, "{:?}", service.registry.seen());
}

#[tokio::test]
async fn attack_61_a_tag_that_moves_is_judged_anew() {
    let service = Service::new().await;
    service.push("app", true).await;
    let tag = format!("{}/shop/app:1", service.registry.host());
    assert_eq!(service.review(&tag).await["verdict"], "trusted");
    let other = ImageBuilder::single("linux/amd64").files(&[("app/name", "moved")]).build().unwrap();
    service.registry.load("shop/app", &other, &["1"]).await.unwrap();
    assert_eq!(service.review(&tag).await["verdict"], "untrusted");
}

#[tokio::test]
async fn attack_50_62_a_cached_review_is_of_one_namespace_and_one_policy_set() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    assert_eq!(service.code(&image, "dev").await, "admitted");
    assert_eq!(service.code(&image, "production").await, "digest-not-listed");
    assert_eq!(service.code(&image, "dev").await, "admitted");
    // Attack 20: what is revoked is refused at the next request, cached or not.
    let digest = image.rsplit_once('@').unwrap().1;
    let revocation = format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: incident}}\nspec:\n  entries: [{{digest: \"{digest}\", reason: leaked}}]\n"
    );
    fs::write(service.folder.path().join("policies/revocation.yaml"), revocation).unwrap();
    service.app.look_at_policies().await;
    assert_eq!(service.code(&image, "dev").await, "revoked");
}

#[tokio::test]
async fn attack_65_a_passing_fault_is_not_remembered() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    service.registry.cut_off().await.unwrap();
    assert_eq!(service.code(&image, "dev").await, "registry-unreachable");
    service.registry.restore().await.unwrap();
    assert_eq!(service.code(&image, "dev").await, "admitted");
    // Attack 63: what was trusted stays so, as a whole review, while the registry is away.
    service.registry.cut_off().await.unwrap();
    assert_eq!(service.code(&image, "dev").await, "admitted");
}

#[tokio::test]
async fn attack_66_a_review_over_the_api_leaves_nothing_false_behind() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    let body = json!({"image": image, "namespace": "dev", "namespaceLabels": {"env": "none"}}).to_string();
    let review = post(router::api(service.app.clone()), "/v1/reviews", &body).await;
    assert_eq!(review["verdict"], "trusted");
    // Admission knows no labels, so it does not share that review.
    assert_eq!(service.code(&image, "dev").await, "admitted");
    assert_eq!(service.app.metrics.collections.get(), 2);
}

#[tokio::test]
async fn attack_57_88_an_answer_precedes_the_deadline_and_its_collection_goes_on() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    service.registry.inject(Fault::any("/v2/", Effect::Hang).times(1));
    let body = pod(&[&image], "dev").to_string();
    let begun = Instant::now();
    let answer = post(router::admission(service.app.clone()), "/v1/admission/validate?timeout=2s", &body).await;
    assert!(begun.elapsed() < Duration::from_millis(1100), "{:?}", begun.elapsed());
    assert_eq!(answer["response"]["allowed"], false);
    assert_eq!(answer["response"]["status"]["details"]["causes"][0]["reason"], "budget-spent");
    assert!(answer["response"]["auditAnnotations"]["decision"].is_string(), "a refusal is recorded as well");
}

#[tokio::test]
async fn attack_58_a_dry_run_writes_nothing_and_spends_no_cache() {
    let service = Service::new().await;
    let image = service.push("app", true).await;
    let mut review = pod(&[&image], "dev");
    review["request"]["dryRun"] = json!(true);
    let answer = post(router::admission(service.app.clone()), "/v1/admission/validate", &review.to_string()).await;
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(service.records(), 0);
    // The real request finds the review and stores its evidence.
    assert_eq!(service.code(&image, "dev").await, "admitted");
    assert_eq!((service.records(), service.app.metrics.collections.get()), (3, 1));
    let review = service.review(&image).await;
    let evidence: Digest = review["evidence"].as_str().unwrap().parse().unwrap();
    assert!(service.app.recorder.store().objects().get(&evidence).unwrap().is_some());
}

#[tokio::test]
async fn a_refusal_of_the_whole_names_a_policy_set_that_is_stored() {
    let service = Service::new().await;
    let mut review = pod(&[], "dev");
    review["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let answer = post(router::admission(service.app.clone()), "/v1/admission/validate", &review.to_string()).await;
    assert_eq!(answer["response"]["status"]["details"]["causes"][0]["reason"], "kind-unsupported");
    let set: Digest = answer["response"]["auditAnnotations"]["policy-set"].as_str().unwrap().parse().unwrap();
    assert!(service.app.recorder.store().objects().get(&set).unwrap().is_some());
}

#[tokio::test]
async fn attack_90_a_full_house_refuses_at_once() {
    let service = Service::new().await;
    let turns: Vec<_> = std::iter::from_fn(|| service.app.turn().ok()).collect();
    let asked = request("POST", "/v1/reviews").header("content-type", JSON).body("{\"image\": \"a\"}".into()).unwrap();
    let (status, answer) = call(router::api(service.app.clone()), asked).await;
    assert_eq!((status.as_u16(), answer["code"].as_str()), (503, Some("overloaded")));
    drop(turns);
}

#[tokio::test]
async fn attack_90_nothing_is_admitted_without_its_record() {
    for mood in [Mood::Stalls, Mood::IsFull] {
        let service = Service::new().await;
        let (signed, unsigned) = (service.push("app", true).await, service.push("unsigned", false).await);
        assert_eq!(service.code(&signed, "dev").await, "admitted");
        let records = service.records();
        service.disk.set(mood);
        for (image, code) in [(&signed, "record-failed"), (&unsigned, "signature-missing")] {
            let begun = Instant::now();
            let body = pod(&[image], "dev").to_string();
            let admission = router::admission(service.app.clone());
            let answer = post(admission, "/v1/admission/validate?timeout=2s", &body).await;
            let response = &answer["response"];
            assert!(begun.elapsed() < Duration::from_millis(1100), "{mood:?}: {:?}", begun.elapsed());
            assert_eq!(response["allowed"], false);
            assert_eq!(response["status"]["details"]["causes"][0]["reason"], code, "{mood:?}: {answer:#}");
            assert!(response["auditAnnotations"].get("decision").is_none(), "{mood:?}: {answer:#}");
        }
        assert_eq!(service.records(), records, "{mood:?}");
        let (status, ready) = get(router::ops(service.app.clone()), "/readyz").await;
        let ready_now = if mood == Mood::IsFull { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        assert_eq!(status, ready_now, "{mood:?}: {ready:#}");
        service.disk.set(Mood::Works);
    }
}
