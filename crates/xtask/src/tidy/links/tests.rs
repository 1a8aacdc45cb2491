//! Which links are looked at, and where they lead.

use super::dead_links;

#[test]
fn dead_links_are_found() {
    let check = |page: &str, text: &str, expected: &[&str]| {
        let there = ["README.md", "docs/adr/0001.md", "docs"];
        let found: Vec<_> =
            dead_links(page, text, |path| there.contains(&path)).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{page}: {text}");
    };
    check("README.md", "[a](docs/adr/0001.md), [b](docs/) and [c](#here)", &[]);
    check("docs/adr/0001.md", "[home](../../README.md#why)", &[]);
    check(
        "docs/adr/0001.md",
        "[out](../../../secret)",
        &["docs/adr/0001.md:1: the link to ../../../secret leads nowhere"],
    );
    check("README.md", "\n[a](docs/gone.md)", &["README.md:2: the link to docs/gone.md leads nowhere"]);
    check("README.md", "[a](https://example.org/gone.md) <mailto:a@example.org>", &[]);
    check("README.md", "```\na[0](gone)\n```\n[b](gone)", &["README.md:4: the link to gone leads nowhere"]);
}
