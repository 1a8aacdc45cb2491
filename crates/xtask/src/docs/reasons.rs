//! The page of reason codes.

use attestry_core::ReasonCode;
use attestry_core::reason::ReasonGroup;

const HEAD: &str = "\
# Reason codes

<!-- Written by `cargo xtask docs` from `attestry-core`. Change the texts there. -->

Every answer that is not a plain yes carries one or more of these codes: on the command line, in the API, in
admission messages and in the decision log. A code is stable: it is never renamed or used for something else.
";

pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut group = None;
    for code in ReasonCode::ALL {
        if group.replace(code.group()) != Some(code.group()) {
            page.push_str(&format!(
                "\n## {}\n\n| code | what it means | what to do |\n|---|---|---|\n",
                title(code.group())
            ));
        }
        let [meaning, hint] = [code.meaning(), code.hint()].map(cell);
        page.push_str(&format!("| `{}` | {meaning} | {hint} |\n", code.as_str()));
    }
    page
}

const fn title(group: ReasonGroup) -> &'static str {
    match group {
        ReasonGroup::Evidence => "Signatures and attestations",
        ReasonGroup::Image => "The image and the policies that match it",
        ReasonGroup::Base => "The base image",
        ReasonGroup::Undeterminable => "What kept the answer from being known",
        ReasonGroup::Service => "The service",
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
