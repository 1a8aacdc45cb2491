//! Keyless signatures between cosign and us, through an instance of Sigstore of our own, on both registries.

use std::fs;

use attestry_testkit::authorities::{Instance, Outage, Service, log::Generation};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    attestry::{run, write_policy},
    peers::{Peers, expect},
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
        let instance = Instance::start(clock_of_the_host());
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

    /// Where clients without a signing config find all services of the first generation.
    fn first_url(&self) -> String {
        self.instance.trusted_root()["tlogs"][0]["baseUrl"].as_str().unwrap().to_owned()
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
        let url = &stage.first_url();
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

/// As cosign did it until 2023: the entry in the log names the envelope's bytes and not its signature.
#[test]
fn cosign_2_attests_keyless_with_an_older_log_entry_and_we_verify() {
    on_both("cosign_2_attests_keyless_with_an_older_log_entry_and_we_verify", |stage| {
        let image = stage.registry.push(&stage.peers, "older");
        let (root, url) = (stage.instance.trusted_root(), &stage.first_url());
        stage.token(WORKFLOW);
        let home = stage.peers.home();
        let pem = |label: &str, of: &serde_json::Value| {
            let der = STANDARD.decode(of["rawBytes"].as_str().unwrap()).unwrap();
            pem::encode(&pem::Pem::new(label, der))
        };
        let chain = &root["certificateAuthorities"][0]["certChain"]["certificates"];
        let chain: String = chain.as_array().unwrap().iter().map(|one| pem("CERTIFICATE", one)).collect();
        fs::write(home.join("fulcio.pem"), chain).unwrap();
        fs::write(home.join("rekor.pub"), pem("PUBLIC KEY", &root["tlogs"][0]["publicKey"])).unwrap();
        fs::write(home.join("ct.pub"), pem("PUBLIC KEY", &root["ctlogs"][0]["publicKey"])).unwrap();
        let attested = (stage.peers.tool("cosign-2"))
            .args(["attest", "-y", "--allow-http-registry", "--identity-token", "token", "--new-bundle-format=false"])
            .args(["--rekor-entry-type", "intoto", "--fulcio-url", url, "--rekor-url", url])
            .args(["--type", "spdxjson", "--predicate", "spdx.json", &image])
            .env("SIGSTORE_ROOT_FILE", home.join("fulcio.pem"))
            .env("SIGSTORE_REKOR_PUBLIC_KEY", home.join("rekor.pub"))
            .env("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", home.join("ct.pub"))
            .output();
        expect(0, "cosign-2 attest", attested.unwrap());
        stage.we_verify(0, WORKFLOW, &image, &["--type", "spdx"]);
        assert!(stage.we_verify(1, PERSON, &image, &["--type", "spdx"]).contains("identity-mismatch"));
        // The entry that it asked for is the one that was logged.
        let tag = image.replace("@sha256:", ":sha256-") + ".att";
        let manifest = stage.peers.expect(0, "crane", &["manifest", "--insecure", &tag]);
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.stdout).unwrap();
        let bundle = manifest["layers"][0]["annotations"]["dev.sigstore.cosign/bundle"].as_str().unwrap();
        let bundle: serde_json::Value = serde_json::from_str(bundle).unwrap();
        let body = STANDARD.decode(bundle["Payload"]["body"].as_str().unwrap()).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["kind"], &body["apiVersion"]), (&"intoto".into(), &"0.0.1".into()));
    });
}

impl Stage {
    fn we_sign(&self, code: i32, what: &[&str], config: &str, identity: &str, more: &[&str]) -> String {
        self.token(identity);
        let services = ["--identity-token", "token", "--signing-config", config, "--trust-root", "root.json"];
        run(self.peers.home(), code, &[what, &services, more].concat())
    }

    fn cosign_verifies(&self, code: i32, identity: &str, image: &str) {
        let words = [
            "verify",
            "--certificate-identity",
            identity,
            "--certificate-oidc-issuer",
            self.instance.issuer(),
            "--trusted-root",
            "root.json",
            "--use-signed-timestamps",
        ];
        self.cosign(code, &words, image);
    }
}

#[test]
fn we_sign_keyless_and_cosign_verifies() {
    on_both("we_sign_keyless_and_cosign_verifies", |stage| {
        for (config, identity) in [("v1.json", WORKFLOW), ("v2.json", PERSON)] {
            let image = stage.registry.push(&stage.peers, &format!("ours-{}", &config[..2]));
            let said = stage.we_sign(0, &["sign", &image], config, identity, &[]);
            assert!(said.contains(identity), "{said}");
            stage.we_verify(0, identity, &image, &[]);
            stage.cosign_verifies(0, identity, &image);
            stage.cosign_verifies(1, "https://ci.test/other", &image);
            stage.we_sign(0, &["attest", &image, "--predicate", "spdx.json"], config, identity, &[]);
            stage.we_verify(0, identity, &image, &["--type", "spdx"]);
            // A file as well.
            fs::write(stage.peers.home().join("release"), "bytes").unwrap();
            stage.we_sign(0, &["sign", "--file", "release", "--bundle", "b.json"], config, identity, &[]);
            let who = ["--identity", identity, "--issuer", stage.instance.issuer(), "--trust-root", "root.json"];
            run(stage.peers.home(), 0, &[&["verify", "--file", "release", "--bundle", "b.json"], &who[..]].concat());
            let words = [
                "verify-blob",
                "--certificate-identity",
                identity,
                "--certificate-oidc-issuer",
                stage.instance.issuer(),
                "--trusted-root",
                "root.json",
                "--use-signed-timestamps",
                "--bundle",
                "b.json",
                "release",
            ];
            stage.peers.expect(0, "cosign", &words);
        }
    });
}

#[test]
fn a_silent_log_leaves_nothing_or_something_pending() {
    // One registry: what is tried here is the log, and each outage is waited for.
    let Some(peers) = Peers::find("a_silent_log_leaves_nothing_or_something_pending") else { return };
    let stage = Stage::new(peers, BOTH[0]);
    let home = stage.peers.home();
    {
        for (config, identity) in [("v2.json", PERSON), ("v1.json", WORKFLOW)] {
            let image = stage.registry.push(&stage.peers, &format!("pending-{}", &config[..2]));
            stage.instance.fail(Service::Log, Some(Outage::Down));
            stage.we_sign(4, &["sign", &image], config, identity, &[]);
            assert!(stage.we_verify(1, identity, &image, &[]).contains("signature-missing"), "nothing was attached");
            stage.we_sign(0, &["sign", &image], config, identity, &["--log-pending"]);
            assert!(stage.we_verify(1, identity, &image, &[]).contains("log-entry-missing"));
            // A policy may allow it for a while.
            let issuer = stage.instance.issuer();
            let authority = format!(
                r#"{{keyless: {{issuer: "{issuer}", subject: {{exact: "{identity}"}}, trustRoot: instance, pendingLog: 1h}}}}"#
            );
            let root = "---\napiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: instance}\nspec: {file: root.json}\n";
            let signed = "{name: signed, signature: {authorities: [ours]}}";
            write_policy(&home.join("patient"), &authority, signed, root);
            fs::copy(home.join("root.json"), home.join("patient/root.json")).unwrap();
            run(home, 0, &["verify", &image, "--policy", "patient"]);
            // The log is back.
            stage.instance.fail(Service::Log, None);
            let complete = ["--signing-config", config, "--trust-root", "root.json"];
            run(home, 0, &[&["sign", &image, "--complete"], &complete[..]].concat());
            stage.we_verify(0, identity, &image, &[]);
            stage.cosign_verifies(0, identity, &image);
            let again = run(home, 0, &[&["sign", &image, "--complete"], &complete[..]].concat());
            assert!(again.contains("no signature waits"), "{again}");
        }
    }
}

#[test]
fn what_a_service_does_wrong_is_told_and_nothing_is_attached() {
    let Some(peers) = Peers::find("what_a_service_does_wrong_is_told_and_nothing_is_attached") else { return };
    let stage = Stage::new(peers, BOTH[1]);
    let image = stage.registry.push(&stage.peers, "wrong");
    for (service, outage, code) in [
        (Service::Certificates, Outage::Garbage, 4),
        (Service::Timestamps, Outage::Garbage, 4),
        (Service::Log, Outage::Garbage, 4),
        (Service::Timestamps, Outage::Down, 4),
        (Service::Log, Outage::Throttled(2), 0),
        (Service::Certificates, Outage::Throttled(1), 0),
    ] {
        stage.instance.fail(service, Some(outage));
        stage.we_sign(code, &["sign", &image], "v1.json", WORKFLOW, &[]);
        stage.instance.fail(service, None);
        if code != 0 {
            assert!(stage.we_verify(1, WORKFLOW, &image, &[]).contains("signature-missing"), "{service:?} {outage:?}");
        }
    }
    stage.we_verify(0, WORKFLOW, &image, &[]);
    // A trust root of another instance: our own signature does not verify, so it is not stored.
    let other = Instance::start(clock_of_the_host());
    fs::write(stage.peers.home().join("root.json"), other.trusted_root().to_string()).unwrap();
    let image = stage.registry.push(&stage.peers, "elsewhere");
    stage.we_sign(4, &["sign", &image], "v1.json", WORKFLOW, &[]);
    // No token at all.
    run(stage.peers.home(), 2, &["sign", &image]);
}

/// The client of sigstore-conformance signs with the same services.
#[test]
fn the_conformance_client_signs_what_it_verifies() {
    let instance = Instance::start(clock_of_the_host());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("root.json"), instance.trusted_root().to_string()).unwrap();
    fs::write(at("artifact"), "bytes").unwrap();
    let digest = attestry_core::Digest::of("bytes").hex();
    fs::write(at("statement"), format!(r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"name":"a","digest":{{"sha256":"{digest}"}}}}],"predicateType":"https://example.org/own/v1","predicate":{{}}}}"#)).unwrap();
    for generation in [Generation::V1, Generation::V2] {
        fs::write(at("config.json"), instance.signing_config(generation).to_string()).unwrap();
        for (signed, option) in [("artifact", None), ("statement", Some("--in-toto"))] {
            let client = |words: &[&str]| {
                let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_attestry-conformance"));
                let output = command.args(words).output().unwrap();
                crate::peers::expect(0, &words.join(" "), output);
            };
            let token = instance.token(WORKFLOW);
            let (bundle, root, config, signed) = (at("bundle.json"), at("root.json"), at("config.json"), at(signed));
            let words = [
                "--identity-token",
                &token,
                "--bundle",
                &bundle,
                "--trusted-root",
                &root,
                "--signing-config",
                &config,
                &signed,
            ];
            client(&[&["sign-bundle"], option.as_slice(), &words[..]].concat());
            let who = ["--certificate-identity", WORKFLOW, "--certificate-oidc-issuer", instance.issuer()];
            client(
                &[&["verify-bundle", "--bundle", &bundle], &who[..], &["--trusted-root", &root, &at("artifact")]]
                    .concat(),
            );
        }
    }
}

/// A time that has not come yet proves nothing; a moment later it has come.
#[test]
fn services_whose_clock_is_a_little_ahead_are_waited_for() {
    let instance = Instance::start(|| attestry_core::Timestamp::now() + jiff::SignedDuration::from_millis(1_200));
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(home.path().join(name), text).unwrap();
    write("root.json", instance.trusted_root().to_string());
    write("config.json", instance.signing_config(Generation::V1).to_string());
    write("token", instance.token(WORKFLOW));
    write("release.txt", "a release".to_owned());
    let file = ["--file", "release.txt", "--bundle", "release.sigstore.json", "--trust-root", "root.json"];
    let signed = [&["sign", "--identity-token", "token", "--signing-config", "config.json"], &file[..]].concat();
    run(home.path(), 0, &signed);
    run(home.path(), 0, &[&["verify", "--identity", WORKFLOW, "--issuer", instance.issuer()], &file[..]].concat());
}

/// The command line and cosign look at the host's clock.
fn clock_of_the_host() -> fn() -> attestry_core::Timestamp {
    attestry_core::Timestamp::now
}

/// sigstore-python is the strictest reader of bundles; it is run where it is installed.
#[test]
fn sigstore_python_verifies_what_we_sign() {
    let test = "sigstore_python_verifies_what_we_sign";
    let Ok(output) = std::process::Command::new("sigstore").arg("--version").output() else {
        crate::peers::not_run(test, "sigstore (from PyPI) is not installed");
        return;
    };
    assert!(output.status.success());
    let instance = Instance::start(clock_of_the_host());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    write("release", "bytes".to_owned());
    write("root.json", instance.trusted_root().to_string());
    for (generation, identity) in [(Generation::V1, WORKFLOW), (Generation::V2, PERSON)] {
        let config = instance.signing_config(generation);
        write("config.json", config.to_string());
        write("token", instance.token(identity));
        // One file holds what this client trusts and what it would sign with.
        let trust = serde_json::json!({
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": instance.trusted_root(),
            "signingConfig": config,
        });
        write("trust.json", trust.to_string());
        let services = ["--identity-token", "token", "--signing-config", "config.json", "--trust-root", "root.json"];
        run(folder.path(), 0, &[&["sign", "--file", "release", "--bundle", "release.json"], &services[..]].concat());
        let verify = |code: i32, identity: &str| {
            let words = ["--trust-config", "trust.json", "verify", "identity", "--bundle", "release.json"];
            let who = ["--cert-identity", identity, "--cert-oidc-issuer", instance.issuer(), "release"];
            let mut command = std::process::Command::new("sigstore");
            let output = command.current_dir(folder.path()).args(words).args(who).output().unwrap();
            crate::peers::expect(code, "sigstore verify identity", output);
        };
        verify(0, identity);
        verify(1, "https://ci.test/other");
    }
}
