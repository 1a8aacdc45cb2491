//! The pure crates name nothing that does I/O, reads a clock or makes random choices.
//!
//! Clippy's lists in those crates ban the calls; this finds the names, which a macro or a re-export could hide.

use super::Finding;
use super::text::{is_comment, is_test, names};
use crate::tree::Tree;

const PURE: [&str; 2] = ["crates/attestry-core/src/", "crates/attestry-policy/src/"];

const IMPURE: [&str; 17] = [
    "async_std",
    "getrandom",
    "rand",
    "rand_core",
    "reqwest",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net",
    "std::os",
    "std::process",
    "std::thread::sleep",
    "tokio",
    "Instant::now",
    "SystemRandom",
    "SystemTime::now",
    "Timestamp::now",
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let pure = tree.rust().filter(|(path, _)| PURE.iter().any(|folder| path.starts_with(folder)) && !is_test(path));
    pure.flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate().filter(|(_, line)| !is_comment(line));
    let found = lines
        .flat_map(|(at, line)| IMPURE.iter().filter(move |name| names(line, name)).map(move |name| (at + 1, *name)));
    found.map(|(line, name)| Finding::new(format!("{path}:{line}"), format!("a pure crate names {name}"))).collect()
}

#[cfg(test)]
mod tests;
