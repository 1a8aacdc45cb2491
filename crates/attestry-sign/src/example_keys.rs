//! The published throw-away keys of `keys-example/`, by key id.
//!
//! Their private halves are in the repository and their password in its README, so a signature by one of them proves
//! nothing. People copy examples into production: [`SigningKey::import`](crate::SigningKey::import) therefore refuses
//! them, and whoever loads a key to trust can ask [`is_example_key`] too.

use attestry_core::crypto::KeyId;

/// The key ids, as `sha256:…` of each public key's SubjectPublicKeyInfo, with the file's name.
pub const EXAMPLE_KEYS: [(&str, &str); 2] = [
    ("release", "sha256:8443695a19a0505fe7e86fdc7b21a86d23e1aa2f112cc78d1ff830b7f106de5f"),
    ("other", "sha256:d18f71a85efd7112d568d17e17e097f367a2858c96f296e25a0826e433db8a1e"),
];

/// Whether this key id belongs to a key whose private half is public.
pub fn is_example_key(key_id: &KeyId) -> bool {
    let key_id = key_id.to_string();
    EXAMPLE_KEYS.iter().any(|(_, example)| *example == key_id)
}

#[cfg(test)]
mod tests;
