//! Who we are at a registry: given outright, or found in Docker's and Podman's files and their helpers.
//!
//! The environment is not read here: the edge passes the places to look at.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use attestry_core::{
    Repository,
    reference::{DOCKER_HUB, normal_host},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    sync::Mutex,
    time::Instant,
};

use crate::error::{Fault, OciError};

/// Who we are at a registry.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Nobody.
    #[default]
    Anonymous,
    /// A user name and password.
    Basic {
        /// The user.
        username: String,
        /// The password or access token.
        password: String,
    },
    /// A refresh token, which a token service turns into access tokens.
    IdentityToken(String),
    /// A token that is sent to the registry as it is.
    RegistryToken(String),
    /// Whatever these files say about the registry; the first that knows it decides.
    Docker(Vec<DockerConfig>),
}

impl fmt::Debug for Credentials {
    /// Shows the kind and never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic",
            Self::IdentityToken(_) => "IdentityToken",
            Self::RegistryToken(_) => "RegistryToken",
            Self::Docker(_) => "Docker",
        })
    }
}

/// What is known for one repository, after files and helpers were asked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Nobody,
    Basic { username: String, password: String },
    Identity(String),
    Registry(String),
}

impl Credentials {
    pub(crate) async fn secret(&self, repository: &Repository) -> Result<Secret, Fault> {
        Ok(match self {
            Self::Anonymous => Secret::Nobody,
            Self::Basic { username, password } => {
                Secret::Basic { username: username.clone(), password: password.clone() }
            }
            Self::IdentityToken(token) => Secret::Identity(token.clone()),
            Self::RegistryToken(token) => Secret::Registry(token.clone()),
            Self::Docker(configs) => {
                for config in configs {
                    if let Some(secret) = config.secret(repository).await? {
                        return Ok(secret);
                    }
                }
                Secret::Nobody
            }
        })
    }
}

/// Where to look for files with credentials, as the environment names them.
#[derive(Debug, Clone, Default)]
pub struct CredentialPlaces {
    /// `REGISTRY_AUTH_FILE`: a file.
    pub registry_auth_file: Option<PathBuf>,
    /// `DOCKER_CONFIG`: a folder that holds `config.json`; without it `HOME/.docker`.
    pub docker_config: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, in which Podman keeps `containers/auth.json`.
    pub runtime_dir: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
}

/// One file in the format of Docker's `config.json`, which Podman's `auth.json` and Kubernetes'
/// `.dockerconfigjson` share.
#[derive(Clone)]
pub struct DockerConfig {
    auths: BTreeMap<String, Secret>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
    asked: Arc<Mutex<BTreeMap<String, Asked>>>,
}

/// When a helper was asked, and its answer.
type Asked = (Instant, Option<Secret>);

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig").field("auths", &self.auths.len()).finish_non_exhaustive()
    }
}

const MAX_CONFIG: u64 = 1 << 20;
const MAX_HELPER_OUTPUT: u64 = 64 << 10;
const HELPER_TIME: Duration = Duration::from_secs(10);
/// How long the answer of a helper is used; cloud helpers give passwords that live for hours.
const HELPER_FRESH: Duration = Duration::from_secs(300);

impl DockerConfig {
    /// The files that exist, in the order in which they are asked: what `REGISTRY_AUTH_FILE` names, Docker's,
    /// then Podman's.
    pub fn search(places: &CredentialPlaces) -> Result<Vec<Self>, OciError> {
        let home = |path: &str| places.home.as_ref().map(|home| home.join(path));
        let docker = places.docker_config.clone().or_else(|| home(".docker")).map(|folder| folder.join("config.json"));
        let runtime = places.runtime_dir.as_ref().map(|folder| folder.join("containers/auth.json"));
        let files = [places.registry_auth_file.clone(), docker, runtime, home(".config/containers/auth.json")];
        let mut found = Vec::new();
        for path in files.into_iter().flatten() {
            match Self::from_file(&path) {
                Ok(config) => found.push(config),
                Err(OciError::CredentialFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Reads one file of at most 1 MiB.
    pub fn from_file(path: &Path) -> Result<Self, OciError> {
        let failed = |source| OciError::CredentialFile { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_CONFIG {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 1 MiB")));
        }
        Self::from_json(&bytes)
    }

    /// Reads the text of such a file.
    pub fn from_json(bytes: &[u8]) -> Result<Self, OciError> {
        let wire: ConfigWire = serde_json::from_slice(bytes).map_err(OciError::CredentialFormat)?;
        let mut auths = BTreeMap::new();
        for (key, auth) in wire.auths {
            if let (Some(key), Some(secret)) = (normal_key(&key), auth.secret()) {
                auths.insert(key, secret);
            }
        }
        let helpers =
            (wire.cred_helpers.into_iter()).filter_map(|(key, helper)| Some((normal_key(&key)?, helper))).collect();
        let store = wire.creds_store.filter(|store| !store.is_empty());
        Ok(Self { auths, helpers, store, asked: Arc::default() })
    }

    /// A helper of this very registry beats the general store, which beats what the file itself says.
    async fn secret(&self, repository: &Repository) -> Result<Option<Secret>, Fault> {
        if let Some(helper) = self.helpers.get(repository.host()).or(self.store.as_ref())
            && let Some(secret) = self.ask_once(helper, repository.host()).await?
        {
            return Ok(Some(secret));
        }
        // Podman's keys may name a repository or a part of its path: the longest wins.
        let mut key = format!("{}/{}", repository.host(), repository.path());
        loop {
            if let Some(secret) = self.auths.get(&key) {
                return Ok(Some(secret.clone()));
            }
            match key.rfind('/') {
                Some(at) => key.truncate(at),
                None => return Ok(None),
            }
        }
    }

    /// Asks a helper at most once in five minutes for a host, and never twice at the same time.
    async fn ask_once(&self, helper: &str, host: &str) -> Result<Option<Secret>, Fault> {
        let mut asked = self.asked.lock().await;
        if let Some((when, secret)) = asked.get(host)
            && when.elapsed() < HELPER_FRESH
        {
            return Ok(secret.clone());
        }
        let secret = ask_helper(helper, host).await?;
        asked.insert(host.to_owned(), (Instant::now(), secret.clone()));
        Ok(secret)
    }
}

/// Runs `docker-credential-NAME get`. A failure is a fault and not "anonymous": a wrong identity would otherwise
/// look like a missing permission.
async fn ask_helper(helper: &str, host: &str) -> Result<Option<Secret>, Fault> {
    if helper.is_empty() || !helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(Fault::denied("the name of the credential helper in config.json is no plain name"));
    }
    ask_program(&format!("docker-credential-{helper}"), host).await
}

async fn ask_program(program: &str, host: &str) -> Result<Option<Secret>, Fault> {
    let failed = |what: &str| Fault::denied(format!("the credential helper {program} {what}"));
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(&format!("cannot be started: {error}")))?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed("has no input or output"));
    };
    let server = if host == DOCKER_HUB { HUB_KEY } else { host };
    let talk = async {
        // A helper that does not read its input has answered without it; what it prints decides.
        let _ = stdin.write_all(server.as_bytes()).await;
        drop(stdin);
        let mut output = Vec::new();
        stdout.take(MAX_HELPER_OUTPUT).read_to_end(&mut output).await?;
        io::Result::Ok((output, child.wait().await?))
    };
    let (output, status) = tokio::time::timeout(HELPER_TIME, talk)
        .await
        .map_err(|_| failed("did not answer in ten seconds"))?
        .map_err(|error| failed(&format!("cannot be talked to: {error}")))?;
    if !status.success() {
        // The one failure that the protocol defines.
        if String::from_utf8_lossy(&output).contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed("failed"));
    }
    let answer: HelperWire = serde_json::from_slice(&output).map_err(|_| failed("answered with something else"))?;
    Ok(match (answer.username.as_str(), answer.secret) {
        ("", secret) if secret.is_empty() => None,
        ("<token>", secret) => Some(Secret::Identity(secret)),
        (_, password) => Some(Secret::Basic { username: answer.username, password }),
    })
}

/// The key under which Docker keeps its own registry.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// `https://host/v1/`, `host:443`, `host/path`: one form, `host[:port][/path]`.
fn normal_key(key: &str) -> Option<String> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (host, path) = key.trim_end_matches('/').split_once('/').unwrap_or((key.trim_end_matches('/'), ""));
    let host = normal_host(host).ok()?;
    Some(if matches!(path, "" | "v1" | "v2") { host } else { format!("{host}/{path}") })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigWire {
    #[serde(default)]
    auths: BTreeMap<String, AuthWire>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthWire {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl AuthWire {
    /// `None` for the empty entries that Docker leaves where a store holds the secret.
    fn secret(self) -> Option<Secret> {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(token) = some(self.registrytoken) {
            return Some(Secret::Registry(token));
        }
        if let Some(token) = some(self.identitytoken) {
            return Some(Secret::Identity(token));
        }
        if let (Some(username), Some(password)) = (some(self.username), some(self.password)) {
            return Some(Secret::Basic { username, password });
        }
        let decoded = BASE64.decode(some(self.auth)?).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (username, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Secret::Basic { username: username.to_owned(), password: password.to_owned() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperWire {
    username: String,
    secret: String,
}

#[cfg(test)]
mod tests;
