//! A registry in this process for the tests: a strict small store, and whatever lie a test puts before it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use attestry_core::{Digest, Reference, Repository, Subject, manifest::OCI_INDEX};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, Method, StatusCode, Version},
    response::Response,
};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) version: Version,
    pub(crate) body: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Method and path, for rules that are written as data.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server answers.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Payload,
}

#[derive(Debug)]
enum Payload {
    Bytes(Bytes),
    /// Some bytes whose number is not said before.
    Unsized(Bytes),
    /// Some bytes, then the connection breaks.
    Cut(Bytes),
    /// Some bytes, then nothing more.
    Stalled(Bytes),
    /// Zeros without end.
    Endless,
    /// No answer at all.
    Silence,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Payload::Bytes(Bytes::new()) }
    }

    pub(crate) fn ok(media_type: &str, body: impl Into<Bytes>) -> Self {
        Self::status(200).with("content-type", media_type).body(body)
    }

    pub(crate) fn json(value: &Value) -> Self {
        Self::ok("application/json", value.to_string())
    }

    pub(crate) fn redirect(status: u16, location: impl Into<String>) -> Self {
        Self::status(status).with("location", location)
    }

    pub(crate) fn silence() -> Self {
        Self { body: Payload::Silence, ..Self::status(200) }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Bytes(body.into());
        self
    }

    pub(crate) fn unsized_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Unsized(body.into());
        self
    }

    pub(crate) fn cut(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Cut(body.into());
        self
    }

    pub(crate) fn stalled(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Payload::Stalled(body.into());
        self
    }

    pub(crate) fn endless(mut self) -> Self {
        self.body = Payload::Endless;
        self
    }
}

/// A running server. It ends with the runtime of its test.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    silent: Arc<Notify>,
}

impl Server {
    /// Starts a server that answers every request with `answer`.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let (server, listener, router) = Self::bind(answer).await;
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Starts a server that speaks TLS with a certificate of its own for 127.0.0.1, which is returned as PEM.
    pub(crate) async fn start_tls(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Self, String) {
        let (server, listener, router) = Self::bind(answer).await;
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = key.cert.pem();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, service) = (acceptor.clone(), TowerToHyperService::new(router.clone()));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        (server, pem)
    }

    async fn bind(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Self, tokio::net::TcpListener, Router) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let silent = Arc::new(Notify::new());
        let (log, notify, answer) = (Arc::clone(&seen), Arc::clone(&silent), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request| {
            let (log, notify, answer) = (Arc::clone(&log), Arc::clone(&notify), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let seen = Seen {
                    method: parts.method,
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts.headers,
                    version: parts.version,
                    body: to_bytes(body, 64 << 20).await.unwrap(),
                };
                log.lock().unwrap().push(seen.clone());
                let reply = answer(&seen);
                let mut response = Response::builder().status(StatusCode::from_u16(reply.status).unwrap());
                for (name, value) in reply.headers {
                    response = response.header(name, value);
                }
                let body = match reply.body {
                    Payload::Bytes(bytes) => Body::from(bytes),
                    Payload::Unsized(bytes) => Body::from_stream(stream::iter([std::io::Result::Ok(bytes)])),
                    Payload::Cut(bytes) => {
                        let broken = Err(std::io::Error::other("cut"));
                        Body::from_stream(stream::iter([Ok(bytes), broken]))
                    }
                    Payload::Stalled(bytes) => {
                        notify.notify_one();
                        let begun = stream::iter([std::io::Result::Ok(bytes)]);
                        Body::from_stream(begun.chain(stream::pending()))
                    }
                    Payload::Endless => {
                        let zeros = Bytes::from_static(&[b' '; 64 << 10]);
                        Body::from_stream(stream::repeat_with(move || std::io::Result::Ok(zeros.clone())))
                    }
                    Payload::Silence => {
                        notify.notify_one();
                        pending().await
                    }
                };
                response.body(body).unwrap()
            }
        });
        (Self { address, seen, silent }, listener, router)
    }

    /// A reference in this registry.
    pub(crate) fn reference(&self, name: &str) -> Reference {
        format!("{}/{name}", self.address).parse().unwrap()
    }

    pub(crate) fn repository(&self) -> Repository {
        self.reference("app").repository().clone()
    }

    pub(crate) fn subject(&self, digest: Digest) -> Subject {
        Subject { repository: self.repository(), digest }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Requests whose method and path contain `part`.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line().contains(part)).count()
    }

    /// Waits until a request got no answer, or only the beginning of one.
    pub(crate) async fn is_silent(&self) {
        self.silent.notified().await;
    }
}

/// A store of one repository `app` with the behaviour of a registry that follows the specification.
#[derive(Debug, Clone)]
pub(crate) struct Store(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whether it has the referrers API and answers `OCI-Subject`.
    pub(crate) referrers: bool,
    /// Whether it honours `If-Match`.
    pub(crate) conditional: bool,
    pub(crate) blobs: BTreeMap<Digest, Bytes>,
    pub(crate) manifests: BTreeMap<Digest, (String, Bytes)>,
    pub(crate) tags: BTreeMap<String, Digest>,
}

impl Store {
    pub(crate) fn new(referrers: bool) -> Self {
        Self(Arc::new(Mutex::new(State { referrers, ..State::default() })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        self.state().answer(seen)
    }
}

impl State {
    pub(crate) fn blob(&mut self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.blobs.insert(digest, bytes);
        digest
    }

    pub(crate) fn manifest(&mut self, tag: Option<&str>, media_type: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.manifests.insert(digest, (media_type.to_owned(), bytes));
        if let Some(tag) = tag {
            self.tags.insert(tag.to_owned(), digest);
        }
        digest
    }

    pub(crate) fn tagged(&self, tag: &str) -> Option<Value> {
        let (_, bytes) = self.manifests.get(self.tags.get(tag)?)?;
        serde_json::from_slice(bytes).ok()
    }

    /// Descriptors of the manifests whose subject is `of`.
    pub(crate) fn referrers_of(&self, of: &str) -> Value {
        let refers = |bytes: &Bytes| {
            let value: Value = serde_json::from_slice(bytes).ok()?;
            (value["subject"]["digest"] == of).then_some(value)
        };
        let entries: Vec<Value> = (self.manifests.iter())
            .filter_map(|(digest, (media_type, bytes))| {
                let value = refers(bytes)?;
                Some(json!({"mediaType": media_type, "digest": digest, "size": bytes.len(), "artifactType": value["artifactType"]}))
            })
            .collect();
        json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    }

    fn named(&self, name: &str) -> Option<Digest> {
        name.parse().ok().or_else(|| self.tags.get(name).copied())
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        let Some(rest) = seen.path.strip_prefix("/v2/app/") else { return Reply::status(404) };
        let (kind, name) = rest.split_once('/').unwrap_or((rest, ""));
        match (seen.method.as_str(), kind, name) {
            ("GET" | "HEAD", "manifests", name) => self.get_manifest(name),
            ("PUT", "manifests", name) => self.put_manifest(name, seen),
            ("GET", "referrers", of) if self.referrers => Reply::ok(OCI_INDEX, self.referrers_of(of).to_string()),
            ("POST", "blobs", "uploads/") => Reply::status(202).with("location", "/v2/app/blobs/uploads/1?state=x"),
            ("PUT", "blobs", "uploads/1") => {
                let digest = self.blob(seen.body.clone());
                let query = format!("state=x&digest=sha256%3A{}", digest.hex());
                Reply::status(if seen.query == query { 201 } else { 400 })
            }
            ("GET" | "HEAD", "blobs", digest) => match digest.parse().ok().and_then(|digest| self.blobs.get(&digest)) {
                Some(bytes) => Reply::ok("application/octet-stream", bytes.clone()),
                None => Reply::status(404),
            },
            _ => Reply::status(404),
        }
    }

    fn get_manifest(&self, name: &str) -> Reply {
        match self.named(name).and_then(|digest| Some((digest, self.manifests.get(&digest)?))) {
            Some((digest, (media_type, bytes))) => Reply::ok(media_type, bytes.clone())
                .with("docker-content-digest", digest.to_string())
                .with("etag", format!("\"{digest}\"")),
            None => Reply::status(404),
        }
    }

    fn put_manifest(&mut self, name: &str, seen: &Seen) -> Reply {
        let there = self.named(name).filter(|digest| self.manifests.contains_key(digest));
        let matches = seen.header("if-match").is_none_or(|etag| there.is_some_and(|d| etag == format!("\"{d}\"")));
        if self.conditional && !matches {
            return Reply::status(412);
        }
        let value: Value = serde_json::from_slice(&seen.body).unwrap();
        let blob = |descriptor: &Value| {
            descriptor["digest"].as_str().is_none_or(|d| self.blobs.contains_key(&d.parse().unwrap()))
        };
        let layers = value["layers"].as_array().cloned().unwrap_or_default();
        if !blob(&value["config"]) || !layers.iter().all(blob) {
            return Reply::status(400)
                .body(r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"push blobs first"}]}"#);
        }
        let media_type = seen.header("content-type").unwrap_or_default().to_owned();
        let tag = Some(name).filter(|name| name.parse::<Digest>().is_err());
        let digest = self.manifest(tag, &media_type, seen.body.clone());
        let reply = Reply::status(201).with("docker-content-digest", digest.to_string());
        match value["subject"]["digest"].as_str().filter(|_| self.referrers) {
            Some(of) => reply.with("oci-subject", of),
            None => reply,
        }
    }
}
