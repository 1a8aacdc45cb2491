//! The list of steps, and the line that a test runner ends with.

use super::{STEPS, is_summary};

#[test]
fn every_step_has_a_name_of_its_own() {
    let mut names = STEPS.map(|step| step.name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), STEPS.len());
}

#[test]
fn the_summary_is_recognised() {
    assert!(is_summary("     Summary [   0.012s] 3 tests run: 3 passed, 0 skipped"));
    assert!(!is_summary("        PASS [   0.004s] (1/3) xtask tests::summary"));
}
