//! What a client sends to a log: the bodies of `POST …/log/entries`, for both generations.

use attestry_core::{
    Digest,
    envelope::{EnvelopeJson, decode_base64},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

/// The one algorithm of keys that these logs see.
pub(crate) const P256: &str = "PKIX_ECDSA_P256_SHA_256";

/// What an entry says that its signature verifies with.
#[derive(Debug, Clone, Copy)]
pub enum Verifier<'a> {
    /// A certificate in DER.
    Certificate(&'a [u8]),
    /// A SubjectPublicKeyInfo in DER.
    PublicKey(&'a [u8]),
}

impl Verifier<'_> {
    /// PEM, as every version of the first generation holds it.
    pub fn pem(&self) -> String {
        let (label, der) = match self {
            Self::Certificate(der) => ("CERTIFICATE", der),
            Self::PublicKey(der) => ("PUBLIC KEY", der),
        };
        let ending = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new(label, *der), ending)
    }

    /// As the second generation holds it.
    pub(crate) fn raw(&self) -> Value {
        let (field, der) = match self {
            Self::Certificate(der) => ("x509Certificate", der),
            Self::PublicKey(der) => ("publicKey", der),
        };
        json!({ "keyDetails": P256, field: { "rawBytes": STANDARD.encode(der) } })
    }

    /// The public key in DER, or `None` where the bytes are no certificate.
    pub(crate) fn spki(&self) -> Option<Vec<u8>> {
        match self {
            Self::Certificate(der) => {
                Certificate::from_der(der).ok()?.tbs_certificate.subject_public_key_info.to_der().ok()
            }
            Self::PublicKey(der) => Some(der.to_vec()),
        }
    }
}

/// First generation: `hashedrekord` 0.0.1 over an artifact.
pub fn hashedrekord(artifact: &[u8], signature: &[u8], verifier: Verifier<'_>) -> Value {
    let spec = json!({
        "data": { "hash": { "algorithm": "sha256", "value": hex_digest(artifact) } },
        "signature": {
            "content": STANDARD.encode(signature),
            "publicKey": { "content": STANDARD.encode(verifier.pem()) },
        },
    });
    proposal("hashedrekord", "0.0.1", spec)
}

/// First generation: `dsse` 0.0.1, whose text the log hashes as it is.
pub fn dsse(envelope: &EnvelopeJson, verifier: Verifier<'_>) -> Value {
    let text = serde_json::to_string(envelope).unwrap();
    let content = json!({ "envelope": text, "verifiers": [STANDARD.encode(verifier.pem())] });
    proposal("dsse", "0.0.1", json!({ "proposedContent": content }))
}

/// First generation: `intoto` 0.0.1, which names one key and does not repeat the signature.
pub fn intoto_v001(envelope: &EnvelopeJson, verifier: Verifier<'_>) -> Value {
    let text = serde_json::to_string(envelope).unwrap();
    let spec = json!({ "content": { "envelope": text }, "publicKey": STANDARD.encode(verifier.pem()) });
    proposal("intoto", "0.0.1", spec)
}

/// First generation: `intoto` 0.0.2, where payload and signature are base64 twice.
pub fn intoto(envelope: &EnvelopeJson, verifier: Verifier<'_>) -> Value {
    let signatures: Vec<Value> = (envelope.signatures.iter())
        .map(
            |signature| json!({ "sig": STANDARD.encode(&signature.sig), "publicKey": STANDARD.encode(verifier.pem()) }),
        )
        .collect();
    let payload = decode_base64(&envelope.payload).unwrap();
    let content = json!({
        "envelope": {
            "payload": STANDARD.encode(&envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": signatures,
        },
        "hash": { "algorithm": "sha256", "value": hex_digest(&serde_json::to_vec(envelope).unwrap()) },
        "payloadHash": { "algorithm": "sha256", "value": hex_digest(&payload) },
    });
    proposal("intoto", "0.0.2", json!({ "content": content }))
}

/// Second generation: `hashedrekord` 0.0.2 over an artifact, which for an envelope is its PAE.
pub fn hashedrekord_v002(artifact: &[u8], signature: &[u8], verifier: Verifier<'_>) -> Value {
    json!({
        "hashedRekordRequestV002": {
            "digest": STANDARD.encode(Digest::of(artifact).as_bytes()),
            "signature": { "content": STANDARD.encode(signature), "verifier": verifier.raw() },
        },
    })
}

/// Second generation until 2026-06: `dsse` 0.0.2.
pub fn dsse_v002(envelope: &EnvelopeJson, verifier: Verifier<'_>) -> Value {
    json!({ "dsseRequestV002": { "envelope": envelope, "verifiers": [verifier.raw()] } })
}

fn proposal(kind: &str, version: &str, spec: Value) -> Value {
    json!({ "apiVersion": version, "kind": kind, "spec": spec })
}

pub(crate) fn hex_digest(bytes: &[u8]) -> String {
    hex::encode(Digest::of(bytes).as_bytes())
}
