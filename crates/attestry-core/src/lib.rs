//! The nouns of attestry and the proof.
//!
//! This crate is pure: bytes, keys and `now` come in, values go out. It knows no socket, file, clock or
//! environment, so the same inputs give the same answer on every machine.
//!
//! Where to start reading, in the order in which a verification meets the modules:
//!
//! 1. [`mod@reference`] and [`digest`]: what a person names and what it resolves to.
//! 2. [`evidence`]: what was read about a subject, what is still wanted, and what could not be read.
//! 3. [`attachment`]: the signatures and attestations found in the evidence, in one form for every layout.
//! 4. [`verify`]: the numbered steps that turn an attachment into a [`verify::Verified`] statement, or a reason.
//!    It stands on [`strict_json`], [`envelope`], [`statement`], [`bundle`], [`legacy`] and [`crypto`]; for what is
//!    signed by certificate, logged or timestamped on [`trust_root`] and [`identity`].
//! 5. [`review`] and [`decision`]: what was judged and what was answered, as values that are stored.
//! 6. [`reason`]: every stable code.
//! 7. [`layer`]: what a layer of an image does to those below it.
//! 8. [`merkle`] and [`note`]: what the decision log's checkpoints are made of.

pub mod attachment;
pub mod bundle;
pub mod canonical;
pub mod crypto;
pub mod decision;
pub mod digest;
pub mod envelope;
pub mod evidence;
pub mod identity;
pub mod layer;
pub mod legacy;
pub mod manifest;
pub mod merkle;
pub mod note;
pub mod predicate;
pub mod reason;
pub mod reference;
pub mod retry_after;
pub mod review;
pub mod statement;
pub mod strict_json;
pub mod trust_root;
pub mod verify;

pub use digest::{Digest, Digester};
pub use evidence::{Evidence, Gap, GapCause, Need, Needs};
/// A moment with an RFC 3339 spelling. Never read from a clock here: `now` is always an argument.
pub use jiff::Timestamp;
pub use reason::{Reason, ReasonCode};
pub use reference::{Reference, Repository, Subject};
pub use review::{Review, Verdict};

/// The version of the deciding code, written into every review: same inputs and same engine, same bytes out.
pub const ENGINE: &str = concat!("attestry/", env!("CARGO_PKG_VERSION"));
/// The `apiVersion` of every document that attestry reads or writes.
pub const API_VERSION: &str = "attestry.dev/v1alpha1";
