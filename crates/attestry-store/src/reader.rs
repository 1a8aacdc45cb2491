//! Reading a data directory from outside, also while a server writes to it: no lock is taken, nothing is changed.

use std::{
    path::{Path, PathBuf},
    vec,
};

use crate::{
    DurableCheckpoint, LogId, Record, RecordId, StoreError, checkpoint, segment,
    segment::{SegmentReader, Step, Tail},
};

/// The records of a data directory in their order.
///
/// The end is the last whole frame. What stands behind it is a write on its way, or one that a crash cut short;
/// [`LogReader::torn_bytes`] tells how much. Damage anywhere else is an error, after which nothing more comes.
#[derive(Debug)]
pub struct LogReader {
    dir: PathBuf,
    segment: SegmentReader,
    pending: vec::IntoIter<(RecordId, Record)>,
    torn_bytes: u64,
    failed: bool,
}

impl LogReader {
    /// Starts at the first record of `dir`.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        if segment::count(dir)? == 0 {
            return Err(StoreError::SegmentMissing { path: segment::path(dir, 1) });
        }
        let segment = SegmentReader::open(dir, 1)?;
        Ok(Self { dir: dir.to_owned(), segment, pending: Vec::new().into_iter(), torn_bytes: 0, failed: false })
    }

    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.segment.header.log_id
    }

    /// The last durable checkpoint as it is stored now.
    pub fn checkpoint(&self) -> Result<Option<DurableCheckpoint>, StoreError> {
        Ok(checkpoint::read(&self.dir)?.map(|(_, _, checkpoint)| checkpoint))
    }

    /// Bytes behind the last whole frame, known when the iteration has ended.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Reads the next frame into `pending`; false at the end.
    fn fill(&mut self) -> Result<bool, StoreError> {
        let mut reread = false;
        loop {
            // Looked up before the frame is read: if the next segment was there by then, this one is complete.
            let next = self.segment.header.number + 1;
            let next_path = segment::path(&self.dir, next);
            let complete = next_path.try_exists().map_err(StoreError::io("look at", &next_path))?;
            match self.segment.step()? {
                Step::Frame(frame) => {
                    let records = (frame.first..).zip(frame.records());
                    let records: Option<Vec<_>> = records.map(|(id, record)| Some((id, record.to_record()?))).collect();
                    let malformed = || self.damaged(frame.offset, "a record's keys are malformed");
                    self.pending = records.ok_or_else(malformed)?.into_iter();
                    return Ok(true);
                }
                Step::End if complete => self.enter(next)?,
                Step::End => return Ok(false),
                Step::Bad(what) => match self.segment.tail()? {
                    Tail::Torn { bytes } if !complete => {
                        self.torn_bytes = bytes;
                        return Ok(false);
                    }
                    // A frame that was being written a moment ago is whole by now; damage stays.
                    _ if !reread => reread = true,
                    _ => return Err(self.damaged(self.segment.offset, what)),
                },
            }
        }
    }

    fn enter(&mut self, number: u32) -> Result<(), StoreError> {
        let next = SegmentReader::open(&self.dir, number)?;
        let before = &self.segment;
        let due = (before.next_seq, before.next_record, before.header.log_id);
        let continues = (next.header.first_seq, next.header.first_record, next.header.log_id) == due;
        self.segment = next;
        if continues { Ok(()) } else { Err(self.damaged(0, "the segment does not continue the one before")) }
    }

    fn damaged(&self, offset: u64, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.segment.path.clone(), offset, what }
    }
}

impl Iterator for LogReader {
    type Item = Result<(RecordId, Record), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        loop {
            if let Some(record) = self.pending.next() {
                return Some(Ok(record));
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Err(error));
                }
            }
        }
    }
}
