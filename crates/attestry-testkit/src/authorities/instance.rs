//! A whole instance of Sigstore on loopback: certificates, both generations of logs, timestamps.
//!
//! Its servers run in a thread of their own, so that a test may run other people's tools against them and wait.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use attestry_core::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{
    CertificateAuthority, TimestampAuthority,
    log::{Generation, RekorLog},
    oidc::TokenIssuer,
    services,
};

/// A running instance. Dropping it ends it.
pub struct Instance {
    shared: Arc<Shared>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Which of its services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Issues certificates, as Fulcio.
    Certificates,
    /// Logs entries, as Rekor of either generation.
    Log,
    /// Stamps signatures.
    Timestamps,
}

/// How a service fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// 503 for every request.
    Down,
    /// 429 with `Retry-After: 0`, so many times; then it works.
    Throttled(u32),
    /// 200 with a text that is no answer.
    Garbage,
}

/// What the handlers work with.
pub(super) struct Shared {
    pub(super) clock: fn() -> Timestamp,
    pub(super) issuer: TokenIssuer,
    pub(super) ca: CertificateAuthority,
    pub(super) tsa: TimestampAuthority,
    pub(super) v1: Mutex<RekorLog>,
    pub(super) v2: Mutex<RekorLog>,
    outages: Mutex<Vec<(Service, Outage)>>,
    urls: [String; 2],
}

impl Instance {
    /// Starts one whose certificates, entries and timestamps are of the moment that `clock` tells.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub fn start(clock: fn() -> Timestamp) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let urls = listeners.each_ref().map(|listener| url(listener.local_addr().unwrap()));
        let shared = Arc::new(Shared {
            clock,
            issuer: TokenIssuer::new("https://token.instance.test"),
            ca: CertificateAuthority::new("instance"),
            tsa: TimestampAuthority::new("instance"),
            v1: Mutex::new(RekorLog::new(Generation::V1, &urls[0])),
            v2: Mutex::new(RekorLog::new(Generation::V2, &urls[1])),
            outages: Mutex::new(Vec::new()),
            urls,
        });
        let (end, ended) = oneshot::channel();
        let router = services::router(Arc::clone(&shared));
        let thread = std::thread::spawn(move || services::serve(listeners, router, ended));
        Self { shared, end: Some(end), thread: Some(thread) }
    }

    /// The issuer whose tokens its certificate authority takes.
    pub fn issuer(&self) -> &str {
        self.shared.issuer.url()
    }

    /// A token for this identity: a URI or an email address.
    pub fn token(&self, identity: &str) -> String {
        let claims = if identity.contains('@') && !identity.contains("://") {
            json!({"email": identity, "email_verified": true})
        } else {
            json!({})
        };
        self.shared.issuer.token(identity, &claims, (self.shared.clock)())
    }

    /// The trusted root that names everything of it.
    pub fn trusted_root(&self) -> Value {
        let Shared { ca, tsa, v1, v2, .. } = &*self.shared;
        super::trusted_root(ca, tsa, [&locked(v1), &locked(v2)], Timestamp::UNIX_EPOCH, None)
    }

    /// The signing config (v0.2) of its services, with a log of this generation.
    pub fn signing_config(&self, generation: Generation) -> Value {
        let service = |url: String, version: u32| json!({"url": url, "majorApiVersion": version, "validFor": {"start": "2020-01-01T00:00:00Z"}, "operator": "instance.test"});
        let [first, second] = &self.shared.urls;
        let log = match generation {
            Generation::V1 => service(first.clone(), 1),
            Generation::V2 => service(second.clone(), 2),
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service(first.clone(), 1)],
            "oidcUrls": [],
            "rekorTlogUrls": [log],
            "tsaUrls": [service(format!("{first}/api/v1/timestamp"), 1)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        })
    }

    /// Makes a service fail, or work again.
    pub fn fail(&self, service: Service, outage: Option<Outage>) {
        let mut outages = locked(&self.shared.outages);
        outages.retain(|(failing, _)| *failing != service);
        outages.extend(outage.map(|outage| (service, outage)));
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("urls", &self.shared.urls).finish_non_exhaustive()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// How `service` fails this request, if it does.
    pub(super) fn outage(&self, service: Service) -> Option<Outage> {
        let mut outages = locked(&self.outages);
        let (_, outage) = outages.iter_mut().find(|(failing, _)| *failing == service)?;
        match outage {
            Outage::Throttled(0) => None,
            Outage::Throttled(left) => {
                *left -= 1;
                Some(Outage::Throttled(*left))
            }
            other => Some(*other),
        }
    }

    /// Where the first generation's entries are read again.
    pub(super) fn first_url(&self) -> &str {
        &self.urls[0]
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
