//! Sigstore bundles (sigstore/protobuf-specs v0.5.1, sigstore_bundle.proto; v0.1 to v0.3).
//!
//! Read into what verification needs, written for signatures by key. Nothing here decides anything.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Digest,
    crypto::KeyId,
    envelope::{EnvelopeError, EnvelopeJson, UnverifiedEnvelope, decode_base64},
    strict_json::{self, StrictJsonError},
};

/// The media type that is written, and the artifact type of its manifest.
pub const BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const BUNDLE_V01: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const BUNDLE_V02: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
/// Every media type that is read.
pub const BUNDLE_TYPES: [&str; 4] =
    [BUNDLE_V01, BUNDLE_V02, "application/vnd.dev.sigstore.bundle+json;version=0.3", BUNDLE_V03];
/// How large a bundle may be; SBOMs are large.
pub const MAX_BUNDLE: usize = 16 << 20;
/// How much of it may lie outside the payload.
pub const MAX_OUTSIDE_PAYLOAD: usize = 1 << 20;
/// The one digest of a message that is understood, as the protobuf enum names it.
const SHA256: &str = "SHA2_256";
/// How many log entries, and how many timestamps, one signature may carry.
pub const MAX_PROOFS: usize = 32;
/// How many certificates may come along.
pub const MAX_CHAIN: usize = 8;

/// A bundle as it was received. Nothing in it has been verified.
#[derive(Debug, Clone)]
pub struct UnverifiedBundle {
    /// What came along to prove the signature.
    pub material: UnverifiedMaterial,
    /// What was signed.
    pub content: Content,
}

/// Everything that came along to prove a signature, in one form for bundles and legacy layers.
///
/// Log entries and timestamps are kept as they were written: they are read only under a trust root.
#[derive(Debug, Clone)]
pub struct UnverifiedMaterial {
    /// What is said about the signer.
    pub signer: UnverifiedSigner,
    /// Entries of transparency logs, each in the JSON form of `TransparencyLogEntry` (sigstore_rekor.proto).
    pub log_entries: Vec<Box<RawValue>>,
    /// RFC 3161 responses in base64.
    pub timestamps: Vec<String>,
    /// Which shape it must have.
    pub version: MaterialVersion,
}

/// What the shape of the material must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaterialVersion {
    /// Bundles v0.1: every log entry has a promise.
    V01,
    /// Bundles v0.2: every log entry has an inclusion proof.
    V02,
    /// Bundles v0.3: as v0.2, with a single certificate.
    V03,
    /// The annotations of a legacy layer: a promise, no proof.
    Legacy,
}

/// What is said about the signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnverifiedSigner {
    /// Nothing.
    Unknown,
    /// A key that is known otherwise. The hint proves nothing: cosign and attestry write base64 of SHA-256 of the
    /// SPKI.
    Hint(String),
    /// Certificates in DER, leaf first.
    Certificates(Vec<Vec<u8>>),
}

/// What a bundle's signature covers.
#[derive(Debug, Clone)]
pub enum Content {
    /// A DSSE envelope.
    Envelope(UnverifiedEnvelope),
    /// A signature over a file. It never counts for an image (attack 10).
    Message(UnverifiedMessage),
}

/// A signature over a file, with the digest that the bundle claims for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedMessage {
    /// The signature.
    pub signature: Vec<u8>,
    /// The claimed SHA-256 of the file, a hint that must agree.
    pub digest: Option<Vec<u8>>,
}

/// Why bytes are no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// Not strict JSON, or not of the bundle's shape.
    #[error("the bundle cannot be read: {0}")]
    Json(#[from] StrictJsonError),
    /// A media type or version that is not understood. The reason code is `bundle-unsupported`.
    #[error("bundle media type {0:?} is not understood")]
    MediaType(String),
    /// None or several members where exactly one belongs.
    #[error("the bundle needs exactly one of {0}")]
    OneOf(&'static str),
    /// A bad envelope.
    #[error("the bundle's envelope cannot be read: {0}")]
    Envelope(#[from] EnvelopeError),
    /// A certificate that is no base64, or too many of them.
    #[error("the bundle's certificates cannot be read")]
    Certificates,
    /// A message signature that is no base64, or is over another digest than SHA-256.
    #[error("the bundle's message signature cannot be read: base64 over SHA2_256 is understood")]
    Message,
    /// More than [`MAX_PROOFS`] log entries or timestamps.
    #[error("the bundle carries more than {MAX_PROOFS} log entries or timestamps")]
    TooManyProofs,
    /// Larger than [`MAX_BUNDLE`], or more than [`MAX_OUTSIDE_PAYLOAD`] outside the payload.
    #[error("the bundle is larger than is read")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleJson {
    #[serde(default)]
    media_type: String,
    verification_material: Option<MaterialJson>,
    dsse_envelope: Option<EnvelopeJson>,
    message_signature: Option<MessageJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageJson {
    message_digest: Option<MessageDigestJson>,
    #[serde(default)]
    signature: String,
}

#[derive(Deserialize)]
struct MessageDigestJson {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    certificate: Option<CertificateJson>,
    x509_certificate_chain: Option<ChainJson>,
    public_key: Option<PublicKeyJson>,
    tlog_entries: Option<Vec<Box<RawValue>>>,
    timestamp_verification_data: Option<TimestampsJson>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateJson {
    #[serde(default)]
    raw_bytes: String,
}

#[derive(Deserialize)]
struct ChainJson {
    #[serde(default)]
    certificates: Vec<CertificateJson>,
}

#[derive(Deserialize, Serialize)]
struct PublicKeyJson {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimestampsJson {
    rfc3161_timestamps: Option<Vec<TimestampJson>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimestampJson {
    #[serde(default)]
    signed_timestamp: String,
}

impl UnverifiedBundle {
    /// Reads a bundle of any version after a strict pass over its JSON.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE {
            return Err(BundleError::TooLarge);
        }
        let json: BundleJson = strict_json::read(bytes)?;
        if !BUNDLE_TYPES.contains(&json.media_type.as_str()) {
            return Err(BundleError::MediaType(crate::reason::clean(&json.media_type, 128)));
        }
        let payload = json.dsse_envelope.as_ref().map_or(0, |e| e.payload.len());
        if bytes.len().saturating_sub(payload) > MAX_OUTSIDE_PAYLOAD {
            return Err(BundleError::TooLarge);
        }
        let version = match json.media_type.as_str() {
            BUNDLE_V01 => MaterialVersion::V01,
            BUNDLE_V02 => MaterialVersion::V02,
            _ => MaterialVersion::V03,
        };
        let material =
            json.verification_material.ok_or(BundleError::OneOf("publicKey, certificate, x509CertificateChain"))?;
        let content = match (json.dsse_envelope, json.message_signature) {
            (Some(envelope), None) => Content::Envelope(UnverifiedEnvelope::from_json(&envelope)?),
            (None, Some(message)) => Content::Message(read_message(&message)?),
            _ => return Err(BundleError::OneOf("dsseEnvelope, messageSignature")),
        };
        Ok(Self { material: read_material(material, version)?, content })
    }
}

fn read_material(json: MaterialJson, version: MaterialVersion) -> Result<UnverifiedMaterial, BundleError> {
    let signer = match (json.public_key, json.certificate, json.x509_certificate_chain) {
        (Some(key), None, None) => UnverifiedSigner::Hint(key.hint),
        (None, Some(certificate), None) => read_chain(vec![certificate])?,
        // A v0.3 bundle has room for one certificate only.
        (None, None, Some(chain)) if version != MaterialVersion::V03 => read_chain(chain.certificates)?,
        (None, None, Some(_)) => return Err(BundleError::Certificates),
        _ => return Err(BundleError::OneOf("publicKey, certificate, x509CertificateChain")),
    };
    let timestamps = json.timestamp_verification_data.and_then(|data| data.rfc3161_timestamps).unwrap_or_default();
    let timestamps: Vec<String> = timestamps.into_iter().map(|t| t.signed_timestamp).collect();
    let log_entries = json.tlog_entries.unwrap_or_default();
    if log_entries.len() > MAX_PROOFS || timestamps.len() > MAX_PROOFS {
        return Err(BundleError::TooManyProofs);
    }
    Ok(UnverifiedMaterial { signer, log_entries, timestamps, version })
}

fn read_chain(certificates: Vec<CertificateJson>) -> Result<UnverifiedSigner, BundleError> {
    if certificates.is_empty() || certificates.len() > MAX_CHAIN {
        return Err(BundleError::Certificates);
    }
    let chain = certificates.iter().map(|c| decode_base64(&c.raw_bytes)).collect::<Option<_>>();
    chain.map(UnverifiedSigner::Certificates).ok_or(BundleError::Certificates)
}

fn read_message(json: &MessageJson) -> Result<UnverifiedMessage, BundleError> {
    let signature = decode_base64(&json.signature).filter(|s| !s.is_empty()).ok_or(BundleError::Message)?;
    let digest = match &json.message_digest {
        None => None,
        Some(digest) if digest.algorithm == SHA256 => Some(decode_base64(&digest.digest).ok_or(BundleError::Message)?),
        Some(_) => return Err(BundleError::Message),
    };
    Ok(UnverifiedMessage { signature, digest })
}

/// The hint of a key bundle: base64 of SHA-256 of the SPKI, as cosign writes it.
pub fn key_hint(key: &KeyId) -> String {
    STANDARD.encode(key.as_bytes())
}

/// A v0.3 bundle of an envelope signed by a key, without log entry or timestamp.
pub fn key_bundle(key: &KeyId, envelope: &EnvelopeJson) -> Vec<u8> {
    written(key, OutContent::DsseEnvelope(envelope))
}

/// A v0.3 bundle of a signature over a file by a key, without log entry or timestamp.
pub fn key_message_bundle(key: &KeyId, file: &Digest, signature: &[u8]) -> Vec<u8> {
    written(
        key,
        OutContent::MessageSignature(OutMessage {
            message_digest: OutMessageDigest { algorithm: SHA256, digest: STANDARD.encode(file.as_bytes()) },
            signature: STANDARD.encode(signature),
        }),
    )
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out<'a> {
    media_type: &'static str,
    verification_material: OutMaterial,
    #[serde(flatten)]
    content: OutContent<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutMaterial {
    public_key: PublicKeyJson,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum OutContent<'a> {
    DsseEnvelope(&'a EnvelopeJson),
    MessageSignature(OutMessage),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OutMessage {
    message_digest: OutMessageDigest,
    signature: String,
}

#[derive(Serialize)]
struct OutMessageDigest {
    algorithm: &'static str,
    digest: String,
}

fn written(key: &KeyId, content: OutContent<'_>) -> Vec<u8> {
    let verification_material = OutMaterial { public_key: PublicKeyJson { hint: key_hint(key) } };
    let out = Out { media_type: BUNDLE_V03, verification_material, content };
    // Plain strings only: writing into memory cannot fail.
    serde_json::to_vec(&out).expect("a bundle is plain JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::envelope::IN_TOTO;

    fn sample() -> String {
        let envelope = EnvelopeJson::new(IN_TOTO, b"{}", b"sig");
        String::from_utf8(key_bundle(&Digest::of("key"), &envelope)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let bundle = UnverifiedBundle::parse(sample().as_bytes()).unwrap();
        assert_eq!(bundle.material.signer, UnverifiedSigner::Hint(key_hint(&Digest::of("key"))));
        assert!(bundle.material.log_entries.is_empty() && bundle.material.timestamps.is_empty());
        assert!(matches!(bundle.content, Content::Envelope(e) if e.payload == b"{}" && e.signatures == [b"sig"]));
    }

    #[test]
    fn a_message_signature_is_read_back() {
        let bytes = key_message_bundle(&Digest::of("key"), &Digest::of("file"), b"sig");
        let Content::Message(message) = UnverifiedBundle::parse(&bytes).unwrap().content else { panic!("a message") };
        assert_eq!(message.signature, b"sig");
        assert_eq!(message.digest.as_deref(), Some(&Digest::of("file").as_bytes()[..]));
        let other = String::from_utf8(bytes).unwrap().replace("SHA2_256", "SHA2_512");
        assert_eq!(UnverifiedBundle::parse(other.as_bytes()).unwrap_err(), BundleError::Message);
    }

    #[test]
    fn shapes_that_a_lenient_parser_could_read_two_ways_are_refused() {
        let good = sample();
        for (from, to) in [
            ("bundle.v0.3", "bundle.v0.4"),
            (r#""publicKey":{"#, r#""certificate":{"rawBytes":"AA=="},"publicKey":{"#),
            (r#""publicKey""#, r#""someKey""#),
            (r#""dsseEnvelope":"#, r#""messageSignature":{},"dsseEnvelope":"#),
            (r#""dsseEnvelope":"#, r#""dsseEnvelope":null,"dsseEnvelope":"#),
            (r#""signatures":["#, r#""signatures":[],"other":["#),
            (r#""payload":"e30=""#, r#""payload":"e30= ""#),
            (r#"{"mediaType""#, r#"[{"mediaType""#),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert!(UnverifiedBundle::parse(changed.as_bytes()).is_err(), "{from} → {to}");
        }
    }

    #[test]
    fn attack_36_a_large_bundle_is_only_large_by_its_payload() {
        let around = sample().len() - "e30=".len() + r#""pad":"","#.len();
        let padded =
            |outside: usize| sample().replacen("{", &format!(r#"{{"pad":"{}","#, "x".repeat(outside - around)), 1);
        assert!(UnverifiedBundle::parse(padded(MAX_OUTSIDE_PAYLOAD).as_bytes()).is_ok());
        let large = padded(MAX_OUTSIDE_PAYLOAD + 1);
        assert_eq!(UnverifiedBundle::parse(large.as_bytes()).unwrap_err(), BundleError::TooLarge);
        let whole = |size: usize| sample().replacen("e30=", &"A".repeat(size - (sample().len() - "e30=".len())), 1);
        let at_most = whole(MAX_BUNDLE - MAX_BUNDLE.abs_diff(sample().len()) % 4);
        assert!(UnverifiedBundle::parse(at_most.as_bytes()).is_ok(), "{}", at_most.len());
        assert_eq!(UnverifiedBundle::parse(whole(MAX_BUNDLE + 1).as_bytes()).unwrap_err(), BundleError::TooLarge);
    }

    /// Certificates, log entries and timestamps: how many, and in which version which form.
    #[test]
    fn material_is_read_by_its_version_and_counted() {
        let read = |version: &str, material: &str| {
            let media_type = format!(r#""mediaType":"{version}""#);
            let text = sample().replacen(&format!(r#""mediaType":"{BUNDLE_V03}""#), &media_type, 1);
            let hint = format!(r#""publicKey":{{"hint":"{}"}}"#, key_hint(&Digest::of("key")));
            assert!(text.contains(&hint));
            UnverifiedBundle::parse(text.replacen(&hint, material, 1).as_bytes()).map(|bundle| bundle.material)
        };
        let chain = |length: usize| {
            format!(
                r#""x509CertificateChain":{{"certificates":[{}]}}"#,
                vec![r#"{"rawBytes":"AAAA"}"#; length].join(",")
            )
        };
        let certificates = |length: usize| UnverifiedSigner::Certificates(vec![vec![0; 3]; length]);
        let single = r#""certificate":{"rawBytes":"AAAA"}"#;
        for (text, version) in
            [(BUNDLE_V01, MaterialVersion::V01), (BUNDLE_V02, MaterialVersion::V02), (BUNDLE_V03, MaterialVersion::V03)]
        {
            let material = read(text, single).unwrap();
            assert_eq!((material.version, material.signer), (version, certificates(1)));
        }
        assert_eq!(read(BUNDLE_V02, &chain(MAX_CHAIN)).unwrap().signer, certificates(MAX_CHAIN));
        for refused in [chain(0), chain(MAX_CHAIN + 1), single.replace("AAAA", "A A A A")] {
            assert_eq!(read(BUNDLE_V02, &refused).unwrap_err(), BundleError::Certificates, "{refused}");
        }
        assert_eq!(read(BUNDLE_V03, &chain(1)).unwrap_err(), BundleError::Certificates);
        let proofs = |entries: usize, stamps: usize| {
            let [entries, stamps] = [("{}", entries), (r#"{"signedTimestamp":"AAAA"}"#, stamps)]
                .map(|(one, count)| vec![one; count].join(","));
            let stamps = format!(r#""timestampVerificationData":{{"rfc3161Timestamps":[{stamps}]}}"#);
            read(BUNDLE_V03, &format!(r#"{single},"tlogEntries":[{entries}],{stamps}"#))
                .map(|material| (material.log_entries.len(), material.timestamps.len()))
        };
        assert_eq!(proofs(MAX_PROOFS, MAX_PROOFS), Ok((MAX_PROOFS, MAX_PROOFS)));
        assert_eq!(proofs(MAX_PROOFS + 1, 0), Err(BundleError::TooManyProofs));
        assert_eq!(proofs(0, MAX_PROOFS + 1), Err(BundleError::TooManyProofs));
    }

    #[test]
    fn a_bundle_may_be_as_large_as_is_said() {
        let payload = |length: usize| {
            let text = sample().replacen("e30=", &"A".repeat(length), 1);
            UnverifiedBundle::parse(text.as_bytes()).map(|_| text.len())
        };
        let around = sample().len() - "e30=".len();
        // The payload is base64, so the exact size is met by white space after it.
        let longest = (MAX_BUNDLE - around) / 4 * 4;
        let text = sample().replacen("e30=", &"A".repeat(longest), 1);
        let padded = format!("{text}{}", " ".repeat(MAX_BUNDLE - text.len()));
        assert_eq!(padded.len(), MAX_BUNDLE);
        assert!(UnverifiedBundle::parse(padded.as_bytes()).is_ok());
        assert_eq!(UnverifiedBundle::parse(format!("{padded} ").as_bytes()).unwrap_err(), BundleError::TooLarge);
        assert_eq!(payload(longest + 4), Err(BundleError::TooLarge));
    }
}
