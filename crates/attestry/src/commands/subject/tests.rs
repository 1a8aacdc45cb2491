//! What digest files may hold, and how a command is typed again.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;

#[test]
fn digest_files() {
    let digest = Digest::of("{}");
    let folder = tempfile::tempdir().unwrap();
    let check = |content: String, expected: Option<Digest>| {
        let path = folder.path().join("digest");
        fs::write(&path, &content).unwrap();
        assert_eq!(read_digest_file(&path).ok(), expected, "{content}");
    };
    check(digest.to_string(), Some(digest));
    check(format!("{digest}\n"), Some(digest));
    check(format!("registry.example/app@{digest}\n"), Some(digest));
    check(format!(r#"{{"containerimage.digest":"{digest}","image.name":"registry.example/app:1"}}"#), Some(digest));
    check(r#"{"image.name":"registry.example/app:1"}"#.to_owned(), None);
    // Two digests in one file are none.
    check(format!(r#"{{"containerimage.digest":"{digest}","containerimage.digest":"{}"}}"#, Digest::of("x")), None);
    check(format!("{digest}\n{digest}"), None);
    check(digest.hex(), None);
    check(String::new(), None);
}

#[test]
fn words_are_quoted_for_a_shell() {
    for (word, expected) in [
        ("--key", "--key"),
        ("a/b@sha256:0", "a/b@sha256:0"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", "'it'\\''s'"),
        ("$(x)", "'$(x)'"),
    ] {
        assert_eq!(quoted(word.to_owned()), expected);
    }
}
