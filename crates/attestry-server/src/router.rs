//! Every route on one page. Bounds on bodies stand here; bounds on time and work in the handlers.

use std::sync::Arc;

use attestry_core::{Reason, ReasonCode};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    routing::{get, post},
};

use crate::{admission, api, app::App, error::Problem, health};

/// An API server sends objects of at most 3 MiB; old and new together stay below this.
const ADMISSION_BODY: usize = 8 << 20;
const REVIEW_BODY: usize = 64 << 10;

/// What the API server of a cluster calls.
pub(crate) fn admission(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/admission/validate", post(admission::validate))
        .route("/v1/admission/mutate", post(admission::mutate))
        .layer(DefaultBodyLimit::max(ADMISSION_BODY))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

/// What people, CI and auditors call.
pub(crate) fn api(app: Arc<App>) -> Router {
    Router::new()
        .route("/v1/reviews", post(api::review))
        .route("/v1/decisions", get(api::decisions))
        .route("/v1/decisions/{id}", get(api::decision))
        .route("/openapi.json", get(api::openapi))
        .layer(DefaultBodyLimit::max(REVIEW_BODY))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

/// What the kubelet and Prometheus call.
pub(crate) fn ops(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

async fn unknown_route(uri: Uri) -> Problem {
    let message = format!("there is no {}", uri.path());
    Problem::with_status(StatusCode::NOT_FOUND, Reason::new(ReasonCode::RequestMalformed, message))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let message = format!("{} does not take {method}", uri.path());
    Problem::with_status(StatusCode::METHOD_NOT_ALLOWED, Reason::new(ReasonCode::RequestMalformed, message))
}

#[cfg(test)]
mod tests;
