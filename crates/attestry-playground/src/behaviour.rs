//! Which kind of registry the embedded one is.
//!
//! `ferro-oci-server` serves every referrer on one page and ignores conditions on writes. Real registries do
//! otherwise, and some have no referrers API at all; these layers make the difference, and no more.

use std::{num::NonZeroUsize, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tower::ServiceExt;

/// Far above any listing that a test makes.
const MAX_LISTING: usize = 64 << 20;

/// What a registry offers beyond pull and push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether `/referrers/` is served and `OCI-Subject` answered; if not, clients need the fallback tag.
    pub referrers_api: bool,
    /// How many referrers one page holds, with `Link` to the next; `None` puts all on one page.
    pub page_size: Option<NonZeroUsize>,
    /// Whether `If-Match` and `If-None-Match: *` are honoured when a manifest is written (412).
    pub conditional_writes: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { referrers_api: true, page_size: None, conditional_writes: true }
    }
}

/// Puts `behaviour` in front of `store`.
pub(crate) fn behave(store: Router, behaviour: Behaviour) -> Router {
    let state = Arc::new(Front { store: store.clone(), behaviour, writing: tokio::sync::Mutex::new(()) });
    store.layer(from_fn_with_state(state, layer))
}

struct Front {
    store: Router,
    behaviour: Behaviour,
    /// Held from looking at a tag to writing it: two writers with one condition must not both succeed.
    writing: tokio::sync::Mutex<()>,
}

async fn layer(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let Behaviour { referrers_api, page_size, conditional_writes } = front.behaviour;
    match (request.method(), resource(request.uri().path())) {
        (&Method::GET, Some("referrers")) => match (referrers_api, page_size) {
            (false, _) => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
            (true, None) => next.run(request).await,
            (true, Some(size)) => {
                let uri = request.uri().clone();
                page(next.run(request).await, &uri, size.get()).await
            }
        },
        (&Method::PUT, Some("manifests")) => {
            let _held = front.writing.lock().await;
            if conditional_writes && !holds(&front.store, request.uri(), request.headers()).await {
                return StatusCode::PRECONDITION_FAILED.into_response();
            }
            let mut response = next.run(request).await;
            if !referrers_api {
                response.headers_mut().remove("oci-subject");
            }
            response
        }
        _ => next.run(request).await,
    }
}

/// `manifests`, `blobs` or `referrers`: the last segment but one of `/v2/NAME/KIND/REFERENCE`.
fn resource(path: &str) -> Option<&str> {
    path.rsplit('/').nth(1)
}

/// Cuts a listing to the page that the query asks for; `from` counts entries.
async fn page(response: Response, uri: &Uri, size: usize) -> Response {
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let listing = to_bytes(body, MAX_LISTING).await.ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let Some(mut listing) = listing else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let query = uri.query().unwrap_or_default();
    let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")?.parse::<usize>().ok()).unwrap_or(0);
    if let Some(entries) = listing["manifests"].as_array_mut() {
        let total = entries.len();
        let end = from.saturating_add(size).min(total);
        *entries = entries.get(from..end).unwrap_or_default().to_vec();
        if end < total {
            let rest: String = (query.split('&'))
                .filter(|pair| !pair.is_empty() && !pair.starts_with("from="))
                .flat_map(|pair| ["&", pair])
                .collect();
            let link = format!("<{}?from={end}{rest}>; rel=\"next\"", uri.path());
            match HeaderValue::from_str(&link) {
                Ok(link) => parts.headers.insert(header::LINK, link),
                Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            };
        }
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(listing.to_string()))
}

/// Whether the conditions of a write hold for what lies at `uri` now (RFC 9110, sections 13.1.1 and 13.1.2).
async fn holds(store: &Router, uri: &Uri, headers: &HeaderMap) -> bool {
    let matching = headers.get(header::IF_MATCH).map(HeaderValue::as_bytes);
    let absent = headers.get(header::IF_NONE_MATCH).map(HeaderValue::as_bytes);
    if matching.is_none() && absent.is_none() {
        return true;
    }
    let mut look = Request::new(Body::empty());
    *look.method_mut() = Method::HEAD;
    *look.uri_mut() = uri.clone();
    let Ok(response) = store.clone().oneshot(look).await;
    let current = response.headers().get(header::ETAG).filter(|_| response.status().is_success());
    // Only the strong comparison of one tag, and `*`: what nobody sends is not honoured by guess.
    let matches = |wanted: &[u8]| match current {
        Some(tag) => wanted == b"*" || wanted == tag.as_bytes(),
        None => false,
    };
    matching.is_none_or(matches) && !absent.is_some_and(matches)
}

#[cfg(test)]
mod tests;
