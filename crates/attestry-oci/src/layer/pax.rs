//! Extended headers: records that say of an entry what its header has no room for (POSIX pax).

use super::LayerError;

/// What the records of one extended header say, as far as it matters here. Empty values say nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
}

impl Records {
    /// Reads records of the form `length key=value\n`, where the length counts the whole record.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, LayerError> {
        let mut records = Self::default();
        let mut seen = [false; 3];
        while !bytes.is_empty() {
            let broken = || LayerError::malformed("a record of an extended header cannot be read");
            let (record, rest) = split_record(bytes).ok_or_else(broken)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(broken)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            bytes = rest;
            let place = match key {
                b"path" => 0,
                b"linkpath" => 1,
                b"size" => 2,
                _ => {
                    check_other(key)?;
                    continue;
                }
            };
            // The last one counts for most programs, and not for all.
            if std::mem::replace(&mut seen[place], true) {
                return Err(LayerError::malformed("an extended header says the same thing twice"));
            }
            if value.is_empty() {
                continue;
            }
            if place == 2 {
                records.size = Some(decimal(value).ok_or_else(broken)?);
            } else if value.contains(&0) {
                return Err(LayerError::malformed("a name in an extended header holds a zero byte"));
            } else if place == 0 {
                records.path = Some(value.to_vec());
            } else {
                records.link = Some(value.to_vec());
            }
        }
        Ok(records)
    }

    pub(super) fn are_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Refuses keys that make another file of an entry.
fn check_other(key: &[u8]) -> Result<(), LayerError> {
    // Such a file has another name and another size than its header says, and a map of its own to its content.
    if key.starts_with(b"GNU.sparse.") {
        return Err(LayerError::unsupported("it has sparse files"));
    }
    // containerd sets attributes as they are, and these make a whiteout or an opaque directory on overlayfs and
    // fuse-overlayfs.
    const OVERLAY: [&[u8]; 3] =
        [b"SCHILY.xattr.trusted.overlay.", b"SCHILY.xattr.user.overlay.", b"SCHILY.xattr.user.fuseoverlayfs."];
    if OVERLAY.iter().any(|set| key.starts_with(set)) {
        return Err(LayerError::unsupported("it sets attributes of the overlay file system"));
    }
    Ok(())
}

/// The first record without its length and line break, and what follows it.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    Some((record, rest))
}

/// A number of at most 63 bits, as Go's sizes have them.
fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse::<i64>().ok()?.try_into().ok()
}
