//! Each rule about single files, kept and broken.

use super::{check, names};
use crate::tree::Tree;

#[test]
fn rules_about_files() {
    let check = |path: &str, text: &str, expected: &[&str]| {
        let found: Vec<_> = check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{path}: {text}");
    };
    check("crates/a/src/lib.rs", "//! A.\n", &[]);
    check(
        "crates/a/src/lib.rs",
        "\n//! A.\n",
        &["crates/a/src/lib.rs: does not begin with `//!` and what the file is for"],
    );
    check("README.md", "no header\n", &[]);

    let server = "crates/attestry-server/src/app.rs";
    let text = "//! A.\nuse attestry_sign::Key;\n";
    let finding = "names attestry_sign, which holds private keys: the decision path never does";
    check(server, text, &[&format!("crates/attestry-server/src/app.rs:2: {finding}")]);
    check(server, "//! Not attestry_sign.\n// attestry_sign\nfn not_attestry_sign() {}\n", &[]);
    check("crates/attestry-server/src/signing.rs", text, &[]);
    check("crates/attestry/src/main.rs", text, &[]);

    let clock = "//! A.\nlet now = jiff::Timestamp::now();\n";
    check(
        "crates/attestry-store/src/lib.rs",
        clock,
        &["crates/attestry-store/src/lib.rs:2: reads the clock; `now` is an argument here"],
    );
    check("crates/attestry/src/main.rs", clock, &[]);

    let test = "crates/attestry-oci/src/auth/tests.rs";
    // In two parts, so that this test does not find itself.
    let sleep = ["//! A.\ntokio::time::sl", "eep(second).await;\n"].concat();
    check(test, &sleep, &["crates/attestry-oci/src/auth/tests.rs:2: a test that sleeps; wait for the event"]);
    check("crates/attestry-oci/src/auth.rs", &sleep, &[]);
}

#[test]
fn long_files_are_found() {
    let check = |lines: usize, expected: &[&str]| {
        let text = "//! A.\n".repeat(lines);
        let found: Vec<_> = check(&Tree::of(&[("a.rs", &text)])).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{lines} lines");
    };
    check(800, &[]);
    check(801, &["a.rs: 801 lines; above 800, look for the second noun"]);
}

#[test]
fn paths_of_one_machine_are_found_in_every_kind_of_file() {
    let check = |before: &str, folder: &str, after: &str, expected: usize| {
        let text = format!("{before}/{folder}/{after}\n");
        assert_eq!(check(&Tree::of(&[("a.md", &text)])).len(), expected, "{text}");
    };
    check("see ", "work", "main", 1);
    check("", "root", "cache", 1);
    check("PATH=", "home", "someone", 1);
    check("https://example.org", "home", "page", 0);
    check("docs", "work", "plan", 0);
    check("a ", "home", " folder", 0);
}

#[test]
fn unfinished_words_are_found() {
    let word = ["TO", "DO"].concat();
    let text = format!("//! A.\n// {word}: more\n//! {word}NE\n");
    let found: Vec<_> = check(&Tree::of(&[("a.rs", &text)])).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["a.rs:2: unfinished, or a test that never runs"]);
}

#[test]
fn a_name_is_a_whole_word() {
    assert!(names("use rand::Rng;", "rand"));
    assert!(names("rand", "rand"));
    assert!(names("operand(rand)", "rand"));
    assert!(!names("operand", "rand"));
    assert!(!names("rand_core", "rand"));
}
