//! The index in sled, the alternative. Its flush syncs nothing, so after a crash it may be behind: the log replays.

use std::path::{Path, PathBuf};

use sled::{Batch, Config, Db};

use super::{Index, Position, key, key_id, sorted_keys};
use crate::{Record, RecordId, StoreError};

/// Keys and position share one tree, for a batch is atomic in one tree only. No record's key is this short.
const POSITION: &[u8] = b"p1";

/// Memory for pages.
const CACHE: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct SledIndex {
    path: PathBuf,
    database: Db,
}

impl SledIndex {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        match Config::new().path(&path).cache_capacity(CACHE).open() {
            Ok(database) => Ok(Self { path, database }),
            Err(error) => Err(StoreError::Index { action: "open", path, source: Box::new(error) }),
        }
    }

    fn failed(&self, action: &'static str) -> impl Fn(sled::Error) -> StoreError {
        move |error| StoreError::Index { action, path: self.path.clone(), source: Box::new(error) }
    }
}

impl Index for SledIndex {
    fn position(&self) -> Result<Option<Position>, StoreError> {
        match self.database.get(POSITION).map_err(self.failed("read"))? {
            None => Ok(None),
            Some(bytes) => Position::decode(&bytes).map(Some).ok_or_else(|| StoreError::Index {
                action: "read",
                path: self.path.clone(),
                source: "the applied position is malformed".into(),
            }),
        }
    }

    fn apply(&self, records: &[(RecordId, Record)], position: &Position) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for key in sorted_keys(records) {
            batch.insert(key, &[]);
        }
        batch.insert(POSITION, position.encode());
        self.database.apply_batch(batch).map_err(self.failed("write"))
    }

    fn find(&self, name: &str, value: &str, before: RecordId, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let newest = self.database.range(key(name, value, 0)..key(name, value, before)).rev().take(limit);
        let ids = newest.filter_map(|entry| entry.map(|(key, _)| key_id(&key)).transpose());
        ids.collect::<Result<_, _>>().map_err(self.failed("read"))
    }
}
