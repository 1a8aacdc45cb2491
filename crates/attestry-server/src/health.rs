//! Health, readiness and metrics.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde_json::{Value, json};

use crate::app::App;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 while any policy set and a writable log exist, however old the set is: an unready gate under
/// `failurePolicy: Fail` stops a cluster. Problems are conditions in the body (attack 89).
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let set = app.policies.current();
    let problem = app.policies.problem();
    let log = app.recorder.store().log();
    let writable = log.is_writable();
    let condition = |kind: &str, good: bool, message: String| {
        let status = if good { "True" } else { "False" };
        json!({"type": kind, "status": status, "message": message})
    };
    let conditions = [
        condition(
            "PolicySetInForce",
            set.is_some(),
            match &set {
                Some(set) => format!("policy set {}", set.digest()),
                None => "no policy set was ever loaded: everything is refused".to_owned(),
            },
        ),
        condition(
            "PolicyDirectoryAccepted",
            problem.is_none(),
            match &problem {
                Some(reason) => reason.to_string(),
                None => "the policy set in force is the directory's".to_owned(),
            },
        ),
        condition(
            "LogWritable",
            writable,
            match log.failure() {
                Some(failure) => failure.to_string(),
                None => format!("{} records", log.records()),
            },
        ),
    ];
    let ready = set.is_some() && writable;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let policy_set = set.map(|set| set.digest().to_string());
    (status, Json(json!({"ready": ready, "policySet": policy_set, "conditions": conditions})))
}

/// Prometheus text.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = app.metrics.text(app.judge.client().stats().requests());
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
