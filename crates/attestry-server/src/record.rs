//! Writing decisions and reviews down. What records name is durable before the record, and the record before the
//! answer.

use std::sync::Arc;

use attestry_core::{API_VERSION, Digest, Timestamp, canonical, decision::Decision};
use attestry_policy::PolicySet;
use attestry_store::{Record, RecordName, Store, StoreError};
use moka::sync::Cache;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::judge::Judged;

/// Names that are remembered as written. Forgetting one costs a second copy, never a lost one.
const MAX_REMEMBERED: u64 = 50_000;

/// The decision log as the service writes it.
#[derive(Debug)]
pub(crate) struct Recorder {
    store: Arc<Store>,
    /// Reviews and policy sets that are in the log.
    written: Cache<Digest, ()>,
}

/// Why a record was not written in time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRecorded {
    /// The log or the objects refused.
    #[error("the log cannot be written")]
    Store(#[from] StoreError),
    /// The deadline came first. The record may still land.
    #[error("the log was not written before the deadline")]
    TooLate,
    /// The log gave no number for the record: an id that names another would be worse than none.
    #[error("the log gave the record no number")]
    NoNumber,
    /// The blocking task did not come back.
    #[error("the task that writes objects failed")]
    Task(#[from] tokio::task::JoinError),
}

impl Recorder {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, written: Cache::new(MAX_REMEMBERED) }
    }

    /// The store, for queries.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Records a decision with the policy set and the reviews that it names; the decision's id.
    pub(crate) async fn decision(
        &self,
        decision: &Decision,
        set: Option<&Arc<PolicySet>>,
        judged: &[Judged],
        deadline: Instant,
    ) -> Result<String, NotRecorded> {
        let mut records = self.before(set, judged, decision.time, deadline).await?;
        records.push(Record { bytes: decision.to_bytes(), keys: decision_keys(decision) });
        let ids = self.append(&records, deadline).await?;
        self.remember(set, judged);
        // The decision is the last record of the batch.
        let index = ids.last().copied().ok_or(NotRecorded::NoNumber)?;
        Ok(RecordName { log: self.store.log().log_id(), index }.to_string())
    }

    /// Records a review that was asked for over the API: never as a decision.
    pub(crate) async fn review(&self, judged: &Judged, now: Timestamp, deadline: Instant) -> Result<(), NotRecorded> {
        let (set, judged) = (Some(&judged.set), std::slice::from_ref(judged));
        let records = self.before(set, judged, now, deadline).await?;
        if !records.is_empty() {
            self.append(&records, deadline).await?;
        }
        self.remember(set, judged);
        Ok(())
    }

    /// The records of policy set and reviews that are not in the log yet, their objects stored.
    async fn before(
        &self,
        set: Option<&Arc<PolicySet>>,
        judged: &[Judged],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Vec<Record>, NotRecorded> {
        let mut records = Vec::new();
        let mut objects: Vec<(Digest, Vec<u8>)> = Vec::new();
        let mut new: Vec<Digest> = Vec::new();
        if let Some(set) = set.filter(|set| !self.written.contains_key(&set.digest())) {
            let digest = set.digest();
            objects.push((digest, set.to_bytes().to_vec()));
            let record = json!({"apiVersion": API_VERSION, "kind": "PolicySet", "policySet": digest, "time": now});
            records.push(record_of("PolicySet", canonical::to_vec(&record), vec![("policySet", digest.to_string())]));
        }
        for judged in judged {
            if self.written.contains_key(&judged.name) || new.contains(&judged.name) {
                continue;
            }
            new.push(judged.name);
            if let Some(evidence) = judged.evidence() {
                objects.push((judged.review.evidence, evidence.index_bytes()));
                objects.extend(evidence.documents().map(|(digest, document)| (*digest, document.bytes.to_vec())));
            }
            let mut keys = vec![("review", judged.name.to_string())];
            keys.extend(judged.review.subject.iter().map(|subject| ("reviewed", subject.digest.to_string())));
            records.push(record_of("Review", judged.review.to_bytes(), keys));
        }
        if !objects.is_empty() {
            let store = self.store.clone();
            let put = tokio::task::spawn_blocking(move || {
                objects.iter().try_for_each(|(digest, bytes)| store.objects().put(digest, bytes))
            });
            timeout_at(deadline, put).await.map_err(|_| NotRecorded::TooLate)???;
        }
        Ok(records)
    }

    async fn append(&self, records: &[Record], deadline: Instant) -> Result<Vec<u64>, NotRecorded> {
        Ok(timeout_at(deadline, self.store.log().append(records)).await.map_err(|_| NotRecorded::TooLate)??)
    }

    fn remember(&self, set: Option<&Arc<PolicySet>>, judged: &[Judged]) {
        if let Some(set) = set {
            self.written.insert(set.digest(), ());
        }
        for judged in judged {
            self.written.insert(judged.name, ());
            judged.evidence_is_stored();
        }
    }
}

fn record_of(kind: &str, bytes: Vec<u8>, keys: Vec<(&str, String)>) -> Record {
    let kind = std::iter::once(("kind", kind.to_owned()));
    Record { bytes, keys: kind.chain(keys).map(|(name, value)| (name.to_owned(), value)).collect() }
}

/// What decisions are found by.
fn decision_keys(decision: &Decision) -> Vec<(String, String)> {
    let mut keys = vec![
        ("kind", Decision::KIND.to_owned()),
        ("allowed", decision.allowed.to_string()),
        ("uid", decision.request.uid.clone()),
    ];
    keys.extend(decision.request.namespace.iter().map(|namespace| ("namespace", namespace.clone())));
    keys.extend(decision.images.iter().filter_map(|image| Some(("digest", image.digest?.to_string()))));
    let bounded = |text: String| text.chars().take(512).collect::<String>();
    let mut keys: Vec<(String, String)> =
        keys.into_iter().map(|(name, value)| (name.to_owned(), bounded(value))).collect();
    keys.sort();
    keys.dedup();
    keys
}
