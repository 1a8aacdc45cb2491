//! Every reason code has its entry on the reference page.

use attestry_core::ReasonCode;

use super::Finding;
use crate::docs::REASON_CODES;
use crate::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.get(REASON_CODES).unwrap_or_default();
    let undocumented = ReasonCode::ALL.iter().filter(|code| !page.contains(&format!("`{}`", code.as_str())));
    undocumented
        .map(|code| Finding::new(REASON_CODES, format!("does not explain `{}`; run `cargo xtask docs`", code.as_str())))
        .collect()
}
