//! SBOMs that a real generator (`cargo-sbom`) writes of this workspace: attested without naming their type, verified by
//! us under key and policy, and by cosign.

use std::{fs, path::Path, process::Command};

use crate::{
    attestry::{key_authority, run, write_policy},
    peers::{Peers, expect, not_run},
    registry::{BOTH, Registry},
};

/// A format of the generator's, its name in our `--type`, and in cosign's.
struct Format {
    generator: &'static str,
    ours: &'static str,
    cosign: &'static str,
}

const SPDX: Format = Format { generator: "spdx_json_2_3", ours: "spdx", cosign: "spdxjson" };
const CYCLONE_DX: Format = Format { generator: "cyclone_dx_json_1_6", ours: "cyclonedx", cosign: "cyclonedx" };

#[test]
fn spdx_of_this_workspace_is_attested_and_verified() {
    attested_and_verified("spdx_of_this_workspace_is_attested_and_verified", &SPDX);
}

#[test]
fn cyclonedx_of_this_workspace_is_attested_and_verified() {
    attested_and_verified("cyclonedx_of_this_workspace_is_attested_and_verified", &CYCLONE_DX);
}

fn attested_and_verified(test: &str, format: &Format) {
    if !generator_is_there() {
        not_run(test, "cargo-sbom is not installed");
        return;
    }
    for kind in BOTH {
        let Some(peers) = Peers::find(test) else { return };
        let home = peers.home();
        fs::write(home.join("sbom.json"), generate(format)).unwrap();
        run(home, 0, &["key", "generate", "ours"]);
        run(home, 0, &["key", "generate", "other"]);
        let registry = Registry::start(&peers, kind);
        let image = registry.push(&peers, "app");
        run(home, 0, &["attest", &image, "--predicate", "sbom.json", "--key", "ours.key"]);

        let other_type = if format.ours == SPDX.ours { CYCLONE_DX.ours } else { SPDX.ours };
        run(home, 0, &["verify", &image, "--key", "ours.pub", "--type", format.ours]);
        refused(home, "attestation-missing", &["--key", "ours.pub", "--type", other_type], &image);
        refused(home, "key-unknown", &["--key", "other.pub", "--type", format.ours], &image);

        for (folder, condition) in [("many", "size(sbom.packages) > 100"), ("few", "size(sbom.packages) <= 100")] {
            let requirement = format!(
                r#"{{name: has-sbom, attestation: {{types: [{}], authorities: [ours], condition: "{condition}"}}}}"#,
                format.ours
            );
            write_policy(&home.join(folder), &key_authority(home, "ours.pub"), &requirement, "");
        }
        run(home, 0, &["verify", &image, "--policy", "many"]);
        refused(home, "condition-false", &["--policy", "few"], &image);

        peers.expect(
            0,
            "cosign",
            &[
                "verify-attestation",
                "--type",
                format.cosign,
                "--key",
                "ours.pub",
                "--insecure-ignore-tlog",
                "--allow-http-registry",
                &image,
            ],
        );
    }
}

#[track_caller]
fn refused(home: &Path, code: &str, words: &[&str], image: &str) {
    let said = run(home, 1, &[&["verify", image], words].concat());
    assert!(said.contains(code), "{words:?}: no {code} in\n{said}");
}

fn generator_is_there() -> bool {
    Command::new("cargo-sbom").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What the generator says of the crate that becomes the shipped binary.
fn generate(format: &Format) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let output = Command::new("cargo-sbom")
        .args(["sbom", "--cargo-package", "attestry", "--output-format", format.generator])
        .arg("--project-directory")
        .arg(root)
        .output()
        .unwrap();
    expect(0, "cargo-sbom", output).stdout
}
