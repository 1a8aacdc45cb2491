//! A whole policy folder, and each file of it missing in turn.

use super::check;
use crate::tree::Tree;

const WHOLE: [(&str, &str); 4] = [
    ("policies/shop/README.md", ""),
    ("policies/shop/cases/admit-signed.yaml", ""),
    ("policies/shop/cases/deny-unsigned.yaml", ""),
    ("policies/shop/policy.yaml", ""),
];

#[test]
fn a_whole_policy_is_accepted_and_each_gap_is_named() {
    assert_eq!(check(&Tree::of(&WHOLE)), []);
    let check_without = |file: &str, expected: &str| {
        let rest: Vec<_> = WHOLE.iter().copied().filter(|(path, _)| !path.ends_with(file)).collect();
        let found: Vec<_> = check(&Tree::of(&rest)).iter().map(ToString::to_string).collect();
        assert_eq!(found, [expected], "without {file}");
    };
    check_without("README.md", "policies/shop: has no README.md");
    check_without("/policy.yaml", "policies/shop: has no policy document");
    check_without("admit-signed.yaml", "policies/shop: has no cases/admit-*.yaml");
    check_without("deny-unsigned.yaml", "policies/shop: has no cases/deny-*.yaml");
}

#[test]
fn no_policies_at_all_is_a_finding() {
    assert_eq!(check(&Tree::of(&[("policies/README.md", "")])).len(), 1);
}
