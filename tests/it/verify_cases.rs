//! Saved attachments in `tests/vectors/verify`: each is verified, or refused for the reason that its case names.

use std::path::Path;

use attestry_testkit::case::Case;

#[test]
fn every_case_comes_out_as_it_says() {
    let cases = Case::all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/verify")));
    let wrong: Vec<String> = (cases.iter())
        .filter(|case| case.run() != case.expected)
        .map(|case| format!("{}: {:?}, not {:?}: {}", case.name, case.run(), case.expected, case.about))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let accepted = cases.iter().filter(|case| case.expected.is_ok()).count();
    // A verifier that refuses everything, or accepts everything, must not look good.
    assert!(accepted >= 10 && cases.len() - accepted >= 25, "{accepted} of {} cases are accepted", cases.len());
}
