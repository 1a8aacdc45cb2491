//! What an AdmissionReview asks: read once, strictly where it matters, tolerant of what is new.

use attestry_core::{
    Reason, ReasonCode,
    decision::{DecisionRequest, RequestImage, Use},
    reason::clean,
    strict_json,
};
use serde_json::Value;

use super::images::{self, malformed};

const API_VERSION: &str = "admission.k8s.io/v1";
/// Kubernetes sends a UUID. It is echoed and recorded, so it is refused rather than altered.
const MAX_UID: usize = 128;
/// Names and kinds in the record; Kubernetes' own bound is 253.
const MAX_NAME: usize = 512;
/// Subresources that bring no image to where it runs (attack 87). Any other is judged like its object.
const WITHOUT_IMAGES: [&str; 10] =
    ["attach", "binding", "eviction", "exec", "log", "portforward", "proxy", "resize", "scale", "status"];

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

/// Reads the body of a webhook call. An error has the code `request-malformed` and names the member to blame.
pub(crate) fn read(body: &[u8]) -> Result<AdmissionRequest, Reason> {
    let request = Request::read(body)?;
    let (plan, images) = plan(&request);
    let recorded = DecisionRequest {
        name: request.recorded_name(),
        object_uid: text_at(&request.object, "/metadata/uid"),
        kind: clean(&request.kind.to_string(), MAX_NAME),
        uid: request.uid,
        operation: request.operation,
        namespace: request.namespace.as_deref().map(bounded),
        user_name: request.user_name.as_deref().map(bounded),
        images,
    };
    Ok(AdmissionRequest { request: recorded, dry_run: request.dry_run, plan })
}

fn plan(request: &Request) -> (Plan, Vec<RequestImage>) {
    let alone = |plan| (plan, Vec::new());
    // DELETE and CONNECT bring no image either.
    if !request.writes() || request.is_without_images() {
        return alone(Plan::Allow);
    }
    let GroupKind { group, version, kind } = &request.kind;
    let Some(kind) = images::kind(group, version, kind) else {
        let message = format!("{} is not a kind whose images are known", request.kind);
        return alone(Plan::Refuse(Reason::new(ReasonCode::KindUnsupported, message)));
    };
    match request.new_images(kind) {
        Err(reason) => alone(Plan::Refuse(reason)),
        Ok(images) if images.is_empty() => alone(Plan::Allow),
        Ok(images) if request.is_mirror_of_a_node() => {
            let message = "a mirror Pod shows what its node already runs; refusing it would change nothing";
            (Plan::Unguarded(Reason::new(ReasonCode::Unguarded, message)), images)
        }
        Ok(images) => (Plan::Judge(if kind.template { Use::Template } else { Use::Pod }), images),
    }
}

/// The members of an AdmissionReview that are used. Others are not looked at: Kubernetes adds new ones (attack 59).
#[derive(Debug)]
pub(super) struct Request {
    pub(super) uid: String,
    pub(super) kind: GroupKind,
    pub(super) sub_resource: Option<String>,
    pub(super) namespace: Option<String>,
    operation: String,
    name: Option<String>,
    user_name: Option<String>,
    groups: Vec<String>,
    object: Value,
    old_object: Value,
    dry_run: bool,
}

/// What the object is.
#[derive(Debug)]
pub(super) struct GroupKind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
}

impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}/{}", self.version, self.kind)
    }
}

impl Request {
    /// Reads the envelope. What the object holds is read by [`images`], and only where it matters.
    pub(super) fn read(body: &[u8]) -> Result<Self, Reason> {
        let mut review = strict_json::parse(body).map_err(|error| {
            Reason::new(ReasonCode::RequestMalformed, format!("the AdmissionReview cannot be read: {error}"))
        })?;
        if !review.is_object() {
            return Err(malformed("the AdmissionReview", "an object"));
        }
        let members = Members { value: &review, path: "" };
        let (version, kind) = (members.text("apiVersion")?, members.text("kind")?);
        if version.as_deref() != Some(API_VERSION) || kind.as_deref() != Some("AdmissionReview") {
            let found = format!("{} {}", version.unwrap_or_default(), kind.unwrap_or_default());
            let message = format!("this is {:?}, not an {API_VERSION} AdmissionReview", bounded(found.trim()));
            return Err(Reason::new(ReasonCode::RequestMalformed, message).with("field", "apiVersion"));
        }
        let members = Members { value: &review["request"], path: "request." };
        if !members.value.is_object() {
            return Err(malformed("request", "an object"));
        }
        let uid = members.required("uid")?;
        if uid.len() > MAX_UID || uid.chars().any(char::is_control) {
            return Err(malformed("request.uid", "a uid"));
        }
        let operation = members.required("operation")?;
        if !matches!(operation.as_str(), "CREATE" | "UPDATE" | "DELETE" | "CONNECT") {
            return Err(malformed("request.operation", "CREATE, UPDATE, DELETE or CONNECT"));
        }
        let of_kind = Members { value: &members.value["kind"], path: "request.kind." };
        let of_user = Members { value: &members.value["userInfo"], path: "request.userInfo." };
        let mut request = Self {
            uid,
            operation,
            kind: GroupKind {
                group: of_kind.text("group")?.unwrap_or_default(),
                version: of_kind.required("version")?,
                kind: of_kind.required("kind")?,
            },
            sub_resource: members.text("subResource")?,
            namespace: members.text("namespace")?,
            name: members.text("name")?,
            user_name: of_user.text("username")?,
            groups: of_user.texts("groups")?,
            dry_run: members.flag("dryRun")?,
            object: Value::Null,
            old_object: Value::Null,
        };
        // The objects are large: they are moved, not copied.
        request.object = review["request"]["object"].take();
        request.old_object = review["request"]["oldObject"].take();
        Ok(request)
    }

    /// Whether an object is made or changed.
    pub(super) fn writes(&self) -> bool {
        matches!(self.operation.as_str(), "CREATE" | "UPDATE")
    }

    fn is_without_images(&self) -> bool {
        // `POST bindings` is the old spelling of `pods/binding`.
        let binding = self.kind.group.is_empty() && self.kind.kind == "Binding";
        binding || self.sub_resource.as_deref().is_some_and(|name| WITHOUT_IMAGES.contains(&name))
    }

    /// The images of the object, without those that an UPDATE leaves as they were: old Pods keep their finalizers and
    /// labels (attack 85). Owner, deletion timestamp and replicas are the object's own claims and change nothing
    /// (attack 53).
    pub(super) fn new_images(&self, kind: images::Kind) -> Result<Vec<RequestImage>, Reason> {
        if !self.object.is_object() {
            return Err(malformed("request.object", "an object"));
        }
        let old = Some(&self.old_object).filter(|old| self.operation == "UPDATE" && old.is_object());
        images::new(&self.object, old, kind)
    }

    /// The annotation alone is anybody's to set (attack 86).
    pub(super) fn is_mirror_of_a_node(&self) -> bool {
        let pod = self.kind.group.is_empty() && self.kind.kind == "Pod" && self.sub_resource.is_none();
        let annotated =
            self.object.pointer("/metadata/annotations/kubernetes.io~1config.mirror").is_some_and(Value::is_string);
        let node = self.user_name.as_deref().is_some_and(|name| name.starts_with("system:node:"))
            && self.groups.iter().any(|group| group == "system:nodes");
        pod && annotated && node
    }

    /// The name, or what the API server will begin it with.
    fn recorded_name(&self) -> Option<String> {
        let prefix = || text_at(&self.object, "/metadata/generateName").map(|prefix| format!("{prefix}*"));
        self.name.as_deref().map(bounded).or_else(|| text_at(&self.object, "/metadata/name")).or_else(prefix)
    }
}

/// One object of the envelope. An absent object has no members, and `null` is the same as absent.
struct Members<'v> {
    value: &'v Value,
    path: &'static str,
}

impl Members<'_> {
    /// A text, or `None` where it is absent or empty.
    fn text(&self, name: &str) -> Result<Option<String>, Reason> {
        match self.get(name)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            _ => Err(self.malformed(name, "a string")),
        }
    }

    fn required(&self, name: &str) -> Result<String, Reason> {
        self.text(name)?.ok_or_else(|| self.malformed(name, "there"))
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Reason> {
        let wrong = || self.malformed(name, "a list of strings");
        match self.get(name)? {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            _ => Err(wrong()),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Reason> {
        match self.get(name)? {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.malformed(name, "true or false")),
        }
    }

    fn get(&self, name: &str) -> Result<&Value, Reason> {
        match self.value {
            Value::Null | Value::Object(_) => Ok(&self.value[name]),
            _ => Err(malformed(self.path.trim_end_matches('.'), "an object")),
        }
    }

    fn malformed(&self, name: &str, wanted: &str) -> Reason {
        malformed(&format!("{}{name}", self.path), wanted)
    }
}

fn text_at(object: &Value, pointer: &str) -> Option<String> {
    object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty()).map(bounded)
}

/// Foreign text for the record: one line, and no longer than a name can be.
fn bounded(text: &str) -> String {
    clean(text, MAX_NAME)
}
