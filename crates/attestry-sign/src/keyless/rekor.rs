//! An entry in a transparency log: Rekor v1 (`/api/v1/log/entries`) and Rekor v2 (`/api/v2/log/entries`).
//!
//! An entry comes back as the JSON form of `TransparencyLogEntry` (sigstore_rekor.proto). A log of version 2 answers in
//! that form, and its answer is kept as it is; what a log of version 1 answers is translated. Whether the entry is in
//! the log and about our signature is checked with the finished bundle.

use attestry_core::envelope::{EnvelopeJson, IN_TOTO};
use attestry_core::{Timestamp, strict_json};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use url::Url;

use super::bundle::{Content, Signature};
use super::http::{Answer, Asking, Call, Service};
use super::services::{Log, LogVersion};
use super::{fulcio, join};
use crate::Error;
use crate::key::pem;

const MAX_ANSWER: usize = 1 << 20;

/// Logs a signature and gives the entry for its bundle.
pub(crate) async fn log(asking: &Asking<'_>, log: &Log, signature: &Signature) -> Result<Box<RawValue>, Error> {
    let (path, request) = match log.version {
        LogVersion::V1 => ("api/v1/log/entries", proposal_v1(signature)),
        LogVersion::V2 => ("api/v2/log/entries", proposal_v2(signature)),
    };
    let mut call = Call {
        service: Service::Log,
        url: join(&log.url, path),
        body: Some(("application/json", request.to_string().into())),
        accept: "application/json",
        bearer: None,
        limit: MAX_ANSWER,
        also: (log.version == LogVersion::V1).then_some(StatusCode::CONFLICT),
    };
    let mut answer = asking.ask(&call).await?;
    // Version 1 keeps an entry once: a repeated request, or a signature that was logged before, is told where it is.
    if answer.status == StatusCode::CONFLICT {
        let url =
            location(&call.url, &answer).ok_or_else(|| call.malformed("it has the entry and does not say where"))?;
        call = Call { url, body: None, also: None, ..call };
        answer = asking.ask(&call).await?;
    }
    let entry = match log.version {
        LogVersion::V1 => entry_v1(&answer.body, signature),
        LogVersion::V2 => entry_v2(&answer.body),
    };
    entry.map_err(|problem| call.malformed(problem))
}

/// Where the entry is; another host than the log's own is never asked.
fn location(asked: &Url, answer: &Answer) -> Option<Url> {
    let url = asked.join(answer.location.as_deref()?).ok()?;
    (url.origin() == asked.origin()).then_some(url)
}

fn proposal_v1(signature: &Signature) -> Value {
    let verifier = BASE64_STANDARD.encode(pem::encode("CERTIFICATE", &signature.certificate).as_bytes());
    let (kind, spec) = match &signature.content {
        Content::Statement { payload } => {
            let envelope = EnvelopeJson::new(IN_TOTO, payload, &signature.signature);
            // Plain strings only: writing into memory cannot fail.
            let envelope = serde_json::to_string(&envelope).expect("an envelope is plain JSON");
            ("dsse", json!({ "proposedContent": { "envelope": envelope, "verifiers": [verifier] } }))
        }
        Content::Message { digest } => {
            let signature = BASE64_STANDARD.encode(&signature.signature);
            let spec = json!({
                "data": { "hash": { "algorithm": "sha256", "value": digest.hex() } },
                "signature": { "content": signature, "publicKey": { "content": verifier } },
            });
            ("hashedrekord", spec)
        }
    };
    json!({ "apiVersion": "0.0.1", "kind": kind, "spec": spec })
}

/// Version 2 keeps digests only: of a file, or of the bytes that an envelope's signature covers.
fn proposal_v2(signature: &Signature) -> Value {
    let verifier = json!({
        "x509Certificate": { "rawBytes": BASE64_STANDARD.encode(&signature.certificate) },
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    });
    json!({ "hashedRekordRequestV002": {
        "digest": BASE64_STANDARD.encode(signature.content.signed_digest().as_bytes()),
        "signature": { "content": BASE64_STANDARD.encode(&signature.signature), "verifier": verifier },
    } })
}

fn entry_v2(body: &[u8]) -> Result<Box<RawValue>, &'static str> {
    strict_json::check(body).map_err(|_| "it is not strict JSON")?;
    let value: Map<String, Value> = serde_json::from_slice(body).map_err(|_| "it is no log entry")?;
    if !["logId", "kindVersion", "inclusionProof", "canonicalizedBody"].iter().all(|name| value.contains_key(*name)) {
        return Err("it is a log entry without proof or body");
    }
    serde_json::from_slice(body).map_err(|_| "it is no log entry")
}

/// An entry as version 1 gives it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryV1 {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: VerificationV1,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationV1 {
    inclusion_proof: ProofV1,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProofV1 {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

fn entry_v1(body: &[u8], signature: &Signature) -> Result<Box<RawValue>, &'static str> {
    let entries: std::collections::BTreeMap<String, EntryV1> =
        strict_json::read(body).map_err(|_| "it is no log entry with an inclusion proof")?;
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else { return Err("it holds none or several entries") };
    let proof = entry.verification.inclusion_proof;
    let hashes: Vec<String> = proof.hashes.iter().map(|hash| base64_of_hex(hash)).collect::<Option<_>>().ok_or(HEX)?;
    let kind = match signature.content {
        Content::Statement { .. } => "dsse",
        Content::Message { .. } => "hashedrekord",
    };
    let mut value = json!({
        "logIndex": entry.log_index.to_string(),
        "logId": { "keyId": base64_of_hex(&entry.log_id).ok_or(HEX)? },
        "kindVersion": { "kind": kind, "version": "0.0.1" },
        "inclusionProof": {
            "logIndex": proof.log_index.to_string(),
            "rootHash": base64_of_hex(&proof.root_hash).ok_or(HEX)?,
            "treeSize": proof.tree_size.to_string(),
            "hashes": hashes,
            "checkpoint": { "envelope": proof.checkpoint },
        },
        "canonicalizedBody": entry.body,
    });
    // Verifiers want every signed time to lie within the certificate's minutes. An entry that was made up for later has
    // its time left out with the promise that signs it: the timestamp proves when, the inclusion proof that it is logged.
    let time = Timestamp::from_second(entry.integrated_time).map_err(|_| "its time is impossible")?;
    if fulcio::not_after(&signature.certificate).is_none_or(|end| time <= end) {
        value["integratedTime"] = entry.integrated_time.to_string().into();
        value["inclusionPromise"] = json!({ "signedEntryTimestamp": entry.verification.signed_entry_timestamp });
    }
    // Made of strings a moment ago.
    Ok(serde_json::value::to_raw_value(&value).expect("a log entry is plain JSON"))
}

const HEX: &str = "its hashes are not hexadecimal";

fn base64_of_hex(hex: &str) -> Option<String> {
    if !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) || !hex.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok()).collect();
    bytes.map(|bytes| BASE64_STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests;
