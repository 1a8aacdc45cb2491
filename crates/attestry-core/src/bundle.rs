//! Sigstore bundles (sigstore/protobuf-specs v0.5.1, sigstore_bundle.proto; v0.1 to v0.3).
//!
//! Read into what verification needs, written for signatures by key. Nothing here decides anything.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use crate::{
    crypto::KeyId,
    envelope::{EnvelopeError, EnvelopeJson, UnverifiedEnvelope, decode_base64},
    strict_json::{self, StrictJsonError},
};

/// The media type that is written, and the artifact type of its manifest.
pub const BUNDLE_V03: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Every media type that is read.
pub const BUNDLE_TYPES: [&str; 4] = [
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    BUNDLE_V03,
];
/// How large a bundle may be; SBOMs are large.
pub const MAX_BUNDLE: usize = 16 << 20;
/// How much of it may lie outside the payload.
pub const MAX_OUTSIDE_PAYLOAD: usize = 1 << 20;
const MAX_CHAIN: usize = 8;

/// A bundle as it was received. Nothing in it has been verified.
#[derive(Debug, Clone)]
pub struct UnverifiedBundle {
    /// What it says about its signer.
    pub material: Material,
    /// Number of transparency log entries that it carries.
    pub log_entries: usize,
    /// Number of RFC 3161 timestamps that it carries.
    pub timestamps: usize,
    /// What was signed.
    pub content: Content,
}

/// What a bundle says about its signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    /// A key that is known otherwise. The hint proves nothing.
    PublicKey {
        /// Free text; cosign and attestry write base64 of SHA-256 of the SPKI.
        hint: String,
    },
    /// Certificates in DER, leaf first.
    Certificates(Vec<Vec<u8>>),
}

/// What a bundle's signature covers.
#[derive(Debug, Clone)]
pub enum Content {
    /// A DSSE envelope.
    Envelope(UnverifiedEnvelope),
    /// A signature over a file. It never counts for an image (attack 10).
    MessageSignature,
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
    message_signature: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MaterialJson {
    certificate: Option<CertificateJson>,
    x509_certificate_chain: Option<ChainJson>,
    public_key: Option<PublicKeyJson>,
    tlog_entries: Option<Vec<serde_json::Value>>,
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
    rfc3161_timestamps: Option<Vec<serde_json::Value>>,
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
        let material =
            json.verification_material.ok_or(BundleError::OneOf("publicKey, certificate, x509CertificateChain"))?;
        let content = match (json.dsse_envelope, json.message_signature) {
            (Some(envelope), None) => Content::Envelope(UnverifiedEnvelope::from_json(&envelope)?),
            (None, Some(_)) => Content::MessageSignature,
            _ => return Err(BundleError::OneOf("dsseEnvelope, messageSignature")),
        };
        Ok(Self {
            log_entries: material.tlog_entries.as_ref().map_or(0, Vec::len),
            timestamps: (material.timestamp_verification_data.as_ref())
                .map_or(0, |t| t.rfc3161_timestamps.as_ref().map_or(0, Vec::len)),
            material: read_material(material)?,
            content,
        })
    }
}

fn read_material(json: MaterialJson) -> Result<Material, BundleError> {
    match (json.public_key, json.certificate, json.x509_certificate_chain) {
        (Some(key), None, None) => Ok(Material::PublicKey { hint: key.hint }),
        (None, Some(certificate), None) => read_chain(vec![certificate]),
        (None, None, Some(chain)) => read_chain(chain.certificates),
        _ => Err(BundleError::OneOf("publicKey, certificate, x509CertificateChain")),
    }
}

fn read_chain(certificates: Vec<CertificateJson>) -> Result<Material, BundleError> {
    if certificates.is_empty() || certificates.len() > MAX_CHAIN {
        return Err(BundleError::Certificates);
    }
    let chain = certificates.iter().map(|c| decode_base64(&c.raw_bytes)).collect::<Option<_>>();
    chain.map(Material::Certificates).ok_or(BundleError::Certificates)
}

/// The hint of a key bundle: base64 of SHA-256 of the SPKI, as cosign writes it.
pub fn key_hint(key: &KeyId) -> String {
    STANDARD.encode(key.as_bytes())
}

/// A v0.3 bundle of an envelope signed by a key, without log entry or timestamp.
pub fn key_bundle(key: &KeyId, envelope: &EnvelopeJson) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Out<'a> {
        media_type: &'static str,
        verification_material: OutMaterial,
        dsse_envelope: &'a EnvelopeJson,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct OutMaterial {
        public_key: PublicKeyJson,
    }
    let verification_material = OutMaterial { public_key: PublicKeyJson { hint: key_hint(key) } };
    let out = Out { media_type: BUNDLE_V03, verification_material, dsse_envelope: envelope };
    // Plain strings only: writing into memory cannot fail.
    serde_json::to_vec(&out).expect("a bundle is plain JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Digest, envelope::IN_TOTO};

    fn sample() -> String {
        let envelope = EnvelopeJson::new(IN_TOTO, b"{}", b"sig");
        String::from_utf8(key_bundle(&Digest::of("key"), &envelope)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let bundle = UnverifiedBundle::parse(sample().as_bytes()).unwrap();
        assert_eq!(bundle.material, Material::PublicKey { hint: key_hint(&Digest::of("key")) });
        assert_eq!((bundle.log_entries, bundle.timestamps), (0, 0));
        assert!(matches!(bundle.content, Content::Envelope(e) if e.payload == b"{}" && e.signatures == [b"sig"]));
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
        let padded = sample().replacen("{", &format!(r#"{{"pad":"{}","#, "x".repeat(MAX_OUTSIDE_PAYLOAD)), 1);
        assert_eq!(UnverifiedBundle::parse(padded.as_bytes()).unwrap_err(), BundleError::TooLarge);
    }
}
