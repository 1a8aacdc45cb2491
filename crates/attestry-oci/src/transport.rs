//! One request and its answer: authorisation, redirects, repeats and bounded reading, the same for everything
//! that attestry asks a registry.

use std::time::Duration;

use attestry_core::{GapCause, Repository};
use bytes::{Bytes, BytesMut};
use reqwest::{
    Method, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, IF_MATCH,
        LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
    },
};
use tokio::time::Instant;
use url::Url;

use crate::{
    auth::{Access, Asker, Auth, Grant},
    budget::{Budget, Counters, Kind},
    challenge::Challenge,
    error::Fault,
    limits::Limits,
    refusal,
    registry::{Registries, Registry},
};

/// Everything that a client keeps between requests.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) registries: Registries,
    pub(crate) limits: Limits,
    pub(crate) counters: Counters,
    pub(crate) auth: Auth,
}

/// One request to the API of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) repository: &'a Repository,
    pub(crate) url: Url,
    pub(crate) access: Access<'a>,
    pub(crate) kind: Kind,
    pub(crate) accept: Option<&'static str>,
    pub(crate) body: Option<(Bytes, String)>,
    pub(crate) if_match: Option<String>,
    /// Sent by then, or not at all: what is written stands on something that was read before.
    pub(crate) not_after: Option<Instant>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(repository: &'a Repository, url: Url, kind: Kind) -> Self {
        let (method, access) = (Method::GET, Access::Pull);
        Self { method, repository, url, access, kind, accept: None, body: None, if_match: None, not_after: None }
    }

    pub(crate) fn write(repository: &'a Repository, method: Method, url: Url) -> Self {
        Self { method, access: Access::Push, ..Self::get(repository, url, Kind::Upload) }
    }

    /// Reading again, or writing the same bytes to the same name again, changes nothing.
    fn may_repeat(&self) -> bool {
        self.method != Method::POST
    }

    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD) && self.kind != Kind::Upload
    }
}

/// What came back, with any status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: reqwest::Response,
    /// Whether a redirect was followed on the way.
    pub(crate) redirected: bool,
    host: String,
    withheld: Option<String>,
}

impl Answer {
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.response.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// The media type without parameters, in lower case as registries are sloppy about it.
    pub(crate) fn media_type(&self) -> Option<String> {
        let value = self.header(&CONTENT_TYPE)?;
        let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(essence).filter(|essence| !essence.is_empty())
    }

    /// The fault that an unwanted status stands for.
    pub(crate) fn fault(&self) -> Fault {
        let mut fault = Fault::status(&self.host, self.status());
        if let (GapCause::Denied, Some(withheld)) = (fault.cause, &self.withheld) {
            fault.detail = format!("{}; {withheld}", fault.detail);
        }
        fault
    }

    pub(crate) async fn body(self, limit: u64, budget: Option<&Budget>) -> Result<Bytes, Fault> {
        read_bounded(self.response, &self.host, limit, budget).await
    }

    /// Hands the body to `keep` as it comes; the rest as for [`Answer::body`]. Returns its length.
    pub(crate) async fn each_chunk(
        self,
        limit: u64,
        keep: impl FnMut(Bytes) -> Result<(), Fault>,
    ) -> Result<u64, Fault> {
        each_chunk(self.response, &self.host, limit, keep).await
    }

    /// A refusal in the registry's own words, where it sent any.
    pub(crate) async fn refusal(self, limit: u64, budget: &Budget) -> String {
        let fallback = self.fault().detail;
        let Ok(body) = budget.within(self.body(limit, None)).await else { return fallback };
        refusal::text(&body).unwrap_or(fallback)
    }
}

/// How often `Retry-After` is followed for one request.
const MAX_WAITS: u32 = 2;
/// Redirect statuses that keep a read a read.
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl Transport {
    /// Sends a request until there is an answer that is neither a redirect, a first challenge nor a request to
    /// wait. Ends at the budget's deadline.
    pub(crate) async fn send(&self, registry: &Registry, call: &Call<'_>, budget: &Budget) -> Result<Answer, Fault> {
        budget.within(self.send_patiently(registry, call, budget)).await
    }

    /// Repeats only where the registry says when, and only if that is before the deadline: no retry storms.
    async fn send_patiently(&self, registry: &Registry, call: &Call<'_>, budget: &Budget) -> Result<Answer, Fault> {
        let mut waits = 0;
        loop {
            let answer = self.send_authorised(registry, call, budget).await?;
            let busy = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            match retry_after(answer.response.headers()) {
                Some(delay) if busy && waits < MAX_WAITS && Instant::now() + delay < budget.deadline() => {
                    waits += 1;
                    tracing::debug!(registry = registry.host, ?delay, "the registry asked to wait");
                    tokio::time::sleep(delay).await;
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn send_authorised(&self, registry: &Registry, call: &Call<'_>, budget: &Budget) -> Result<Answer, Fault> {
        let asker = Asker {
            registry,
            repository: call.repository,
            access: call.access,
            budget,
            counters: &self.counters,
            limit: self.limits.small,
        };
        let grant = self.auth.usual(&asker).await?;
        let answer = self.follow(registry, call, &grant, budget).await?;
        // A challenge from somewhere else than the registry gets no answer (attack 47).
        if answer.status() != StatusCode::UNAUTHORIZED || answer.redirected {
            return Ok(answer);
        }
        let challenges: Vec<Challenge> = (answer.response.headers().get_all(WWW_AUTHENTICATE).iter())
            .filter_map(|value| value.to_str().ok())
            .flat_map(Challenge::parse_all)
            .collect();
        match self.auth.answer(&asker, &challenges, &grant).await? {
            Some(grant) => self.follow(registry, call, &grant, budget).await,
            None => Ok(answer),
        }
    }

    /// Follows redirects of reads. Each target is routed anew, and only the registry's own origin sees the
    /// authorisation (attack 47).
    async fn follow(
        &self,
        registry: &Registry,
        call: &Call<'_>,
        grant: &Grant,
        budget: &Budget,
    ) -> Result<Answer, Fault> {
        let mut url = call.url.clone();
        let mut hops = 0;
        loop {
            let response = self.once(registry, call, &url, grant, budget).await?;
            let host = url.host_str().unwrap_or(&registry.host).to_owned();
            let host = if registry.is_same_origin(&url) { registry.host.clone() } else { host };
            let status = response.status().as_u16();
            // A 303 to a listing is GitHub's way to say that there is none.
            let followed =
                call.reads() && REDIRECTS.contains(&status) && !(call.kind == Kind::Listing && status == 303);
            if !followed {
                return Ok(Answer { response, redirected: hops > 0, host, withheld: grant.withheld.clone() });
            }
            hops += 1;
            if hops > self.limits.redirects {
                return Err(Fault::over_limit(format!("{} redirects more than {} times", registry.host, hops - 1)));
            }
            let target = (response.headers().get(LOCATION).and_then(|value| value.to_str().ok()))
                .and_then(|location| url.join(location).ok());
            url = target.ok_or_else(|| Fault::malformed(format!("{host} redirects without a readable Location")))?;
        }
    }

    /// One request on the wire, and once more if the connection was reset.
    async fn once(
        &self,
        registry: &Registry,
        call: &Call<'_>,
        url: &Url,
        grant: &Grant,
        budget: &Budget,
    ) -> Result<reqwest::Response, Fault> {
        let client = registry.route(url)?;
        let mut repeat = call.may_repeat();
        loop {
            if call.not_after.is_some_and(|limit| Instant::now() > limit) {
                return Err(Fault::new(GapCause::Timeout, "what was to be written has become old"));
            }
            budget.take_request()?;
            self.counters.count(call.kind);
            let mut request = client.request(call.method.clone(), url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(accept) = call.accept {
                request = request.header(ACCEPT, accept);
            }
            if let Some(etag) = &call.if_match {
                request = request.header(IF_MATCH, etag);
            }
            if let Some(authorization) = grant.header.as_ref().filter(|_| registry.is_same_origin(url)) {
                request = request.header(AUTHORIZATION, authorization);
            }
            if let Some((body, content_type)) = &call.body {
                request = request.header(CONTENT_TYPE, content_type).body(body.clone());
            }
            match request.send().await {
                Ok(response) => return Ok(response),
                Err(error) if repeat && error.is_request() && !error.is_connect() && !error.is_timeout() => {
                    repeat = false;
                }
                Err(error) => return Err(Fault::transport(&registry.host, &error)),
            }
        }
    }
}

/// Reads a body of at most `limit` bytes into memory.
pub(crate) async fn read_bounded(
    response: reqwest::Response,
    host: &str,
    limit: u64,
    budget: Option<&Budget>,
) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    let keep = |chunk: Bytes| {
        if let Some(budget) = budget {
            budget.take_bytes(chunk.len() as u64)?;
        }
        body.extend_from_slice(&chunk);
        Ok(())
    };
    each_chunk(response, host, limit, keep).await?;
    Ok(body.freeze())
}

/// Hands a body of at most `limit` bytes to `keep`, whatever the headers say about it (attack 36). Returns its length.
async fn each_chunk(
    mut response: reqwest::Response,
    host: &str,
    limit: u64,
    mut keep: impl FnMut(Bytes) -> Result<(), Fault>,
) -> Result<u64, Fault> {
    let too_large = || Fault::over_limit(format!("{host} sends more than {limit} bytes"));
    if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
        && encoding.as_bytes() != b"identity"
    {
        return Err(Fault::malformed(format!("{host} sends a compressed body although none was asked for")));
    }
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::transport(host, &error))? {
        length += chunk.len() as u64;
        if length > limit {
            return Err(too_large());
        }
        keep(chunk)?;
    }
    Ok(length)
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    attestry_core::retry_after::read(text(RETRY_AFTER)?, text(DATE))
}
