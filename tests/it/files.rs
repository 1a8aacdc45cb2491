//! Files that are no images, and predicates on their way out: `verify --file`, `extract`.

use std::fs;

use attestry_core::{
    Digest,
    manifest::{OCI_INDEX, OCI_MANIFEST},
};
use serde_json::json;

use crate::{
    attestry::{key_authority, run, write_policy},
    peers::Peers,
    registry::{BOTH, Registry},
    vectors::vectors,
};

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const SUBJECT: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

#[test]
fn a_file_signed_by_cosign_is_verified() {
    let Some(peers) = Peers::find("a_file_signed_by_cosign_is_verified") else { return };
    let home = peers.home();
    peers.without_services();
    for (name, text) in [("release", "bytes"), ("other", "else")] {
        fs::write(home.join(name), text).unwrap();
    }
    peers.expect(0, "cosign", &["generate-key-pair"]);
    run(home, 0, &["key", "generate", "ours"]);
    let services = ["--signing-config", "signing.json", "--trusted-root", "root.json", "-y"];
    let words = ["sign-blob", "--key", "cosign.key", "--bundle", "b.json", "release"];
    peers.expect(0, "cosign", &[&words[..1], &services, &words[1..]].concat());
    run(home, 0, &["verify", "--file", "release", "--bundle", "b.json", "--key", "cosign.pub"]);
    let refused = |file: &str, key: &str, code: &str| {
        let said = run(home, 1, &["verify", "--file", file, "--bundle", "b.json", "--key", key]);
        assert!(said.contains(code), "{file} {key}: no {code} in\n{said}");
    };
    refused("release", "ours.pub", "key-unknown");
    refused("other", "cosign.pub", "subject-mismatch");
    // An attestation about the file is as good, and is told apart.
    fs::write(home.join("predicate.json"), r#"{"a":1}"#).unwrap();
    let words = [
        "attest-blob",
        "--key",
        "cosign.key",
        "--bundle",
        "a.json",
        "--predicate",
        "predicate.json",
        "--type",
        "https://example.org/own/v1",
        "release",
    ];
    peers.expect(0, "cosign", &[&words[..1], &services, &words[1..]].concat());
    let said = run(home, 0, &["verify", "--file", "release", "--bundle", "a.json", "--key", "cosign.pub"]);
    assert!(said.contains("https://example.org/own/v1"), "{said}");
}

#[test]
fn a_file_signed_by_us_is_verified_by_cosign() {
    let Some(peers) = Peers::find("a_file_signed_by_us_is_verified_by_cosign") else { return };
    let home = peers.home();
    fs::write(home.join("release"), "bytes").unwrap();
    fs::write(home.join("other"), "else").unwrap();
    for algorithm in ["ecdsa-p256", "ed25519"] {
        run(home, 0, &["key", "generate", algorithm, "--algorithm", algorithm]);
        let (key, public) = (format!("{algorithm}.key"), format!("{algorithm}.pub"));
        run(home, 0, &["sign", "--file", "release", "--bundle", "b.json", "--key", &key]);
        run(home, 0, &["verify", "--file", "release", "--bundle", "b.json", "--key", &public]);
        run(home, 1, &["verify", "--file", "other", "--bundle", "b.json", "--key", &public]);
        // cosign reads Ed25519 signatures over files only in their prehashed form, which nobody else writes.
        if algorithm == "ecdsa-p256" {
            let words = ["verify-blob", "--key", &public, "--insecure-ignore-tlog", "--bundle", "b.json"];
            peers.expect(0, "cosign", &[&words[..], &["release"]].concat());
            peers.expect(1, "cosign", &[&words[..], &["other"]].concat());
        }
    }
    // A bundle about a file counts for no image, whoever signed it: see attack_10.
    run(home, 2, &["sign", "--file", "release", "--key", "ecdsa-p256.key"]);
    run(home, 2, &["sign", "--file", "release", "--bundle", "b.json", "--recursive", "--key", "ecdsa-p256.key"]);
}

#[test]
fn a_keyless_release_is_verified_under_its_trust_root() {
    let folder = tempfile::tempdir().unwrap();
    let conformance = vectors().join("sigstore-conformance");
    for (from, to) in [
        ("bundle-verify/a.txt", "a.txt"),
        ("bundle-verify/happy-path-v0.3/bundle.sigstore.json", "b.json"),
        ("trusted_root.json", "root.json"),
    ] {
        fs::copy(conformance.join(from), folder.path().join(to)).unwrap();
    }
    let verify = |code: i32, subject: &str, issuer: &str, more: &[&str]| {
        let words = ["verify", "--file", "a.txt", "--bundle", "b.json", "--identity", subject, "--issuer", issuer];
        run(folder.path(), code, &[&words[..], more].concat())
    };
    let said = verify(0, SUBJECT, ISSUER, &["--trust-root", "root.json", "--output", "json"]);
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((said["subject"].as_str(), said["log"].as_str()), (Some(SUBJECT), Some("inclusion")), "{said}");
    assert!(said["time"].is_string(), "{said}");
    // The public instance is built in.
    verify(0, SUBJECT, ISSUER, &[]);
    let longer = format!("{SUBJECT}-evil");
    for (subject, issuer) in
        [(longer.as_str(), ISSUER), (SUBJECT, "https://issuer.example"), (&SUBJECT[..SUBJECT.len() - 1], ISSUER)]
    {
        let said = verify(1, subject, issuer, &["--trust-root", "root.json"]);
        assert!(said.contains("identity-mismatch"), "{subject} {issuer}:\n{said}");
    }
}

#[test]
fn a_predicate_comes_out_only_if_it_is_verified() {
    let test = "a_predicate_comes_out_only_if_it_is_verified";
    for kind in BOTH {
        let Some(peers) = Peers::find(test) else { return };
        let home = peers.home();
        let registry = Registry::start(&peers, kind);
        let sbom = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","documentNamespace":"https://example.org/x","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},"packages":[]}"#;
        fs::write(home.join("sbom.json"), sbom).unwrap();
        run(home, 0, &["key", "generate", "ours"]);
        run(home, 0, &["key", "generate", "other"]);
        let image = registry.push(&peers, "extract");
        let extract =
            |code: i32, key: &str, kind: &str| run(home, code, &["extract", &image, "--type", kind, "--key", key]);
        extract(1, "ours.pub", "spdx");
        run(home, 0, &["attest", &image, "--predicate", "sbom.json", "--key", "ours.key"]);
        assert_eq!(extract(0, "ours.pub", "spdx").trim(), sbom);
        assert_eq!(extract(1, "other.pub", "spdx"), "", "nothing of what is not verified is printed");
        assert_eq!(extract(1, "ours.pub", "cyclonedx"), "");
    }
}

/// An image with one signature, by the new key `ours`, and the receipt of it.
fn signed_by_ours(peers: &Peers, registry: &Registry) -> (String, serde_json::Value) {
    run(peers.home(), 0, &["key", "generate", "ours"]);
    let image = registry.push(peers, "app");
    let receipt = run(peers.home(), 0, &["sign", &image, "--key", "ours.key", "--output", "json"]);
    (image, serde_json::from_str(&receipt).unwrap())
}

#[test]
fn attack_34_a_tag_that_names_another_image_than_the_digest() {
    let Some(peers) = Peers::find("attack_34_a_tag_that_names_another_image_than_the_digest") else { return };
    let home = peers.home();
    let registry = Registry::start(&peers, BOTH[0]);
    let (image, _) = signed_by_ours(&peers, &registry);
    let (repository, digest) = image.split_once('@').unwrap();
    let both = format!("{repository}:1@{digest}");
    let verify = |code: i32| run(home, code, &["verify", &both, "--key", "ours.pub"]);
    assert!(!verify(0).contains("tag-digest-disagree"));
    // Somebody moves the tag. The digest decides, and it is said.
    fs::write(home.join("app"), "something else").unwrap();
    let tar = std::process::Command::new("tar").current_dir(home).args(["-cf", "layer.tar", "app"]).status().unwrap();
    assert!(tar.success());
    peers.expect(0, "crane", &["append", "--oci-empty-base", "-f", "layer.tar", "-t", &format!("{repository}:1")]);
    assert!(verify(0).contains("tag-digest-disagree"));

    // A policy that minds refuses it, and admits what agrees.
    let key = fs::read_to_string(home.join("ours.pub")).unwrap();
    let host = registry.host();
    let documents = [
        serde_json::json!({"apiVersion": "attestry.dev/v1alpha1", "kind": "Authority", "metadata": {"name": "ours"},
            "spec": {"key": {"pem": key}}}),
        serde_json::json!({"apiVersion": "attestry.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "same"},
            "spec": {"match": {"images": [format!("{host}/**")]}, "tagBesideDigest": "Same",
                     "require": [{"name": "signed", "signature": {"authorities": ["ours"]}}]}}),
    ];
    fs::create_dir(home.join("same")).unwrap();
    for (number, document) in documents.iter().enumerate() {
        fs::write(home.join(format!("same/{number}.yaml")), document.to_string()).unwrap();
    }
    let by_policy = |code: i32, image: &str| run(home, code, &["verify", image, "--policy", "same"]);
    assert!(by_policy(1, &both).contains("tag-digest-disagree"));
    assert!(by_policy(3, &format!("{repository}:gone@{digest}")).contains("not-found"));
    by_policy(0, &image);
    peers.expect(0, "crane", &["tag", &image, "2"]);
    by_policy(0, &format!("{repository}:2@{digest}"));
}

/// One blob that is a genuine bundle to one manifest and a legacy envelope with other words to another: what comes out
/// is what was signed, however the two are ordered.
#[test]
fn a_blob_with_two_readings_gives_out_what_was_signed() {
    use attestry_core::legacy::DSSE_LAYER;
    use attestry_testkit::{evidence::EvidenceBuilder, keys};
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let key = keys::p256("release");
    let image = attestry_playground::ImageBuilder::single("linux/amd64").build().unwrap();
    let builder = EvidenceBuilder::new("registry.example/app", &image);
    let digest = builder.clone().build().digest.unwrap();
    let statement = |said: &str| {
        let predicate = serde_json::value::RawValue::from_string(format!(r#"{{"said":"{said}"}}"#)).unwrap();
        let repository = "registry.example/app".parse().unwrap();
        attestry_core::statement::Statement::about(&repository, digest, None, "https://example.org/own/v1", predicate)
    };
    let signed = attestry_sign::SignedAttachment::bundle(&key, &statement("signed"), digest).unwrap();
    let mut blob: serde_json::Value = serde_json::from_slice(signed.bytes()).unwrap();
    blob["payload"] = STANDARD.encode(statement("forged").to_bytes()).into();
    blob["payloadType"] = attestry_core::envelope::IN_TOTO.into();
    blob["signatures"] = serde_json::json!([{"sig": "AAAA"}]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("release.pub"), key.public_key_pem()).unwrap();
    let mut before = [false; 2];
    // The order of the two manifests is that of their digests, which an annotation decides.
    for number in 0..16 {
        let bytes = bytes::Bytes::from(blob.to_string());
        let hint = format!("https://example.org/{number}");
        let evidence = (builder.clone().attach_bytes(bytes.clone()))
            .attach_as(digest, digest, DSSE_LAYER, Some(&hint), bytes)
            .build();
        let listed = evidence.listings.values().find(|entries| entries.len() == 2).unwrap();
        before[usize::from(listed[1].digest < listed[0].digest)] = true;
        fs::write(folder.path().join("evidence.json"), evidence.to_bytes()).unwrap();
        let image = format!("registry.example/app@{digest}");
        let words = ["extract", &image, "--type", "https://example.org/own/v1", "--key", "release.pub"];
        let said = run(folder.path(), 0, &[&words[..], &["--evidence", "evidence.json"]].concat());
        assert_eq!(said.trim(), r#"{"said":"signed"}"#);
    }
    assert_eq!(before, [true; 2], "both orders were tried");
}

/// What is revoked is shown as that, whoever's signature it is.
#[test]
fn a_revoked_signer_is_no_verified_one_in_the_tree() {
    let Some(peers) = Peers::find("a_revoked_signer_is_no_verified_one_in_the_tree") else { return };
    let home = peers.home();
    let registry = Registry::start(&peers, BOTH[1]);
    let (image, receipt) = signed_by_ours(&peers, &registry);
    let entry = format!("{{keyId: {}, reason: stolen}}", receipt["keyId"]);
    let revocation = format!(
        "---\napiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: incident}}\nspec: {{entries: [{entry}]}}\n"
    );
    let signed = "{name: signed, signature: {authorities: [ours]}}";
    for (more, verified) in [("", true), (revocation.as_str(), false)] {
        write_policy(&home.join("policies"), &key_authority(home, "ours.pub"), signed, more);
        let tree = run(home, 0, &["tree", &image, "--policy", "policies", "--output", "json"]);
        let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
        let leaf = &tree["images"][0]["attachments"][0];
        assert_eq!(leaf["signer"]["authority"] == "ours", verified, "{leaf}");
        assert_eq!(leaf["unverified"]["code"] == "revoked", !verified, "{leaf}");
    }
}

/// Signatures stand beside the index, the indexes in it and what runs; BuildKit's statements with what they are about.
#[tokio::test(flavor = "multi_thread")]
async fn the_tree_holds_nested_indexes_and_what_buildkit_wrote() {
    let registry = attestry_playground::Registry::start().await.unwrap();
    let app = attestry_playground::ImageBuilder::single("linux/amd64").build().unwrap();
    registry.load("app", &app, &[]).await.unwrap();
    let put = async |media_type: &str, document: serde_json::Value| {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        let size = bytes.len();
        registry.load_manifest("app", &digest.to_string(), media_type, bytes.into()).await.unwrap();
        (digest, json!({"mediaType": media_type, "digest": digest, "size": size}))
    };
    let blob = registry.load_blob("app", "{}".into()).await.unwrap();
    let layer = json!({"mediaType": "application/vnd.in-toto+json", "digest": blob, "size": 2,
        "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"}});
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": blob, "size": 2});
    let (statements, mut marked) =
        put(OCI_MANIFEST, json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]}))
            .await;
    marked["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    marked["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": app.digest()});
    let mut runnable = app.root().descriptor();
    runnable["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let index = |entries: serde_json::Value| json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
    let (inner, entry) = put(OCI_INDEX, index(json!([runnable, marked]))).await;
    let (outer, _) = put(OCI_INDEX, index(json!([entry]))).await;

    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    run(home, 0, &["key", "generate", "ours"]);
    let image = |digest: Digest| format!("{}/app@{digest}", registry.host());
    for digest in [outer, inner, app.digest()] {
        run(home, 0, &["sign", &image(digest), "--key", "ours.key"]);
    }
    let tree = run(home, 0, &["tree", &image(outer), "--key", "ours.pub", "--output", "json"]);
    let tree: serde_json::Value = serde_json::from_str(&tree).unwrap();
    let images = tree["images"].as_array().unwrap();
    let digests: Vec<_> = images.iter().map(|image| image["digest"].as_str().unwrap().to_owned()).collect();
    assert_eq!(digests, [outer, inner, app.digest()].map(|digest| digest.to_string()));
    for image in images {
        let attachments = image["attachments"].as_array().unwrap();
        assert!(attachments.len() == 1 && attachments[0]["signer"]["authority"] == "key", "{image}");
        assert!(attachments[0]["payload"].as_str().unwrap().starts_with("sha256:"), "{image}");
    }
    let types = ["https://slsa.dev/provenance/v0.2"];
    let unsigned = json!([{"manifest": statements, "unverifiedPredicateTypes": types}]);
    assert_eq!((&images[0]["unsigned"], &images[1]["unsigned"]), (&json!(null), &json!(null)));
    assert_eq!(images[2]["unsigned"], unsigned);
}
