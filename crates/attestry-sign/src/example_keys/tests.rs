//! The list and `keys-example/` must name the same keys.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use super::*;
use crate::{Error, SigningKey};

const PASSWORD: &[u8] = b"attestry-example";

#[test]
fn the_list_is_the_directory() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../keys-example");
    let mut names: Vec<String> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    let mut listed: Vec<String> =
        EXAMPLE_KEYS.iter().flat_map(|(name, _)| [format!("{name}.key"), format!("{name}.pub")]).collect();
    listed.sort();
    assert_eq!(names, listed);

    for (name, key_id) in EXAMPLE_KEYS {
        let private = fs::read(directory.join(format!("{name}.key"))).unwrap();
        let key = SigningKey::danger_import_example(&private, Some(PASSWORD)).unwrap();
        assert_eq!(key.key_id().to_string(), key_id, "{name}");
        assert_eq!(key.public_key_pem(), fs::read_to_string(directory.join(format!("{name}.pub"))).unwrap(), "{name}");
        assert!(is_example_key(&key.key_id()));

        // The key is refused, not the file: copying it under another password does not help.
        let copy = key.to_encrypted_pem(b"mine").unwrap();
        for (bytes, password) in [(private.as_slice(), PASSWORD), (copy.as_bytes(), b"mine".as_slice())] {
            match SigningKey::import(bytes, Some(password)) {
                Err(Error::ExampleKey { key_id: refused }) => assert_eq!(refused, key_id),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn other_keys_are_not_examples() {
    assert!(!is_example_key(&KeyId::of("some key")));
}
