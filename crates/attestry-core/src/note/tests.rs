//! Notes against a published example, and their mutated twins.
#![allow(clippy::unwrap_used, reason = "tests")]

use ed25519_dalek::{Signer as _, SigningKey};

use super::*;
use crate::merkle::empty_root;

/// The example in the documentation of the format's first implementation (golang.org/x/mod/sumdb/note).
const PUBLISHED_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PUBLISHED_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\n\
    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

#[derive(Debug)]
struct Key {
    name: &'static str,
    key: SigningKey,
}

impl Key {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, key: SigningKey::from_bytes(&[seed; 32]) }
    }

    fn public(&self) -> NoteKey {
        NoteKey::ed25519(self.name, self.key.verifying_key().to_bytes()).unwrap()
    }
}

impl NoteSigner for Key {
    fn name(&self) -> &str {
        self.name
    }

    fn key_id(&self) -> [u8; 4] {
        self.public().id()
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.key.sign(text).to_bytes().to_vec()
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: "log.example".to_owned(), size: 7, root: empty_root() }
}

#[test]
fn published_note_verifies_under_its_published_key() {
    let key: NoteKey = PUBLISHED_KEY.parse().unwrap();
    assert_eq!(key.to_string(), PUBLISHED_KEY);
    let note = UnverifiedNote::parse(PUBLISHED_NOTE.as_bytes()).unwrap();
    assert_eq!(
        note.verify(&key),
        Ok(PUBLISHED_NOTE.split_once("\n\n").map(|(text, _)| format!("{text}\n")).unwrap().as_str())
    );
    assert_eq!(note.to_string(), PUBLISHED_NOTE);
}

#[test]
fn checkpoint_has_golden_text_and_survives_the_round_trip() {
    let text = "log.example\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    assert_eq!(checkpoint().to_text(), text);
    assert_eq!(Checkpoint::from_text(text), Ok(checkpoint()));
    assert_eq!(Checkpoint::from_text(&format!("{text}an extension\n")), Ok(checkpoint()));
    let signer = Key::new("log.example", 1);
    let note = UnverifiedNote::parse(checkpoint().sign(&signer).unwrap().to_string().as_bytes()).unwrap();
    assert_eq!(note.verify(&signer.public()), Ok(text));
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for text in [
        String::new(),
        "log.example\n".to_owned(),
        format!("\n7\n{root}\n"),
        format!("log.example\n07\n{root}\n"),
        format!("log.example\n+7\n{root}\n"),
        format!("log.example\n-1\n{root}\n"),
        format!("log.example\n18446744073709551616\n{root}\n"),
        format!("log.example\n7\n{root}"),
        format!("log.example\n7\n{}\n", &root[..40]),
        format!("log.example\n7\n{root}\n\n"),
        "log.example\n7\nAAAA\n".to_owned(),
    ] {
        assert!(Checkpoint::from_text(&text).is_err(), "{text:?}");
    }
}

#[test]
fn other_keys_are_ignored_and_a_false_signature_of_ours_is_fatal() {
    let (ours, other) = (Key::new("log.example", 1), Key::new("witness.example", 2));
    let text = checkpoint().to_text();
    let note = UnverifiedNote::sign(text.clone(), &[&other, &ours]).unwrap();
    assert_eq!(note.verify(&ours.public()), Ok(text.as_str()));
    assert_eq!(note.verify(&other.public()), Ok(text.as_str()));
    // The same name with another key is another key id: that line says nothing about this key.
    let stranger = Key::new("log.example", 3).public();
    assert_eq!(note.verify(&stranger), Err(NoteError::NotSigned { name: "log.example".to_owned() }));

    let mut forged = note.clone();
    forged.text = text.replace("\n7\n", "\n8\n");
    let refused = Err(NoteError::FalseSignature { name: "log.example".to_owned() });
    assert_eq!(forged.verify(&ours.public()), refused);
    // One good line does not redeem a forged one.
    let mut doubled = note.clone();
    let mut line = note.signatures[1].clone();
    line.signature[0] ^= 1;
    doubled.signatures.push(line);
    assert_eq!(doubled.verify(&ours.public()), refused);
}

#[test]
fn malformed_notes_are_refused() {
    let good = checkpoint().sign(&Key::new("log.example", 1)).unwrap().to_string();
    assert!(UnverifiedNote::parse(good.as_bytes()).is_ok());
    let line = good.lines().last().unwrap();
    for note in [
        String::new(),
        "\n\n".to_owned(),
        good.replace("\n\n", "\n"),
        good.trim_end().to_owned(),
        format!("{good}\n"),
        good.replace('\u{2014}', "-"),
        good.replace("log.example\n7", "log.example\r\n7"),
        good.replace("\u{2014} log.example ", "\u{2014} log+example "),
        good.replace("\u{2014} log.example ", "\u{2014} log.example  "),
        format!("{good}\u{2014} log.example AAAAAA==\n"),
        format!("{good}\u{2014} log.example\n"),
        format!("{good}{}", format!("{line}\n").repeat(MAX_SIGNATURES)),
        format!("{}{good}", "a".repeat(MAX_NOTE)),
    ] {
        assert!(UnverifiedNote::parse(note.as_bytes()).is_err(), "{:?}", note.get(..200.min(note.len())));
    }
    assert!(UnverifiedNote::parse(b"text\n\n\xff").is_err());
}

#[test]
fn text_with_empty_lines_is_split_at_the_last_one() {
    let key = Key::new("log.example", 1);
    let text = format!("a\n\n{}\n", "\u{2014} log.example c2lnbmF0dXJl");
    let note = UnverifiedNote::sign(text.clone(), &[&key]).unwrap();
    assert_eq!(note.signatures().len(), 1);
    assert_eq!(note.verify(&key.public()), Ok(text.as_str()));
}

#[test]
fn malformed_keys_are_refused() {
    for key in [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpC",
        "PeterNeumann+c74f20a3+?",
    ] {
        assert!(key.parse::<NoteKey>().is_err(), "{key}");
    }
}

#[test]
fn bounds_of_a_note() {
    let key = Key::new("log.example", 1);
    let sign = |text: &str| UnverifiedNote::sign(text.to_owned(), &[&key]);
    assert!(sign("a\n").is_ok());
    for text in ["", "\n", "a", "a\u{1}\n"] {
        assert!(matches!(sign(text), Err(NoteError::Malformed(_))), "{text:?}");
    }
    let around = sign("a\n").unwrap().to_string().len() - "a\n".len();
    let longest = format!("{}\n", "a".repeat(MAX_NOTE - around - 1));
    assert_eq!(sign(&longest).unwrap().to_string().len(), MAX_NOTE);
    assert_eq!(sign(&format!("a{longest}")).unwrap_err(), NoteError::TooLarge);
    let (text, line) = PUBLISHED_NOTE.split_once("\n\n").unwrap();
    let lines = |count: usize| UnverifiedNote::parse(format!("{text}\n\n{}", line.repeat(count)).as_bytes());
    assert_eq!(lines(MAX_SIGNATURES).unwrap().signatures().len(), MAX_SIGNATURES);
    assert_eq!(lines(MAX_SIGNATURES + 1).unwrap_err(), NoteError::TooLarge);
}
