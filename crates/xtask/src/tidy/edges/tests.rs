//! Allowed and forbidden edges.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::check;

#[test]
fn edges_follow_the_table() {
    let check = |name: &str, kind: Option<&str>, dependency: &str, expected: &[&str]| {
        let package =
            serde_json::json!({"packages": [{"name": name, "dependencies": [{"name": dependency, "kind": kind}]}]});
        let found: Vec<_> = check(&serde_json::from_value(package).unwrap()).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{name} on {dependency} ({kind:?})");
    };
    check("attestry-policy", None, "attestry-core", &[]);
    check("attestry-policy", None, "serde", &[]);
    check("attestry-core", None, "attestry-policy", &["attestry-core: may not use attestry-policy"]);
    check("attestry-store", None, "attestry-policy", &["attestry-store: may not use attestry-policy"]);
    check("attestry-server", Some("dev"), "attestry-testkit", &[]);
    check("attestry-server", None, "attestry-testkit", &["attestry-server: may not use attestry-testkit"]);
    check("attestry-server", Some("build"), "attestry-testkit", &["attestry-server: may not use attestry-testkit"]);
    check(
        "attestry-core",
        Some("dev"),
        "attestry-testkit",
        &["attestry-core: may not use attestry-testkit in its tests"],
    );
    check("attestry-oci", None, "clap", &["attestry-oci: may not use clap, which is for attestry"]);
    check("attestry-policy", None, "redb", &["attestry-policy: may not use redb, which is for attestry-store"]);
    check(
        "attestry-common",
        None,
        "serde",
        &["attestry-common: has no place in the table of crates (crates/xtask/src/tidy/edges.rs)"],
    );
}
