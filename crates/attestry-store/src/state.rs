//! What the threads around a log share: which records are durable, where they lie, and whether more may come.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicUsize},
};

use crate::{
    DurableCheckpoint, LogId, Record, RecordId, StoreError,
    segment::{self, SegmentReader, Step},
};

/// The shared state of an open log.
#[derive(Debug)]
pub(crate) struct LogState {
    pub(crate) dir: PathBuf,
    pub(crate) log_id: LogId,
    /// Bytes that wait to be written: the bound of the queue's memory.
    pub(crate) queued_bytes: AtomicUsize,
    durable: Mutex<Durable>,
    grown: Condvar,
    failure: OnceLock<Arc<StoreError>>,
}

/// What is on the disk. Nothing here is ever ahead of a sync.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    /// One for each frame, in order: 24 bytes a frame.
    pub(crate) frames: Vec<FramePlace>,
    pub(crate) records: u64,
    pub(crate) checkpoint: Option<Arc<DurableCheckpoint>>,
    closed: bool,
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FramePlace {
    pub(crate) first: RecordId,
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}

impl Durable {
    pub(crate) fn new(frames: Vec<FramePlace>, records: u64) -> Self {
        Self { frames, records, ..Self::default() }
    }
}

impl LogState {
    pub(crate) fn new(dir: &Path, log_id: LogId, durable: Durable) -> Self {
        Self {
            dir: dir.to_owned(),
            log_id,
            queued_bytes: AtomicUsize::new(0),
            durable: Mutex::new(durable),
            grown: Condvar::new(),
            failure: OnceLock::new(),
        }
    }

    /// No change below leaves the state half made, so a panic elsewhere does not spoil it.
    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn records(&self) -> u64 {
        self.durable().records
    }

    pub(crate) fn checkpoint(&self) -> Option<Arc<DurableCheckpoint>> {
        self.durable().checkpoint.clone()
    }

    pub(crate) fn failure(&self) -> Option<Arc<StoreError>> {
        self.failure.get().cloned()
    }

    /// The first failure stays the cause; the log never becomes writable again in this process.
    pub(crate) fn fail(&self, cause: StoreError) -> Arc<StoreError> {
        Arc::clone(self.failure.get_or_init(|| Arc::new(cause)))
    }

    /// Why an append got no answer: the failure that ended the log, or its closing.
    pub(crate) fn ended(&self) -> StoreError {
        self.failure().map_or(StoreError::Closed, |cause| StoreError::Poisoned { cause })
    }

    /// Makes a synced frame of `count` records known to readers.
    pub(crate) fn add_frame(&self, place: FramePlace, count: u64) {
        let mut durable = self.durable();
        durable.frames.push(place);
        durable.records = place.first + count;
        drop(durable);
        self.grown.notify_all();
    }

    /// Shows a checkpoint that is on the disk.
    pub(crate) fn show(&self, checkpoint: DurableCheckpoint) {
        self.durable().checkpoint = Some(Arc::new(checkpoint));
    }

    /// Ends the waiting of [`LogState::wait_beyond`].
    pub(crate) fn close(&self) {
        self.durable().closed = true;
        self.grown.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.durable().closed
    }

    /// Waits until there are more than `records` records; false when the log was closed first.
    pub(crate) fn wait_beyond(&self, records: u64) -> bool {
        let behind = |durable: &mut Durable| !durable.closed && durable.records <= records;
        let durable = self.grown.wait_while(self.durable(), behind).unwrap_or_else(PoisonError::into_inner);
        !durable.closed
    }

    /// The durable record `id`, read from its frame with the checksum checked.
    pub(crate) fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        let Some(frame) = self.frame_of(id) else { return Ok(None) };
        Ok(self.read_frame(frame, id)?.into_iter().next().map(|(_, record)| record))
    }

    /// The durable records of the frame that holds `id`, from `id` on; empty behind the last record.
    pub(crate) fn records_from(&self, id: RecordId) -> Result<Vec<(RecordId, Record)>, StoreError> {
        match self.frame_of(id) {
            Some(frame) => self.read_frame(frame, id),
            None => Ok(Vec::new()),
        }
    }

    /// The number and place of the frame that holds `id`.
    fn frame_of(&self, id: RecordId) -> Option<(u64, FramePlace)> {
        let durable = self.durable();
        if id >= durable.records {
            return None;
        }
        let seq = durable.frames.partition_point(|frame| frame.first <= id).checked_sub(1)?;
        Some((seq as u64, *durable.frames.get(seq)?))
    }

    fn read_frame(
        &self,
        (seq, place): (u64, FramePlace),
        from: RecordId,
    ) -> Result<Vec<(RecordId, Record)>, StoreError> {
        let mut segment = SegmentReader::open(&self.dir, place.segment)?;
        segment.resume(place.offset, seq, place.first)?;
        let damaged =
            |what| StoreError::Damaged { path: segment::path(&self.dir, place.segment), offset: place.offset, what };
        let frame = match segment.step()? {
            Step::Frame(frame) => frame,
            Step::End => return Err(damaged("the frame is gone")),
            Step::Bad(what) => return Err(damaged(what)),
        };
        let records = (place.first..).zip(frame.records()).filter(|(id, _)| *id >= from);
        let records = records.map(|(id, record)| Some((id, record.to_record()?)));
        records.collect::<Option<_>>().ok_or_else(|| damaged("a record's keys are malformed"))
    }
}
