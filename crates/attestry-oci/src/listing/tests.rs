//! Reading the entries of an index; whole listings are tested against a server.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn an_index_is_an_index_and_nothing_else() {
    let digest = Digest::of("x");
    let good = format!(r#"{{"mediaType":"m","digest":"{digest}","size":1}}"#);
    let check = |body: String, expected: Option<(usize, usize)>| {
        let found = page::read(body.as_bytes()).ok().map(|page| (page.entries.len(), page.unreadable));
        assert_eq!(found, expected, "{body}");
    };
    check(r#"{"manifests":[]}"#.into(), Some((0, 0)));
    check(format!(r#"{{"mediaType":"{OCI_INDEX}","manifests":[{good}]}}"#), Some((1, 0)));
    check(format!(r#"{{"manifests":[{good},{{"digest":"sha512:00"}},7]}}"#), Some((1, 2)));
    check(r#"{"manifests":[{"digest":"x"}]}"#.into(), Some((0, 1)));
    check(r#"{"manifests":{}}"#.into(), None);
    check(r#"{}"#.into(), None);
    check(r#"{"manifests":[],"manifests":[]}"#.into(), None);
    check(r#"{"manifests":[],"layers":[]}"#.into(), None);
    check(r#"{"mediaType":"text/html","manifests":[]}"#.into(), None);
    check("<html>".into(), None);
}

#[test]
fn tags_are_the_published_ones() {
    let digest: Digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse().unwrap();
    let base = "sha256-44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(tag(digest, Layout::Referrers), base);
    assert_eq!(tag(digest, Layout::LegacySignatures), format!("{base}.sig"));
    assert_eq!(tag(digest, Layout::LegacyAttestations), format!("{base}.att"));
}
