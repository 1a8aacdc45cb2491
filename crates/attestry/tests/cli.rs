//! What a person sees without any registry: help, and mistakes with their exit codes. The whole story runs in
//! `tests/it`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use tempfile::TempDir;

const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

/// An empty folder in which nothing of this machine is seen.
fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("attestry").unwrap();
    command.current_dir(folder).env_clear().env("COLUMNS", "100").env("ATTESTRY_PASSWORD", "pw").args(args);
    let output = command.write_stdin(Vec::new()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
}

/// Runs one command and compares everything that it prints, with its exit code, with the snapshot.
fn check(name: &str, folder: &Path, args: &[&str], code: i32) {
    let (found, text) = run(folder, args);
    assert_eq!(found, code, "{text}");
    insta::assert_snapshot!(name, format!("$ attestry {}\n{text}exit {found}", args.join(" ")));
}

#[test]
fn help_names_every_command_and_exit_code() {
    check("help", folder().path(), &["--help"], 0);
}

#[test]
fn every_command_has_help() {
    let folder = folder();
    for path in [
        &["key", "generate"][..],
        &["key", "import"],
        &["key", "public"],
        &["sign"],
        &["attest"],
        &["verify"],
        &["policy", "test"],
        &["policy", "lint"],
        &["policy", "schema"],
        &["base", "add"],
        &["base", "set-status"],
        &["base", "check"],
        &["audit", "list"],
        &["audit", "show"],
        &["serve"],
        &["completions"],
    ] {
        let (code, text) = run(folder.path(), &[path, &["--help"]].concat());
        assert_eq!(code, 0, "{path:?}: {text}");
        assert!(text.contains("Usage: attestry "), "{path:?}: {text}");
    }
}

#[test]
fn a_wrong_command_line_is_told_before_anything_is_tried() {
    let folder = folder();
    let image = format!("127.0.0.1:1/app@{DIGEST}");
    for (name, args) in [
        ("no-demand", &["verify", &image][..]),
        ("unknown-flag", &["verify", &image, "--keys", "x.pub"]),
        ("bad-reference", &["verify", "Registry.example/App Two", "--key", "x.pub"]),
        ("url", &["sign", "https://registry.example/app", "--key", "x.key"]),
        ("no-signer", &["sign", &image]),
        ("signer-to-come", &["sign", &image, "--service", "https://sign.example"]),
        ("half-identity", &["verify", &image, "--identity", "a@example.org"]),
        ("bad-annotation", &["sign", &image, "--key", "x.key", "--annotation", "=v"]),
        ("bad-decision", &["audit", "show", "seven", "."]),
        ("no-source", &["audit", "list"]),
    ] {
        check(name, folder.path(), args, 2);
    }
}

#[test]
fn attack_94_a_tag_is_not_signed() {
    // Nothing listens there, so what the tag points at cannot be found out; the exit code is the same.
    check("tag", folder().path(), &["sign", "127.0.0.1:1/app:1", "--key", "x.key"], 2);
    let resolve = ["sign", "127.0.0.1:1/app:1", "--key", "x.key", "--danger-resolve-tag"];
    check("tag-unresolved", folder().path(), &resolve, 3);
}

#[test]
fn provenance_is_written_in_ci_only() {
    let folder = folder();
    let image = format!("127.0.0.1:1/app@{DIGEST}");
    let args = ["attest", &image, "--provenance", "ci", "--key", "none.key"];
    check("provenance-outside-ci", folder.path(), &args, 2);
    let twice = [&args[..], &["--predicate", "sbom.json"]].concat();
    check("provenance-and-predicate", folder.path(), &twice, 2);
}

#[test]
fn what_cannot_be_used_is_named_and_nothing_is_written() {
    let folder = folder();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("garbage.pub", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    write("sbom.xml", "<bom/>");
    write("twice.json", r#"{"bomFormat":"CycloneDX","bomFormat":"x"}"#);
    write("cdx.json", r#"{"bomFormat":"CycloneDX","specVersion":"1.6"}"#);
    write("evidence.json", "{}");
    let image = format!("127.0.0.1:1/app@{DIGEST}");
    for (name, args) in [
        ("no-key-file", &["sign", &image, "--key", "none.key"][..]),
        ("no-password-needed-for-garbage", &["key", "import", "garbage.pub", "--out", "new"]),
        ("garbage-public-key", &["verify", &image, "--key", "garbage.pub"]),
        ("predicate-xml", &["attest", &image, "--predicate", "sbom.xml", "--key", "none.key"]),
        ("predicate-duplicate", &["attest", &image, "--predicate", "twice.json", "--key", "none.key"]),
        ("predicate-wrong-type", &["attest", &image, "--predicate", "cdx.json", "--type", "spdx", "--key", "none.key"]),
        ("no-log", &["audit", "list", "."]),
        ("no-policies", &["policy", "test", "."]),
    ] {
        check(name, folder.path(), args, 4);
    }
    assert!(!folder.path().join("new.key").exists());
}

#[test]
fn a_broken_policy_is_shown_where_it_is_broken() {
    let folder = folder();
    let policy = "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: p}\nspec:\n  match: {images: [\"registry.example/**\"]}\n  requires:\n    - name: signed\n";
    fs::create_dir(folder.path().join("policies")).unwrap();
    fs::write(folder.path().join("policies/p.yaml"), policy).unwrap();
    let image = format!("registry.example/app@{DIGEST}");
    check("broken-policy", folder.path(), &["verify", &image, "--policy", "policies"], 4);
}

#[test]
fn keys_are_made_once_and_never_overwritten() {
    let folder = folder();
    let (code, text) = run(folder.path(), &["key", "generate", "release"]);
    assert_eq!(code, 0, "{text}");
    let before = fs::read(folder.path().join("release.key")).unwrap();
    check("key-exists", folder.path(), &["key", "generate", "release"], 4);
    assert_eq!(fs::read(folder.path().join("release.key")).unwrap(), before);

    // The private key leads to the same public one, and verifying with the private file is refused.
    let (_, public) = run(folder.path(), &["key", "public", "release.key"]);
    assert_eq!(public, fs::read_to_string(folder.path().join("release.pub")).unwrap());
    let image = format!("127.0.0.1:1/app@{DIGEST}");
    check("private-key-given", folder.path(), &["verify", &image, "--key", "release.key"], 4);
}

#[test]
fn an_unreachable_registry_is_undeterminable_and_never_unsigned() {
    let folder = folder();
    run(folder.path(), &["key", "generate", "release"]);
    let image = format!("127.0.0.1:1/app@{DIGEST}");
    check("unreachable", folder.path(), &["verify", &image, "--key", "release.pub"], 3);
    // Saved and judged again the answer is the same, now without a registry.
    let (code, _) =
        run(folder.path(), &["verify", &image, "--key", "release.pub", "--save-evidence", "evidence.json", "-q"]);
    assert_eq!(code, 3);
    let again = ["verify", &image, "--key", "release.pub", "--evidence", "evidence.json"];
    check("unreachable-saved", folder.path(), &again, 3);
    let other = format!("127.0.0.1:1/other@{DIGEST}");
    let wrong = ["verify", &other, "--key", "release.pub", "--evidence", "evidence.json"];
    check("evidence-of-another", folder.path(), &wrong, 4);
}
