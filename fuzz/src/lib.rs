//! What must hold of every parser of foreign bytes, whatever the bytes: one function per fuzz target.
//!
//! A property that fails panics. The functions are plain, so that a test can run them over the seeds.

pub mod documents;
pub mod inner;
pub mod keys;
pub mod policies;
pub mod proofs;

// The log's frames are compiled into this crate, where they look for these.
pub(crate) use attestry_store::{RecordId, StoreError};
