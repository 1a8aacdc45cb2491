//! Keyless signatures between cosign and us, through an instance of Sigstore of our own, on both registries.

use std::fs;

use attestry_testkit::authorities::{Instance, log::Generation};

use crate::{
    attestry::run,
    peers::Peers,
    registry::{BOTH, Kind, Registry},
};

const WORKFLOW: &str = "https://ci.test/acme/app/release.yml@refs/heads/main";
const PERSON: &str = "release@acme.test";
const SPDX: &str = r#"{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","documentNamespace":"https://example.org/x","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},"packages":[]}"#;

/// The tools, a registry and an instance, with its trusted root and signing configs as files.
struct Stage {
    peers: Peers,
    registry: Registry,
    instance: Instance,
}

impl Stage {
    fn new(peers: Peers, kind: Kind) -> Self {
        #[expect(clippy::disallowed_methods, reason = "cosign compares with the host's clock")]
        let instance = Instance::start(attestry_core::Timestamp::now);
        let home = peers.home();
        let write = |name: &str, text: String| fs::write(home.join(name), text).unwrap();
        write("root.json", instance.trusted_root().to_string());
        write("v1.json", instance.signing_config(Generation::V1).to_string());
        write("v2.json", instance.signing_config(Generation::V2).to_string());
        write("spdx.json", SPDX.to_owned());
        let registry = Registry::start(&peers, kind);
        Self { peers, registry, instance }
    }

    fn cosign(&self, code: i32, words: &[&str], image: &str) {
        self.peers.expect(code, "cosign", &[words, &["--allow-http-registry", image]].concat());
    }

    fn cosign_signs(&self, what: &[&str], config: &str, identity: &str, image: &str) {
        self.token(identity);
        let services = ["-y", "--identity-token", "token", "--signing-config", config, "--trusted-root", "root.json"];
        self.cosign(0, &[what, &services].concat(), image);
    }

    /// Writes a token for this identity into the file `token`.
    fn token(&self, identity: &str) {
        fs::write(self.peers.home().join("token"), self.instance.token(identity)).unwrap();
    }

    fn we_verify(&self, code: i32, identity: &str, image: &str, more: &[&str]) -> String {
        let issuer = self.instance.issuer();
        let words = ["verify", image, "--identity", identity, "--issuer", issuer, "--trust-root", "root.json"];
        run(self.peers.home(), code, &[&words[..], more].concat())
    }
}

fn on_both(test: &str, cell: impl Fn(&Stage)) {
    for kind in BOTH {
        if let Some(peers) = Peers::find(test) {
            cell(&Stage::new(peers, kind));
        }
    }
}

#[test]
fn cosign_signs_keyless_and_we_verify() {
    on_both("cosign_signs_keyless_and_we_verify", |stage| {
        for (config, identity) in [("v1.json", WORKFLOW), ("v2.json", PERSON)] {
            let image = stage.registry.push(&stage.peers, &format!("app-{}", &config[..2]));
            assert!(stage.we_verify(1, identity, &image, &[]).contains("signature-missing"));
            stage.cosign_signs(&["sign"], config, identity, &image);
            let said = stage.we_verify(0, identity, &image, &[]);
            assert!(said.contains(identity), "{said}");
            assert!(stage.we_verify(1, "https://ci.test/other", &image, &[]).contains("identity-mismatch"));
            // Under the public instance's root the same evidence is nobody's.
            let words = ["verify", &image, "--identity", identity, "--issuer", stage.instance.issuer()];
            run(stage.peers.home(), 1, &words);
            stage.cosign_signs(&["attest", "--type", "spdxjson", "--predicate", "spdx.json"], config, identity, &image);
            stage.we_verify(0, identity, &image, &["--type", "spdx"]);
            let tree = run(stage.peers.home(), 0, &["tree", &image, "--trust-root", "root.json"]);
            assert_eq!(tree.matches("verified").count() - tree.matches("unverified").count(), 2, "{tree}");
        }
    });
}

#[test]
fn cosign_signs_keyless_the_old_way_and_we_verify() {
    on_both("cosign_signs_keyless_the_old_way_and_we_verify", |stage| {
        let image = stage.registry.push(&stage.peers, "legacy");
        let root = stage.instance.trusted_root();
        let url = root["tlogs"][0]["baseUrl"].as_str().unwrap();
        stage.token(WORKFLOW);
        let services = [
            "-y",
            "--identity-token",
            "token",
            "--use-signing-config=false",
            "--new-bundle-format=false",
            "--fulcio-url",
            url,
            "--rekor-url",
            url,
            "--trusted-root",
            "root.json",
        ];
        stage.cosign(0, &[&["sign"], &services[..]].concat(), &image);
        stage.we_verify(0, WORKFLOW, &image, &[]);
        stage.cosign(
            0,
            &[&["attest", "--type", "spdxjson", "--predicate", "spdx.json"], &services[..]].concat(),
            &image,
        );
        stage.we_verify(0, WORKFLOW, &image, &["--type", "spdx"]);
        assert!(stage.we_verify(1, PERSON, &image, &[]).contains("identity-mismatch"));
    });
}
