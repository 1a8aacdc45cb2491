//! A relay before a registry that delays every request alike, and counts: how many, and how many one after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Long against everything that happens on this machine meanwhile, so that requests of one round overlap.
const DELAY: Duration = Duration::from_millis(40);
/// No answer of a registry here is longer.
const MAX_BODY: usize = 1 << 20;

/// A relay that ends with its runtime.
pub(crate) struct Relay {
    /// `127.0.0.1:PORT`.
    pub(crate) host: String,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

/// When a request came and when its answer went.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    came: Instant,
    went: Instant,
}

/// What was seen of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    /// The longest row of requests of which each came after the answer to the one before it.
    pub(crate) round_trips: usize,
}

#[derive(Clone)]
struct Before {
    registry: String,
    client: reqwest::Client,
    seen: Arc<Mutex<Vec<Exchange>>>,
}

impl Relay {
    pub(crate) async fn start(registry: &str, client: reqwest::Client) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let seen = Arc::default();
        let before = Before { registry: registry.to_owned(), client, seen: Arc::clone(&seen) };
        let router = axum::Router::new().fallback(relay).with_state(before);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { host, seen })
    }

    /// What was seen since the last call.
    pub(crate) fn take(&self) -> Seen {
        let exchanges = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        Seen { requests: exchanges.len(), round_trips: round_trips(exchanges) }
    }
}

/// The most exchanges of which no two overlap: always the one that ends first among those that may follow.
fn round_trips(mut exchanges: Vec<Exchange>) -> usize {
    exchanges.sort_by_key(|exchange| exchange.went);
    let mut last: Option<Instant> = None;
    let mut count = 0;
    for exchange in exchanges {
        if last.is_none_or(|went| exchange.came >= went) {
            last = Some(exchange.went);
            count += 1;
        }
    }
    count
}

async fn relay(State(before): State<Before>, request: Request) -> Response {
    let came = Instant::now();
    tokio::time::sleep(DELAY).await;
    let answer = forward(&before, request).await;
    let went = Instant::now();
    before.seen.lock().unwrap_or_else(PoisonError::into_inner).push(Exchange { came, went });
    answer.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response())
}

async fn forward(before: &Before, request: Request) -> Result<Response> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(header::HOST);
    let body: Bytes = axum::body::to_bytes(body, MAX_BODY).await?;
    let url = format!("http://{}{}", before.registry, head.uri);
    let answer = before.client.request(head.method, url).headers(head.headers).body(body).send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    Ok((status, headers, answer.bytes().await?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_side_by_side_are_one_round_trip() {
        let start = Instant::now();
        let exchange = |(came, went): (u64, u64)| Exchange {
            came: start + Duration::from_millis(came),
            went: start + Duration::from_millis(went),
        };
        for (exchanges, round_trips) in [
            (&[][..], 0),
            (&[(0, 10)], 1),
            (&[(0, 10), (1, 11)], 1),
            (&[(0, 10), (11, 20)], 2),
            (&[(0, 30), (1, 10), (11, 20), (31, 40)], 3),
        ] {
            let seen = exchanges.iter().copied().map(exchange).collect();
            assert_eq!(super::round_trips(seen), round_trips, "{exchanges:?}");
        }
    }
}
