//! Decisions over a server's API.

use anyhow::Context as _;
use attestry_oci::address::AddressRule;
use attestry_oci::{HttpOptions, http_client};
use attestry_store::RecordName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::{Filter, Kept, Shown};
use crate::cli::AuditSource;
use crate::exit::Failure;
use crate::{files, registry};

/// One page of decisions, or one with its reviews.
const MAX_ANSWER: usize = 64 << 20;
/// Decisions of one page, as the server has it.
const MAX_PAGE: usize = 100;
const MAX_TOKEN: u64 = 4096;

/// A server's API and who we are there.
pub(super) struct Server {
    base: Url,
    token: Option<Zeroizing<String>>,
    ca: Vec<Vec<u8>>,
}

#[derive(Deserialize)]
struct Page {
    decisions: Vec<Kept>,
    #[serde(default)]
    next: Option<String>,
}

/// RFC 9457 with our reason code, as far as it is shown.
#[derive(Deserialize)]
struct ProblemJson {
    code: String,
    #[serde(default)]
    detail: String,
}

impl Server {
    /// The server of the command line, if one was named.
    pub(super) fn of(source: &AuditSource) -> Result<Option<Self>, Failure> {
        let Some(text) = &source.server else { return Ok(None) };
        let base = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
        let base = base.ok_or_else(|| Failure::usage(format!("--server: {text:?} is no http or https URL")))?;
        let token = match &source.token_file {
            Some(path) => {
                let bytes = Zeroizing::new(files::read(path, MAX_TOKEN)?);
                let text = std::str::from_utf8(&bytes).with_context(|| format!("{} holds no token", path.display()))?;
                Some(Zeroizing::new(text.trim().to_owned()))
            }
            None => None,
        };
        // A token in clear on the network is a token for everybody on it.
        let loopback =
            base.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]");
        if base.scheme() == "http" && !loopback && token.is_some() {
            return Err(Failure::usage("a token is only sent over https, or to this machine"));
        }
        let ca = source.server_ca.as_deref().map(|path| files::read(path, 4 << 20)).transpose()?;
        Ok(Some(Self { base, token, ca: ca.into_iter().collect() }))
    }

    /// The newest decisions that the filter wants, page by page.
    pub(super) fn list(&self, filter: &Filter) -> Result<Vec<Kept>, Failure> {
        let mut decisions = Vec::new();
        let mut cursor: Option<String> = None;
        registry::block_on(async {
            loop {
                let mut url = self.url("v1/decisions")?;
                let limit = (filter.limit - decisions.len()).min(MAX_PAGE);
                let wanted = [
                    ("limit", Some(limit.to_string())),
                    ("digest", filter.digest.map(|digest| digest.to_string())),
                    ("namespace", filter.namespace.clone()),
                    ("allowed", filter.denied.then(|| false.to_string())),
                    ("cursor", cursor.clone()),
                ];
                for (name, value) in wanted {
                    if let Some(value) = value {
                        url.query_pairs_mut().append_pair(name, &value);
                    }
                }
                let page: Page = self.get(&url).await?;
                decisions.extend(page.decisions.into_iter().filter(|kept| filter.wants(&kept.decision)));
                decisions.truncate(filter.limit);
                // A cursor that stays would keep us here for ever.
                if decisions.len() == filter.limit || page.next.is_none() || page.next == cursor {
                    return Ok(());
                }
                cursor = page.next;
            }
        })?;
        Ok(decisions)
    }

    /// One decision with its reviews.
    pub(super) fn show(&self, name: RecordName) -> Result<Shown, Failure> {
        registry::block_on(async { self.get(&self.url(&format!("v1/decisions/{name}"))?).await })
    }

    fn url(&self, path: &str) -> Result<Url, Failure> {
        let mut base = self.base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base.join(path).context("--server cannot be joined with a path")?)
    }

    async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, Failure> {
        let options = HttpOptions {
            addresses: AddressRule::PrivateToo,
            system_roots: url.scheme() == "https",
            ca: self.ca.clone(),
            proxy: None,
        };
        let unreachable = || format!("cannot reach {}", self.base);
        let mut request = http_client(&options)?.get(url.clone());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        let mut response = request.send().await.map_err(|error| error.without_url()).with_context(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.without_url()).with_context(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(Failure::failed(format!("{} sends more than {MAX_ANSWER} bytes", self.base)));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let problem = serde_json::from_slice::<ProblemJson>(&body).ok();
            let said = problem.map(|problem| format!(": {}: {}", problem.code, problem.detail)).unwrap_or_default();
            let failure = Failure::failed(format!(
                "{} answers with status {}{}",
                self.base,
                status.as_u16(),
                attestry_core::reason::clean(said.trim_end(), 512)
            ));
            return Err(match status.as_u16() {
                401 | 403 => failure.hint("give a token of a reader: --token-file FILE"),
                _ => failure,
            });
        }
        let what = || format!("{} answers with something else than attestry's API", self.base);
        Ok(serde_json::from_slice(&body).with_context(what)?)
    }
}
