//! Places, splitting, and bounds.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn texts(text: &str) -> Vec<(u32, String)> {
    pieces(text).iter().map(|piece| (piece.lines_before, piece.text.to_owned())).collect()
}

#[test]
fn documents_are_split_at_their_marker_lines() {
    let owned = |line, text: &str| (line, text.to_owned());
    assert_eq!(texts("a\n---\nb\n"), [owned(0, "a\n"), owned(1, "---\nb\n")]);
    assert_eq!(texts("---\na\n--- # c\nb"), [owned(0, "---\na\n"), owned(2, "--- # c\nb")]);
    assert_eq!(texts("\u{feff}a\r\n---\r\nb"), [owned(0, "a\r\n"), owned(1, "---\r\nb")]);
    // Neither PEM nor anything indented is a marker.
    assert_eq!(texts("a: |\n  ---\n-----BEGIN\n").len(), 1);
    for text in ["", "a", "---\na\n---\nb\n---\n", "\u{feff}x\n---\n"] {
        let whole: String = pieces(text).iter().map(|piece| piece.text).collect();
        assert_eq!(whole, text.trim_start_matches('\u{feff}'));
        assert!(pieces(text).iter().all(|piece| text[piece.start..].starts_with(piece.text)));
    }
}

#[test]
fn a_problem_finds_its_byte() {
    let text = "ä: 1\nöö: 2\n";
    let problem = |line, column| Problem { line, column, ..Problem::of_file("f", "m") };
    for (line, column, rest) in
        [(0, 0, "ä: 1"), (1, 1, "ä: 1"), (1, 4, "1\n"), (2, 1, "öö"), (2, 3, ": 2"), (2, 99, "\n"), (9, 1, "")]
    {
        assert!(text[problem(line, column).offset(text)..].starts_with(rest), "{line}:{column}");
    }
}

#[test]
fn the_nearest_name_is_meant_only_when_it_is_near() {
    let known = ["validFrom", "validUntil", "pem"];
    for (name, expected) in [
        ("validform", Some("validFrom")),
        ("validUntill", Some("validUntil")),
        ("pme", Some("pem")),
        ("epm", Some("pem")),
        ("epx", None),
        ("certificate", None),
        ("", None),
    ] {
        assert_eq!(crate::error::nearest(name, known), expected, "{name}");
    }
    // Two neighbours swapped are one edit: neither more nor less than a letter that is missing.
    assert_eq!(crate::error::nearest("epm", ["pem", "epmx"]), Some("epmx"));
    assert_eq!(crate::error::nearest("epm", ["pem", "qepm"]), Some("pem"));
    let names: Vec<String> = (0..17).map(|number| format!("name{number}")).collect();
    let suggest = |count: usize| crate::error::suggest("else", names.iter().take(count).map(String::as_str));
    assert_eq!(suggest(0), None);
    assert_eq!(suggest(2).as_deref(), Some("known here: name0, name1"));
    assert!(suggest(16).is_some_and(|hint| hint.ends_with(", name15")));
    assert_eq!(suggest(17), None);
}

#[test]
fn attack_39_depth_is_bounded() {
    let read = |text: String| super::yaml::read(&text, 0).map(|root| root.is_some()).map_err(|fault| fault.message);
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(nested(32)), Ok(true));
    assert!(read(nested(33)).is_err());
}

#[test]
fn files_are_told_apart_by_their_ending() {
    for (name, holds) in [("a.yaml", true), ("a.yml", true), ("a.json", false), ("yaml", false), ("a.yaml.txt", false)]
    {
        assert_eq!(SourceFile::new(name, "").holds_documents(), holds, "{name}");
    }
}

proptest::proptest! {
    /// Whatever a file holds, it is read or refused, never a panic.
    #[test]
    fn any_text_ends(text in "([a-z]{1,3}: |- |\\{|\\}|\\[|\\]|\n|  |\"|'|---\n|\\||>|&a|\\*a|!t|#|kind: Authority\n|apiVersion: attestry.dev/v1alpha1\n){0,30}") {
        let _ = crate::PolicySet::load(&[SourceFile::new("p.yaml", text)]);
    }

    /// And whatever stands in for a value of a real document.
    #[test]
    fn any_value_ends(value in "\\PC{0,30}", index in 0usize..60) {
        let reference = include_str!("../../testdata/reference.yaml");
        let Some((at, _)) = reference.match_indices(": ").nth(index) else { return Ok(()) };
        let text = format!("{}: {value}\n{}", &reference[..at], reference[at..].split_once('\n').map_or("", |(_, rest)| rest));
        let _ = crate::PolicySet::load(&[SourceFile::new("p.yaml", text)]);
    }
}
