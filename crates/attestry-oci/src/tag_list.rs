//! Adding an entry to a list that lives in one tag.
//!
//! Registries offer no compare-and-swap that they all honour: two writers read the same list and the second wipes
//! out the first, silently (attack 68). What makes it safe among our own writers, in any number of processes and on
//! any number of machines, are three rules (ADR 0007):
//!
//! 1. A list that was read is written within [`FRESH`], or read again.
//! 2. Whoever has written waits for [`SETTLE`], which is longer: by then everybody who had read the list before has
//!    written it. Only what is read back after that is success; what is gone is put back, and the wait begins anew.
//! 3. Every entry that a writer has ever seen is part of all that it writes, so that survivors heal what others lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestry_core::{Digest, Subject, strict_json};
use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Client,
    attach::to_json,
    budget::Budget,
    error::OciError,
    patience::{is_failure, jitter, patiently},
    push::Condition,
};

/// One kind of list: the fallback index of referrers, or a manifest of cosign's.
pub(crate) trait TagList {
    fn subject(&self) -> &Subject;
    fn tag(&self) -> &str;
    /// The member of the document that holds the entries.
    fn member(&self) -> &'static str;
    /// Whether two entries are one.
    fn same(&self, a: &Value, b: &Value) -> bool;
    async fn read(&self, budget: &Budget) -> Result<TagContent, OciError>;
    /// Makes the document with `entries` from the one that is there, and pushes what it names.
    async fn prepare(
        &self,
        document: Option<Value>,
        entries: Vec<Value>,
        budget: &Budget,
    ) -> Result<(String, Value), OciError>;
}

/// What a tag holds.
#[derive(Debug)]
pub(crate) enum TagContent {
    Absent,
    /// Something else than a list, with its media type.
    Other(String),
    /// A list, as raw bytes.
    Document {
        body: Bytes,
        etag: Option<String>,
    },
}

/// How old a list may be when it is written.
const FRESH: Duration = Duration::from_secs(1);
/// How long a list must hold before it counts: longer than [`FRESH`] by what a write takes on its way.
pub(crate) const SETTLE: Duration = Duration::from_millis(1_500);
/// Writes before giving up. Among many writers most writes are overwritten by one that holds more.
const TRIES: u32 = 60;
/// The longest pause between two writes.
const PAUSE: Duration = Duration::from_millis(800);
/// Failures of the registry (5xx) that are waited out.
const FAILURES: u32 = 3;
/// The longest list that is written: cosign reads no longer one.
const MAX_ENTRIES: usize = 1000;

impl Client {
    /// Adds `entry` to the list and returns once it was read back together with every entry seen before. Says
    /// whether the entry was there from the start, and the digest of the document that holds it.
    pub(crate) async fn add_to_tag(
        &self,
        list: &impl TagList,
        entry: Value,
        budget: &Budget,
    ) -> Result<(bool, Digest), OciError> {
        let mut seen = vec![entry];
        let mut state = Snapshot::read(list, budget).await?;
        if state.has(list, &seen[0]) {
            // Somebody who read the list before it was there may be about to write it.
            tokio::time::sleep(SETTLE).await;
            state = Snapshot::read(list, budget).await?;
            if state.has(list, &seen[0]) {
                return Ok((true, state.digest));
            }
        }
        let mut failures = 0;
        for attempt in 1..=TRIES {
            state.remember(list, &mut seen);
            if seen.len() > MAX_ENTRIES {
                return Err(OciError::ListFull {
                    tag: list.tag().to_owned(),
                    repository: list.subject().repository.to_string(),
                    limit: MAX_ENTRIES,
                });
            }
            match self.write_and_read(list, state, &seen, budget).await {
                Ok(Some(state)) if state.has_all(list, &seen) => return Ok((false, state.digest)),
                Ok(Some(state)) => state.remember(list, &mut seen),
                Ok(None) => {}
                // Whether our write was done all the same is seen when the list is read again.
                Err(error) if is_failure(&error) && failures < FAILURES => failures += 1,
                Err(error) => return Err(error),
            }
            tracing::debug!(tag = list.tag(), attempt, "the list was overwritten by somebody else");
            tokio::time::sleep(jitter((Duration::from_millis(20) * attempt).min(PAUSE))).await;
            state = Snapshot::read(list, budget).await?;
        }
        Err(OciError::Contended {
            tag: list.tag().to_owned(),
            repository: list.subject().repository.to_string(),
            tries: TRIES,
        })
    }

    /// Writes the list and reads it again: at once, and if everything is there, once more after a pause. `None` if it was
    /// not written.
    async fn write_and_read(
        &self,
        list: &impl TagList,
        state: Snapshot,
        seen: &[Value],
        budget: &Budget,
    ) -> Result<Option<Snapshot>, OciError> {
        if !self.write(list, state, seen, budget).await? {
            return Ok(None);
        }
        let written = Instant::now();
        let state = Snapshot::read(list, budget).await?;
        if !state.has_all(list, seen) {
            return Ok(Some(state));
        }
        tokio::time::sleep_until(written + SETTLE).await;
        Snapshot::read(list, budget).await.map(Some)
    }

    /// One write, unless the list is too old by now. That somebody else was faster (412) is no error: the list is read
    /// again anyway.
    async fn write(
        &self,
        list: &impl TagList,
        state: Snapshot,
        seen: &[Value],
        budget: &Budget,
    ) -> Result<bool, OciError> {
        let repository = &list.subject().repository;
        // What is there keeps its order; ours and what was lost follow.
        let mut entries = state.entries;
        for entry in seen.iter().skip(1).chain(&seen[..1]) {
            if !entries.iter().any(|known| list.same(known, entry)) {
                entries.push(entry.clone());
            }
        }
        let (media_type, document) = list.prepare(state.document, entries, budget).await?;
        let bytes = Bytes::from(to_json(&document));
        let digest = Digest::of(&bytes);
        // Waiting for the registry, for a token or for a connection makes a list old as well.
        let condition = Condition { if_match: state.etag, not_after: Some(state.read_at + FRESH) };
        let answer = match self.put_manifest(repository, list.tag(), &media_type, bytes, condition, budget).await {
            // Whether something was written all the same is seen when the list is read again.
            Err(_) if state.read_at.elapsed() > FRESH => return Ok(false),
            other => other?,
        };
        if answer.status() == StatusCode::PRECONDITION_FAILED {
            return Ok(false);
        }
        self.accepted(repository, digest, answer, budget).await.map(|_| true)
    }
}

/// The list at one moment.
struct Snapshot {
    /// When the request for it began.
    read_at: Instant,
    digest: Digest,
    document: Option<Value>,
    entries: Vec<Value>,
    etag: Option<String>,
}

impl Snapshot {
    async fn read(list: &impl TagList, budget: &Budget) -> Result<Self, OciError> {
        patiently(is_failure, || Self::read_once(list, budget)).await
    }

    async fn read_once(list: &impl TagList, budget: &Budget) -> Result<Self, OciError> {
        let taken = |what: String| OciError::TagTaken {
            tag: list.tag().to_owned(),
            repository: list.subject().repository.to_string(),
            what,
        };
        let read_at = Instant::now();
        match list.read(budget).await? {
            TagContent::Absent => {
                Ok(Self { read_at, digest: Digest::of(""), document: None, entries: Vec::new(), etag: None })
            }
            TagContent::Other(media_type) => Err(taken(format!("a document of type {media_type}"))),
            TagContent::Document { body, etag, .. } => {
                // Unknown members and the exact entries of others are kept as they are.
                let document = strict_json::parse(&body).map_err(|_| taken("something that is no JSON".to_owned()))?;
                let entries = document.get(list.member()).and_then(Value::as_array).cloned();
                let entries = entries.ok_or_else(|| taken(format!("a document without {}", list.member())))?;
                Ok(Self { read_at, digest: Digest::of(&body), document: Some(document), entries, etag })
            }
        }
    }

    fn has(&self, list: &impl TagList, entry: &Value) -> bool {
        self.entries.iter().any(|known| list.same(known, entry))
    }

    fn has_all(&self, list: &impl TagList, seen: &[Value]) -> bool {
        seen.iter().all(|entry| self.has(list, entry))
    }

    fn remember(&self, list: &impl TagList, seen: &mut Vec<Value>) {
        for entry in &self.entries {
            if !seen.iter().any(|known| list.same(known, entry)) {
                seen.push(entry.clone());
            }
        }
    }
}

/// Writers of this process take turns per subject, so that they do not race each other.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Subject, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    pub(crate) async fn of(&self, subject: &Subject) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Turns that nobody holds or waits for are dropped.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(subject.clone()).or_default())
        };
        turn.lock_owned().await
    }
}
