//! A transparency log in the shape of Rekor, of either generation, with a real Merkle tree.

use attestry_core::{
    Digest, Timestamp, canonical,
    merkle::{Hash, leaf_hash},
    note::{Checkpoint, NoteSigner},
};
use attestry_sign::SigningKey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use self::request::Accepted;
pub use self::{propose::Verifier, request::Refusal};
use crate::keys;

pub mod propose;
mod request;
mod tree;

/// Entries that every log holds from the start, so that no inclusion proof is empty.
const EARLIER: usize = 5;
/// By how much the index that the first generation shows exceeds the one in its tree: older trees came before.
const FIRST_INDEX: usize = 1_000_000;
/// The id of the first generation's tree.
const TREE: &str = "1193050959916656506";

/// Which generation of Rekor a log plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// P-256, several kinds of entries, promises, a time for each entry.
    V1,
    /// Ed25519, one kind of entry (until 2026-06 another, for envelopes), neither promise nor time.
    V2,
}

/// What is wrong with an entry that a log gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFault {
    /// The proof leads to the root of a tree with other neighbours; the checkpoint is this log's.
    ProofOfAnotherTree,
    /// One bit of one hash of the proof differs.
    ProofHashFlipped,
    /// There is no proof, and so no checkpoint either.
    ProofMissing,
    /// A stranger's key signed the checkpoint and says so.
    CheckpointByAnotherKey,
    /// A stranger's key signed the checkpoint and passes itself off as the log's.
    CheckpointForged,
    /// The checkpoint is genuine, of the tree before this entry.
    CheckpointOfSmallerTree,
    /// The promise is genuine, of another entry. First generation only.
    PromiseOfAnotherEntry,
    /// There is no promise. First generation only.
    PromiseMissing,
    /// The promise is for another time than the entry says. First generation only.
    IntegratedTimeMoved,
}

/// A log. Its key follows from its address, so two logs of one address are one log.
pub struct RekorLog {
    generation: Generation,
    base_url: String,
    key: SigningKey,
    leaves: Vec<Leaf>,
}

struct Leaf {
    entry: Accepted,
    at: Timestamp,
}

impl RekorLog {
    /// A log at this address, such as `https://log.example`.
    pub fn new(generation: Generation, base_url: &str) -> Self {
        let name = format!("log {base_url}");
        let key = match generation {
            Generation::V1 => keys::p256(&name),
            Generation::V2 => keys::ed25519(&name),
        };
        let earlier = |number: usize| Leaf {
            entry: Accepted {
                kind: "hashedrekord",
                version: "0.0.1",
                body: format!("entry {number} of {base_url}").into_bytes(),
            },
            at: Timestamp::UNIX_EPOCH,
        };
        Self { generation, base_url: base_url.to_owned(), key, leaves: (0..EARLIER).map(earlier).collect() }
    }

    /// Which generation it plays.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// How many entries it holds.
    pub fn size(&self) -> usize {
        self.leaves.len()
    }

    /// The id that entries name the log by.
    pub fn key_id(&self) -> [u8; 32] {
        match self.generation {
            Generation::V1 => *self.key.key_id().as_bytes(),
            Generation::V2 => {
                // The raw Ed25519 key is the end of its SPKI.
                let raw = self.key.public_key_der().last_chunk::<32>().unwrap();
                *Digest::of([self.origin().as_bytes(), b"\n\x01", raw].concat()).as_bytes()
            }
        }
    }

    /// The log's fragment of `tlogs` in a `trusted_root.json`.
    pub fn trusted_root_entry(&self, start: Timestamp, end: Option<Timestamp>) -> Value {
        let mut valid_for = json!({ "start": start.to_string() });
        if let Some(end) = end {
            valid_for["end"] = end.to_string().into();
        }
        let details = match self.generation {
            Generation::V1 => "PKIX_ECDSA_P256_SHA_256",
            Generation::V2 => "PKIX_ED25519",
        };
        json!({
            "baseUrl": self.base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(self.key.public_key_der()),
                "keyDetails": details,
                "validFor": valid_for,
            },
            "logId": { "keyId": STANDARD.encode(self.key_id()) },
        })
    }

    /// Logs what a client sent (see [`propose`]) and returns the entry as it belongs into a bundle's `tlogEntries`.
    pub fn append(&mut self, request: &Value, at: Timestamp) -> Result<Value, Refusal> {
        self.append_with(request, at, None)
    }

    /// Logs the same and returns an entry with one thing wrong.
    pub fn append_with(&mut self, request: &Value, at: Timestamp, fault: Option<LogFault>) -> Result<Value, Refusal> {
        let entry = Accepted::read(self.generation, request)?;
        let same = self.leaves.iter().position(|leaf| leaf.entry.body == entry.body);
        // The second generation does not look for duplicates.
        if let (Generation::V1, Some(index)) = (self.generation, same) {
            return Err(Refusal::Duplicate { index });
        }
        self.leaves.push(Leaf { entry, at });
        Ok(self.entry(self.leaves.len() - 1, fault))
    }

    /// The entry at this index of the tree, proven against the whole tree as it is now.
    ///
    /// # Panics
    /// If there is none, or if the generation cannot have this fault.
    pub fn entry(&self, index: usize, fault: Option<LogFault>) -> Value {
        let leaf = &self.leaves[index];
        let shown = match self.generation {
            Generation::V1 => FIRST_INDEX + index,
            Generation::V2 => index,
        };
        let mut entry = json!({
            "logIndex": shown.to_string(),
            "logId": { "keyId": STANDARD.encode(self.key_id()) },
            "kindVersion": { "kind": leaf.entry.kind, "version": leaf.entry.version },
            "canonicalizedBody": STANDARD.encode(&leaf.entry.body),
        });
        if fault != Some(LogFault::ProofMissing) {
            entry["inclusionProof"] = self.proof(index, fault);
        }
        match self.generation {
            Generation::V1 => {
                let moved = i64::from(fault == Some(LogFault::IntegratedTimeMoved));
                entry["integratedTime"] = (leaf.at.as_second() + moved).to_string().into();
                if fault != Some(LogFault::PromiseMissing) {
                    let promised = match fault {
                        Some(LogFault::PromiseOfAnotherEntry) => &self.leaves[0].entry.body,
                        _ => &leaf.entry.body,
                    };
                    entry["inclusionPromise"] =
                        json!({ "signedEntryTimestamp": self.promise(promised, leaf.at, shown) });
                }
            }
            Generation::V2 => assert!(
                !matches!(
                    fault,
                    Some(LogFault::PromiseMissing | LogFault::PromiseOfAnotherEntry | LogFault::IntegratedTimeMoved)
                ),
                "the second generation promises nothing: {fault:?}"
            ),
        }
        entry
    }

    /// The signed note about the whole tree.
    pub fn checkpoint(&self) -> String {
        self.signed_checkpoint(&self.hashes(), None)
    }

    /// Logs the body of an entry again with a change, without looking whether it makes sense. Its time stays the same.
    ///
    /// # Panics
    /// If this is no entry of this log.
    pub fn relog(&mut self, entry: &Value, change: impl FnOnce(&mut Value)) -> Value {
        let body = STANDARD.decode(entry["canonicalizedBody"].as_str().unwrap()).unwrap();
        let same = self.leaves.iter().find(|leaf| leaf.entry.body == body);
        let (kind, version, at) = match same {
            Some(leaf) => (leaf.entry.kind, leaf.entry.version, leaf.at),
            None => panic!("an entry of this log"),
        };
        let mut value = serde_json::from_slice(&body).unwrap();
        change(&mut value);
        self.leaves.push(Leaf { entry: Accepted { kind, version, body: canonical::to_vec(&value) }, at });
        self.entry(self.leaves.len() - 1, None)
    }

    /// Another log's checkpoint with this log's signature below its own, as a witness adds it.
    pub fn cosign(&self, checkpoint: &str) -> String {
        let (text, _) = checkpoint.split_once("\n\n").unwrap();
        let signed = [&self.key_id()[..4], &self.key.sign(format!("{text}\n").as_bytes())].concat();
        format!("{checkpoint}\u{2014} {} {}\n", self.origin(), STANDARD.encode(signed))
    }

    fn proof(&self, index: usize, fault: Option<LogFault>) -> Value {
        let hashes = self.hashes();
        let mut tree = hashes.clone();
        if fault == Some(LogFault::ProofOfAnotherTree) {
            for (_, hash) in tree.iter_mut().enumerate().filter(|(other, _)| *other != index) {
                *hash = leaf_hash(hash);
            }
        }
        let mut siblings = tree::inclusion(&tree, index);
        if fault == Some(LogFault::ProofHashFlipped) {
            siblings[0][0] ^= 1;
        }
        let noted = match fault {
            Some(LogFault::CheckpointOfSmallerTree) => &hashes[..index],
            _ => &hashes,
        };
        json!({
            "logIndex": index.to_string(),
            "rootHash": STANDARD.encode(tree::root(&tree)),
            "treeSize": tree.len().to_string(),
            "hashes": siblings.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
            "checkpoint": { "envelope": self.signed_checkpoint(noted, fault) },
        })
    }

    fn signed_checkpoint(&self, hashes: &[Hash], fault: Option<LogFault>) -> String {
        let origin = match self.generation {
            Generation::V1 => format!("{} - {TREE}", self.origin()),
            Generation::V2 => self.origin().to_owned(),
        };
        let stranger = match self.generation {
            Generation::V1 => keys::p256("stranger's log"),
            Generation::V2 => keys::ed25519("stranger's log"),
        };
        let own_id = *self.key_id().first_chunk().unwrap();
        let (key, key_id) = match fault {
            Some(LogFault::CheckpointByAnotherKey) => (&stranger, *stranger.key_id().as_bytes().first_chunk().unwrap()),
            Some(LogFault::CheckpointForged) => (&stranger, own_id),
            _ => (&self.key, own_id),
        };
        let signer = Signer { name: self.origin(), key, key_id };
        let checkpoint = Checkpoint { origin, size: hashes.len() as u64, root: tree::root(hashes) };
        checkpoint.sign(&signer).unwrap().to_string()
    }

    fn promise(&self, body: &[u8], at: Timestamp, index: usize) -> String {
        let promised = json!({
            "body": STANDARD.encode(body),
            "integratedTime": at.as_second(),
            "logID": hex::encode(self.key_id()),
            "logIndex": index,
        });
        STANDARD.encode(self.key.sign(&canonical::to_vec(&promised)))
    }

    fn hashes(&self) -> Vec<Hash> {
        self.leaves.iter().map(|leaf| leaf_hash(&leaf.entry.body)).collect()
    }

    /// The address without its scheme, which is also the name of the note's key. cosign leaves the port out as well.
    fn origin(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or(self.base_url.as_str(), |(_, rest)| rest);
        rest.split([':', '/']).next().unwrap_or(rest)
    }
}

impl std::fmt::Debug for RekorLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RekorLog")
            .field("generation", &self.generation)
            .field("base_url", &self.base_url)
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// A key under a name, as notes want it.
#[derive(Debug)]
struct Signer<'k> {
    name: &'k str,
    key: &'k SigningKey,
    key_id: [u8; 4],
}

impl NoteSigner for Signer<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.key.sign(text)
    }
}

#[cfg(test)]
mod tests;
