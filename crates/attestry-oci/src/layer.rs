//! The layers of an image, read to tell what their archives do to the layers below.
//!
//! [`read`] is pure: the bytes of a layer go in, names and kinds come out. An archive can mean different things to
//! different programs; what counts here is what containerd makes of it, which reads with Go's `archive/tar`. What other
//! programs understand in another way than that is refused, so that an image holds nothing where we saw nothing.
//!
//! 1. `unpack`: compression, the digest of what was compressed, and how much of it is read.
//! 2. `archive`: headers, and the extended headers before them (`pax`).
//! 3. `place`: from a name in the archive to a path of the image, or to what a whiteout takes away.

// The paths are written out so that the fuzzer can compile this file in from where it stands.
#[path = "layer/archive.rs"]
mod archive;
#[path = "layer/pax.rs"]
mod pax;
#[path = "layer/place.rs"]
mod place;
#[path = "layer/unpack.rs"]
mod unpack;

use std::{
    cell::RefCell,
    io::{self, Read},
};

use attestry_core::{layer::Layer, reason::clean};

use unpack::{Compression, Input, Unpacked};

/// What reading one layer may cost. A bound that is reached exactly is not passed. Time is no part of it: a reader that
/// fails when its time is up ends the reading.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Bytes of the unpacked archive.
    pub unpacked: u64,
    /// Entries, those for the root included.
    pub entries: u64,
    /// Bytes of all names and link targets, as written in the archive.
    pub names: u64,
    /// Bytes of one extended header or long name. Go's reader takes no more.
    pub header: u64,
    /// Bytes that a zstd frame may refer back to. The buffer for them is up to twice as large, and for the moment in which
    /// it grows three times.
    pub window: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { unpacked: 16 << 30, entries: 1_000_000, names: 128 << 20, header: 1 << 20, window: 128 << 20 }
    }
}

/// Why a layer could not be listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A layer as its author may well have meant it, in a form that is not read here.
    #[error("the layer is not of a kind that is read: {what}")]
    Unsupported {
        /// The form.
        what: String,
    },
    /// A broken archive, or one that programs read in different ways.
    #[error("the layer is malformed: {detail}")]
    Malformed {
        /// What is wrong with it.
        detail: String,
    },
    /// One of [`Bounds`].
    #[error("the layer has more than {what}")]
    OverLimit {
        /// The bound.
        what: String,
    },
    /// The packed bytes could not be read from where they are kept.
    #[error("the layer cannot be read from where it is kept")]
    Io(#[source] io::Error),
}

impl LayerError {
    fn unsupported(what: impl AsRef<str>) -> Self {
        Self::Unsupported { what: clean(what.as_ref(), 512) }
    }

    // Details quote names of the archive, which may hold line breaks and be long (attack 67).
    fn malformed(detail: impl AsRef<str>) -> Self {
        Self::Malformed { detail: clean(detail.as_ref(), 512) }
    }

    fn over_limit(bound: u64, what: &str) -> Self {
        Self::OverLimit { what: format!("{bound} {what}") }
    }
}

/// Lists a layer of type `media_type` whose packed bytes are `input`.
///
/// 1. The compression is the one that the media type names; the first bytes must say the same. containerd goes by the
///    bytes alone, so a layer whose type lies would be another one there than here.
/// 2. All that unpacks is hashed, also what follows the end of the archive: the digest is the configuration's diffID.
/// 3. Every header must have its checksum, and every entry its content. Two blocks of zeros end the archive, or the
///    stream does.
/// 4. Long names and pax headers count as Go counts them; where they contradict each other the layer is refused.
///
/// # Errors
///
/// Media types other than those of OCI and Docker with gzip, zstd or no compression, sparse files, attributes of the
/// overlay file system and unknown kinds of entries are [`LayerError::Unsupported`]. Reading ends at the first error.
pub fn read(media_type: &str, input: impl Read, bounds: &Bounds) -> Result<Layer, LayerError> {
    let compression = Compression::of(media_type)?;
    let failed = RefCell::new(None);
    let mut unpacked = Unpacked::new(compression, Input::new(input, &failed), bounds)?;
    let entries = archive::list(&mut unpacked, bounds)?;
    Ok(Layer { diff_id: unpacked.finish()?, entries })
}

/// Whether layers of this type are read at all, to be asked before one is fetched.
///
/// # Errors
///
/// [`LayerError::Unsupported`] if not.
pub fn check_media_type(media_type: &str) -> Result<(), LayerError> {
    Compression::of(media_type).map(drop)
}

#[cfg(test)]
#[path = "layer/tests.rs"]
mod tests;
