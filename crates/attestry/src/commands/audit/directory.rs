//! Decisions from a data directory, also while a server writes to it.

use std::collections::VecDeque;
use std::path::Path;

use attestry_core::decision::Decision;
use attestry_core::{Digest, Review};
use attestry_store::{LogReader, RecordName};
use serde::Deserialize;

use super::{Filter, Kept, Shown};
use crate::commands::Context;
use crate::exit::Failure;

/// What every record says of itself.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// The newest decisions that the filter wants. The log is read from its beginning, and only these are kept.
pub(super) fn list(directory: &Path, filter: &Filter, context: Context<'_>) -> Result<Vec<Kept>, Failure> {
    let mut log = LogReader::open(directory)?;
    let id = log.log_id();
    // Read first: the log only grows, so it must reach what was promised before.
    let promised = log.checkpoint()?.map_or(0, |checkpoint| checkpoint.size);
    let mut newest = VecDeque::new();
    let mut read = 0;
    for record in log.by_ref() {
        let (index, record) = record?;
        read = index + 1;
        if kind(&record.bytes).as_deref() != Some(Decision::KIND) {
            continue;
        }
        let name = RecordName { log: id, index };
        let decision = read_decision(name, &record.bytes)?;
        if filter.wants(&decision) {
            newest.push_front(Kept { id: name.to_string(), decision });
            newest.truncate(filter.limit);
        }
    }
    if read < promised {
        // A list of what is left would look like all there ever was.
        return Err(Failure::failed(format!(
            "the log in {} ends after {read} records, but its checkpoint covers {promised}: it was damaged or cut",
            directory.display()
        ))
        .hint("restore the data directory from a copy"));
    }
    if log.torn_bytes() > 0 {
        let bytes = log.torn_bytes();
        context
            .output
            .warning(&format!("the log ends in {bytes} bytes of a write that is not finished; they were not read"));
    }
    Ok(newest.into())
}

/// One decision and the reviews that it names. Two passes, so that a long log is not held in memory.
pub(super) fn show(directory: &Path, name: RecordName) -> Result<Shown, Failure> {
    let log = LogReader::open(directory)?;
    if log.log_id() != name.log {
        let message = format!("{} holds the log {}, and {name} is of another one", directory.display(), log.log_id());
        return Err(Failure::failed(message));
    }
    let mut decision: Option<Decision> = None;
    for record in log {
        let (index, record) = record?;
        if index == name.index && kind(&record.bytes).as_deref() == Some(Decision::KIND) {
            decision = Some(read_decision(name, &record.bytes)?);
            break;
        }
    }
    let decision =
        decision.ok_or_else(|| Failure::failed(format!("{} holds no decision {name}", directory.display())))?;
    let mut wanted: Vec<Digest> = decision.images.iter().filter_map(|image| image.review).collect();
    let mut reviews = Vec::new();
    for record in LogReader::open(directory)? {
        let (_, record) = record?;
        let digest = Digest::of(&record.bytes);
        if wanted.contains(&digest) {
            wanted.retain(|other| *other != digest);
            // A review of a newer version may not be readable; the decision itself is.
            reviews.extend(serde_json::from_slice::<Review>(&record.bytes).ok());
        }
        if wanted.is_empty() {
            break;
        }
    }
    Ok(Shown { id: name.to_string(), decision, reviews })
}

fn kind(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<Kind>(bytes).ok().map(|record| record.kind)
}

fn read_decision(name: RecordName, bytes: &[u8]) -> Result<Decision, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        anyhow::Error::from(error).context(format!("the record {name} is no decision that this version reads")).into()
    })
}

#[cfg(test)]
mod tests;
