//! What can go wrong: faults that become gaps while reading, and errors while writing or setting up.

use std::{error::Error as _, path::PathBuf};

use attestry_core::{Digest, Gap, GapCause, Need, reason::clean};
use reqwest::StatusCode;

use crate::address::AddressRefused;

/// Why a client could not be built, or why something could not be written to a registry.
///
/// Reading has no errors: what could not be read is a [`Gap`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OciError {
    /// A host in the configuration that is no host.
    #[error("the registry host {host:?} in the configuration cannot be read")]
    Host {
        /// As it was written.
        host: String,
        /// Why.
        #[source]
        source: attestry_core::reference::ReferenceError,
    },
    /// Two entries for one host would be two answers to one question.
    #[error("the registry {0} has two entries in the configuration")]
    TwoEntries(String),
    /// A token realm that is neither a host nor a URL.
    #[error("the token realm {0:?} is neither a host nor an https URL")]
    TokenRealm(String),
    /// A certificate file without readable certificates.
    #[error("the certificate authority file has no readable PEM certificate")]
    CaFile,
    /// A file with registry credentials that cannot be read.
    #[error("the registry credentials in {} cannot be read", path.display())]
    CredentialFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file with registry credentials in another format than Docker's `config.json`.
    #[error("the registry credentials are not in the format of Docker's config.json")]
    CredentialFormat(#[source] serde_json::Error),
    /// The HTTP client could not be built.
    #[error("the HTTP client cannot be built")]
    HttpClient(#[source] reqwest::Error),
    /// The TLS provider could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The registry asks for credentials, or those given do not suffice.
    #[error(
        "{host} refused access: {detail} (log in with `docker login {host}`, or check that the account may push there)"
    )]
    Denied {
        /// The registry.
        host: String,
        /// What it answered.
        detail: String,
    },
    /// The registry could not be read from or written to for a cause that a retry may cure, or a rule forbids.
    #[error("{host}: {detail}")]
    Transport {
        /// The registry.
        host: String,
        /// The cause, as for a gap.
        cause: GapCause,
        /// What happened.
        detail: String,
    },
    /// The image is not in the registry.
    #[error("{0} is not in the registry; push the image first")]
    SubjectMissing(attestry_core::Subject),
    /// The registry refused what was pushed.
    #[error("{host} refused the upload with status {status}: {message}")]
    Rejected {
        /// The registry.
        host: String,
        /// HTTP status.
        status: u16,
        /// The registry's own error code and message, or a hint where it sent none.
        message: String,
    },
    /// More than the bound: such an attachment would not be read back.
    #[error("the {what} has {size} bytes; at most {limit} are read back")]
    TooLarge {
        /// What was to be attached.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The bound.
        limit: u64,
    },
    /// The registry accepted the attachment and does not list it.
    #[error(
        "{host} accepted {manifest} but does not list it among the attachments of {of}; nobody would find it there"
    )]
    NotListed {
        /// The registry.
        host: String,
        /// The attachment's manifest.
        manifest: Digest,
        /// The subject.
        of: Digest,
    },
    /// A tag that holds attachments cannot be written to without losing what is there.
    #[error("the tag {tag} in {repository} holds {what}; nothing was written over it")]
    TagTaken {
        /// The tag.
        tag: String,
        /// The repository.
        repository: String,
        /// What was found.
        what: String,
    },
    /// The list in a tag holds as many entries as readers look at.
    #[error("the tag {tag} in {repository} lists {limit} attachments already; remove surplus ones")]
    ListFull {
        /// The tag.
        tag: String,
        /// The repository.
        repository: String,
        /// The bound.
        limit: usize,
    },
    /// Others kept writing the same tag.
    #[error(
        "the tag {tag} in {repository} was rewritten by others {tries} times and entries were lost each time; try again"
    )]
    Contended {
        /// The tag.
        tag: String,
        /// The repository.
        repository: String,
        /// How often it was tried.
        tries: u32,
    },
}

/// What kept one request from giving an answer. It becomes a gap where something was read and an [`OciError`]
/// where something was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) cause: GapCause,
    /// The registry's status, where it was the status that decided.
    pub(crate) status: Option<u16>,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(cause: GapCause, detail: impl AsRef<str>) -> Self {
        // Details quote foreign text, which may hold line breaks and be long (attack 67).
        Self { cause, status: None, detail: clean(detail.as_ref(), 512) }
    }

    pub(crate) fn malformed(detail: impl AsRef<str>) -> Self {
        Self::new(GapCause::Malformed, detail)
    }

    pub(crate) fn over_limit(detail: impl AsRef<str>) -> Self {
        Self::new(GapCause::OverLimit, detail)
    }

    pub(crate) fn denied(detail: impl AsRef<str>) -> Self {
        Self::new(GapCause::Denied, detail)
    }

    pub(crate) fn not_allowed(detail: impl AsRef<str>) -> Self {
        Self::new(GapCause::NotAllowed, detail)
    }

    pub(crate) fn budget(detail: &str) -> Self {
        Self::new(GapCause::BudgetSpent, detail)
    }

    pub(crate) fn timeout() -> Self {
        Self::new(GapCause::Timeout, "the registry did not answer before the deadline")
    }

    /// The one place where the errors of the HTTP client get their cause.
    pub(crate) fn transport(host: &str, error: &reqwest::Error) -> Self {
        let mut innermost = error.source();
        let mut refused = None;
        while let Some(source) = innermost {
            refused = refused.or(source.downcast_ref::<AddressRefused>());
            match source.source() {
                Some(next) => innermost = Some(next),
                None => break,
            }
        }
        if let Some(refused) = refused {
            return Self::not_allowed(format!("{host}: {refused}"));
        }
        if error.is_timeout() {
            return Self::new(GapCause::Timeout, format!("{host} did not answer in time"));
        }
        // The error's own text would quote the URL with its query; the innermost source says what happened.
        let why = innermost.map_or_else(|| "the connection failed".to_owned(), ToString::to_string);
        let what = if error.is_connect() { "no connection to" } else { "the connection broke to" };
        Self::new(GapCause::Unreachable, format!("{what} {host}: {why}"))
    }

    /// The cause of every status that is not the wanted one.
    pub(crate) fn status(host: &str, status: StatusCode) -> Self {
        let cause = match status.as_u16() {
            401 | 403 => GapCause::Denied,
            404 => GapCause::NotFound,
            408 => GapCause::Timeout,
            413 => GapCause::OverLimit,
            429 => GapCause::Throttled,
            500..=599 => GapCause::Unreachable,
            _ => GapCause::Malformed,
        };
        Self { status: Some(status.as_u16()), ..Self::new(cause, format!("{host} answered with status {status}")) }
    }

    pub(crate) fn gap(self, need: Need) -> Gap {
        Gap { need, cause: self.cause, detail: self.detail }
    }

    /// The same fault where something was being written.
    pub(crate) fn error(self, host: &str) -> OciError {
        let host = host.to_owned();
        match self.cause {
            GapCause::Denied => OciError::Denied { host, detail: self.detail },
            cause => OciError::Transport { host, cause, detail: self.detail },
        }
    }
}
