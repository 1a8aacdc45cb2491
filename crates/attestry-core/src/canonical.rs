//! Canonical JSON (RFC 8785): the bytes of everything that is digested or stored.

use serde::Serialize;

use crate::Digest;

/// The RFC 8785 bytes of `value`.
///
/// Values that are stored use no floating-point numbers and no integers above 2^53, so the number rules of the
/// RFC never matter. Object keys that are not strings cannot be written and are a fault of the type.
pub fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    // Stored types are plain structs with string keys: serialising them into memory cannot fail.
    serde_json_canonicalizer::to_vec(value).expect("stored values are plain JSON")
}

/// The digest that names `value`: SHA-256 of its canonical bytes.
pub fn digest<T: Serialize>(value: &T) -> Digest {
    Digest::of(to_vec(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn golden_bytes() {
        let value = json!({"b": [1, "ü\n<"], "a": {"z": null, "y": true}});
        assert_eq!(
            super::to_vec(&value),
            br#"{"a":{"y":true,"z":null},"b":[1,"#.iter().chain("\"ü\\n<\"]}".as_bytes()).copied().collect::<Vec<u8>>()
        );
    }
}
