//! Recorded AdmissionReviews: what each asks, what is judged of it, and how the answers read.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use attestry_core::{Timestamp, Verdict};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::*;

/// `allow`, `pod`, `template`, a code that refuses the whole, or `unguarded`; then the fields that are judged.
const EXPECTED: &[(&str, &str, &[&str])] = &[
    ("configmap-create", "kind-unsupported", &[]),
    ("cronjob-create", "template", &["spec.jobTemplate.spec.template.spec.containers[0].image"]),
    ("daemonset-create", "template", &["spec.template.spec.containers[0].image"]),
    ("deployment-create", "template", &["spec.template.spec.containers[0].image"]),
    ("deployment-scale", "allow", &[]),
    ("deployment-zero-replicas", "template", &["spec.template.spec.containers[0].image"]),
    ("ephemeralcontainers-update", "pod", &["spec.ephemeralContainers[0].image"]),
    ("job-create", "template", &["spec.template.spec.containers[0].image"]),
    ("list-create", "kind-unsupported", &[]),
    ("pod-binding", "allow", &[]),
    ("pod-create", "pod", &["spec.containers[0].image"]),
    ("pod-delete", "allow", &[]),
    ("pod-dry-run", "pod", &["spec.containers[0].image"]),
    ("pod-eviction", "allow", &[]),
    ("pod-exec", "allow", &[]),
    ("pod-generate-name", "pod", &["spec.containers[0].image"]),
    ("pod-image-volume", "pod", &["spec.containers[0].image", "spec.volumes[1].image.reference"]),
    (
        "pod-init-and-sidecar",
        "pod",
        &[
            "spec.initContainers[0].image",
            "spec.initContainers[1].image",
            "spec.containers[0].image",
            "spec.containers[1].image",
        ],
    ),
    ("pod-mirror-by-node", "unguarded", &["spec.containers[0].image"]),
    ("pod-mirror-by-user", "pod", &["spec.containers[0].image"]),
    ("pod-resize", "allow", &[]),
    ("pod-status", "allow", &[]),
    ("pod-update-finalizer-of-terminating", "allow", &[]),
    ("pod-update-image", "pod", &["spec.containers[0].image"]),
    ("pod-update-image-of-terminating", "pod", &["spec.containers[0].image"]),
    ("pod-update-labels", "allow", &[]),
    ("podtemplate-create", "template", &["template.spec.containers[0].image"]),
    ("replicaset-create", "template", &["spec.template.spec.containers[0].image"]),
    ("replicationcontroller-create", "template", &["spec.template.spec.containers[0].image"]),
    ("replicationcontroller-null-template", "allow", &[]),
    ("statefulset-create", "template", &["spec.template.spec.containers[0].image"]),
];

fn recorded(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/admission");
    fs::read(folder.join(format!("{name}.json"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn described(plan: &Plan) -> &str {
    match plan {
        Plan::Allow => "allow",
        Plan::Judge(Use::Template) => "template",
        Plan::Judge(_) => "pod",
        Plan::Refuse(reason) => reason.code.as_str(),
        Plan::Unguarded(_) => "unguarded",
    }
}

#[test]
fn every_recorded_review_is_planned() {
    for (name, plan, fields) in EXPECTED {
        let request = plan::read(&recorded(name)).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(described(&request.plan), *plan, "{name}");
        let found: Vec<&str> =
            request.request.images.iter().flat_map(|i| i.fields.iter().map(String::as_str)).collect();
        assert_eq!(found, *fields, "{name}");
        assert!(request.request.images.iter().all(|i| i.image.starts_with("registry.example/")), "{name}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/admission");
    let files =
        fs::read_dir(folder).unwrap().filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"));
    assert_eq!(files.count(), EXPECTED.len(), "every file has its line here");
}

#[test]
fn attack_91_what_is_recorded_of_a_request() {
    let request = plan::read(&recorded("pod-generate-name")).unwrap().request;
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(request.name.as_deref(), Some("web-5d4f8c7b6d-*"));
    assert_eq!((request.kind.as_str(), request.namespace.as_deref()), ("v1/Pod", Some("shop")));
    assert_eq!(request.user_name.as_deref(), Some("system:serviceaccount:kube-system:replicaset-controller"));
    for secret in ["production", "MODE", "tolerations", "credential-id"] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(plan::read(&recorded("pod-dry-run")).unwrap().dry_run);
}

/// A review with the object of `pod-create` changed.
fn changed(change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut review: Value = serde_json::from_slice(&recorded("pod-create")).unwrap();
    change(&mut review);
    review.to_string().into_bytes()
}

#[test]
fn attack_59_reviews_that_cannot_be_read_name_the_place() {
    for (body, place) in [
        (b"".to_vec(), "AdmissionReview"),
        (b"{".to_vec(), "AdmissionReview"),
        (b"[]".to_vec(), "AdmissionReview"),
        (recorded("pod-create")[..200].to_vec(), "AdmissionReview"),
        (changed(|r| r["apiVersion"] = json!("admission.k8s.io/v1beta1")), "v1beta1"),
        (changed(|r| r["request"] = Value::Null), "request"),
        (changed(|r| r["request"]["uid"] = json!(5)), "AdmissionReview"),
        (br#"{"apiVersion":"admission.k8s.io/v1","apiVersion":"x","kind":"AdmissionReview"}"#.to_vec(), "twice"),
        ([b"[".repeat(200), b"]".repeat(200)].concat(), "deeper"),
    ] {
        let reason = plan::read(&body).unwrap_err();
        assert_eq!(reason.code, ReasonCode::RequestMalformed);
        assert!(reason.message.contains(place), "{place}: {reason}");
    }
    for (change, code, place) in [
        (json!(null), "request-malformed", "request.object"),
        (json!({"spec": 5}), "request-malformed", "spec"),
        (json!({"spec": {"containers": {}}}), "request-malformed", "spec.containers"),
        (json!({"spec": {"containers": [5]}}), "request-malformed", "spec.containers[0]"),
        (json!({"spec": {"containers": [{"image": 5}]}}), "request-malformed", "spec.containers[0].image"),
        (json!({"spec": {"containers": [{"image": ""}]}}), "reference-malformed", "spec.containers[0].image"),
        (json!({"spec": {"volumes": [{"image": {}}]}}), "reference-malformed", "spec.volumes[0].image.reference"),
    ] {
        let request = plan::read(&changed(|r| r["request"]["object"] = change.clone())).unwrap();
        let Plan::Refuse(reason) = request.plan else { panic!("{change} is not refused") };
        assert_eq!((reason.code.as_str(), reason.details["field"].as_str()), (code, place), "{change}");
    }
}

#[test]
fn attack_38_images_are_bounded() {
    let containers = |count: usize, image: &dyn Fn(usize) -> String| {
        let list: Vec<Value> = (0..count).map(|n| json!({"name": n.to_string(), "image": image(n)})).collect();
        plan::read(&changed(|r| r["request"]["object"]["spec"]["containers"] = json!(list))).unwrap()
    };
    assert_eq!(described(&containers(256, &|_| "registry.example/a".into()).plan), "pod");
    assert_eq!(described(&containers(257, &|_| "registry.example/a".into()).plan), "over-limit");
    assert_eq!(described(&containers(64, &|n| format!("registry.example/a{n}")).plan), "pod");
    assert_eq!(described(&containers(65, &|n| format!("registry.example/a{n}")).plan), "over-limit");
    let same = containers(200, &|_| "registry.example/a".into()).request.images;
    assert_eq!((same.len(), same[0].fields.len()), (1, 200), "one image, one review");
}

fn decision(images: Vec<ImageDecision>, reasons: Vec<Reason>) -> Decision {
    let request = plan::read(&recorded("pod-create")).unwrap().request;
    let mut decision = Decision::new(Timestamp::UNIX_EPOCH, request, Digest::of("set"));
    decision.allowed = reasons.is_empty() && images.iter().all(|image| image.answer.allowed);
    decision.images = images;
    decision.reasons = reasons;
    decision
}

fn image(name: &str, denials: usize, warnings: usize) -> ImageDecision {
    let objection = |code: ReasonCode, n: usize| Objection {
        policy: Some("production".to_owned()),
        requirement: Some(format!("signed-{n}")),
        reason: Reason::new(code, format!("{name} lacks something\nnumber {n}")),
    };
    ImageDecision {
        image: name.to_owned(),
        digest: None,
        verdict: Some(if denials == 0 { Verdict::Trusted } else { Verdict::Untrusted }),
        review: None,
        answer: Answer {
            allowed: denials == 0,
            undeterminable: false,
            denials: (0..denials).map(|n| objection(ReasonCode::SignatureMissing, n)).collect(),
            warnings: (0..warnings).map(|n| objection(ReasonCode::RegistryThrottled, n)).collect(),
        },
    }
}

#[test]
fn a_denial_reads_well_and_stays_short() {
    let answer = respond::validate("u", &decision(vec![image("registry.example/a", 1, 0)], Vec::new()), Some("ab12-7"));
    insta::assert_json_snapshot!(answer);
    let many: Vec<ImageDecision> = (0..40).map(|n| image(&format!("registry.example/{n}"), 2, 0)).collect();
    let answer = respond::validate("u", &decision(many, Vec::new()), Some("ab12-7"));
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.len() <= 1024 && message.starts_with("ab12-7: registry.example/0: "), "{message}");
    assert!(message.ends_with(" more"), "{message}");
    assert!(answer["response"]["status"]["details"].get("retryAfterSeconds").is_none());
    let long = respond::validate("u", &decision(vec![image(&"x".repeat(5000), 1, 0)], Vec::new()), Some("ab12-7"));
    assert!(long["response"]["status"]["message"].as_str().unwrap().len() <= 1024);
}

#[test]
fn warnings_are_short_single_lines() {
    let images: Vec<ImageDecision> = (0..60).map(|n| image(&format!("registry.example/{n}"), 0, 2)).collect();
    let answer = respond::validate("u", &decision(images, Vec::new()), None);
    assert_eq!(answer["response"]["allowed"], true);
    let warnings = answer["response"]["warnings"].as_array().unwrap();
    assert!(warnings.iter().all(|w| w.as_str().unwrap().len() <= 120 && !w.as_str().unwrap().contains('\n')));
    assert!(warnings.iter().map(|w| w.as_str().unwrap().len()).sum::<usize>() <= 4096);
    assert!(answer["response"].get("status").is_none());
}

#[test]
fn a_refusal_of_the_whole_has_its_code() {
    let reason = Reason::new(ReasonCode::KindUnsupported, "List is not a kind whose images are known");
    let answer = respond::validate("u", &decision(Vec::new(), vec![reason]), None);
    let cause = &answer["response"]["status"]["details"]["causes"][0];
    assert_eq!(
        (cause["reason"].as_str(), answer["response"]["allowed"].as_bool()),
        (Some("kind-unsupported"), Some(false))
    );
}

#[test]
fn pinning_patches_new_tags_of_pods_and_nothing_else() {
    let tagged = |name: &str| {
        String::from_utf8(recorded(name)).unwrap().replace(
            "registry.example/shop/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "registry.example/shop/app:v1",
        )
    };
    let digest = Digest::of("x");
    let pins = BTreeMap::from([("registry.example/shop/app:v1".to_owned(), digest)]);
    for (name, fields) in [
        ("pod-create", vec!["/spec/containers/0/image"]),
        ("pod-image-volume", vec!["/spec/containers/0/image", "/spec/volumes/1/image/reference"]),
        ("pod-update-image", vec!["/spec/containers/0/image"]),
        ("ephemeralcontainers-update", vec!["/spec/ephemeralContainers/0/image"]),
        ("pod-update-labels", vec![]),
        ("pod-delete", vec![]),
        ("deployment-create", vec![]),
        ("configmap-create", vec![]),
    ] {
        let pinning = pin::images(tagged(name).as_bytes()).unwrap();
        let answer = pin::respond(&pinning, &pins);
        assert_eq!(answer["response"]["allowed"], true);
        let Some(patch) = answer["response"].get("patch") else {
            assert!(fields.is_empty() && answer["response"].get("patchType").is_none(), "{name}");
            continue;
        };
        let patch: Vec<Value> = serde_json::from_slice(&STANDARD.decode(patch.as_str().unwrap()).unwrap()).unwrap();
        let replaced: Vec<&Value> = patch.iter().filter(|step| step["op"] == "replace").collect();
        assert_eq!(replaced.iter().map(|s| s["path"].as_str().unwrap()).collect::<Vec<_>>(), fields, "{name}");
        assert!(replaced.iter().all(|s| s["value"] == format!("registry.example/shop/app:v1@{digest}")), "{name}");
        assert_eq!(patch.iter().filter(|step| step["op"] == "test").count(), fields.len(), "{name}");
    }
    let pinned = pin::respond(&pin::images(&recorded("pod-create")).unwrap(), &pins);
    assert!(pinned["response"].get("patch").is_none(), "a digest is not pinned again");
}

#[tokio::test]
async fn attack_88_the_deadline_precedes_the_callers() {
    let left = |timeout: Option<&str>| {
        let call = Call { timeout: timeout.map(str::to_owned) };
        call.deadline().map(|deadline| deadline - Instant::now())
    };
    assert!(left(Some("3s")).unwrap() <= Duration::from_millis(1800));
    assert!(left(Some("1s")).unwrap() <= FLOOR);
    assert!(left(None).unwrap() <= Duration::from_millis(8800));
    assert!(left(Some("999999s")).unwrap() <= MAX_TIMEOUT);
    for bad in ["", "s", "10", "-1s", "1.5s", "ten"] {
        assert!(left(Some(bad)).is_err(), "{bad}");
    }
}
