//! The open log: the lock on its directory, appending, and reading what is durable.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::Duration,
};

use attestry_core::note::NoteSigner;

use crate::{
    DurableCheckpoint, LogId, Record, RecordId, StoreError, checkpoint,
    disk::{self, Disk, RealDisk},
    frame::Encoded,
    recover::{self, Recovered},
    reply::{self, Receiver},
    segment,
    state::LogState,
    writer::{Request, Writer},
};

/// Appends that may wait for the writer, beside those it is writing.
const QUEUE: usize = 1024;
/// Bytes that may wait for the writer.
const QUEUE_BYTES: usize = 128 << 20;

/// How a log is kept. [`Options::default`] is what a server uses.
#[derive(Debug, Clone)]
pub struct Options {
    /// A segment grows to about this many bytes before the next begins.
    pub segment_bytes: u64,
    /// The size of the file that is kept so that a full disk still leaves room for a last checkpoint; 0 for none.
    pub reserve_bytes: u64,
    /// How often a checkpoint is written while there are new records.
    pub checkpoint_interval: Duration,
    /// Where writes and syncs go. Tests put a failing disk here.
    pub disk: Arc<dyn Disk>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            reserve_bytes: 16 << 20,
            checkpoint_interval: Duration::from_secs(1),
            disk: Arc::new(RealDisk),
        }
    }
}

/// What was found when a data directory was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenReport {
    /// The log's id.
    pub log_id: LogId,
    /// Records in the log.
    pub records: u64,
    /// Bytes of a last write that a crash cut short. It was never answered; it was cut off. Mostly 0.
    pub truncated_bytes: u64,
    /// Whether the index was made anew, because it could not be opened or belonged to another log.
    pub rebuilt_index: bool,
}

/// An append-only log of records. One process at a time has it open.
#[derive(Debug)]
pub struct Log {
    state: Arc<LogState>,
    queue: Option<SyncSender<Request>>,
    writer: Option<JoinHandle<()>>,
    /// Held until everything above is gone.
    _lock: File,
}

impl Log {
    /// Opens the log in `dir`, or begins one there. The steps of the check are listed in `recover.rs`.
    ///
    /// With a `signer` its checkpoints are signed notes whose origin is the signer's name.
    pub fn open(
        dir: &Path,
        options: &Options,
        signer: Option<Arc<dyn NoteSigner>>,
    ) -> Result<(Self, OpenReport), StoreError> {
        let disk = &options.disk;
        disk::create_directory(&**disk, &segment::directory(dir))?;
        let lock = lock(dir)?;
        recover::remove_leftovers(dir)?;
        let Recovered { log_id, mut durable, frontier, checkpoint, segment, report } = recover::recover(&**disk, dir)?;
        let reserve = dir.join("reserve");
        keep_reserve(&**disk, &reserve, options.reserve_bytes)?;
        let checkpoint = match checkpoint {
            Some(checkpoint) if checkpoint.is_current(&frontier, signer.as_deref()) => checkpoint,
            _ => checkpoint::write(&**disk, dir, log_id, &frontier, signer.as_deref())?,
        };
        durable.checkpoint = Some(Arc::new(checkpoint));
        let next_seq = durable.frames.len() as u64;
        let state = Arc::new(LogState::new(dir, log_id, durable));
        let writer = Writer {
            state: Arc::clone(&state),
            disk: Arc::clone(disk),
            signer,
            segment,
            segment_bytes: options.segment_bytes,
            next_seq,
            frontier,
            checkpoint_interval: options.checkpoint_interval,
            reserve,
        };
        let (queue, waiting) = sync_channel(QUEUE);
        let writer = std::thread::Builder::new().name("decision-log".to_owned()).spawn(move || writer.run(&waiting));
        let writer = writer.map_err(StoreError::io("start the writer's thread for", dir))?;
        if report.truncated_bytes > 0 {
            let bytes = report.truncated_bytes;
            tracing::warn!(bytes, "the last write to the decision log was cut short by a crash; it was cut off");
        }
        Ok((Self { state, queue: Some(queue), writer: Some(writer), _lock: lock }, report))
    }

    /// Appends `records` together, one after the other. When the answer is there, they are on the disk.
    ///
    /// Nothing blocks: the answer is awaited or waited for with [`Appending::wait`]. Dropping it does not take the
    /// append back.
    pub fn append(&self, records: &[Record]) -> Appending {
        Appending { state: Arc::clone(&self.state), answer: self.enqueue(records).map_err(Some) }
    }

    fn enqueue(&self, records: &[Record]) -> Result<Receiver<Result<Vec<RecordId>, StoreError>>, StoreError> {
        if let Some(cause) = self.state.failure() {
            return Err(StoreError::Poisoned { cause });
        }
        let (answer, receiver) = reply::channel();
        if records.is_empty() {
            answer.send(Ok(Vec::new()));
            return Ok(receiver);
        }
        let encoded = Encoded::new(records)?;
        let bytes = encoded.body.len();
        let queued = &self.state.queued_bytes;
        let refused = if queued.fetch_add(bytes, Ordering::Relaxed) > QUEUE_BYTES {
            StoreError::Overloaded
        } else {
            match self.queue.as_ref().map(|queue| queue.try_send(Request { encoded, answer })) {
                Some(Ok(())) => return Ok(receiver),
                Some(Err(TrySendError::Full(_))) => StoreError::Overloaded,
                Some(Err(TrySendError::Disconnected(_))) | None => self.state.ended(),
            }
        };
        queued.fetch_sub(bytes, Ordering::Relaxed);
        Err(refused)
    }

    /// The durable record at `id`, read from the log itself.
    pub fn record(&self, id: RecordId) -> Result<Option<Record>, StoreError> {
        self.state.record(id)
    }

    /// How many records are durable.
    pub fn records(&self) -> u64 {
        self.state.records()
    }

    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.state.log_id
    }

    /// The last durable checkpoint; at most one interval old while records come.
    pub fn checkpoint(&self) -> Option<Arc<DurableCheckpoint>> {
        self.state.checkpoint()
    }

    /// Whether records may still be appended. Once false it stays so until a restart.
    pub fn is_writable(&self) -> bool {
        let writer_lives = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        writer_lives && self.state.failure().is_none()
    }

    /// Why the log is no longer writable.
    pub fn failure(&self) -> Option<Arc<StoreError>> {
        self.state.failure()
    }

    pub(crate) fn state(&self) -> &Arc<LogState> {
        &self.state
    }
}

impl Drop for Log {
    /// Writes what is queued and a last checkpoint, then gives the directory free.
    fn drop(&mut self) {
        self.state.close();
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // The thread does not panic; if it did, there is nothing left to do for it.
            let _ = writer.join();
        }
    }
}

/// The answer to an append that is on its way: a future, or a blocking [`Appending::wait`].
#[derive(Debug)]
#[must_use = "records are durable only when the answer is there"]
pub struct Appending {
    state: Arc<LogState>,
    answer: Result<Receiver<Result<Vec<RecordId>, StoreError>>, Option<StoreError>>,
}

impl Appending {
    /// Blocks until the records are durable, and gives their indexes.
    pub fn wait(self) -> Result<Vec<RecordId>, StoreError> {
        match self.answer {
            Ok(receiver) => receiver.wait().unwrap_or_else(|| Err(self.state.ended())),
            Err(refused) => Err(refused.unwrap_or(StoreError::Closed)),
        }
    }
}

impl Future for Appending {
    type Output = Result<Vec<RecordId>, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.answer {
            Ok(receiver) => {
                Pin::new(receiver).poll(context).map(|answer| answer.unwrap_or_else(|| Err(self.state.ended())))
            }
            Err(refused) => Poll::Ready(Err(refused.take().unwrap_or(StoreError::Closed))),
        }
    }
}

/// One process has the directory: two writers would interleave their frames.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
    }
}

/// Real blocks, written and synced: a sparse file would reserve nothing.
fn keep_reserve(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(found) if found.len() == bytes => return Ok(()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound && bytes == 0 => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StoreError::io("look at", path)(error)),
    }
    let mut file = File::create(path).map_err(StoreError::io("create", path))?;
    let zeros = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let chunk = left.min(zeros.len() as u64);
        disk.write(path, &mut file, &zeros[..chunk as usize]).map_err(StoreError::io("write", path))?;
        left -= chunk;
    }
    disk.sync(path, &file).map_err(StoreError::io("sync", path))
}
