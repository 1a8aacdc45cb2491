//! The embedded registry and small real images, for the demo and for tests.
//!
//! Where to start reading:
//!
//! 1. [`registry`]: a real registry in this process, on loopback, that can be cut off and come back.
//! 2. [`behaviour`]: which kind of registry it is: with or without referrers API, pages, conditional writes.
//! 3. [`fault`]: what goes wrong, for tests: refusals, broken bodies, lies in listings.
//! 4. [`image`]: images as a builder makes them, byte for byte the same each time.
//! 5. [`documents`]: SBOMs and provenance to attest.
//!
//! Nothing here decides anything, and only the demo and tests may name this crate.

pub mod behaviour;
pub mod documents;
mod error;
pub mod fault;
pub mod image;
pub mod registry;
mod serving;

pub use axum::http::{HeaderName, Method, StatusCode, header};
pub use behaviour::Behaviour;
pub use error::PlaygroundError;
pub use fault::{Answer, Effect, Fault};
pub use image::{Child, Image, ImageBuilder, Layer, Manifest, PlatformImage};
pub use registry::{Registry, Seen};
