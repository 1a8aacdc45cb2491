//! Documents that registries, signers and people hand us.

use attestry_core::{
    Digest, Evidence, Reference, Repository,
    attachment::LegacyMaterial,
    bundle::{Content, MAX_CHAIN, MAX_PROOFS, UnverifiedBundle, UnverifiedSigner},
    canonical,
    envelope::{EnvelopeJson, MAX_SIGNATURES, UnverifiedEnvelope, decode_base64},
    legacy,
    manifest::{DOCKER_INDEX, DOCKER_MANIFEST, ImageConfig, Manifest, OCI_INDEX, OCI_MANIFEST},
    reference::normal_host,
    retry_after,
    statement::Statement,
    strict_json::{self, MAX_DEPTH},
};
use serde_json::Value;

/// What the strict pass lets through is read alike by everybody: it reads itself again, and its canonical form is
/// strict JSON of the same value.
pub fn strict_json(bytes: &[u8]) {
    let value = strict_json::parse(bytes);
    assert_eq!(value.is_ok(), strict_json::check(bytes).is_ok(), "the check and the reader agree");
    let Ok(value) = value else { return };
    assert!(depth(&value) <= MAX_DEPTH, "deeper than the bound");
    let written = serde_json::to_vec(&value).expect("a value can be written");
    let again = strict_json::parse(&written).expect("what was written is strict");
    // Reading a fraction may be off by its last bit, so a value with one is not compared.
    if exact(&value) {
        assert_eq!(again, value);
        let canonical = canonical::to_vec(&value);
        assert_eq!(strict_json::parse(&canonical).expect("canonical JSON is strict"), value);
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Whether it holds only numbers that every reader keeps: integers up to 2^53.
fn exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some_and(|n| n.unsigned_abs() <= 1 << 53),
        Value::Array(items) => items.iter().all(exact),
        Value::Object(members) => members.values().all(exact),
        _ => true,
    }
}

/// A bundle holds no more than its bounds, and nothing that was not in its bytes.
pub fn bundle(bytes: &[u8]) {
    let Ok(bundle) = UnverifiedBundle::parse(bytes) else { return };
    assert!(bundle.material.log_entries.len() <= MAX_PROOFS && bundle.material.timestamps.len() <= MAX_PROOFS);
    if let UnverifiedSigner::Certificates(chain) = &bundle.material.signer {
        assert!((1..=MAX_CHAIN).contains(&chain.len()));
    }
    match &bundle.content {
        Content::Envelope(envelope) => check_envelope(envelope, bytes.len()),
        Content::Message(message) => assert!(!message.signature.is_empty() && message.signature.len() < bytes.len()),
    }
}

/// An envelope means the same when it is written again.
pub fn envelope(bytes: &[u8]) {
    let Ok(json) = strict_json::read::<EnvelopeJson>(bytes) else { return };
    if let Ok(envelope) = UnverifiedEnvelope::from_json(&json) {
        check_envelope(&envelope, bytes.len());
    }
}

fn check_envelope(envelope: &UnverifiedEnvelope, most: usize) {
    assert!((1..=MAX_SIGNATURES).contains(&envelope.signatures.len()));
    assert!(envelope.payload.len() + envelope.signatures.iter().map(Vec::len).sum::<usize>() < most);
    let signed = envelope.signed_bytes();
    assert!(signed.starts_with(b"DSSEv1 ") && signed.ends_with(&envelope.payload));
    let first = EnvelopeJson::new(&envelope.payload_type, &envelope.payload, &envelope.signatures[0]);
    let again = UnverifiedEnvelope::from_json(&first).expect("what we write we read");
    assert_eq!(again.signed_bytes(), signed);
    assert_eq!(again.signatures[0], envelope.signatures[0]);
}

/// Base64 has one spelling per alphabet: what is read is written as it was, but for the padding.
pub fn base64(bytes: &[u8]) {
    use base64::{Engine as _, engine::general_purpose};
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(decoded) = decode_base64(text) else { return };
    let alphabet =
        if text.contains(['-', '_']) { &general_purpose::URL_SAFE_NO_PAD } else { &general_purpose::STANDARD_NO_PAD };
    assert_eq!(alphabet.encode(decoded), text.trim_end_matches('='));
}

/// A statement that is written again names the same subjects and keeps its predicate byte for byte.
pub fn statement(bytes: &[u8]) {
    let Ok(statement) = Statement::parse(bytes) else { return };
    let again = Statement::parse(&statement.to_bytes()).expect("what we write we read");
    assert_eq!(again.predicate_type, statement.predicate_type);
    assert_eq!(again.predicate.get(), statement.predicate.get());
    assert_eq!(again.subjects.len(), statement.subjects.len());
    for (again, subject) in again.subjects.iter().zip(&statement.subjects) {
        assert_eq!((&again.name, &again.digest), (&subject.name, &subject.digest));
    }
}

/// A legacy payload gives one subject with one digest; its annotations are read or refused.
pub fn legacy(bytes: &[u8]) {
    if let Ok(statement) = legacy::read_payload(bytes) {
        assert_eq!(statement.subjects.len(), 1);
        let digest = &statement.subjects[0].digest;
        assert!(digest.len() == 1 && digest["sha256"].len() == 64);
    }
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0').map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
    let mut next = || parts.next().flatten();
    let material = LegacyMaterial {
        certificate: next(),
        chain: next(),
        log_entry: next(),
        timestamp: next(),
        ..Default::default()
    };
    if let Ok(read) = legacy::read_material(&material) {
        assert!(read.log_entries.len() <= 1 && read.timestamps.len() <= 1);
    }
}

/// No document is both a manifest and an index, whatever it is served as.
pub fn manifest(bytes: &[u8]) {
    let read = |media_type| Manifest::parse(media_type, bytes);
    let images = [OCI_MANIFEST, DOCKER_MANIFEST].map(read);
    let indexes = [OCI_INDEX, DOCKER_INDEX].map(read);
    assert!(images.iter().flatten().all(|read| matches!(read, Manifest::Image(_))));
    assert!(indexes.iter().flatten().all(|read| matches!(read, Manifest::Index(_))));
    assert!(!(images.iter().any(Result::is_ok) && indexes.iter().any(Result::is_ok)), "both");
    let config = ImageConfig::parse(bytes);
    if let Ok(Ok(execution)) = config.as_ref().map(ImageConfig::execution) {
        let parts =
            ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"];
        assert!(parts.iter().all(|part| execution.get(*part).is_some_and(|value| !value.is_null())), "{execution:?}");
        assert_one_case(&execution, &parts);
    }
    let Ok(Value::Object(members)) = strict_json::parse(bytes) else { return };
    if config.is_ok() {
        assert_one_case(&members, &["config", "rootfs", "os", "architecture", "variant"]);
    }
    if images.iter().chain(&indexes).any(Result::is_ok) {
        assert_one_case(&members, &["config", "layers", "manifests", "mediaType", "subject", "artifactType"]);
    }
}

/// A parser that ignores the case of names reads the same members.
fn assert_one_case(members: &serde_json::Map<String, Value>, names: &[&str]) {
    let fold = |name: &str| name.to_uppercase().to_lowercase();
    for member in members.keys().filter(|member| names.iter().any(|name| fold(name) == fold(member))) {
        assert!(names.contains(&member.as_str()), "{member}");
    }
}

/// Saved evidence is written as it was read, and each document is what its digest says.
pub fn evidence(bytes: &[u8]) {
    let Ok(evidence) = Evidence::from_bytes(bytes) else { return };
    let written = evidence.to_bytes();
    assert_eq!(Evidence::from_bytes(&written).expect("our own bytes").to_bytes(), written);
    assert!(evidence.documents().all(|(digest, document)| Digest::of(&document.bytes) == *digest));
}

/// A wait is one of seconds or of the time between two dates.
pub fn retry_after(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (value, date) = text.split_once('\n').map_or((text, None), |(value, date)| (value, Some(date)));
    if let Some(wait) = retry_after::read(value, date) {
        assert!(date.is_some() || wait.as_secs() <= u64::from(u32::MAX), "{wait:?}");
    }
}

/// The normal form of a reference is a fixed point.
pub fn reference(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        let normal = reference.to_string();
        assert_eq!(normal.parse::<Reference>().as_ref(), Ok(&reference), "{normal}");
        assert_eq!(reference.repository().to_string().parse::<Repository>().as_ref(), Ok(reference.repository()));
    }
    if let Ok(repository) = text.parse::<Repository>() {
        assert_eq!(repository.to_string().parse::<Repository>(), Ok(repository));
    }
    if let Ok(host) = normal_host(text) {
        assert_eq!(normal_host(&host).as_ref(), Ok(&host));
    }
}
