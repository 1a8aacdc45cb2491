//! Recorded AdmissionReviews: what each asks, what is judged of it, and how the answers read.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path};

use attestry_core::{Timestamp, Verdict};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{plan::AdmissionRequest, *};

/// `allow`, `pod`, `template`, a code that refuses the whole, or `unguarded`; then the fields that are judged.
const EXPECTED: &[(&str, &str, &[&str])] = &[
    ("configmap-create", "kind-unsupported", &[]),
    ("cronjob-create", "template", &["spec.jobTemplate.spec.template.spec.containers[0].image"]),
    ("daemonset-create", "template", &["spec.template.spec.containers[0].image"]),
    // Attack 52: server-side apply arrives as an UPDATE like any other.
    ("deployment-apply-image", "template", &["spec.template.spec.containers[0].image"]),
    ("deployment-apply-replicas", "allow", &[]),
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

/// What is recorded of each request, and how the refusals of a whole object read.
#[test]
fn every_recorded_review_leaves_this_record() {
    let mut all = BTreeMap::new();
    for (name, ..) in EXPECTED {
        let AdmissionRequest { request, plan, dry_run } = plan::read(&recorded(name)).unwrap();
        let uid = request.uid.clone();
        let mut decision = Decision::new(Timestamp::UNIX_EPOCH, request.clone(), Digest::of("set"));
        let answer = match plan {
            Plan::Allow => respond::allow(&uid),
            Plan::Refuse(reason) => {
                refuse(&mut decision, reason);
                respond::validate(&uid, &decision, Some("ab12-7"))
            }
            Plan::Unguarded(reason) => {
                decision.reasons.push(reason);
                respond::validate(&uid, &decision, Some("ab12-7"))
            }
            // What judged requests are answered depends on the reviews of their images.
            Plan::Judge(_) => Value::Null,
        };
        assert!(answer.is_null() || answer["response"]["uid"] == request.uid, "{name}: the uid is echoed");
        all.insert(*name, json!({"request": request, "dryRun": dry_run, "answer": answer["response"]}));
    }
    insta::assert_json_snapshot!(all);
}

#[test]
fn attack_91_what_is_recorded_of_a_request() {
    let request = plan::read(&recorded("pod-generate-name")).unwrap().request;
    let text = serde_json::to_string(&request).unwrap();
    assert_eq!(request.name.as_deref(), Some("web-5d4f8c7b6d-*"));
    assert_eq!((request.kind.as_str(), request.namespace.as_deref()), ("v1/Pod", Some("shop")));
    assert_eq!(request.user_name.as_deref(), Some("system:serviceaccount:kube-system:replicaset-controller"));
    for secret in ["swordfish", "DATABASE_PASSWORD", "tolerations", "credential-id"] {
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
        (changed(|r| r["request"]["uid"] = json!(5)), "request.uid is not a string"),
        (changed(|r| r["request"]["uid"] = json!("")), "request.uid"),
        (changed(|r| r["request"]["uid"] = json!("a\nb")), "request.uid"),
        (changed(|r| r["request"]["uid"] = json!("a".repeat(129))), "request.uid"),
        (changed(|r| r["request"]["kind"] = json!("Pod")), "request.kind is not an object"),
        (changed(|r| r["request"]["kind"]["kind"] = Value::Null), "request.kind.kind"),
        (changed(|r| r["request"]["operation"] = json!("PATCH")), "request.operation"),
        (changed(|r| r["request"]["subResource"] = json!(["status"])), "request.subResource"),
        (changed(|r| r["request"]["dryRun"] = json!("false")), "request.dryRun"),
        (changed(|r| r["request"]["userInfo"]["groups"] = json!([5])), "request.userInfo.groups"),
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
fn what_kubernetes_may_add_or_leave_out_is_tolerated() {
    let body = changed(|r| {
        r["added"] = json!({"later": true});
        r["request"]["added"] = json!([1]);
        r["request"]["object"]["spec"]["containers"][0]["added"] = json!({"x": 1});
        for absent in ["requestKind", "requestResource", "oldObject", "dryRun", "options", "userInfo"] {
            r["request"].as_object_mut().unwrap().remove(absent);
        }
        r["request"]["subResource"] = json!("");
    });
    let request = plan::read(&body).unwrap();
    assert_eq!((described(&request.plan), request.dry_run), ("pod", false));
}

#[test]
fn no_claim_of_the_object_is_a_bypass() {
    let object = |path: &str, value: Value| {
        changed(|r| {
            let mut place = &mut r["request"];
            for name in path.split('/') {
                place = &mut place[name];
            }
            *place = value.clone();
        })
    };
    for (story, body, plan) in [
        ("attack 53, deletion", object("object/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")), "pod"),
        ("attack 53, owner", object("object/metadata/ownerReferences", json!([{"kind": "Node", "name": "n"}])), "pod"),
        ("an old object on CREATE", { changed(|r| r["request"]["oldObject"] = r["request"]["object"].clone()) }, "pod"),
        ("a version that is not known", object("kind/version", json!("v2")), "kind-unsupported"),
        ("another group's Pod", object("kind/group", json!("example.com")), "kind-unsupported"),
        ("a subresource that is not known", object("subResource", json!("future")), "pod"),
        ("attack 87, scale", object("subResource", json!("scale")), "allow"),
        ("attack 87, binding", object("kind/kind", json!("Binding")), "allow"),
        ("a Pod without spec", object("object/spec", Value::Null), "request-malformed"),
        ("a space for an image", object("object/spec/containers", json!([{"image": " "}])), "reference-malformed"),
    ] {
        assert_eq!(described(&plan::read(&body).unwrap().plan), plan, "{story}");
    }
}

#[test]
fn attack_86_a_mirror_pod_is_one_only_from_its_node() {
    for (name, groups, plan) in [
        ("system:node:worker-1", json!(["system:nodes", "system:authenticated"]), "unguarded"),
        ("system:node:worker-1", json!(["system:authenticated"]), "pod"),
        ("dev@shop.example", json!(["system:nodes"]), "pod"),
        ("system:node:worker-1", Value::Null, "pod"),
    ] {
        let mut review: Value = serde_json::from_slice(&recorded("pod-mirror-by-node")).unwrap();
        review["request"]["userInfo"] = json!({"username": name, "groups": groups});
        let body = review.to_string();
        assert_eq!(described(&plan::read(body.as_bytes()).unwrap().plan), plan, "{name} {groups}");
        review["request"]["object"]["metadata"]["annotations"] = json!({});
        assert_eq!(described(&plan::read(review.to_string().as_bytes()).unwrap().plan), "pod", "{name} {groups}");
    }
}

/// An UPDATE of `pod-create` from the images `old` to `new`, in one container each.
fn update(old: &[&str], new: &[&str]) -> AdmissionRequest {
    let containers = |images: &[&str]| images.iter().map(|image| json!({"image": image})).collect::<Value>();
    let body = changed(|r| {
        r["request"]["operation"] = json!("UPDATE");
        r["request"]["oldObject"] = r["request"]["object"].clone();
        r["request"]["oldObject"]["spec"]["containers"] = containers(old);
        r["request"]["object"]["spec"]["containers"] = containers(new);
    });
    plan::read(&body).unwrap()
}

#[test]
fn attack_52_85_an_update_is_judged_by_what_is_new() {
    let many: Vec<String> = (0..300).map(|n| format!("registry.old/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let one_more = [many.as_slice(), &["registry.example/new"]].concat();
    for (old, new, plan, judged) in [
        (&["a", "b"][..], &["a", "b"][..], "allow", &[][..]),
        // A tag in another place is pulled anew.
        (&["a", "b"], &["b", "a", "a"], "pod", &["b", "a"]),
        (&["a", "b"], &["a"], "allow", &[]),
        (&["a"], &["a", "b"], "pod", &["b"]),
        (&["a:1"], &["a:1@sha256:0"], "pod", &["a:1@sha256:0"]),
        (&[""], &[""], "allow", &[]),
        (&["a"], &[""], "reference-malformed", &[]),
        // Bounds are for what is new: a Pod older than the gate keeps its labels and finalizers.
        (&many, &many, "allow", &[]),
        (&many, &one_more, "pod", &["registry.example/new"]),
        (&[], &many, "over-limit", &[]),
    ] {
        let request = update(old, new);
        let found: Vec<&str> = request.request.images.iter().map(|image| image.image.as_str()).collect();
        assert_eq!((described(&request.plan), found.as_slice()), (plan, judged), "{} images", new.len());
    }
    let unreadable = changed(|r| {
        r["request"]["operation"] = json!("UPDATE");
        r["request"]["oldObject"] = r["request"]["object"].clone();
        r["request"]["oldObject"]["spec"]["volumes"] = json!(5);
    });
    assert_eq!(described(&plan::read(&unreadable).unwrap().plan), "pod", "what cannot be read excuses nothing");
}

#[test]
fn a_template_may_lack_images_that_come_later() {
    let mut review: Value = serde_json::from_slice(&recorded("deployment-create")).unwrap();
    for (containers, plan) in [
        (json!([{"name": "a"}, {"image": ""}, {"image": " "}]), "allow"),
        (json!([{"image": " "}, {"image": "registry.example/a"}]), "template"),
        (json!([{"image": 5}]), "request-malformed"),
    ] {
        review["request"]["object"]["spec"]["template"]["spec"]["containers"] = containers.clone();
        let request = plan::read(review.to_string().as_bytes()).unwrap();
        assert_eq!(described(&request.plan), plan, "{containers}");
    }
}

#[test]
fn attack_41_a_tag_in_a_new_place_is_judged_although_it_stood_elsewhere() {
    let review = |new: Value, old: Value| {
        let mut review: Value = serde_json::from_slice(&recorded("pod-update-image")).unwrap();
        review["request"]["object"]["spec"] = new;
        review["request"]["oldObject"]["spec"] = old;
        plan::read(review.to_string().as_bytes()).unwrap()
    };
    let tag = json!({"name": "a", "image": "registry.example/shop/app:latest"});
    let digest = json!({"name": "a", "image": format!("registry.example/shop/app@{}", Digest::of("x"))});
    let old = |image: &Value| json!({"containers": [image]});
    let debugged = |image: &Value| json!({"containers": [image], "ephemeralContainers": [image]});
    assert_eq!(described(&review(old(&tag), old(&tag)).plan), "allow");
    let judged = review(debugged(&tag), old(&tag));
    assert_eq!(judged.request.images[0].fields, ["spec.ephemeralContainers[0].image"]);
    assert_eq!(described(&review(debugged(&digest), old(&digest)).plan), "allow");
}

#[test]
fn a_policy_that_is_tried_out_takes_no_pin_away() {
    let policy = |name: &str, mode: &str, tags: &str| {
        format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  match: {{images: [\"**\"]}}\n  mode: {mode}\n  tags: {tags}\n  require: [{{name: a, digests: [\"{}\"]}}]\n",
            Digest::of("x")
        )
    };
    let pins = |policies: &[String]| {
        let file = attestry_policy::SourceFile::new("policies.yaml", policies.join("---\n"));
        let set = PolicySet::load(&[file]).unwrap();
        wants_pin(&set, &"registry.example/app:1".parse().unwrap(), None)
    };
    assert!(pins(&[policy("a", "Enforce", "Pin")]));
    assert!(pins(&[policy("a", "Enforce", "Pin"), policy("b", "Audit", "Deny")]));
    assert!(pins(&[policy("a", "Enforce", "Pin"), policy("b", "Warn", "Deny")]));
    assert!(!pins(&[policy("a", "Enforce", "Pin"), policy("b", "Enforce", "Deny")]));
    assert!(!pins(&[policy("a", "Enforce", "DangerResolve")]));
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
        tagged: None,
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
fn each_denial_has_a_cause_at_its_first_field() {
    let request = plan::read(&recorded("pod-init-and-sidecar")).unwrap().request;
    let mut decision = decision(vec![image(&request.images[0].image, 2, 1)], Vec::new());
    decision.request = request;
    decision.reasons = vec![
        Reason::new(ReasonCode::Unguarded, "only recorded"),
        Reason::new(ReasonCode::RecordFailed, "the decision could not be recorded in time"),
    ];
    insta::assert_json_snapshot!(respond::validate("u", &decision, None));
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

#[test]
fn pinning_never_refuses_and_leaves_mirrors_alone() {
    let pinnable = |change: &dyn Fn(&mut Value)| {
        let body = changed(|r| {
            r["request"]["object"]["spec"]["containers"][0]["image"] = json!("registry.example/shop/app:v1");
            change(r);
        });
        pin::images(&body).unwrap().images.len()
    };
    assert_eq!(pinnable(&|_| {}), 1);
    assert_eq!(pinnable(&|r| r["request"]["object"] = json!({"spec": 5})), 0);
    assert_eq!(pinnable(&|r| r["request"]["subResource"] = json!("status")), 0);
    assert_eq!(pinnable(&|r| r["request"]["object"]["spec"]["containers"][0]["image"] = json!("no:t/a:b:c")), 0);
    let mirror = |r: &mut Value| {
        r["request"]["object"]["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "0c3f"});
        r["request"]["userInfo"] = json!({"username": "system:node:worker-1", "groups": ["system:nodes"]});
    };
    assert_eq!(pinnable(&mirror), 0);
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
