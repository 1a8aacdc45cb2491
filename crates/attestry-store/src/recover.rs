//! Starting on a data directory: everything is read and checked before a single byte may be added.
//!
//! 1. Every segment is there, and its header continues the one before.
//! 2. Every frame matches its checksum and has the number that is due: a flipped byte anywhere stops the start.
//! 3. Only the last frame may be bad, and only where nothing follows it. It was never answered, so it is cut off,
//!    and that is reported.
//! 4. What remains reaches the last durable checkpoint: what was shown is never taken back.
//! 5. The records behind the checkpoint are hashed onto its frontier.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

use attestry_core::merkle::{Frontier, leaf_hash};

use crate::{
    DurableCheckpoint, LogId, OpenReport, StoreError, checkpoint,
    disk::{self, Disk},
    frame::{SEGMENT_HEADER, SegmentHeader},
    segment::{self, SegmentReader, Step, Tail},
    state::{Durable, FramePlace},
};

/// A log that was found whole, or made whole by cutting its tail.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) log_id: LogId,
    pub(crate) durable: Durable,
    pub(crate) frontier: Frontier,
    pub(crate) checkpoint: Option<DurableCheckpoint>,
    pub(crate) segment: OpenSegment,
    pub(crate) report: OpenReport,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) number: u32,
    pub(crate) file: File,
    /// Where the next frame goes: the length of the file as far as it is durable.
    pub(crate) end: u64,
}

/// Reads the log in `dir`, or begins one in an empty directory.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, StoreError> {
    let stored = checkpoint::read(dir)?;
    match (segment::count(dir)?, stored) {
        (0, None) => begin(disk, dir),
        // A checkpoint without a log: somebody removed the log, and a new one would hide that.
        (0, Some(_)) => Err(StoreError::SegmentMissing { path: segment::path(dir, 1) }),
        (segments, stored) => Scan::new(dir, stored).run(disk, segments),
    }
}

fn begin(disk: &dyn Disk, dir: &Path) -> Result<Recovered, StoreError> {
    let log_id = LogId::random().map_err(StoreError::io("draw a random id for", dir))?;
    let file = segment::create(disk, dir, &SegmentHeader { number: 1, first_seq: 0, first_record: 0, log_id })?;
    Ok(Recovered {
        log_id,
        durable: Durable::default(),
        frontier: Frontier::new(),
        checkpoint: None,
        segment: OpenSegment { number: 1, file, end: SEGMENT_HEADER as u64 },
        report: OpenReport { log_id, records: 0, truncated_bytes: 0, rebuilt_index: false },
    })
}

/// The reading of all segments, one after the other.
struct Scan<'a> {
    dir: &'a Path,
    log_id: Option<LogId>,
    checkpoint: Option<DurableCheckpoint>,
    frontier: Frontier,
    frames: Vec<FramePlace>,
    records: u64,
}

impl<'a> Scan<'a> {
    fn new(dir: &'a Path, stored: Option<(LogId, Frontier, DurableCheckpoint)>) -> Self {
        let (log_id, frontier, checkpoint) = match stored {
            Some((log_id, frontier, checkpoint)) => (Some(log_id), frontier, Some(checkpoint)),
            None => (None, Frontier::new(), None),
        };
        Self { dir, log_id, checkpoint, frontier, frames: Vec::new(), records: 0 }
    }

    fn run(mut self, disk: &dyn Disk, segments: u32) -> Result<Recovered, StoreError> {
        let mut last = None;
        for number in 1..=segments {
            last = Some(self.segment(number, number == segments)?);
        }
        // `recover` calls this with at least one segment.
        let (last, torn) = last.ok_or_else(|| StoreError::SegmentMissing { path: segment::path(self.dir, 1) })?;
        let covered = self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
        if self.records < covered {
            let (path, offset) = (last.path, last.offset);
            return Err(StoreError::BehindCheckpoint { path, offset, records: self.records, checkpoint: covered });
        }
        let file = self.settle(disk, &last, torn)?;
        let log_id = last.header.log_id;
        let durable = Durable::new(self.frames, self.records);
        Ok(Recovered {
            log_id,
            durable,
            frontier: self.frontier,
            checkpoint: self.checkpoint,
            segment: OpenSegment { number: segments, file, end: last.offset },
            report: OpenReport { log_id, records: self.records, truncated_bytes: torn, rebuilt_index: false },
        })
    }

    /// Reads one segment to its end; the second value is the number of torn bytes there.
    fn segment(&mut self, number: u32, is_last: bool) -> Result<(SegmentReader, u64), StoreError> {
        let mut reader = SegmentReader::open(self.dir, number)?;
        let damaged = |reader: &SegmentReader, offset, what| {
            let path = reader.path.clone();
            Err(StoreError::Damaged { path, offset, what })
        };
        let header = reader.header;
        if (header.first_seq, header.first_record) != (self.frames.len() as u64, self.records) {
            return damaged(&reader, 0, "the segment does not continue the one before");
        }
        if *self.log_id.get_or_insert(header.log_id) != header.log_id {
            return damaged(&reader, 0, "the segment belongs to another log");
        }
        loop {
            match reader.step()? {
                Step::Frame(frame) => {
                    self.frames.push(FramePlace { first: frame.first, segment: number, offset: frame.offset });
                    for record in frame.records() {
                        // Records under the checkpoint are in its frontier already.
                        if self.records >= self.frontier.size() {
                            self.frontier.push(leaf_hash(record.bytes));
                        }
                        self.records += 1;
                    }
                }
                Step::End => return Ok((reader, 0)),
                Step::Bad(what) => {
                    let offset = reader.offset;
                    return match reader.tail()? {
                        Tail::Torn { bytes } if is_last => Ok((reader, bytes)),
                        _ => damaged(&reader, offset, what),
                    };
                }
            }
        }
    }

    /// Cuts the torn tail off and makes sure that what was read is really on the disk.
    fn settle(&self, disk: &dyn Disk, last: &SegmentReader, torn: u64) -> Result<File, StoreError> {
        let path = &last.path;
        let mut file =
            OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::io("open for writing", path))?;
        if torn > 0 {
            file.set_len(last.offset).map_err(StoreError::io("cut off the torn tail of", path))?;
        }
        // After a failed sync the kernel may hold pages that read well, count as clean and are on no disk. The last
        // frame is the only one that can be so: it is written again, the same bytes, and then synced.
        let place = self.frames.last().filter(|place| place.segment == last.header.number);
        if let Some(place) = place {
            let mut frame = Vec::new();
            file.seek(SeekFrom::Start(place.offset)).map_err(StoreError::io("read", path))?;
            file.read_to_end(&mut frame).map_err(StoreError::io("read", path))?;
            file.seek(SeekFrom::Start(place.offset)).map_err(StoreError::io("read", path))?;
            disk.write(path, &mut file, &frame).map_err(StoreError::io("write", path))?;
        }
        file.seek(SeekFrom::Start(last.offset)).map_err(StoreError::io("read", path))?;
        file.sync_all().map_err(StoreError::io("sync", path))?;
        disk::sync_parent(disk, path)?;
        Ok(file)
    }
}

/// Removes what a crash may have left half made. None of it was ever named.
pub(crate) fn remove_leftovers(dir: &Path) -> Result<(), StoreError> {
    let directory = segment::directory(dir);
    for entry in fs::read_dir(&directory).map_err(StoreError::io("list", &directory))? {
        let path = entry.map_err(StoreError::io("list", &directory))?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
    }
    Ok(())
}
