//! The index: which records carry a key, newest first. It holds nothing that the log cannot rebuild.
//!
//! It is behind the log by moments, never ahead: only durable records are applied. A query first applies what is
//! missing, so an answered append is found by the next query.

use std::{
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use attestry_core::merkle::{Hash, leaf_hash};

use crate::{LogId, Record, RecordId, StoreError, state::LogState};

mod redb;
mod sled;

/// Records that are applied in one transaction, frames being applied whole.
const BATCH: usize = 4096;
/// Bytes of records after which a transaction is closed, however few they are.
const BATCH_BYTES: usize = 16 << 20;

/// An index engine. What [`Index::apply`] gets is stored in one transaction, the position with the keys.
pub trait Index: Send + Sync + fmt::Debug {
    /// How far the log is applied; `None` when nothing is.
    fn position(&self) -> Result<Option<Position>, StoreError>;
    /// Adds the keys of records and moves to `position`.
    fn apply(&self, records: &[(RecordId, Record)], position: &Position) -> Result<(), StoreError>;
    /// The newest `limit` records below `before` that carry the key, newest first.
    fn find(&self, name: &str, value: &str, before: RecordId, limit: usize) -> Result<Vec<RecordId>, StoreError>;
}

/// How far an index has come, and in which log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The log's id.
    pub log_id: LogId,
    /// Records applied: those below this index.
    pub records: u64,
    /// The leaf hash of the last of them, for two logs may share an id when one is an old copy of the other.
    pub last: Hash,
}

/// Which engine keeps the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// The default.
    #[default]
    Redb,
    /// The alternative.
    Sled,
}

impl Backend {
    fn path(self, dir: &Path) -> PathBuf {
        dir.join(match self {
            Self::Redb => "index.redb",
            Self::Sled => "index.sled",
        })
    }

    fn open(self, path: &Path) -> Result<Box<dyn Index>, StoreError> {
        guarded(path, "open", || {
            let index: Box<dyn Index> = match self {
                Self::Redb => Box::new(redb::RedbIndex::open(path)?),
                Self::Sled => Box::new(sled::SledIndex::open(path)?),
            };
            index.position()?;
            Ok(index)
        })
    }
}

/// Calls an engine. Both can panic on a file that was damaged outside; here that is one more way of failing.
fn guarded<T>(
    path: &Path,
    action: &'static str,
    call: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let panicked = || StoreError::Index { action, path: path.to_owned(), source: "the engine panicked".into() };
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(panicked()))
}

/// The index of an open log, and the thread that keeps it near the log's end.
#[derive(Debug)]
pub(crate) struct Indexer {
    shared: Arc<Shared>,
    follower: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    log: Arc<LogState>,
    path: PathBuf,
    index: Box<dyn Index>,
    /// How many records are applied. Held while applying, so that each record is applied once.
    applied: Mutex<u64>,
}

impl Indexer {
    /// Opens the index of `log`. One that cannot be opened, or that disagrees with the log, is moved aside to
    /// `<name>.aside` and made anew; the second value says whether that happened.
    pub(crate) fn open(backend: Backend, log: Arc<LogState>) -> Result<(Self, bool), StoreError> {
        let path = backend.path(&log.dir);
        let opened = match backend.open(&path) {
            Ok(index) => agreed(&*index, &log)?.map(|applied| (index, applied)),
            Err(error) => {
                tracing::warn!(cause = &error as &dyn std::error::Error, "the index cannot be opened; it is made anew");
                None
            }
        };
        let rebuilt = opened.is_none();
        let (index, applied) = match opened {
            Some(opened) => opened,
            None => {
                move_aside(&path)?;
                (backend.open(&path)?, 0)
            }
        };
        let shared = Arc::new(Shared { log, path: path.clone(), index, applied: Mutex::new(applied) });
        let following = Arc::clone(&shared);
        let follower = std::thread::Builder::new().name("index".to_owned()).spawn(move || following.follow());
        let follower = follower.map_err(StoreError::io("start the thread of", path))?;
        Ok((Self { shared, follower: Some(follower) }, rebuilt))
    }

    pub(crate) fn find(
        &self,
        (name, value): (&str, &str),
        before: RecordId,
        limit: usize,
    ) -> Result<Vec<RecordId>, StoreError> {
        self.shared.catch_up()?;
        guarded(&self.shared.path, "read", || self.shared.index.find(name, value, before, limit))
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.shared.log.close();
        if let Some(follower) = self.follower.take() {
            // The thread does not panic; if it did, the index is behind, and the next start replays.
            let _ = follower.join();
        }
    }
}

impl Shared {
    fn follow(&self) {
        loop {
            let applied = *self.applied.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.log.wait_beyond(applied) {
                return;
            }
            if let Err(error) = self.catch_up() {
                tracing::error!(cause = &error as &dyn std::error::Error, "the index no longer follows the log");
                return;
            }
        }
    }

    /// Applies all durable records that are not applied yet, or as many as there is time for before the log is closed.
    fn catch_up(&self) -> Result<(), StoreError> {
        let target = self.log.records();
        // The number is set after the engine's transaction, so a panic between leaves it too low; applying again
        // changes nothing.
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        while *applied < target && !self.log.is_closed() {
            let (mut batch, mut bytes, mut next) = (Vec::new(), 0, *applied);
            while next < target && batch.len() < BATCH && bytes < BATCH_BYTES {
                let frame = self.log.records_from(next)?;
                bytes += frame.iter().map(|(_, record)| record.bytes.len()).sum::<usize>();
                batch.extend(frame);
                next = batch.last().map_or(target, |(id, _)| id + 1);
            }
            let Some((_, last)) = batch.last() else { return Ok(()) };
            let position = Position { log_id: self.log.log_id, records: next, last: leaf_hash(&last.bytes) };
            guarded(&self.path, "write", || self.index.apply(&batch, &position))?;
            *applied = next;
        }
        Ok(())
    }
}

/// How many records of `log` the index has, if it is an index of this log.
fn agreed(index: &dyn Index, log: &LogState) -> Result<Option<u64>, StoreError> {
    let Some(position) = index.position()? else { return Ok(Some(0)) };
    let last = position.records.checked_sub(1).map_or(Ok(None), |last| log.record(last))?;
    let agrees = position.log_id == log.log_id && last.is_some_and(|record| leaf_hash(&record.bytes) == position.last);
    if !agrees {
        tracing::warn!("the index belongs to another log, or to another state of this one; it is made anew");
    }
    Ok(agrees.then_some(position.records))
}

/// Keeps the newest index that failed, for whoever wants to know why.
fn move_aside(path: &Path) -> Result<(), StoreError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    let aside = PathBuf::from(aside);
    let removed = if aside.is_dir() { fs::remove_dir_all(&aside) } else { fs::remove_file(&aside) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io("remove", aside)(error)),
        _ => {}
    }
    match fs::rename(path, &aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("move aside", path)(error)),
        _ => Ok(()),
    }
}

/// The bytes under which both engines keep a key of a record: name and value framed by their lengths, so that no
/// pair can look like another, then the record's index, big-endian, so that they sort by age.
fn key_prefix(name: &str, value: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(name.len() + value.len() + 12);
    for part in [name, value] {
        prefix.extend_from_slice(&(part.len() as u32).to_be_bytes());
        prefix.extend_from_slice(part.as_bytes());
    }
    prefix
}

fn key(name: &str, value: &str, id: RecordId) -> Vec<u8> {
    let mut key = key_prefix(name, value);
    key.extend_from_slice(&id.to_be_bytes());
    key
}

/// The keys of these records in the order in which they are stored, which is kinder to a tree than theirs.
fn sorted_keys(records: &[(RecordId, Record)]) -> Vec<Vec<u8>> {
    let pairs = records.iter().flat_map(|(id, record)| record.keys.iter().map(move |pair| (id, pair)));
    let mut keys: Vec<_> = pairs.map(|(id, (name, value))| key(name, value, *id)).collect();
    keys.sort_unstable();
    keys
}

/// The record's index at the end of a [`key`].
fn key_id(key: &[u8]) -> Option<RecordId> {
    key.last_chunk::<8>().map(|id| RecordId::from_be_bytes(*id))
}

impl Position {
    /// `log id ‖ records ‖ last`.
    fn encode(&self) -> Vec<u8> {
        [self.log_id.as_bytes().as_slice(), &self.records.to_be_bytes(), &self.last].concat()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (log_id, rest) = bytes.split_first_chunk()?;
        let (records, last) = rest.split_first_chunk()?;
        let (log_id, records) = (LogId::from_bytes(*log_id), u64::from_be_bytes(*records));
        Some(Self { log_id, records, last: last.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests;
