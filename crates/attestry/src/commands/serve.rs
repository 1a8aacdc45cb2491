//! `attestry serve`: reads the configuration, opens the service and ends it when the system says so.

use std::net::SocketAddr;

use anyhow::Context as _;
use attestry_server::config::Listener;
use attestry_server::{Configuration, Server};
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Context;
use crate::cli::ServeArgs;
use crate::exit::{Exit, Failure};
use crate::telemetry;

/// Where the service listens, also where port 0 was asked for.
#[derive(Serialize)]
struct Service {
    admission: SocketAddr,
    api: SocketAddr,
    ops: SocketAddr,
}

pub(super) fn run(args: &ServeArgs, context: Context<'_>) -> Result<Exit, Failure> {
    telemetry::install_for_service(context.output.is_quiet());
    let configuration = configuration(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the asynchronous runtime")?;
    runtime.block_on(async {
        // Before anything is opened: a signal that comes while the log is checked must not be lost.
        let end = Ending::new()?;
        let server = Server::open(configuration).await.context("the service cannot start")?;
        let addresses = server.addresses();
        let service = Service { admission: addresses.admission, api: addresses.api, ops: addresses.ops };
        context.output.result("Service", &service, || {
            let Service { admission, api, ops } = &service;
            format!("listening: admission {admission}, api {api}, ops {ops}")
        })?;
        server.run(end.wait()).await.context("the service ended")?;
        Ok(Exit::Done)
    })
}

/// The document, with what flags say in its place.
fn configuration(args: &ServeArgs) -> Result<Configuration, Failure> {
    let mut configuration = Configuration::read(&args.config).map_err(anyhow::Error::from)?;
    let guarded = !configuration.tokens.is_empty();
    listen_at(&mut configuration.admission, args.admission_address, "--admission-address", true)?;
    listen_at(&mut configuration.api, args.api_address, "--api-address", guarded)?;
    if let Some(address) = args.ops_address {
        configuration.ops.address = address;
    }
    if let Some(directory) = &args.data_directory {
        configuration.data_directory.clone_from(directory);
    }
    if let Some(directory) = &args.policy_directory {
        configuration.policy_directory.clone_from(directory);
    }
    Ok(configuration)
}

/// A flag may not undo what the configuration demands: in clear and without tokens only on loopback.
fn listen_at(listener: &mut Listener, address: Option<SocketAddr>, flag: &str, guarded: bool) -> Result<(), Failure> {
    let Some(address) = address else { return Ok(()) };
    if !address.ip().is_loopback() && (listener.tls.is_none() || !guarded) {
        let missing = if guarded { "tls" } else { "tls and tokens" };
        let message = format!("{flag} {address}: without {missing} in the configuration only loopback is listened on");
        return Err(Failure::usage(message));
    }
    listener.address = address;
    Ok(())
}

/// SIGTERM and SIGINT.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

impl Ending {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn wait(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
