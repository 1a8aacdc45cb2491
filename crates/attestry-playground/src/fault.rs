//! What goes wrong at the registry, for tests: a list of faults in front of it.
//!
//! A fault names requests by method and a part of their path and query, and says which of them it hits. The first
//! fault that is due decides; every fault counts the requests that it names, hit or not.

use std::{
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use attestry_core::Digest;
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, future, stream};
use serde_json::Value;

use crate::registry::lock;

/// Far above any body that a test serves.
const MAX_BODY: usize = 256 << 20;
const ENDLESS_CHUNK: &[u8] = &[b' '; 16 * 1024];

/// Requests and what happens to them.
#[derive(Debug, Clone)]
pub struct Fault {
    method: Option<Method>,
    part: String,
    skip: u64,
    times: u64,
    effect: Effect,
}

impl Fault {
    /// Happens to every request with this method whose path and query contain `part`.
    pub fn on(method: Method, part: impl Into<String>, effect: Effect) -> Self {
        Self { method: Some(method), part: part.into(), skip: 0, times: u64::MAX, effect }
    }

    /// Happens to every request whose path and query contain `part`, whatever its method.
    pub fn any(part: impl Into<String>, effect: Effect) -> Self {
        Self { method: None, part: part.into(), skip: 0, times: u64::MAX, effect }
    }

    /// Spares the first `n` of them.
    #[must_use]
    pub fn after(self, n: u64) -> Self {
        Self { skip: n, ..self }
    }

    /// Happens `n` times and then no more.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self { times: n, ..self }
    }

    /// Happens to the `n`th of them alone, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.after(n.saturating_sub(1)).times(1)
    }
}

/// What happens to a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Effect {
    /// This is answered and the registry never sees the request: a write is lost.
    Answer(Answer),
    /// The registry does what it is asked, and then this is answered: a write is done but reported lost.
    Misreport(Answer),
    /// No answer at all, for as long as the client waits.
    Hang,
    /// The body stops after so many bytes and the connection stays open.
    Stall {
        /// Bytes that are sent.
        after: usize,
    },
    /// The body comes one byte at a time, which no timeout between two reads notices.
    Drip {
        /// The time between two bytes.
        every: Duration,
    },
    /// The body never ends.
    Endless,
    /// Half of the body, then the connection breaks.
    Truncate,
    /// One bit of the body is another; length and headers are as before.
    FlipBit,
    /// A header of the answer has this value.
    Header(HeaderName, String),
    /// A header of the answer is missing.
    DropHeader(HeaderName),
    /// The JSON of the body is another.
    Edit(Edit),
}

impl Effect {
    /// A plain refusal with this status; the registry never sees the request.
    pub fn status(status: StatusCode) -> Self {
        Self::Answer(Answer::new(status))
    }

    /// 429 that asks for a pause.
    pub fn throttled(retry_after: Duration) -> Self {
        let seconds = retry_after.as_secs().to_string();
        Self::Answer(Answer::new(StatusCode::TOO_MANY_REQUESTS).header(header::RETRY_AFTER, seconds))
    }

    /// 401 with this challenge.
    pub fn challenge(challenge: impl Into<String>) -> Self {
        Self::Answer(Answer::new(StatusCode::UNAUTHORIZED).header(header::WWW_AUTHENTICATE, challenge))
    }

    /// 307 to another place.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::Answer(Answer::new(StatusCode::TEMPORARY_REDIRECT).header(header::LOCATION, location))
    }

    /// The answer's `Content-Type` is another.
    pub fn content_type(media_type: impl Into<String>) -> Self {
        Self::Header(header::CONTENT_TYPE, media_type.into())
    }

    /// The registry takes a manifest with a subject as one without referrers API does: it says nothing.
    pub fn drop_subject() -> Self {
        Self::DropHeader(HeaderName::from_static("oci-subject"))
    }

    /// A listing without entries.
    pub fn hide_all() -> Self {
        Self::Edit(Edit::new(|listing| listing["manifests"] = Value::Array(Vec::new())))
    }

    /// A listing without this entry.
    pub fn hide(digest: Digest) -> Self {
        let digest = digest.to_string();
        Self::Edit(Edit::new(move |listing| {
            if let Some(entries) = listing["manifests"].as_array_mut() {
                entries.retain(|entry| entry["digest"] != digest.as_str());
            }
        }))
    }

    /// A listing with these descriptors before its own.
    pub fn poison(descriptors: Vec<Value>) -> Self {
        Self::Edit(Edit::new(move |listing| {
            if let Some(entries) = listing["manifests"].as_array_mut() {
                entries.splice(0..0, descriptors.iter().cloned());
            }
        }))
    }
}

/// An answer that the registry did not give.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
}

impl Answer {
    /// An answer without headers and body.
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn into_response(self) -> Response {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        // A header that cannot be sent must not look like the wanted fault.
        builder.body(Body::from(self.body)).unwrap_or_else(|_| bad_fault("a header of the answer cannot be sent"))
    }
}

/// A change to the JSON of a body.
#[derive(Clone)]
pub struct Edit(Arc<dyn Fn(&mut Value) + Send + Sync>);

impl Edit {
    /// Wraps the function that makes the change.
    pub fn new(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self(Arc::new(change))
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Edit")
    }
}

/// The faults in force, each with the number of requests that it has met.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<(Fault, u64)>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        lock(&self.0).push((fault, 0));
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// What happens to this request, if anything.
    pub(crate) fn strike(&self, method: &Method, target: &str) -> Option<Effect> {
        let mut due = None;
        for (fault, met) in lock(&self.0).iter_mut() {
            let named = fault.method.as_ref().is_none_or(|wanted| wanted == method) && target.contains(&fault.part);
            if !named {
                continue;
            }
            let hit = *met >= fault.skip && *met - fault.skip < fault.times;
            *met += 1;
            if hit && due.is_none() {
                due = Some(fault.effect.clone());
            }
        }
        due
    }
}

/// Answers `request` with `effect` upon it.
pub(crate) async fn happen(effect: Effect, request: Request, next: Next) -> Response {
    match effect {
        Effect::Answer(answer) => answer.into_response(),
        Effect::Misreport(answer) => {
            let _ = next.run(request).await;
            answer.into_response()
        }
        Effect::Hang => future::pending().await,
        effect => spoil(effect, next.run(request).await).await,
    }
}

/// Changes an answer of the registry.
async fn spoil(effect: Effect, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BODY).await else { return bad_fault("the body cannot be read") };
    let body = match effect {
        Effect::Answer(_) | Effect::Misreport(_) | Effect::Hang => Body::from(bytes),
        Effect::Stall { after } => {
            let sent = bytes.slice(..after.min(bytes.len()));
            Body::from_stream(stream::iter([Ok::<_, Infallible>(sent)]).chain(stream::pending()))
        }
        Effect::Drip { every } => Body::from_stream(stream::unfold(bytes, move |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(every).await;
            Some((Ok::<_, Infallible>(rest.split_to(1)), rest))
        })),
        Effect::Endless => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from_static(ENDLESS_CHUNK))))
        }
        Effect::Truncate => {
            // The promised length stays: it is what tells a client that bytes are missing.
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            let half = bytes.slice(..bytes.len() / 2);
            // The pause lets the half leave: an error at once would take it along.
            let broken = stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("cut by a fault"))
            });
            Body::from_stream(stream::iter([Ok(half)]).chain(broken))
        }
        Effect::FlipBit => {
            let mut bytes = bytes.to_vec();
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
            Body::from(bytes)
        }
        Effect::Header(name, value) => {
            let Ok(value) = HeaderValue::from_str(&value) else { return bad_fault("the header cannot be sent") };
            parts.headers.insert(name, value);
            Body::from(bytes)
        }
        Effect::DropHeader(name) => {
            parts.headers.remove(name);
            Body::from(bytes)
        }
        Effect::Edit(Edit(change)) => {
            let Ok(mut value) = serde_json::from_slice(&bytes) else { return bad_fault("the body is no JSON") };
            change(&mut value);
            parts.headers.remove(header::CONTENT_LENGTH);
            Body::from(value.to_string())
        }
    };
    Response::from_parts(parts, body)
}

/// A fault that cannot happen says so with a status that no test asks for.
fn bad_fault(why: &'static str) -> Response {
    (StatusCode::NOT_EXTENDED, why).into_response()
}

#[cfg(test)]
mod tests;
