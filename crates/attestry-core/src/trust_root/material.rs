//! Our form of a signature's material, turned into the library's.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use sigstore_verify::{
    crypto::parse_certificate_info,
    trust_root::{TimestampAuthority as TrustedAuthority, TrustedRoot},
    tsa::{TsaAuthority, verify_timestamp_for_authority},
    types::{
        Artifact, ArtifactDigest, Bundle, DerCertificate, DerPublicKey, DigestBytes, DsseEnvelope, DsseSignature,
        HashAlgorithm, KeyId, MediaType, MessageDigest, MessageSignature, PayloadBytes, Sha256Hash, SignatureBytes,
        SignatureContent, TimestampToken, TransparencyLogEntry,
        bundle::{
            CertificateContent, PublicKeyIdentifier, Rfc3161Timestamp, TimestampVerificationData, VerificationMaterial,
            VerificationMaterialContent, X509Certificate,
        },
    },
};
use x509_cert::{Certificate, der::Decode as _};

use super::{
    Refusal,
    older::{Kind, OlderEntry},
};
use crate::{
    Digest, ReasonCode, Timestamp,
    bundle::{MaterialVersion, UnverifiedMaterial, UnverifiedSigner},
    crypto::PublicKey,
    envelope::decode_base64,
};

/// What a signature covers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignedContent<'a> {
    /// A statement in an envelope, about a subject.
    Envelope {
        payload_type: &'a str,
        payload: &'a [u8],
        signature: &'a [u8],
        subject: Digest,
        /// The whole envelope as a legacy layer stored it: what its timestamps cover.
        legacy_json: Option<&'a [u8]>,
    },
    /// A file, or a simple-signing payload.
    Message { file: File<'a>, claimed_digest: Option<&'a [u8]>, signature: &'a [u8] },
}

/// A file, or only its digest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum File<'a> {
    Bytes(&'a [u8]),
    Sha256(Digest),
}

impl SignedContent<'_> {
    /// What the library binds the signature to.
    pub(super) fn artifact(&self) -> Artifact<'_> {
        let by_digest = |digest: &Digest| Artifact::Digest(ArtifactDigest::sha256(Sha256Hash::new(*digest.as_bytes())));
        match self {
            Self::Envelope { subject, .. } => by_digest(subject),
            Self::Message { file: File::Bytes(bytes), .. } => Artifact::Blob(bytes),
            Self::Message { file: File::Sha256(digest), .. } => by_digest(digest),
        }
    }

    /// What its timestamps cover: the signature, but in cosign's layout an envelope's whole JSON.
    pub(super) fn stamped(&self) -> &[u8] {
        match self {
            Self::Envelope { legacy_json: Some(json), .. } => json,
            Self::Envelope { signature, .. } | Self::Message { signature, .. } => signature,
        }
    }

    pub(super) fn is_legacy_envelope(&self) -> bool {
        matches!(self, Self::Envelope { legacy_json: Some(_), .. })
    }

    fn content(&self) -> SignatureContent {
        match self {
            Self::Envelope { payload_type, payload, signature, .. } => {
                let signature = DsseSignature::new(SignatureBytes::from_bytes(signature), KeyId::default());
                SignatureContent::DsseEnvelope(DsseEnvelope::new(
                    (*payload_type).to_owned(),
                    PayloadBytes::from_bytes(payload),
                    signature,
                ))
            }
            Self::Message { claimed_digest, signature, .. } => {
                let message = MessageSignature::new(SignatureBytes::from_bytes(signature));
                SignatureContent::MessageSignature(match claimed_digest {
                    None => message,
                    Some(digest) => message.with_message_digest(MessageDigest::new(
                        HashAlgorithm::Sha2256,
                        DigestBytes::new(digest.to_vec()),
                    )),
                })
            }
        }
    }
}

/// The log entries of a signature, by who reads them.
pub(super) enum Entries {
    /// The library.
    Known(Vec<TransparencyLogEntry>),
    /// We do. Never empty.
    Older(Vec<OlderEntry>),
}

/// The log entries, each with what its bundle's version demands.
pub(super) fn entries(material: &UnverifiedMaterial) -> Result<Entries, Refusal> {
    let (mut known, mut older) = (Vec::new(), Vec::new());
    for json in &material.log_entries {
        match log_entry(json)? {
            Entry::Known(entry) => known.push(demanded(entry, material.version)?),
            // Said first, since no version of a bundle can have what it lacks.
            Entry::Older(OlderEntry { kind: Kind::Intoto001, .. }) if material.version != MaterialVersion::Legacy => {
                let message = "its log entry of kind intoto 0.0.1 is about bytes that a bundle does not keep";
                return Err(Refusal::new(ReasonCode::BundleUnsupported, &message));
            }
            Entry::Older(OlderEntry { entry, kind }) => {
                older.push(OlderEntry { entry: demanded(entry, material.version)?, kind });
            }
        }
    }
    match (known.is_empty(), older.is_empty()) {
        (_, true) => Ok(Entries::Known(known)),
        (true, false) => Ok(Entries::Older(older)),
        (false, false) => {
            let message = "it has log entries of older and newer kinds together";
            Err(Refusal::new(ReasonCode::BundleUnsupported, &message))
        }
    }
}

/// The library's bundle. With a key, the material counts as that key's, whatever it says of its signer.
pub(super) fn bundle(
    content: &SignedContent<'_>,
    material: &UnverifiedMaterial,
    entries: Vec<TransparencyLogEntry>,
    key: Option<&PublicKey>,
) -> Result<Bundle, Refusal> {
    // The library would check these against the signature, which legacy envelopes are not stamped over.
    let timestamps: &[String] = if content.is_legacy_envelope() { &[] } else { &material.timestamps };
    let timestamps = timestamps.iter().map(|text| token(text).map(Rfc3161Timestamp::new)).collect::<Result<_, _>>()?;
    let signer = match key {
        Some(_) => VerificationMaterialContent::PublicKey(PublicKeyIdentifier::new("")),
        None => certificates(material)?,
    };
    let media_type = match material.version {
        MaterialVersion::V01 => MediaType::Bundle0_1,
        MaterialVersion::Legacy if !entries.is_empty() => MediaType::Bundle0_1,
        MaterialVersion::V02 | MaterialVersion::Legacy => MediaType::Bundle0_2,
        MaterialVersion::V03 => MediaType::Bundle0_3,
    };
    let verification = VerificationMaterial::new(signer)
        .with_tlog_entries(entries)
        .with_timestamp_verification_data(TimestampVerificationData::new(timestamps));
    Ok(Bundle::new(media_type, verification, content.content()))
}

/// What an entry says it is. Later kinds are told from malformed ones.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EntryKind<'a> {
    #[serde(borrow)]
    kind_version: KindVersion<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct KindVersion<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    version: Cow<'a, str>,
}

enum Entry {
    Known(TransparencyLogEntry),
    Older(OlderEntry),
}

/// One log entry. What cannot be read is malformed, or of a kind that nobody knows.
fn log_entry(json: &RawValue) -> Result<Entry, Refusal> {
    let EntryKind { kind_version: KindVersion { kind, version } } =
        serde_json::from_str(json.get()).map_err(|error| malformed(&error))?;
    let (kind, version) = (kind.as_ref(), version.as_ref());
    if let Some(older) = OlderEntry::read(json, kind, version) {
        return older.map(Entry::Older).map_err(|error| malformed(&error));
    }
    if matches!((kind, version), ("hashedrekord", "0.0.1" | "0.0.2") | ("dsse", "0.0.1") | ("intoto", "0.0.2")) {
        return serde_json::from_str(json.get()).map(Entry::Known).map_err(|error| malformed(&error));
    }
    let kind = if kind.is_empty() { "unnamed" } else { kind };
    let kind = crate::reason::clean(&format!("{kind} {version}"), 64);
    let message = format!("its log entry is of kind {kind}, which is not understood");
    Err(Refusal::new(ReasonCode::BundleUnsupported, &message))
}

/// An entry that has what its bundle's version demands.
fn demanded(entry: TransparencyLogEntry, version: MaterialVersion) -> Result<TransparencyLogEntry, Refusal> {
    let has_proof = entry.inclusion_proof.as_ref().is_some_and(|proof| !proof.checkpoint.is_empty());
    let lacks = match version.demands_proof() {
        true if !has_proof => "inclusion proof and checkpoint",
        false if entry.inclusion_promise.is_none() => "inclusion promise",
        _ => return Ok(entry),
    };
    Err(Refusal::new(ReasonCode::LogProofInvalid, &format!("a log entry has no {lacks}")))
}

/// What the library takes as the signer's chain.
pub(super) fn certificates(material: &UnverifiedMaterial) -> Result<VerificationMaterialContent, Refusal> {
    let UnverifiedSigner::Certificates(chain) = &material.signer else {
        return Err(not_by_certificate());
    };
    if material.version == MaterialVersion::V03 {
        let leaf = DerCertificate::from_bytes(leaf(material)?);
        return Ok(VerificationMaterialContent::Certificate(CertificateContent::new(leaf)));
    }
    let mut certificates = Vec::new();
    for (at, der) in chain.iter().enumerate() {
        // A root is trusted for being in the trust root, never for coming along. Bundles must not hold one; cosign's
        // legacy chain does, and it is left out.
        if at > 0 && self_issued(der) {
            if material.version == MaterialVersion::Legacy {
                continue;
            }
            return Err(Refusal::new(ReasonCode::BundleMalformed, &"its certificate chain holds a root certificate"));
        }
        certificates.push(X509Certificate::new(DerCertificate::from_bytes(der)));
    }
    Ok(VerificationMaterialContent::X509CertificateChain { certificates })
}

fn self_issued(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok_and(|c| c.tbs_certificate.subject == c.tbs_certificate.issuer)
}

/// The signer's own certificate.
pub(super) fn leaf(material: &UnverifiedMaterial) -> Result<&[u8], Refusal> {
    chain(material)?.first().map(Vec::as_slice).ok_or_else(not_by_certificate)
}

/// The signer's own certificate and those that came along.
pub(super) fn chain(material: &UnverifiedMaterial) -> Result<&[Vec<u8>], Refusal> {
    match &material.signer {
        UnverifiedSigner::Certificates(chain) => Ok(chain),
        _ => Err(not_by_certificate()),
    }
}

/// Every time lies in the validity of a certificate, both ends included.
pub(super) fn within((from, until): (Timestamp, Timestamp), times: &[Timestamp]) -> Result<(), Refusal> {
    match times.iter().find(|time| **time < from || **time > until) {
        None => Ok(()),
        Some(time) => {
            let message = format!("its certificate is valid from {from} until {until}, and it was signed at {time}");
            Err(Refusal::new(ReasonCode::CertificateNotValidThen, &message))
        }
    }
}

/// When a certificate is valid, both ends included.
pub(super) fn validity(der: &[u8]) -> Result<(Timestamp, Timestamp), Refusal> {
    let info = parse_certificate_info(&DerCertificate::from_bytes(der))
        .map_err(|error| Refusal::new(ReasonCode::CertificateUntrusted, &error))?;
    Ok((info.not_before, info.not_after))
}

/// The times of tokens over `bytes`. One that no authority vouches for spoils all (attack 15).
pub(super) fn timestamps_over(
    bytes: &[u8],
    tokens: &[String],
    authorities: &[TsaAuthority],
) -> Result<Vec<Timestamp>, Refusal> {
    let imprint = SignatureBytes::from_bytes(bytes);
    let time_of = |text: &String| {
        let token = token(text)?;
        let time =
            authorities.iter().find_map(|authority| verify_timestamp_for_authority(&token, &imprint, authority).ok());
        time.ok_or_else(|| {
            Refusal::new(ReasonCode::TimestampInvalid, &"no timestamp authority vouches for its timestamp")
        })
    };
    tokens.iter().map(time_of).collect()
}

/// Those of a trust root, whenever they counted: the window of each is held against the times that it states.
pub(super) fn timestamp_authorities(root: &TrustedRoot) -> Vec<TsaAuthority> {
    let authority = |of: &TrustedAuthority| {
        let (leaf, between, anchor) = match of.cert_chain.certificates.as_slice() {
            [] => return None,
            [only] => (only, &[][..], only),
            [leaf, between @ .., anchor] => (leaf, between, anchor),
        };
        let between = between.iter().map(|certificate| certificate.raw_bytes.clone()).collect();
        Some(TsaAuthority::new(leaf.raw_bytes.clone(), between, anchor.raw_bytes.clone(), of.valid_for))
    };
    root.timestamp_authorities.iter().filter_map(authority).collect()
}

/// The key that a certificate is about, if it is one that we can use.
pub(crate) fn certified_key(der: &[u8]) -> Option<PublicKey> {
    let info = parse_certificate_info(&DerCertificate::from_bytes(der)).ok()?;
    PublicKey::from_spki_der(info.public_key.as_bytes()).ok()
}

pub(super) fn public_key(key: &PublicKey) -> DerPublicKey {
    DerPublicKey::from_bytes(key.spki_der())
}

fn token(text: &str) -> Result<TimestampToken, Refusal> {
    let der = decode_base64(text).ok_or_else(|| malformed(&"a timestamp is no base64"))?;
    Ok(TimestampToken::new(der))
}

fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    let text: Cow<'_, str> = crate::reason::clean(&error.to_string(), 256).into();
    Refusal::new(ReasonCode::BundleMalformed, &text)
}

fn not_by_certificate() -> Refusal {
    Refusal::new(ReasonCode::IdentityMismatch, &"it is not signed by certificate, so it names no identity")
}
