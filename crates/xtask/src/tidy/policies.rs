//! Each example policy says what it is for and comes with a case that it admits and one that it denies.

use std::collections::BTreeMap;

use super::Finding;
use crate::tree::Tree;

const FOLDER: &str = "policies/";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut policies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (path, _) in tree.files() {
        // A file directly in `policies/` belongs to all of them.
        if let Some((name, rest)) = path.strip_prefix(FOLDER).and_then(|path| path.split_once('/')) {
            policies.entry(name).or_default().push(rest);
        }
    }
    if policies.is_empty() {
        return vec![Finding::new(FOLDER, "has no policy")];
    }
    policies.iter().flat_map(|(name, files)| check_policy(name, files)).collect()
}

fn check_policy(name: &str, files: &[&str]) -> Vec<Finding> {
    let has_case = |verdict: &str| files.iter().any(|file| file.starts_with(verdict) && file.ends_with(".yaml"));
    let wanted = [
        (files.contains(&"README.md"), "has no README.md"),
        (files.iter().any(|file| !file.contains('/') && file.ends_with(".yaml")), "has no policy document"),
        (has_case("cases/admit-"), "has no cases/admit-*.yaml"),
        (has_case("cases/deny-"), "has no cases/deny-*.yaml"),
    ];
    let missing = wanted.into_iter().filter(|(there, _)| !there);
    missing.map(|(_, message)| Finding::new(format!("{FOLDER}{name}"), message)).collect()
}

#[cfg(test)]
mod tests;
