//! Why something does not verify under a trust root: the library's errors as reasons, every one of them.

use std::fmt;

use sigstore_verify::{CertificateError, Error, TimestampError, TransparencyLogError, bundle::Error as BundleError};

use super::material;
use crate::{ReasonCode, Timestamp};

/// A code and what happened, as the end of a sentence that begins with the attachment's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ReasonCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: ReasonCode, message: &dyn fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// Exhaustive over what is known; what a later version adds proves nothing.
    pub(super) fn of(error: Error) -> Self {
        let code = match &error {
            Error::IdentityMismatch { .. } | Error::IssuerMismatch { .. } => ReasonCode::IdentityMismatch,
            Error::SignatureInvalid(_) => ReasonCode::SignatureInvalid,
            // The subject was compared before: what is about something else is a log entry (attack 7).
            Error::ArtifactMismatch(_) => ReasonCode::LogEntryMismatch,
            Error::Certificate(error) => certificate(error),
            Error::TransparencyLog(error) => log(error),
            Error::Timestamp(TimestampError::NoVerifiedTimestamp(_)) => ReasonCode::TimestampMissing,
            Error::Timestamp(_) => ReasonCode::TimestampInvalid,
            Error::InvalidBundle(_) | Error::Types(_) => ReasonCode::BundleMalformed,
            Error::Bundle(error) => shape(error),
            // Also what cannot happen here: artifacts are read before, trust roots are checked when they are loaded.
            Error::UnsupportedBundle(_)
            | Error::UnsupportedArtifact(_)
            | Error::InvalidTrustRoot(_)
            | Error::Crypto(_)
            | Error::TrustRoot(_)
            | Error::TrustedCertificate(_)
            | Error::ArtifactRead(_)
            | _ => ReasonCode::BundleUnsupported,
        };
        Self::new(code, &error)
    }

    /// Without a proven time the certificate would have to hold `now`, and by then it has usually ended: that is
    /// the more telling reason (attack 13).
    pub(super) fn at(self, chain: &[Vec<u8>], now: Timestamp) -> Self {
        if self.code != ReasonCode::TimestampMissing {
            return self;
        }
        let ended =
            |leaf: &Vec<u8>| material::validity(leaf).is_ok_and(|window| material::within(window, &[now]).is_err());
        match chain.first().is_some_and(ended) {
            true => {
                let message = format!("no time of it is proven, and its certificate is not valid at {now}");
                Self::new(ReasonCode::CertificateNotValidThen, &message)
            }
            false => self,
        }
    }
}

fn certificate(error: &CertificateError) -> ReasonCode {
    match error {
        // The library wraps the path builder's answer into text. Which of two refusals it becomes depends on it.
        CertificateError::ChainInvalid(text) if text.contains("Expired") || text.contains("NotValidYet") => {
            ReasonCode::CertificateNotValidThen
        }
        CertificateError::NoValidAuthority { .. }
        | CertificateError::NotYetValid { .. }
        | CertificateError::Expired { .. } => ReasonCode::CertificateNotValidThen,
        CertificateError::Sct(_) => ReasonCode::SctInvalid,
        CertificateError::Malformed(_) | CertificateError::ChainInvalid(_) | _ => ReasonCode::CertificateUntrusted,
    }
}

fn log(error: &TransparencyLogError) -> ReasonCode {
    match error {
        // A body that cannot be read does not describe this signature either.
        TransparencyLogError::EntryMismatch(_) | TransparencyLogError::MalformedEntry(_) => {
            ReasonCode::LogEntryMismatch
        }
        TransparencyLogError::IntegratedTime(_) => ReasonCode::TimestampInvalid,
        TransparencyLogError::UnknownLog { .. }
        | TransparencyLogError::InclusionProof(_)
        | TransparencyLogError::Checkpoint(_)
        | TransparencyLogError::InclusionPromise(_)
        | _ => ReasonCode::LogProofInvalid,
    }
}

fn shape(error: &BundleError) -> ReasonCode {
    match error {
        BundleError::UnsupportedMediaType(_) | BundleError::UnsupportedVerificationMaterial => {
            ReasonCode::BundleUnsupported
        }
        BundleError::CertificateChainNotAllowed(_) => ReasonCode::BundleMalformed,
        BundleError::MissingSigningTimeEvidence | BundleError::MissingTimestamp => ReasonCode::TimestampMissing,
        BundleError::MissingInclusionPromise(_)
        | BundleError::MissingInclusionProof(_)
        | BundleError::MissingCheckpoint
        | BundleError::LogIndexOutOfRange { .. }
        | BundleError::CheckpointRootMismatch => ReasonCode::LogProofInvalid,
        #[allow(unreachable_patterns, reason = "an error that a later version adds proves nothing")]
        _ => ReasonCode::BundleUnsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let time = Timestamp::UNIX_EPOCH;
        for (error, code) in [
            (Error::SignatureInvalid(String::new()), ReasonCode::SignatureInvalid),
            (Error::ArtifactMismatch(String::new()), ReasonCode::LogEntryMismatch),
            (CertificateError::ChainInvalid("UnknownIssuer".into()).into(), ReasonCode::CertificateUntrusted),
            (CertificateError::ChainInvalid("CertExpired".into()).into(), ReasonCode::CertificateNotValidThen),
            (CertificateError::NoValidAuthority { time }.into(), ReasonCode::CertificateNotValidThen),
            (CertificateError::Malformed(String::new()).into(), ReasonCode::CertificateUntrusted),
            (CertificateError::Sct(String::new()).into(), ReasonCode::SctInvalid),
            (TransparencyLogError::UnknownLog { log_id: String::new() }.into(), ReasonCode::LogProofInvalid),
            (TransparencyLogError::Checkpoint(String::new()).into(), ReasonCode::LogProofInvalid),
            (TransparencyLogError::EntryMismatch(String::new()).into(), ReasonCode::LogEntryMismatch),
            (TransparencyLogError::IntegratedTime(String::new()).into(), ReasonCode::TimestampInvalid),
            (TransparencyLogError::MalformedEntry(String::new()).into(), ReasonCode::LogEntryMismatch),
            (TimestampError::Invalid(String::new()).into(), ReasonCode::TimestampInvalid),
            (TimestampError::OutsideAuthorityValidity { time }.into(), ReasonCode::TimestampInvalid),
            (TimestampError::NoVerifiedTimestamp(String::new()).into(), ReasonCode::TimestampMissing),
            (Error::UnsupportedBundle(String::new()), ReasonCode::BundleUnsupported),
            (Error::InvalidBundle(String::new()), ReasonCode::BundleMalformed),
            (BundleError::MissingCheckpoint.into(), ReasonCode::LogProofInvalid),
            (BundleError::UnsupportedVerificationMaterial.into(), ReasonCode::BundleUnsupported),
            (BundleError::MissingSigningTimeEvidence.into(), ReasonCode::TimestampMissing),
        ] {
            let text = error.to_string();
            assert_eq!(Refusal::of(error).code, code, "{text}");
        }
    }
}
