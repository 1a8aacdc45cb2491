//! Sigstore trust roots: certificate authorities, logs and timestamp authorities, and what they prove.
//!
//! The Sigstore project's verifier does the work (ADR 0003). It is named here and nowhere else. What it leaves open is
//! closed here: it looks at the host's clock, so every proven time is compared with the `now` that was given; it
//! takes the first of several names, so identities are read by [`crate::identity`]; it does not look at the dates of
//! certificates in the trust root, so the chain is walked again; it is content when one log entry of several has a
//! proof, and takes any log's checkpoint for any entry, so each is looked at.

use std::fmt;

use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationPolicy, Verifier,
    trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot},
    tsa::TsaAuthority,
};

use crate::{
    Digest, ReasonCode, Timestamp,
    bundle::{MaterialVersion, UnverifiedMaterial},
    crypto::{KeyId, PublicKey},
    identity::Identity,
    strict_json,
};

mod chain;
mod logs;
mod material;
mod refusal;

pub(crate) use material::{File, SignedContent, certified_key};
pub(crate) use refusal::Refusal;

/// The trusted root of Sigstore's public instance, as this version was built with it.
pub const PUBLIC_GOOD: &str = SIGSTORE_PRODUCTION_TRUSTED_ROOT;
/// How large a trusted root may be.
pub const MAX_TRUSTED_ROOT: usize = 1 << 20;

/// A trusted root that was read and checked, ready to verify with.
pub struct TrustRoot {
    verifier: Verifier,
    authorities: chain::Authorities,
    logs: logs::Logs,
    timestamp_authorities: Vec<TsaAuthority>,
    digest: Digest,
    demands: Demands,
}

/// What an instance offers and therefore demands. Both by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// Certificates carry a signed certificate timestamp.
    pub sct: bool,
    /// Keyless signatures have a transparency log entry.
    pub log: bool,
}

impl Default for Demands {
    fn default() -> Self {
        Self { sct: true, log: true }
    }
}

/// Why bytes are no usable trusted root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustRootError {
    /// Larger than [`MAX_TRUSTED_ROOT`].
    #[error("the trusted root is larger than {MAX_TRUSTED_ROOT} bytes")]
    TooLarge,
    /// Not strict JSON.
    #[error("the trusted root cannot be read: {0}")]
    Json(#[from] strict_json::StrictJsonError),
    /// Another media type or version.
    #[error("the trusted root's mediaType is {0:?}; version 0.1 is understood")]
    MediaType(String),
    /// A key, certificate or window in it cannot be used.
    #[error("the trusted root cannot be used: {0}")]
    Content(String),
}

/// What was proven of a signature under a trust root.
#[derive(Debug, Clone)]
pub(crate) struct Proven {
    /// Every time that a log or a timestamp authority vouches for, earliest first.
    pub(crate) times: Vec<Timestamp>,
    /// What the logs vouch for.
    pub(crate) log: LogProof,
}

/// How a signature is known to a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogProof {
    /// Not at all.
    None,
    /// By a signed promise.
    Promise,
    /// By an inclusion proof and a checkpoint.
    Inclusion,
}

impl TrustRoot {
    /// Reads a `trusted_root.json` (sigstore_trustroot.proto). Whatever in it cannot be used makes the whole root
    /// unusable: a key that is left out could be the one that a revocation depends on.
    pub fn from_json(bytes: &[u8], demands: Demands) -> Result<Self, TrustRootError> {
        if bytes.len() > MAX_TRUSTED_ROOT {
            return Err(TrustRootError::TooLarge);
        }
        let value = strict_json::parse(bytes)?;
        let media_type = value.get("mediaType").and_then(serde_json::Value::as_str).unwrap_or_default();
        if !matches!(
            media_type,
            "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
                | "application/vnd.dev.sigstore.trustedroot.v0.2+json"
        ) {
            return Err(TrustRootError::MediaType(crate::reason::clean(media_type, 128)));
        }
        let unusable =
            |error: &dyn fmt::Display| TrustRootError::Content(crate::reason::clean(&error.to_string(), 256));
        let root: TrustedRoot = serde_json::from_value(value).map_err(|error| unusable(&error))?;
        // Once as it is written, so that nothing unusable passes, and once with the dates of its certificates.
        Verifier::new(&root).map_err(|error| unusable(&error))?;
        let authorities = chain::Authorities::of(&root)?;
        let verifier = Verifier::new(&authorities.dated(&root)).map_err(|error| unusable(&error))?;
        let logs = logs::Logs::of(&root)?;
        let timestamp_authorities = material::timestamp_authorities(&root);
        Ok(Self { verifier, authorities, logs, timestamp_authorities, digest: Digest::of(bytes), demands })
    }

    /// Sigstore's public instance.
    pub fn public_good(demands: Demands) -> Self {
        // Built in, and read by a test of this module.
        Self::from_json(PUBLIC_GOOD.as_bytes(), demands).expect("the built-in root can be read")
    }

    /// SHA-256 of the bytes that it was read from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// What its instance offers.
    pub fn demands(&self) -> Demands {
        self.demands
    }

    /// Checks everything about a signature by certificate but whose it is, and reads who the certificate names and what
    /// key it holds.
    pub(crate) fn check_certificate(
        &self,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        now: Timestamp,
    ) -> Result<(Proven, Identity, KeyId), Refusal> {
        let chain = material::chain(material)?;
        // With no entry there is nothing to look up in a log; whether that is enough is the caller's question.
        let logged = self.demands.log && !material.log_entries.is_empty();
        let mut policy = VerificationPolicy::any_identity();
        if !logged {
            policy = policy.skip_tlog_unsafe();
        }
        if !self.demands.sct {
            policy = policy.skip_sct();
        }
        let bundle = material::bundle(content, material, None)?;
        let result = self
            .verifier
            .verify(content.artifact(), &bundle, &policy)
            .map_err(|error| self.telling(Refusal::of(error).at(chain, now), chain))?;
        let leaf = result
            .certificate()
            .ok_or_else(|| Refusal::new(ReasonCode::CertificateUntrusted, &"its certificate was not looked at"))?;
        let mut times = result.verified_timestamps().to_vec();
        let more = self.envelope_timestamps(content, material)?;
        // The library has held the certificate against its own times.
        material::within((leaf.not_before, leaf.not_after), &more)?;
        times.extend(more);
        if logged {
            self.logs.hold(&bundle, &times, now)?;
        }
        let chain = chain::read(chain)?;
        self.authorities.hold(&chain, &times)?;
        let identity = Identity::of(&chain[0]).map_err(|error| Refusal::new(ReasonCode::IdentityMismatch, &error))?;
        let key = Digest::of(leaf.public_key.as_bytes());
        Ok((proven(times, if logged { log_proof(&bundle) } else { LogProof::None }, now)?, identity, key))
    }

    /// Checks log entries and timestamps of a signature that a key known otherwise was seen to have made.
    pub(crate) fn check_key(
        &self,
        key: &PublicKey,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        now: Timestamp,
    ) -> Result<Proven, Refusal> {
        if material.log_entries.is_empty() && matches!(content, SignedContent::Envelope { legacy_json: Some(_), .. }) {
            // Nothing in it is for the library: the signature was checked, and its timestamps are over something else.
            return proven(self.envelope_timestamps(content, material)?, LogProof::None, now);
        }
        let bundle = material::bundle(content, material, Some(key))?;
        let mut policy = PublicKeyVerificationPolicy::new(material::public_key(key));
        let logged = !material.log_entries.is_empty();
        if !logged {
            policy = policy.skip_tlog_unsafe();
        }
        let result = self.verifier.verify(content.artifact(), &bundle, &policy).map_err(Refusal::of)?;
        let mut times = result.verified_timestamps().to_vec();
        times.extend(self.envelope_timestamps(content, material)?);
        self.logs.hold(&bundle, &times, now)?;
        proven(times, if logged { log_proof(&bundle) } else { LogProof::None }, now)
    }

    /// A path that ends nowhere, because what issued the certificate had ended by then, is told as that.
    fn telling(&self, refusal: Refusal, chain: &[Vec<u8>]) -> Refusal {
        if refusal.code != ReasonCode::CertificateUntrusted {
            return refusal;
        }
        let ended = || {
            let (from, _) = material::validity(chain.first()?).ok()?;
            self.authorities.hold(&chain::read(chain).ok()?, &[from]).err()
        };
        match ended() {
            Some(told) if told.code == ReasonCode::CertificateNotValidThen => told,
            _ => refusal,
        }
    }

    /// The one exception among timestamps: those of a legacy envelope are over its whole JSON, not over the signature
    /// (cosign, specs/ATTESTATION_SPEC.md), which the library cannot know.
    fn envelope_timestamps(
        &self,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
    ) -> Result<Vec<Timestamp>, Refusal> {
        match content {
            SignedContent::Envelope { legacy_json: Some(json), .. } => {
                material::timestamps_over(json, &material.timestamps, &self.timestamp_authorities)
            }
            _ => Ok(Vec::new()),
        }
    }
}

/// No proven time may lie after the given `now`, whatever the host's clock says (attack 16).
fn proven(mut times: Vec<Timestamp>, log: LogProof, now: Timestamp) -> Result<Proven, Refusal> {
    times.sort();
    match times.last() {
        Some(last) if *last > now => {
            let message = format!("its proven time {last} lies after {now}");
            Err(Refusal::new(ReasonCode::TimestampInvalid, &message))
        }
        _ => Ok(Proven { times, log }),
    }
}

/// The best that an entry is known by. Each was verified, and has what its version demands.
fn log_proof(bundle: &sigstore_verify::types::Bundle) -> LogProof {
    let entries = bundle.verification_material.tlog_entries.iter();
    entries
        .map(|entry| match (&entry.inclusion_proof, &entry.inclusion_promise) {
            (Some(_), _) => LogProof::Inclusion,
            (None, Some(_)) => LogProof::Promise,
            (None, None) => LogProof::None,
        })
        .max()
        .unwrap_or(LogProof::None)
}

impl LogProof {
    /// As it is written in proofs and printed; nothing for a signature that no log knows.
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Promise => Some("promise"),
            Self::Inclusion => Some("inclusion"),
        }
    }
}

impl MaterialVersion {
    /// Whether each log entry must bring an inclusion proof, or else a promise.
    fn demands_proof(self) -> bool {
        matches!(self, Self::V02 | Self::V03)
    }
}

impl fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustRoot")
            .field("digest", &self.digest)
            .field("demands", &self.demands)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
