//! Which services to sign with: `signing_config.json` v0.2 (sigstore_trustroot.proto, `SigningConfig`), read strictly,
//! and the rules by which a client chooses among what it lists.

use std::collections::BTreeMap;

use attestry_core::Timestamp;
use attestry_core::strict_json::{self, StrictJsonError};
use serde::Deserialize;
use url::{Host, Url};

/// The only media type that clients read.
pub const SIGNING_CONFIG: &str = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
/// How large one may be.
pub const MAX_SIGNING_CONFIG: usize = 256 * 1024;
/// How many services one list may name.
const MAX_SERVICES: usize = 64;
/// The services of Sigstore's public instance, as its signing config names them by default.
const PUBLIC_GOOD: &str = include_str!("public_good.json");

/// What a signing config offers.
#[derive(Debug, Clone)]
pub struct SigningConfig {
    authorities: Vec<Endpoint>,
    logs: Vec<Endpoint>,
    timestamp_authorities: Vec<Endpoint>,
    log_choice: Option<Choice>,
    timestamp_choice: Option<Choice>,
}

/// The services that one signature is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// Gives certificates for identity tokens: Fulcio.
    pub certificate_authority: Url,
    /// Each gets an entry. Empty for an instance without a log.
    pub logs: Vec<Log>,
    /// Each is asked for a timestamp; the URL is the one to post to.
    pub timestamp_authorities: Vec<Url>,
}

/// A transparency log and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Below this lies its API.
    pub url: Url,
    /// Which API.
    pub version: LogVersion,
}

/// Generations of Rekor. Ordered: the newest is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogVersion {
    /// `/api/v1/log/entries`: entries carry a signed time.
    V1,
    /// `/api/v2/log/entries`: entries carry none, so a timestamp authority is needed.
    V2,
}

/// Why a signing config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningConfigError {
    /// Larger than [`MAX_SIGNING_CONFIG`], or a list has more than 64 services.
    #[error("it is larger than any signing config")]
    TooLarge,
    /// Not strict JSON, or a member that version 0.2 does not have.
    #[error("it cannot be read: {0}")]
    Json(#[from] StrictJsonError),
    /// Another media type.
    #[error("its mediaType is {0:?}; {SIGNING_CONFIG} is understood")]
    MediaType(String),
    /// A URL that tokens and signatures are not sent to.
    #[error("{url:?} is no https URL (plain http is for loopback addresses)")]
    Url {
        /// As written, cleaned.
        url: String,
    },
    /// A time that cannot be read.
    #[error("{0:?} is no time")]
    Time(String),
    /// `EXACT` without a count, or a count where none belongs.
    #[error("{list} has selector EXACT without a count above 0, or a count with another selector")]
    Count {
        /// Which list it is for.
        list: &'static str,
    },
    /// Services are listed, and how to choose is not said.
    #[error("{list} lists services, and its selector is missing: ANY, ALL or EXACT")]
    NoSelector {
        /// The list.
        list: &'static str,
    },
    /// Too few services are valid now, and of a version that is spoken here.
    #[error("{list} has {usable} services that can be used now, and {wanted} are needed")]
    TooFew {
        /// The list.
        list: &'static str,
        /// How many are left.
        usable: usize,
        /// How many the selector demands.
        wanted: usize,
    },
    /// A certificate lasts minutes: without a proven time a signature by it would be worthless.
    #[error("it names no service that proves the time: tsaUrls, or a log of version 1")]
    NoTime,
}

/// One service.
#[derive(Debug, Clone)]
struct Endpoint {
    url: Url,
    version: u32,
    operator: String,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

/// How many of the operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Any,
    All,
    Exact(usize),
}

impl SigningConfig {
    /// Reads one. What is not of version 0.2 is refused: a misread list would send tokens to the wrong place.
    pub fn from_json(bytes: &[u8]) -> Result<Self, SigningConfigError> {
        if bytes.len() > MAX_SIGNING_CONFIG {
            return Err(SigningConfigError::TooLarge);
        }
        let json: ConfigJson = strict_json::read(bytes)?;
        if json.media_type != SIGNING_CONFIG {
            return Err(SigningConfigError::MediaType(attestry_core::reason::clean(&json.media_type, 128)));
        }
        endpoints(json.oidc_urls)?;
        Ok(Self {
            authorities: endpoints(json.ca_urls)?,
            logs: endpoints(json.rekor_tlog_urls)?,
            timestamp_authorities: endpoints(json.tsa_urls)?,
            log_choice: json.rekor_tlog_config.choice("rekorTlogConfig")?,
            timestamp_choice: json.tsa_config.choice("tsaConfig")?,
        })
    }

    /// Sigstore's public instance: its certificate authority, its first log and its timestamp authority.
    pub fn public_good() -> Self {
        // Built in, and read by a test of this module.
        Self::from_json(PUBLIC_GOOD.as_bytes()).expect("the built-in signing config can be read")
    }

    /// The services to sign with at `now`.
    pub fn select(&self, now: Timestamp) -> Result<Services, SigningConfigError> {
        let authorities = choose(&self.authorities, &[1], Some(Choice::Any), now, "caUrls")?;
        let logs = choose(&self.logs, &[1, 2], self.log_choice, now, "rekorTlogUrls")?;
        let timestamp_authorities = choose(&self.timestamp_authorities, &[1], self.timestamp_choice, now, "tsaUrls")?;
        let certificate_authority =
            authorities.first().ok_or(SigningConfigError::TooFew { list: "caUrls", usable: 0, wanted: 1 })?.url.clone();
        let version = |endpoint: &Endpoint| if endpoint.version == 1 { LogVersion::V1 } else { LogVersion::V2 };
        let logs: Vec<_> = logs.into_iter().map(|log| Log { url: log.url.clone(), version: version(log) }).collect();
        if timestamp_authorities.is_empty() && logs.iter().all(|log| log.version == LogVersion::V2) {
            return Err(SigningConfigError::NoTime);
        }
        let timestamp_authorities = timestamp_authorities.into_iter().map(|authority| authority.url.clone()).collect();
        Ok(Services { certificate_authority, logs, timestamp_authorities })
    }
}

/// Of each operator the valid service with the highest version that is spoken here, the newest of several; then as
/// many operators as are asked for, best first.
fn choose<'a>(
    listed: &'a [Endpoint],
    spoken: &[u32],
    choice: Option<Choice>,
    now: Timestamp,
    list: &'static str,
) -> Result<Vec<&'a Endpoint>, SigningConfigError> {
    if listed.is_empty() && choice.is_none() {
        return Ok(Vec::new());
    }
    let choice = choice.ok_or(SigningConfigError::NoSelector { list })?;
    let rank = |endpoint: &Endpoint| (endpoint.version, endpoint.start);
    let mut best: BTreeMap<&str, &Endpoint> = BTreeMap::new();
    for endpoint in listed.iter().filter(|one| spoken.contains(&one.version) && one.is_valid(now)) {
        let slot = best.entry(&endpoint.operator).or_insert(endpoint);
        if rank(endpoint) > rank(slot) {
            *slot = endpoint;
        }
    }
    let mut chosen: Vec<&Endpoint> = best.into_values().collect();
    chosen.sort_by_key(|endpoint| std::cmp::Reverse(rank(endpoint)));
    let wanted = match choice {
        Choice::Exact(count) => count,
        // An instance without such a service has an empty list; a list whose services all ended is a mistake.
        Choice::Any | Choice::All => usize::from(!listed.is_empty()),
    };
    if chosen.len() < wanted {
        return Err(SigningConfigError::TooFew { list, usable: chosen.len(), wanted });
    }
    match choice {
        Choice::All => {}
        Choice::Any | Choice::Exact(_) => chosen.truncate(wanted),
    }
    Ok(chosen)
}

impl Endpoint {
    /// Both ends belong to it.
    fn is_valid(&self, now: Timestamp) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now <= end)
    }
}

/// A URL that tokens may be sent to: https, or plain http on this machine.
pub(crate) fn secure_url(text: &str) -> Option<Url> {
    let url: Url = text.parse().ok()?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (plain && (url.scheme() == "https" || url.scheme() == "http" && local)).then_some(url)
}

fn endpoints(listed: Vec<EndpointJson>) -> Result<Vec<Endpoint>, SigningConfigError> {
    if listed.len() > MAX_SERVICES {
        return Err(SigningConfigError::TooLarge);
    }
    let cleaned = |text: &str| attestry_core::reason::clean(text, 128);
    let time = |text: Option<String>| {
        text.map(|text| text.parse().map_err(|_| SigningConfigError::Time(cleaned(&text)))).transpose()
    };
    let read = |json: EndpointJson| {
        let url = secure_url(&json.url).ok_or_else(|| SigningConfigError::Url { url: cleaned(&json.url) })?;
        let PeriodJson { start, end } = json.valid_for.unwrap_or_default();
        // Without a name nothing says that two services have one operator.
        let operator = if json.operator.is_empty() { json.url } else { json.operator };
        Ok(Endpoint { url, version: json.major_api_version, operator, start: time(start)?, end: time(end)? })
    };
    listed.into_iter().map(read).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfigJson {
    media_type: String,
    #[serde(default)]
    ca_urls: Vec<EndpointJson>,
    #[serde(default)]
    oidc_urls: Vec<EndpointJson>,
    #[serde(default)]
    rekor_tlog_urls: Vec<EndpointJson>,
    #[serde(default)]
    rekor_tlog_config: ChoiceJson,
    #[serde(default)]
    tsa_urls: Vec<EndpointJson>,
    #[serde(default)]
    tsa_config: ChoiceJson,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EndpointJson {
    url: String,
    #[serde(default)]
    major_api_version: u32,
    valid_for: Option<PeriodJson>,
    #[serde(default)]
    operator: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeriodJson {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceJson {
    selector: Option<Selector>,
    #[serde(default)]
    count: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Selector {
    Any,
    All,
    Exact,
}

impl ChoiceJson {
    fn choice(&self, list: &'static str) -> Result<Option<Choice>, SigningConfigError> {
        match (&self.selector, self.count) {
            (None, 0) => Ok(None),
            (Some(Selector::Any), 0) => Ok(Some(Choice::Any)),
            (Some(Selector::All), 0) => Ok(Some(Choice::All)),
            (Some(Selector::Exact), count @ 1..) => Ok(Some(Choice::Exact(count))),
            _ => Err(SigningConfigError::Count { list }),
        }
    }
}

#[cfg(test)]
mod tests;
