//! Content-addressed blobs beside the log: evidence documents, policy sets, trust roots.
//!
//! They lie in `objects/sha256/<64 hex digits>` and are durable before the first record that names them. The
//! directory needs no trust: bytes are given out only under the digest that they have.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use attestry_core::Digest;

use crate::{
    StoreError,
    disk::{self, Disk, RealDisk},
};

/// The most bytes of an object.
pub const MAX_OBJECT: usize = 64 << 20;

/// The objects of a data directory.
#[derive(Debug)]
pub struct Objects {
    directory: PathBuf,
    temporary: PathBuf,
    disk: Arc<dyn Disk>,
    /// Objects that are being written: another caller with the same bytes must not take them for durable yet.
    in_flight: Mutex<HashSet<Digest>>,
    finished: Condvar,
}

impl Objects {
    /// The objects of `dir` for reading; nothing is created and no lock is needed.
    pub fn of(dir: &Path) -> Self {
        Self::with_disk(dir, Arc::new(RealDisk))
    }

    /// The objects of `dir` for writing too. The caller holds the lock of the data directory.
    pub(crate) fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let objects = Self::with_disk(dir, disk);
        // What a crash left half written has no name yet.
        match fs::remove_dir_all(&objects.temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &objects.temporary)(error));
            }
            _ => {}
        }
        disk::create_directory(&*objects.disk, &objects.temporary)?;
        disk::create_directory(&*objects.disk, &objects.directory)?;
        // A crash may have come between a rename and its sync: from here on, what has a name is durable.
        let directory = &objects.directory;
        objects.disk.sync_directory(directory).map_err(StoreError::io("sync directory", directory))?;
        Ok(objects)
    }

    fn with_disk(dir: &Path, disk: Arc<dyn Disk>) -> Self {
        let (directory, temporary) = (dir.join("objects/sha256"), dir.join("objects/tmp"));
        Self { directory, temporary, disk, in_flight: Mutex::default(), finished: Condvar::new() }
    }

    /// Stores `bytes` under their `digest`; durable when this returns. What is there already is not written again.
    ///
    /// This blocks for a few syncs.
    pub fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        if bytes.len() > MAX_OBJECT {
            return Err(StoreError::TooLarge { what: "an object's bytes", size: bytes.len(), max: MAX_OBJECT });
        }
        if Digest::of(bytes) != *digest {
            return Err(StoreError::WrongDigest { expected: *digest });
        }
        let path = self.path(digest);
        let claimed = |in_flight: &mut HashSet<Digest>| in_flight.contains(digest);
        let mut in_flight = self.finished.wait_while(self.in_flight(), claimed).unwrap_or_else(PoisonError::into_inner);
        if path.try_exists().map_err(StoreError::io("look at", &path))? {
            return Ok(());
        }
        in_flight.insert(*digest);
        drop(in_flight);
        let result = disk::replace(&*self.disk, &path, &self.temporary.join(digest.hex()), bytes);
        if result.is_err() {
            // The name may be there and not be durable: without it the next caller tries again.
            let _ = fs::remove_file(&path);
        }
        self.in_flight().remove(digest);
        self.finished.notify_all();
        result.map(drop)
    }

    /// The bytes with this digest, checked; `None` where there are none.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", path)(error)),
        };
        let mut bytes = Vec::new();
        // One byte more than may be there, so that what is too long differs.
        file.take(MAX_OBJECT as u64 + 1).read_to_end(&mut bytes).map_err(StoreError::io("read", &path))?;
        if Digest::of(&bytes) != *digest {
            return Err(StoreError::ObjectDiffers { path, expected: *digest });
        }
        Ok(Some(bytes))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// Each change of the set is one call, so a panic elsewhere does not spoil it.
    fn in_flight(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
