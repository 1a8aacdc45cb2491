//! One registry as the configuration sees it: its origin, who may be trusted beside it, and which HTTP client
//! may talk to which URL on its behalf.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use attestry_core::{
    Repository,
    reference::{DOCKER_HUB, normal_host},
};
use url::{Host, Url};

use crate::{
    address::AddressRule,
    credentials::Credentials,
    error::{Fault, OciError},
    http::{HttpOptions, ProxyOptions, check_literal, http_client},
    limits::Limits,
};

/// What an administrator says about one registry.
#[derive(Debug, Clone, Default)]
pub struct RegistryEntry {
    /// Host with optional port, in any spelling.
    pub host: String,
    /// Whether it may have a private or loopback address.
    pub private: bool,
    /// Certificate authorities of this registry, as PEM, beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// Whether it speaks plain HTTP.
    pub plain_http: bool,
    /// Who we are there.
    pub credentials: Credentials,
    /// Token services beside the registry's own origin that may see the credentials: hosts, or https URLs.
    pub token_realms: Vec<String>,
    /// Hosts to which the registry may send us for content although they are private.
    pub blob_hosts: Vec<String>,
}

/// What holds for registries without an entry.
#[derive(Debug, Clone, Default)]
pub struct Unlisted {
    /// Whether they may have private or loopback addresses and other ports than 443.
    pub private: bool,
    /// Hosts that speak plain HTTP. Loopback hosts do without being named.
    pub plain_http: Vec<String>,
    /// Who we are there.
    pub credentials: Credentials,
}

/// Everything that a [`crate::Client`] is built from.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Registries with an entry.
    pub registries: Vec<RegistryEntry>,
    /// Every other registry.
    pub unlisted: Unlisted,
    /// Certificate authorities for all registries, as PEM, beside those of the system.
    pub ca: Option<Vec<u8>>,
    /// A proxy for https.
    pub proxy: Option<ProxyOptions>,
    /// Sizes, counts and times.
    pub limits: Limits,
}

impl ClientOptions {
    /// For a person at a command line, who may reach what the machine reaches.
    pub fn for_user(credentials: Credentials) -> Self {
        let unlisted = Unlisted { private: true, plain_http: Vec::new(), credentials };
        Self { unlisted, ..Self::default() }
    }

    /// For a service, which is asked about images by strangers: without an entry a registry is public, on port
    /// 443 and gets no credentials.
    pub fn for_service(registries: Vec<RegistryEntry>) -> Self {
        Self { registries, ..Self::default() }
    }
}

/// All registries of one client.
#[derive(Debug)]
pub(crate) struct Registries {
    listed: HashMap<String, Arc<Registry>>,
    unlisted: Unlisted,
    /// Plain-HTTP hosts in normal form.
    plain: Arc<[String]>,
    elsewhere: Arc<LazyHttp>,
    /// For registries without an entry that speak plain HTTP.
    without_tls: Arc<LazyHttp>,
}

/// One registry, ready to be talked to.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Its name in references, in normal form.
    pub(crate) host: String,
    /// Scheme, host and port of its API.
    pub(crate) origin: Url,
    pub(crate) credentials: Credentials,
    http: Arc<LazyHttp>,
    elsewhere: Arc<LazyHttp>,
    token_realms: Vec<Url>,
    blob_hosts: Vec<String>,
    plain: Arc<[String]>,
    loopback_allowed: bool,
}

/// How far a token service is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RealmTrust {
    /// It may see the registry's credentials.
    Credentials,
    /// It is asked without credentials.
    Anonymous,
}

/// Public registries whose token service is another origin, as their documentation says.
const KNOWN_REALMS: [(&str, &str); 3] = [
    (DOCKER_HUB, "https://auth.docker.io"),
    ("registry.gitlab.com", "https://gitlab.com"),
    ("docker.elastic.co", "https://docker-auth.elastic.co"),
];

impl Registries {
    pub(crate) fn new(options: &ClientOptions) -> Result<Self, OciError> {
        let common_ca: Vec<Vec<u8>> = options.ca.iter().cloned().collect();
        let http = |private: bool, plain: bool, ca: &Option<Vec<u8>>| {
            Arc::new(LazyHttp::new(HttpOptions {
                addresses: if private { AddressRule::PrivateToo } else { AddressRule::Public },
                // Plain HTTP needs no roots, and reading those of the system takes longer than a whole review.
                system_roots: !plain,
                ca: common_ca.iter().chain(ca).cloned().collect(),
                proxy: options.proxy.clone(),
            }))
        };
        let unlisted = &options.unlisted;
        let plain: Arc<[String]> = unlisted.plain_http.iter().map(|host| read_host(host)).collect::<Result<_, _>>()?;
        let elsewhere = http(unlisted.private, false, &None);
        let without_tls = http(unlisted.private, true, &None);
        let mut listed = HashMap::new();
        for entry in &options.registries {
            let host = read_host(&entry.host)?;
            let plain_http = entry.plain_http || (is_loopback(&host) && entry.ca.is_none());
            let needs_no_roots = plain_http && entry.token_realms.is_empty() && entry.blob_hosts.is_empty();
            let registry = Registry {
                origin: origin_of(&host, plain_http)?,
                credentials: entry.credentials.clone(),
                http: http(entry.private, needs_no_roots, &entry.ca),
                elsewhere: Arc::clone(&elsewhere),
                token_realms: entry.token_realms.iter().map(|realm| read_realm(realm)).collect::<Result<_, _>>()?,
                blob_hosts: entry.blob_hosts.iter().map(|host| read_host(host)).collect::<Result<_, _>>()?,
                plain: Arc::clone(&plain),
                loopback_allowed: unlisted.private,
                host: host.clone(),
            };
            registry.http.check()?;
            if listed.insert(host.clone(), Arc::new(registry)).is_some() {
                return Err(OciError::TwoEntries(host));
            }
        }
        elsewhere.check()?;
        Ok(Self { listed, unlisted: unlisted.clone(), plain, elsewhere, without_tls })
    }

    /// The registry of a repository, or why it may not be talked to.
    pub(crate) fn of(&self, repository: &Repository) -> Result<Arc<Registry>, Fault> {
        let host = repository.host();
        if let Some(registry) = self.listed.get(host) {
            return Ok(Arc::clone(registry));
        }
        let has_port = origin_of(host, false).is_ok_and(|url| url.port().is_some());
        if has_port && !self.unlisted.private {
            // Otherwise an image reference would be a port scanner (attack 48).
            return Err(Fault::not_allowed(format!("{host} has no entry, and without one only port 443 is allowed")));
        }
        let plain_http = self.plain.iter().any(|plain| plain == host) || (is_loopback(host) && self.unlisted.private);
        let origin = origin_of(host, plain_http)
            .map_err(|_| Fault::not_allowed(format!("{host} cannot be written as a URL")))?;
        Ok(Arc::new(Registry {
            host: host.to_owned(),
            origin,
            credentials: self.unlisted.credentials.clone(),
            http: Arc::clone(if plain_http { &self.without_tls } else { &self.elsewhere }),
            elsewhere: Arc::clone(&self.elsewhere),
            token_realms: Vec::new(),
            blob_hosts: Vec::new(),
            plain: Arc::clone(&self.plain),
            loopback_allowed: self.unlisted.private,
        }))
    }
}

impl Registry {
    /// The URL of an API path below `/v2/`. Paths are made of checked repository names, tags and digests.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.origin.clone();
        url.set_path(&format!("/v2/{path}"));
        url
    }

    pub(crate) fn is_same_origin(&self, url: &Url) -> bool {
        url.origin() == self.origin.origin()
    }

    /// The client that may talk to `url` for this registry, or why none may (attacks 47 and 48).
    pub(crate) fn route(&self, url: &Url) -> Result<&reqwest::Client, Fault> {
        if self.is_same_origin(url) {
            return self.http.client(url);
        }
        let authority = authority(url)?;
        let named = self.blob_hosts.contains(&authority);
        let plain_ok = self.is_plain() && (named || self.speaks_plain_http(&authority));
        match url.scheme() {
            "https" if named => self.http.client(url),
            "https" => self.elsewhere.client(url),
            "http" if plain_ok && named => self.http.client(url),
            "http" if plain_ok => self.elsewhere.client(url),
            scheme => Err(Fault::not_allowed(format!("{} sends us to {scheme}://{authority}", self.host))),
        }
    }

    /// The client for a token service and whether it may see credentials.
    ///
    /// A registry names its token service itself, so it could name any (attacks 46 and 92): only its own origin,
    /// the known pairs and what the configuration lists get credentials.
    pub(crate) fn realm(&self, realm: &Url) -> Result<(&reqwest::Client, RealmTrust), Fault> {
        if self.is_same_origin(realm) {
            return Ok((self.http.client(realm)?, RealmTrust::Credentials));
        }
        if self.token_realms.iter().any(|known| known.origin() == realm.origin()) {
            return Ok((self.http.client(realm)?, RealmTrust::Credentials));
        }
        let authority = authority(realm)?;
        let plain_ok = self.is_plain() && self.speaks_plain_http(&authority);
        if realm.scheme() != "https" && !plain_ok {
            return Err(Fault::denied(format!(
                "{} names the token service {authority}, which is not https",
                self.host
            )));
        }
        let known = |(host, origin): &(&str, &str)| {
            *host == self.host && Url::parse(origin).is_ok_and(|known| known.origin() == realm.origin())
        };
        let trust = if KNOWN_REALMS.iter().any(known) { RealmTrust::Credentials } else { RealmTrust::Anonymous };
        let client = self.elsewhere.client(realm).map_err(|fault| Fault::denied(fault.detail))?;
        Ok((client, trust))
    }

    fn is_plain(&self) -> bool {
        self.origin.scheme() == "http"
    }

    fn speaks_plain_http(&self, authority: &str) -> bool {
        self.plain.iter().any(|plain| plain == authority) || (is_loopback(authority) && self.loopback_allowed)
    }
}

/// An HTTP client that is built when it is first used.
#[derive(Debug)]
pub(crate) struct LazyHttp {
    options: HttpOptions,
    client: OnceLock<Result<reqwest::Client, String>>,
}

impl LazyHttp {
    fn new(options: HttpOptions) -> Self {
        Self { options, client: OnceLock::new() }
    }

    /// Finds mistakes in the options at once, without reading the system's certificates.
    fn check(&self) -> Result<(), OciError> {
        if self.options.ca.is_empty() && self.options.proxy.is_none() {
            return Ok(());
        }
        http_client(&HttpOptions { system_roots: false, ..self.options.clone() }).map(drop)
    }

    fn client(&self, url: &Url) -> Result<&reqwest::Client, Fault> {
        let host = url.host_str().unwrap_or_default();
        check_literal(url, self.options.addresses)
            .map_err(|refused| Fault::not_allowed(format!("{host}: {refused}")))?;
        let built = self.client.get_or_init(|| http_client(&self.options).map_err(|error| error.to_string()));
        built.as_ref().map_err(Fault::not_allowed)
    }
}

/// Host and port of a URL as configuration writes them.
pub(crate) fn authority(url: &Url) -> Result<String, Fault> {
    let host = url.host_str().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Fault::not_allowed("a registry sends us to a URL with user information"));
    }
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    normal_host(&text).map_err(|_| Fault::not_allowed("a registry sends us to a URL without a readable host"))
}

fn read_host(host: &str) -> Result<String, OciError> {
    normal_host(host).map_err(|source| OciError::Host { host: host.to_owned(), source })
}

fn read_realm(text: &str) -> Result<Url, OciError> {
    let bad = || OciError::TokenRealm(text.to_owned());
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&url).map_err(|_| bad())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(bad());
    }
    Ok(url)
}

/// Docker Hub's name in references is not the host of its API.
fn origin_of(host: &str, plain_http: bool) -> Result<Url, OciError> {
    let api = if host == DOCKER_HUB { "registry-1.docker.io" } else { host };
    let scheme = if plain_http { "http" } else { "https" };
    let source = attestry_core::reference::ReferenceError::Host(host.to_owned());
    Url::parse(&format!("{scheme}://{api}/")).map_err(|_| OciError::Host { host: host.to_owned(), source })
}

/// Whether a host is the machine itself: `localhost`, 127/8 or `::1`, with any port.
fn is_loopback(host: &str) -> bool {
    match Url::parse(&format!("http://{host}/")).as_ref().map(Url::host) {
        Ok(Some(Host::Domain(name))) => name == "localhost",
        Ok(Some(Host::Ipv4(address))) => address.is_loopback(),
        Ok(Some(Host::Ipv6(address))) => address.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
