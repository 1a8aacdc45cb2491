//! Where images stand in an object: one table of kinds, one walk over a pod spec.

use std::collections::BTreeMap;

use attestry_core::{Reason, ReasonCode, decision::RequestImage};
use serde_json::Value;

/// Image fields of one object, and distinct images among them (attack 38).
const MAX_FIELDS: usize = 256;
const MAX_DISTINCT: usize = 64;

/// A kind of object that can be judged: where its pod spec stands, and whether that is a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Path of the pod spec.
    path: &'static [&'static str],
    /// Whether Pods are made from it, which are judged themselves.
    pub(super) template: bool,
}

/// The kind by API group and name; `None` for every other.
pub(super) fn kind(group: &str, name: &str) -> Option<Kind> {
    let (path, template): (&[&str], bool) = match (group, name) {
        ("", "Pod") => (&["spec"], false),
        ("", "PodTemplate") => (&["template", "spec"], true),
        ("", "ReplicationController") => (&["spec", "template", "spec"], true),
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => (&["spec", "template", "spec"], true),
        ("batch", "Job") => (&["spec", "template", "spec"], true),
        ("batch", "CronJob") => (&["spec", "jobTemplate", "spec", "template", "spec"], true),
        _ => return None,
    };
    Some(Kind { path, template })
}

/// Every image of an object, each distinct text once with all its fields, in the order of appearance.
pub(super) fn of(object: &Value, kind: Kind) -> Result<Vec<RequestImage>, Reason> {
    let mut walk = Walk { template: kind.template, fields: 0, images: Vec::new(), places: BTreeMap::new() };
    let mut spec = object;
    for (depth, name) in kind.path.iter().enumerate() {
        let path = kind.path[..=depth].join(".");
        spec = match spec.get(name) {
            // A template may be absent; a Pod without a spec is refused by the API server itself.
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(value @ Value::Object(_)) => value,
            Some(_) => return Err(malformed(&path, "an object")),
        };
    }
    let path = kind.path.join(".");
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (place, container) in items(spec, &path, list)? {
            walk.add(&container["image"], format!("{place}.image"))?;
        }
    }
    for (place, volume) in items(spec, &path, "volumes")? {
        if let Some(source) = volume.get("image").filter(|source| !source.is_null()) {
            let source = source.as_object().ok_or_else(|| malformed(&format!("{place}.image"), "an object"))?;
            walk.add(source.get("reference").unwrap_or(&Value::Null), format!("{place}.image.reference"))?;
        }
    }
    Ok(walk.images)
}

struct Walk {
    template: bool,
    fields: usize,
    images: Vec<RequestImage>,
    places: BTreeMap<String, usize>,
}

impl Walk {
    fn add(&mut self, image: &Value, field: String) -> Result<(), Reason> {
        let text = match image {
            Value::Null => "",
            Value::String(text) => text.as_str(),
            _ => return Err(malformed(&field, "a string")),
        };
        if text.is_empty() {
            // Kubernetes lets something else fill in a template's image later.
            return if self.template {
                Ok(())
            } else {
                Err(Reason::new(ReasonCode::ReferenceMalformed, format!("{field} is empty")).with("field", field))
            };
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(over_limit(format!("more than {MAX_FIELDS} image fields in one object")));
        }
        if let Some(image) = self.places.get(text).and_then(|at| self.images.get_mut(*at)) {
            image.fields.push(field);
            return Ok(());
        }
        if self.images.len() == MAX_DISTINCT {
            return Err(over_limit(format!("more than {MAX_DISTINCT} distinct images in one object")));
        }
        self.places.insert(text.to_owned(), self.images.len());
        self.images.push(RequestImage { image: text.to_owned(), fields: vec![field] });
        Ok(())
    }
}

/// The objects of a list in the pod spec, with their paths.
fn items<'a>(spec: &'a Value, path: &str, name: &str) -> Result<Vec<(String, &'a Value)>, Reason> {
    let list = match spec.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(malformed(&format!("{path}.{name}"), "a list")),
    };
    list.iter()
        .enumerate()
        .map(|(at, item)| {
            let place = format!("{path}.{name}[{at}]");
            if item.is_object() { Ok((place, item)) } else { Err(malformed(&place, "an object")) }
        })
        .collect()
}

pub(super) fn malformed(path: &str, wanted: &str) -> Reason {
    Reason::new(ReasonCode::RequestMalformed, format!("{path} is not {wanted}")).with("field", path)
}

fn over_limit(message: String) -> Reason {
    Reason::new(ReasonCode::OverLimit, message)
}
