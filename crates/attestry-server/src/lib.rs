//! The service as an axum library: admission webhook, JSON API, health and metrics.
//!
//! Where to start reading:
//!
//! 1. [`config`]: the `Configuration` document, what was typed and what it means.
//! 2. [`server`]: opens everything once, runs three listeners, ends gracefully.
//! 3. `router`: every route on one page. `admission` and `api` hold the handlers.
//! 4. `judge`: the spine for one image, with its cache, its single flight and the verification pool.
//! 5. `record`: a decision is durable before it is answered. `policies`: the policy directory, read again when it
//!    changes.
//!
//! `attestry-sign` is named in `signing` alone, for the key that signs checkpoints.

mod admission;
mod api;
mod app;
pub mod config;
mod error;
mod health;
mod judge;
pub mod listen;
mod metrics;
pub mod openapi;
mod policies;
mod pool;
mod record;
mod request;
mod router;
pub mod server;
mod signing;

pub use config::Configuration;
pub use error::ServerError;
pub use policies::read_directory;
pub use server::Server;
pub use signing::SignerError;

#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;
