//! Which log an entry is from, whether that log still counted, and what it proves of entries of older kinds.
//!
//! The library verifies a checkpoint by whichever log key of the trust root fits it, one that had ended included.

use serde::Serialize;
use sigstore_verify::{
    crypto::VerificationKey,
    trust_root::TrustedRoot,
    types::{Checkpoint, CheckpointSignature, KindVersion, SignatureBytes, TransparencyLogEntry},
};

use super::{
    Refusal, TrustRootError,
    older::{Kind, OlderEntry},
};
use crate::{ReasonCode, Timestamp, canonical, merkle};

/// The transparency logs of a trust root.
pub(super) struct Logs(Vec<Log>);

struct Log {
    id: Vec<u8>,
    key: VerificationKey,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Logs {
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, TrustRootError> {
        let log = |log: &sigstore_verify::trust_root::TransparencyLog| {
            let key = VerificationKey::from_spki(&log.public_key.raw_bytes)
                .map_err(|_| TrustRootError::Content("a log's key cannot be read".to_owned()))?;
            let window = log.public_key.valid_for;
            let (from, until) = (window.map(|window| window.start), window.and_then(|window| window.end));
            Ok(Log { id: log.log_id.key_id.as_bytes().to_vec(), key, from, until })
        };
        root.tlogs.iter().map(log).collect::<Result<_, _>>().map(Self)
    }

    /// Each checkpoint is by the log that its entry names, and that log had not ended when the signature was made.
    /// `times` are the proven ones; without any it is `now` that counts.
    pub(super) fn hold(
        &self,
        entries: &[TransparencyLogEntry],
        times: &[Timestamp],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        // An ended log whose key got lost could promise any time: others are asked first.
        let promised = |time: &&Timestamp| entries.iter().any(|entry| promised_time(entry) == Some(**time));
        let made = times.iter().filter(|time| !promised(time)).min().or(times.iter().min()).copied().unwrap_or(now);
        entries.iter().try_for_each(|entry| self.hold_entry(entry, made))
    }

    /// What the library does for entries that it can read: the named log promised the entry, and when, or else has
    /// included it. The first generation is known by its promise, which cosign's layout keeps and a proof it does not.
    pub(super) fn prove(&self, older: &OlderEntry, now: Timestamp) -> Result<Option<Timestamp>, Refusal> {
        let entry = &older.entry;
        let log = self.named(entry).ok_or_else(|| unproven("its log entry is of a log that is not trusted"))?;
        match older.kind {
            Kind::Intoto001 => log.promised(entry).map(Some),
            Kind::Dsse002 if log.from.is_some_and(|from| now < from) => Err(unproven("its log's key is not valid yet")),
            // Its generation promises nothing, so there is nobody who could have.
            Kind::Dsse002 if entry.inclusion_promise.is_some() => Err(unproven("its log entry has a promise")),
            Kind::Dsse002 => log.includes(entry).map(|()| None),
        }
    }

    fn named(&self, entry: &TransparencyLogEntry) -> Option<&Log> {
        self.0.iter().find(|log| log.id == entry.log_id.key_id.as_bytes())
    }

    fn hold_entry(&self, entry: &TransparencyLogEntry, made: Timestamp) -> Result<(), Refusal> {
        let refused = |message: &str| Err(unproven(message));
        let named = self.named(entry);
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

/// The time of an entry that its promise covers. In the second generation nothing does.
fn promised_time(entry: &TransparencyLogEntry) -> Option<Timestamp> {
    let timed = entry.inclusion_promise.is_some() && entry.kind_version != KindVersion::HashedRekordV002;
    entry.integrated_time.filter(|_| timed)
}

/// What a promise covers (github.com/sigstore/rekor, `pkg/verify`, the signed entry timestamp).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Promised {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

fn unproven(message: &str) -> Refusal {
    Refusal::new(ReasonCode::LogProofInvalid, &message)
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

    /// Size and root are those of the checkpoint, which the log signed. The index stands beside the proof, as the
    /// library reads it in the second generation.
    fn includes(&self, entry: &TransparencyLogEntry) -> Result<(), Refusal> {
        let proof = entry.inclusion_proof.as_ref();
        let proof = proof.and_then(|proof| Some((proof, proof.checkpoint.checkpoint()?)));
        let (proof, checkpoint) = proof.ok_or_else(|| unproven("its log entry has no proof with a checkpoint"))?;
        if !self.signed(checkpoint) {
            return Err(unproven("its checkpoint is not signed by the log that its entry names"));
        }
        let hashes: Vec<merkle::Hash> = proof.hashes.iter().map(|hash| *hash.as_bytes()).collect();
        let (size, root) = (checkpoint.tree_size(), checkpoint.root_hash().as_bytes());
        let leaf = merkle::leaf_hash(entry.canonicalized_body.as_bytes());
        merkle::verify_inclusion(&leaf, entry.log_index.get(), size, &hashes, root)
            .map_err(|error| unproven(&format!("its inclusion proof does not hold: {error}")))
    }

    /// The time that the log signed together with the entry.
    fn promised(&self, entry: &TransparencyLogEntry) -> Result<Timestamp, Refusal> {
        let promise = entry.inclusion_promise.as_ref().zip(entry.integrated_time);
        let (promise, time) = promise.ok_or_else(|| unproven("its log entry has no promise of a time"))?;
        if self.from.is_some_and(|from| time < from) || self.until.is_some_and(|until| time > until) {
            return Err(unproven("its log's key was not valid when the entry was promised"));
        }
        let text = canonical::to_vec(&Promised {
            body: entry.canonicalized_body.to_base64(),
            integrated_time: time.as_second(),
            log_index: entry.log_index.as_i64(),
            log_id: hex::encode(&self.id),
        });
        self.key
            .verify(text, &SignatureBytes::from_bytes(promise.signed_entry_timestamp.as_bytes()))
            .map_err(|_| unproven("its promise is not by the log that its entry names"))?;
        Ok(time)
    }
}
