//! Everything that can go wrong in the store, with the file, the place and what to do next.

use std::{io, path::PathBuf, sync::Arc};

use attestry_core::{Digest, note::NoteError};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the data directory.
    #[error("data directory {} is in use by another process (hint: stop it, or give this server its own directory)", path.display())]
    Locked {
        /// The data directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No space is left. What was written before stays; nothing more is taken until a restart.
    #[error("disk is full: cannot write {} (hint: free some space, then restart)", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// A write or sync failed before: nobody can say what is on the disk, so nothing more is appended.
    #[error("log takes no more records until a restart, because a write failed")]
    Poisoned {
        /// The failure that ended it.
        #[source]
        cause: Arc<StoreError>,
    },
    /// Bytes that were synced are not what was written.
    #[error(
        "{} is damaged at byte {offset}: {what} (hint: nothing was changed; restore the data directory from a copy, \
         or move it aside to begin a new log)", path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the frame or header begins.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The format is newer than this program, or no format of ours.
    #[error("{} has format version {version}, and this program reads version 1 (hint: use the newer program)", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u32,
    },
    /// A segment is not there although others, or a checkpoint, say that it was.
    #[error("segment {} is missing (hint: restore the data directory from a copy)", path.display())]
    SegmentMissing {
        /// The segment that should be there.
        path: PathBuf,
    },
    /// The log is shorter than a checkpoint that was already shown.
    #[error(
        "{} ends at byte {offset} after {records} records, but a checkpoint over {checkpoint} records was already \
         shown (hint: nothing was changed; restore the data directory from a copy)", path.display()
    )]
    BehindCheckpoint {
        /// The last segment.
        path: PathBuf,
        /// Where its last good frame ends.
        offset: u64,
        /// Records in good frames.
        records: u64,
        /// Records under the checkpoint.
        checkpoint: u64,
    },
    /// The stored checkpoint cannot be used.
    #[error("checkpoint {} is damaged: {what} (hint: restore it from a copy)", path.display())]
    DamagedCheckpoint {
        /// The checkpoint file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The signer's name cannot stand in a checkpoint.
    #[error("cannot sign a checkpoint")]
    Note(#[from] NoteError),
    /// A record or an append is beyond the bounds.
    #[error("{what} is {size} and may be {max}")]
    TooLarge {
        /// What was measured, with its unit.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The bound.
        max: usize,
    },
    /// The queue before the log is full: the disk is slower than the callers.
    #[error("log is overloaded: too many records wait to be written")]
    Overloaded,
    /// The log was closed before the record was written.
    #[error("log is closed")]
    Closed,
    /// A stored object is not what its name says.
    #[error("object {} does not have the digest {expected} (hint: restore it from a copy)", path.display())]
    ObjectDiffers {
        /// The file.
        path: PathBuf,
        /// The digest it is named by.
        expected: Digest,
    },
    /// The bytes given are not those of the digest given.
    #[error("the bytes to store do not have the digest {expected}")]
    WrongDigest {
        /// The digest that was claimed.
        expected: Digest,
    },
    /// The index failed. The log is not touched by that.
    #[error("cannot {action} index {} (hint: the log rebuilds it when it is removed before a start)", path.display())]
    Index {
        /// What was tried, as a verb.
        action: &'static str,
        /// The index file or directory.
        path: PathBuf,
        /// What the index engine said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// An I/O failure with its place; a full disk is told apart, for it has its own remedy.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { action, path, source },
        }
    }
}
