//! The comparison of listed and found sums.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{differences, parse};

#[test]
fn every_kind_of_difference_is_named() {
    let check = |listed: &str, found: &str, expected: &[&str]| {
        assert_eq!(differences(&parse(listed).unwrap(), &parse(found).unwrap()), expected, "{listed} against {found}");
    };
    check("aa  x\nbb  y\n", "aa  x\nbb  y\n", &[]);
    check("aa  x\n", "ab  x\n", &["x: changed"]);
    check("aa  x\n", "", &["x: listed, but not there"]);
    check("", "aa  a file\n", &["a file: not listed"]);
}

#[test]
fn a_line_without_a_sum_is_refused() {
    assert!(parse("aa x\n").is_err());
}
