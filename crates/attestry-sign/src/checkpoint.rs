//! The key with which a server signs the checkpoints of its decision log.
//!
//! It lives as `checkpoint.key` in the server's data directory: PKCS#8 PEM in clear, mode 0600. A service starts
//! without a person to type a password, and who can read this directory can write the log in it anyway. What the key
//! protects is every copy that already left: an auditor who holds an old checkpoint sees that the log was rewritten.

#[cfg(test)]
mod tests;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use attestry_core::note::{NoteKey, NoteSigner};

use crate::key::pem;
use crate::key_files::{read_key_file, write_private};
use crate::{Algorithm, Error, SigningKey};

/// The file's name in the data directory.
pub const CHECKPOINT_KEY_FILE: &str = "checkpoint.key";

/// An Ed25519 key under the name of a log.
#[derive(Debug)]
pub struct CheckpointSigner {
    key: SigningKey,
    note_key: NoteKey,
}

impl CheckpointSigner {
    /// Takes an Ed25519 key and the log's name (C2SP: not empty, no spaces, no `+`).
    pub fn new(name: &str, key: SigningKey) -> Result<Self, Error> {
        let public = key
            .ed25519_public()
            .ok_or(Error::WrongAlgorithm { expected: Algorithm::Ed25519, seen: key.algorithm() })?;
        let note_key = NoteKey::ed25519(name, public).map_err(Error::NoteName)?;
        Ok(Self { key, note_key })
    }

    /// Loads `checkpoint.key` from a directory, or makes one where there is none yet.
    ///
    /// Of two processes that start at once one makes the key and both load it. A key that other users may read is
    /// refused: they could sign another history.
    pub fn create_or_load(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(CHECKPOINT_KEY_FILE);
        if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            let der = SigningKey::generate(Algorithm::Ed25519)?.to_pkcs8_der()?;
            match write_private(&path, pem::encode("PRIVATE KEY", &der).as_bytes()) {
                Ok(()) | Err(Error::FileExists { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let metadata =
            fs::metadata(&path).map_err(|source| Error::Io { action: "read", path: path.clone(), source })?;
        if metadata.permissions().mode() & 0o007 != 0 {
            return Err(Error::KeyExposed { path });
        }
        Self::new(name, SigningKey::import(&read_key_file(&path)?, None)?)
    }

    /// The public half, to be given to auditors.
    pub fn note_key(&self) -> &NoteKey {
        &self.note_key
    }
}

impl NoteSigner for CheckpointSigner {
    fn name(&self) -> &str {
        self.note_key.name()
    }

    fn key_id(&self) -> [u8; 4] {
        self.note_key.id()
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.key.sign(text)
    }
}
