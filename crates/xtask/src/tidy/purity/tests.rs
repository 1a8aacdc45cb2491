//! What counts as naming something impure.

use super::check;
use crate::tree::Tree;

#[test]
fn impure_names_are_found_in_the_pure_crates_alone() {
    let check = |path: &str, line: &str, expected: &[&str]| {
        let found: Vec<_> = check(&Tree::of(&[(path, line)])).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{line} in {path}");
    };
    let core = "crates/attestry-core/src/verify.rs";
    check(core, "use std::fs;", &["crates/attestry-core/src/verify.rs:1: a pure crate names std::fs"]);
    check(
        core,
        "\nlet now = Timestamp::now();",
        &["crates/attestry-core/src/verify.rs:2: a pure crate names Timestamp::now"],
    );
    check(core, "use rand::Rng;", &["crates/attestry-core/src/verify.rs:1: a pure crate names rand"]);
    check(core, "/// Never calls `SystemTime::now`.", &[]);
    check(core, "let operand = strand(brand);", &[]);
    check(core, "let version = env!(\"CARGO_PKG_VERSION\");", &[]);
    check("crates/attestry-core/src/verify/tests.rs", "use std::fs;", &[]);
    check("crates/attestry-oci/src/lib.rs", "use std::net::IpAddr;", &[]);
}
