//! Bad input: each route, each document kind and each command with malformed, oversized, truncated and wrong-typed
//! input. A clear message, the documented status or exit code, and nothing half-written.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use attestry_playground::{ImageBuilder, Registry};
use serde_json::{Value, json};

use crate::{attestry::attestry, service::Service};

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const POLICY: &str = "apiVersion: attestry.dev/v1alpha1
kind: ImagePolicy
metadata: {name: listed}
spec:
  match: {images: [\"**\"]}
  require:
    - {name: listed, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}
";

/// Every file below a folder with its content: what a command must leave as it was.
fn listing(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(listing(&path));
            files.insert(path, Vec::new());
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A folder with one of everything that commands read, good and bad.
struct Bench {
    folder: tempfile::TempDir,
    /// What was not refused as it should be; told together at the end.
    wrong: RefCell<Vec<String>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let bench = |arguments: &[&str]| {
            let output = attestry(folder.path()).args(arguments).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        bench(&["key", "generate", "good"]);
        let key = fs::read(folder.path().join("good.key")).unwrap();
        put("truncated.key", &key[..key.len() / 2]);
        put("empty", b"");
        put("huge", &vec![b'x'; 17 << 20]);
        put("binary", &[0xff, 0xfe, 0x00, 0x80]);
        put("wrong-type.json", b"[1, 2]");
        put("twice.json", br#"{"bomFormat":"CycloneDX","bomFormat":"x","specVersion":"1.6"}"#);
        put("sbom.json", br#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#);
        put("policies/policy.yaml", POLICY.as_bytes());
        put("broken/policy.yaml", &POLICY.as_bytes()[..POLICY.len() / 2]);
        put(
            "catalog.yaml",
            b"apiVersion: attestry.dev/v1alpha1\nkind: BaseCatalog\nmetadata: {name: c}\nspec: {bases: []}\n",
        );
        put("bad-catalog.yaml", b"kind: BaseCatalog\nspec: 5\n");
        put(
            "attestry.yaml",
            b"apiVersion: attestry.dev/v1alpha1\nkind: Configuration\nmetadata: {name: x}\nspec: {}\n",
        );
        put("cases/policy.yaml", POLICY.as_bytes());
        put("cases/cases/deny-x.yaml", b"kind: PolicyCase\nspec: []\n");
        Self { folder, wrong: RefCell::default() }
    }

    /// Runs a command and expects its code, a message that holds `wanted`, and nothing changed.
    fn refused(&self, code: i32, wanted: &str, arguments: &[&str]) {
        let before = listing(self.folder.path());
        let output = attestry(self.folder.path()).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let clear = said.contains(wanted) && !said.contains("panicked") && said.len() < 8192;
        let same = listing(self.folder.path()) == before;
        if output.status.code() != Some(code) || !clear || !same {
            let found = output.status.code();
            let wrong = format!("{arguments:?}: {found:?} for {code}, {wanted:?}, unchanged {same}\n{said}{out}");
            self.wrong.borrow_mut().push(wrong);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_refuses_bad_input_and_leaves_nothing() {
    let registry = Registry::start().await.unwrap();
    let image = ImageBuilder::single("linux/amd64").files(&[("app", "x")]).build().unwrap();
    registry.load("app", &image, &["1"]).await.unwrap();
    let pinned = format!("{}/app@{}", registry.host(), image.digest());
    let tagged = format!("{}/app:1", registry.host());
    let nowhere = format!("127.0.0.1:1/app@{DIGEST}");
    let before = registry.requests();
    let digest = image.digest().to_string();
    tokio::task::spawn_blocking(move || {
        let bench = Bench::new();
        let refused = |code, wanted: &str, arguments: &[&str]| bench.refused(code, wanted, arguments);
        // Command lines.
        refused(2, "Usage", &[]);
        refused(2, "nonsense", &["nonsense"]);
        refused(2, "--nonsense", &["sign", &pinned, "--nonsense"]);
        refused(2, "xml", &["verify", &pinned, "--key", "good.pub", "--output", "xml"]);
        // Keys.
        refused(4, "good.key", &["key", "generate", "good"]);
        refused(2, "rsa", &["key", "generate", "new", "--algorithm", "rsa"]);
        for file in ["empty", "binary", "huge", "truncated.key", "wrong-type.json", "none"] {
            refused(4, file, &["key", "import", file, "--out", "new"]);
            refused(4, file, &["key", "public", file]);
            refused(4, file, &["sign", &pinned, "--key", file]);
            refused(4, file, &["verify", &pinned, "--key", file]);
        }
        refused(4, "public", &["sign", &pinned, "--key", "good.pub"]);
        refused(4, "private", &["verify", &pinned, "--key", "good.key"]);
        // References.
        for reference in
            ["", "https://registry.example/app", "registry.example/App", "a@sha256:00", "user@host/app@sha256:x"]
        {
            refused(2, "reference-malformed", &["sign", reference, "--key", "good.key"]);
            refused(2, "reference-malformed", &["verify", reference, "--key", "good.pub"]);
            refused(2, "reference-malformed", &["tree", reference]);
        }
        refused(2, &digest, &["sign", &tagged, "--key", "good.key"]);
        refused(2, "--key", &["sign", &pinned]);
        for file in ["empty", "binary", "wrong-type.json"] {
            refused(4, file, &["sign", &tagged, "--key", "good.key", "--digest-file", file]);
        }
        // Predicates: refused before anything is pushed.
        for file in ["empty", "binary", "huge", "twice.json", "wrong-type.json", "none"] {
            refused(4, "", &["attest", &pinned, "--key", "good.key", "--predicate", file]);
        }
        refused(4, "spdx", &["attest", &pinned, "--key", "good.key", "--predicate", "sbom.json", "--type", "spdx"]);
        refused(
            4,
            "nonsense",
            &["attest", &pinned, "--key", "good.key", "--predicate", "sbom.json", "--type", "nonsense"],
        );
        // Policies and evidence.
        refused(4, "policy.yaml", &["verify", &pinned, "--policy", "broken"]);
        refused(4, "none", &["verify", &pinned, "--policy", "none"]);
        refused(4, "policy.yaml", &["policy", "lint", "broken"]);
        refused(4, "none", &["policy", "lint", "none"]);
        refused(4, "deny-x.yaml", &["policy", "test", "cases"]);
        refused(4, "none", &["policy", "test", "none"]);
        for file in ["empty", "binary", "wrong-type.json", "none"] {
            refused(4, file, &["verify", &pinned, "--key", "good.pub", "--evidence", file]);
        }
        // Catalogs.
        let add = ["base", "add", &pinned, "--owner", "team", "--supported-until"];
        refused(4, "bad-catalog.yaml", &[&add[..], &["2099-01-01", "--catalog", "bad-catalog.yaml"]].concat());
        refused(4, "2099", &[&add[..], &["2099-13-01", "--catalog", "catalog.yaml"]].concat());
        refused(4, "bad-catalog.yaml", &["base", "check", &pinned, "--catalog", "bad-catalog.yaml"]);
        refused(4, "none", &["base", "check", &pinned, "--catalog", "none"]);
        refused(4, "nobody", &["base", "set-status", "nobody", "Revoked", "--catalog", "catalog.yaml"]);
        // Audit and service.
        refused(4, "none", &["audit", "list", "none"]);
        refused(2, "x", &["audit", "show", "x", "--data-directory", "policies"]);
        refused(2, "ftp", &["audit", "list", "--server", "ftp://127.0.0.1"]);
        refused(4, "127.0.0.1:1", &["audit", "list", "--server", "http://127.0.0.1:1"]);
        for file in ["attestry.yaml", "empty", "binary", "huge", "none"] {
            refused(4, file, &["serve", "--config", file]);
        }
        refused(4, "policies", &["demo", "--keep", "policies"]);
        refused(2, "klingon", &["completions", "klingon"]);
        // What cannot be known is neither trusted nor untrusted.
        let output = attestry(bench.folder.path()).args(["verify", &nowhere, "--key", "good.pub"]).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stdout).contains("registry-unreachable"));
        let wrong = bench.wrong.into_inner();
        assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
    })
    .await
    .unwrap();
    let pushed = registry.seen().iter().filter(|seen| !matches!(seen.method.as_str(), "GET" | "HEAD")).count();
    assert_eq!(pushed, 0, "nothing was pushed in {} requests", registry.requests() - before);
}

#[test]
fn every_document_kind_refuses_damage_with_its_place() {
    let kinds = [
        ("ImagePolicy", "match: {images: [\"**\"]}\n  require: [{name: a, digests: [\"DIGEST\"]}]"),
        (
            "Authority",
            "keyless: {issuer: \"https://i.example\", subject: {exact: \"https://a.example\"}, trustRoot: x}",
        ),
        ("TrustRoot", "publicGood: {}"),
        ("BaseCatalog", "bases: []"),
        ("Revocation", "entries: [{digest: \"DIGEST\", reason: test}]"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    for (kind, spec) in kinds {
        let good = format!("apiVersion: attestry.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}\n")
            .replace("DIGEST", DIGEST);
        let damaged = [
            ("truncated", good[..good.len() - 4].to_owned()),
            ("unknown field", format!("{good}  nonsense: 1\n")),
            (
                "wrong type",
                format!("apiVersion: attestry.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec: [5]\n"),
            ),
            ("no spec", format!("apiVersion: attestry.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\n")),
            ("another version", good.replace("v1alpha1", "v9")),
            ("twice", format!("{good}---\n{good}")),
            ("anchor", good.replace("metadata: {name: a}", "metadata: &x {name: a}")),
            ("a tab", good.replace("metadata:", "\tmetadata:")),
            ("binary", "\u{0}\u{1}".to_owned()),
            ("oversized", format!("{good}# {}", "x".repeat(9 << 20))),
        ];
        for (what, text) in damaged {
            fs::write(policies.join("document.yaml"), text).unwrap();
            let output = attestry(folder.path()).args(["policy", "lint", "policies"]).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(4), "{kind}, {what}: {said}");
            assert!(said.contains("document.yaml") && !said.contains("panicked"), "{kind}, {what}: {said}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_bad_input_with_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/policy.yaml"), POLICY).unwrap();
    let service = Service::start(folder.path(), "").await;
    let (_, before) = service.get("/v1/decisions").await;
    let pod = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": {"spec": {"containers": []}}},
    })
    .to_string();
    let admission = ["/v1/admission/validate", "/v1/admission/mutate"];
    for route in admission {
        for (body, status) in [
            (String::new(), 400),
            (pod[..pod.len() / 2].to_owned(), 400),
            ("[]".to_owned(), 400),
            (pod.replace("admission.k8s.io/v1\"", "admission.k8s.io/v1beta1\""), 400),
            (pod.replace("\"uid\":\"1\"", "\"uid\":1"), 400),
            (pod.replace("\"uid\":\"1\"", "\"uid\":\"1\",\"uid\":\"2\""), 400),
            (format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), 400),
            (format!("{pod}{}", " ".repeat(9 << 20)), 413),
        ] {
            let (found, text) = service.post(0, route, body.clone()).await;
            problem(found, &text, status, &format!("{route} {}", &body[..body.len().min(80)]));
        }
        let (found, text) = service.post(0, &format!("{route}?timeout=soon"), pod.clone()).await;
        problem(found, &text, 400, "timeout=soon");
    }
    for (body, status) in [
        (String::new(), 400),
        ("{\"image\":".to_owned(), 400),
        ("{}".to_owned(), 400),
        ("{\"image\":5}".to_owned(), 400),
        ("{\"image\":\"UPPER/x y\"}".to_owned(), 400),
        ("{\"image\":\"a\",\"image\":\"b\"}".to_owned(), 400),
        ("{\"image\":\"a\",\"nonsense\":1}".to_owned(), 400),
        ("{\"image\":\"a\",\"namespaceLabels\":{}}".to_owned(), 400),
        (format!("{{\"image\":\"{}\"}}", "x".repeat(100 << 10)), 413),
    ] {
        let (found, text) = service.post(1, "/v1/reviews", body.clone()).await;
        problem(found, &text, status, &format!("/v1/reviews {}", &body[..body.len().min(80)]));
    }
    for (path, status) in [
        ("/v1/decisions?limit=0", 400),
        ("/v1/decisions?limit=1000", 400),
        ("/v1/decisions?limit=x", 400),
        ("/v1/decisions?digest=x", 400),
        ("/v1/decisions?cursor=x", 400),
        ("/v1/decisions?nonsense=1", 400),
        ("/v1/decisions/x", 400),
        ("/v1/decisions/000000000000-1", 404),
        ("/v1/nonsense", 404),
        ("/v1/reviews", 405),
    ] {
        let (found, text) = service.get(path).await;
        problem(found, &text.to_string(), status, path);
    }
    for (listener, path, status) in [(0, "/v1/nonsense", 404), (1, "/v1/decisions", 405), (2, "/readyz", 405)] {
        let (found, text) = service.post(listener, path, String::new()).await;
        problem(found, &text, status, path);
    }
    // Nothing of it was recorded, and the service still answers.
    let (_, after) = service.get("/v1/decisions").await;
    assert_eq!(before, after);
    let answer = service.admission("validate", &serde_json::from_str(&pod).unwrap()).await;
    assert_eq!(answer["response"]["allowed"], true, "a Pod without containers brings no image");
}

/// RFC 9457 with a stable code and a hint.
fn problem(status: u16, body: &str, expected: u16, what: &str) {
    assert_eq!(status, expected, "{what}: {body}");
    let problem: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"));
    let code = problem["code"].as_str().unwrap_or_default();
    assert!(attestry_core::ReasonCode::ALL.iter().any(|known| known.as_str() == code), "{what}: {body}");
    assert_eq!(problem["status"], expected, "{what}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}: {body}");
    assert!(problem["hint"].is_string(), "{what}: {body}");
}
