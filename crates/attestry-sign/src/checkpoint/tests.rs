//! The key is made once, kept, and signs what core verifies.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::note::{Checkpoint, UnverifiedNote};

use super::*;

#[test]
fn core_verifies_what_it_signs() {
    let directory = tempfile::tempdir().unwrap();
    let signer = CheckpointSigner::create_or_load(directory.path(), "log.example/1").unwrap();
    let checkpoint = Checkpoint { origin: "log.example/1".into(), size: 7, root: [3; 32] };
    let note = checkpoint.sign(&signer).unwrap().to_string();

    // Read again from its bytes and by the text form of the key, as an auditor would.
    let note = UnverifiedNote::parse(note.as_bytes()).unwrap();
    let key: NoteKey = signer.note_key().to_string().parse().unwrap();
    assert_eq!(Checkpoint::from_text(note.verify(&key).unwrap()).unwrap(), checkpoint);

    let other = tempfile::tempdir().unwrap();
    let stranger = CheckpointSigner::create_or_load(other.path(), "log.example/1").unwrap();
    assert!(note.verify(stranger.note_key()).is_err());
}

#[test]
fn the_key_is_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(CHECKPOINT_KEY_FILE);
    // Eight processes that start at the same moment.
    let keys: Vec<NoteKey> = std::thread::scope(|scope| {
        let start = || CheckpointSigner::create_or_load(directory.path(), "log").unwrap().note_key().clone();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn a_bad_key_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(CHECKPOINT_KEY_FILE);
    CheckpointSigner::create_or_load(directory.path(), "log").unwrap();
    let whole = fs::read(&path).unwrap();

    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(CheckpointSigner::create_or_load(directory.path(), "log"), Err(Error::KeyExposed { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

    assert!(matches!(CheckpointSigner::create_or_load(directory.path(), "a b"), Err(Error::NoteName(_))));

    // A damaged key is never replaced by a new one: the log's old checkpoints would lose their signer.
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(CheckpointSigner::create_or_load(directory.path(), "log"), Err(Error::KeyMalformed { .. })));
    assert_eq!(fs::read(&path).unwrap(), &whole[..whole.len() / 2]);

    let ecdsa = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
    assert!(matches!(CheckpointSigner::new("log", ecdsa), Err(Error::WrongAlgorithm { .. })));
}
