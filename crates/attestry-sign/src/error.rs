//! Why a key could not be made, read, written or used.

use std::{io, path::PathBuf};

use attestry_core::note::NoteError;
use attestry_core::predicate::PredicateError;
use attestry_core::strict_json::StrictJsonError;
use attestry_core::{Reason, Timestamp};

use crate::Algorithm;
use crate::keyless::{Service, ServiceFault, SigningConfigError, TufError};

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

    /// What was given as an identity token is none, or none that certificates are given for.
    #[error("the identity token cannot be used: {problem}")]
    Token {
        /// Where it went wrong.
        problem: &'static str,
    },

    /// The token's time is over.
    #[error("the identity token ended at {since}: get a new one, they last minutes")]
    TokenExpired {
        /// When it ended.
        since: Timestamp,
    },

    /// The CI system names a place for tokens that our secret is not sent to.
    #[error("ACTIONS_ID_TOKEN_REQUEST_URL is no https URL")]
    TokenUrl,

    /// The services cannot be told from the signing config.
    #[error("the signing config cannot be used")]
    SigningConfig(#[from] SigningConfigError),

    /// A service that is needed did not help.
    #[error("{service} at {url} was of no help")]
    Service {
        /// Which kind.
        service: Service,
        /// Where, without a query.
        url: String,
        /// What happened.
        #[source]
        fault: ServiceFault,
    },

    /// There is no trusted root to be had.
    #[error("the trusted root cannot be brought up to date")]
    Tuf(#[from] TufError),

    /// A pending log entry needs another proof of time.
    #[error("a log entry can be left pending only where the signing config names a timestamp authority (tsaUrls)")]
    PendingWithoutTimestamp,

    /// The signing config has no log to complete a bundle with.
    #[error("the signing config names no transparency log (rekorTlogUrls)")]
    NoLog,

    /// The bundle is not one that waits for its log entry.
    #[error("this bundle does not wait for a log entry: {problem}")]
    NotPending {
        /// What it is instead.
        problem: &'static str,
    },
}

impl Error {
    /// Whether a service is out of order, so that the same may succeed later.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Service { fault, .. } if fault.is_outage())
    }
}
