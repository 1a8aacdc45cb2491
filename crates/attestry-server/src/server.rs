//! Opening everything once, running three listeners, ending gracefully.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use attestry_core::Timestamp;
use attestry_oci::Client;
use attestry_store::{Options, Store};
use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    app::{App, Clock},
    config::{Configuration, Listener},
    error::ServerError,
    judge::Judge,
    listen::{self, Certificate},
    metrics::Metrics,
    policies::Policies,
    pool::Pool,
    record::Recorder,
    router, signing,
};

/// How often the policy directory and the certificates are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A service that is open and listens; it answers once [`Server::run`] is awaited.
#[derive(Debug)]
pub struct Server {
    app: Arc<App>,
    listeners: Vec<(TcpListener, Router, Option<Arc<Certificate>>)>,
    addresses: Addresses,
}

/// Where a service listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Admission reviews.
    pub admission: SocketAddr,
    /// The API.
    pub api: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

impl Server {
    /// Opens the data directory, loads the policies, and binds the listeners. A policy directory that cannot be loaded
    /// is no error: the last good set is used, or everything is refused.
    pub async fn open(configuration: Configuration) -> Result<Self, ServerError> {
        let app = open_app(&configuration, &Options::default(), now).await?;
        let (admission, admission_tls) = bind(&configuration.admission).await?;
        let (api, api_tls) = bind(&configuration.api).await?;
        let (ops, ops_tls) = bind(&configuration.ops).await?;
        let local = |listener: &TcpListener, wanted: SocketAddr| listener.local_addr().unwrap_or(wanted);
        let addresses = Addresses {
            admission: local(&admission, configuration.admission.address),
            api: local(&api, configuration.api.address),
            ops: local(&ops, configuration.ops.address),
        };
        tracing::info!(admission = %addresses.admission, api = %addresses.api, ops = %addresses.ops, "listening");
        let listeners = vec![
            (admission, router::admission(app.clone()), admission_tls),
            (api, router::api(app.clone()), api_tls),
            (ops, router::ops(app.clone()), ops_tls),
        ];
        Ok(Self { app, listeners, addresses })
    }

    /// Where it listens, also where port 0 was asked for.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Answers until `end` completes, then lets requests under way finish.
    pub async fn run(self, end: impl Future<Output = ()> + Send) -> Result<(), ServerError> {
        let (ending, ended) = watch::channel(false);
        let mut listening = JoinSet::new();
        let certificates: Vec<Arc<Certificate>> = self.listeners.iter().filter_map(|(_, _, c)| c.clone()).collect();
        for (listener, router, certificate) in self.listeners {
            listening.spawn(listen::serve(listener, router, certificate, ended.clone()));
        }
        let watching = tokio::spawn(look_again(self.app, certificates));
        let mut result = Ok(());
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end, if !*ending.borrow() => {
                    tracing::info!("ending");
                    // The receivers live as long as the listeners.
                    let _ = ending.send(true);
                }
                finished = listening.join_next() => match finished {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    // One listener that failed ends the others: half a service would be taken for a whole one.
                    Some(Ok(Err(error))) => {
                        result = Err(error);
                        let _ = ending.send(true);
                    }
                    Some(Err(error)) => {
                        tracing::error!(%error, "a listener failed");
                        let _ = ending.send(true);
                    }
                },
            }
        }
        watching.abort();
        result
    }
}

/// Opens everything but the listeners. Tests give it another disk and another clock.
pub(crate) async fn open_app(
    configuration: &Configuration,
    options: &Options,
    clock: Clock,
) -> Result<Arc<App>, ServerError> {
    let data = &configuration.data_directory;
    let failed = |source| ServerError::DataDirectory { path: data.clone(), source };
    std::fs::create_dir_all(data).map_err(failed)?;
    let signer = signing::checkpoint_signer(data)?;
    let (store, report) = Store::open(data, options, configuration.backend, Some(signer))?;
    tracing::info!(
        log = %report.log_id, records = report.records, truncated_bytes = report.truncated_bytes,
        rebuilt_index = report.rebuilt_index, "the decision log is open"
    );
    let metrics = Arc::new(Metrics::new());
    let pool = Pool::start().map_err(ServerError::Threads)?;
    let client = Client::new(&configuration.registries)?;
    let policies = Policies::open(&configuration.policy_directory, data)?;
    let app = Arc::new(App::new(
        policies,
        Judge::new(client, pool, metrics.clone()),
        Recorder::new(Arc::new(store)),
        metrics,
        configuration.no_policy,
        configuration.tokens.clone(),
        clock,
    ));
    app.look_at_policies().await;
    Ok(app)
}

/// Looks at policies and certificates until the service ends.
async fn look_again(app: Arc<App>, certificates: Vec<Arc<Certificate>>) {
    let mut turn = interval(LOOK);
    turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turn.tick().await;
        app.look_at_policies().await;
        for certificate in &certificates {
            let certificate = certificate.clone();
            match tokio::task::spawn_blocking(move || certificate.reload()).await {
                Ok(Ok(true)) => tracing::info!("a certificate was exchanged"),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a certificate cannot be read; the old one stays"
                    );
                }
            }
        }
    }
}

async fn bind(listener: &Listener) -> Result<(TcpListener, Option<Arc<Certificate>>), ServerError> {
    let address = listener.address;
    let socket = TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
    let certificate = match &listener.tls {
        None => None,
        Some(files) => {
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            Some(Arc::new(Certificate::load(files, provider)?))
        }
    };
    Ok((socket, certificate))
}

/// The one place of this crate that reads the clock, in whole milliseconds.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
