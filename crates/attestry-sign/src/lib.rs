//! The only room with private keys.
//!
//! Where to start reading:
//!
//! 1. [`key`]: a private key, from generating or importing it to a signature. Its submodules are the file formats:
//!    PEM, DER, and cosign's encryption.
//! 2. [`key_files`]: `NAME.key` and `NAME.pub` on disk.
//! 3. [`predicate`]: what is attested, checked before it is signed.
//! 4. [`provenance`]: what a CI job says of itself, as SLSA provenance.
//! 5. [`attest`]: from a statement to the bytes that are attached, verified before they leave.
//!    [`mod@file`]: the same for a file that is no image.
//! 6. [`keyless`]: signing by a certificate for minutes instead of a key, with the services of a Sigstore instance.
//! 7. [`checkpoint`]: the key that signs the decision log's checkpoints.
//! 8. [`example_keys`]: the published keys that are refused.
//!
//! No other crate of attestry holds private material, and the decision path never names this one.

pub mod attest;
pub mod checkpoint;
pub mod error;
pub mod example_keys;
pub mod file;
pub mod key;
pub mod key_files;
pub mod keyless;
pub mod predicate;
pub mod provenance;

pub use attest::SignedAttachment;
pub use checkpoint::CheckpointSigner;
pub use error::Error;
pub use file::sign_file;
pub use key::{Algorithm, SigningKey};
pub use key_files::{read_key_file, write_key_pair};
pub use predicate::Predicate;
