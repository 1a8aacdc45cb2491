//! Third-party vectors for the parts under a bundle: DSSE envelopes and Merkle proofs.
//!
//! What was accepted rightly and what was refused rightly are two counts: a verifier that refuses everything is right
//! 92 times of 98. What the vectors mean, and their traps, is in the README beside them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use attestry_core::{
    crypto::PublicKey,
    envelope::{EnvelopeJson, UnverifiedEnvelope, decode_base64, pae},
    merkle::{Hash, verify_consistency, verify_inclusion},
};
use serde_json::Value;

/// How many vectors came out as they must, positive and negative apart.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    accepted: usize,
    refused: usize,
}

impl Count {
    #[track_caller]
    fn add(&mut self, case: &str, expected: bool, found: bool) {
        assert_eq!(found, expected, "{case}: accepted is {found}");
        if found {
            self.accepted += 1;
        } else {
            self.refused += 1;
        }
    }
}

#[test]
fn merkle_inclusion_proofs() {
    let mut count = Count::default();
    for (path, case) in cases("merkle/inclusion") {
        let found = verified_inclusion(&case).is_some();
        count.add(&path, !flag(&case, "wantErr"), found);
    }
    assert_eq!(count, Count { accepted: 6, refused: 92 });
}

#[test]
fn merkle_consistency_proofs() {
    let mut count = Count::default();
    for (path, case) in cases("merkle/consistency") {
        let found = if path.ends_with("additional/sizes-are-equal-one-and-proof-is-empty.json") {
            // Its two equal roots are no SHA-256 hashes, which our type cannot hold, so the same claim is made with
            // hashes: the one exception that the vectors' README names.
            assert!(hash(&case, "root1").is_none(), "{path} has become an ordinary case");
            verify_consistency((1, &[7; 32]), (1, &[7; 32]), &[]).is_ok()
        } else {
            verified_consistency(&case).is_some()
        };
        count.add(&path, !flag(&case, "wantErr"), found);
    }
    assert_eq!(count, Count { accepted: 6, refused: 92 });
}

#[test]
fn dsse_envelopes() {
    let document = read(&vectors().join("dsse/vectors.json"));
    let mut count = Count::default();
    for case in document["vectors"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let json: EnvelopeJson = serde_json::from_value(case["envelope"].clone()).unwrap();
        let envelope = UnverifiedEnvelope::from_json(&json).unwrap();
        let signed = bytes_of_hex(case["pae"].as_str().unwrap());
        // What was signed is what we encode, but for the one whose type was swapped after signing.
        assert_eq!(envelope.signed_bytes() == signed, id != "payload-type-swapped", "{id}: encoding");
        let keys = strings(&case["trustedKeys"]).map(|name| ed25519(&document["keys"][name])).collect::<Vec<_>>();
        // Keys are counted, not signatures, and key ids decide nothing.
        let signers = keys.iter().filter(|key| {
            envelope.signatures.iter().any(|signature| key.verify(&envelope.signed_bytes(), signature).is_ok())
        });
        let known = strings(&case["supportedPayloadTypes"]).any(|name| name == envelope.payload_type);
        let enough = signers.count() as u64 >= case["threshold"].as_u64().unwrap();
        count.add(id, case["expect"] == "accept", known && enough);
    }
    assert_eq!(count, Count { accepted: 6, refused: 3 });
}

/// The encoding of the specification's own example. Its signature is `r||s`, not the DER that Sigstore writes, and
/// so is refused as it stands.
#[test]
fn dsse_example_of_the_protocol() {
    let case = read(&vectors().join("dsse/protocol-example.json"));
    let payload = decode_base64(case["payload"].as_str().unwrap()).unwrap();
    let signed = pae(case["payloadType"].as_str().unwrap(), &payload);
    assert_eq!(signed, bytes_of_hex(case["pae"].as_str().unwrap()));
    let point = [&case["key"]["x"], &case["key"]["y"]].map(|half| bytes_of_hex(half.as_str().unwrap()));
    let key = PublicKey::from_spki_der(&[P256_SPKI, &point[0], &point[1]].concat()).unwrap();
    let bare = decode_base64(case["signature"]["sig"].as_str().unwrap()).unwrap();
    assert!(key.verify(&signed, &bare).is_err());
    assert!(key.verify(&signed, &der(&bare)).is_ok());
    assert!(key.verify(&signed[1..], &der(&bare)).is_err());
}

fn verified_inclusion(case: &Value) -> Option<()> {
    let (index, size) = (case["leafIdx"].as_u64()?, case["treeSize"].as_u64()?);
    verify_inclusion(&hash(case, "leafHash")?, index, size, &proof(case)?, &hash(case, "root")?).ok()
}

fn verified_consistency(case: &Value) -> Option<()> {
    let older = (case["size1"].as_u64()?, hash(case, "root1")?);
    let newer = (case["size2"].as_u64()?, hash(case, "root2")?);
    verify_consistency((older.0, &older.1), (newer.0, &newer.1), &proof(case)?).ok()
}

/// `null` is the empty proof.
fn proof(case: &Value) -> Option<Vec<Hash>> {
    case["proof"].as_array().map_or(Some(Vec::new()), |list| list.iter().map(hash_of).collect())
}

fn hash(case: &Value, name: &str) -> Option<Hash> {
    hash_of(&case[name])
}

/// Of another length than 32 bytes: not a hash, which is the refusal.
fn hash_of(value: &Value) -> Option<Hash> {
    decode_base64(value.as_str()?)?.try_into().ok()
}

fn flag(case: &Value, name: &str) -> bool {
    case[name].as_bool().unwrap()
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap())
}

/// SubjectPublicKeyInfo up to the key itself (RFC 8410).
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same for an uncompressed P-256 point (RFC 5480).
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

fn ed25519(key: &Value) -> PublicKey {
    let public = bytes_of_hex(key["public"].as_str().unwrap());
    PublicKey::from_spki_der(&[ED25519_SPKI, &public].concat()).unwrap()
}

/// `r||s` as the DER sequence of two integers.
fn der(bare: &[u8]) -> Vec<u8> {
    let integers: Vec<u8> = bare.chunks(32).flat_map(integer).collect();
    [&[0x30, u8::try_from(integers.len()).unwrap()], &integers[..]].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap();
    // A leading one bit would make the integer negative.
    let sign = if bytes[start] >= 0x80 { &[0][..] } else { &[] };
    let body = [sign, &bytes[start..]].concat();
    [&[0x02, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Each file below `folder`, however deep, with its path for messages.
fn cases(folder: &str) -> Vec<(String, Value)> {
    let (mut cases, mut folders) = (Vec::new(), vec![vectors().join(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                cases.push((path.display().to_string(), read(&path)));
            }
        }
    }
    cases
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}
