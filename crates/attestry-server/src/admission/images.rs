//! Where images stand in an object: one table of kinds, one walk over a pod spec.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use attestry_core::{Reason, ReasonCode, decision::RequestImage};
use serde_json::Value;

/// Image fields of one object, and distinct images among them (attack 38).
const MAX_FIELDS: usize = 256;
const MAX_DISTINCT: usize = 64;

/// The lists of a pod spec that name images, and where an item of each names its own (attack 51).
const LISTS: [(&str, &str); 4] = [
    ("initContainers", "image"),
    ("containers", "image"),
    ("ephemeralContainers", "image"),
    ("volumes", "image.reference"),
];

/// A kind of object that can be judged: where its pod spec stands, and whether that is a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// Path of the pod spec.
    path: &'static str,
    /// Whether Pods are made from it, which are judged themselves.
    pub(super) template: bool,
}

/// The kind by API group, version and name; `None` for every other. A version that is not known may keep its images
/// elsewhere, so it is another kind.
pub(super) fn kind(group: &str, version: &str, name: &str) -> Option<Kind> {
    let (path, template) = match (group, version, name) {
        ("", "v1", "Pod") => ("spec", false),
        ("", "v1", "PodTemplate") => ("template.spec", true),
        ("", "v1", "ReplicationController") => ("spec.template.spec", true),
        ("apps", "v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet") => ("spec.template.spec", true),
        ("batch", "v1", "Job") => ("spec.template.spec", true),
        ("batch", "v1", "CronJob") => ("spec.jobTemplate.spec.template.spec", true),
        _ => return None,
    };
    Some(Kind { path, template })
}

/// The images of `object` that `old` does not have in the same place, each distinct text once with all its fields, in the order of
/// appearance. Bounds hold for what is new: an old Pod keeps its labels and finalizers, however many images it has.
pub(super) fn new(object: &Value, old: Option<&Value>, kind: Kind) -> Result<Vec<RequestImage>, Reason> {
    let mut known = HashSet::new();
    if let Some(old) = old {
        let read = walk(old, kind, &mut |field, text| {
            known.insert((Some((field.list, field.at)), text));
            // A digest names the same bytes wherever it stands. A tag in a new place is pulled anew, and may have
            // moved since it was judged.
            if text.contains("@sha256:") {
                known.insert((None, text));
            }
            Ok(())
        });
        if read.is_err() {
            // What cannot be read excuses nothing.
            known.clear();
        }
    }
    let mut images: Vec<RequestImage> = Vec::new();
    let mut places = BTreeMap::new();
    let mut fields = 0;
    walk(object, kind, &mut |field, text| {
        if known.contains(&(Some((field.list, field.at)), text)) || known.contains(&(None, text)) {
            return Ok(());
        }
        if text.trim().is_empty() {
            // Something may fill in a template's image later; the Pods are judged with it.
            return if kind.template { Ok(()) } else { Err(empty(field)) };
        }
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(over_limit(format!("more than {MAX_FIELDS} image fields in one object")));
        }
        if let Some(image) = places.get(text).and_then(|at: &usize| images.get_mut(*at)) {
            image.fields.push(field.to_string());
            return Ok(());
        }
        if images.len() == MAX_DISTINCT {
            return Err(over_limit(format!("more than {MAX_DISTINCT} distinct images in one object")));
        }
        places.insert(text, images.len());
        images.push(RequestImage { image: text.to_owned(), fields: vec![field.to_string()] });
        Ok(())
    })?;
    Ok(images)
}

/// The place of one image. Written only when it is needed: a body of 8 MiB can hold millions of containers.
#[derive(Debug, Clone, Copy)]
struct Field {
    spec: &'static str,
    list: &'static str,
    at: usize,
    name: &'static str,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}[{}].{}", self.spec, self.list, self.at, self.name)
    }
}

/// Shows every image field to `visit`, absent ones as an empty text, until it objects.
fn walk<'o>(
    object: &'o Value,
    kind: Kind,
    visit: &mut dyn FnMut(Field, &'o str) -> Result<(), Reason>,
) -> Result<(), Reason> {
    let Some(spec) = pod_spec(object, kind)? else { return Ok(()) };
    for (list, name) in LISTS {
        let items = match spec.get(list) {
            None | Some(Value::Null) => continue,
            Some(Value::Array(items)) => items,
            Some(_) => return Err(malformed(&format!("{}.{list}", kind.path), "a list")),
        };
        for (at, item) in items.iter().enumerate() {
            let field = Field { spec: kind.path, list, at, name };
            if let Some(text) = image(item, field)? {
                visit(field, text)?;
            }
        }
    }
    Ok(())
}

/// The pod spec. A template may have none; a Pod always has one, so a Pod without it was not understood.
fn pod_spec(object: &Value, kind: Kind) -> Result<Option<&Value>, Reason> {
    let mut spec = object;
    let mut end = 0;
    for name in kind.path.split('.') {
        end += name.len();
        spec = match spec.get(name) {
            None | Some(Value::Null) if kind.template => return Ok(None),
            Some(value @ Value::Object(_)) => value,
            _ => return Err(malformed(&kind.path[..end], "an object")),
        };
        end += 1;
    }
    Ok(Some(spec))
}

/// The image of one container or volume; `None` for a volume of another sort.
fn image(item: &Value, field: Field) -> Result<Option<&str>, Reason> {
    let item_path = || format!("{}.{}[{}]", field.spec, field.list, field.at);
    let members = item.as_object().ok_or_else(|| malformed(&item_path(), "an object"))?;
    let mut value = members.get("image").unwrap_or(&Value::Null);
    if field.list == "volumes" {
        value = match value {
            Value::Null => return Ok(None),
            Value::Object(source) => source.get("reference").unwrap_or(&Value::Null),
            _ => return Err(malformed(&format!("{}.image", item_path()), "an object")),
        };
    }
    match value {
        Value::Null => Ok(Some("")),
        Value::String(text) => Ok(Some(text)),
        _ => Err(malformed(&field.to_string(), "a string")),
    }
}

pub(super) fn malformed(path: &str, wanted: &str) -> Reason {
    Reason::new(ReasonCode::RequestMalformed, format!("{path} is not {wanted}")).with("field", path)
}

fn empty(field: Field) -> Reason {
    Reason::new(ReasonCode::ReferenceMalformed, format!("{field} is empty")).with("field", field)
}

fn over_limit(message: String) -> Reason {
    Reason::new(ReasonCode::OverLimit, message)
}
