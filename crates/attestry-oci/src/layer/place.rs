//! Where in the image an entry of an archive stands.

use attestry_core::layer::{Entry, EntryKind};

use super::LayerError;

const OPAQUE: &[u8] = b".wh..wh..opq";
const WHITEOUT: &[u8] = b".wh.";

/// The entry that a name stands for: cleaned as containerd does it, and a whiteout if its last part says so, whatever
/// kind of entry it is. The root itself is none.
///
/// Docker passes over names at the top that begin with `.wh..wh.`, which aufs left there. They are treated like all
/// others, as current containerd does: to list more than is unpacked hides nothing.
pub(super) fn place(name: &[u8], kind: EntryKind) -> Result<Option<Entry>, LayerError> {
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
            part => parts.push(part),
        }
    }
    Ok(parts)
}
