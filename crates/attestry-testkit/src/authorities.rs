//! Authorities that tests run themselves: everything that a public instance of Sigstore does, with fixed keys.
//!
//! Each is one thing in memory that can also be told to do a named wrong. A fragment of `trusted_root.json` comes
//! from each, so a test trusts exactly the authorities that it made.

pub mod ca;
pub mod ct;
pub mod tsa;
