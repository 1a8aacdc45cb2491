//! Key files on disk: written once, never over another file, and never by halves.
//!
//! A key that is half-written or silently replaced is a key that is lost, with everything that it signed. So each file
//! is written under a temporary name in the same directory, synced, and then *linked* to its name: a link fails where
//! the name is taken, which a rename would not.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rand_core::{OsRng, RngCore as _};
use zeroize::Zeroizing;

use crate::key::MAX_KEY_BYTES;
use crate::{Error, SigningKey};

/// Only the owner reads private keys.
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;

/// Where a pair was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// `NAME.key`, the encrypted private key, mode 0600.
    pub private: PathBuf,
    /// `NAME.pub`, the public key.
    pub public: PathBuf,
}

impl KeyPairFiles {
    /// The two files that belong to `name`, a path without ending.
    pub fn named(name: &Path) -> Self {
        let with = |ending: &str| {
            // Not `with_extension`: in `release-1.2` the `.2` is part of the name.
            let mut path = OsString::from(name);
            path.push(ending);
            PathBuf::from(path)
        };
        Self { private: with(".key"), public: with(".pub") }
    }
}

/// Writes `NAME.key`, encrypted as cosign does, and `NAME.pub`. Either both are there afterwards or neither is.
///
/// Nothing is overwritten: where one of the two exists the answer is [`Error::FileExists`]. Should the machine stop
/// between the two links, only `NAME.key` is there, from which `attestry key public` makes the other.
pub fn write_key_pair(name: &Path, key: &SigningKey, password: &[u8]) -> Result<KeyPairFiles, Error> {
    let files = KeyPairFiles::named(name);
    // Asked early so that nobody waits for scrypt in vain; the link below is what decides.
    for path in [&files.private, &files.public] {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Error::FileExists { path: path.clone() });
        }
    }
    let private = Staged::write(&files.private, key.to_encrypted_pem(password)?.as_bytes(), PRIVATE_MODE)?;
    let public = Staged::write(&files.public, key.public_key_pem().as_bytes(), PUBLIC_MODE)?;
    private.publish()?;
    if let Err(error) = public.publish() {
        // We made this file a moment ago, and nobody has been told of it.
        let _ = fs::remove_file(&files.private);
        return Err(error);
    }
    sync_directory(&files.private)?;
    Ok(files)
}

/// Reads a key file, at most [`MAX_KEY_BYTES`] of it. The bytes are wiped when dropped.
pub fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |source| Error::Io { action: "read", path: path.to_owned(), source };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_KEY_BYTES + 1));
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_KEY_BYTES {
        return Err(Error::KeyTooLarge { limit: MAX_KEY_BYTES });
    }
    Ok(bytes)
}

/// Writes one private file that must not exist yet, readable by its owner alone.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    Staged::write(path, bytes, PRIVATE_MODE)?.publish()?;
    sync_directory(path)
}

/// A complete, synced file under a temporary name; removed when dropped.
struct Staged {
    temporary: PathBuf,
    target: PathBuf,
}

impl Staged {
    fn write(target: &Path, bytes: &[u8], mode: u32) -> Result<Self, Error> {
        let temporary = target.with_file_name(format!(".attestry-{:016x}.tmp", random()?));
        let failed = |source| Error::Io { action: "write", path: target.to_owned(), source };
        // `create_new` with the mode from the start: there is no moment at which others can open it, and no link to
        // follow.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary).map_err(failed)?;
        // From here on the file is removed whatever happens.
        let staged = Self { temporary, target: target.to_owned() };
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(staged)
    }

    /// Gives the file its name, unless the name is taken.
    fn publish(&self) -> Result<(), Error> {
        fs::hard_link(&self.temporary, &self.target).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::FileExists { path: self.target.clone() },
            _ => Error::Io { action: "write", path: self.target.clone(), source },
        })
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // A leftover temporary file is no harm to the key, and there is nobody to tell.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Makes the new names themselves durable.
fn sync_directory(file: &Path) -> Result<(), Error> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|source| Error::Io {
        action: "sync",
        path: directory.to_owned(),
        source,
    })
}

fn random() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    OsRng.try_fill_bytes(&mut bytes).map_err(Error::Random)?;
    Ok(u64::from_le_bytes(bytes))
}
