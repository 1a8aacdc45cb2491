//! Asking a signing service: bounded bodies, bounded time, a few repeats, no redirects.
//!
//! The services get a token and a signature and answer with what ends up in a bundle. None of them is trusted: whatever
//! they answer is verified afterwards under the trust root. Here they can only waste a bounded amount of our time.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand_core::{OsRng, RngCore as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::Error;

/// How long services are waited for.
#[derive(Debug, Clone)]
pub struct Patience {
    /// One request. A log of version 2 answers only when the entry is in the tree.
    pub request: Duration,
    /// Everything that one signature needs.
    pub total: Duration,
    /// Requests that are made where the failure may pass.
    pub tries: u32,
    /// The pause before the second try; it doubles. The service's own `Retry-After` counts instead.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(25),
            total: Duration::from_secs(90),
            tries: 4,
            pause: Duration::from_millis(500),
        }
    }
}

/// What kind of service was asked, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Service {
    /// Hands out tokens to a CI job.
    TokenIssuer,
    /// Fulcio.
    CertificateAuthority,
    /// Rekor.
    Log,
    /// RFC 3161.
    TimestampAuthority,
    /// The Update Framework.
    TufRepository,
}

/// Why a service was of no help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceFault {
    /// No connection, or one that broke.
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// Slower than [`Patience`] allows.
    #[error("it did not answer in time")]
    TimedOut,
    /// It said no, or that it is out of order.
    #[error("it answered with HTTP status {status}{said}")]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of its text after a colon, or nothing.
        said: String,
    },
    /// It answered with more than its kind of answer has.
    #[error("its answer is larger than {limit} bytes")]
    TooLarge {
        /// The bound.
        limit: usize,
    },
    /// It answered with something else than was asked for.
    #[error("its answer cannot be used: {0}")]
    Malformed(&'static str),
}

/// One signature's conversation with the services.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    http: &'a reqwest::Client,
    patience: &'a Patience,
    until: Instant,
}

/// One request.
#[derive(Clone)]
pub(crate) struct Call<'a> {
    pub(crate) service: Service,
    pub(crate) url: Url,
    /// Its media type and content; with none the request is a GET.
    pub(crate) body: Option<(&'static str, Bytes)>,
    pub(crate) accept: &'static str,
    pub(crate) bearer: Option<&'a str>,
    /// Of the answer.
    pub(crate) limit: usize,
    /// A status besides success that is an answer.
    pub(crate) also: Option<StatusCode>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(http: &'a reqwest::Client, patience: &'a Patience) -> Self {
        Self::until(http, patience, Instant::now() + patience.total)
    }

    /// For a conversation whose end is known already.
    pub(crate) fn until(http: &'a reqwest::Client, patience: &'a Patience, until: Instant) -> Self {
        Self { http, patience, until }
    }

    /// Asks until there is an answer, a refusal, or no time left.
    pub(crate) async fn ask(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let mut pause = self.patience.pause;
        for attempt in 1.. {
            let left = self.until.saturating_duration_since(Instant::now());
            let (fault, asked_for) = match timeout(left.min(self.patience.request), self.once(call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failed)) => failed,
                Err(_) => (ServiceFault::TimedOut, None),
            };
            let wait = asked_for.unwrap_or_else(|| jitter(pause));
            let left = self.until.saturating_duration_since(Instant::now());
            if !fault.may_pass() || attempt >= self.patience.tries || wait >= left {
                return Err(call.failed(fault));
            }
            sleep(wait).await;
            pause *= 2;
        }
        unreachable!("the loop ends at the last try")
    }

    async fn once(&self, call: &Call<'_>) -> Result<Answer, (ServiceFault, Option<Duration>)> {
        let method = if call.body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.http.request(method, call.url.clone()).header(ACCEPT, call.accept);
        if let Some(bearer) = call.bearer {
            let mut value = HeaderValue::from_str(&format!("Bearer {bearer}"))
                .map_err(|_| (ServiceFault::Malformed("the token does not fit into a header"), None))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if let Some((media_type, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *media_type).body(body.clone());
        }
        // A URL may hold what only the service should know.
        let unreachable = |error: reqwest::Error| (ServiceFault::Unreachable(error.without_url()), None);
        let mut response = request.send().await.map_err(unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > call.limit {
                return Err((ServiceFault::TooLarge { limit: call.limit }, None));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() && call.also != Some(status) {
            let said = said(&body);
            return Err((ServiceFault::Refused { status: status.as_u16(), said }, retry_after(&headers)));
        }
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Answer { status, location, body: body.freeze() })
    }
}

impl Call<'_> {
    pub(crate) fn failed(&self, fault: ServiceFault) -> Error {
        let mut url = self.url.clone();
        url.set_query(None);
        Error::Service { service: self.service, url: url.to_string(), fault }
    }

    pub(crate) fn malformed(&self, problem: &'static str) -> Error {
        self.failed(ServiceFault::Malformed(problem))
    }
}

impl ServiceFault {
    /// Whether asking again may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::TooLarge { .. } | Self::Malformed(_) => false,
        }
    }

    /// Whether the service is out of order, rather than at odds with the request.
    pub(crate) fn is_outage(&self) -> bool {
        self.may_pass()
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenIssuer => "the token issuer of this CI job",
            Self::CertificateAuthority => "the certificate authority",
            Self::Log => "the transparency log",
            Self::TimestampAuthority => "the timestamp authority",
            Self::TufRepository => "the TUF repository",
        })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    attestry_core::retry_after::read(text(RETRY_AFTER)?, text(DATE))
}

/// The message of Fulcio's or Rekor's error body, else the beginning of the body itself.
fn said(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json.get("message")?.as_str());
    let text = message.map_or_else(|| String::from_utf8_lossy(body), Into::into);
    let text = attestry_core::reason::clean(text.trim(), 256);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Between half of `pause` and the whole, so that clients that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    let mut byte = [255];
    // Without random bytes the whole pause is waited.
    let _ = OsRng.try_fill_bytes(&mut byte);
    pause.mul_f64(0.5 + f64::from(byte[0]) / 510.0)
}

#[cfg(test)]
mod tests;
