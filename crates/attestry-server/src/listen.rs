//! A listener with or without TLS: bounded connections, bounded headers, certificates that are read again, and an
//! end that lets requests under way finish.

use std::{fs, io::BufReader, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::{Router, extract::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use crate::{config::TlsFiles, error::ServerError};

/// Connections of one listener.
const MAX_CONNECTIONS: usize = 2048;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(10);
/// How often an idle HTTP/2 connection is asked whether anybody is still there.
const ALIVE: Duration = Duration::from_secs(30);
/// How long requests under way may take once the service ends.
const DRAIN: Duration = Duration::from_secs(10);
/// Accepting fails while file descriptors are exhausted; trying again at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A certificate that can be exchanged while connections are served.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    current: Current,
    read: std::sync::Mutex<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Current(Arc<ArcSwap<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads certificate and key. The provider is chosen by the caller, never process-wide.
    pub fn load(files: &TlsFiles, provider: Arc<CryptoProvider>) -> Result<Self, ServerError> {
        let (bytes, key) = read(files, &provider)?;
        let current = Current(Arc::new(ArcSwap::from_pointee(key)));
        Ok(Self { files: files.clone(), provider, current, read: std::sync::Mutex::new(bytes) })
    }

    /// Reads the files again; a change is used for new connections. A bad one is an error, and the old one stays.
    pub fn reload(&self) -> Result<bool, ServerError> {
        let (bytes, key) = read(&self.files, &self.provider)?;
        let mut last = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *last == bytes {
            return Ok(false);
        }
        *last = bytes;
        self.current.0.store(Arc::new(key));
        Ok(true)
    }

    fn acceptor(&self) -> Result<TlsAcceptor, ServerError> {
        let wrong = |error: rustls::Error| self.error(error.to_string());
        let config = ServerConfig::builder_with_provider(self.provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(wrong)?.with_no_client_auth();
        let mut config = config.with_cert_resolver(Arc::new(self.current.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn error(&self, message: String) -> ServerError {
        ServerError::Tls { path: self.files.certificate.clone(), message }
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<(Vec<u8>, CertifiedKey), ServerError> {
    let failed = |path: &Path, message: String| ServerError::Tls { path: path.to_owned(), message };
    let load = |path: &Path| fs::read(path).map_err(|error| failed(path, error.to_string()));
    let (chain_pem, key_pem) = (load(&files.certificate)?, load(&files.key)?);
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_reader_iter(BufReader::new(&chain_pem[..])).collect();
    let chain = chain.map_err(|error| failed(&files.certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(&files.certificate, "it holds no certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| failed(&files.key, error.to_string()))?;
    let certified = CertifiedKey::from_der(chain, key, provider);
    let certified = certified.map_err(|error| failed(&files.certificate, error.to_string()))?;
    Ok(([chain_pem, key_pem].concat(), certified))
}

/// Serves `router` until `end` says so, then lets requests under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    certificate: Option<Arc<Certificate>>,
    mut end: watch::Receiver<bool>,
) -> Result<(), ServerError> {
    let acceptor = certificate.map(|certificate| certificate.acceptor()).transpose()?;
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        // Whoever comes while all connections are taken waits in the kernel's queue.
        let next = async { (connections.clone().acquire_owned().await, listener.accept().await) };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = end.wait_for(|end| *end) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, acceptor, watcher) = (router.clone(), acceptor.clone(), graceful.watcher());
        tokio::spawn(async move {
            connection(stream, router, acceptor, watcher).await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests under way were cut off");
    }
    Ok(())
}

async fn connection(
    stream: TcpStream,
    router: Router,
    acceptor: Option<TlsAcceptor>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Small answers must not wait for a full segment.
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(64 << 10);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(ALIVE)).keep_alive_timeout(HEADERS);
    builder.http2().max_header_list_size(64 << 10).max_concurrent_streams(256);
    // What goes wrong on one connection is its client's business.
    match acceptor {
        None => {
            let io = TokioIo::new(stream);
            let _ = watcher.watch(builder.serve_connection(io, service).into_owned()).await;
        }
        Some(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                let io = TokioIo::new(stream);
                let _ = watcher.watch(builder.serve_connection(io, service).into_owned()).await;
            }
        }
    }
}
