//! Reading `cargo tree` and comparing.

use super::{differences, names};

#[test]
fn new_and_vanished_crates_are_findings() {
    let built_of =
        names("attestry-core v0.0.0 (path)\nserde v1.0.0\nserde v1.0.0 (*)\nserde_derive v1.0.0 (proc-macro)\n\n");
    assert_eq!(built_of.iter().collect::<Vec<_>>(), ["attestry-core", "serde", "serde_derive"]);
    let check = |listed: &str, expected: &[&str]| {
        let found: Vec<_> = differences("list", &names(listed), &built_of).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "against {listed:?}");
    };
    check("attestry-core\nserde\nserde_derive\n", &[]);
    check("attestry-core\nserde\n", &["list: serde_derive is new here; is it pure? then `tidy --bless`"]);
    check("attestry-core\nhex\nserde\nserde_derive\n", &["list: hex is no longer used; `tidy --bless`"]);
}
