//! Both files or neither, whatever stands in the way.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::Algorithm;

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_pair_is_written_and_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    let files = write_key_pair(&directory.path().join("release-1.2"), &key, b"pw").unwrap();
    assert_eq!(names(directory.path()), ["release-1.2.key", "release-1.2.pub"]);
    assert_eq!(mode(&files.private), 0o600);
    assert_eq!(fs::read_to_string(&files.public).unwrap(), key.public_key_pem());
    let again = SigningKey::import(&read_key_file(&files.private).unwrap(), Some(b"pw")).unwrap();
    assert_eq!(again.key_id(), key.key_id());
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    for taken in ["k.key", "k.pub"] {
        for dangling in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(taken);
            if dangling {
                std::os::unix::fs::symlink(directory.path().join("elsewhere"), &path).unwrap();
            } else {
                fs::write(&path, "precious").unwrap();
            }
            let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
            let error = write_key_pair(&directory.path().join("k"), &key, b"").unwrap_err();
            assert!(matches!(&error, Error::FileExists { path: named } if *named == path), "{error}");
            assert_eq!(names(directory.path()), [taken]);
            assert!(dangling || fs::read(&path).unwrap() == b"precious");
        }
    }
}

#[test]
fn a_name_that_is_taken_meanwhile_is_kept() {
    // The early look saw nothing; by the time of the link somebody has put a file there.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("k.key");
    let staged = Staged::write(&path, b"ours", PRIVATE_MODE).unwrap();
    fs::write(&path, "theirs").unwrap();
    assert!(matches!(staged.publish(), Err(Error::FileExists { .. })));
    drop(staged);
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    assert_eq!(names(directory.path()), ["k.key"]);
}

#[test]
fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let error = write_key_pair(&directory.path().join("absent/k"), &key, b"").unwrap_err();
    assert!(matches!(error, Error::Io { action: "write", .. }), "{error}");
}

#[test]
fn key_files_are_read_up_to_the_bound() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("big");
    fs::write(&path, vec![0; MAX_KEY_BYTES]).unwrap();
    assert_eq!(read_key_file(&path).unwrap().len(), MAX_KEY_BYTES);
    fs::write(&path, vec![0; MAX_KEY_BYTES + 1]).unwrap();
    assert!(matches!(read_key_file(&path), Err(Error::KeyTooLarge { .. })));
    // A stream without end is cut off as well.
    assert!(matches!(read_key_file(Path::new("/dev/zero")), Err(Error::KeyTooLarge { .. })));
    assert!(matches!(read_key_file(&directory.path().join("absent")), Err(Error::Io { action: "read", .. })));
}
