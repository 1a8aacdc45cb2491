//! The index in redb, the default.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use redb::{Builder, Database, Durability, ReadableDatabase as _, TableDefinition, TableError};

use super::{Index, Position, key, key_id, sorted_keys};
use crate::{Record, RecordId, StoreError};

/// The table's names carry the format's version: another format is another table, and the index is rebuilt.
const KEYS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("keys-v1");
const POSITION: TableDefinition<'_, (), &[u8]> = TableDefinition::new("position-v1");

/// Memory for pages.
const CACHE: usize = 64 << 20;
/// After so many records a transaction is synced. Those before it may be lost in a crash: the log replays them.
const SYNC_AFTER: u64 = 4096;

#[derive(Debug)]
pub(super) struct RedbIndex {
    path: PathBuf,
    database: Database,
    unsynced: AtomicU64,
}

impl RedbIndex {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        // A plain open trusts the file's checksums and may answer wrongly, or panic, when a byte was flipped.
        let database = Builder::new().set_cache_size(CACHE).set_check_integrity_on_open(true).create(path);
        let database = database.map_err(|error| failed("open", path, error))?;
        Ok(Self { path: path.to_owned(), database, unsynced: AtomicU64::new(0) })
    }

    fn read_position(&self) -> Result<Option<Position>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(POSITION) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        match table.get(())? {
            None => Ok(None),
            Some(bytes) => Position::decode(bytes.value())
                .map(Some)
                .ok_or_else(|| redb::Error::Corrupted("the applied position is malformed".to_owned())),
        }
    }

    fn write(&self, records: &[(RecordId, Record)], position: &Position) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        let unsynced = self.unsynced.load(Ordering::Relaxed) + records.len() as u64;
        let sync = unsynced >= SYNC_AFTER;
        transaction.set_durability(if sync { Durability::Immediate } else { Durability::None })?;
        // A start after a crash then takes moments instead of a walk through all pages.
        transaction.set_quick_repair(sync);
        {
            let mut keys = transaction.open_table(KEYS)?;
            for key in sorted_keys(records) {
                keys.insert(key.as_slice(), ())?;
            }
            transaction.open_table(POSITION)?.insert((), position.encode().as_slice())?;
        }
        transaction.commit()?;
        self.unsynced.store(if sync { 0 } else { unsynced }, Ordering::Relaxed);
        Ok(())
    }

    fn read_keys(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<RecordId>, redb::Error> {
        let table = match self.database.begin_read()?.open_table(KEYS) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            table => table?,
        };
        let newest = table.range(from..to)?.rev().take(limit);
        newest.filter_map(|entry| entry.map(|(key, _)| key_id(key.value())).transpose()).map(|id| Ok(id?)).collect()
    }
}

impl Index for RedbIndex {
    fn position(&self) -> Result<Option<Position>, StoreError> {
        self.read_position().map_err(|error| failed("read", &self.path, error))
    }

    fn apply(&self, records: &[(RecordId, Record)], position: &Position) -> Result<(), StoreError> {
        self.write(records, position).map_err(|error| failed("write", &self.path, error))
    }

    fn find(&self, name: &str, value: &str, before: RecordId, limit: usize) -> Result<Vec<RecordId>, StoreError> {
        let (from, to) = (key(name, value, 0), key(name, value, before));
        self.read_keys(&from, &to, limit).map_err(|error| failed("read", &self.path, error))
    }
}

fn failed(action: &'static str, path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Index { action, path: path.to_owned(), source: Box::new(error) }
}
