//! The JSON API: reviews on demand, and the decisions that were recorded.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use attestry_core::{API_VERSION, Digest, Reason, ReasonCode, Reference, Review, decision::Decision};
use attestry_policy::Namespace;
use attestry_store::{Query as StoreQuery, RecordName, Store};
use axum::{
    Json,
    extract::{
        Path, Query, Request, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    app::{App, deadline},
    config::Role,
    error::Problem,
    request::json_body,
};

/// The time of one review: the collection's 8 s and its record.
const REVIEW_TIME: Duration = Duration::from_secs(10);
/// A query that takes longer waits for an index that is being rebuilt.
const QUERY_TIME: Duration = Duration::from_secs(10);
const MAX_PAGE: usize = 100;
/// Records that one filtered page may look through.
const MAX_SCANNED: usize = 10_000;

/// What is asked of `POST /v1/reviews`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReviewRequest {
    image: String,
    namespace: Option<String>,
    namespace_labels: Option<BTreeMap<String, String>>,
}

/// `POST /v1/reviews`: HTTP 200 for every verdict; recorded as a review, never as a decision (attack 93).
pub(crate) async fn review(State(app): State<Arc<App>>, request: Request) -> Result<Json<Review>, Problem> {
    authenticate(&app, request.headers(), Role::Reviewer)?;
    let deadline = deadline(REVIEW_TIME);
    let body = json_body(request, deadline).await?;
    let _turn = app.api_turn()?;
    let request: ReviewRequest = attestry_core::strict_json::read(&body)
        .map_err(|error| Problem::malformed(format!("the body cannot be read: {error}")))?;
    let reference: Reference = request.image.parse().map_err(|error: attestry_core::reference::ReferenceError| {
        Problem::new(Reason::new(ReasonCode::ReferenceMalformed, format!("image: {error}")))
    })?;
    let namespace = match (request.namespace, request.namespace_labels) {
        (Some(name), labels) => Some(Namespace { name, labels }),
        (None, None) => None,
        (None, Some(_)) => return Err(Problem::malformed("namespaceLabels are given without namespace")),
    };
    let Some(set) = app.policies.current() else {
        let reason = Reason::new(ReasonCode::NoPolicy, "no policy set was ever loaded");
        return Err(Problem::with_status(StatusCode::SERVICE_UNAVAILABLE, reason));
    };
    let now = (app.clock)();
    let judged = app.judge.judge(set, &reference, namespace, now, deadline).await;
    app.metrics.judged(judged.review.verdict);
    app.recorder.review(&judged, now, deadline).await.map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a review could not be recorded");
        Problem::new(Reason::new(ReasonCode::RecordFailed, "the review could not be recorded in time"))
    })?;
    Ok(Json((*judged.review).clone()))
}

/// Which decisions are wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Filter {
    digest: Option<String>,
    namespace: Option<String>,
    allowed: Option<bool>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// A decision with the id under which it is kept.
#[derive(Debug, Serialize)]
struct Kept {
    id: String,
    decision: Decision,
}

/// `GET /v1/decisions`: newest first, a page at a time.
pub(crate) async fn decisions(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    authenticate(&app, &headers, Role::Reader)?;
    let Query(filter) = filter.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let wanted = Wanted::of(&filter)?;
    let store = app.recorder.store().clone();
    let (kept, next) = query(move || wanted.find(&store)).await?;
    let mut page = json!({"apiVersion": API_VERSION, "kind": "DecisionList", "decisions": kept});
    if let Some(next) = next {
        page["next"] = json!(next.to_string());
    }
    Ok(Json(page))
}

/// `GET /v1/decisions/{id}`: the decision with its reviews.
pub(crate) async fn decision(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Problem> {
    authenticate(&app, &headers, Role::Reader)?;
    let Path(id) = id.map_err(|rejection| Problem::malformed(rejection.body_text()))?;
    let name: RecordName =
        id.parse().map_err(|_| Problem::malformed(format!("{id:?} is no decision id: it reads <log id>-<number>")))?;
    let store = app.recorder.store().clone();
    let found = query(move || show(&store, name)).await?;
    found.map(Json).ok_or_else(|| Problem::new(Reason::new(ReasonCode::NotFound, format!("there is no decision {id}"))))
}

/// `GET /openapi.json`: open to everybody who reaches the listener.
pub(crate) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], crate::openapi::document().to_string()).into_response()
}

/// A checked filter.
struct Wanted {
    digest: Option<Digest>,
    namespace: Option<String>,
    allowed: Option<bool>,
    limit: usize,
    before: Option<u64>,
}

type Page = (Vec<Kept>, Option<u64>);

impl Wanted {
    fn of(filter: &Filter) -> Result<Self, Problem> {
        let digest = filter.digest.as_deref().map(str::parse::<Digest>).transpose();
        let digest = digest.map_err(|error| Problem::malformed(format!("digest: {error}")))?;
        let before = filter.cursor.as_deref().map(str::parse::<u64>).transpose();
        let before = before.map_err(|_| Problem::malformed("cursor: it is not one that this API gave"))?;
        let limit = filter.limit.unwrap_or(20);
        if limit == 0 || limit > MAX_PAGE {
            return Err(Problem::malformed(format!("limit: from 1 to {MAX_PAGE}")));
        }
        Ok(Self { digest, namespace: filter.namespace.clone(), allowed: filter.allowed, limit, before })
    }

    /// The most selective key drives the index; the rest is compared.
    fn key(&self) -> (String, String) {
        let (name, value) = match (&self.digest, &self.namespace, self.allowed) {
            (Some(digest), ..) => ("digest", digest.to_string()),
            (None, Some(namespace), _) => ("namespace", namespace.clone()),
            (None, None, Some(allowed)) => ("allowed", allowed.to_string()),
            (None, None, None) => ("kind", Decision::KIND.to_owned()),
        };
        (name.to_owned(), value)
    }

    fn wants(&self, decision: &Decision) -> bool {
        let digest = self.digest.is_none_or(|digest| decision.images.iter().any(|image| image.digest == Some(digest)));
        let namespace = self.namespace.is_none() || self.namespace == decision.request.namespace;
        digest && namespace && self.allowed.is_none_or(|allowed| decision.allowed == allowed)
    }

    fn find(&self, store: &Store) -> Result<Page, attestry_store::StoreError> {
        let log = store.log().log_id();
        let (mut kept, mut before, mut scanned) = (Vec::new(), self.before, 0);
        loop {
            let page = store.query(&StoreQuery { key: Some(self.key()), before, limit: MAX_PAGE })?;
            for (index, record) in &page.records {
                scanned += 1;
                before = Some(*index);
                // A record of a newer version may not be readable; it is skipped, not an error of the whole page.
                let decision = serde_json::from_slice::<Decision>(&record.bytes).ok().filter(|d| self.wants(d));
                kept.extend(
                    decision.map(|decision| Kept { id: RecordName { log, index: *index }.to_string(), decision }),
                );
                if kept.len() == self.limit || scanned == MAX_SCANNED {
                    return Ok((kept, before));
                }
            }
            if page.next.is_none() {
                return Ok((kept, None));
            }
        }
    }
}

fn show(store: &Store, name: RecordName) -> Result<Option<Value>, attestry_store::StoreError> {
    if store.log().log_id() != name.log {
        return Ok(None);
    }
    let Some(record) = store.log().record(name.index)? else { return Ok(None) };
    let Ok(decision) = serde_json::from_slice::<Decision>(&record.bytes) else { return Ok(None) };
    let mut reviews = Vec::new();
    for review in decision.images.iter().filter_map(|image| image.review) {
        let key = Some(("review".to_owned(), review.to_string()));
        let page = store.query(&StoreQuery { key, before: None, limit: 1 })?;
        reviews
            .extend(page.records.iter().filter_map(|(_, record)| serde_json::from_slice::<Value>(&record.bytes).ok()));
    }
    let id = name.to_string();
    Ok(Some(
        json!({"apiVersion": API_VERSION, "kind": "DecisionRecord", "id": id, "decision": decision, "reviews": reviews}),
    ))
}

/// Runs a blocking query with a deadline.
async fn query<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, attestry_store::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    let unavailable = |message: &str| {
        Problem::with_status(StatusCode::SERVICE_UNAVAILABLE, Reason::new(ReasonCode::Overloaded, message))
    };
    match timeout(QUERY_TIME, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(Ok(found))) => Ok(found),
        Ok(Ok(Err(error))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a query failed");
            Err(unavailable("the log cannot be read at the moment"))
        }
        Ok(Err(_)) => Err(unavailable("the query failed")),
        Err(_) => Err(unavailable("the index is not up to date yet")),
    }
}

fn authenticate(app: &App, headers: &HeaderMap, role: Role) -> Result<(), Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = value.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    if app.allows(bearer, role) {
        return Ok(());
    }
    let message = if bearer.is_some() { "the token is not one that allows this" } else { "there is no bearer token" };
    Err(Problem::new(Reason::new(ReasonCode::Unauthenticated, message)))
}
