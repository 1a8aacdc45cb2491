//! Everything that the pure crates are built of, against a list that people have read: a crate that brings sockets or
//! a clock into the deciding code comes in through somebody's review or not at all.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use super::Finding;
use crate::command;

/// Each with its list in `crates/NAME/closure.txt`.
const PURE: [&str; 2] = ["attestry-core", "attestry-policy"];
/// One platform for all, so that the list does not depend on who writes it.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

pub(super) fn check(bless: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in PURE {
        let tree = ["tree", "--package", name, "--edges=normal", "--prefix=none", "--target", PLATFORM, "--locked"];
        let built_of = names(&command::output(&mut command::cargo(tree))?);
        let list = format!("crates/{name}/closure.txt");
        let path = command::root().join(&list);
        if bless {
            let lines: Vec<_> = built_of.iter().map(|name| format!("{name}\n")).collect();
            fs::write(&path, lines.concat()).with_context(|| format!("cannot write {list}"))?;
        } else {
            let listed = fs::read_to_string(&path).with_context(|| format!("cannot read {list}"))?;
            findings.extend(differences(&list, &names(&listed), &built_of));
        }
    }
    Ok(findings)
}

/// The first word of each line of `cargo tree`, once.
fn names(tree: &str) -> BTreeSet<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn differences(list: &str, listed: &BTreeSet<String>, built_of: &BTreeSet<String>) -> Vec<Finding> {
    let new = built_of.difference(listed).map(|name| format!("{name} is new here; is it pure? then `tidy --bless`"));
    let gone = listed.difference(built_of).map(|name| format!("{name} is no longer used; `tidy --bless`"));
    new.chain(gone).map(|message| Finding::new(list, message)).collect()
}

#[cfg(test)]
mod tests;
