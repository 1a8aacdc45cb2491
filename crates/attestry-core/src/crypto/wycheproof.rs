//! The signature vectors of Project Wycheproof against [`PublicKey::verify`]: no wrong answer.
//!
//! What was accepted rightly and what was refused rightly are two counts, and each test asserts both. Sets of another
//! hash, curve or encoding are run too: there, nothing but what is named may be accepted.

#![allow(clippy::unwrap_used, reason = "tests")]

use ::wycheproof::{EllipticCurve, TestResult, ecdsa, eddsa, rsa_pkcs1_verify as rsa};

use super::*;

/// What became of the vectors of some sets.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    accepted: usize,
    refused: usize,
    /// The exceptions: vectors whose verdict is left to the implementer, by their comments, and what we said.
    left_open: Vec<(String, bool)>,
}

/// One vector: its place for messages, what it says, and its parts.
struct Case<'v> {
    place: String,
    result: TestResult,
    comment: &'v str,
    message: &'v [u8],
    signature: &'v [u8],
}

impl Count {
    fn add(&mut self, key: &PublicKey, case: &Case<'_>) {
        let found = key.verify(case.message, case.signature).is_ok();
        match case.result {
            TestResult::Acceptable => self.left_open.push((case.comment.to_owned(), found)),
            TestResult::Valid | TestResult::Invalid => {
                assert_eq!(found, case.result == TestResult::Valid, "{}: accepted is {found}", case.place);
                if found {
                    self.accepted += 1;
                } else {
                    self.refused += 1;
                }
            }
        }
        // A message known by its hash alone is answered alike, or not at all.
        let by_hash = key.verify_sha256(&Digest::of(case.message), case.signature).is_ok();
        let hashed = matches!(key.algorithm, Algorithm::EcdsaP256Sha256 | Algorithm::RsaPkcs1Sha256);
        assert_eq!(by_hash, found && hashed, "{}: by its hash", case.place);
    }

    #[track_caller]
    fn assert(&self, accepted: usize, refused: usize, left_open: &[(&str, bool)]) {
        let found = format!("{} accepted rightly, {} refused rightly", self.accepted, self.refused);
        assert_eq!((self.accepted, self.refused), (accepted, refused), "{found}");
        let open: Vec<_> = self.left_open.iter().map(|(comment, found)| (comment.as_str(), *found)).collect();
        assert_eq!(open, left_open, "{found}; left open");
    }
}

fn ecdsa(name: ecdsa::TestName, algorithm: Algorithm) -> Count {
    let mut count = Count::default();
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(PublicKey::from_pem(&group.pem).as_ref(), Ok(&key));
        for test in &group.tests {
            let place = format!("{name:?} {}: {}", test.tc_id, test.comment);
            let (message, signature) = (&test.msg[..], &test.sig[..]);
            count.add(&key, &Case { place, result: test.result, comment: &test.comment, message, signature });
        }
    }
    count
}

fn rsa(name: rsa::TestName) -> Count {
    let mut count = Count::default();
    for group in rsa::TestSet::load(name).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        assert_eq!(key.algorithm(), Algorithm::RsaPkcs1Sha256);
        assert_eq!(PublicKey::from_pem(&group.pem).as_ref(), Ok(&key));
        for test in &group.tests {
            let place = format!("{name:?} {}: {}", test.tc_id, test.comment);
            let (message, signature) = (&test.msg[..], &test.sig[..]);
            count.add(&key, &Case { place, result: test.result, comment: &test.comment, message, signature });
        }
    }
    count
}

#[test]
fn ecdsa_p256_sha256() {
    ecdsa(ecdsa::TestName::EcdsaSecp256r1Sha256, Algorithm::EcdsaP256Sha256).assert(170, 301, &[]);
}

#[test]
fn ecdsa_p384_sha384() {
    ecdsa(ecdsa::TestName::EcdsaSecp384r1Sha384, Algorithm::EcdsaP384Sha384).assert(190, 301, &[]);
}

#[test]
fn ed25519() {
    let mut count = Count::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(&group.der).unwrap();
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
        assert_eq!(PublicKey::from_pem(&group.pem).as_ref(), Ok(&key));
        for test in &group.tests {
            let place = format!("Ed25519 {}: {}", test.tc_id, test.comment);
            let (message, signature) = (&test.msg[..], &test.sig[..]);
            count.add(&key, &Case { place, result: test.result, comment: &test.comment, message, signature });
        }
    }
    count.assert(88, 62, &[]);
}

/// The one exception: a DigestInfo without the NULL that PKCS #1 demands. RFC 8017 §9.2 has a verifier compare with
/// its own encoding, so it is refused.
const MISSING_NULL: &[(&str, bool)] = &[("Missing NULL in the ASN encoding", false)];

#[test]
fn rsa_pkcs1_sha256() {
    for (name, accepted, refused) in [
        (rsa::TestName::Rsa2048Sha256, 9, 249),
        (rsa::TestName::Rsa3072Sha256, 8, 250),
        (rsa::TestName::Rsa4096Sha256, 7, 250),
        (rsa::TestName::Rsa8192Sha256, 7, 250),
    ] {
        rsa(name).assert(accepted, refused, MISSING_NULL);
    }
}

/// A key fixes curve, hash and encoding. Under another one, what is valid elsewhere is refused here.
#[test]
fn ecdsa_of_another_curve_hash_or_encoding_is_refused() {
    let ours = [ecdsa::TestName::EcdsaSecp256r1Sha256, ecdsa::TestName::EcdsaSecp384r1Sha384];
    let (mut keys, mut signatures, mut accepted) = (0, 0, Vec::new());
    for name in ecdsa::TestName::all().into_iter().filter(|name| !ours.contains(name)) {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let Ok(key) = PublicKey::from_spki_der(&group.der) else {
                let curve = group.key.curve;
                assert!(!matches!(curve, EllipticCurve::Secp256r1 | EllipticCurve::Secp384r1), "{name:?}: {curve:?}");
                keys += 1;
                continue;
            };
            for test in &group.tests {
                if key.verify(&test.msg, &test.sig).is_ok() {
                    accepted.push((name, test.comment.clone()));
                } else {
                    signatures += 1;
                }
            }
        }
    }
    assert_eq!(accepted, [], "accepted");
    assert_eq!((keys, signatures), (5382, 6845), "{keys} keys and {signatures} signatures refused rightly");
}

/// The exceptions are signatures with SHA-256 after all: each set of another hash has one, which is invalid only there.
#[test]
fn rsa_of_another_hash_is_refused() {
    let ours = [
        rsa::TestName::Rsa2048Sha256,
        rsa::TestName::Rsa3072Sha256,
        rsa::TestName::Rsa4096Sha256,
        rsa::TestName::Rsa8192Sha256,
    ];
    let (mut signatures, mut with_sha256) = (0, 0);
    for name in rsa::TestName::all().into_iter().filter(|name| !ours.contains(name)) {
        for group in rsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(&group.der).unwrap();
            for test in &group.tests {
                let ours = test.comment.starts_with("The message is hashed with SHA-256 instead of ");
                let found = key.verify(&test.msg, &test.sig).is_ok();
                assert_eq!(found, ours, "{name:?} {}: {}: accepted is {found}", test.tc_id, test.comment);
                if found {
                    with_sha256 += 1;
                } else {
                    signatures += 1;
                }
            }
        }
    }
    let counts = format!("{with_sha256} accepted rightly, {signatures} refused rightly");
    assert_eq!((with_sha256, signatures), (20, 5148), "{counts}");
}
