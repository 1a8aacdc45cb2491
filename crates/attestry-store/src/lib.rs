//! The append-only log of opaque records, its checkpoints, objects and index.
//!
//! The log is the truth: a record is durable before anybody hears its number, and nothing is ever edited. The index
//! answers queries and can be thrown away. The store knows no policy and no registry: a [`Record`] is bytes and the
//! keys to find them by.
//!
//! ```text
//! <data directory>/lock              held by the one process that writes
//!                  log/0001.seg …    frames of records
//!                  checkpoint        how far the log is known to be whole, signed
//!                  objects/sha256/…  the bytes that records name
//!                  index.redb        rebuilt when it is gone
//!                  reserve           given up when the disk is full
//! ```
//!
//! Who can write to the directory can forge the log's end: what protects against that is a checkpoint that somebody
//! else has kept. Who can read it sees all decisions.
//!
//! Where to start reading: [`Store`] puts the parts together. Then [`append`](Log) and `writer.rs` (one sync for many
//! waiters), `frame.rs` and `segment.rs` (the bytes), `recover.rs` (what a start checks), `checkpoint.rs`,
//! `objects.rs`, `index.rs`, and `reader.rs` for reading without the lock.

use std::{path::Path, sync::Arc};

use attestry_core::note::NoteSigner;

mod append;
mod checkpoint;
mod disk;
mod error;
mod frame;
mod index;
mod objects;
mod reader;
mod recover;
mod reply;
mod segment;
mod state;
mod writer;

#[cfg(test)]
mod tests;

pub use append::{Appending, Log, OpenReport, Options};
pub use checkpoint::DurableCheckpoint;
pub use disk::{Disk, RealDisk};
pub use error::StoreError;
pub use frame::{LogId, MAX_APPEND, MAX_KEY, MAX_KEYS, MAX_RECORD, MalformedName, Record, RecordName};
pub use index::{Backend, Index, Position};
pub use objects::{MAX_OBJECT, Objects};
pub use reader::LogReader;

/// A record's place in the whole log, from zero.
pub type RecordId = u64;

/// The most records of a [`Page`].
pub const MAX_PAGE: usize = 1000;

/// A data directory: its log, objects and index.
#[derive(Debug)]
pub struct Store {
    /// Before the log: it reads from it until it is closed.
    index: index::Indexer,
    objects: Objects,
    log: Log,
}

/// Which records to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Only records that carry this name and value; all without it.
    pub key: Option<(String, String)>,
    /// Only records older than this one: [`Page::next`] of the page before.
    pub before: Option<RecordId>,
    /// The most records wanted, at most [`MAX_PAGE`].
    pub limit: usize,
}

/// Records, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records with their indexes.
    pub records: Vec<(RecordId, Record)>,
    /// Where the next page begins, if there is more.
    pub next: Option<RecordId>,
}

impl Store {
    /// Opens the data directory `dir`, or begins one. Checkpoints are signed by `signer`, if there is one.
    pub fn open(
        dir: &Path,
        options: &Options,
        backend: Backend,
        signer: Option<Arc<dyn NoteSigner>>,
    ) -> Result<(Self, OpenReport), StoreError> {
        let (log, report) = Log::open(dir, options, signer)?;
        let objects = Objects::open(dir, Arc::clone(&options.disk))?;
        let (index, rebuilt_index) = index::Indexer::open(backend, Arc::clone(log.state()))?;
        Ok((Self { index, objects, log }, OpenReport { rebuilt_index, ..report }))
    }

    /// The log: appending, single records, the checkpoint.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The objects.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// A page of records, newest first. Every record whose append was answered before this call is seen.
    ///
    /// This blocks while the index takes in the newest records.
    pub fn query(&self, query: &Query) -> Result<Page, StoreError> {
        let limit = query.limit.min(MAX_PAGE);
        let before = query.before.unwrap_or(RecordId::MAX);
        // One more than wanted tells whether there is another page.
        let mut ids = match &query.key {
            Some((name, value)) => self.index.find((name, value), before, limit + 1)?,
            None => (0..before.min(self.log.records())).rev().take(limit + 1).collect(),
        };
        let more = ids.len() > limit;
        ids.truncate(limit);
        let next = ids.last().copied().filter(|_| more);
        let read = |id| Ok(self.log.record(id)?.map(|record| (id, record)));
        let records = ids.into_iter().filter_map(|id| read(id).transpose()).collect::<Result<_, StoreError>>()?;
        Ok(Page { records, next })
    }
}
