//! Pinning tags by mutation: a JSON patch that tests before it replaces.

use std::collections::BTreeMap;

use attestry_core::{Digest, Reason, Reference, decision::RequestImage};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    images,
    plan::{GroupKind, Request},
};

/// What a mutating call could pin.
#[derive(Debug)]
pub(crate) struct Pinning {
    uid: String,
    /// The namespace, by which policies select.
    pub(crate) namespace: Option<String>,
    /// New images without a digest.
    pub(crate) images: Vec<RequestImage>,
}

/// The images of a Pod that are named by tags and are new. Other kinds have none: their Pods are pinned when they
/// are made, and patching a workload would fight whatever keeps it as it was written.
pub(crate) fn images(body: &[u8]) -> Result<Pinning, Reason> {
    let request = Request::read(body)?;
    let GroupKind { group, version, kind } = &request.kind;
    let subresource_ok = request.sub_resource.as_deref().is_none_or(|name| name == "ephemeralcontainers");
    // A mirror Pod must stay equal to the file that its node runs.
    let pinnable = request.writes() && subresource_ok && !request.is_mirror_of_a_node();
    let kind = images::kind(group, version, kind).filter(|kind| pinnable && !kind.template);
    // What cannot be read is refused by validation, which says why.
    let mut images = kind.and_then(|kind| request.new_images(kind).ok()).unwrap_or_default();
    images.retain(|image| image.image.parse::<Reference>().is_ok_and(|reference| reference.digest().is_none()));
    Ok(Pinning { uid: request.uid, namespace: request.namespace, images })
}

/// The answer: always allowed, with a patch only where something changes.
pub(crate) fn respond(pinning: &Pinning, pins: &BTreeMap<String, Digest>) -> Value {
    let mut patch = Vec::new();
    for image in &pinning.images {
        let Some(digest) = pins.get(&image.image) else { continue };
        let pinned = format!("{}@{digest}", image.image);
        for field in &image.fields {
            let path = pointer(field);
            // Another webhook may have changed it in between; then this patch must not win.
            patch.push(json!({"op": "test", "path": path, "value": image.image}));
            patch.push(json!({"op": "replace", "path": path, "value": pinned}));
        }
    }
    let mut response = json!({"uid": pinning.uid, "allowed": true});
    if !patch.is_empty() {
        response["patchType"] = json!("JSONPatch");
        response["patch"] = json!(STANDARD.encode(Value::Array(patch).to_string()));
    }
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
}

/// `spec.containers[0].image` → `/spec/containers/0/image`. Our own paths hold no `~` and no `/`.
fn pointer(field: &str) -> String {
    format!("/{}", field.replace(['.', '['], "/").replace(']', ""))
}
