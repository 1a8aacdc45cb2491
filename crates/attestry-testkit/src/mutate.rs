//! A genuine bundle and its forged twins, each with the reasons that it may be refused for.
//!
//! Every accepted bundle should be run through [`MUTATIONS`]: a verifier that accepts one twin too many has a hole.

use attestry_core::{
    Digest, ReasonCode,
    ReasonCode::{
        BundleMalformed, BundleUnsupported, PayloadTypeWrong, SignatureInvalid, StatementMalformed, SubjectMismatch,
    },
    envelope::decode_base64,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::Seed;

/// One way to change a bundle that was signed by a key.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// What is changed.
    pub name: &'static str,
    /// What the twin may be refused for. Empty: the change touches nothing that is signed or looked at, and the twin
    /// must still be accepted.
    pub refused_for: &'static [ReasonCode],
    change: Change,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    /// A change to the bundle's JSON.
    Bundle(fn(&mut Value, &mut Seed)),
    /// A change to the signed payload's bytes; the signature stays.
    Payload(fn(Vec<u8>, &mut Seed) -> Vec<u8>),
    /// A change to the bundle's text.
    Text(fn(&str, &mut Seed) -> String),
}

impl Mutation {
    /// The twin of `bundle`, which must be JSON with a DSSE envelope.
    ///
    /// # Panics
    /// If `bundle` is not, or if the twin is the same.
    pub fn apply(&self, bundle: &[u8], seed: &mut Seed) -> Vec<u8> {
        let text = std::str::from_utf8(bundle).unwrap();
        let mut value: Value = serde_json::from_str(text).unwrap();
        let twin = match self.change {
            Change::Bundle(change) => {
                change(&mut value, seed);
                value.to_string()
            }
            Change::Payload(change) => {
                let payload = &mut value["dsseEnvelope"]["payload"];
                let bytes = decode_base64(payload.as_str().unwrap()).unwrap();
                *payload = STANDARD.encode(change(bytes, seed)).into();
                value.to_string()
            }
            Change::Text(change) => change(text, seed),
        };
        assert_ne!(twin.as_bytes(), bundle, "{} changes nothing", self.name);
        twin.into_bytes()
    }
}

/// Every mutation. Numbers in comments are those of the attack list in SECURITY.md.
pub const MUTATIONS: &[Mutation] = &[
    // The signature.
    bundle("signature-bit", &[SignatureInvalid], |bundle, seed| {
        let signature = &mut bundle["dsseEnvelope"]["signatures"][0]["sig"];
        let bytes = decode_base64(signature.as_str().unwrap()).unwrap();
        *signature = STANDARD.encode(flip_bit(bytes, seed)).into();
    }),
    bundle("signature-cut", &[SignatureInvalid], |bundle, seed| {
        let signature = &mut bundle["dsseEnvelope"]["signatures"][0]["sig"];
        let mut bytes = decode_base64(signature.as_str().unwrap()).unwrap();
        bytes.truncate(seed.below(bytes.len()));
        *signature = STANDARD.encode(bytes).into();
    }),
    bundle("signature-absent", &[BundleMalformed], |bundle, _| bundle["dsseEnvelope"]["signatures"] = json!([])),
    // 6: a second signature next to the good one.
    bundle("signature-added", &[BundleMalformed], |bundle, _| {
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
        signatures.push(json!({ "sig": "AAAA" }));
    }),
    // The payload. Where a changed byte lands decides how far the reader gets.
    payload("payload-bit", &[StatementMalformed, SubjectMismatch, SignatureInvalid], flip_bit),
    payload("payload-space", &[SignatureInvalid], |payload, _| [&payload[..], b" "].concat()),
    // 11
    payload("payload-no-json", &[StatementMalformed], |_, _| b"signed, believe me".to_vec()),
    // 27
    payload("payload-duplicate-member", &[StatementMalformed], |payload, _| {
        let text = String::from_utf8(payload).unwrap();
        text.replacen('{', r#"{"_type":"https://in-toto.io/Statement/v1","#, 1).into_bytes()
    }),
    payload("predicate-swapped", &[SignatureInvalid], |payload, _| {
        edit(&payload, |statement| statement["predicate"] = json!({ "forged": true }))
    }),
    payload("predicate-type-swapped", &[SignatureInvalid], |payload, _| {
        edit(&payload, |statement| statement["predicateType"] = "https://example.com/other/v1".into())
    }),
    payload("predicate-type-absent", &[StatementMalformed], |payload, _| {
        edit(&payload, |statement| drop(statement.as_object_mut().unwrap().remove("predicateType")))
    }),
    payload("statement-version", &[StatementMalformed], |payload, _| {
        edit(&payload, |statement| statement["_type"] = "https://in-toto.io/Statement/v9".into())
    }),
    // 1 and 2
    payload("subject-dropped", &[SubjectMismatch], |payload, _| {
        edit(&payload, |statement| statement["subject"] = json!([]))
    }),
    payload("subject-other", &[SubjectMismatch], |payload, _| {
        edit(&payload, |statement| statement["subject"][0]["digest"]["sha256"] = Digest::of("other").hex().into())
    }),
    payload("subject-added", &[SignatureInvalid], |payload, _| {
        edit(&payload, |statement| {
            let subject = json!({ "digest": { "sha256": Digest::of("other").hex() } });
            statement["subject"].as_array_mut().unwrap().push(subject);
        })
    }),
    payload("subject-upper-case", &[SubjectMismatch], |payload, _| {
        edit(&payload, |statement| {
            let hex = &mut statement["subject"][0]["digest"]["sha256"];
            *hex = hex.as_str().unwrap().to_uppercase().into();
        })
    }),
    payload("subject-other-algorithm", &[SubjectMismatch], |payload, _| {
        edit(&payload, |statement| {
            let digest = statement["subject"][0]["digest"].as_object_mut().unwrap();
            let hex = digest.remove("sha256").unwrap();
            digest.insert("sha512".to_owned(), hex);
        })
    }),
    payload("subject-sha512-wrong", &[SubjectMismatch], |payload, _| {
        edit(&payload, |statement| statement["subject"][0]["digest"]["sha512"] = "00".repeat(64).into())
    }),
    // The envelope. 4
    bundle("payload-type", &[PayloadTypeWrong], |bundle, _| {
        bundle["dsseEnvelope"]["payloadType"] = "application/json".into();
    }),
    // 32
    bundle("payload-white-space", &[BundleMalformed], |bundle, seed| {
        let payload = &mut bundle["dsseEnvelope"]["payload"];
        let mut text = payload.as_str().unwrap().to_owned();
        text.insert(seed.below(text.len()), '\n');
        *payload = text.into();
    }),
    bundle("payload-absent", &[BundleMalformed], |bundle, _| {
        bundle["dsseEnvelope"].as_object_mut().unwrap().remove("payload");
    }),
    // The bundle.
    bundle("media-type", &[BundleUnsupported], |bundle, _| {
        bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json".into();
    }),
    bundle("content-both", &[BundleMalformed], |bundle, _| bundle["messageSignature"] = json!({ "signature": "AAAA" })),
    bundle("content-absent", &[BundleMalformed], |bundle, _| {
        bundle.as_object_mut().unwrap().remove("dsseEnvelope");
    }),
    bundle("material-both", &[BundleMalformed], |bundle, _| {
        bundle["verificationMaterial"]["certificate"] = json!({ "rawBytes": "AAAA" });
    }),
    bundle("material-absent", &[BundleMalformed], |bundle, _| {
        bundle.as_object_mut().unwrap().remove("verificationMaterial");
    }),
    bundle("wrong-typed", &[BundleMalformed], |bundle, _| {
        bundle["dsseEnvelope"]["signatures"] = json!({ "sig": "AAAA" })
    }),
    // The text. 27 and 28
    text("duplicate-member", &[BundleMalformed], |text, _| {
        text.replacen('{', r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","#, 1)
    }),
    text("nested-duplicate-member", &[BundleMalformed], |text, _| {
        text.replacen(r#""dsseEnvelope":{"#, r#""dsseEnvelope":{"payload":"e30=","#, 1)
    }),
    text("byte-order-mark", &[BundleMalformed], |text, _| format!("\u{feff}{text}")),
    text("trailing-data", &[BundleMalformed], |text, _| format!("{text}{{}}")),
    text("deep", &[BundleMalformed], |text, _| {
        let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
        text.replacen('{', &format!(r#"{{"deep":{deep},"#), 1)
    }),
    text("truncated", &[BundleMalformed], |text, seed| text[..seed.below(text.len())].to_owned()),
    // What proves nothing must not decide anything either.
    bundle("hint", &[], |bundle, _| bundle["verificationMaterial"]["publicKey"]["hint"] = "somebody else".into()),
    bundle("key-id", &[], |bundle, _| bundle["dsseEnvelope"]["signatures"][0]["keyid"] = "somebody else".into()),
    bundle("unknown-member", &[], |bundle, _| bundle["dsseEnvelope"]["unknown"] = json!([1, 2, 3])),
    text("white-space-outside", &[], |text, _| format!(" {text}\n")),
];

const fn bundle(name: &'static str, refused_for: &'static [ReasonCode], change: fn(&mut Value, &mut Seed)) -> Mutation {
    Mutation { name, refused_for, change: Change::Bundle(change) }
}

const fn payload(
    name: &'static str,
    refused_for: &'static [ReasonCode],
    change: fn(Vec<u8>, &mut Seed) -> Vec<u8>,
) -> Mutation {
    Mutation { name, refused_for, change: Change::Payload(change) }
}

const fn text(
    name: &'static str,
    refused_for: &'static [ReasonCode],
    change: fn(&str, &mut Seed) -> String,
) -> Mutation {
    Mutation { name, refused_for, change: Change::Text(change) }
}

fn flip_bit(mut bytes: Vec<u8>, seed: &mut Seed) -> Vec<u8> {
    let place = seed.below(bytes.len());
    bytes[place] ^= 1 << seed.below(8);
    bytes
}

fn edit(payload: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut statement = serde_json::from_slice(payload).unwrap();
    change(&mut statement);
    statement.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
