//! Admission over HTTPS, with a real registry behind it: who is admitted, who is refused, and why.

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    attestry::run,
    peers::Peers,
    registry::{Kind, Registry},
    service::Service,
};

const PROVENANCE_FREE_POLICY: &str = "
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: pinned}
spec:
  match: {images: [\"HOST/shop/**\"]}
  require:
    - {name: signed, signature: {authorities: [release]}}
---
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: strict}
spec:
  match: {images: [\"HOST/strict/**\"]}
  tags: Deny
  require:
    - {name: signed, signature: {authorities: [release]}}
---
apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: based}
spec:
  match: {images: [\"HOST/based/**\"]}
  require:
    - {name: signed, signature: {authorities: [release]}}
    - {name: trusted-base, baseImage: {catalogs: [platform]}}
";

/// A service over a registry with images of every sort.
struct Stage {
    peers: Peers,
    registry: Registry,
    service: Service,
}

impl Stage {
    async fn new(test: &str) -> Option<Self> {
        let peers = Peers::find(test)?;
        let registry = Registry::start(&peers, Kind::Docker);
        let (home, host) = (peers.home().to_owned(), registry.host().to_owned());
        run(&home, 0, &["key", "generate", "release"]);
        run(&home, 0, &["key", "generate", "other"]);
        let base = push(&peers, &host, "os/base", None);
        fs::create_dir_all(home.join("policies")).unwrap();
        run(
            &home,
            0,
            &[
                "base",
                "add",
                &base,
                "--name",
                "debian",
                "--owner",
                "platform",
                "--supported-until",
                "2099-01-01",
                "--catalog",
                "policies/catalog.yaml",
                "--catalog-name",
                "platform",
            ],
        );
        let key = fs::read_to_string(home.join("release.pub")).unwrap().replace('\n', "\n      ");
        let authority = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: release}}\nspec:\n  key:\n    pem: |\n      {key}\n---\n"
        );
        fs::write(home.join("policies/policies.yaml"), authority + &PROVENANCE_FREE_POLICY.replace("HOST", &host))
            .unwrap();
        let service = Service::start(&home, &format!("{{host: \"{host}\", private: true, plainHttp: true}}")).await;
        Some(Self { peers, registry, service })
    }

    fn image(&self, repository: &str, base: Option<&str>) -> String {
        push(&self.peers, self.registry.host(), repository, base)
    }

    fn sign(&self, image: &str, key: &str) {
        run(self.peers.home(), 0, &["sign", image, "--key", key]);
    }

    async fn validate(&self, image: &str) -> Value {
        self.service.admission("validate", &pod(image)).await
    }

    /// Expects a refusal with exactly these codes.
    async fn refused(&self, image: &str, codes: &[&str]) -> Value {
        let answer = self.validate(image).await;
        assert_eq!(answer["response"]["allowed"], false, "{answer:#}");
        assert_eq!(answer["response"]["uid"], "1");
        assert_eq!(causes(&answer), codes.iter().map(|c| (*c).to_owned()).collect(), "{answer:#}");
        answer
    }

    async fn admitted(&self, image: &str) -> Value {
        let answer = self.validate(image).await;
        assert_eq!(answer["response"]["allowed"], true, "{image}: {answer:#}\n{}", self.service.log());
        answer
    }
}

fn causes(answer: &Value) -> BTreeSet<String> {
    let causes = answer["response"]["status"]["details"]["causes"].as_array().cloned().unwrap_or_default();
    causes.iter().map(|cause| cause["reason"].as_str().unwrap().to_owned()).collect()
}

fn pod(image: &str) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "1", "operation": "CREATE", "namespace": "shop", "name": "web",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "userInfo": {"username": "system:serviceaccount:shop:default", "groups": ["system:authenticated"]},
            "object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
                       "spec": {"containers": [{"name": "web", "image": image}]}},
            "dryRun": false,
        },
    })
}

/// Pushes an image of its own content, on `base` if one is given; `host/repository@digest`.
fn push(peers: &Peers, host: &str, repository: &str, base: Option<&str>) -> String {
    let home = peers.home();
    fs::write(home.join("app"), format!("{repository}\n")).unwrap();
    let tar = std::process::Command::new("tar").current_dir(home).args(["-cf", "layer.tar", "app"]).status().unwrap();
    assert!(tar.success());
    let tag = format!("{host}/{repository}:1");
    let mut words = vec!["append", "--oci-empty-base", "-f", "layer.tar", "-t", &tag];
    if let Some(base) = base {
        words = vec!["append", "-b", base, "-f", "layer.tar", "-t", &tag];
    }
    peers.expect(0, "crane", &words);
    // A base is compared platform by platform, so an image has one.
    let output = peers.expect(0, "crane", &["mutate", "--set-platform", "linux/amd64", &tag, "-t", &tag]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn the_main_story_over_https() {
    let Some(stage) = Stage::new("the_main_story_over_https").await else { return };
    let host = stage.registry.host();

    let signed = stage.image("shop/signed", None);
    stage.sign(&signed, "release.key");
    stage.admitted(&signed).await;

    let unsigned = stage.image("shop/unsigned", None);
    let answer = stage.refused(&unsigned, &["signature-missing"]).await;
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.len() <= 1024 && message.contains("signature-missing") && message.contains("signed"), "{message}");
    assert_eq!(answer["response"]["status"]["code"], 403);

    let wrong_key = stage.image("shop/wrong-key", None);
    stage.sign(&wrong_key, "other.key");
    stage.refused(&wrong_key, &["key-unknown"]).await;

    let strict = stage.image("strict/app", None);
    stage.sign(&strict, "release.key");
    stage.admitted(&strict).await;
    stage.refused(&format!("{host}/strict/app:1"), &["tag-mutable"]).await;

    let on_base = stage.image("based/app", Some(&format!("{host}/os/base:1")));
    stage.sign(&on_base, "release.key");
    stage.admitted(&on_base).await;
    let elsewhere = stage.image("based/other", None);
    stage.sign(&elsewhere, "release.key");
    stage.refused(&elsewhere, &["base-unknown"]).await;

    stage.refused(&format!("{host}/nobody/app:1"), &["no-policy"]).await;
}

#[tokio::test]
async fn mutation_pins_what_validation_then_admits() {
    let Some(stage) = Stage::new("mutation_pins_what_validation_then_admits").await else { return };
    let signed = stage.image("shop/signed", None);
    stage.sign(&signed, "release.key");
    let (repository, digest) = signed.split_once('@').unwrap();
    let tag = format!("{repository}:1");
    stage.refused(&tag, &["tag-not-pinned"]).await;
    let answer = stage.service.admission("mutate", &pod(&tag)).await;
    assert_eq!(answer["response"]["allowed"], true);
    assert_eq!(answer["response"]["patchType"], "JSONPatch");
    let patch = STANDARD.decode(answer["response"]["patch"].as_str().unwrap()).unwrap();
    let patch: Value = serde_json::from_slice(&patch).unwrap();
    let replaced = patch.as_array().unwrap().iter().find(|step| step["op"] == "replace").unwrap();
    assert_eq!(replaced["path"], "/spec/containers/0/image");
    assert_eq!(replaced["value"], format!("{tag}@{digest}"));
    stage.admitted(replaced["value"].as_str().unwrap()).await;
    let unchanged = stage.service.admission("mutate", &pod(&signed)).await;
    assert!(unchanged["response"].get("patch").is_none() && unchanged["response"].get("patchType").is_none());
}

#[tokio::test]
async fn attack_42_a_registry_that_is_down_is_not_an_unsigned_image() {
    let Some(stage) = Stage::new("attack_42_a_registry_that_is_down_is_not_an_unsigned_image").await else { return };
    let signed = stage.image("shop/signed", None);
    let unsigned = stage.image("shop/unsigned", None);
    stage.sign(&signed, "release.key");
    stage.registry.stop();
    for image in [&signed, &unsigned] {
        stage.refused(image, &["registry-unreachable"]).await;
    }
}

#[tokio::test]
async fn decisions_are_recorded_and_explained() {
    let Some(stage) = Stage::new("decisions_are_recorded_and_explained").await else { return };
    let unsigned = stage.image("shop/unsigned", None);
    let answer = stage.refused(&unsigned, &["signature-missing"]).await;
    let (_, listed) = stage.service.get("/v1/decisions").await;
    let id = listed["decisions"][0]["id"].as_str().unwrap().to_owned();
    let message = answer["response"]["status"]["message"].as_str().unwrap();
    assert!(message.starts_with(&id), "{message} begins with {id}");
    let home = stage.peers.home();
    let by_server = run(home, 0, &["audit", "show", &id, "--server", &stage.service.api()]);
    let by_directory = run(home, 0, &["audit", "show", &id, "--data-directory", "data"]);
    assert_eq!(by_server, by_directory);
    assert!(by_server.contains("signature-missing"), "{by_server}");
    assert!(run(home, 0, &["audit", "list", "--data-directory", "data"]).contains(&id));
    // A dry run is answered the same and leaves no record.
    let mut dry = pod(&unsigned);
    dry["request"]["dryRun"] = json!(true);
    let answer = stage.service.admission("validate", &dry).await;
    assert_eq!(causes(&answer), BTreeSet::from(["signature-missing".to_owned()]));
    let (_, again) = stage.service.get("/v1/decisions").await;
    assert_eq!(again["decisions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_recorded_review_is_answered() {
    let Some(stage) = Stage::new("every_recorded_review_is_answered").await else { return };
    let signed = stage.image("shop/app", None);
    stage.sign(&signed, "release.key");
    let unsigned = stage.image("shop/unsigned", None);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/admission");
    let mut judged = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let of = |image: &str| -> Value { serde_json::from_str(&replace_images(&text, image)).unwrap() };
        let good = stage.service.admission("validate", &of(&signed)).await;
        let bad = stage.service.admission("validate", &of(&unsigned)).await;
        assert_eq!(good["response"]["uid"], of(&signed)["request"]["uid"], "{}", path.display());
        if bad["response"]["allowed"] == false && causes(&bad).contains("signature-missing") {
            judged += 1;
            assert_eq!(good["response"]["allowed"], true, "{}: {good:#}", path.display());
        }
    }
    assert!(judged >= 9, "only {judged} of the recorded reviews were judged");
}

/// Puts `image` where the recorded reviews name an image of `registry.example`.
fn replace_images(text: &str, image: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\"registry.example/") {
        out.push_str(&rest[..=at]);
        out.push_str(image);
        let after = &rest[at + 1..];
        rest = &after[after.find('"').unwrap()..];
    }
    out + rest
}
