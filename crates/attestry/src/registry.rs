//! The registry client of a command: what flags and environment say about one registry.

use std::path::Path;

use anyhow::Context as _;
use attestry_core::{Reference, Repository};
use attestry_oci::address::AddressRule;
use attestry_oci::{
    Client, ClientOptions, Credentials, DockerConfig, HttpOptions, ProxyOptions, RegistryEntry, http_client,
};

use crate::cli::RegistryArgs;
use crate::environment::Environment;
use crate::exit::Failure;
use crate::files;

/// A file of certificates is far smaller than this.
const MAX_CA: u64 = 4 << 20;

/// Reads an image reference of the command line.
pub(crate) fn reference(text: &str) -> Result<Reference, Failure> {
    text.parse::<Reference>().map_err(|error| {
        let message =
            format!("{}: {:?}", attestry_core::ReasonCode::ReferenceMalformed, attestry_core::reason::clean(text, 200));
        Failure::from(anyhow::Error::from(error).context(message))
            .into_usage()
            .hint("write registry/repository[:tag][@sha256:digest]")
    })
}

/// A client that talks to the registry of `repository` with the credentials of its user.
pub(crate) fn client(
    args: &RegistryArgs,
    environment: &Environment,
    repository: &Repository,
) -> Result<Client, Failure> {
    let credentials = Credentials::Docker(DockerConfig::search(&environment.credentials)?);
    let mut options = ClientOptions::for_user(credentials.clone());
    options.ca = args.registry_ca.as_deref().map(|path| files::read(path, MAX_CA)).transpose()?;
    options.proxy = proxy(environment)?;
    for host in &args.insecure_registry {
        let host = attestry_core::reference::normal_host(host)
            .map_err(|error| Failure::usage(format!("--insecure-registry: {error}")))?;
        options.unlisted.plain_http.push(host);
    }
    // With an entry of its own the registry's client is built without what it does not need: reading the system's
    // certificates takes longer than a review over plain HTTP.
    options.registries.push(RegistryEntry {
        host: repository.host().to_owned(),
        private: true,
        ca: options.ca.clone(),
        plain_http: options.unlisted.plain_http.iter().any(|host| host == repository.host()),
        credentials,
        ..RegistryEntry::default()
    });
    Ok(Client::new(&options)?)
}

/// A client for the services of a Sigstore instance. The user names them, so they may be private.
pub(crate) fn services_client(ca: Option<&Path>, environment: &Environment) -> Result<reqwest::Client, Failure> {
    let ca = ca.map(|path| files::read(path, MAX_CA)).transpose()?;
    let options = HttpOptions {
        addresses: AddressRule::PrivateToo,
        system_roots: true,
        ca: ca.into_iter().collect(),
        proxy: proxy(environment)?,
    };
    Ok(http_client(&options)?)
}

fn proxy(environment: &Environment) -> Result<Option<ProxyOptions>, Failure> {
    let Some(https) = &environment.https_proxy else { return Ok(None) };
    // `proxy:3128` is common and would read as a scheme.
    let text = if https.contains("://") { https.clone() } else { format!("http://{https}") };
    let https =
        text.parse().with_context(|| format!("HTTPS_PROXY is no URL: {}", attestry_core::reason::clean(&text, 100)))?;
    Ok(Some(ProxyOptions { https, no_proxy: environment.no_proxy.clone() }))
}

/// Runs a command's requests to their end: one connection after another needs no second thread.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the asynchronous runtime")?.block_on(work)
}
