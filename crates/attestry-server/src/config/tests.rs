//! Configurations that are read, and those that are refused with the place.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;

const GOOD: &str = r#"apiVersion: attestry.dev/v1alpha1
kind: Configuration
metadata: {name: default}
spec:
  listeners:
    admission: {address: "127.0.0.1:8443"}
    api: {address: "127.0.0.1:8444"}
    ops: {address: "0.0.0.0:8445"}
  dataDirectory: data
  policyDirectory: policies
"#;

fn read(text: &str) -> Result<Configuration, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attestry.yaml");
    fs::write(&path, text).unwrap();
    Configuration::read(&path)
}

#[test]
fn defaults_and_relative_paths() {
    let configuration = read(GOOD).unwrap();
    assert_eq!(configuration.no_policy, NoPolicy::Deny);
    assert!(matches!(configuration.backend, Backend::Redb));
    assert!(configuration.data_directory.is_absolute() && configuration.data_directory.ends_with("data"));
    assert_eq!(configuration.registries.limits.attachment, 4 << 20);
    let sled = read(&format!("{GOOD}  index: {{backend: sled}}\n  noPolicy: Allow\n")).unwrap();
    assert!(matches!(sled.backend, Backend::Sled) && sled.no_policy == NoPolicy::Allow);
}

#[test]
fn what_is_refused_names_its_place() {
    let hash = Digest::of("token").hex();
    for (from, to, place) in [
        ("kind: Configuration", "kind: ImagePolicy", "ImagePolicy"),
        ("v1alpha1", "v2", "v2"),
        ("dataDirectory: data", "dataDirectroy: data", "dataDirectroy"),
        ("  policyDirectory: policies\n", "", "policyDirectory"),
        ("\"127.0.0.1:8443\"", "\"localhost\"", "address"),
        ("\"127.0.0.1:8443\"", "\"0.0.0.0:8443\"", "spec.listeners.admission"),
        ("\"127.0.0.1:8444\"", "\"0.0.0.0:8444\"", "spec.listeners.api"),
        ("{address: \"127.0.0.1:8444\"}", "{address: \"0.0.0.0:8444\", tls: {certificate: c, key: k}}", "tokens"),
        (
            "{address: \"127.0.0.1:8444\"}",
            "{address: \"127.0.0.1:8444\", tokens: [{name: ci, sha256: AB, roles: [reader]}]}",
            "sha256",
        ),
        ("policyDirectory: policies", "policyDirectory: policies\n  index: {backend: sqlite}", "sqlite"),
        ("policyDirectory: policies", "policyDirectory: policies\n  registries: [{host: \"a b\"}]", "a b"),
        (
            "policyDirectory: policies",
            "policyDirectory: policies\n  registries: [{host: r.example, ca: none.pem}]",
            "none.pem",
        ),
        ("policyDirectory: policies", "policyDirectory: policies\n  proxy: {https: \"::\"}", "spec.proxy.https"),
        ("metadata: {name: default}\n", "", "metadata"),
        ("spec:\n", "spec:\nspec:\n", "attestry.yaml"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(place), "{from} → {to}: {error}");
    }
    for text in ["", "{", "5", &GOOD[..GOOD.len() / 2], &"x".repeat(2 << 20)] {
        assert!(read(text).is_err());
    }
    let guarded = GOOD.replace(
        "api: {address: \"127.0.0.1:8444\"}",
        &format!("api: {{address: \"127.0.0.1:8444\", tokens: [{{name: ci, sha256: {hash}, roles: [reader]}}]}}"),
    );
    assert_eq!(read(&guarded).unwrap().tokens.len(), 1);
}
