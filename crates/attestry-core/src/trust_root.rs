//! Sigstore trust roots: certificate authorities, logs and timestamp authorities, and what they prove.
//!
//! The Sigstore project's verifier does the work (ADR 0003). It is named here and nowhere else. What it leaves open is
//! closed here: it looks at the host's clock, so every proven time is compared with the `now` that was given; it
//! takes the first of several names, so identities are read by [`crate::identity`]; it does not look at the dates of
//! certificates in the trust root, so it is given each for as long as it counts; it is content when one log entry of
//! several has a proof, and takes any log's checkpoint for any entry, so each is looked at. What it cannot read at all,
//! older log entries and timestamps over something else than the signature, goes the way of `check_older`.

use std::fmt;

use sigstore_verify::{
    PublicKeyVerificationPolicy, VerificationPolicy, Verifier,
    trust_root::{SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot},
    tsa::TsaAuthority,
    types::TransparencyLogEntry,
};
use x509_cert::{Certificate, der::Decode as _};

use crate::{
    Digest, ReasonCode, Timestamp,
    bundle::{MaterialVersion, UnverifiedMaterial},
    crypto::{KeyId, PublicKey},
    envelope::pae,
    identity::Identity,
    strict_json,
};

mod chain;
mod logs;
mod material;
mod older;
mod refusal;
mod sct;

pub(crate) use material::{File, SignedContent, certified_key};
pub(crate) use refusal::Refusal;

use material::Entries;
use older::{OlderEntry, Signer};

/// The trusted root of Sigstore's public instance, as this version was built with it.
pub const PUBLIC_GOOD: &str = SIGSTORE_PRODUCTION_TRUSTED_ROOT;
/// How large a trusted root may be.
pub const MAX_TRUSTED_ROOT: usize = 1 << 20;

/// A trusted root that was read and checked, ready to verify with.
pub struct TrustRoot {
    verifier: Verifier,
    authorities: chain::Authorities,
    logs: logs::Logs,
    certificate_logs: sct::CertificateLogs,
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
        let certificate_logs = sct::CertificateLogs::of(&root)?;
        let (timestamp_authorities, digest) = (material::timestamp_authorities(&root), Digest::of(bytes));
        Ok(Self { verifier, authorities, logs, certificate_logs, timestamp_authorities, digest, demands })
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
        let leaf = material::leaf(material)?;
        let certificate = Certificate::from_der(leaf)
            .map_err(|_| Refusal::new(ReasonCode::CertificateUntrusted, &"its certificate cannot be read"))?;
        let (times, entries, key) = match self.beyond_library(content, material::entries(material)?) {
            Ok(entries) => self.check_older_certificate(content, material, &certificate, entries, now)?,
            Err(entries) => self.check_with_library(content, material, entries, now)?,
        };
        let logged = self.demands.log && !entries.is_empty();
        let identity =
            Identity::of(&certificate).map_err(|error| Refusal::new(ReasonCode::IdentityMismatch, &error))?;
        Ok((proven(times, if logged { log_proof(&entries) } else { LogProof::None }, now)?, identity, key))
    }

    /// What the library judges as a whole; the times and entries that it found good, and the certificate's key.
    fn check_with_library(
        &self,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        entries: Vec<TransparencyLogEntry>,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, Vec<TransparencyLogEntry>, KeyId), Refusal> {
        let chain = material::chain(material)?;
        // With no entry there is nothing to look up in a log; whether that is enough is the caller's question.
        let logged = self.demands.log && !entries.is_empty();
        let mut policy = VerificationPolicy::any_identity();
        if !logged {
            policy = policy.skip_tlog_unsafe();
        }
        if !self.demands.sct {
            policy = policy.skip_sct();
        }
        let bundle = material::bundle(content, material, entries, None)?;
        let result = self
            .verifier
            .verify(content.artifact(), &bundle, &policy)
            .map_err(|error| self.telling(Refusal::of(error).at(chain, now), chain))?;
        let leaf = result
            .certificate()
            .ok_or_else(|| Refusal::new(ReasonCode::CertificateUntrusted, &"its certificate was not looked at"))?;
        let mut times = result.verified_timestamps().to_vec();
        let more = self.envelope_timestamps(content, material)?;
        if !more.is_empty() {
            // The library has held the certificates against its own times.
            material::within((leaf.not_before, leaf.not_after), &more)?;
            self.authorities.hold(chain, &more)?;
            times.extend(more);
        }
        let entries = bundle.verification_material.tlog_entries;
        if logged {
            self.logs.hold(&entries, &times, now)?;
        }
        Ok((times, entries, Digest::of(leaf.public_key.as_bytes())))
    }

    /// The same for what the library cannot read.
    fn check_older_certificate(
        &self,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        certificate: &Certificate,
        entries: Vec<OlderEntry>,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, Vec<TransparencyLogEntry>, KeyId), Refusal> {
        let (chain, leaf) = (material::chain(material)?, material::leaf(material)?);
        // What its version allows as a chain.
        material::certificates(material)?;
        let SignedContent::Envelope { payload_type, payload, signature, .. } = content else {
            return Err(Refusal::new(ReasonCode::LogEntryMismatch, &"its log entry is about an envelope"));
        };
        let key = certified_key(leaf).ok_or_else(|| {
            Refusal::new(ReasonCode::BundleUnsupported, &"its certificate's key is of an unknown kind")
        })?;
        key.verify(&pae(payload_type, payload), signature).map_err(|_| {
            Refusal::new(ReasonCode::SignatureInvalid, &"its signature does not fit its certificate's key")
        })?;
        let (times, entries) = self.check_older(Signer::Certificate(leaf), content, material, entries, now)?;
        if times.is_empty() {
            return Err(Refusal::new(ReasonCode::TimestampMissing, &"no time of it is proven").at(chain, now));
        }
        material::within(material::validity(leaf)?, &times)?;
        let issuer = self.authorities.hold(chain, &times)?;
        if self.demands.sct {
            self.certificate_logs.hold(certificate, &issuer)?;
        }
        Ok((times, entries, key.id()))
    }

    /// Entries and timestamps that the library cannot read, of a signature by this signer. Whether the signature fits, and
    /// what its statement is about, the caller has seen.
    fn check_older(
        &self,
        signer: Signer<'_>,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        entries: Vec<OlderEntry>,
        now: Timestamp,
    ) -> Result<(Vec<Timestamp>, Vec<TransparencyLogEntry>), Refusal> {
        let mut times =
            material::timestamps_over(content.stamped(), &material.timestamps, &self.timestamp_authorities)?;
        for entry in &entries {
            entry.describes(content, signer)?;
            times.extend(self.logs.prove(entry, now)?);
        }
        let entries: Vec<TransparencyLogEntry> = entries.into_iter().map(|older| older.entry).collect();
        self.logs.hold(&entries, &times, now)?;
        Ok((times, entries))
    }

    /// The entries, as an error if they are for the library.
    fn beyond_library(
        &self,
        content: &SignedContent<'_>,
        entries: Entries,
    ) -> Result<Vec<OlderEntry>, Vec<TransparencyLogEntry>> {
        match entries {
            Entries::Older(entries) => Ok(entries),
            // Its timestamps are over something else than the signature, and without an entry it has no other time.
            Entries::Known(entries) if entries.is_empty() && content.is_legacy_envelope() => Ok(Vec::new()),
            Entries::Known(entries) => Err(entries),
        }
    }

    /// Checks log entries and timestamps of a signature that a key known otherwise was seen to have made.
    pub(crate) fn check_key(
        &self,
        key: &PublicKey,
        content: &SignedContent<'_>,
        material: &UnverifiedMaterial,
        now: Timestamp,
    ) -> Result<Proven, Refusal> {
        let (times, entries) = match self.beyond_library(content, material::entries(material)?) {
            Ok(entries) => self.check_older(Signer::Key(key), content, material, entries, now)?,
            Err(entries) => {
                let bundle = material::bundle(content, material, entries, Some(key))?;
                let mut policy = PublicKeyVerificationPolicy::new(material::public_key(key));
                if material.log_entries.is_empty() {
                    policy = policy.skip_tlog_unsafe();
                }
                let result = self.verifier.verify(content.artifact(), &bundle, &policy).map_err(Refusal::of)?;
                let mut times = result.verified_timestamps().to_vec();
                times.extend(self.envelope_timestamps(content, material)?);
                let entries = bundle.verification_material.tlog_entries;
                self.logs.hold(&entries, &times, now)?;
                (times, entries)
            }
        };
        proven(times, log_proof(&entries), now)
    }

    /// A path that ends nowhere, because what issued the certificate had ended by then, is told as that.
    fn telling(&self, refusal: Refusal, chain: &[Vec<u8>]) -> Refusal {
        if refusal.code != ReasonCode::CertificateUntrusted {
            return refusal;
        }
        let from = chain.first().and_then(|leaf| material::validity(leaf).ok()).map(|(from, _)| from);
        match from.and_then(|from| self.authorities.hold(chain, &[from]).err()) {
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
        match content.is_legacy_envelope() {
            true => material::timestamps_over(content.stamped(), &material.timestamps, &self.timestamp_authorities),
            false => Ok(Vec::new()),
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
fn log_proof(entries: &[TransparencyLogEntry]) -> LogProof {
    entries
        .iter()
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
