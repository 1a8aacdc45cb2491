//! The network side of the registry: a line that is open, cut, or closed.
//!
//! `axum::serve` cannot drop the connections that it has, and a client that keeps one would not notice that the
//! registry was cut off. So connections are accepted here, each a task in one set that can be ended at once.

use std::{mem, net::SocketAddr, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::PlaygroundError;

/// Further connections wait in the listener's queue.
const MAX_CONNECTIONS: usize = 512;
/// How long requests under way may take when the line is closed.
const DRAIN: Duration = Duration::from_secs(2);

/// The state of the line.
#[derive(Debug)]
pub(crate) enum Line {
    /// Connections are served.
    Open { app: Router, address: SocketAddr, phase: watch::Sender<Phase>, task: JoinHandle<()> },
    /// Connections are refused. The bound socket does not listen; it keeps the port from being given to others.
    Cut { app: Router, address: SocketAddr, socket: TcpSocket },
    /// Ended for good.
    Closed,
}

/// What the accepting task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serve,
    Drain,
    Cut,
}

impl Line {
    /// Listens on `address`, where port 0 is any free one; returns the address that it got.
    pub(crate) fn open(address: SocketAddr, app: Router) -> Result<(SocketAddr, Self), PlaygroundError> {
        let failed = |source| PlaygroundError::Listen { address, source };
        let socket = bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok((address, Self::listen(address, app, socket)?))
    }

    fn listen(address: SocketAddr, app: Router, socket: TcpSocket) -> Result<Self, PlaygroundError> {
        let listener = socket.listen(1024).map_err(|source| PlaygroundError::Listen { address, source })?;
        let (phase, told) = watch::channel(Phase::Serve);
        let task = tokio::spawn(accept(listener, app.clone(), told));
        Ok(Self::Open { app, address, phase, task })
    }

    /// Open becomes cut. Returns when the last connection is gone.
    pub(crate) async fn cut(&mut self) -> Result<(), PlaygroundError> {
        match mem::replace(self, Self::Closed) {
            Self::Open { app, address, phase, task } => {
                end(&phase, Phase::Cut, task).await;
                let socket = bind(address).map_err(|source| PlaygroundError::Listen { address, source })?;
                *self = Self::Cut { app, address, socket };
            }
            cut @ Self::Cut { .. } => *self = cut,
            Self::Closed => return Err(PlaygroundError::Stopped),
        }
        Ok(())
    }

    /// Cut becomes open.
    pub(crate) fn restore(&mut self) -> Result<(), PlaygroundError> {
        match mem::replace(self, Self::Closed) {
            Self::Cut { app, address, socket } => *self = Self::listen(address, app, socket)?,
            open @ Self::Open { .. } => *self = open,
            Self::Closed => return Err(PlaygroundError::Stopped),
        }
        Ok(())
    }

    /// Ends the line; requests under way get their answer.
    pub(crate) async fn close(self) {
        if let Self::Open { phase, task, .. } = self {
            end(&phase, Phase::Drain, task).await;
        }
    }
}

async fn end(phase: &watch::Sender<Phase>, how: Phase, task: JoinHandle<()>) {
    phase.send_replace(how);
    // The task ends by itself; that it was cancelled with its runtime is an end as well.
    let _ = task.await;
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were cut linger in the system; they must not keep us from our own port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Accepts until told otherwise, or until the [`Line`] is dropped.
async fn accept(listener: TcpListener, app: Router, mut told: watch::Receiver<Phase>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = told.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, app.clone(), told.clone()));
                }
                // A connection that was reset before we saw it, or no file descriptor at the moment.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
    drop(listener);
    let phase = *told.borrow();
    if phase == Phase::Drain {
        // What is not done in time is cut below.
        let _ = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, app: Router, mut told: watch::Receiver<Phase>) {
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    // A connection that breaks is the client's to notice: there is nobody here to tell.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = told.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
