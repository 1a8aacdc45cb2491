//! The registry client: resolve, pull, push, list attachments, attach. It decides nothing about trust.
//!
//! Bytes leave this crate only with their digest checked, and whatever could not be read is a gap with its cause,
//! never an absence. A registry is treated as an opponent: sizes, pages, redirects, addresses, token services and
//! time are bounded here.
//!
//! Where to start reading:
//!
//! 1. [`ClientOptions`], in `registry`: what configuration says about a registry, and who may be talked to on its behalf.
//! 2. [`Client::resolve`] and [`Client::collect`]: reading, in `pull`, `listing` and `collect`.
//! 3. [`Client::layer`]: what a layer does to those below it, in `pull_layer` and [`layer`].
//! 4. [`Client::attach_bundle`]: writing, in `push`, `attach`, `attach_legacy` and `tag_list`.
//! 5. `transport`: what happens to every request on the way: authorisation (`auth`, `challenge`, `credentials`),
//!    redirects, repeats, bounded bodies.
//! 6. [`http_client`] and [`address`]: the one place that builds HTTP clients.

pub mod address;
mod attach;
mod attach_legacy;
mod auth;
mod budget;
mod challenge;
mod collect;
mod credentials;
mod error;
#[cfg(test)]
mod hostile;
mod http;
pub mod layer;
mod limits;
mod link;
mod listing;
mod patience;
mod pull;
mod pull_layer;
mod push;
mod refusal;
mod registry;
mod repair;
mod tag_list;
mod transport;

use std::sync::Arc;

pub use attach::{Attached, BUNDLE, Bundle, Place};
pub use attach_legacy::{LegacyKind, LegacyLayer};
pub use budget::{Budget, SharedBytes, Stats};
pub use credentials::{CredentialPlaces, Credentials, DockerConfig};
pub use error::OciError;
pub use http::{HttpOptions, ProxyOptions, USER_AGENT, http_client};
pub use limits::Limits;
pub use pull_layer::LayerFault;
pub use push::PushOutcome;
pub use registry::{ClientOptions, RegistryEntry, Unlisted};
pub use repair::Repaired;

/// A client for all registries. Clones share connections, tokens and counters.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Arc<transport::Transport>,
    turns: Arc<tag_list::Turns>,
}

impl Client {
    /// Builds a client. Mistakes in the options are found here; nothing is sent yet.
    pub fn new(options: &ClientOptions) -> Result<Self, OciError> {
        let transport = transport::Transport {
            registries: registry::Registries::new(options)?,
            limits: options.limits.clone(),
            counters: budget::Counters::default(),
            auth: auth::Auth::default(),
        };
        Ok(Self { transport: Arc::new(transport), turns: Arc::default() })
    }

    /// The requests that this client and its clones have sent.
    pub fn stats(&self) -> Stats {
        self.transport.counters.snapshot()
    }

    /// The bounds in force.
    pub fn limits(&self) -> &Limits {
        &self.transport.limits
    }
}

#[cfg(test)]
mod tests;
