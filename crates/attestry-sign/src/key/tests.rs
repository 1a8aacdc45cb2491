//! Keys of cosign and OpenSSL in, ours out, and everything that must be refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;

use super::*;

const PASSWORD: &[u8] = b"golden-password";

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../tests-data/", $name)).as_slice()
    };
}

fn import(bytes: &[u8]) -> Result<SigningKey, Error> {
    SigningKey::import(bytes, Some(PASSWORD))
}

/// Whether a signature holds, by implementations that share nothing with `sign` but the curve.
fn verifies(public_pem: &str, message: &[u8], signature: &[u8]) -> bool {
    if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(public_pem) {
        return DerSignature::from_bytes(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok());
    }
    let key = ed25519_dalek::VerifyingKey::from_public_key_pem(public_pem).unwrap();
    ed25519_dalek::Signature::from_slice(signature)
        .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

#[test]
fn files_of_other_programs_are_read() {
    let check = |name: &str, bytes: &[u8], public: &[u8], algorithm: Algorithm| {
        let key = import(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(key.public_key_pem().as_bytes(), public, "{name}");
        assert_eq!(key.algorithm(), algorithm, "{name}");
        assert!(verifies(&key.public_key_pem(), b"text", &key.sign(b"text")), "{name}");
        assert!(!verifies(&key.public_key_pem(), b"test", &key.sign(b"text")), "{name}");
    };
    check("cosign 3", file!("cosign3.key"), file!("cosign3.pub"), Algorithm::EcdsaP256);
    check("cosign 2", file!("cosign2.key"), file!("cosign2.pub"), Algorithm::EcdsaP256);
    check("old label", file!("old-label.key"), file!("cosign2.pub"), Algorithm::EcdsaP256);
    check("imported", file!("p256-imported.key"), file!("p256.pub"), Algorithm::EcdsaP256);
    check("PKCS#8 PEM", file!("p256.pkcs8.pem"), file!("p256.pub"), Algorithm::EcdsaP256);
    check("PKCS#8 DER", file!("p256.pkcs8.der"), file!("p256.pub"), Algorithm::EcdsaP256);
    check("SEC 1 PEM", file!("p256.sec1.pem"), file!("p256.pub"), Algorithm::EcdsaP256);
    check("SEC 1 DER", file!("p256.sec1.der"), file!("p256.pub"), Algorithm::EcdsaP256);
    check("Ed25519 imported", file!("ed25519-imported.key"), file!("ed25519.pub"), Algorithm::Ed25519);
    check("Ed25519 PEM", file!("ed25519.pkcs8.pem"), file!("ed25519.pub"), Algorithm::Ed25519);
    check("Ed25519 DER", file!("ed25519.pkcs8.der"), file!("ed25519.pub"), Algorithm::Ed25519);
}

#[test]
fn our_files_are_shaped_like_cosigns() {
    let theirs = std::str::from_utf8(file!("p256-imported.key")).unwrap();
    let key = import(file!("p256.pkcs8.pem")).unwrap();
    let ours = key.to_encrypted_pem(PASSWORD).unwrap();
    // All but salt, nonce and ciphertext, which are fresh each time.
    let skeleton = |text: &str| {
        let mut document: serde_json::Value =
            serde_json::from_slice(&pem::read_one(text.as_bytes()).unwrap().body).unwrap();
        for pointer in ["/kdf/salt", "/cipher/nonce", "/ciphertext"] {
            let value = document.pointer_mut(pointer).unwrap();
            *value = value.as_str().unwrap().len().into();
        }
        (document, text.lines().map(str::len).collect::<Vec<_>>())
    };
    assert_eq!(skeleton(&ours), skeleton(theirs));
    let json = pem::read_one(ours.as_bytes()).unwrap().body;
    assert!(json.starts_with(br#"{"kdf":{"name":"scrypt","params":{"N":65536,"r":8,"p":1},"salt":""#));
    assert_ne!(ours, key.to_encrypted_pem(PASSWORD).unwrap(), "salt and nonce are fresh");
}

#[test]
fn what_cosign_encrypts_is_what_we_write() {
    // Same key, so the decrypted PKCS#8 must be the same bytes as ours: no other reader can then tell them apart.
    for encrypted in [file!("cosign3.key"), file!("p256-imported.key"), file!("ed25519-imported.key")] {
        let theirs = cosign::decrypt(&pem::read_one(encrypted).unwrap().body, PASSWORD).unwrap();
        assert_eq!(theirs.as_slice(), import(encrypted).unwrap().to_pkcs8_der().unwrap().as_slice());
    }
}

#[test]
fn cosigns_signatures_belong_to_its_keys() {
    let check = |key: &[u8], signature: &[u8]| {
        let signature = BASE64_STANDARD.decode(signature).unwrap();
        assert!(verifies(&import(key).unwrap().public_key_pem(), file!("message"), &signature));
    };
    check(file!("cosign3.key"), file!("message.cosign3.sig"));
    check(file!("ed25519-imported.key"), file!("message.ed25519.sig"));
    // Deterministic, so our Ed25519 signature is cosign's, byte for byte.
    let ours = import(file!("ed25519.pkcs8.pem")).unwrap().sign(file!("message"));
    assert_eq!(BASE64_STANDARD.encode(ours).as_bytes(), file!("message.ed25519.sig"));
}

#[test]
fn generated_keys_survive_the_round_trip() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let key = SigningKey::generate(algorithm).unwrap();
        let encrypted = key.to_encrypted_pem(b"").unwrap();
        assert!(SigningKey::needs_password(encrypted.as_bytes()));
        let again = SigningKey::import(encrypted.as_bytes(), Some(b"")).unwrap();
        assert_eq!(again.public_key_der(), key.public_key_der());
        assert_eq!(again.key_id(), key.key_id());
        assert_eq!(again.sign(b"text"), key.sign(b"text"));
        assert_ne!(SigningKey::generate(algorithm).unwrap().key_id(), key.key_id());
    }
}

#[test]
fn passwords() {
    let sealed = file!("cosign3.key");
    assert!(matches!(SigningKey::import(sealed, None), Err(Error::PasswordNeeded)));
    assert!(matches!(SigningKey::import(sealed, Some(b"")), Err(Error::WrongPassword)));
    assert!(matches!(SigningKey::import(sealed, Some(b"golden-password\n")), Err(Error::WrongPassword)));
    assert!(SigningKey::import(file!("empty-password.key"), Some(b"")).is_ok());
    assert!(SigningKey::needs_password(sealed));
    assert!(!SigningKey::needs_password(file!("p256.pkcs8.pem")));
    assert!(!SigningKey::needs_password(file!("p256.pkcs8.der")));
    assert!(SigningKey::import(file!("p256.pkcs8.pem"), None).is_ok());
}

#[test]
fn what_is_refused_is_refused_by_name() {
    let check = |name: &str, bytes: &[u8], expected: &str| {
        let error = import(bytes).map(|_| ()).expect_err(name).to_string();
        assert!(error.contains(expected), "{name}: {error}");
    };
    check("P-384", file!("refused-p384.pem"), "ECDSA P-384 keys are not supported: use ECDSA P-256");
    check("P-384 SEC 1", file!("refused-p384.sec1.pem"), "ECDSA P-384");
    check("P-384 cosign", file!("refused-p384-imported.key"), "ECDSA P-384");
    check("RSA", file!("refused-rsa.pem"), "RSA keys are not supported");
    check("RSA PKCS#1", file!("refused-rsa.pkcs1.pem"), "RSA keys");
    check("RSA PKCS#1 DER", file!("refused-rsa.pkcs1.der"), "RSA keys");
    check("secp256k1", file!("refused-secp256k1.pem"), "ECDSA secp256k1");
    check("X25519", file!("refused-x25519.pem"), "X25519");
    check("explicit curve", file!("refused-explicit-curve.pem"), "without a named curve");
    check("PKCS#8 encrypted", file!("refused-encrypted-pkcs8.pem"), "encrypted PKCS#8 is not read");
    check("PKCS#8 encrypted DER", file!("refused-encrypted-pkcs8.der"), "encrypted PKCS#8 is not read");
    check("OpenSSL encrypted", file!("refused-openssl-encrypted.pem"), "a key that OpenSSL encrypted");
    check("OpenSSH", file!("refused-openssh.pem"), "an OpenSSH private key");
    check("public", file!("cosign3.pub"), "this is a public key");
    check("public DER", file!("refused-public.der"), "this is a public key");
    check("certificate", file!("refused-certificate.pem"), "PEM of type `CERTIFICATE`");
    check("empty", b"", "neither PEM nor DER");
    check("text", b"hello\n", "neither PEM nor DER");
    check("two keys", &[file!("p256.pkcs8.pem"), file!("ed25519.pkcs8.pem")].concat(), "several PEM blocks");
    check(
        "only parameters",
        b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n",
        "without a key",
    );
    check("escape in label", b"-----BEGIN \x1b[31mKEY-----\n", "impossible label");
    check("other end", b"-----BEGIN PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n", "END line does not match");
    check("no base64", b"-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n", "not base64");
    check("large", &vec![b' '; MAX_KEY_BYTES + 1], "larger than 65536 bytes");
}

#[test]
fn pem_survives_mail_and_windows() {
    let text = std::str::from_utf8(file!("p256.pkcs8.pem")).unwrap();
    for spelling in [text.replace('\n', "\r\n"), text.replace('\n', " \n"), format!("my key:\n{text}\nkeep it safe\n")]
    {
        assert_eq!(import(spelling.as_bytes()).unwrap().public_key_pem().as_bytes(), file!("p256.pub"), "{spelling:?}");
    }
}

#[test]
fn every_truncation_is_refused() {
    for whole in [file!("p256.pkcs8.der"), file!("p256.sec1.der"), file!("ed25519.pkcs8.der")] {
        for end in 0..whole.len() {
            assert!(import(&whole[..end]).is_err(), "DER cut at {end}");
        }
    }
    for whole in [file!("cosign3.key"), file!("p256.sec1.pem"), file!("ed25519.pkcs8.pem")] {
        // Without its last line break a PEM file is whole.
        for end in 0..whole.len() - 1 {
            assert!(import(&whole[..end]).is_err(), "PEM cut at {end}");
        }
    }
    let json = pem::read_one(file!("cosign3.key")).unwrap().body;
    for end in 0..json.len() {
        assert!(cosign::decrypt(&json[..end], PASSWORD).is_err(), "JSON cut at {end}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for whole in [file!("p256.pkcs8.der"), file!("p256.sec1.der"), file!("ed25519.pkcs8.der")] {
        assert!(import(&[whole, &[0]].concat()).is_err());
    }
}

/// The body of `cosign3.key` with one value replaced.
fn mutated(pointer: &str, value: serde_json::Value) -> Error {
    let block = pem::read_one(file!("cosign3.key")).unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&block.body).unwrap();
    *document.pointer_mut(pointer).unwrap() = value;
    let text = pem::encode(pem::SIGSTORE_LABEL, &serde_json::to_vec(&document).unwrap());
    import(text.as_bytes()).map(|_| ()).expect_err(pointer)
}

#[test]
fn encryption_parameters_are_checked_before_any_work() {
    // With these numbers scrypt would need from gigabytes to more memory than exists; an answer at all is the test.
    for n in [0, 1, 16_384, 65_535, 262_144, 1 << 40, u64::MAX] {
        let error = mutated("/kdf/params/N", n.into());
        assert!(matches!(error, Error::UnsupportedEncryption { parameter: "scrypt N", .. }), "{n}: {error}");
    }
    for (pointer, value) in [
        ("/kdf/params/r", (1u64 << 30).into()),
        ("/kdf/params/r", 1.into()),
        ("/kdf/params/p", (1u64 << 30).into()),
        ("/kdf/params/p", 0.into()),
        ("/kdf/name", "pbkdf2".into()),
        ("/cipher/name", "aes-256-gcm".into()),
    ] {
        let error = mutated(pointer, value);
        assert!(matches!(error, Error::UnsupportedEncryption { .. }), "{pointer}: {error}");
    }
    for (pointer, value) in [
        ("/kdf/params/N", serde_json::json!(-1)),
        ("/kdf/params/N", serde_json::json!(65536.5)),
        ("/kdf/params/N", serde_json::json!("65536")),
        ("/kdf/salt", "".into()),
        ("/kdf/salt", "AAAA".into()),
        ("/cipher/nonce", "AAAA".into()),
        ("/cipher/nonce", "not base64".into()),
        ("/ciphertext", "".into()),
        ("/ciphertext", BASE64_STANDARD.encode([0; 15]).into()),
        ("/ciphertext", "*".into()),
        ("/cipher", serde_json::Value::Null),
    ] {
        let error = mutated(pointer, value);
        assert!(matches!(error, Error::KeyMalformed { .. }), "{pointer}: {error}");
    }
}

#[test]
fn changed_ciphertext_does_not_decrypt() {
    let block = pem::read_one(file!("cosign3.key")).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&block.body).unwrap();
    let sealed = BASE64_STANDARD.decode(document["ciphertext"].as_str().unwrap()).unwrap();
    let flipped = |at: usize| {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        bytes
    };
    // The tag, the first and last byte of the key, one byte less, and nothing but a tag.
    for bytes in
        [flipped(0), flipped(16), flipped(sealed.len() - 1), sealed[..sealed.len() - 1].to_vec(), sealed[..16].to_vec()]
    {
        assert!(matches!(mutated("/ciphertext", BASE64_STANDARD.encode(bytes).into()), Error::WrongPassword));
    }
    // Salt and nonce are part of the key, so changing them is the same as another password.
    assert!(matches!(mutated("/kdf/salt", BASE64_STANDARD.encode([7; 32]).into()), Error::WrongPassword));
    assert!(matches!(mutated("/cipher/nonce", BASE64_STANDARD.encode([7; 24]).into()), Error::WrongPassword));
}

#[test]
fn a_public_half_of_another_key_is_refused() {
    // The public key is the tail of the P-256 file: another point of the curve, then no point at all.
    let whole = file!("p256.pkcs8.der");
    let other = import(file!("cosign3.key")).unwrap();
    let point = &other.public_key_der()[other.public_key_der().len() - 64..];
    for tail in [point, &[1; 64]] {
        let forged = [&whole[..whole.len() - 64], tail].concat();
        assert!(matches!(import(&forged), Err(Error::KeyMalformed { .. })));
    }

    // Ed25519 with the public half of another seed (PKCS#8 version 2): signing with it would give the key away.
    let seed = [5; 32];
    let inner = [&[0x04, 0x20], seed.as_slice()].concat();
    let v2 = |public: &[u8]| {
        let mut info = p256::pkcs8::PrivateKeyInfo::new(ed25519_dalek::ed25519::pkcs8::ALGORITHM_ID, &inner);
        info.public_key = Some(public);
        p256::pkcs8::SecretDocument::encode_msg(&info).unwrap()
    };
    let own = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key().to_bytes();
    assert!(import(v2(&own).as_bytes()).is_ok());
    assert!(matches!(import(v2(&[9; 32]).as_bytes()), Err(Error::KeyMalformed { .. })));
}

#[test]
fn numbers_outside_the_curve_are_refused() {
    // Zero and the order of P-256, written into the 32 bytes of a SEC 1 key without public half.
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for scalar in [vec![0; 32], order] {
        let der =
            [&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20], scalar.as_slice(), &hex("a00a06082a8648ce3d030107")].concat();
        assert!(matches!(import(&der), Err(Error::KeyMalformed { .. })));
    }
    // The same with 1 is a key: the test above is about the number, not the shape.
    let mut one = vec![0; 32];
    one[31] = 1;
    let der = [&[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20], one.as_slice(), &hex("a00a06082a8648ce3d030107")].concat();
    assert!(import(&der).is_ok());
}

#[test]
fn debug_shows_no_secret() {
    let key = import(file!("ed25519.pkcs8.der")).unwrap();
    let text = format!("{key:?}");
    assert_eq!(text, format!("SigningKey {{ algorithm: Ed25519, key_id: \"{}\", .. }}", key.key_id()));
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
