//! What a transparency log answers: one entry, as the JSON form of `TransparencyLogEntry`.

use attestry_core::{Timestamp, strict_json};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The entry as a log of version 2 gives it, in the form that bundles have.
pub(super) fn v2(body: &[u8]) -> Result<Box<RawValue>, &'static str> {
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

/// The entry as a log of version 1 gives it, of this kind and for a certificate that ends then.
pub(super) fn v1(body: &[u8], kind: &str, not_after: Option<Timestamp>) -> Result<Box<RawValue>, &'static str> {
    let entries: std::collections::BTreeMap<String, EntryV1> =
        strict_json::read(body).map_err(|_| "it is no log entry with an inclusion proof")?;
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else { return Err("it holds none or several entries") };
    let proof = entry.verification.inclusion_proof;
    let hashes: Vec<String> = proof.hashes.iter().map(|hash| base64_of_hex(hash)).collect::<Option<_>>().ok_or(HEX)?;
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
    if not_after.is_none_or(|end| time <= end) {
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
