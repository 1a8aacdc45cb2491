//! The embedded registry: `ferro-oci-server` with its memory store, in this process, on loopback.

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use attestry_core::Digest;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use bytes::Bytes;
use ferro_blob_store::InMemoryBlobStore;
use ferro_oci_server::{AppState, InMemoryRegistryMeta};
use tower::ServiceExt;

use crate::{
    Behaviour, Fault, Image, PlaygroundError, behaviour,
    fault::{self, Faults},
    serving::Line,
};

/// How many requests [`Registry::seen`] remembers.
const MAX_SEEN: usize = 4096;
/// How much of a refusal is quoted.
const MAX_QUOTE: usize = 1024;

/// A real registry on `127.0.0.1` and a free port. Dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    /// The registry behind behaviour, faults and counting: [`Registry::load`] writes here.
    store: Router,
    shared: Arc<Shared>,
    line: tokio::sync::Mutex<Line>,
}

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Whether it carried an `Authorization` header.
    pub authorized: bool,
}

impl Registry {
    /// Starts an empty registry that behaves as a current one does.
    ///
    /// # Errors
    /// [`PlaygroundError::Listen`] if loopback has no free port.
    pub async fn start() -> Result<Self, PlaygroundError> {
        Self::start_as(Behaviour::default()).await
    }

    /// Starts an empty registry of another kind.
    ///
    /// # Errors
    /// As [`Registry::start`].
    pub async fn start_as(behaviour: Behaviour) -> Result<Self, PlaygroundError> {
        let Stack { store, app, shared } = Stack::new(behaviour);
        let (address, line) = Line::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), app)?;
        Ok(Self { address, store, shared, line: tokio::sync::Mutex::new(line) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The host to write in an image reference, such as `127.0.0.1:40123`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// How many requests arrived over the network, refused ones included.
    pub fn requests(&self) -> u64 {
        lock(&self.shared.seen).count
    }

    /// The requests that arrived, oldest first, at most the last 4096.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).last.iter().cloned().collect()
    }

    /// From now on, `fault` happens to the requests that it names.
    pub fn inject(&self, fault: Fault) {
        self.shared.faults.add(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Closes every connection and refuses new ones; the port stays ours and the content stays.
    ///
    /// # Errors
    /// [`PlaygroundError::Listen`] if somebody else took the port in between, [`PlaygroundError::Stopped`] after it.
    pub async fn cut_off(&self) -> Result<(), PlaygroundError> {
        self.line.lock().await.cut().await
    }

    /// Listens again on the same address after [`Registry::cut_off`].
    ///
    /// # Errors
    /// As [`Registry::cut_off`].
    pub async fn restore(&self) -> Result<(), PlaygroundError> {
        self.line.lock().await.restore()
    }

    /// Ends it: no new connections, requests under way get their answer.
    pub async fn stop(self) {
        self.line.into_inner().close().await;
    }

    /// Puts an image into `repository` (a path such as `shop/app`) without the network, and points `tags` at it.
    ///
    /// Neither counted nor subject to faults.
    ///
    /// # Errors
    /// [`PlaygroundError::Refused`] if the registry does not take it.
    pub async fn load(&self, repository: &str, image: &Image, tags: &[&str]) -> Result<(), PlaygroundError> {
        for (_, blob) in image.blobs() {
            self.load_blob(repository, blob.clone()).await?;
        }
        for manifest in image.manifests() {
            let reference = manifest.digest.to_string();
            self.load_manifest(repository, &reference, &manifest.media_type, manifest.bytes.clone()).await?;
        }
        let root = image.root();
        for tag in tags {
            self.load_manifest(repository, tag, &root.media_type, root.bytes.clone()).await?;
        }
        Ok(())
    }

    /// Puts one blob into `repository`.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub async fn load_blob(&self, repository: &str, bytes: Bytes) -> Result<Digest, PlaygroundError> {
        let digest = Digest::of(&bytes);
        let target = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        self.put(Method::POST, &target, "application/octet-stream", bytes).await?;
        Ok(digest)
    }

    /// Puts one manifest or index into `repository` under a tag or its digest.
    ///
    /// # Errors
    /// As [`Registry::load`].
    pub async fn load_manifest(
        &self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), PlaygroundError> {
        self.put(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"), media_type, bytes).await
    }

    async fn put(&self, method: Method, target: &str, media_type: &str, bytes: Bytes) -> Result<(), PlaygroundError> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::CONTENT_TYPE, media_type)
            .body(Body::from(bytes))
            .map_err(|_| PlaygroundError::Request(target.to_owned()))?;
        let Ok(response) = self.store.clone().oneshot(request).await;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let body = to_bytes(response.into_body(), MAX_QUOTE).await.unwrap_or_default();
        Err(PlaygroundError::Refused {
            what: target.to_owned(),
            status: status.as_u16(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// The routes, from the store outwards.
pub(crate) struct Stack {
    store: Router,
    pub(crate) app: Router,
    pub(crate) shared: Arc<Shared>,
}

impl Stack {
    pub(crate) fn new(behaviour: Behaviour) -> Self {
        let store = ferro_oci_server::router(AppState::new(
            Arc::new(InMemoryBlobStore::new()),
            Arc::new(InMemoryRegistryMeta::new()),
        ));
        let shared = Arc::new(Shared::default());
        let app = behaviour::behave(store.clone(), behaviour).layer(from_fn_with_state(Arc::clone(&shared), front));
        Self { store, app, shared }
    }
}

/// What the routes and the handle share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    seen: Mutex<Log>,
    pub(crate) faults: Faults,
}

#[derive(Debug, Default)]
struct Log {
    count: u64,
    last: VecDeque<Seen>,
}

/// The outermost layer: counts, remembers, and lets the faults happen.
async fn front(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let method = request.method().clone();
    let authorized = request.headers().contains_key(header::AUTHORIZATION);
    let effect = shared.faults.strike(&method, &target);
    {
        let mut log = lock(&shared.seen);
        log.count += 1;
        if log.last.len() == MAX_SEEN {
            log.last.pop_front();
        }
        log.last.push_back(Seen { method, target, authorized });
    }
    match effect {
        Some(effect) => fault::happen(effect, request, next).await,
        None => next.run(request).await,
    }
}

/// A poisoned lock only means that another test thread failed: the plain values inside are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
