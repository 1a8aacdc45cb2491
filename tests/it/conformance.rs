//! The 140 cases of sigstore-conformance, through the client that speaks its protocol.
//!
//! What was accepted rightly and what was refused rightly are two counts, and neither a crash nor a usage error is a
//! refusal. Each case sees a neutral copy of its files: the folder's name tells the answer.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::vectors::vectors;

const IDENTITY: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

#[test]
fn every_bundle_comes_out_as_it_must_by_path_and_by_digest() {
    let cases = vectors().join("sigstore-conformance/bundle-verify");
    let mut folders: Vec<PathBuf> =
        fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    for folder in &folders {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let must_fail = name.ends_with("fail");
        for by_digest in [false, true] {
            match (run(folder, by_digest), must_fail) {
                (Some(0), false) => accepted += 1,
                (Some(1), true) => refused += 1,
                (code, _) => wrong.push(format!("{name} (by digest: {by_digest}): exit {code:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((accepted, refused), (42, 98));
}

/// The exit code of the client for one folder.
fn run(folder: &Path, by_digest: bool) -> Option<i32> {
    let neutral = tempfile::tempdir().unwrap();
    let copy = |from: PathBuf, to: &str| {
        fs::copy(&from, neutral.path().join(to)).unwrap();
    };
    copy(folder.join("bundle.sigstore.json"), "bundle.json");
    let artifact = Some(folder.join("artifact")).filter(|path| path.exists());
    copy(artifact.unwrap_or_else(|| folder.parent().unwrap().join("a.txt")), "artifact");
    let trusted_root = Some(folder.join("trusted_root.json")).filter(|path| path.exists());
    copy(trusted_root.unwrap_or_else(|| vectors().join("sigstore-conformance/trusted_root.json")), "root.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestry-conformance"));
    command.current_dir(neutral.path()).args(["verify-bundle", "--bundle", "bundle.json"]);
    let line = |name: &str, default: &str| {
        fs::read_to_string(folder.join(name)).map_or_else(|_| default.to_owned(), |text| text.trim().to_owned())
    };
    if folder.join("key.pub").exists() {
        copy(folder.join("key.pub"), "key.pub");
        command.args(["--key", "key.pub"]);
    } else {
        command.args(["--certificate-identity", &line("identity", IDENTITY)]);
        command.args(["--certificate-oidc-issuer", &line("issuer", ISSUER)]);
    }
    command.args(["--trusted-root", "root.json"]);
    if by_digest {
        let digest = attestry_core::Digest::of(fs::read(neutral.path().join("artifact")).unwrap());
        command.arg(digest.to_string());
    } else {
        command.arg("artifact");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{}: {said}", folder.display());
    output.status.code()
}
