//! Rules about single files: what each begins with, how long it is, and names that belong in certain places.

use super::Finding;
use crate::tree::Tree;

/// A name that belongs in some places alone.
struct Placed {
    names: &'static [&'static str],
    places: &'static [&'static str],
    message: &'static str,
}

const PLACED: [Placed; 2] = [
    Placed {
        names: &["attestry_sign"],
        places: &[
            "crates/attestry/",
            "crates/attestry-server/src/signing.rs",
            "crates/attestry-server/src/signing/",
            "crates/attestry-sign/",
            "crates/attestry-testkit/",
            "crates/xtask/",
            "fuzz/src/keys.rs",
            "tests/",
        ],
        message: "names attestry_sign, which holds private keys: the decision path never does",
    },
    Placed {
        names: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        places: &["crates/attestry/", "crates/attestry-server/", "crates/xtask/", "tests/"],
        message: "reads the clock; `now` is an argument here",
    },
];

/// A file is about one noun.
const LONGEST: usize = 800;

/// Files that are longer all the same, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// Beginnings of paths that exist on one machine only. Written in two parts, so that this file does not contain them.
const MACHINE: [[&str; 2]; 5] = [["/work", "/"], ["/farm", "/"], ["/root", "/"], ["/home", "/"], ["/Users", "/"]];

/// Words of unfinished work, likewise in two parts, and the attribute that keeps a test from running.
const UNFINISHED: [[&str; 2]; 4] = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["#[ign", "ore"]];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        findings.extend(check_header(path, text));
        findings.extend(check_length(path, text));
        findings.extend(PLACED.iter().flat_map(|placed| check_placed(placed, path, text)));
        findings.extend(check_sleeps(path, text));
        findings.extend(check_unfinished(path, text));
    }
    for (path, text) in tree.files() {
        findings.extend(check_machine_paths(path, text));
    }
    findings
}

fn check_header(path: &str, text: &str) -> Option<Finding> {
    (!text.starts_with("//!")).then(|| Finding::new(path, "does not begin with `//!` and what the file is for"))
}

fn check_length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let excused = LONGER.iter().any(|(file, _)| *file == path);
    match (lines > LONGEST, excused) {
        (true, false) => Some(Finding::new(path, format!("{lines} lines; above {LONGEST}, look for the second noun"))),
        (false, true) => Some(Finding::new(path, "no longer needs its excuse (crates/xtask/src/tidy/text.rs)")),
        _ => None,
    }
}

fn check_placed(placed: &Placed, path: &str, text: &str) -> Vec<Finding> {
    if placed.places.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    at_lines(path, text, placed.message, |line| !is_comment(line) && placed.names.iter().any(|name| names(line, name)))
}

fn check_sleeps(path: &str, text: &str) -> Vec<Finding> {
    if !is_test(path) {
        return Vec::new();
    }
    at_lines(path, text, "a test that sleeps; wait for the event", |line| {
        !is_comment(line) && (names(line, "thread::sleep") || names(line, "time::sleep"))
    })
}

fn check_unfinished(path: &str, text: &str) -> Vec<Finding> {
    let words = UNFINISHED.map(|parts| parts.concat());
    at_lines(path, text, "unfinished, or a test that never runs", |line| words.iter().any(|word| names(line, word)))
}

fn check_machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let beginnings = MACHINE.map(|parts| parts.concat());
    at_lines(path, text, "a path of one machine", |line| {
        beginnings.iter().any(|beginning| {
            line.match_indices(beginning.as_str()).any(|(at, _)| {
                // Inside a longer path or an address the same letters mean something else.
                let before = line[..at].chars().next_back();
                let after = line[at + beginning.len()..].chars().next();
                !before.is_some_and(|c| c.is_alphanumeric() || "_.-}*".contains(c))
                    && after.is_some_and(|c| c.is_alphanumeric())
            })
        })
    })
}

/// A finding for each line that `broken` says yes to.
fn at_lines(path: &str, text: &str, message: &str, broken: impl Fn(&str) -> bool) -> Vec<Finding> {
    let lines = text.lines().enumerate().filter(|(_, line)| broken(line));
    lines.map(|(at, _)| Finding::new(format!("{path}:{}", at + 1), message)).collect()
}

/// Whether a file holds tests alone, by the places where this project puts them.
pub(super) fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Whether `line` has `name` as a whole word: `rand` is not in `operand`.
pub(super) fn names(line: &str, name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(in_word)
            && !line[at + name.len()..].chars().next().is_some_and(in_word)
    })
}

#[cfg(test)]
mod tests;
