//! Which log an entry is from, and whether that log still counted.
//!
//! The library verifies a checkpoint by whichever log key of the trust root fits it, one that had ended included.

use sigstore_verify::{
    crypto::VerificationKey,
    trust_root::TrustedRoot,
    types::{Bundle, Checkpoint, CheckpointSignature, TransparencyLogEntry},
};

use super::{Refusal, TrustRootError};
use crate::{ReasonCode, Timestamp};

/// The transparency logs of a trust root.
pub(super) struct Logs(Vec<Log>);

struct Log {
    id: Vec<u8>,
    key: VerificationKey,
    until: Option<Timestamp>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, TrustRootError> {
        let log = |log: &sigstore_verify::trust_root::TransparencyLog| {
            let key = VerificationKey::from_spki(&log.public_key.raw_bytes)
                .map_err(|_| TrustRootError::Content("a log's key cannot be read".to_owned()))?;
            let until = log.public_key.valid_for.and_then(|window| window.end);
            Ok(Log { id: log.log_id.key_id.as_bytes().to_vec(), key, until })
        };
        root.tlogs.iter().map(log).collect::<Result<_, _>>().map(Self)
    }

    /// Each checkpoint is by the log that its entry names, and that log had not ended when the signature was made.
    /// `times` are the proven ones; without any it is `now` that counts.
    pub(super) fn hold(&self, bundle: &Bundle, times: &[Timestamp], now: Timestamp) -> Result<(), Refusal> {
        let entries = &bundle.verification_material.tlog_entries;
        // An ended log whose key got lost could promise any time: others are asked first.
        let promised = |time: &&Timestamp| entries.iter().any(|entry| entry.integrated_time == Some(**time));
        let made = times.iter().filter(|time| !promised(time)).min().or(times.iter().min()).copied().unwrap_or(now);
        entries.iter().try_for_each(|entry| self.hold_entry(entry, made))
    }

    fn hold_entry(&self, entry: &TransparencyLogEntry, made: Timestamp) -> Result<(), Refusal> {
        let refused = |message: &str| Err(Refusal::new(ReasonCode::LogProofInvalid, &message));
        let named = self.0.iter().find(|log| log.id == entry.log_id.key_id.as_bytes());
        let checkpoint = entry.inclusion_proof.as_ref().and_then(|proof| proof.checkpoint.checkpoint());
        if let Some(checkpoint) = checkpoint {
            let mut others = self.0.iter().filter(|log| log.id != entry.log_id.key_id.as_bytes());
            // Where nobody else could have signed it, the library found the named log's signature.
            if others.any(|log| log.signatures(checkpoint).next().is_some())
                && !named.is_some_and(|log| log.signed(checkpoint))
            {
                return refused("its checkpoint is of another log than its entry names");
            }
        }
        match named.and_then(|log| log.until) {
            Some(until) if until < made => refused("it was signed after its log's key had ended"),
            _ => Ok(()),
        }
    }
}

impl Log {
    /// Signatures that may be its own: four bytes of a log's id stand before each (C2SP, signed-note).
    fn signatures<'a>(&'a self, checkpoint: &'a Checkpoint) -> impl Iterator<Item = &'a CheckpointSignature> {
        checkpoint.signatures().iter().filter(|signature| self.id.starts_with(signature.key_id.as_bytes()))
    }

    fn signed(&self, checkpoint: &Checkpoint) -> bool {
        let text = checkpoint.signed_data();
        self.signatures(checkpoint).any(|signature| self.key.verify(text, &signature.signature).is_ok())
    }
}
