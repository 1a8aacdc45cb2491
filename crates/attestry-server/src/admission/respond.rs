//! Answers as AdmissionReviews: what a person reads in kubectl, and what a program reads in the causes.

use attestry_core::{
    Reason, Verdict,
    decision::{Decision, ImageDecision, Objection},
    reason::clean,
};
use serde_json::{Value, json};

/// The message of a refusal, in bytes.
const MAX_MESSAGE: usize = 1024;
/// One warning, and all of them; longer ones are cut by the API server.
const MAX_WARNING: usize = 120;
const MAX_WARNINGS: usize = 4096;
const MAX_CAUSES: usize = 64;

/// Allowed without judgement.
pub(crate) fn allow(uid: &str) -> Value {
    review(json!({"uid": uid, "allowed": true}))
}

/// The answer to a judged request.
pub(crate) fn validate(uid: &str, decision: &Decision, id: Option<&str>) -> Value {
    let mut annotations = json!({"policy-set": decision.policy_set, "verdict": verdicts(decision)});
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
    let mut lines: Vec<String> = decision.reasons.iter().map(line).collect();
    for image in decision.images.iter().filter(|image| !image.answer.allowed) {
        lines.extend(image.answer.denials.iter().map(|objection| image_line(image, objection)));
    }
    let mut text = id.map(|id| format!("{id}: ")).unwrap_or_default();
    for (told, line) in lines.iter().enumerate() {
        let separator = if told == 0 { "" } else { "; " };
        let rest = format!("; and {} more", lines.len() - told);
        if text.len() + separator.len() + line.len() + rest.len() > MAX_MESSAGE {
            if told == 0 {
                text.push_str(&clean(line, MAX_MESSAGE.saturating_sub(text.len() + rest.len())));
            }
            let left = lines.len() - told.max(1);
            if left > 0 {
                text.push_str(&format!("; and {left} more"));
            }
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
    let place = if place.is_empty() { place } else { format!("{place} ") };
    format!("{}: {place}{}", clean(&image.image, 200), line(&objection.reason))
}

fn line(reason: &Reason) -> String {
    format!("{}: {}. {}", reason.code, clean(&reason.message, 300), reason.code.hint())
}

fn causes(decision: &Decision) -> Vec<Value> {
    let whole = decision.reasons.iter().map(|reason| {
        let field = reason.details.get("field").cloned().unwrap_or_default();
        json!({"reason": reason.code, "field": field, "message": reason.message})
    });
    let of_images = decision.images.iter().flat_map(|image| {
        let field = decision.request.images.iter().find(|asked| asked.image == image.image);
        let field = field.and_then(|asked| asked.fields.first()).cloned().unwrap_or_default();
        image.answer.denials.iter().map(move |objection| {
            json!({"reason": objection.reason.code, "field": field, "message": objection.reason.message})
        })
    });
    whole.chain(of_images).take(MAX_CAUSES).collect()
}

fn warnings(decision: &Decision) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut total = 0;
    for image in &decision.images {
        for objection in &image.answer.warnings {
            let text = format!("attestry: {}: {}", objection.reason.code, objection.reason.message);
            let text = clean(&text, MAX_WARNING);
            total += text.len();
            if total > MAX_WARNINGS {
                return warnings;
            }
            if !warnings.contains(&text) {
                warnings.push(text);
            }
        }
    }
    warnings
}

/// The worst verdict, or that nothing was judged.
fn verdicts(decision: &Decision) -> &'static str {
    decision.images.iter().filter_map(|image| image.verdict).max().map_or("none", Verdict::as_str)
}
