//! Answers as AdmissionReviews: what a person reads in kubectl, and what a program reads in the causes.

use attestry_core::{
    Reason, ReasonCode, Verdict,
    decision::{Decision, ImageDecision, Objection},
    reason::clean,
};
use serde_json::{Value, json};

/// The message of a refusal, in bytes.
const MAX_MESSAGE: usize = 1024;
/// One warning, and all of them, in bytes; longer ones are cut by the API server.
const MAX_WARNING: usize = 120;
const MAX_WARNINGS: usize = 4096;
/// Far above what 64 images and ordinary policies give.
const MAX_CAUSES: usize = 256;
/// What is quoted of one reason, and of an image or a policy's name, in bytes.
const MAX_REASON: usize = 300;
const MAX_QUOTED: usize = 200;

/// Allowed without judgement.
pub(crate) fn allow(uid: &str) -> Value {
    review(json!({"uid": uid, "allowed": true}))
}

/// The answer to a judged request.
pub(crate) fn validate(uid: &str, decision: &Decision, id: Option<&str>) -> Value {
    let mut annotations = json!({"policy-set": decision.policy_set, "verdict": verdict(decision)});
    if let Some(id) = id {
        annotations["decision"] = json!(id);
    }
    let mut response = json!({"uid": uid, "allowed": decision.allowed, "auditAnnotations": annotations});
    let warnings = warnings(decision);
    if !warnings.is_empty() {
        response["warnings"] = json!(warnings);
    }
    if !decision.allowed {
        response["status"] = json!({
            "status": "Failure",
            "code": 403,
            "reason": "Forbidden",
            "message": message(decision, id),
            "details": {"causes": causes(decision)},
        });
    }
    review(response)
}

fn review(response: Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// The decision's id, then each refused image with requirement, code and hint, as far as they fit.
fn message(decision: &Decision, id: Option<&str>) -> String {
    let mut lines: Vec<String> = refusals(decision).map(line).collect();
    for image in decision.images.iter().filter(|image| !image.answer.allowed) {
        lines.extend(image.answer.denials.iter().map(|objection| image_line(image, objection)));
    }
    let mut text = id.map(|id| format!("{id}: ")).unwrap_or_default();
    for (told, line) in lines.iter().enumerate() {
        let separator = if told == 0 { "" } else { " " };
        let rest = lines.len() - told - 1;
        let rest = if rest == 0 { String::new() } else { format!(" and {rest} more") };
        let room = MAX_MESSAGE.saturating_sub(text.len() + separator.len() + rest.len());
        if told == 0 {
            // The first line is told in any case, if need be cut.
            text.push_str(&clean(line, room));
            continue;
        }
        if line.len() > room {
            text.push_str(&format!(" and {} more", lines.len() - told));
            break;
        }
        text.push_str(separator);
        text.push_str(line);
    }
    text
}

fn image_line(image: &ImageDecision, objection: &Objection) -> String {
    let place = [objection.policy.as_deref(), objection.requirement.as_deref()];
    let place = place.into_iter().flatten().collect::<Vec<_>>().join("/");
    let place = if place.is_empty() { place } else { format!("{} ", clean(&place, MAX_QUOTED)) };
    format!("{}: {place}{}", clean(&image.image, MAX_QUOTED), line(&objection.reason))
}

fn line(reason: &Reason) -> String {
    let message = clean(&reason.message, MAX_REASON);
    format!("{}: {}. {}", reason.code, message.trim_end_matches('.'), reason.code.hint())
}

/// Why the object as a whole was refused; `unguarded` is only recorded.
fn refusals(decision: &Decision) -> impl Iterator<Item = &Reason> {
    decision.reasons.iter().filter(|reason| reason.code != ReasonCode::Unguarded)
}

/// One cause for each reason and each denial, at the first field that names the image.
fn causes(decision: &Decision) -> Vec<Value> {
    let cause = |reason: &Reason, field: &str| json!({"reason": reason.code, "field": field, "message": clean(&reason.message, MAX_REASON)});
    let whole = refusals(decision).map(|reason| {
        let field = reason.details.get("field").map_or("", String::as_str);
        cause(reason, field)
    });
    let of_images = decision.images.iter().flat_map(|image| {
        let asked = decision.request.images.iter().find(|asked| asked.image == image.image);
        let field = asked.and_then(|asked| asked.fields.first()).map_or("", String::as_str);
        image.answer.denials.iter().map(move |objection| cause(&objection.reason, field))
    });
    whole.chain(of_images).take(MAX_CAUSES).collect()
}

/// Each distinct warning on one short line.
fn warnings(decision: &Decision) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut total = 0;
    for objection in decision.images.iter().flat_map(|image| &image.answer.warnings) {
        let text = format!("attestry: {}: {}", objection.reason.code, objection.reason.message);
        let text = clean(&text, MAX_WARNING);
        if warnings.contains(&text) {
            continue;
        }
        total += text.len();
        if total > MAX_WARNINGS {
            break;
        }
        warnings.push(text);
    }
    warnings
}

/// The worst verdict, or that nothing was judged.
fn verdict(decision: &Decision) -> &'static str {
    decision.images.iter().filter_map(|image| image.verdict).max().map_or("none", Verdict::as_str)
}
