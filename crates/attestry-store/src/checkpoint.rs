//! The durable checkpoint: how far the log is known to be whole, signed for those who watch it.
//!
//! ```text
//! attestry-checkpoint v1 crc32c=<8 hex digits of the rest>
//! {"frontier": [hex…], "logId": hex, "note": signed note or null, "root": hex, "size": number}
//! ```
//!
//! The frontier lets a start hash only the records behind the checkpoint. The checksum of every frame is read at
//! each start all the same.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use attestry_core::{
    merkle::{Frontier, Hash},
    note::{Checkpoint, NoteSigner, UnverifiedNote},
};
use serde::{Deserialize, Serialize};

use crate::{
    LogId, StoreError,
    disk::{self, Disk},
};

/// The first words of the file. A later format has another number here.
const HEAD: &str = "attestry-checkpoint v1 crc32c=";

/// A checkpoint that is on the disk, over records that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableCheckpoint {
    /// How many records it covers: those below this index.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The signed note (C2SP tlog-checkpoint), where the log has a signer.
    pub note: Option<String>,
}

impl DurableCheckpoint {
    /// Whether it says what `signer` would say about `frontier` now.
    pub(crate) fn is_current(&self, frontier: &Frontier, signer: Option<&dyn NoteSigner>) -> bool {
        let signed_by = |signer: &dyn NoteSigner| {
            let note = UnverifiedNote::parse(self.note.as_deref()?.as_bytes()).ok()?;
            let ours = |line: &attestry_core::note::NoteSignature| {
                line.name == signer.name() && line.key_id == signer.key_id()
            };
            Some(note.signatures().iter().any(ours))
        };
        let signed = signer.is_none_or(|signer| signed_by(signer).unwrap_or(false));
        signed && self.size == frontier.size() && self.root == frontier.root()
    }
}

/// Signs and stores the checkpoint over `frontier`; it is durable when this returns.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    log_id: LogId,
    frontier: &Frontier,
    signer: Option<&dyn NoteSigner>,
) -> Result<DurableCheckpoint, StoreError> {
    let (size, root) = (frontier.size(), frontier.root());
    let sign = |signer: &dyn NoteSigner| Checkpoint { origin: signer.name().to_owned(), size, root }.sign(signer);
    let note = signer.map(sign).transpose()?.map(|note| note.to_string());
    let body = Body {
        size,
        root: hex::encode(root),
        frontier: frontier.hashes().iter().map(hex::encode).collect(),
        log_id: log_id.to_string(),
        note: note.clone(),
    };
    // Strings and numbers: serialising them into memory cannot fail.
    let body = serde_json::to_string(&body).expect("a checkpoint is plain JSON");
    let text = format!("{HEAD}{:08x}\n{body}\n", crc32c::crc32c(format!("{body}\n").as_bytes()));
    disk::replace(disk, &path(dir), &dir.join("checkpoint.tmp"), text.as_bytes())?;
    Ok(DurableCheckpoint { size, root, note })
}

/// What [`write`] stored last: the log it belongs to, its frontier, and itself. `None` before the first one.
pub(crate) fn read(dir: &Path) -> Result<Option<(LogId, Frontier, DurableCheckpoint)>, StoreError> {
    let path = path(dir);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(StoreError::DamagedCheckpoint { path, what: "it is not UTF-8" });
        }
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    match parse(&text) {
        Ok(stored) => Ok(Some(stored)),
        Err(what) => Err(StoreError::DamagedCheckpoint { path, what }),
    }
}

fn parse(text: &str) -> Result<(LogId, Frontier, DurableCheckpoint), &'static str> {
    let (head, body) = text.split_once('\n').ok_or("it is cut short")?;
    let crc = head.strip_prefix(HEAD).ok_or("it does not begin as a checkpoint of version 1")?;
    if crc != format!("{:08x}", crc32c::crc32c(body.as_bytes())) {
        return Err("it does not match its checksum");
    }
    let body: Body = serde_json::from_str(body).map_err(|_| "it has other fields than version 1")?;
    let hash = |text: &String| hex::decode(text).ok().and_then(|hash| Hash::try_from(hash).ok());
    let hashes: Option<Vec<Hash>> = body.frontier.iter().map(hash).collect();
    let frontier = hashes.and_then(|hashes| Frontier::from_parts(body.size, hashes).ok());
    let frontier = frontier.ok_or("its frontier does not fit its size")?;
    let root = frontier.root();
    if hash(&body.root) != Some(root) {
        return Err("its root differs from that of its frontier");
    }
    if let Some(note) = &body.note {
        let note = UnverifiedNote::parse(note.as_bytes()).map_err(|_| "its note is malformed")?;
        let signed = Checkpoint::from_text(note.unverified_text()).map_err(|_| "its note is no checkpoint")?;
        if (signed.size, signed.root) != (body.size, root) {
            return Err("its note speaks of another tree");
        }
    }
    let log_id = body.log_id.parse().map_err(|_| "its log id is malformed")?;
    Ok((log_id, frontier, DurableCheckpoint { size: body.size, root, note: body.note }))
}

fn path(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

/// The JSON of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    frontier: Vec<String>,
    log_id: String,
    note: Option<String>,
    root: String,
    size: u64,
}
