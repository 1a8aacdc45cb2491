//! Files: read with a bound, written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, ensure};

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    read_from(file, &path.display().to_string(), limit)
}

/// Reads a file, or standard input where the path is `-`.
pub(crate) fn read_or_stdin(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        return read_from(io::stdin().lock(), "standard input", limit);
    }
    read(path, limit)
}

fn read_from(reader: impl Read, name: &str, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    ensure!(bytes.len() as u64 <= limit, "{name} is larger than {limit} bytes");
    Ok(bytes)
}

/// Writes a file under a temporary name beside it, syncs it and gives it its name: readers see the old content or
/// the new one, never a half. What stood there before is replaced and its mode kept.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mode = match fs::metadata(path) {
        Ok(found) if found.is_file() => found.permissions(),
        // A rename would put a file where a device or directory was.
        Ok(_) => return Err(anyhow!("cannot write {}: it is not a file", path.display())),
        // The process's umask takes away what others shall not do.
        Err(_) => Permissions::from_mode(0o666),
    };
    // Through a link the file that it points at is meant; a rename would replace the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        let mut file =
            tempfile::Builder::new().prefix(".attestry-").permissions(mode.clone()).tempfile_in(directory)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&target)?;
        File::open(directory)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
