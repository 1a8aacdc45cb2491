//! The admission webhooks: read, judge each image, record, answer. HTTP 200 whatever the answer.

mod images;
mod pin;
mod plan;
mod respond;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use attestry_core::{
    Digest, Reason, ReasonCode, Reference, Timestamp,
    decision::{Answer, Decision, ImageDecision, Objection, RequestImage, Use},
    review::{Mode, TagBesideDigest, TagRule},
};
use attestry_oci::Budget;
use attestry_policy::{
    Namespace, PolicySet, Strictness, Tagged, answer,
    compile::{Matches, Policy},
};
use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    app::{App, deadline},
    error::Problem,
    judge::Judged,
    request::json_body,
};
use plan::Plan;

/// What the API server gives without being asked, and the most that it takes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// The API server rounds its timeout up to whole seconds, and the answer has to travel (attack 88).
const MARGIN: Duration = Duration::from_millis(1200);
const FLOOR: Duration = Duration::from_millis(200);
/// How long a refusal waits for a log that was too slow for the admit before it.
const CORRECTION: Duration = Duration::from_secs(60);
/// Requests for what one tag names: HEAD, GET where a registry knows no HEAD, and what is repeated or challenged.
const TAG_REQUESTS: u32 = 8;
/// Part of the time that is kept for writing the record.
const RECORDING: Duration = Duration::from_millis(150);

/// The query of a webhook call.
#[derive(Debug, Deserialize)]
pub(crate) struct Call {
    /// Such as `10s`.
    timeout: Option<String>,
}

impl Call {
    fn of(query: Result<Query<Self>, QueryRejection>) -> Result<Self, Problem> {
        query.map(|Query(call)| call).map_err(|rejection| Problem::malformed(rejection.body_text()))
    }

    /// When the answer must have left.
    fn deadline(&self) -> Result<Instant, Problem> {
        let given = match &self.timeout {
            None => DEFAULT_TIMEOUT,
            Some(text) => {
                let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
                let seconds =
                    seconds.ok_or_else(|| Problem::malformed("timeout is written in whole seconds, such as 10s"))?;
                Duration::from_secs(seconds).min(MAX_TIMEOUT)
            }
        };
        Ok(deadline(given.saturating_sub(MARGIN).max(FLOOR)))
    }
}

/// `POST /v1/admission/validate`: judges every image of the object and never patches.
pub(crate) async fn validate(
    State(app): State<Arc<App>>,
    call: Result<Query<Call>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let deadline = Call::of(call)?.deadline()?;
    let body = json_body(request, deadline).await?;
    let _turn = app.admission_turn()?;
    let request = plan::read(&body).map_err(Problem::new)?;
    drop(body);
    let uid = request.request.uid.clone();
    let now = (app.clock)();
    let set = app.policies.current();
    let digest = set.as_ref().map_or_else(|| Digest::of(""), |set| set.digest());
    let mut decision = Decision::new(now, request.request, digest);
    let mut judged = Vec::new();
    match request.plan {
        Plan::Allow => return Ok(Json(respond::allow(&uid))),
        Plan::Unguarded(reason) => decision.reasons.push(reason),
        Plan::Refuse(reason) => refuse(&mut decision, reason),
        Plan::Judge(usage) => match set.clone() {
            None => refuse(&mut decision, Reason::new(ReasonCode::NoPolicy, "no policy set was ever loaded")),
            Some(set) => {
                let namespace = decision.request.namespace.clone();
                let images = decision.request.images.clone();
                let work = images
                    .iter()
                    .map(|image| judge_image(&app, &set, image, namespace.clone(), usage, now, deadline - RECORDING));
                for (image, of) in futures::future::join_all(work).await {
                    decision.allowed &= image.answer.allowed;
                    decision.images.push(image);
                    judged.extend(of);
                }
            }
        },
    }
    if request.dry_run {
        return Ok(Json(respond::validate(&uid, &decision, None)));
    }
    let recorded = app.recorder.decision(&decision, set.as_ref(), &judged, deadline).await;
    let id = match recorded {
        Ok(id) => Some(id),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a decision could not be recorded");
            app.metrics.answered("record-failed");
            if decision.allowed {
                refuse(
                    &mut decision,
                    Reason::new(ReasonCode::RecordFailed, "the decision could not be recorded in time"),
                );
                correct(app.clone(), decision.clone(), set);
            }
            None
        }
    };
    app.metrics.answered(if decision.allowed { "admitted" } else { "refused" });
    Ok(Json(respond::validate(&uid, &decision, id.as_deref())))
}

/// What was written too late says that the object was admitted, and it was not: once the log can be written again, a
/// second decision with the same uid says what was answered. A log that is broken for good takes neither.
fn correct(app: Arc<App>, decision: Decision, set: Option<Arc<PolicySet>>) {
    tokio::spawn(async move {
        let written = app.recorder.decision(&decision, set.as_ref(), &[], deadline(CORRECTION)).await;
        if let Err(error) = written {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal could not be recorded either");
        }
    });
}

/// `POST /v1/admission/mutate`: adds digests where policy says `Pin`; never refuses, records nothing.
pub(crate) async fn mutate(
    State(app): State<Arc<App>>,
    call: Result<Query<Call>, QueryRejection>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let deadline = Call::of(call)?.deadline()?;
    let body = json_body(request, deadline).await?;
    let _turn = app.admission_turn()?;
    let pinning = pin::images(&body).map_err(Problem::new)?;
    let mut pins = BTreeMap::new();
    if let Some(set) = app.policies.current() {
        let namespace = pinning.namespace.clone().map(|name| Namespace { name, labels: None });
        let work = pinning.images.iter().filter_map(|image| {
            let reference: Reference = image.image.parse().ok()?;
            (wants_pin(&set, &reference, namespace.as_ref())).then(|| resolve(&app, image, reference, deadline))
        });
        // What cannot be resolved stays as it is: validation refuses it and says why.
        pins.extend(futures::future::join_all(work).await.into_iter().flatten());
    }
    Ok(Json(pin::respond(&pinning, &pins)))
}

async fn resolve(app: &App, image: &RequestImage, reference: Reference, deadline: Instant) -> Option<(String, Digest)> {
    let budget = Budget::new(deadline, Budget::REQUESTS);
    let subject = app.judge.client().resolve(&reference, &budget).await.ok()?;
    Some((image.image.clone(), subject.digest))
}

/// Whether a policy that matches pins tags and none in force refuses them: under `Deny` the tag must stay and be
/// refused. A policy that is only tried out (`Warn`, `Audit`) takes no pin away.
fn wants_pin(set: &PolicySet, reference: &Reference, namespace: Option<&Namespace>) -> bool {
    let mut matching = matching(set, reference, namespace);
    let refused = matching.clone().any(|policy| policy.mode == Mode::Enforce && policy.tags == TagRule::Deny);
    !refused && matching.any(|policy| policy.tags == TagRule::Pin)
}

/// The policies that are about an image here, or might be.
fn matching<'a>(
    set: &'a PolicySet,
    reference: &'a Reference,
    namespace: Option<&'a Namespace>,
) -> impl Iterator<Item = &'a Policy> + Clone {
    let policies = set.policies().iter();
    policies.filter(move |policy| policy.matches(reference.repository(), namespace) != Matches::No)
}

async fn judge_image(
    app: &Arc<App>,
    set: &Arc<PolicySet>,
    image: &RequestImage,
    namespace: Option<String>,
    usage: Use,
    now: Timestamp,
    deadline: Instant,
) -> (ImageDecision, Option<Judged>) {
    let reference: Reference = match image.image.parse() {
        Ok(reference) => reference,
        Err(error) => {
            let error: attestry_core::reference::ReferenceError = error;
            let reason = Reason::new(ReasonCode::ReferenceMalformed, error.to_string());
            let denied = ImageDecision {
                image: image.image.clone(),
                digest: None,
                tagged: None,
                verdict: None,
                review: None,
                answer: denial(reason),
            };
            return (denied, None);
        }
    };
    // The request carries the namespace's name alone; its labels are not known here.
    let namespace = namespace.map(|name| Namespace { name, labels: None });
    let (tagged, judged) = tokio::join!(
        tag_beside(app, set, &reference, namespace.as_ref(), deadline),
        app.judge.judge(set.clone(), &reference, namespace.clone(), now, deadline),
    );
    app.metrics.judged(judged.review.verdict);
    let decision = ImageDecision {
        image: image.image.clone(),
        digest: judged.review.subject.as_ref().map(|subject| subject.digest),
        tagged: tagged.digest(),
        verdict: Some(judged.review.verdict),
        review: Some(judged.name),
        answer: answer(&judged.review, &reference, &tagged, usage, app.no_policy, Strictness::AsWritten),
    };
    (decision, Some(judged))
}

/// What the tag beside a digest names, asked of the registry only where a policy minds (attack 34).
async fn tag_beside(
    app: &App,
    set: &PolicySet,
    reference: &Reference,
    namespace: Option<&Namespace>,
    deadline: Instant,
) -> Tagged {
    if !matching(set, reference, namespace).any(|policy| policy.tag_beside_digest == TagBesideDigest::Same) {
        return Tagged::NotAsked;
    }
    let budget = Budget::new(deadline, TAG_REQUESTS);
    Tagged::of(app.judge.client().resolve_beside(reference, &budget).await)
}

fn refuse(decision: &mut Decision, reason: Reason) {
    decision.allowed = false;
    decision.reasons.push(reason);
}

fn denial(reason: Reason) -> Answer {
    let objection = Objection { policy: None, requirement: None, reason };
    Answer { allowed: false, undeterminable: false, denials: vec![objection], warnings: Vec::new() }
}

#[cfg(test)]
mod tests;
