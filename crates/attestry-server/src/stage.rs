//! An application in this process, opened as the service opens it, with the registry that it reads and the disk that it
//! writes, for tests.
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
use attestry_playground::{Image, ImageBuilder, Registry};
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
    config::{Configuration, Listener, Token},
    router,
    server::open_app,
};

/// A disk whose syncs can be made to fail, or to wait.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Well,
    Fails,
    Stalls,
}

impl Failing {
    pub(crate) fn set(&self, state: State) {
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
pub(crate) struct Stage {
    pub(crate) app: Arc<App>,
    pub(crate) registry: Registry,
    pub(crate) disk: Arc<Failing>,
    pub(crate) folder: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Vec::new(), &[]).await
    }

    /// With tokens for the API, and policy documents beside the one that wants images of `shop` signed.
    pub(crate) async fn with(tokens: Vec<Token>, more: &[Value]) -> Self {
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
        for (number, document) in documents.iter().chain(more).enumerate() {
            write_policy(folder.path(), &number.to_string(), document);
        }
        let entry = RegistryEntry { host, private: true, plain_http: true, ..RegistryEntry::default() };
        let listener = || Listener { address: ([127, 0, 0, 1], 0).into(), tls: None };
        let configuration = Configuration {
            admission: listener(),
            api: listener(),
            tokens,
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
    pub(crate) async fn push(&self, name: &str) -> (Image, String) {
        let image = ImageBuilder::single("linux/amd64").files(&[("app/name", name)]).build().unwrap();
        self.registry.load(&format!("shop/{name}"), &image, &["1"]).await.unwrap();
        let reference = format!("{}/shop/{name}@{}", self.registry.host(), image.digest());
        (image, reference)
    }

    pub(crate) async fn sign(&self, name: &str, image: &Image) {
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

    pub(crate) async fn signed(&self, name: &str) -> String {
        let (image, reference) = self.push(name).await;
        self.sign(name, &image).await;
        reference
    }

    /// The answer to a Pod with these images.
    pub(crate) async fn validate(&self, images: &[&str], timeout: &str) -> Answered {
        self.answer(&pod(images, "shop"), timeout).await
    }

    /// The first code of the answer to a Pod with this image in this namespace.
    pub(crate) async fn code_in(&self, namespace: &str, image: &str) -> String {
        self.answer(&pod(&[image], namespace), "10s").await.codes()[0].to_owned()
    }

    /// The answer to an AdmissionReview.
    pub(crate) async fn answer(&self, review: &Value, timeout: &str) -> Answered {
        let uri = format!("/v1/admission/validate?timeout={timeout}");
        let (status, answer) = send(router::admission(self.app.clone()), &uri, Some(review.clone())).await;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        Answered(answer)
    }

    pub(crate) async fn review(&self, image: &str) -> (StatusCode, Value) {
        send(router::api(self.app.clone()), "/v1/reviews", Some(json!({"image": image}))).await
    }

    pub(crate) async fn ops(&self, uri: &str) -> (StatusCode, Value) {
        send(router::ops(self.app.clone()), uri, None).await
    }

    /// Adds a document to the policy directory and has it loaded.
    pub(crate) async fn add_policy(&self, name: &str, document: &Value) {
        write_policy(self.folder.path(), name, document);
        self.app.look_at_policies().await;
        assert!(self.app.policies.problem().is_none(), "{:?}", self.app.policies.problem());
    }

    pub(crate) fn records(&self) -> u64 {
        self.app.recorder.store().log().records()
    }
}

/// An AdmissionReview that came back.
pub(crate) struct Answered(pub(crate) Value);

impl Answered {
    /// `admitted`, or the codes of the refusal in their order.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let response = &self.0["response"];
        if response["allowed"] == true {
            return vec!["admitted"];
        }
        let causes = response["status"]["details"]["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        causes.iter().map(|cause| cause["reason"].as_str().unwrap()).collect()
    }

    /// The id under which the decision is recorded.
    pub(crate) fn id(&self) -> Option<&str> {
        self.0["response"]["auditAnnotations"]["decision"].as_str()
    }
}

/// An AdmissionReview of a new Pod with these images.
pub(crate) fn pod(images: &[&str], namespace: &str) -> Value {
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

/// Puts a document into the policy directory of a stage.
fn write_policy(folder: &Path, name: &str, document: &Value) {
    let mut document = document.clone();
    document["apiVersion"] = json!("attestry.dev/v1alpha1");
    fs::write(folder.join(format!("policies/{name}.yaml")), document.to_string()).unwrap();
}

fn clock() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub(crate) async fn send(router: axum::Router, uri: &str, body: Option<Value>) -> (StatusCode, Value) {
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
    let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
    (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
}
