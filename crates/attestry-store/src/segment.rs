//! The segment files of a log: their names, how one begins, and reading one from its beginning.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{
    RecordId, StoreError,
    disk::{self, Disk},
    frame::{self, BadHeader, FRAME_HEADER, FRAME_MAGIC, FrameHeader, RecordRef, SEGMENT_HEADER, SegmentHeader},
};

/// Where the segments of the data directory `dir` lie.
pub(crate) fn directory(dir: &Path) -> PathBuf {
    dir.join("log")
}

/// The path of segment `number`, counted from one.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    directory(dir).join(format!("{number:04}.seg"))
}

/// How many segments there are. They are numbered without a gap, so a missing one is an error.
pub(crate) fn count(dir: &Path) -> Result<u32, StoreError> {
    let directory = directory(dir);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(&directory).map_err(StoreError::io("list", &directory))? {
        let name = entry.map_err(StoreError::io("list", &directory))?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".seg")?.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    let gap = (1..).zip(&numbers).find(|(expected, number)| expected != *number);
    match gap {
        Some((expected, _)) => Err(StoreError::SegmentMissing { path: path(dir, expected) }),
        None => Ok(numbers.len() as u32),
    }
}

/// Begins a segment. It appears under its name only with a whole, synced header, so a header is never torn.
pub(crate) fn create(disk: &dyn Disk, dir: &Path, header: &SegmentHeader) -> Result<File, StoreError> {
    let path = path(dir, header.number);
    disk::replace(disk, &path, &path.with_extension("tmp"), &header.encode())
}

/// Reads a segment frame by frame.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    file: BufReader<File>,
    /// Where the next frame begins.
    pub(crate) offset: u64,
    /// The number that the next frame must have.
    pub(crate) next_seq: u64,
    /// The index of the next frame's first record.
    pub(crate) next_record: RecordId,
}

/// What stands at the reader's place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A whole frame; the reader has moved behind it.
    Frame(Frame),
    /// Nothing: the segment ends here.
    End,
    /// Bytes that are no whole frame; the reader stays before them.
    Bad(&'static str),
}

/// A frame whose checksum is right and whose body divides into records.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) first: RecordId,
    body: Vec<u8>,
}

impl Frame {
    pub(crate) fn records(&self) -> Vec<RecordRef<'_>> {
        frame::records(&self.body).unwrap_or_default()
    }
}

impl SegmentReader {
    pub(crate) fn open(dir: &Path, number: u32) -> Result<Self, StoreError> {
        let path = path(dir, number);
        let mut file = BufReader::with_capacity(256 << 10, File::open(&path).map_err(StoreError::io("open", &path))?);
        let mut bytes = [0; SEGMENT_HEADER];
        let read = read_up_to(&mut file, &mut bytes).map_err(StoreError::io("read", &path))?;
        let damaged = |what| StoreError::Damaged { path: path.clone(), offset: 0, what };
        if read < SEGMENT_HEADER {
            return Err(damaged("the segment is shorter than its header"));
        }
        let header = match SegmentHeader::parse(&bytes) {
            Ok(header) if header.number == number => header,
            Ok(_) => return Err(damaged("the header is that of another segment")),
            Err(BadHeader::Damaged) => return Err(damaged("the segment's header does not match its checksum")),
            Err(BadHeader::Version(version)) => return Err(StoreError::Format { path, version }),
        };
        let (next_seq, next_record) = (header.first_seq, header.first_record);
        Ok(Self { path, header, file, offset: SEGMENT_HEADER as u64, next_seq, next_record })
    }

    /// Reads from the frame at `offset`, which begins with record `first` and has the number `seq`.
    pub(crate) fn resume(&mut self, offset: u64, seq: u64, first: RecordId) -> Result<(), StoreError> {
        self.file.seek(SeekFrom::Start(offset)).map_err(StoreError::io("read", &self.path))?;
        (self.offset, self.next_seq, self.next_record) = (offset, seq, first);
        Ok(())
    }

    pub(crate) fn step(&mut self) -> Result<Step, StoreError> {
        let step = self.read_frame().map_err(StoreError::io("read", &self.path))?;
        match &step {
            Step::Frame(frame) => {
                self.offset += (FRAME_HEADER + frame.body.len()) as u64;
                self.next_seq += 1;
                self.next_record += frame.records().len() as u64;
            }
            Step::End => {}
            // Read again from the same place next time: a writer may be about to complete it.
            Step::Bad(_) => self.resume(self.offset, self.next_seq, self.next_record)?,
        }
        Ok(step)
    }

    fn read_frame(&mut self) -> io::Result<Step> {
        let mut header = [0; FRAME_HEADER];
        match read_up_to(&mut self.file, &mut header)? {
            0 => return Ok(Step::End),
            FRAME_HEADER => {}
            _ => return Ok(Step::Bad("the header of a frame is cut short")),
        }
        let Some(header) = FrameHeader::parse(&header) else {
            return Ok(Step::Bad("there is no header of a frame"));
        };
        let mut body = Vec::new();
        self.file.by_ref().take(header.length as u64).read_to_end(&mut body)?;
        Ok(match () {
            () if body.len() < header.length => Step::Bad("a frame is cut short"),
            () if !header.matches(&body) => Step::Bad("a frame does not match its checksum"),
            () if header.seq != self.next_seq => Step::Bad("a frame has another number than the one that is due"),
            () if frame::records(&body).is_none() => Step::Bad("a frame does not divide into records"),
            () => Step::Frame(Frame { offset: self.offset, first: self.next_record, body }),
        })
    }

    /// Whether what stands at the reader's place can only be the remains of the last write: nothing follows it.
    ///
    /// Frames are written one after the other, each synced before the next, so only the last may be torn. If another
    /// frame follows, then the bytes here were once whole: that is damage, and cutting would lose answered records.
    pub(crate) fn tail(&mut self) -> Result<Tail, StoreError> {
        let mut tail = Vec::new();
        let limit = FRAME_HEADER + frame::MAX_BODY + 1;
        let file = &mut self.file;
        file.by_ref().take(limit as u64).read_to_end(&mut tail).map_err(StoreError::io("read", &self.path))?;
        self.resume(self.offset, self.next_seq, self.next_record)?;
        let torn = tail.len() < limit && !self.frame_follows(&tail);
        Ok(if torn { Tail::Torn { bytes: tail.len() as u64 } } else { Tail::FollowedByFrames })
    }

    fn frame_follows(&self, tail: &[u8]) -> bool {
        // The frame's own header may be whole: then it says where the next frame would begin.
        let next = tail.first_chunk::<FRAME_HEADER>().and_then(FrameHeader::parse).map(|h| FRAME_HEADER + h.length);
        let next = next.and_then(|next| tail.get(next..)).filter(|next| !next.is_empty());
        if next.is_some_and(|next| next.starts_with(&FRAME_MAGIC) || FRAME_MAGIC.starts_with(next)) {
            return true;
        }
        // Otherwise look for a whole frame, here (one with a wrong number) or anywhere behind.
        let mut places = tail.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == FRAME_MAGIC);
        places.any(|(at, _)| {
            let Some((header, rest)) = tail[at..].split_first_chunk::<FRAME_HEADER>() else { return false };
            let body = FrameHeader::parse(header).and_then(|header| Some((header, rest.get(..header.length)?)));
            body.is_some_and(|(header, body)| header.matches(body))
        })
    }
}

/// What the bytes at the end of a segment are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// The remains of one write that was never answered.
    Torn {
        /// How many bytes there are.
        bytes: u64,
    },
    /// Not the end: frames follow.
    FollowedByFrames,
}

/// Fills `buffer` as far as the file goes.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
