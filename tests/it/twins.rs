//! Mutated twins of every accepted keyless bundle: whatever is changed or left out of one is refused, unless the format
//! says that it proves nothing. What those are is listed here, one by one.

use std::{fs, sync::Arc};

use attestry_core::{
    Reason,
    crypto::PublicKey,
    trust_root::{Demands, TrustRoot},
    verify::{FileContent, FileSigner, SignedFile, TrustedKey, Verified, verify_file},
};
use attestry_testkit::{clock, seed::Seed};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::vectors::vectors;

/// What may differ without the bundle being another: a place, the changes, and why nothing depends on it.
const HARMLESS: [(&str, &[&str], &str); 12] = [
    ("/publicKey/hint", &[], "free text: the key comes from elsewhere"),
    ("/signatures/0/keyid", &[], "DSSE: an unauthenticated hint"),
    ("/messageSignature/messageDigest", &[LEFT_OUT], "a hint that must agree where it is there"),
    ("/inclusionProof/logIndex", &[], "Rekor v2: the entry's own index is proven"),
    ("/inclusionProof/rootHash", &[], "Rekor v2: the checkpoint's is the one that is signed"),
    ("/inclusionProof/treeSize", &[], "Rekor v2: the checkpoint's is the one that is signed"),
    ("/inclusionProof/hashes", &[LEFT_OUT], "a log of one entry, whose proof is empty"),
    (
        "/inclusionProof/checkpoint/envelope",
        &["letter changed"],
        "signature lines of witnesses, and names before a signature",
    ),
    ("/logId/keyId", &[], "Rekor v2: the log is found by the checkpoint's key"),
    // Less evidence that is still enough: v0.1 needs no proof beside a promise, a timestamp proves the time as well
    // as a promise, and a key that demands no log needs neither.
    ("/tlogEntries", &[LEFT_OUT, EMPTIED], "evidence that is not demanded"),
    ("/timestampVerificationData", &[LEFT_OUT, EMPTIED], "evidence that is not demanded"),
    (
        "/signedTimestamp",
        &["bit flipped"],
        "bytes of a response that its signature does not cover, such as certificates",
    ),
];

const LEFT_OUT: &str = "left out";
const EMPTIED: &str = "emptied";

#[test]
fn no_twin_of_an_accepted_bundle_is_accepted() {
    let (mut refused, mut harmless, mut wrong) = (0, 0, Vec::new());
    for vector in Vector::accepted() {
        let original = vector.judge(&vector.bundle).unwrap_or_else(|reason| panic!("{}: {reason}", vector.name));
        let bundle: Value = serde_json::from_slice(&vector.bundle).unwrap();
        for place in places(&bundle) {
            for (change, twin) in twins(&bundle, &place, &mut Seed::new(refused)) {
                match vector.judge(twin.to_string().as_bytes()) {
                    Err(_) => refused += 1,
                    // What still verifies must at least say the same.
                    Ok(verified) if harmless_here(&place, change) && same(&original, &verified, change) => {
                        harmless += 1
                    }
                    Ok(_) => wrong.push(format!("{}: {change} {place}", vector.name)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} twins were accepted:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused > 1_000 && harmless < refused / 10, "{refused} refused, {harmless} harmless");
}

/// An accepted case of sigstore-conformance.
struct Vector {
    name: String,
    bundle: Vec<u8>,
    artifact: Vec<u8>,
    root: Arc<TrustRoot>,
    key: Option<PublicKey>,
}

impl Vector {
    fn accepted() -> Vec<Self> {
        let conformance = vectors().join("sigstore-conformance");
        let mut folders: Vec<_> = (fs::read_dir(conformance.join("bundle-verify")).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir() && !path.to_str().unwrap().ends_with("fail"))
            .collect();
        folders.sort();
        let read = |folder: &std::path::Path| {
            let or = |name: &str, default: &str| {
                fs::read(folder.join(name)).unwrap_or_else(|_| fs::read(conformance.join(default)).unwrap())
            };
            let key = fs::read_to_string(folder.join("key.pub")).ok().map(|pem| PublicKey::from_pem(&pem).unwrap());
            Self {
                name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
                bundle: fs::read(folder.join("bundle.sigstore.json")).unwrap(),
                artifact: or("artifact", "bundle-verify/a.txt"),
                root: TrustRoot::from_json(&or("trusted_root.json", "trusted_root.json"), Demands::default())
                    .unwrap()
                    .into(),
                key,
            }
        };
        folders.iter().map(|folder| read(folder)).collect()
    }

    fn judge(&self, bundle: &[u8]) -> Result<Verified<SignedFile>, Reason> {
        let content = FileContent::Bytes(&self.artifact);
        let now = clock::at("2026-08-20T00:00:00Z");
        match &self.key {
            // A managed key with a trust root: its log entries count.
            Some(key) => {
                let trust_root = Some(Arc::clone(&self.root));
                let trusted = TrustedKey { trust_root, ..TrustedKey::always(key.clone()) };
                verify_file(bundle, content, FileSigner::Key(&trusted), now)
            }
            None => verify_file(bundle, content, FileSigner::Certificate { root: &self.root, pending: None }, now),
        }
    }
}

fn harmless_here(place: &str, change: &str) -> bool {
    HARMLESS
        .iter()
        .any(|(listed, changes, _)| place.contains(listed) && (changes.is_empty() || changes.contains(&change)))
}

/// Whether two verifications prove the same: by whom, and when unless a time was left out.
fn same(a: &Verified<SignedFile>, b: &Verified<SignedFile>, change: &str) -> bool {
    let fewer = [LEFT_OUT, EMPTIED].contains(&change);
    a.key_id() == b.key_id() && a.identity() == b.identity() && (fewer || a.time() == b.time())
}

/// Every member and element of a bundle, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(elements) => elements.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
            _ => return,
        };
        for (name, child) in children {
            let place = format!("{at}/{name}");
            walk(child, &place, out);
            out.push(place);
        }
    }
    let mut out = Vec::new();
    walk(value, "", &mut out);
    out
}

/// The twins that differ in one place.
fn twins(bundle: &Value, place: &str, seed: &mut Seed) -> Vec<(&'static str, Value)> {
    let with = |value: Value| {
        let mut twin = bundle.clone();
        *twin.pointer_mut(place).unwrap() = value;
        twin
    };
    let mut twins = vec![(LEFT_OUT, without(bundle, place))];
    match bundle.pointer(place).unwrap() {
        Value::String(text) => {
            if let Ok(bytes) = STANDARD.decode(text)
                && !bytes.is_empty()
            {
                let mut flipped = bytes.clone();
                let at = seed.below(flipped.len());
                flipped[at] ^= 1 << seed.below(8);
                twins.push(("bit flipped", with(STANDARD.encode(flipped).into())));
                twins.push(("cut", with(STANDARD.encode(&bytes[..bytes.len() - 1]).into())));
            } else if let Ok(number) = text.parse::<i64>() {
                twins.push(("one more", with((number + 1).to_string().into())));
                twins.push(("negative", with((-number - 1).to_string().into())));
            } else if !text.is_empty() {
                let at = seed.below(text.len());
                let changed =
                    text.char_indices().map(|(i, c)| if i == at { if c == 'x' { 'y' } else { 'x' } } else { c });
                twins.push(("letter changed", with(changed.collect::<String>().into())));
            }
            twins.push((EMPTIED, with("".into())));
        }
        Value::Array(elements) if !elements.is_empty() => twins.push((EMPTIED, with(Value::Array(Vec::new())))),
        _ => {}
    }
    twins.retain(|(_, twin)| twin != bundle);
    twins
}

fn without(bundle: &Value, place: &str) -> Value {
    let mut twin = bundle.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match twin.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(name)),
        Value::Array(elements) => drop(elements.remove(name.parse().unwrap())),
        _ => unreachable!("a place has a parent"),
    }
    twin
}
