//! Reading a request's body: its type, its size and its time.

use attestry_core::{Reason, ReasonCode};
use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request},
    http::{HeaderMap, StatusCode, header},
};
use tokio::time::{Instant, timeout_at};

use crate::error::Problem;

/// The body of a JSON request, if it has arrived by `deadline`. Its size is bounded where the route is written.
///
/// The type is demanded because a browser sends JSON to another origin only after asking: without it, any web page
/// could make reviews through somebody's loopback.
pub(crate) async fn json_body(request: Request, deadline: Instant) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let reason =
            Reason::new(ReasonCode::RequestMalformed, "the body must be sent as Content-Type: application/json");
        return Err(Problem::with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let Ok(body) = timeout_at(deadline, Bytes::from_request(request, &())).await else {
        let reason = Reason::new(ReasonCode::RequestMalformed, "the body did not arrive in time");
        return Err(Problem::with_status(StatusCode::REQUEST_TIMEOUT, reason));
    };
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Reason::new(ReasonCode::OverLimit, "the body is larger than this route takes"))
        }
        _ => Problem::malformed("the body ended early"),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}
