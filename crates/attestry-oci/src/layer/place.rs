//! Where in the image an entry of an archive stands.

use attestry_core::layer::{Entry, EntryKind};

use super::LayerError;

/// Bytes of a path and of one part of it, as Linux takes them.
const MAX_PATH: usize = 4096;
const MAX_PART: usize = 255;

const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT: &[u8] = b".wh.";

/// The entry that a name stands for: cleaned as containerd does it, and a whiteout if its last part says so, whatever
/// kind of entry it is. The root itself is none. Longer names and targets than a node could unpack are refused, so that
/// what is built of them is bounded.
///
/// Docker passes over names at the top that begin with `.wh..wh.`, which aufs left there. They are treated like all
/// others, as current containerd does: to list more than is unpacked hides nothing.
pub(super) fn place(name: &[u8], kind: EntryKind) -> Result<Option<Entry>, LayerError> {
    if let EntryKind::Symlink(target) = &kind
        && target.len() >= MAX_PATH
    {
        return Err(LayerError::malformed("the target of a link is longer than a file system takes"));
    }
    let mut parts = parts(name)?;
    let Some(base) = parts.pop() else {
        return match kind {
            EntryKind::Directory => Ok(None),
            // containerd passes over it; others take the whole root away first.
            _ => Err(LayerError::malformed("the root is no directory")),
        };
    };
    let entry = |parts: &[&[u8]], kind| Ok(Some(Entry { path: parts.join(&b'/'), kind }));
    if base == OPAQUE {
        return entry(&parts, EntryKind::Opaque);
    }
    let Some(taken) = base.strip_prefix(WHITEOUT) else {
        parts.push(base);
        return entry(&parts, kind);
    };
    if matches!(taken, b"" | b"." | b"..") {
        return Err(LayerError::malformed(format!("{} takes away no name", String::from_utf8_lossy(name))));
    }
    parts.push(taken);
    entry(&parts, EntryKind::Whiteout)
}

/// The parts of a name, counted from the root: nothing leads out of it.
pub(super) fn parts(name: &[u8]) -> Result<Vec<&[u8]>, LayerError> {
    if name.contains(&0) {
        return Err(LayerError::malformed("a name holds a zero byte"));
    }
    let mut parts = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part if part.len() > MAX_PART => {
                return Err(LayerError::malformed("a name has a part that is longer than a file system takes"));
            }
            part => parts.push(part),
        }
    }
    // Without slashes at its ends; Linux counts the zero byte behind it.
    if parts.iter().map(|part| part.len() + 1).sum::<usize>() > MAX_PATH {
        return Err(LayerError::malformed("a name is longer than a file system takes"));
    }
    Ok(parts)
}
