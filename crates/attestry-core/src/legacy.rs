//! cosign's older layout: simple-signing payloads and DSSE envelopes as layers of `.sig` and `.att` tags
//! (sigstore/cosign specs/SIGNATURE_SPEC.md).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Digest, Repository,
    attachment::LegacyMaterial,
    bundle::{MAX_CHAIN, MaterialVersion, UnverifiedMaterial, UnverifiedSigner},
    envelope::decode_base64,
    predicate::COSIGN_SIGN,
    statement::{Statement, StatementSubject},
    strict_json::{self, StrictJsonError},
};

/// Media type of a simple-signing layer.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Media type of a DSSE layer.
pub const DSSE_LAYER: &str = "application/vnd.dsse.envelope.v1+json";
/// Layer annotation with the base64 signature over the payload; present and empty on DSSE layers.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Layer annotation with the signer's certificate in PEM.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// Layer annotation with the PEM certificates between the signer's and a root.
pub const CHAIN_ANNOTATION: &str = "dev.sigstore.cosign/chain";
/// Layer annotation with a Rekor v1 bundle.
pub const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
/// Layer annotation with an RFC 3161 timestamp.
pub const TIMESTAMP_ANNOTATION: &str = "dev.sigstore.cosign/rfc3161timestamp";
/// Layer annotation with the predicate type of a DSSE layer.
pub const PREDICATE_TYPE_ANNOTATION: &str = "predicateType";

const PAYLOAD_TYPE: &str = "cosign container image signature";

#[derive(Serialize, Deserialize)]
struct Payload {
    critical: Critical,
    optional: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    type_: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: Digest,
}

/// The simple-signing payload for an image, in cosign's member order and without white space.
pub fn payload(repository: &Repository, digest: Digest, annotations: Option<&BTreeMap<String, String>>) -> Vec<u8> {
    let optional = annotations.filter(|a| !a.is_empty());
    let payload = Payload {
        critical: Critical {
            identity: Identity { docker_reference: repository.to_string() },
            image: Image { docker_manifest_digest: digest },
            type_: PAYLOAD_TYPE.to_owned(),
        },
        optional: optional.map(|a| a.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect()),
    };
    // Plain strings only: writing into memory cannot fail.
    let text = serde_json::to_string(&payload).expect("a payload is plain JSON");
    // Go's encoder escapes these, and other tools compare bytes.
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026").into_bytes()
}

/// Reads a simple-signing payload as the statement that it amounts to: "this digest is signed".
///
/// As cosign does, the digest alone is compared; `docker-reference` names a repository, which policy may bind.
pub fn read_payload(bytes: &[u8]) -> Result<Statement, StrictJsonError> {
    let payload: Payload = strict_json::read(bytes)?;
    let raw: Box<RawValue> = strict_json::read(bytes)?;
    let subject = StatementSubject {
        name: Some(payload.critical.identity.docker_reference),
        digest: [("sha256".to_owned(), payload.critical.image.docker_manifest_digest.hex())].into(),
        annotations: payload.optional,
    };
    Ok(Statement { subjects: vec![subject], predicate_type: COSIGN_SIGN.to_owned(), predicate: raw })
}

/// Why a layer's annotations cannot be read. The reason code is `bundle-malformed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// The certificate annotation holds no PEM certificate, or the chain too many.
    #[error("the certificate annotations cannot be read")]
    Certificates,
    /// The log entry annotation is not of its shape.
    #[error("the log entry annotation cannot be read")]
    LogEntry,
    /// The timestamp annotation is not of its shape.
    #[error("the timestamp annotation cannot be read")]
    Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RekorBundleJson {
    signed_entry_timestamp: String,
    payload: RekorPayloadJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RekorPayloadJson {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryKindJson {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct TimestampJson {
    #[serde(rename = "SignedRFC3161Timestamp")]
    timestamp: String,
}

/// The annotations of a layer in the form that bundles have.
pub fn read_material(annotations: &LegacyMaterial) -> Result<UnverifiedMaterial, LegacyError> {
    let signer = match &annotations.certificate {
        None => UnverifiedSigner::Unknown,
        Some(leaf) => UnverifiedSigner::Certificates(read_chain(leaf, annotations.chain.as_deref())?),
    };
    let log_entries = match &annotations.log_entry {
        None => Vec::new(),
        Some(text) => vec![read_entry(text).ok_or(LegacyError::LogEntry)?],
    };
    let timestamps = match &annotations.timestamp {
        None => Vec::new(),
        Some(text) => {
            let json: TimestampJson = strict_json::read(text.as_bytes()).map_err(|_| LegacyError::Timestamp)?;
            vec![json.timestamp]
        }
    };
    Ok(UnverifiedMaterial { signer, log_entries, timestamps, version: MaterialVersion::Legacy })
}

fn read_chain(leaf: &str, chain: Option<&str>) -> Result<Vec<Vec<u8>>, LegacyError> {
    let mut certificates = Vec::new();
    for text in [Some(leaf), chain].into_iter().flatten() {
        for block in pem::parse_many(text).map_err(|_| LegacyError::Certificates)? {
            if block.tag() != "CERTIFICATE" || certificates.len() == MAX_CHAIN {
                return Err(LegacyError::Certificates);
            }
            certificates.push(block.into_contents());
        }
    }
    if certificates.is_empty() { Err(LegacyError::Certificates) } else { Ok(certificates) }
}

/// The entry with its promise, as `TransparencyLogEntry`. Kind and version stand in the body alone.
fn read_entry(text: &str) -> Option<Box<RawValue>> {
    let bundle: RekorBundleJson = strict_json::read(text.as_bytes()).ok()?;
    let body = decode_base64(&bundle.payload.body)?;
    let kind: EntryKindJson = strict_json::read(&body).ok()?;
    let log_id = STANDARD.encode(hex::decode(&bundle.payload.log_id).ok()?);
    let entry = serde_json::json!({
        "logIndex": bundle.payload.log_index.to_string(),
        "logId": {"keyId": log_id},
        "kindVersion": {"kind": kind.kind, "version": kind.api_version},
        "integratedTime": bundle.payload.integrated_time.to_string(),
        "inclusionPromise": {"signedEntryTimestamp": bundle.signed_entry_timestamp},
        "canonicalizedBody": bundle.payload.body,
    });
    serde_json::value::to_raw_value(&entry).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::statement::StrongDigests;

    #[test]
    fn golden_payload_and_its_statement() {
        let repository = "registry.example/app".parse().unwrap();
        let digest = Digest::of("{}");
        let bytes = payload(&repository, digest, None);
        let expected = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":"registry.example/app"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
        );
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
        let statement = read_payload(&bytes).unwrap();
        assert_eq!(statement.predicate_type, COSIGN_SIGN);
        assert!(statement.names(&digest, &StrongDigests::unknown()));
        let annotated = payload(&repository, digest, Some(&[("a".to_owned(), "<b&>".to_owned())].into()));
        assert!(String::from_utf8(annotated).unwrap().ends_with(r#""optional":{"a":"\u003cb\u0026\u003e"}}"#));
    }

    #[test]
    fn certificates_are_pem_blocks_of_that_name_and_counted() {
        let block = |tag: &str| format!("-----BEGIN {tag}-----\nAAAA\n-----END {tag}-----\n");
        let read = |chain: &str| read_chain(&block("CERTIFICATE"), Some(chain)).map(|chain| chain.len());
        let refused = || Err(LegacyError::Certificates);
        assert_eq!(read(""), Ok(1));
        assert_eq!(read(&block("CERTIFICATE").repeat(MAX_CHAIN - 1)), Ok(MAX_CHAIN));
        assert_eq!(read(&block("CERTIFICATE").repeat(MAX_CHAIN)), refused());
        assert_eq!(read(&block("PUBLIC KEY")), refused());
        assert_eq!(read_chain(&block("PUBLIC KEY"), None).map(|chain| chain.len()), refused());
        assert_eq!(read_chain("", None).map(|chain| chain.len()), refused());
    }

    #[test]
    fn payloads_that_cannot_be_read_are_refused() {
        for text in ["", "{}", r#"{"critical":{"image":{"docker-manifest-digest":"sha256:AB"}}}"#, "null"] {
            assert!(read_payload(text.as_bytes()).is_err(), "{text}");
        }
    }
}
