//! Test keys by name: the same name gives the same key in every run and on every machine.
//!
//! They protect nothing: anybody can derive them from this file.

use attestry_core::Digest;
use attestry_sign::SigningKey;
use p256::pkcs8::EncodePrivateKey as _;

/// The ECDSA P-256 key of this name.
pub fn p256(name: &str) -> SigningKey {
    let secret = p256::SecretKey::from_slice(&secret(name)).unwrap();
    SigningKey::import(secret.to_pkcs8_der().unwrap().as_bytes(), None).unwrap()
}

/// The Ed25519 key of this name.
pub fn ed25519(name: &str) -> SigningKey {
    let secret = ed25519_dalek::SigningKey::from_bytes(&secret(name));
    SigningKey::import(secret.to_pkcs8_der().unwrap().as_bytes(), None).unwrap()
}

fn secret(name: &str) -> [u8; 32] {
    *Digest::of(format!("attestry test key {name}")).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_key_of_each_algorithm() {
        for make in [p256, ed25519] {
            assert_eq!(make("a").key_id(), make("a").key_id());
            assert_ne!(make("a").key_id(), make("b").key_id());
            let key = make("a");
            assert_eq!(key.public_key().verify(b"message", &key.sign(b"message")), Ok(()));
        }
        assert_ne!(p256("a").key_id(), ed25519("a").key_id());
    }

    #[test]
    fn golden_key_ids() {
        // Saved cases name these keys: a change here breaks them.
        let ids = [p256("release").key_id().to_string(), ed25519("release").key_id().to_string()];
        assert_eq!(
            ids,
            [
                "sha256:10b1a63e164c917d4ab2cc4e72be96b507b00df31bc7ea4ad2ef0f5391805e2c",
                "sha256:ac8d5d8589191d40d7cf7cad7dbca7c73346449bb4d618589c6200b50ace6700"
            ]
        );
    }
}
