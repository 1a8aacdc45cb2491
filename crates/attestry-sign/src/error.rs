//! Why a key could not be made, read, written or used.

use std::{io, path::PathBuf};

use attestry_core::Reason;
use attestry_core::note::NoteError;
use attestry_core::predicate::PredicateError;
use attestry_core::strict_json::StrictJsonError;

use crate::Algorithm;

/// The one error type of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than any private key file needs.
    #[error("the key is larger than {limit} bytes")]
    KeyTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },

    /// The input is something else than a private key.
    #[error("not a private key: {seen}")]
    NotAKey {
        /// What it looks like instead.
        seen: String,
    },

    /// The public half was given where the private one is needed.
    #[error("this is a public key, and signing needs the private one; cosign and attestry name it `NAME.key`")]
    PublicKeyGiven,

    /// A private key of a kind that attestry does not sign with.
    #[error(
        "{algorithm} keys are not supported: use ECDSA P-256 (understood everywhere) or Ed25519; `attestry key generate` makes either"
    )]
    UnsupportedAlgorithm {
        /// The algorithm, by the name people use.
        algorithm: String,
    },

    /// The file is encrypted, but not in the way cosign does it.
    #[error("{format} is not read; convert it first: `{hint}`, then `attestry key import`")]
    UnsupportedFormat {
        /// The container, by name.
        format: &'static str,
        /// A command that turns it into something that is read.
        hint: &'static str,
    },

    /// The key says what it is, but its content does not hold.
    #[error("the private key is damaged: {problem}")]
    KeyMalformed {
        /// Where it went wrong.
        problem: &'static str,
    },

    /// Encryption parameters beyond the ones cosign uses; refused before any work is done with them.
    #[error("the key's encryption is not supported: {parameter} is {seen}, expected {expected}")]
    UnsupportedEncryption {
        /// Which parameter.
        parameter: &'static str,
        /// Its value in the file.
        seen: String,
        /// What is accepted.
        expected: &'static str,
    },

    /// The file is encrypted and no password was given.
    #[error("the key is encrypted and no password was given; set ATTESTRY_PASSWORD")]
    PasswordNeeded,

    /// The authenticated decryption failed.
    #[error("wrong password for this key (or its file was changed)")]
    WrongPassword,

    /// A key of the other algorithm is needed here.
    #[error("an {expected} key is needed here, and this is {seen}")]
    WrongAlgorithm {
        /// What the use demands.
        expected: Algorithm,
        /// What was given.
        seen: Algorithm,
    },

    /// A published throw-away key: anybody can sign with it.
    #[error(
        "this is the example key {key_id}, whose private half is public: anybody can sign with it; make one with `attestry key generate`"
    )]
    ExampleKey {
        /// Its key id.
        key_id: String,
    },

    /// A file that must not be overwritten is already there.
    #[error("{} exists and is not overwritten", path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },

    /// A private key in clear that every user of the machine may read.
    #[error("{} can be read by other users: `chmod 600` it, and make a new one if others had access", path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
    },

    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// The name of a log does not suit signed notes.
    #[error("the log's name cannot be used for checkpoints")]
    NoteName(#[source] NoteError),

    /// More bytes than a predicate may have.
    #[error("the predicate is larger than {limit} bytes")]
    PredicateTooLarge {
        /// The bound, in bytes.
        limit: usize,
    },

    /// The predicate does not pass the strict JSON check.
    #[error("the predicate is not valid JSON{seen}")]
    PredicateNotJson {
        /// What it looks like instead, in brackets, or nothing.
        seen: &'static str,
        /// Where it went wrong.
        source: StrictJsonError,
    },

    /// JSON, but no object.
    #[error("the predicate is {seen}, and a JSON object is expected")]
    PredicateNotObject {
        /// The kind of JSON value.
        seen: &'static str,
    },

    /// The file holds a statement already.
    #[error("this is a whole in-toto statement: give its `predicate` alone, the subject is added when signing")]
    PredicateIsStatement,

    /// The predicate's type is unknown, or the content does not fit it.
    #[error(transparent)]
    PredicateType(#[from] PredicateError),

    /// The finished bundle or envelope is larger than any verifier of ours reads.
    #[error("signed, the statement is {size} bytes, and more than {limit} bytes are not read by verifiers")]
    AttachmentTooLarge {
        /// Its size, in bytes.
        size: usize,
        /// The bound, in bytes.
        limit: usize,
    },

    /// What was signed does not verify, so it is not given out.
    #[error("our own signature was not accepted, so nothing is published: {0}")]
    NotVerified(Reason),

    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random(#[source] rand_core::Error),
}
