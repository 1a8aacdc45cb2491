//! The bundle of a signature by certificate: v0.3, with nothing in it that the format does not name.

use attestry_core::Digest;
use attestry_core::bundle::{BUNDLE_V03, Content as BundleContent, UnverifiedBundle, UnverifiedSigner};
use attestry_core::envelope::{EnvelopeJson, IN_TOTO, pae};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::Error;

/// A signature and the certificate of its key.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) content: Content,
    pub(crate) signature: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
}

/// What is signed.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A statement, in an envelope.
    Statement { payload: Vec<u8> },
    /// A file, known by its digest.
    Message { digest: Digest },
}

impl Content {
    /// SHA-256 of the bytes that the signature covers.
    pub(crate) fn signed_digest(&self) -> Digest {
        match self {
            Self::Statement { payload } => Digest::of(pae(IN_TOTO, payload)),
            Self::Message { digest } => *digest,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    media_type: &'static str,
    verification_material: Material<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<EnvelopeJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Material<'a> {
    certificate: RawBytes,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tlog_entries: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<Timestamps>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RawBytes {
    raw_bytes: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Timestamps {
    rfc3161_timestamps: Vec<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Timestamp {
    signed_timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
    signature: String,
}

#[derive(Serialize)]
struct MessageDigest {
    algorithm: &'static str,
    digest: String,
}

/// Writes a bundle. `timestamps` are whole responses in base64.
pub(crate) fn write(signature: &Signature, entries: &[Box<RawValue>], timestamps: Vec<String>) -> Vec<u8> {
    let (dsse_envelope, message_signature) = match &signature.content {
        Content::Statement { payload } => (Some(EnvelopeJson::new(IN_TOTO, payload, &signature.signature)), None),
        Content::Message { digest } => {
            let message_digest =
                MessageDigest { algorithm: "SHA2_256", digest: BASE64_STANDARD.encode(digest.as_bytes()) };
            (None, Some(MessageSignature { message_digest, signature: BASE64_STANDARD.encode(&signature.signature) }))
        }
    };
    let rfc3161_timestamps: Vec<_> =
        timestamps.into_iter().map(|signed_timestamp| Timestamp { signed_timestamp }).collect();
    let verification_material = Material {
        certificate: RawBytes { raw_bytes: BASE64_STANDARD.encode(&signature.certificate) },
        tlog_entries: entries,
        timestamp_verification_data: (!rfc3161_timestamps.is_empty()).then_some(Timestamps { rfc3161_timestamps }),
    };
    let bundle = Bundle { media_type: BUNDLE_V03, verification_material, dsse_envelope, message_signature };
    // Strings, and JSON that was parsed before: writing into memory cannot fail.
    serde_json::to_vec(&bundle).expect("a bundle is plain JSON")
}

/// Reads a bundle that waits for its log entry: the signature and its timestamps in base64.
pub(crate) fn read_pending(bytes: &[u8]) -> Result<(Signature, Vec<String>), Error> {
    let not_pending = |problem| Error::NotPending { problem };
    let UnverifiedBundle { material, content } =
        UnverifiedBundle::parse(bytes).map_err(|_| not_pending("it cannot be read"))?;
    if !material.log_entries.is_empty() {
        return Err(not_pending("it has a log entry"));
    }
    let certificate = match material.signer {
        UnverifiedSigner::Certificates(chain) => chain.into_iter().next(),
        UnverifiedSigner::Hint(_) | UnverifiedSigner::Unknown => None,
    };
    let certificate = certificate.ok_or_else(|| not_pending("it is not signed by certificate"))?;
    let (content, signature) = match content {
        BundleContent::Envelope(envelope) => {
            let [signature] = &envelope.signatures[..] else { return Err(not_pending("it has several signatures")) };
            if envelope.payload_type != IN_TOTO {
                return Err(not_pending("it holds no in-toto statement"));
            }
            (Content::Statement { payload: envelope.payload.clone() }, signature.clone())
        }
        BundleContent::Message(message) => {
            let digest = message.digest.as_deref().map(digest_of_bytes);
            let digest = digest.flatten().ok_or_else(|| not_pending("it does not name the file's digest"))?;
            (Content::Message { digest }, message.signature)
        }
    };
    Ok((Signature { content, signature, certificate }, material.timestamps))
}

fn digest_of_bytes(bytes: &[u8]) -> Option<Digest> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::from_hex(&hex).ok()
}

#[cfg(test)]
mod tests;
