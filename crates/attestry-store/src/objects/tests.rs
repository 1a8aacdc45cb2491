//! Objects are durable once, checked when read, and safe beside each other.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    io,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tempfile::TempDir;

use super::*;

/// Counts writes, and fails directory syncs while told to.
#[derive(Debug, Default)]
struct CountingDisk {
    writes: AtomicUsize,
    failing_syncs: AtomicUsize,
}

impl Disk for CountingDisk {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        RealDisk.write(path, file, bytes)
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        RealDisk.sync(path, file)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let left = self.failing_syncs.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { Err(io::ErrorKind::Other.into()) } else { RealDisk.sync_directory(path) }
    }
}

#[test]
fn object_is_read_back_by_its_digest_without_the_lock() {
    let dir = TempDir::new().unwrap();
    let objects = Objects::open(dir.path(), Arc::new(RealDisk)).unwrap();
    for bytes in [b"".as_slice(), b"evidence"] {
        let digest = Digest::of(bytes);
        assert_eq!(objects.get(&digest).unwrap(), None);
        objects.put(&digest, bytes).unwrap();
        objects.put(&digest, bytes).unwrap();
        assert_eq!(Objects::of(dir.path()).get(&digest).unwrap().as_deref(), Some(bytes));
    }
    let refused = objects.put(&Digest::of("evidence"), b"other bytes");
    assert!(matches!(refused, Err(StoreError::WrongDigest { .. })));
}

#[test]
fn same_object_from_many_threads_is_written_once() {
    let dir = TempDir::new().unwrap();
    let disk = Arc::new(CountingDisk::default());
    let objects = Objects::open(dir.path(), disk.clone()).unwrap();
    let digest = Digest::of("evidence");
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| objects.put(&digest, b"evidence").unwrap());
        }
    });
    assert_eq!(disk.writes.load(Ordering::Relaxed), 1);
}

#[test]
fn changed_object_is_not_given_out() {
    let dir = TempDir::new().unwrap();
    let objects = Objects::open(dir.path(), Arc::new(RealDisk)).unwrap();
    let digest = Digest::of("evidence");
    objects.put(&digest, b"evidence").unwrap();
    for bytes in [b"Evidence".as_slice(), b"evidence ", b""] {
        fs::write(objects.path(&digest), bytes).unwrap();
        let error = objects.get(&digest).unwrap_err();
        assert!(error.to_string().contains(&digest.hex()), "{error}");
    }
}

#[test]
fn object_whose_name_was_not_synced_is_written_again() {
    let dir = TempDir::new().unwrap();
    let disk = Arc::new(CountingDisk::default());
    let objects = Objects::open(dir.path(), disk.clone()).unwrap();
    let digest = Digest::of("evidence");
    disk.failing_syncs.store(1, Ordering::Relaxed);
    assert!(matches!(objects.put(&digest, b"evidence"), Err(StoreError::Io { .. })));
    assert_eq!(objects.get(&digest).unwrap(), None);
    objects.put(&digest, b"evidence").unwrap();
    assert_eq!(objects.get(&digest).unwrap().as_deref(), Some(b"evidence".as_slice()));
}

#[test]
fn half_written_objects_of_a_crash_are_removed() {
    let dir = TempDir::new().unwrap();
    let objects = Objects::open(dir.path(), Arc::new(RealDisk)).unwrap();
    let digest = Digest::of("evidence");
    fs::write(objects.temporary.join(digest.hex()), b"evid").unwrap();
    let objects = Objects::open(dir.path(), Arc::new(RealDisk)).unwrap();
    assert_eq!(fs::read_dir(&objects.temporary).unwrap().count(), 0);
    objects.put(&digest, b"evidence").unwrap();
    assert_eq!(objects.get(&digest).unwrap().as_deref(), Some(b"evidence".as_slice()));
}
