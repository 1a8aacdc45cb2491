//! A TUF repository that holds a trusted root (The Update Framework, specification 1.0.34), as files and over HTTP.
//!
//! Keys are Ed25519, by name: one for the roots, and for each other role one that is new with each root. Their hexadecimal form keeps line breaks out of the signed JSON, which
//! is where its canonical form and RFC 8785 would differ.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use attestry_core::{Digest, Timestamp, canonical};
use attestry_sign::SigningKey;
use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{instance::locked, services};
use crate::{clock, keys};

/// What a repository says. Each field can be changed between two updates.
#[derive(Debug, Clone)]
pub struct TufRepository {
    /// The target `trusted_root.json`.
    pub trusted_root: Vec<u8>,
    /// Versions of the newest root, of the timestamp, and of snapshot and targets.
    pub versions: [u64; 3],
    /// When the timestamp ends; the other roles end in 2040.
    pub timestamp_ends: Timestamp,
    pub fault: Option<TufFault>,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TufFault {
    /// The newest root is signed by its own keys only, which the one before does not know.
    RootByStranger,
    /// A role's metadata are signed by a key that the root does not give it.
    ByStranger(&'static str),
    /// The root demands no signature at all for this role.
    ThresholdZero(&'static str),
    /// The target is delegated to a role that another key signed than the delegation names.
    DelegationByStranger,
    /// The target stands in a role whose delegation is for other paths.
    DelegationOfOtherPaths,
    /// The target's hash, which becomes part of a file's name, leads out of the folder.
    HashIsPath,
    /// The target is another file than its hash says.
    OtherTarget,
    /// The target is longer than its metadata say.
    Endless,
}

impl TufRepository {
    /// An honest one, at version 1.
    pub fn new(trusted_root: Vec<u8>) -> Self {
        Self { trusted_root, versions: [1, 1, 1], timestamp_ends: clock::at("2040-01-01T00:00:00Z"), fault: None }
    }

    /// The first root, which clients are given.
    pub fn first_root(&self) -> Vec<u8> {
        self.root(1)
    }

    /// Everything that it serves, by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let [root, timestamp, targets] = self.versions;
        let mut files: BTreeMap<String, Vec<u8>> =
            (1..=root).map(|version| (format!("{version}.root.json"), self.root(version))).collect();
        let timestamped = json!({"snapshot.json": {"version": targets}});
        let snapshotted = json!({"targets.json": {"version": targets}, "delegated.json": {"version": targets}});
        let mut put = |name: String, role: &str, fields: Value| {
            files.insert(name, self.signed(role, fields));
        };
        put(
            "timestamp.json".into(),
            "timestamp",
            json!({"version": timestamp, "expires": self.timestamp_ends.to_string(), "meta": timestamped}),
        );
        put(format!("{targets}.snapshot.json"), "snapshot", json!({"version": targets, "meta": snapshotted}));
        let (mut hash, mut served) = (Digest::of(&self.trusted_root).hex(), self.trusted_root.clone());
        match self.fault {
            Some(TufFault::HashIsPath) => hash = "../../secret".to_owned(),
            Some(TufFault::OtherTarget) => served[0] ^= 1,
            Some(TufFault::Endless) => served.resize(16 << 20, b' '),
            _ => {}
        }
        let target = json!({"trusted_root.json": {"length": self.trusted_root.len(), "hashes": {"sha256": hash}}});
        if matches!(self.fault, Some(TufFault::DelegationByStranger | TufFault::DelegationOfOtherPaths)) {
            let paths =
                if self.fault == Some(TufFault::DelegationByStranger) { "trusted_root.json" } else { "other/*" };
            let (id, key) = described(&keys::ed25519("tuf delegated"));
            let role = json!({"name": "delegated", "keyids": [id], "threshold": 1, "paths": [paths],
                "terminating": false});
            let delegations = json!({"keys": {id: key}, "roles": [role]});
            let fields = json!({"version": targets, "targets": {}, "delegations": delegations});
            put(format!("{targets}.targets.json"), "targets", fields);
            put(format!("{targets}.delegated.json"), "delegated", json!({"version": targets, "targets": target}));
        } else {
            put(format!("{targets}.targets.json"), "targets", json!({"version": targets, "targets": target}));
        }
        files.insert(format!("targets/{hash}.trusted_root.json"), served);
        files
    }

    fn root(&self, version: u64) -> Vec<u8> {
        let last = version == self.versions[0];
        let stranger = last && self.fault == Some(TufFault::RootByStranger);
        let root_key = if stranger { "tuf stranger" } else { "tuf root" };
        let mut known = serde_json::Map::new();
        let mut roles = serde_json::Map::new();
        for role in ["root", "timestamp", "snapshot", "targets"] {
            let name = if role == "root" { root_key.to_owned() } else { format!("tuf {role} {version}") };
            let (id, key) = described(&keys::ed25519(&name));
            let threshold = u32::from(!(last && self.fault == Some(TufFault::ThresholdZero(role))));
            roles.insert(role.to_owned(), json!({"keyids": [id], "threshold": threshold}));
            known.insert(id, key);
        }
        let fields = json!({"version": version, "consistent_snapshot": true, "keys": known, "roles": roles});
        envelope(&keys::ed25519(root_key), "root", fields)
    }

    fn signed(&self, role: &str, fields: Value) -> Vec<u8> {
        let stranger = match self.fault {
            Some(TufFault::ByStranger(by)) => by == role,
            Some(TufFault::DelegationByStranger) => role == "delegated",
            _ => false,
        };
        let name = match role {
            _ if stranger => "tuf stranger".to_owned(),
            "delegated" => "tuf delegated".to_owned(),
            _ => format!("tuf {role} {}", self.versions[0]),
        };
        // A role that needs no signature has none.
        if self.fault.is_some_and(|fault| matches!(fault, TufFault::ThresholdZero(of) if of == role)) {
            return unsigned(role, fields);
        }
        envelope(&keys::ed25519(&name), role, fields)
    }
}

/// A key's identifier and how root metadata describe it.
fn described(key: &SigningKey) -> (String, Value) {
    // The last 32 bytes of an Ed25519 key in SPKI are the key itself (RFC 8410 §4).
    let spki = key.public_key_der();
    let public = hex::encode(&spki[spki.len() - 32..]);
    (key.key_id().hex(), json!({"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": public}}))
}

fn envelope(key: &SigningKey, role: &str, fields: Value) -> Vec<u8> {
    let signed = with_head(role, fields);
    let signature = hex::encode(key.sign(&canonical::to_vec(&signed)));
    let signatures = json!([{"keyid": key.key_id().hex(), "sig": signature}]);
    serde_json::to_vec(&json!({"signed": signed, "signatures": signatures})).unwrap()
}

fn unsigned(role: &str, fields: Value) -> Vec<u8> {
    serde_json::to_vec(&json!({"signed": with_head(role, fields), "signatures": []})).unwrap()
}

fn with_head(role: &str, mut fields: Value) -> Value {
    let kind = if role == "delegated" { "targets" } else { role };
    let fields_of = fields.as_object_mut().unwrap();
    fields_of.insert("_type".to_owned(), kind.into());
    fields_of.insert("spec_version".to_owned(), "1.0.34".into());
    fields_of.entry("expires").or_insert_with(|| "2040-01-01T00:00:00Z".into());
    fields
}

/// The repository on loopback. Dropping it ends it.
pub struct TufServer {
    files: Files,
    url: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

impl TufServer {
    /// Serves what the repository says now.
    ///
    /// # Panics
    /// If loopback has no free port.
    pub fn start(repository: &TufRepository) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/tuf", listener.local_addr().unwrap());
        let files: Files = Arc::new(Mutex::new(repository.files()));
        let (end, ended) = oneshot::channel();
        let router = Router::new().route("/tuf/{*path}", get(file)).with_state(Arc::clone(&files));
        let thread = std::thread::spawn(move || services::serve([listener], router, ended));
        Self { files, url, end: Some(end), thread: Some(thread) }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Says something else from now on.
    pub fn publish(&self, repository: &TufRepository) {
        *locked(&self.files) = repository.files();
    }
}

impl std::fmt::Debug for TufServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TufServer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Drop for TufServer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn file(State(files): State<Files>, Path(path): Path<String>) -> Result<Vec<u8>, StatusCode> {
    locked(&files).get(&path).cloned().ok_or(StatusCode::NOT_FOUND)
}
