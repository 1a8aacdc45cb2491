//! Files are replaced whole, keep their mode, and nothing but a file is written over.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_file_is_replaced_whole_and_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.yaml");
    write(&path, b"one").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    write(&path, b"two").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_stays_and_its_target_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    write(&target, b"one").unwrap();
    symlink(&target, &link).unwrap();
    write(&link, b"two").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&target).unwrap(), b"two");
}

#[test]
fn what_is_no_file_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    assert!(write(folder.path(), b"x").is_err());
    assert!(write(&folder.path().join("none/file"), b"x").is_err());
}

#[test]
fn reading_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    write(&path, b"1234").unwrap();
    assert_eq!(read(&path, 4).unwrap(), b"1234");
    assert!(read(&path, 3).unwrap_err().to_string().contains("larger than 3 bytes"));
}
