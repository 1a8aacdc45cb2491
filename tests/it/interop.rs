//! The interop matrix: cosign 3 and 2.5, oras and crane against our signatures, and ours against theirs, each cell on
//! a registry without and on one with the referrers API.

use std::{fs, path::Path};

use crate::{
    attestry::run,
    peers::Peers,
    registry::{BOTH, Kind, Registry},
};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","documentNamespace":"https://example.org/x","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},"packages":[{"name":"a","SPDXID":"SPDXRef-a","downloadLocation":"NOASSERTION"}]}"#;
/// cosign without any service.
const OFFLINE: [&str; 6] =
    ["--signing-config", "signing.json", "--trusted-root", "root.json", "--allow-http-registry", "-y"];

/// The tools, a registry, two key pairs of cosign's (`cosign`, `other`) and one of ours (`ours`).
struct Stage {
    peers: Peers,
    registry: Registry,
}

impl Stage {
    fn new(peers: Peers, kind: Kind) -> Self {
        let home = peers.home();
        peers.without_services();
        fs::write(home.join("spdx.json"), SPDX).unwrap();
        peers.expect(0, "cosign", &["generate-key-pair"]);
        peers.expect(0, "cosign", &["generate-key-pair", "--output-key-prefix", "other"]);
        run(home, 0, &["key", "generate", "ours"]);
        let registry = Registry::start(&peers, kind);
        Self { peers, registry }
    }

    /// Pushes an image that no other test has; `host/name@digest`.
    fn image(&self, name: &str) -> String {
        self.registry.push(&self.peers, name)
    }

    fn home(&self) -> &Path {
        self.peers.home()
    }

    fn cosign(&self, code: i32, tool: &str, words: &[&str], image: &str) -> String {
        let output = self.peers.expect(code, tool, &[words, &[image]].concat());
        String::from_utf8(output.stdout).unwrap()
    }

    fn cosign_verifies(&self, code: i32, tool: &str, key: &str, image: &str) {
        self.cosign(code, tool, &["verify", "--key", key, "--insecure-ignore-tlog", "--allow-http-registry"], image);
    }

    fn cosign_verifies_attestation(&self, tool: &str, key: &str, image: &str) {
        let words = [
            "verify-attestation",
            "--type",
            "spdxjson",
            "--key",
            key,
            "--insecure-ignore-tlog",
            "--allow-http-registry",
        ];
        self.cosign(0, tool, &words, image);
    }

    fn attestry(&self, code: i32, words: &[&str]) -> String {
        run(self.home(), code, words)
    }

    fn refused(&self, code: &str, words: &[&str]) {
        let said = self.attestry(1, words);
        assert!(said.contains(code), "{words:?}: no {code} in\n{said}");
    }
}

/// Runs one cell of the matrix on each registry.
fn on_both(test: &str, cell: impl Fn(&Stage, Kind)) {
    for kind in BOTH {
        if let Some(peers) = Peers::find(test) {
            cell(&Stage::new(peers, kind), kind);
        }
    }
}

#[test]
fn cosign_3_signs_and_we_verify() {
    on_both("cosign_3_signs_and_we_verify", |stage, _| {
        let image = stage.image("theirs");
        stage.refused("signature-missing", &["verify", &image, "--key", "cosign.pub"]);
        stage.cosign(0, "cosign", &[&["sign", "--key", "cosign.key"], &OFFLINE[..]].concat(), &image);
        stage.attestry(0, &["verify", &image, "--key", "cosign.pub"]);
        stage.refused("key-unknown", &["verify", &image, "--key", "other.pub"]);
    });
}

#[test]
fn cosign_2_signs_the_old_way_and_we_verify() {
    on_both("cosign_2_signs_the_old_way_and_we_verify", |stage, _| {
        let image = stage.image("legacy");
        let sign = ["sign", "-y", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry"];
        stage.cosign(0, "cosign-2", &sign, &image);
        stage.attestry(0, &["verify", &image, "--key", "cosign.pub"]);
        stage.refused("key-unknown", &["verify", &image, "--key", "other.pub"]);
        // Attack 95: cosign 3 then ignores the old signature; we do not.
        stage.cosign(0, "cosign", &[&["sign", "--key", "other.key"], &OFFLINE[..]].concat(), &image);
        stage.cosign_verifies(1, "cosign", "cosign.pub", &image);
        stage.attestry(0, &["verify", &image, "--key", "cosign.pub"]);
    });
}

#[test]
fn we_sign_and_cosign_verifies() {
    on_both("we_sign_and_cosign_verifies", |stage, _| {
        for (format, old, new) in [("bundle", 10, 0), ("legacy", 0, 0), ("both", 0, 0)] {
            let image = stage.image(&format!("ours-{format}"));
            stage.attestry(0, &["sign", &image, "--key", "ours.key", "--format", format]);
            stage.cosign_verifies(new, "cosign", "ours.pub", &image);
            stage.cosign_verifies(old, "cosign-2", "ours.pub", &image);
            stage.attestry(0, &["verify", &image, "--key", "ours.pub"]);
        }
    });
}

#[test]
fn cosign_signs_with_our_keys_and_we_with_theirs() {
    on_both("cosign_signs_with_our_keys_and_we_with_theirs", |stage, _| {
        let image = stage.image("our-key");
        stage.cosign(0, "cosign", &[&["sign", "--key", "ours.key"], &OFFLINE[..]].concat(), &image);
        stage.attestry(0, &["verify", &image, "--key", "ours.pub"]);
        let image = stage.image("their-key");
        stage.attestry(0, &["sign", &image, "--key", "cosign.key"]);
        stage.cosign_verifies(0, "cosign", "cosign.pub", &image);
    });
}

#[test]
fn sbom_attestations_both_ways() {
    on_both("sbom_attestations_both_ways", |stage, _| {
        let verify = |image: &str, key: &str| {
            stage.attestry(0, &["verify", image, "--key", key, "--type", "spdx"]);
        };
        let predicate = ["--predicate", "spdx.json"];
        let image = stage.image("cosign-3-attests");
        let words = [&["attest", "--key", "cosign.key", "--type", "spdxjson"], &predicate[..], &OFFLINE[..]].concat();
        stage.cosign(0, "cosign", &words, &image);
        verify(&image, "cosign.pub");
        // Attack 10: an attestation where a signature is asked. cosign accepts it, we do not.
        stage.cosign_verifies(0, "cosign", "cosign.pub", &image);
        stage.refused("signature-missing", &["verify", &image, "--key", "cosign.pub"]);

        let image = stage.image("cosign-2-attests");
        let old = [
            "attest",
            "-y",
            "--key",
            "cosign.key",
            "--type",
            "spdxjson",
            "--tlog-upload=false",
            "--allow-http-registry",
        ];
        stage.cosign(0, "cosign-2", &[&old[..], &predicate[..]].concat(), &image);
        verify(&image, "cosign.pub");

        for (format, old) in [("bundle", false), ("legacy", true), ("both", true)] {
            let image = stage.image(&format!("we-attest-{format}"));
            stage.attestry(0, &[&["attest", &image, "--key", "ours.key", "--format", format], &predicate[..]].concat());
            stage.cosign_verifies_attestation("cosign", "ours.pub", &image);
            if old {
                stage.cosign_verifies_attestation("cosign-2", "ours.pub", &image);
            }
            verify(&image, "ours.pub");
        }
    });
}

#[test]
fn oras_and_crane_list_what_we_attached() {
    on_both("oras_and_crane_list_what_we_attached", |stage, kind| {
        let image = stage.image("listed");
        stage.attestry(0, &["sign", &image, "--key", "ours.key", "--format", "both"]);
        let output = stage.peers.expect(0, "oras", &["discover", "--plain-http", "--artifact-type", BUNDLE, &image]);
        let listed = String::from_utf8(output.stdout).unwrap();
        assert!(listed.contains(BUNDLE), "{listed}");
        let repository = image.split('@').next().unwrap();
        let tags = String::from_utf8(stage.peers.expect(0, "crane", &["ls", repository]).stdout).unwrap();
        let fallback = image.split('@').nth(1).unwrap().replace(':', "-");
        assert!(tags.contains(&format!("{fallback}.sig")), "{tags}");
        assert_eq!(tags.lines().any(|tag| tag == fallback), kind == Kind::Docker, "{tags}");
    });
}

#[test]
fn attack_01_another_images_signature_is_refused() {
    on_both("attack_01_another_images_signature_is_refused", |stage, _| {
        let signed = stage.image("signed");
        let other = stage.image("unsigned");
        stage.attestry(0, &["sign", &signed, "--key", "ours.key"]);
        let bundle = stage.cosign(0, "cosign", &["download", "signature", "--allow-http-registry"], &signed);
        fs::write(stage.home().join("bundle.json"), bundle.trim()).unwrap();
        let file = format!("bundle.json:{BUNDLE}");
        stage.peers.expect(0, "oras", &["attach", "--plain-http", "--artifact-type", BUNDLE, &other, &file]);
        stage.refused("subject-mismatch", &["verify", &other, "--key", "ours.pub"]);
    });
}

#[test]
fn an_index_is_signed_with_its_children() {
    on_both("an_index_is_signed_with_its_children", |stage, _| {
        let base = stage.image("multi");
        let repository = base.split('@').next().unwrap();
        for architecture in ["amd64", "arm64"] {
            let platform = format!("linux/{architecture}");
            let tag = format!("{repository}:{architecture}");
            stage.peers.expect(0, "crane", &["mutate", "--set-platform", &platform, &base, "-t", &tag]);
        }
        let tag = format!("{repository}:index");
        let (amd64, arm64) = (format!("{repository}:amd64"), format!("{repository}:arm64"));
        stage.peers.expect(0, "crane", &["index", "append", "-m", &amd64, "-m", &arm64, "-t", &tag]);
        let digest = |tag: &str| {
            let output = stage.peers.expect(0, "crane", &["digest", tag]);
            format!("{repository}@{}", String::from_utf8(output.stdout).unwrap().trim())
        };
        let (index, child) = (digest(&tag), digest(&arm64));
        stage.attestry(0, &["sign", &index, "--key", "ours.key"]);
        stage.cosign_verifies(10, "cosign", "ours.pub", &child);
        stage.refused("signature-missing", &["verify", &child, "--key", "ours.pub"]);
        stage.attestry(0, &["sign", &index, "--key", "ours.key", "--recursive"]);
        stage.cosign_verifies(0, "cosign", "ours.pub", &child);
        stage.attestry(0, &["verify", &child, "--key", "ours.pub"]);
        stage.attestry(0, &["verify", &index, "--key", "ours.pub"]);
    });
}

#[test]
fn attack_94_a_tag_is_not_signed() {
    on_both("attack_94_a_tag_is_not_signed", |stage, _| {
        let image = stage.image("tagged");
        let (repository, digest) = image.split_once('@').unwrap();
        let tag = format!("{repository}:1");
        let output =
            crate::attestry::attestry(stage.home()).args(["sign", &tag, "--key", "ours.key"]).output().unwrap();
        let output = crate::peers::expect(2, "attestry sign TAG", output);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(digest), "the command with the digest is printed: {said}");
        stage.refused("signature-missing", &["verify", &image, "--key", "ours.pub"]);
        fs::write(stage.home().join("digest"), digest).unwrap();
        stage.attestry(0, &["sign", &tag, "--key", "ours.key", "--digest-file", "digest"]);
        stage.attestry(0, &["verify", &image, "--key", "ours.pub"]);
    });
}
