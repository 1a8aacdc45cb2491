//! The environment, read once at the start. Nobody reads it again.

use std::collections::BTreeMap;
use std::env;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use attestry_oci::CredentialPlaces;
use zeroize::Zeroizing;

/// Everything that attestry takes from its environment.
///
/// `SSL_CERT_FILE` is missing here because the library that finds the system's certificates reads it itself.
#[derive(Debug)]
pub(crate) struct Environment {
    /// `ATTESTRY_PASSWORD`, else `COSIGN_PASSWORD`. An empty one is a password too.
    pub(crate) password: Option<Zeroizing<Vec<u8>>>,
    /// Where to look for registry credentials: `DOCKER_CONFIG`, `REGISTRY_AUTH_FILE`, and the home and runtime
    /// directories in which they lie otherwise.
    pub(crate) credentials: CredentialPlaces,
    /// Where files that can be made again lie: `XDG_CACHE_HOME`, else `.cache` in the home directory.
    pub(crate) cache: Option<PathBuf>,
    /// `HTTPS_PROXY`.
    pub(crate) https_proxy: Option<String>,
    /// `NO_PROXY`, split at its commas.
    pub(crate) no_proxy: Vec<String>,
    /// The variables of a CI job that provenance is written from, and no others: tokens are never read.
    pub(crate) ci: BTreeMap<&'static str, String>,
    /// The variables by which a CI system gives a job its identity, for signing without a key.
    pub(crate) identity: BTreeMap<&'static str, Zeroizing<String>>,
    /// Whether `NO_COLOR` is set to anything.
    pub(crate) no_color: bool,
}

impl Environment {
    /// Reads the environment of this process.
    pub(crate) fn read() -> Self {
        let password = env::var_os("ATTESTRY_PASSWORD").or_else(|| env::var_os("COSIGN_PASSWORD"));
        let no_proxy = text("NO_PROXY").unwrap_or_default();
        Self {
            password: password.map(|password| Zeroizing::new(password.into_vec())),
            credentials: CredentialPlaces {
                registry_auth_file: path("REGISTRY_AUTH_FILE"),
                docker_config: path("DOCKER_CONFIG"),
                runtime_dir: path("XDG_RUNTIME_DIR"),
                home: path("HOME"),
            },
            // A relative one is to be ignored (XDG Base Directory Specification).
            cache: path("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .or_else(|| Some(path("HOME")?.join(".cache"))),
            https_proxy: text("HTTPS_PROXY"),
            no_proxy: no_proxy.split(',').map(|host| host.trim().to_owned()).filter(|host| !host.is_empty()).collect(),
            ci: attestry_sign::provenance::variables().filter_map(|name| Some((name, text(name)?))).collect(),
            identity: (attestry_sign::keyless::identity::VARIABLES.into_iter())
                .filter_map(|name| Some((name, Zeroizing::new(text(name)?))))
                .collect(),
            no_color: env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
        }
    }
}

fn path(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn text(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
