//! Public keys and the one implementation that decides whether a signature is good.
//!
//! aws-lc-rs verifies everywhere, so that replicas never disagree. The algorithm is fixed by the key: nothing in a
//! bundle can choose another one.

use std::fmt;

use aws_lc_rs::{
    digest,
    signature::{self, ParsedPublicKey},
};

use crate::Digest;

/// SHA-256 of a public key's SPKI DER: the name of a key in policies, revocations and proofs.
pub type KeyId = Digest;

/// What a key signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, ASN.1 DER signatures.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384, ASN.1 DER signatures.
    EcdsaP384Sha384,
    /// Pure Ed25519 (RFC 8032), 64-byte signatures.
    Ed25519,
    /// RSA PKCS #1 v1.5 with SHA-256, 2048 to 8192 bits.
    RsaPkcs1Sha256,
}

/// A public key that was parsed and checked: the point is on its curve, the modulus long enough.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    id: KeyId,
    spki: Vec<u8>,
    parsed: ParsedPublicKey,
}

/// Why bytes are no usable public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a PEM block labelled PUBLIC KEY.
    #[error("this is no PEM public key: it begins with -----BEGIN PUBLIC KEY-----")]
    NotPem,
    /// A PEM block with another label.
    #[error("this PEM block is {0:?}, not a public key: make one with attestry key public")]
    WrongLabel(String),
    /// DER that is no SubjectPublicKeyInfo of a supported algorithm.
    #[error("unsupported public key: P-256, P-384, Ed25519 and RSA from 2048 bits are understood")]
    Unsupported,
    /// A known algorithm with a value that is no key.
    #[error("the public key is malformed: not a point on its curve, or an RSA modulus out of bounds")]
    Malformed,
}

/// The signature does not fit key and bytes. No more is said, since nothing more is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit")]
pub struct BadSignature;

/// Nothing longer is a public key that we accept.
const MAX_SPKI: usize = 2048;
const MAX_PEM: usize = 8192;

// SubjectPublicKeyInfo (RFC 5280 §4.1) has one DER encoding per algorithm, so the head identifies it.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const P384_HEAD: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00,
    0x22, 0x03, 0x62, 0x00,
];
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

impl PublicKey {
    /// Reads one PEM block `PUBLIC KEY` (RFC 7468 §13). At most 8 KiB.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        if text.len() > MAX_PEM {
            return Err(KeyError::NotPem);
        }
        let block = pem::parse(text.trim()).map_err(|_| KeyError::NotPem)?;
        if block.tag() != "PUBLIC KEY" {
            return Err(KeyError::WrongLabel(crate::reason::clean(block.tag(), 64)));
        }
        Self::from_spki_der(block.contents())
    }

    /// Reads a DER SubjectPublicKeyInfo. Trailing data and points off the curve are refused.
    pub fn from_spki_der(spki: &[u8]) -> Result<Self, KeyError> {
        if spki.len() > MAX_SPKI {
            return Err(KeyError::Unsupported);
        }
        let (algorithm, raw) = match spki {
            _ if spki.starts_with(&P256_HEAD) => (Algorithm::EcdsaP256Sha256, &spki[P256_HEAD.len()..]),
            _ if spki.starts_with(&P384_HEAD) => (Algorithm::EcdsaP384Sha384, &spki[P384_HEAD.len()..]),
            _ if spki.starts_with(&ED25519_HEAD) => (Algorithm::Ed25519, &spki[ED25519_HEAD.len()..]),
            _ => (Algorithm::RsaPkcs1Sha256, rsa_public_key(spki).ok_or(KeyError::Unsupported)?),
        };
        let parsed = match algorithm {
            Algorithm::EcdsaP256Sha256 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_ASN1, raw),
            Algorithm::EcdsaP384Sha384 => ParsedPublicKey::new(&signature::ECDSA_P384_SHA384_ASN1, raw),
            Algorithm::Ed25519 if raw.len() != 32 => return Err(KeyError::Malformed),
            Algorithm::Ed25519 => ParsedPublicKey::new(&signature::ED25519, raw),
            Algorithm::RsaPkcs1Sha256 => ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, raw),
        };
        let parsed = parsed.map_err(|_| KeyError::Malformed)?;
        Ok(Self { algorithm, id: Digest::of(spki), spki: spki.to_vec(), parsed })
    }

    /// The algorithm that the key fixes.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of the SPKI DER.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The SPKI DER as it was read.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Checks `signature` over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        self.parsed.verify_sig(message, signature).map_err(|_| BadSignature)
    }
}

impl PublicKey {
    /// Checks `signature` over a message of which only the SHA-256 is known. Keys that hash otherwise never fit.
    pub fn verify_sha256(&self, message: &Digest, signature: &[u8]) -> Result<(), BadSignature> {
        let hashed = matches!(self.algorithm, Algorithm::EcdsaP256Sha256 | Algorithm::RsaPkcs1Sha256);
        let digest = digest::Digest::import_less_safe(message.as_bytes(), &digest::SHA256).map_err(|_| BadSignature)?;
        if !hashed {
            return Err(BadSignature);
        }
        self.parsed.verify_digest_sig(&digest, signature).map_err(|_| BadSignature)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, self.id)
    }
}

/// The RSAPublicKey inside `SEQUENCE { rsaEncryption NULL, BIT STRING { … } }`, with exact lengths.
fn rsa_public_key(spki: &[u8]) -> Option<&[u8]> {
    let body = der_value(spki, 0x30)?;
    let bits = der_value(body.strip_prefix(&RSA_ALGORITHM)?, 0x03)?;
    let (unused, key) = bits.split_first()?;
    (*unused == 0).then_some(key)
}

/// The value of the one element that `bytes` is, if its tag fits and its length is minimal and exact.
fn der_value(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let (head, length) = match *bytes {
        [t, n, ..] if t == tag && n < 0x80 => (2, usize::from(n)),
        [t, 0x81, n, ..] if t == tag && n >= 0x80 => (3, usize::from(n)),
        [t, 0x82, high, low, ..] if t == tag && high != 0 => (4, usize::from(high) << 8 | usize::from(low)),
        _ => return None,
    };
    let value = &bytes[head..];
    (value.len() == length).then_some(value)
}

#[cfg(test)]
mod wycheproof;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use p256::{
        ecdsa::{SigningKey, signature::Signer},
        pkcs8::{EncodePublicKey, LineEnding},
    };

    use super::*;

    fn p256() -> (SigningKey, Vec<u8>) {
        let key = SigningKey::from_bytes(&[7; 32].into()).unwrap();
        let spki = key.verifying_key().to_public_key_der().unwrap().into_vec();
        (key, spki)
    }

    #[test]
    fn a_p256_key_reads_from_pem_and_der_and_verifies() {
        let (key, spki) = p256();
        let public = PublicKey::from_spki_der(&spki).unwrap();
        let pem = key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        assert_eq!(PublicKey::from_pem(&pem).unwrap(), public);
        assert_eq!(public.id(), Digest::of(&spki));
        let signature: p256::ecdsa::DerSignature = key.sign(b"message");
        assert_eq!(public.verify(b"message", signature.as_bytes()), Ok(()));
        assert_eq!(public.verify(b"massage", signature.as_bytes()), Err(BadSignature));
        let mut longer = signature.as_bytes().to_vec();
        longer.push(0);
        assert_eq!(public.verify(b"message", &longer), Err(BadSignature));
        assert_eq!(public.verify(b"message", &[]), Err(BadSignature));
    }

    #[test]
    fn an_ed25519_key_reads_and_verifies() {
        use ed25519_dalek::{SigningKey, pkcs8::EncodePublicKey};
        let key = SigningKey::from_bytes(&[9; 32]);
        let public = PublicKey::from_spki_der(key.verifying_key().to_public_key_der().unwrap().as_bytes()).unwrap();
        assert_eq!(public.algorithm(), Algorithm::Ed25519);
        assert_eq!(public.verify(b"m", &key.sign(b"m").to_bytes()), Ok(()));
        assert_eq!(public.verify(b"n", &key.sign(b"m").to_bytes()), Err(BadSignature));
    }

    #[test]
    fn keys_are_equal_by_their_bytes() {
        let other = SigningKey::from_bytes(&[8; 32].into()).unwrap().verifying_key().to_public_key_der().unwrap();
        let [one, other] = [&p256().1[..], other.as_bytes()].map(|spki| PublicKey::from_spki_der(spki).unwrap());
        assert_eq!(one, one.clone());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), format!("PublicKey(EcdsaP256Sha256, {})", one.id()));
    }

    /// Distinguished encoding (X.690 §10.1): the shortest form of a length, and nothing after the value.
    #[test]
    fn a_der_length_has_one_spelling() {
        for length in [0_usize, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
            let [_, _, high, low] = u32::try_from(length).unwrap().to_be_bytes();
            let value = vec![7; length];
            let spelled: Vec<Vec<u8>> = [&[low][..], &[0x81, low], &[0x82, high, low]]
                .into_iter()
                .map(|head| [&[0x30][..], head, &value].concat())
                .collect();
            let shortest = usize::from(length >= 0x80) + usize::from(length >= 0x100);
            for (at, bytes) in spelled.iter().enumerate() {
                let expected = (at == shortest).then_some(&value[..]);
                assert_eq!(der_value(bytes, 0x30), expected, "{length} spelled {:x?}", &bytes[..4.min(bytes.len())]);
            }
            let good = &spelled[shortest];
            assert_eq!(der_value(good, 0x03), None, "another tag");
            assert_eq!(der_value(&[&good[..], &[0]].concat(), 0x30), None, "something after it");
            assert_eq!(der_value(&good[..good.len() - 1], 0x30), None, "cut");
        }
    }

    #[test]
    fn damaged_keys_are_refused() {
        let (_, spki) = p256();
        for end in 0..spki.len() {
            assert!(PublicKey::from_spki_der(&spki[..end]).is_err(), "cut at {end}");
        }
        let longer = [&spki[..], &[0]].concat();
        assert!(PublicKey::from_spki_der(&longer).is_err());
        let mut off_curve = spki.clone();
        off_curve[40] ^= 1;
        assert_eq!(PublicKey::from_spki_der(&off_curve), Err(KeyError::Malformed));
        for text in ["", "-----BEGIN PUBLIC KEY-----", "ssh-ed25519 AAAA"] {
            assert_eq!(PublicKey::from_pem(text), Err(KeyError::NotPem), "{text}");
        }
        // White space around a block counts towards its bound.
        let pem = SigningKey::from_bytes(&[7; 32].into()).unwrap().verifying_key().to_public_key_pem(LineEnding::LF);
        let padded = |size: usize| format!("{:<size$}", pem.as_ref().unwrap());
        assert!(PublicKey::from_pem(&padded(MAX_PEM)).is_ok());
        assert_eq!(PublicKey::from_pem(&padded(MAX_PEM + 1)), Err(KeyError::NotPem));
        let private = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(PublicKey::from_pem(private), Err(KeyError::WrongLabel("PRIVATE KEY".into())));
    }
}
