//! Writing and syncing: the one seam between the store and the disk, so that tests can make each call fail.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// The calls whose failure decides what may be answered.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Writes all of `bytes` at the position of `file`, which stands at `path`.
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    /// Returns when what was written to `file` is on the disk.
    fn sync(&self, path: &Path, file: &File) -> io::Result<()>;
    /// Returns when the names in the directory `path` are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The disk itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, _: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, _: &Path, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        // `fdatasync` may leave out a new directory entry, so directories are synced whole.
        File::open(path)?.sync_all()
    }
}

/// Puts `bytes` at `path`, whole or not at all, durable when this returns. `temporary` is on the same file system.
pub(crate) fn replace(disk: &dyn Disk, path: &Path, temporary: &Path, bytes: &[u8]) -> Result<File, StoreError> {
    let mut file = File::create(temporary).map_err(StoreError::io("create", temporary))?;
    disk.write(temporary, &mut file, bytes).map_err(StoreError::io("write", temporary))?;
    disk.sync(temporary, &file).map_err(StoreError::io("sync", temporary))?;
    fs::rename(temporary, path).map_err(StoreError::io("rename", temporary))?;
    sync_parent(disk, path)?;
    Ok(file)
}

/// Creates the directory and those above it, durable when this returns.
pub(crate) fn create_directory(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.is_dir()).collect();
    fs::create_dir_all(path).map_err(StoreError::io("create directory", path))?;
    missing.into_iter().try_for_each(|path| sync_parent(disk, path))
}

/// Makes the name of `path` durable.
pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => return Ok(()),
    };
    disk.sync_directory(&parent).map_err(StoreError::io("sync directory", parent))
}
