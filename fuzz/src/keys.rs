//! Private keys that people import.

use attestry_sign::SigningKey;

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
