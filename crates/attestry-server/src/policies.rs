//! The policy directory: loaded whole or not at all, read again when it changes, remembered across restarts.
//!
//! A set that cannot be loaded, or that lacks a revocation seen before, is refused; the last good one stays in force
//! and the problem is a condition on `/readyz`, in the log and in a metric.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use attestry_core::{Digest, Reason, ReasonCode};
use attestry_policy::{PolicySet, SourceFile};

use crate::ServerError;

/// Files of one directory, bytes of one file and of all.
const MAX_FILES: usize = 1000;
const MAX_FILE: u64 = 8 << 20;
const MAX_BYTES: u64 = 64 << 20;

/// The policy set in force, and what is wrong with the directory.
#[derive(Debug)]
pub(crate) struct Policies {
    directory: PathBuf,
    /// The last good set, in the data directory.
    kept: PathBuf,
    /// Ids of every revocation entry ever seen, in the data directory.
    revocations: PathBuf,
    current: ArcSwapOption<PolicySet>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Digest of the directory's content when it was last looked at.
    seen: Option<Digest>,
    problem: Option<Reason>,
    revocations: BTreeSet<Digest>,
}

/// What a look at the directory came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing changed.
    Same,
    /// A new set is in force.
    Loaded(Digest),
    /// The change was refused.
    Refused(Reason),
}

impl Policies {
    /// Remembers where things are; nothing is loaded yet but what the data directory keeps.
    ///
    /// Revocations that cannot be read are an error: to forget them would let a rolled-back directory in (attack 83).
    pub(crate) fn open(directory: &Path, data: &Path) -> Result<Self, ServerError> {
        let kept = data.join("policy-set.json");
        let revocations = data.join("revocations.json");
        let failed = |source| ServerError::Revocations { path: revocations.clone(), source };
        let seen = match fs::read(&revocations) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(failed(error)),
        };
        let last = fs::read(&kept).ok().and_then(|bytes| {
            let set = PolicySet::from_bytes(&bytes);
            set.inspect_err(|error| tracing::warn!(%error, "the policy set that was kept cannot be used")).ok()
        });
        Ok(Self {
            directory: directory.to_owned(),
            kept,
            revocations,
            current: ArcSwapOption::from_pointee(last),
            state: Mutex::new(State { revocations: seen, ..State::default() }),
        })
    }

    /// The set in force.
    pub(crate) fn current(&self) -> Option<Arc<PolicySet>> {
        self.current.load_full()
    }

    /// What is wrong with the directory at present.
    pub(crate) fn problem(&self) -> Option<Reason> {
        self.lock().problem.clone()
    }

    /// Looks whether the directory changed and loads it if so. Blocking, and deep: for the verification pool.
    pub(crate) fn look(&self) -> Look {
        let files = match read_directory(&self.directory) {
            Ok(files) => files,
            Err(message) => return self.refuse(None, Reason::new(ReasonCode::RequestMalformed, message)),
        };
        let seen = content(&files);
        if self.lock().seen == Some(seen) {
            return Look::Same;
        }
        // Kubernetes exchanges a mounted directory at one moment, which may be between two of the files just read.
        if read_directory(&self.directory).is_ok_and(|again| content(&again) != seen) {
            return Look::Same;
        }
        let set = match PolicySet::load(&files) {
            Ok(set) => set,
            Err(errors) => {
                let first = errors.problems().first().map(ToString::to_string).unwrap_or_default();
                let more = errors.problems().len().saturating_sub(1) + errors.more();
                let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
                return self.refuse(Some(seen), Reason::new(ReasonCode::RequestMalformed, format!("{first}{more}")));
            }
        };
        if set.policies().is_empty() {
            // A wrong mount must not take every demand away.
            let message = format!("the policy directory {} holds no ImagePolicy", self.directory.display());
            return self.refuse(Some(seen), Reason::new(ReasonCode::RequestMalformed, message));
        }
        let ids: BTreeSet<Digest> = set.revocations().iter().map(|revocation| revocation.id).collect();
        let lost = self.lock().revocations.difference(&ids).next().copied();
        if let Some(lost) = lost {
            let message = format!("the policy set lacks the revocation {lost}, which was in force before");
            return self.refuse(Some(seen), Reason::new(ReasonCode::PolicyRollback, message));
        }
        // Kept before it is in force: what was decided under it must survive a restart.
        let stored = serde_json::to_vec(&ids).map_err(std::io::Error::from);
        let stored =
            stored.and_then(|ids| write(&self.revocations, &ids)).and_then(|()| write(&self.kept, set.to_bytes()));
        if let Err(error) = stored {
            let message = format!("the policy set cannot be kept in the data directory: {error}");
            return self.refuse(None, Reason::new(ReasonCode::RecordFailed, message));
        }
        let digest = set.digest();
        let mut state = self.lock();
        state.seen = Some(seen);
        state.problem = None;
        state.revocations = ids;
        self.current.store(Some(Arc::new(set)));
        Look::Loaded(digest)
    }

    fn refuse(&self, seen: Option<Digest>, reason: Reason) -> Look {
        let mut state = self.lock();
        state.seen = seen;
        if state.problem.as_ref() == Some(&reason) {
            return Look::Same;
        }
        state.problem = Some(reason.clone());
        Look::Refused(reason)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of a policy directory, ordered by name, as Kubernetes mounts a ConfigMap: links are followed, names that
/// begin with a dot and directories are skipped. Public so that the command line reads the same files.
pub fn read_directory(directory: &Path) -> Result<Vec<SourceFile>, String> {
    let failed = |error: std::io::Error| format!("cannot read the policy directory {}: {error}", directory.display());
    let mut files = Vec::new();
    let mut total = 0;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let wanted = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if !wanted || !fs::metadata(entry.path()).map_err(failed)?.is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        let file = fs::File::open(entry.path()).map_err(failed)?;
        total += file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)? as u64;
        if bytes.len() as u64 > MAX_FILE {
            return Err(format!("{} is larger than {} MiB", entry.path().display(), MAX_FILE >> 20));
        }
        if total > MAX_BYTES || files.len() == MAX_FILES {
            let limits = format!("{MAX_FILES} files and {} MiB in all", MAX_BYTES >> 20);
            return Err(format!("the policy directory {} holds more than {limits}", directory.display()));
        }
        files.push(SourceFile::new(name, bytes));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// The digest of names and contents, each framed by its length.
fn content(files: &[SourceFile]) -> Digest {
    let mut all = Vec::new();
    for file in files {
        for part in [file.name.as_bytes(), &file.bytes] {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part);
        }
    }
    Digest::of(all)
}

/// Writes beside the final place and moves there, so that a crash leaves the old file or the new one.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::File::create(&beside)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
