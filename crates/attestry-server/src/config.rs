//! The `Configuration` document: what was typed, then what it means, then nobody reads a file for it again.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use attestry_core::{API_VERSION, Digest, reference::normal_host};
use attestry_oci::{ClientOptions, Credentials, DockerConfig, Limits, ProxyOptions, RegistryEntry};
use attestry_policy::NoPolicy;
use attestry_store::Backend;
use serde::Deserialize;

/// How large the document may be.
const MAX_CONFIGURATION: usize = 1 << 20;
/// How large a certificate or credential file may be.
const MAX_FILE: u64 = 4 << 20;
/// A bundle that admission reads; the command line reads larger ones.
const ADMISSION_ATTACHMENT: u64 = 4 << 20;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not the document that it should be. The message names the place.
    #[error("{path} is no Configuration: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place and cause.
        message: String,
    },
    /// A field whose value is not allowed.
    #[error("{path}: {field}: {message}")]
    Field {
        /// The file.
        path: PathBuf,
        /// The field, such as `spec.listeners.api`.
        field: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// Registry entries that the client refuses.
    #[error("the registries of the configuration cannot be used")]
    Registries(#[from] attestry_oci::OciError),
}

/// What a configuration means.
#[derive(Debug)]
pub struct Configuration {
    /// Where admission reviews arrive.
    pub admission: Listener,
    /// Where the API listens.
    pub api: Listener,
    /// Who may use the API; empty on loopback means everybody there.
    pub tokens: Vec<Token>,
    /// Where health and metrics are.
    pub ops: Listener,
    /// Where the decision log lies.
    pub data_directory: PathBuf,
    /// Where policy documents are read.
    pub policy_directory: PathBuf,
    /// The index behind queries.
    pub backend: Backend,
    /// What happens to images that no policy matches.
    pub no_policy: NoPolicy,
    /// How registries are reached.
    pub registries: ClientOptions,
}

/// One listener.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Address and port.
    pub address: SocketAddr,
    /// Certificate and key, in PEM. Read again when they change.
    pub tls: Option<TlsFiles>,
}

/// Files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Chain, leaf first.
    pub certificate: PathBuf,
    /// PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
}

/// A bearer token, known by its hash alone.
#[derive(Debug, Clone)]
pub struct Token {
    /// Shown in logs.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: Digest,
    /// What it allows.
    pub roles: Vec<Role>,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Reading decisions.
    Reader,
    /// Asking for reviews.
    Reviewer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    #[serde(rename = "metadata")]
    _metadata: Metadata,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Metadata {
    #[serde(rename = "name")]
    _name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    listeners: Listeners,
    data_directory: PathBuf,
    policy_directory: PathBuf,
    #[serde(default)]
    index: IndexSpec,
    #[serde(default)]
    no_policy: NoPolicySpec,
    proxy: Option<ProxySpec>,
    #[serde(default)]
    registries: Vec<RegistrySpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listeners {
    admission: ListenerSpec,
    api: ApiSpec,
    ops: OpsSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListenerSpec {
    address: SocketAddr,
    tls: Option<TlsSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ApiSpec {
    address: SocketAddr,
    tls: Option<TlsSpec>,
    #[serde(default)]
    tokens: Vec<TokenSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OpsSpec {
    address: SocketAddr,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TlsSpec {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TokenSpec {
    name: String,
    sha256: String,
    roles: Vec<Role>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IndexSpec {
    #[serde(default)]
    backend: BackendSpec,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
enum BackendSpec {
    #[default]
    Redb,
    Sled,
}

#[derive(Deserialize, Default)]
enum NoPolicySpec {
    #[default]
    Deny,
    Allow,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProxySpec {
    https: String,
    #[serde(default)]
    no_proxy: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RegistrySpec {
    host: String,
    #[serde(default)]
    private: bool,
    ca: Option<PathBuf>,
    #[serde(default)]
    plain_http: bool,
    credentials: Option<CredentialsSpec>,
    #[serde(default)]
    token_realms: Vec<String>,
    #[serde(default)]
    blob_hosts: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CredentialsSpec {
    docker_config: PathBuf,
}

impl Configuration {
    /// Reads the document at `path` and the certificates and credentials that it names. Relative paths are relative
    /// to its folder.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = read_file(path)?;
        let syntax = |message: String| ConfigError::Syntax { path: path.to_owned(), message };
        let text = std::str::from_utf8(&bytes).map_err(|_| syntax("it is not UTF-8".to_owned()))?;
        if text.len() > MAX_CONFIGURATION {
            return Err(syntax(format!("it is larger than {MAX_CONFIGURATION} bytes")));
        }
        let document: Document = serde_saphyr::from_str(text).map_err(|error| syntax(error.to_string()))?;
        if document.api_version != API_VERSION || document.kind != "Configuration" {
            let message =
                format!("it says {} {}, not {API_VERSION} Configuration", document.api_version, document.kind);
            return Err(syntax(message));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        Reader { path, folder }.meaning(document.spec)
    }
}

/// Resolves what was typed: paths, files, hosts.
struct Reader<'a> {
    path: &'a Path,
    folder: &'a Path,
}

impl Reader<'_> {
    fn meaning(&self, spec: Spec) -> Result<Configuration, ConfigError> {
        let Listeners { admission, api, ops } = spec.listeners;
        let tokens = api.tokens.into_iter().map(|token| self.token(token)).collect::<Result<Vec<_>, _>>()?;
        let admission = self.listener(admission.address, admission.tls);
        let api = self.listener(api.address, api.tls);
        for (name, listener) in [("admission", &admission), ("api", &api)] {
            if listener.tls.is_none() && !listener.address.ip().is_loopback() {
                let message = "without tls it may listen on loopback only: add tls: {certificate, key}";
                return Err(self.field(&format!("spec.listeners.{name}"), message));
            }
        }
        if tokens.is_empty() && !api.address.ip().is_loopback() {
            let message = "without tokens it may listen on loopback only: add tokens: [{name, sha256, roles}]";
            return Err(self.field("spec.listeners.api", message));
        }
        let registries =
            spec.registries.into_iter().map(|registry| self.registry(registry)).collect::<Result<_, _>>()?;
        let mut options = ClientOptions::for_service(registries);
        options.limits = Limits { attachment: ADMISSION_ATTACHMENT, ..Limits::default() };
        if let Some(proxy) = spec.proxy {
            let https = proxy.https.parse().map_err(|_| self.field("spec.proxy.https", "it is no URL"))?;
            options.proxy = Some(ProxyOptions { https, no_proxy: proxy.no_proxy });
        }
        Ok(Configuration {
            admission,
            api,
            tokens,
            ops: Listener { address: ops.address, tls: None },
            data_directory: self.folder.join(spec.data_directory),
            policy_directory: self.folder.join(spec.policy_directory),
            backend: match spec.index.backend {
                BackendSpec::Redb => Backend::Redb,
                BackendSpec::Sled => Backend::Sled,
            },
            no_policy: match spec.no_policy {
                NoPolicySpec::Deny => NoPolicy::Deny,
                NoPolicySpec::Allow => NoPolicy::Allow,
            },
            registries: options,
        })
    }

    fn listener(&self, address: SocketAddr, tls: Option<TlsSpec>) -> Listener {
        let files =
            |tls: TlsSpec| TlsFiles { certificate: self.folder.join(tls.certificate), key: self.folder.join(tls.key) };
        Listener { address, tls: tls.map(files) }
    }

    fn token(&self, spec: TokenSpec) -> Result<Token, ConfigError> {
        let sha256 = Digest::from_hex(&spec.sha256).map_err(|_| {
            let message =
                format!("token {:?}: sha256 is the SHA-256 of the token in 64 lower-case hex digits", spec.name);
            self.field("spec.listeners.api.tokens", &message)
        })?;
        Ok(Token { name: spec.name, sha256, roles: spec.roles })
    }

    fn registry(&self, spec: RegistrySpec) -> Result<RegistryEntry, ConfigError> {
        let field = format!("spec.registries, host {:?}", spec.host);
        normal_host(&spec.host).map_err(|error| self.field(&field, &error.to_string()))?;
        let ca = spec.ca.map(|path| read_file(&self.folder.join(path))).transpose()?;
        let credentials = match spec.credentials {
            None => Credentials::Anonymous,
            Some(CredentialsSpec { docker_config }) => {
                Credentials::Docker(vec![DockerConfig::from_file(&self.folder.join(docker_config))?])
            }
        };
        Ok(RegistryEntry {
            host: spec.host,
            private: spec.private,
            ca,
            plain_http: spec.plain_http,
            credentials,
            token_realms: spec.token_realms,
            blob_hosts: spec.blob_hosts,
        })
    }

    fn field(&self, field: &str, message: &str) -> ConfigError {
        ConfigError::Field { path: self.path.to_owned(), field: field.to_owned(), message: message.to_owned() }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, ConfigError> {
    use std::io::Read as _;
    let failed = |source| ConfigError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "the file is larger than 4 MiB")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
