//! Integration tests: the product's own binary and libraries over real registries and real tools.
//!
//! Tests that need other people's tools ask [`peers::Peers`] for them. Where the tools are missing such a test names
//! itself and passes, unless `ATTESTRY_REQUIRE_PEERS=1` (`cargo xtask ci --require-peers`) makes that a failure.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stderr, reason = "a test says why it could not run")]

mod admission;
mod attestry;
mod bad_input;
mod base;
mod conformance;
mod crash;
mod files;
mod fuzz_seeds;
mod interop;
mod keyless;
mod keyless_attacks;
mod peers;
mod provenance;
mod registry;
mod sbom;
mod service;
mod tuf;
mod twins;
mod vectors;
mod verify_cases;
mod walkthrough;
mod writers;

/// The folder of all tests.
pub(crate) const TESTS: &str = env!("CARGO_MANIFEST_DIR");

/// The product's binary.
pub(crate) fn binary() -> std::path::PathBuf {
    assert_cmd::cargo::cargo_bin("attestry")
}
