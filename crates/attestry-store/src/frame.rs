//! The bytes of the log: records, the frames that hold a batch of them, and the header of a segment.
//!
//! ```text
//! segment = "attseg\r\n" ‖ u32 version ‖ u32 number ‖ u64 first seq ‖ u64 first record ‖ 6 bytes log id ‖ u32 crc32c ‖ frame*
//! frame   = magic ‖ u64 seq ‖ u32 length > 0 ‖ u32 crc32c over header and body ‖ record*
//! record  = u32 length ‖ bytes ‖ u32 length ‖ key*
//! key     = u16 length ‖ name ‖ u16 length ‖ value
//! ```
//!
//! Numbers are little-endian. Frames are numbered from zero through all segments, without a gap.

use std::{fmt, str::FromStr};

use attestry_core::merkle::{Hash, leaf_hash};

use crate::{RecordId, StoreError};

/// The most bytes of a record.
pub const MAX_RECORD: usize = 4 << 20;
/// The most bytes of one append, lengths and keys included.
pub const MAX_APPEND: usize = 16 << 20;
/// The most keys of a record.
pub const MAX_KEYS: usize = 4096;
/// The most bytes of a key's name, and of its value.
pub const MAX_KEY: usize = 4096;

/// A batch is closed when it is this large: with one more append it stays below [`MAX_BODY`].
pub(crate) const BATCH_BYTES: usize = 8 << 20;
/// The most bytes of a frame's body.
pub(crate) const MAX_BODY: usize = BATCH_BYTES + MAX_APPEND;
pub(crate) const FRAME_HEADER: usize = 20;
pub(crate) const SEGMENT_HEADER: usize = 42;
/// The version of segments that this code writes and reads.
pub(crate) const VERSION: u32 = 1;

/// Holds bytes that no UTF-8 text can contain, so no JSON record can look like a frame to the search for one.
pub(crate) const FRAME_MAGIC: [u8; 4] = [0xff, b'a', b'f', 0xfe];
const SEGMENT_MAGIC: [u8; 8] = *b"attseg\r\n";

/// What is appended: bytes that the store does not look into, and the keys to find them by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// The record itself: the leaf of the Merkle tree.
    pub bytes: Vec<u8>,
    /// Names and values for the index. They are stored beside the record, so that the log can rebuild the index;
    /// they are guarded by the frame's checksum, not by the tree.
    pub keys: Vec<(String, String)>,
}

/// Tells logs apart: six random bytes, drawn when a log is created and written into each segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId([u8; 6]);

/// A record's name outside the store: `<log id>-<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordName {
    /// The log that holds it.
    pub log: LogId,
    /// Its place in the whole log, from zero.
    pub index: RecordId,
}

/// A text that is no [`RecordName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record's id reads <12 hex digits>-<number>")]
pub struct MalformedName;

impl LogId {
    /// A new id from the operating system's randomness.
    pub(crate) fn random() -> Result<Self, std::io::Error> {
        let mut id = [0; 6];
        getrandom::fill(&mut id)?;
        Ok(Self(id))
    }

    pub(crate) const fn from_bytes(bytes: [u8; 6]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LogId {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, MalformedName> {
        let mut id = [0; 6];
        hex::decode_to_slice(text, &mut id).map_err(|_| MalformedName)?;
        Ok(Self(id))
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.log, self.index)
    }
}

impl FromStr for RecordName {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, MalformedName> {
        let (log, index) = text.split_once('-').ok_or(MalformedName)?;
        let name = Self { log: log.parse()?, index: index.parse().map_err(|_| MalformedName)? };
        // One spelling only: no capitals, signs or leading zeros.
        if name.to_string() == text { Ok(name) } else { Err(MalformedName) }
    }
}

/// The records of one append as they lie in a frame, with their leaves.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) body: Vec<u8>,
    pub(crate) leaves: Vec<Hash>,
}

impl Encoded {
    /// Encodes and hashes in the caller's thread, so that the writer's thread only writes.
    pub(crate) fn new(records: &[Record]) -> Result<Self, StoreError> {
        let mut body = Vec::new();
        for Record { bytes, keys } in records {
            bound("a record's bytes", bytes.len(), MAX_RECORD)?;
            bound("a record's number of keys", keys.len(), MAX_KEYS)?;
            let mut encoded_keys = Vec::new();
            for part in keys.iter().flat_map(|(name, value)| [name, value]) {
                bound("a key's bytes", part.len(), MAX_KEY)?;
                encoded_keys.extend_from_slice(&(part.len() as u16).to_le_bytes());
                encoded_keys.extend_from_slice(part.as_bytes());
            }
            for part in [bytes, &encoded_keys] {
                body.extend_from_slice(&(part.len() as u32).to_le_bytes());
                body.extend_from_slice(part);
            }
            bound("an append's bytes", body.len(), MAX_APPEND)?;
        }
        Ok(Self { body, leaves: records.iter().map(|record| leaf_hash(&record.bytes)).collect() })
    }
}

fn bound(what: &'static str, size: usize, max: usize) -> Result<(), StoreError> {
    if size > max { Err(StoreError::TooLarge { what, size, max }) } else { Ok(()) }
}

/// A frame of these bodies, one after the other.
pub(crate) fn encode_frame<'a>(seq: u64, bodies: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let length = bodies.clone().map(<[u8]>::len).sum::<usize>();
    let mut frame = Vec::with_capacity(FRAME_HEADER + length);
    frame.extend_from_slice(&FRAME_MAGIC);
    frame.extend_from_slice(&seq.to_le_bytes());
    frame.extend_from_slice(&(length as u32).to_le_bytes());
    let crc = bodies.clone().fold(crc32c::crc32c(&frame), crc32c::crc32c_append);
    frame.extend_from_slice(&crc.to_le_bytes());
    bodies.for_each(|body| frame.extend_from_slice(body));
    frame
}

/// The header of a frame whose magic is right and whose length is within the bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHeader {
    pub(crate) seq: u64,
    pub(crate) length: usize,
    crc: u32,
    header_crc: u32,
}

impl FrameHeader {
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER]) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let magic: [u8; 4] = take(&mut rest)?;
        let seq = u64::from_le_bytes(take(&mut rest)?);
        let length = u32::from_le_bytes(take(&mut rest)?) as usize;
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let plausible = magic == FRAME_MAGIC && (1..=MAX_BODY).contains(&length);
        plausible.then(|| Self { seq, length, crc, header_crc: crc32c::crc32c(&bytes[..FRAME_HEADER - 4]) })
    }

    pub(crate) fn matches(&self, body: &[u8]) -> bool {
        body.len() == self.length && crc32c::crc32c_append(self.header_crc, body) == self.crc
    }
}

/// A record where it lies in a frame's body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    pub(crate) bytes: &'a [u8],
    keys: &'a [u8],
}

impl RecordRef<'_> {
    /// The record by itself; `None` when its keys are malformed.
    pub(crate) fn to_record(self) -> Option<Record> {
        let mut rest = self.keys;
        let mut keys = Vec::new();
        while !rest.is_empty() {
            keys.push((take_text(&mut rest)?, take_text(&mut rest)?));
        }
        Some(Record { bytes: self.bytes.to_vec(), keys })
    }
}

/// The records of a body; `None` when it does not divide into whole records.
pub(crate) fn records(body: &[u8]) -> Option<Vec<RecordRef<'_>>> {
    let mut rest = body;
    let mut records = Vec::new();
    while !rest.is_empty() {
        records.push(RecordRef { bytes: take_part(&mut rest)?, keys: take_part(&mut rest)? });
    }
    Some(records)
}

fn take_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    rest.split_off(..length)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes(take(rest)?));
    String::from_utf8(rest.split_off(..length)?.to_vec()).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

/// The first bytes of each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    pub(crate) first_seq: u64,
    pub(crate) first_record: RecordId,
    pub(crate) log_id: LogId,
}

/// Why bytes are no segment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadHeader {
    Damaged,
    Version(u32),
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER);
        bytes.extend_from_slice(&SEGMENT_MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first_seq.to_le_bytes());
        bytes.extend_from_slice(&self.first_record.to_le_bytes());
        bytes.extend_from_slice(self.log_id.as_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        let mut header = [0; SEGMENT_HEADER];
        header.copy_from_slice(&bytes);
        header
    }

    pub(crate) fn parse(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, BadHeader> {
        Self::fields(bytes).ok_or(BadHeader::Damaged).and_then(|(version, header)| match version {
            VERSION => Ok(header),
            other => Err(BadHeader::Version(other)),
        })
    }

    fn fields(bytes: &[u8; SEGMENT_HEADER]) -> Option<(u32, Self)> {
        let mut rest = bytes.as_slice();
        let magic: [u8; 8] = take(&mut rest)?;
        let version = u32::from_le_bytes(take(&mut rest)?);
        let header = Self {
            number: u32::from_le_bytes(take(&mut rest)?),
            first_seq: u64::from_le_bytes(take(&mut rest)?),
            first_record: u64::from_le_bytes(take(&mut rest)?),
            log_id: LogId::from_bytes(take(&mut rest)?),
        };
        let crc = u32::from_le_bytes(take(&mut rest)?);
        let whole = magic == SEGMENT_MAGIC && crc == crc32c::crc32c(&bytes[..SEGMENT_HEADER - 4]);
        whole.then_some((version, header))
    }
}
