//! Private keys in DER: PKCS#8 (RFC 5958) and SEC 1 (RFC 5915), and the names of what is neither.

use ed25519_dalek::ed25519::pkcs8::ALGORITHM_ID as ED25519;
use p256::pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use p256::pkcs8::der::{Decode as _, Reader as _};
use p256::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use p256::pkcs8::{ObjectIdentifier, PrivateKeyInfo, SecretDocument};
use zeroize::Zeroizing;

use super::Secret;
use super::pem::Block;
use crate::Error;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Kinds of keys that exist and are not ours, so that they are refused by name.
const NAMES: [(&str, &str); 9] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.3.132.0.34", "ECDSA P-384"),
    ("1.3.132.0.35", "ECDSA P-521"),
    ("1.3.132.0.10", "ECDSA secp256k1"),
    ("1.3.101.113", "Ed448"),
    ("1.3.101.110", "X25519"),
    ("1.3.101.111", "X448"),
];

/// Reads the body of a PEM block by its label.
pub(super) fn read_labelled(block: &Block) -> Result<Secret, Error> {
    match block.label.as_str() {
        _ if block.has_headers => Err(Error::UnsupportedFormat {
            format: "a key that OpenSSL encrypted",
            hint: "openssl pkey -in OLD -out NEW",
        }),
        "PRIVATE KEY" => read_pkcs8(&block.body),
        "EC PRIVATE KEY" => read_sec1(&block.body, None),
        "RSA PRIVATE KEY" => Err(unsupported("RSA")),
        "DSA PRIVATE KEY" => Err(unsupported("DSA")),
        "ENCRYPTED PRIVATE KEY" => Err(encrypted_pkcs8()),
        "OPENSSH PRIVATE KEY" => {
            Err(Error::UnsupportedFormat { format: "an OpenSSH private key", hint: "ssh-keygen -p -m PKCS8 -f FILE" })
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Err(Error::PublicKeyGiven),
        other => Err(Error::NotAKey { seen: format!("PEM of type `{other}`") }),
    }
}

/// Reads DER that says nothing about itself.
pub(super) fn read_any(der: &[u8]) -> Result<Secret, Error> {
    if PrivateKeyInfo::from_der(der).is_ok() {
        return read_pkcs8(der);
    }
    if sec1::EcPrivateKey::from_der(der).is_ok() {
        return read_sec1(der, None);
    }
    if SubjectPublicKeyInfoRef::from_der(der).is_ok() {
        return Err(Error::PublicKeyGiven);
    }
    // EncryptedPrivateKeyInfo has the shape of a public key whose bit string is an octet string.
    if SubjectPublicKeyInfo::<AnyRef<'_>, OctetStringRef<'_>>::from_der(der).is_ok() {
        return Err(encrypted_pkcs8());
    }
    if is_pkcs1_private(der) {
        return Err(unsupported("RSA"));
    }
    Err(Error::NotAKey { seen: "neither PEM nor DER of a private key (PKCS#8 or SEC 1)".into() })
}

/// Reads PKCS#8 of either of our algorithms; a public key inside must belong to the private one.
pub(super) fn read_pkcs8(der: &[u8]) -> Result<Secret, Error> {
    let info = PrivateKeyInfo::from_der(der).map_err(|_| malformed("it is not PKCS#8"))?;
    let algorithm = info.algorithm;
    if algorithm.oid == ED25519.oid {
        return read_ed25519(&info);
    }
    if algorithm.oid != EC {
        return Err(unsupported(&name_of(algorithm.oid)));
    }
    // Explicit curve parameters can describe a curve with a known trapdoor (CVE-2020-0601): named curves only.
    let curve = algorithm.parameters_oid().map_err(|_| unsupported("elliptic-curve (without a named curve)"))?;
    read_sec1(info.private_key, Some(curve))
}

/// Writes the PKCS#8 that Go and OpenSSL write: the public key inside for P-256, none for Ed25519 (version 1).
pub(super) fn write_pkcs8(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (algorithm, inner) = match secret {
        Secret::EcdsaP256(secret) => {
            let inner = p256::SecretKey::from(secret.as_nonzero_scalar()).to_sec1_der();
            let algorithm = AlgorithmIdentifierRef { oid: EC, parameters: Some((&P256).into()) };
            (algorithm, inner.map_err(|_| malformed("it cannot be encoded"))?)
        }
        Secret::Ed25519(secret) => {
            let mut inner = Zeroizing::new(Vec::with_capacity(34));
            inner.extend_from_slice(&[0x04, 0x20]);
            inner.extend_from_slice(secret.as_bytes());
            (ED25519, inner)
        }
    };
    let document = SecretDocument::encode_msg(&PrivateKeyInfo::new(algorithm, &inner))
        .map_err(|_| malformed("it cannot be encoded"))?;
    Ok(document.to_bytes())
}

/// Reads SEC 1. The curve stands inside, or in the PKCS#8 around it, or in both and then they agree.
fn read_sec1(der: &[u8], outer: Option<ObjectIdentifier>) -> Result<Secret, Error> {
    let key = sec1::EcPrivateKey::from_der(der).map_err(|_| malformed("it is not SEC 1 with a named curve"))?;
    let inner = key.parameters.and_then(sec1::EcParameters::named_curve);
    let curve = match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => return Err(malformed("it names two curves")),
        (Some(curve), _) | (None, Some(curve)) => curve,
        (None, None) => return Err(malformed("it does not name its curve")),
    };
    if curve != P256 {
        return Err(unsupported(&name_of(curve)));
    }
    let secret = p256::SecretKey::try_from(key)
        .map_err(|_| malformed("its number is out of range, or its public half is another key's"))?;
    Ok(Secret::EcdsaP256(secret.into()))
}

/// RFC 8410: an octet string in the octet string, and no parameters.
fn read_ed25519(info: &PrivateKeyInfo<'_>) -> Result<Secret, Error> {
    if info.algorithm.parameters.is_some() {
        return Err(malformed("an Ed25519 key has no parameters"));
    }
    let seed: &[u8; 32] = match info.private_key {
        [0x04, 0x20, seed @ ..] => seed.try_into().map_err(|_| malformed("an Ed25519 key is 32 bytes"))?,
        _ => return Err(malformed("an Ed25519 key is 32 bytes")),
    };
    let secret = ed25519_dalek::SigningKey::from_bytes(seed);
    // A foreign public half would be hashed into every signature, and two such signatures give the key away.
    if info.public_key.is_some_and(|public| public != secret.verifying_key().as_bytes()) {
        return Err(malformed("its public half is another key's"));
    }
    Ok(Secret::Ed25519(secret))
}

/// PKCS#1 `RSAPrivateKey`: a sequence that begins with version 0 or 1 and a modulus.
fn is_pkcs1_private(der: &[u8]) -> bool {
    let parse = || {
        AnyRef::from_der(der)?.sequence(|fields| {
            let version: u8 = fields.decode()?;
            let modulus: UintRef<'_> = fields.decode()?;
            let found = version <= 1 && modulus.as_bytes().len() >= 64;
            while !fields.is_finished() {
                fields.decode::<AnyRef<'_>>()?;
            }
            Ok(found)
        })
    };
    parse().unwrap_or(false)
}

fn name_of(oid: ObjectIdentifier) -> String {
    let text = oid.to_string();
    NAMES.iter().find(|(known, _)| *known == text).map_or(format!("algorithm {text}"), |(_, name)| (*name).to_owned())
}

fn encrypted_pkcs8() -> Error {
    Error::UnsupportedFormat { format: "encrypted PKCS#8", hint: "openssl pkey -in OLD -out NEW" }
}

fn unsupported(algorithm: &str) -> Error {
    Error::UnsupportedAlgorithm { algorithm: algorithm.to_owned() }
}

fn malformed(problem: &'static str) -> Error {
    Error::KeyMalformed { problem }
}
