//! What people and CI systems hand us to sign with: private keys, tokens, the services of an instance.

use attestry_core::Timestamp;
use attestry_sign::{
    SigningKey,
    keyless::{IdentityToken, SigningConfig, services::LogVersion},
};

/// A private key that is read signs what its public key verifies.
pub fn cosign_key(bytes: &[u8]) {
    let _ = SigningKey::needs_password(bytes);
    // Deriving a key takes a tenth of a second by design, so only some inputs get a password.
    let password = bytes.len().is_multiple_of(32).then_some(&b"password"[..]);
    for password in [None, password] {
        if let Ok(key) = SigningKey::danger_import_example(bytes, password) {
            assert_eq!(key.public_key().verify(b"message", &key.sign(b"message")), Ok(()));
        }
    }
}

/// Services that are chosen can prove a time between them.
pub fn signing_config(bytes: &[u8]) {
    let Ok(config) = SigningConfig::from_json(bytes) else { return };
    if let Ok(services) = config.select(Timestamp::constant(1_795_000_000, 0)) {
        let promises = services.logs.iter().any(|log| log.version == LogVersion::V1);
        assert!(promises || !services.timestamp_authorities.is_empty(), "{services:?}");
    }
}

/// A token is read or refused in few words: what was given is not repeated.
pub fn identity_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = IdentityToken::parse(text, Timestamp::constant(1_795_000_000, 0)) {
        assert!(error.to_string().len() < 128, "{error}");
    }
}
