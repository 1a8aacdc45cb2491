//! Entries as the Sigstore project's verifier checks them, and everything that a log refuses.

use attestry_core::{bundle::BUNDLE_V03, envelope::EnvelopeJson, envelope::IN_TOTO, envelope::pae};
use sigstore_verify::{
    PublicKeyVerificationPolicy, Verifier as Sigstore,
    trust_root::TrustedRoot,
    types::{Bundle, DerPublicKey},
};

use super::{propose, *};
use crate::clock;

const ARTIFACT: &[u8] = b"an artifact";

fn log(generation: Generation) -> RekorLog {
    RekorLog::new(generation, "https://log.example")
}

fn statement() -> Vec<u8> {
    let subject = json!({ "name": "a", "digest": { "sha256": propose::hex_digest(ARTIFACT) } });
    let (kind, predicate) = ("https://in-toto.io/Statement/v1", "https://example.org/predicate");
    let statement = json!({ "_type": kind, "subject": [subject], "predicateType": predicate, "predicate": {} });
    serde_json::to_vec(&statement).unwrap()
}

fn now() -> Timestamp {
    clock::now()
}

/// What one key signed: over an artifact, and as an envelope.
struct Signed {
    key: SigningKey,
    message: Vec<u8>,
    envelope: EnvelopeJson,
    envelope_signature: Vec<u8>,
}

impl Signed {
    fn by(name: &str) -> Self {
        let key = keys::p256(name);
        let envelope_signature = key.sign(&pae(IN_TOTO, &statement()));
        let envelope = EnvelopeJson::new(IN_TOTO, &statement(), &envelope_signature);
        Self { message: key.sign(ARTIFACT), envelope, envelope_signature, key }
    }

    fn verifier(&self) -> Verifier<'_> {
        Verifier::PublicKey(self.key.public_key_der())
    }

    /// Every request that the generation takes, with the content that belongs beside it in a bundle.
    fn requests(&self, generation: Generation) -> Vec<(&'static str, Value, Value)> {
        let message = json!({ "messageSignature": {
            "messageDigest": {
                "algorithm": "SHA2_256",
                "digest": STANDARD.encode(Digest::of(ARTIFACT).as_bytes()),
            },
            "signature": STANDARD.encode(&self.message),
        } });
        let envelope = json!({ "dsseEnvelope": {
            "payload": self.envelope.payload,
            "payloadType": IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(&self.envelope_signature), "keyid": "" }],
        } });
        match generation {
            Generation::V1 => vec![
                ("hashedrekord", propose::hashedrekord(ARTIFACT, &self.message, self.verifier()), message),
                ("dsse", propose::dsse(&self.envelope, self.verifier()), envelope.clone()),
                ("intoto", propose::intoto(&self.envelope, self.verifier()), envelope),
            ],
            Generation::V2 => vec![
                ("message", propose::hashedrekord_v002(ARTIFACT, &self.message, self.verifier()), message),
                (
                    "envelope",
                    propose::hashedrekord_v002(&pae(IN_TOTO, &statement()), &self.envelope_signature, self.verifier()),
                    envelope,
                ),
            ],
        }
    }
}

/// What the Sigstore project's verifier says of a bundle with this entry, signed by a known key.
fn judge(log: &RekorLog, entry: Value, content: &Value, key: &SigningKey) -> Result<(), String> {
    let root = json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log.trusted_root_entry(clock::at("2026-01-01T00:00:00Z"), None)],
        "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": [],
    });
    let mut bundle = content.clone();
    bundle["mediaType"] = BUNDLE_V03.into();
    bundle["verificationMaterial"] = json!({ "publicKey": { "hint": "" }, "tlogEntries": [entry] });
    let verifier = Sigstore::new(&TrustedRoot::from_json(&root.to_string()).unwrap()).unwrap();
    let policy = PublicKeyVerificationPolicy::new(DerPublicKey::new(key.public_key_der().to_vec()));
    let bundle = Bundle::from_json(&bundle.to_string()).map_err(|error| error.to_string())?;
    verifier.verify(ARTIFACT, &bundle, &policy).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_kind_verifies() {
    for generation in [Generation::V1, Generation::V2] {
        let signed = Signed::by("release");
        for (name, request, content) in signed.requests(generation) {
            let mut log = log(generation);
            let entry = log.append(&request, now()).unwrap();
            assert_eq!(judge(&log, entry, &content, &signed.key), Ok(()), "{generation:?} {name}");
        }
    }
}

#[test]
fn every_fault_is_refused_for_what_it_is() {
    let both = [
        (LogFault::ProofOfAnotherTree, ["checkpoint", "inclusion proof"]),
        (LogFault::ProofHashFlipped, ["inclusion proof"; 2]),
        (LogFault::ProofMissing, ["inclusion proof"; 2]),
        (LogFault::CheckpointByAnotherKey, ["checkpoint"; 2]),
        (LogFault::CheckpointForged, ["checkpoint"; 2]),
        (LogFault::CheckpointOfSmallerTree, ["checkpoint", "out of range"]),
    ];
    let first = [(LogFault::PromiseOfAnotherEntry, ["promise"; 2]), (LogFault::IntegratedTimeMoved, ["promise"; 2])];
    let signed = Signed::by("release");
    for (generation, faults) in [(Generation::V1, [&both[..], &first].concat()), (Generation::V2, both.to_vec())] {
        for (name, request, content) in signed.requests(generation) {
            for &(fault, expected) in &faults {
                let mut log = log(generation);
                let entry = log.append_with(&request, now(), Some(fault)).unwrap();
                let verdict = judge(&log, entry, &content, &signed.key).unwrap_err();
                let expected = expected[usize::from(generation == Generation::V2)];
                assert!(verdict.contains(expected), "{generation:?} {name} {fault:?}: {verdict}");
            }
        }
    }
}

#[test]
fn an_entry_of_another_artifact_is_refused_though_its_proof_holds() {
    for generation in [Generation::V1, Generation::V2] {
        let (signed, other) = (Signed::by("release"), Signed::by("other"));
        let requests = other.requests(generation);
        for ((name, _, content), (_, request, _)) in signed.requests(generation).into_iter().zip(requests) {
            let mut log = log(generation);
            let entry = log.append(&request, now()).unwrap();
            assert!(judge(&log, entry, &content, &signed.key).is_err(), "{generation:?} {name}");
        }
    }
}

#[test]
fn the_first_generation_shows_another_index_than_its_tree_has() {
    let signed = Signed::by("release");
    let (_, request, _) = signed.requests(Generation::V1).remove(0);
    let entry = log(Generation::V1).append(&request, now()).unwrap();
    assert_eq!(entry["inclusionProof"]["logIndex"], EARLIER.to_string());
    assert_eq!(entry["logIndex"], (FIRST_INDEX + EARLIER).to_string());
    assert_eq!(entry["integratedTime"], now().as_second().to_string());
}

#[test]
fn the_second_generation_gives_neither_promise_nor_time() {
    let signed = Signed::by("release");
    let (_, request, _) = signed.requests(Generation::V2).remove(0);
    let entry = log(Generation::V2).append(&request, now()).unwrap();
    assert_eq!(entry.get("inclusionPromise"), None);
    assert_eq!(entry.get("integratedTime"), None);
    let key_id = log(Generation::V2).key_id();
    let raw = *keys::ed25519("log https://log.example").public_key_der().last_chunk().unwrap();
    assert_eq!(key_id[..4], attestry_core::note::NoteKey::ed25519("log.example", raw).unwrap().id());
}

#[test]
fn an_old_entry_verifies_in_the_tree_of_today() {
    let signed = Signed::by("release");
    for generation in [Generation::V1, Generation::V2] {
        let mut log = log(generation);
        for (_, request, _) in signed.requests(generation) {
            log.append(&request, now()).unwrap();
        }
        for (at, (name, _, content)) in signed.requests(generation).into_iter().enumerate() {
            let entry = log.entry(EARLIER + at, None);
            assert_eq!(judge(&log, entry, &content, &signed.key), Ok(()), "{generation:?} {name}");
        }
    }
}

#[test]
fn only_the_first_generation_minds_duplicates() {
    let signed = Signed::by("release");
    for (generation, second) in
        [(Generation::V1, Err(Refusal::Duplicate { index: EARLIER })), (Generation::V2, Ok(EARLIER + 2))]
    {
        let mut log = log(generation);
        let (_, request, _) = signed.requests(generation).remove(0);
        log.append(&request, now()).unwrap();
        assert_eq!(log.append(&request, now()).map(|_| log.size()), second);
    }
}

#[test]
fn a_change_of_any_member_is_refused() {
    let signed = Signed::by("release");
    for generation in [Generation::V1, Generation::V2] {
        let mut requests = signed.requests(generation);
        if generation == Generation::V1 {
            requests.push(("intoto 0.0.1", propose::intoto_v001(&signed.envelope, signed.verifier()), Value::Null));
        }
        for (name, request, _) in requests {
            assert!(log(generation).append(&request, now()).is_ok(), "{name}");
            for path in paths(&request) {
                // The hash of the envelope is the client's word: the log never sees what was hashed.
                if name == "intoto" && path == "/spec/content/hash/value" {
                    continue;
                }
                let mut changed = request.clone();
                let member = changed.pointer_mut(&path).unwrap();
                match member {
                    Value::Object(members) => drop(members.insert("unknown".to_owned(), Value::Null)),
                    Value::String(text) => *text = twist(text),
                    _ => *member = Value::Null,
                }
                let refused = log(generation).append(&changed, now());
                assert!(refused.is_err(), "{generation:?} {name} {path}");
            }
        }
    }
}

#[test]
fn another_key_is_refused() {
    let (signed, other) = (Signed::by("release"), Signed::by("other"));
    for generation in [Generation::V1, Generation::V2] {
        let verifier = other.verifier();
        let requests = match generation {
            Generation::V1 => vec![
                propose::hashedrekord(ARTIFACT, &signed.message, verifier),
                propose::dsse(&signed.envelope, verifier),
                propose::intoto(&signed.envelope, verifier),
                propose::intoto_v001(&signed.envelope, verifier),
            ],
            Generation::V2 => vec![propose::hashedrekord_v002(ARTIFACT, &signed.message, verifier)],
        };
        for request in requests {
            assert_eq!(log(generation).append(&request, now()), Err(Refusal::Signature), "{request}");
        }
    }
}

/// Every object and every leaf of a value.
fn paths(value: &Value) -> Vec<String> {
    let below = |key: &str, value: &Value| paths(value).into_iter().map(move |path| format!("/{key}{path}")).collect();
    let mut found: Vec<Vec<String>> = match value {
        Value::Object(members) => members.iter().map(|(key, value)| below(key, value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| below(&at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    found.push(vec![String::new()]);
    found.concat()
}

/// The text with one character in its middle changed to another that base64 and hexadecimal know too.
fn twist(text: &str) -> String {
    let middle = text.len() / 2;
    let other = if &text[middle..=middle] == "a" { "b" } else { "a" };
    format!("{}{other}{}", &text[..middle], &text[middle + 1..])
}
