//! The one function that builds HTTP clients.
//!
//! Trust, addresses and redirects are decided here, so nothing else in attestry builds a `reqwest::Client`: not
//! the signing side, not the Sigstore builders, which are given one.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use url::{Host, Url};

use crate::{
    address::{AddressRefused, AddressRule},
    error::OciError,
};

/// Sent with every request.
pub const USER_AGENT: &str = concat!("attestry/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What an HTTP client may do.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Addresses that may be connected to.
    pub addresses: AddressRule,
    /// Whether the certificates of the operating system are trusted. They are found by `rustls-native-certs`,
    /// which honours `SSL_CERT_FILE`.
    pub system_roots: bool,
    /// More certificate authorities, as PEM.
    pub ca: Vec<Vec<u8>>,
    /// A proxy for https.
    pub proxy: Option<ProxyOptions>,
}

impl Default for HttpOptions {
    /// Public addresses, the system's certificates, no proxy.
    fn default() -> Self {
        Self { addresses: AddressRule::Public, system_roots: true, ca: Vec::new(), proxy: None }
    }
}

/// An HTTP proxy. The proxy resolves names itself, so addresses of what lies behind it are the proxy's to check.
#[derive(Clone)]
pub struct ProxyOptions {
    /// Where https connections go, for example `http://proxy.example:3128`.
    pub https: Url,
    /// Hosts, domains and networks that are reached directly, as in `NO_PROXY`.
    pub no_proxy: Vec<String>,
}

impl fmt::Debug for ProxyOptions {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyOptions").field("https", &self.https.host_str()).finish_non_exhaustive()
    }
}

/// Builds a client: rustls with aws-lc-rs passed in (no process-wide provider), HTTP/2 by ALPN, connections kept,
/// no decompression, no redirects, no cookies, no proxy from the environment, and every address checked.
pub fn http_client(options: &HttpOptions) -> Result<reqwest::Client, OciError> {
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .tls_backend_preconfigured(tls_config(options)?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .http2_adaptive_window(true)
        .dns_resolver(Arc::new(CheckedResolver {
            rule: options.addresses,
            proxy: options.proxy.as_ref().and_then(|proxy| proxy.https.host_str().map(str::to_owned)),
        }));
    let builder = match &options.proxy {
        Some(proxy) => builder.proxy(
            reqwest::Proxy::https(proxy.https.clone())
                .map_err(OciError::HttpClient)?
                .no_proxy(reqwest::NoProxy::from_string(&proxy.no_proxy.join(","))),
        ),
        None => builder,
    };
    builder.build().map_err(OciError::HttpClient)
}

/// Checks an address that is written in the URL itself; names are checked when they are resolved.
pub(crate) fn check_literal(url: &Url, rule: AddressRule) -> Result<(), AddressRefused> {
    match url.host() {
        Some(Host::Ipv4(address)) => rule.check(address.into()),
        Some(Host::Ipv6(address)) => rule.check(address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

fn tls_config(options: &HttpOptions) -> Result<rustls::ClientConfig, OciError> {
    let mut roots = RootCertStore::empty();
    if options.system_roots {
        // Certificates that cannot be read are left out: fewer roots trust less.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    for pem in &options.ca {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| OciError::CaFile)?;
        if certificates.is_empty() {
            return Err(OciError::CaFile);
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|_| OciError::CaFile)?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OciError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Resolves names and drops addresses that the rule refuses; the connection is made to what is left, so a second
/// lookup with another answer (rebinding, attack 48) never happens.
#[derive(Debug)]
struct CheckedResolver {
    rule: AddressRule,
    /// The proxy was named by the administrator and may be private.
    proxy: Option<String>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = match &self.proxy {
            Some(proxy) if proxy == name.as_str() => AddressRule::PrivateToo,
            _ => self.rule,
        };
        Box::pin(async move {
            let mut allowed: Vec<SocketAddr> = Vec::new();
            let mut refused = None;
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match rule.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if allowed.is_empty() => Err(error.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
