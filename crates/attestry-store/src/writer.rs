//! The thread that owns the log's end: it gathers waiters into a frame, writes, syncs, and only then answers.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use attestry_core::{merkle::Frontier, note::NoteSigner};

use crate::{
    RecordId, StoreError, checkpoint,
    disk::Disk,
    frame::{self, BATCH_BYTES, Encoded, SEGMENT_HEADER, SegmentHeader},
    recover::OpenSegment,
    reply::Sender,
    segment,
    state::{FramePlace, LogState},
};

/// The most waiters that share one sync.
const BATCH_WAITERS: usize = 256;

/// One append that waits for its place in the log.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) encoded: Encoded,
    pub(crate) answer: Sender<Result<Vec<RecordId>, StoreError>>,
}

/// What the writer's thread works with.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) state: Arc<LogState>,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) signer: Option<Arc<dyn NoteSigner>>,
    pub(crate) segment: OpenSegment,
    pub(crate) segment_bytes: u64,
    pub(crate) next_seq: u64,
    pub(crate) frontier: Frontier,
    pub(crate) checkpoint_interval: Duration,
    /// The file that is given up when the disk is full, so that the last checkpoint can still be written.
    pub(crate) reserve: PathBuf,
}

impl Writer {
    /// Runs until the log is closed or a write fails.
    pub(crate) fn run(mut self, queue: &Receiver<Request>) {
        // When the next checkpoint is due: set while records wait for one.
        let mut due: Option<Instant> = None;
        loop {
            let next = match due {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => queue.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let result = match next {
                Ok(first) => self.commit(self.gather(first, queue)),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    if due.is_some() {
                        let _ = self.checkpoint().map_err(|error| self.fail(error));
                    }
                    return;
                }
            };
            let due_at = *due.get_or_insert_with(|| Instant::now() + self.checkpoint_interval);
            let result = result.and_then(|()| {
                if Instant::now() >= due_at {
                    due = None;
                    self.checkpoint()?;
                }
                Ok(())
            });
            if let Err(error) = result {
                self.fail(error);
                // Whoever still waits in the queue learns the cause when its sender is dropped with the queue.
                return;
            }
        }
    }

    /// The first waiter and those who came while the last sync ran.
    fn gather(&self, first: Request, queue: &Receiver<Request>) -> Vec<Request> {
        let mut bytes = first.encoded.body.len();
        let mut batch = vec![first];
        while batch.len() < BATCH_WAITERS && bytes < BATCH_BYTES {
            let Ok(request) = queue.try_recv() else { break };
            bytes += request.encoded.body.len();
            batch.push(request);
        }
        self.state.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        batch
    }

    /// Writes the batch as one frame and answers its waiters. Nobody is answered before the sync returned.
    fn commit(&mut self, batch: Vec<Request>) -> Result<(), StoreError> {
        let frame = frame::encode_frame(self.next_seq, batch.iter().map(|request| request.encoded.body.as_slice()));
        if let Err(error) = self.append(&frame) {
            let cause = self.state.fail(error);
            for request in batch {
                request.answer.send(Err(StoreError::Poisoned { cause: Arc::clone(&cause) }));
            }
            return Err(StoreError::Poisoned { cause });
        }
        let first = self.frontier.size();
        let place = FramePlace { first, segment: self.segment.number, offset: self.segment.end };
        self.segment.end += frame.len() as u64;
        self.next_seq += 1;
        batch.iter().flat_map(|request| &request.encoded.leaves).for_each(|leaf| self.frontier.push(*leaf));
        self.state.add_frame(place, self.frontier.size() - first);
        let mut next = first;
        for Request { encoded, answer } in batch {
            let ids = next..next + encoded.leaves.len() as u64;
            next = ids.end;
            answer.send(Ok(ids.collect()));
        }
        Ok(())
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), StoreError> {
        let empty = self.segment.end == SEGMENT_HEADER as u64;
        if !empty && self.segment.end + frame.len() as u64 > self.segment_bytes {
            self.rotate()?;
        }
        let path = segment::path(&self.state.dir, self.segment.number);
        self.disk.write(&path, &mut self.segment.file, frame).map_err(StoreError::io("write", &path))?;
        self.disk.sync(&path, &self.segment.file).map_err(StoreError::io("sync", &path))
    }

    /// The old segment is synced whole already: each of its frames was.
    fn rotate(&mut self) -> Result<(), StoreError> {
        let number = self.segment.number + 1;
        let (first_seq, first_record) = (self.next_seq, self.frontier.size());
        let header = SegmentHeader { number, first_seq, first_record, log_id: self.state.log_id };
        let file = segment::create(&*self.disk, &self.state.dir, &header)?;
        self.segment = OpenSegment { number, file, end: SEGMENT_HEADER as u64 };
        Ok(())
    }

    /// Signs what is synced, makes it durable, then shows it.
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        let state = &self.state;
        let checkpoint =
            checkpoint::write(&*self.disk, &state.dir, state.log_id, &self.frontier, self.signer.as_deref())?;
        state.show(checkpoint);
        Ok(())
    }

    /// Ends the log for this process. A full disk left all earlier frames sound, so it still gets its checkpoint.
    fn fail(&self, error: StoreError) {
        let cause = self.state.fail(error);
        tracing::error!(cause = &*cause as &dyn std::error::Error, "the decision log takes no more records");
        if matches!(*cause, StoreError::Full { .. }) {
            let _ = self.segment.file.set_len(self.segment.end);
            let _ = fs::remove_file(&self.reserve);
            if let Err(error) = self.checkpoint() {
                tracing::error!(cause = &error as &dyn std::error::Error, "no last checkpoint could be written");
            }
        }
    }
}
