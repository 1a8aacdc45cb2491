//! The trusted root of an instance, from its TUF repository (The Update Framework, specification 1.0.34).
//!
//! The Sigstore project's client does the work: signatures by thresholds, versions that only grow, ends, lengths and
//! hashes. Ours are the requests, with their bounds, and what a failure means. A cache remembers the versions seen: a
//! mirror that shows older ones later is found out by it, so a cache that is there and cannot be used is an error, not a
//! beginning.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use attestry_core::trust_root::MAX_TRUSTED_ROOT;
use attestry_core::{Digest, Timestamp};
use reqwest::StatusCode;
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{FileStore, MetadataStore, Repository, Role as _, Updater, UpdaterConfig};
use tokio::time::Instant;
use url::Url;

use super::http::{Asking, Call, Patience, Service, ServiceFault};
use crate::Error;

/// The target that holds the trusted root.
const TARGET: &str = "trusted_root.json";
/// The repository of Sigstore's public instance.
pub const PUBLIC_GOOD_TUF: &str = "https://tuf-repo-cdn.sigstore.dev";
/// Its root metadata, version 16 (sigstore/root-signing, Apache-2.0): where trust in it begins. Later versions are
/// reached from this one.
pub const PUBLIC_GOOD_TUF_ROOT: &[u8] = include_bytes!("public_good_tuf_root.json");
/// How large root metadata may be.
pub const MAX_TUF_ROOT: usize = 512_000;

/// Where a trusted root comes from.
#[derive(Debug, Clone)]
pub struct TufSource {
    /// The repository: metadata lies there, targets in `targets/`.
    pub url: Url,
    /// Root metadata that came by a trusted way.
    pub root: Vec<u8>,
    /// A folder that remembers what was seen, a folder in it for each repository.
    pub cache: PathBuf,
}

impl TufSource {
    /// Where the versions of this repository are remembered.
    fn memory(&self) -> PathBuf {
        self.cache.join(Digest::of(self.url.as_str().trim_end_matches('/')).hex())
    }
}

/// A trusted root that the repository's keys vouch for.
#[derive(Debug)]
pub struct FetchedRoot {
    /// The `trusted_root.json`.
    pub json: Vec<u8>,
    /// When the first of the top-level metadata ends: a week from now at the public instance.
    pub expires: Timestamp,
    /// Whether nothing was remembered of this repository, so that an old version would have passed.
    pub first_seen: bool,
    /// Version of the repository's root metadata.
    pub root_version: u64,
    /// Others who follow the same repository wait until this is gone.
    _turn: File,
}

/// Why a TUF repository is of no use. The trusted root that was there before stays good until its own end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TufError {
    /// The newest metadata that it has are over: it is not kept up, or somebody holds newer ones back.
    #[error("the TUF repository's {role} metadata ended at {expires}")]
    Stale {
        /// `root`, `timestamp`, `snapshot`, `targets` or a delegated role.
        role: String,
        /// When.
        expires: Timestamp,
    },
    /// What trust is to begin with is no root metadata.
    #[error("the TUF root cannot be used")]
    Root(#[source] sigstore_tuf::Error),
    /// Something that must be there is not, or more root versions than are read at once.
    #[error("the TUF repository is incomplete: {0}")]
    Incomplete(String),
    /// Older than what was seen, without the signatures it needs, or not what its metadata say.
    #[error("the TUF repository is not to be trusted")]
    Refused(#[source] sigstore_tuf::Error),
    /// Without a memory of versions a rollback would pass.
    #[error("the TUF cache {} cannot be used: {problem}", path.display())]
    Cache {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        problem: String,
    },
}

/// Fetches the newest trusted root.
///
/// The client decides about certificates, addresses and proxies; it must not follow redirects.
pub async fn fetch_trusted_root(
    http: &reqwest::Client,
    source: &TufSource,
    patience: Patience,
    now: Timestamp,
) -> Result<FetchedRoot, Error> {
    let memory = source.memory();
    let unusable = |problem: String| TufError::Cache { path: memory.clone(), problem };
    let turn = turn(&memory).map_err(|error| unusable(error.to_string()))?;
    let first_seen = remembered(&memory).map_err(unusable)?;
    let until = Instant::now() + patience.total;
    let repository = HttpRepository { http: http.clone(), base: source.url.clone(), patience, until };
    let store = Store { files: FileStore::new(&memory), problem: Arc::default() };
    let problem = Arc::clone(&store.problem);
    let mut config = UpdaterConfig::default();
    config.root_max_length = MAX_TUF_ROOT as u64;
    config.target_max_length = MAX_TRUSTED_ROOT as u64;
    let updater = Updater::new(repository, &source.root).map_err(TufError::Root)?;
    let fetch = async {
        let mut updater = updater.with_config(config).with_store(store);
        updater.refresh(now).await?;
        let json = updater.get_target(TARGET, now).await?;
        let trusted = updater.trusted();
        let roles = [
            Some(trusted.root().expires()),
            trusted.timestamp().map(|role| role.expires()),
            trusted.snapshot().map(|role| role.expires()),
            trusted.targets_role("targets").map(|role| role.expires()),
        ];
        let expires = roles.into_iter().flatten().min().unwrap_or(now);
        Ok(FetchedRoot { json, expires, first_seen, root_version: trusted.root().version, _turn: turn })
    };
    let fetched = fetch.await.map_err(error)?;
    match problem.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(problem) => Err(unusable(problem).into()),
        None => Ok(fetched),
    }
}

/// Waits for others who follow the same repository: of two that write, the slower could put back what is older.
fn turn(memory: &Path) -> std::io::Result<File> {
    fs::create_dir_all(memory)?;
    let file = File::options().create(true).append(true).open(memory.join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Whether nothing is remembered. What is there must be readable: the client takes a damaged file for none.
fn remembered(memory: &Path) -> Result<bool, String> {
    let mut first = true;
    for role in ["root", "timestamp", "snapshot", "targets"] {
        let name = format!("{role}.json");
        let bytes = match fs::read(memory.join(&name)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{name}: {error}")),
        };
        first = false;
        let signed: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
        if signed.as_ref().and_then(|signed| signed.get("signed")?.get("_type")?.as_str()) != Some(role) {
            return Err(format!("{name} is damaged; without it an older version would pass"));
        }
    }
    Ok(first)
}

/// What the client's errors mean.
fn error(error: sigstore_tuf::Error) -> Error {
    use sigstore_tuf::Error as Tuf;
    match error {
        Tuf::Expired { role, expires } => TufError::Stale { role, expires }.into(),
        // Our own requests come back in a box.
        Tuf::Transport { message, source: Some(source) } => match source.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(source) => TufError::Refused(Tuf::Transport { message, source: Some(source) }).into(),
        },
        Tuf::Transport { message, source: None } => TufError::Incomplete(message).into(),
        other => TufError::Refused(other).into(),
    }
}

/// The client's files, with the first thing that went wrong: the client itself goes on without them.
struct Store {
    files: FileStore,
    problem: Arc<Mutex<Option<String>>>,
}

impl Store {
    fn noted<T>(&self, done: sigstore_tuf::Result<T>) -> sigstore_tuf::Result<T> {
        if let Err(error) = &done {
            let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
            problem.get_or_insert_with(|| format!("{error}{cause}"));
        }
        done
    }
}

impl MetadataStore for Store {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        self.noted(self.files.load(name))
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        self.noted(self.files.store(name, bytes))
    }
}

/// The repository over HTTP.
struct HttpRepository {
    http: reqwest::Client,
    base: Url,
    patience: Patience,
    until: Instant,
}

impl HttpRepository {
    async fn get(&self, folder: &str, name: &str, limit: u64) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        // Parts of names come from metadata: none may lead to another place (attack 18).
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-%~".contains(&byte);
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
            let name = attestry_core::reason::clean(name, 100);
            return Err(sigstore_tuf::Error::Malformed(format!("{name:?} is no name of a file")));
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{folder}{name}", self.base.path().trim_end_matches('/')));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let service = Service::TufRepository;
        let call = Call { service, url, body: None, accept: "*/*", bearer: None, limit, also: None };
        match Asking::until(&self.http, &self.patience, self.until).ask(&call).await {
            Ok(answer) => Ok(Some(answer.body.to_vec())),
            // Object stores say 403 of what is not there, and the root after the last never is.
            Err(Error::Service { fault: ServiceFault::Refused { status, .. }, .. })
                if status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN =>
            {
                Ok(None)
            }
            Err(error) => Err(sigstore_tuf::Error::transport_with_source("a request failed", error)),
        }
    }
}

impl Repository for HttpRepository {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get("", name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get("targets/", path, max_length))
    }
}
