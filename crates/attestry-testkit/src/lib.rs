//! What tests share. A development dependency only: everything here panics where a test would fail.
//!
//! 1. [`keys`] and [`clock`]: the same keys and the same moment in every run.
//! 2. [`evidence`]: evidence about a playground image, genuine or forged, without a registry.
//! 3. [`collect`]: plays the registry client over such evidence, for tests of what is asked and what is refused.
//! 4. [`mutate`]: a genuine bundle and its forged twins, each with the reason that it must be refused for.
//! 5. [`case`]: the loader of `tests/vectors/verify/CASE/case.yaml`.
//! 6. [`documents`]: policy documents that name those keys and images.
//!
//! The hostile registry itself is `attestry_playground::Registry` with its faults.
#![allow(clippy::unwrap_used, reason = "only tests call this: a panic is a failed test")]

pub mod authorities;
pub mod case;
pub mod clock;
pub mod collect;
pub mod documents;
pub mod evidence;
pub mod keys;
pub mod mutate;
pub mod seed;

pub use evidence::EvidenceBuilder;
pub use seed::Seed;
