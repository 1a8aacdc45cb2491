//! What can go wrong in the playground.

use std::io;

/// Why the embedded registry or an image could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaygroundError {
    /// No listener on loopback.
    #[error("the embedded registry cannot listen on {address}")]
    Listen {
        /// Where it was to listen.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The registry was stopped and cannot come back.
    #[error("the embedded registry was stopped")]
    Stopped,
    /// The registry refused what was loaded into it.
    #[error("the embedded registry refused {what} with status {status}: {body}")]
    Refused {
        /// The request.
        what: String,
        /// The status of its answer.
        status: u16,
        /// The beginning of its body.
        body: String,
    },
    /// A path or name that cannot stand in a request.
    #[error("{0:?} cannot stand in a request")]
    Request(String),
    /// A file that does not fit into a tar archive.
    #[error("{path:?} cannot be put into a layer")]
    Layer {
        /// The file's path.
        path: String,
        /// What the archive said.
        source: io::Error,
    },
    /// An image is built for a platform that its base does not have.
    #[error("the base image has no platform {0}")]
    PlatformMissing(String),
}
