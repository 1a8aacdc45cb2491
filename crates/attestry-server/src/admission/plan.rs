//! What an AdmissionReview asks: read once, strictly where it matters, tolerant of what is new.

use attestry_core::{
    Reason, ReasonCode,
    decision::{DecisionRequest, RequestImage, Use},
    strict_json,
};
use serde::Deserialize;
use serde_json::Value;

use super::images;

/// A request that could be read.
#[derive(Debug)]
pub(crate) struct AdmissionRequest {
    /// What is recorded of it.
    pub(crate) request: DecisionRequest,
    /// Nothing may be written.
    pub(crate) dry_run: bool,
    /// What is to be done.
    pub(crate) plan: Plan,
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Carries no new image.
    Allow,
    /// Judge the images that are listed in the request.
    Judge(Use),
    /// Refused as a whole.
    Refuse(Reason),
    /// Allowed and recorded: denying would change nothing.
    Unguarded(Reason),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<Request>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) uid: String,
    pub(super) kind: GroupKind,
    pub(super) sub_resource: Option<String>,
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) operation: String,
    #[serde(default)]
    pub(super) user_info: UserInfo,
    #[serde(default)]
    pub(super) object: Value,
    #[serde(default)]
    pub(super) old_object: Value,
    pub(super) dry_run: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupKind {
    #[serde(default)]
    pub(super) group: String,
    #[serde(default)]
    pub(super) version: String,
    pub(super) kind: String,
}

#[derive(Debug, Deserialize, Default)]
pub(super) struct UserInfo {
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

/// Reads the body of a webhook call.
pub(crate) fn read(body: &[u8]) -> Result<AdmissionRequest, Reason> {
    let request = read_request(body)?;
    let (plan, images) = plan(&request);
    let recorded = DecisionRequest {
        uid: bounded(&request.uid),
        operation: bounded(&request.operation),
        kind: match request.kind.group.as_str() {
            "" => format!("{}/{}", bounded(&request.kind.version), bounded(&request.kind.kind)),
            group => format!("{}/{}/{}", bounded(group), bounded(&request.kind.version), bounded(&request.kind.kind)),
        },
        namespace: request.namespace.as_deref().filter(|n| !n.is_empty()).map(bounded),
        name: name(&request),
        object_uid: text(&request.object, "/metadata/uid"),
        user_name: Some(request.user_info.username.as_str()).filter(|n| !n.is_empty()).map(bounded),
        images,
    };
    Ok(AdmissionRequest { request: recorded, dry_run: request.dry_run.unwrap_or(false), plan })
}

pub(super) fn read_request(body: &[u8]) -> Result<Request, Reason> {
    let malformed = |message: String| Reason::new(ReasonCode::RequestMalformed, message);
    let review: Review =
        strict_json::read(body).map_err(|error| malformed(format!("the AdmissionReview cannot be read: {error}")))?;
    if review.api_version != "admission.k8s.io/v1" || review.kind != "AdmissionReview" {
        let found = format!("{} {}", review.api_version, review.kind);
        return Err(malformed(format!("this is {found:?}, not an admission.k8s.io/v1 AdmissionReview")));
    }
    review.request.ok_or_else(|| malformed("the AdmissionReview has no request".to_owned()))
}

fn plan(request: &Request) -> (Plan, Vec<RequestImage>) {
    let carries_images = matches!(request.operation.as_str(), "CREATE" | "UPDATE");
    let sub = request.sub_resource.as_deref().filter(|sub| !sub.is_empty());
    // DELETE, CONNECT and subresources such as binding, eviction, status, scale and resize bring no image (attack 87).
    if !carries_images || sub.is_some_and(|sub| sub != "ephemeralcontainers") {
        return (Plan::Allow, Vec::new());
    }
    let Some(kind) = images::kind(&request.kind.group, &request.kind.kind) else {
        let message = format!("{} is not a kind whose images are known", request.kind.kind);
        return (Plan::Refuse(Reason::new(ReasonCode::KindUnsupported, message)), Vec::new());
    };
    match new_images(request, kind) {
        Err(reason) => (Plan::Refuse(reason), Vec::new()),
        Ok(images) if images.is_empty() => (Plan::Allow, images),
        Ok(images) if is_mirror_of_a_node(request) => {
            let message = "a mirror Pod shows what its node already runs; refusing it would change nothing";
            (Plan::Unguarded(Reason::new(ReasonCode::Unguarded, message)), images)
        }
        Ok(images) => (Plan::Judge(if kind.template { Use::Template } else { Use::Pod }), images),
    }
}

/// The images of the object, without those that an UPDATE leaves as they were: old Pods keep their finalizers and
/// labels (attack 85). Owner, deletion timestamp and replicas are the object's own claims and change nothing.
pub(super) fn new_images(request: &Request, kind: images::Kind) -> Result<Vec<RequestImage>, Reason> {
    if !request.object.is_object() {
        return Err(images::malformed("request.object", "an object"));
    }
    let mut images = images::of(&request.object, kind)?;
    if request.operation == "UPDATE" && request.old_object.is_object() {
        let old = images::of(&request.old_object, kind).unwrap_or_default();
        images.retain(|image| !old.iter().any(|old| old.image == image.image));
    }
    Ok(images)
}

/// The annotation alone is anybody's to set (attack 86).
fn is_mirror_of_a_node(request: &Request) -> bool {
    let annotated =
        request.object.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some_and(Value::is_string);
    let user = &request.user_info;
    let node = user.username.starts_with("system:node:")
        && user.groups.as_ref().is_some_and(|groups| groups.iter().any(|group| group == "system:nodes"));
    request.kind.group.is_empty() && request.kind.kind == "Pod" && annotated && node
}

fn name(request: &Request) -> Option<String> {
    let given = request.name.as_deref().filter(|name| !name.is_empty()).map(bounded);
    given
        .or_else(|| text(&request.object, "/metadata/name"))
        .or_else(|| text(&request.object, "/metadata/generateName").map(|prefix| format!("{prefix}*")))
}

fn text(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(bounded)
}

/// Foreign text for the record: one line, and no longer than a name can be.
fn bounded(text: &str) -> String {
    attestry_core::reason::clean(text, 512)
}
