//! What the archive of an image layer does to the layers below it (OCI image-spec v1.1.1, `layer.md`).
//!
//! Only names and kinds: what a file holds is never kept. Nothing of this takes part in a review; `base check`
//! tells with it what an image changes of its base.

use crate::Digest;

/// A layer as it was unpacked, in the order of its archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the unpacked archive, to be compared with the configuration's diffID.
    pub diff_id: Digest,
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The path from the root of the image, `/` between its parts and none at its ends; cleaned of empty parts, `.`
    /// and `..`. For a whiteout the path that it takes away. Empty only where the root itself is [`EntryKind::Opaque`].
    pub path: Vec<u8>,
    /// What stands there.
    pub kind: EntryKind,
}

/// What an entry of a layer is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A directory; laid over one of a lower layer it takes nothing away.
    Directory,
    /// A symbolic link, with its target as written.
    Symlink(Vec<u8>),
    /// A second name for what stands at this path, which is cleaned as [`Entry::path`] is. Where that is a symbolic link,
    /// so is this.
    HardLink(Vec<u8>),
    /// A regular file, device or pipe.
    File,
    /// `.wh.NAME`: NAME of the lower layers is taken away, with all below it.
    Whiteout,
    /// `.wh..wh..opq`: all that the lower layers have in this directory is taken away.
    Opaque,
}
