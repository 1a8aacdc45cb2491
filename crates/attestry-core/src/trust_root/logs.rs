//! Which log an entry is from, and whether that log still counted.
//!
//! The library verifies a checkpoint by whichever log key of the trust root fits it, one that had ended included.

use sigstore_verify::{trust_root::TrustedRoot, types::Bundle};

use super::Refusal;
use crate::{ReasonCode, Timestamp};

/// The transparency logs of a trust root.
#[derive(Debug, Clone)]
pub(super) struct Logs(Vec<Log>);

#[derive(Debug, Clone)]
struct Log {
    id: Vec<u8>,
    until: Option<Timestamp>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Self {
        let logs = root.tlogs.iter().map(|log| Log {
            id: log.log_id.key_id.as_bytes().to_vec(),
            until: log.public_key.valid_for.and_then(|window| window.end),
        });
        Self(logs.collect())
    }

    /// Each checkpoint is by the log that its entry names, and that log had not ended before the signature existed.
    /// `times` are the proven ones; the library has held the promises against theirs.
    pub(super) fn hold(&self, bundle: &Bundle, times: &[Timestamp]) -> Result<(), Refusal> {
        let refused = |message: &str| Err(Refusal::new(ReasonCode::LogProofInvalid, &message));
        for entry in &bundle.verification_material.tlog_entries {
            let named = entry.log_id.key_id.as_bytes();
            let checkpoint = entry.inclusion_proof.as_ref().and_then(|proof| proof.checkpoint.checkpoint());
            // Four bytes of a log's id stand before each of its signatures (C2SP, signed-note).
            let signed_by = |log: &&Log| {
                let mut hints = checkpoint.iter().flat_map(|c| c.signatures());
                hints.any(|signature| log.id.starts_with(signature.key_id.as_bytes()))
            };
            if self.0.iter().filter(signed_by).any(|log| log.id != named) {
                return refused("its checkpoint is of another log than its entry names");
            }
            let ended = |log: &Log| log.until.zip(times.iter().min()).is_some_and(|(until, time)| until < *time);
            if self.0.iter().any(|log| log.id == named && ended(log)) {
                return refused("it was signed after its log's key had ended");
            }
        }
        Ok(())
    }
}
