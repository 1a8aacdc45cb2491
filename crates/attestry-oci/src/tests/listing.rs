//! The referrers API and its fallback tag.

use attestry_core::manifest::OCI_INDEX;
use serde_json::Value;

use super::*;
use crate::hostile::{Reply, Seen};

const OF: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn entry(number: usize) -> Value {
    json!({"mediaType": OCI_MANIFEST, "digest": Digest::of(number.to_string()), "size": 1})
}

fn index(entries: impl IntoIterator<Item = Value>) -> Reply {
    let entries: Vec<Value> = entries.into_iter().collect();
    Reply::ok(OCI_INDEX, json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).to_string())
}

fn is_api(seen: &Seen) -> bool {
    seen.path.starts_with("/v2/app/referrers/")
}

/// Lists the attachments of one digest and compares the number of entries and the cause of the gap.
async fn check(
    name: &str,
    answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    entries: Option<usize>,
    gap: Option<GapCause>,
) -> Server {
    let server = Server::start(answer).await;
    let of: Digest = OF.parse().unwrap();
    let need = Need::Listing { of, layout: Layout::Referrers };
    let needs: Needs = [need.clone()].into();
    let client = user();
    let evidence = client.collect(&server.subject(of), &Budget::default(), |_| needs.clone()).await;
    let found = evidence.listings.get(&(of, Layout::Referrers)).map(Vec::len);
    assert_eq!(found, entries, "entries of {name}: {:?}", evidence.gaps);
    assert_eq!(evidence.gap(&need).map(|gap| gap.cause), gap, "gap of {name}: {:?}", evidence.gaps);
    server
}

#[tokio::test]
async fn both_sources_are_merged_and_hints_are_kept() {
    let sample = |seen: &Seen| {
        let mut hinted = entry(1);
        hinted["artifactType"] = "type".into();
        hinted["annotations"] = json!({"dev.sigstore.bundle.predicateType": "predicate"});
        if is_api(seen) { index([entry(0), entry(1)]) } else { index([hinted, entry(2)]) }
    };
    check("two sources", sample, Some(3), None).await;
    let server = Server::start(sample).await;
    let of: Digest = OF.parse().unwrap();
    let needs: Needs = [Need::Listing { of, layout: Layout::Referrers }].into();
    let client = user();
    let evidence = client.collect(&server.subject(of), &Budget::default(), |_| needs.clone()).await;
    let entries = &evidence.listings[&(of, Layout::Referrers)];
    let digests: Vec<Digest> = entries.iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [Digest::of("0"), Digest::of("1"), Digest::of("2")]);
    assert_eq!(entries[1].artifact_type.as_deref(), Some("type"));
    assert_eq!(entries[1].predicate_type.as_deref(), Some("predicate"));
}

#[tokio::test]
async fn registries_without_the_api_leave_it_to_the_fallback() {
    for status in [303, 400, 404, 405, 406, 501] {
        let api = move |seen: &Seen| if is_api(seen) { Reply::status(status) } else { index([entry(0)]) };
        check(&status.to_string(), api, Some(1), None).await;
        let nothing = move |seen: &Seen| Reply::status(if is_api(seen) { status } else { 404 });
        check(&status.to_string(), nothing, Some(0), None).await;
    }
    // GitHub sends to a web page; whatever is there is no listing.
    let html = |seen: &Seen| match seen.path.as_str() {
        "/page" => Reply::ok("text/html", "<html>"),
        _ if is_api(seen) => Reply::redirect(302, "/page"),
        _ => index([entry(0)]),
    };
    check("a redirect to a page", html, Some(1), None).await;
    let moved = |seen: &Seen| match seen.path.as_str() {
        "/moved" => index([entry(1)]),
        _ if is_api(seen) => Reply::redirect(307, "/moved"),
        _ => Reply::status(404),
    };
    check("a redirect to an index", moved, Some(1), None).await;
    let gone = |seen: &Seen| match seen.path.as_str() {
        "/v2/app/referrers/gone" => Reply::status(303),
        _ if is_api(seen) => Reply::redirect(303, "https://github.example/"),
        _ => index([entry(0)]),
    };
    let server = check("GitHub's 303", gone, Some(1), None).await;
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn attack_42_an_unreadable_list_is_not_an_empty_one() {
    for (status, cause) in [
        (401, GapCause::Denied),
        (403, GapCause::Denied),
        (429, GapCause::Throttled),
        (500, GapCause::Unreachable),
        (503, GapCause::Unreachable),
    ] {
        let api = move |seen: &Seen| Reply::status(if is_api(seen) { status } else { 404 });
        check("the API", api, None, Some(cause)).await;
        let tag = move |seen: &Seen| Reply::status(if is_api(seen) { 404 } else { status });
        check("the tag", tag, None, Some(cause)).await;
        // What the other source lists still counts: it can meet a requirement, and the gap says the rest.
        let half = move |seen: &Seen| if is_api(seen) { Reply::status(status) } else { index([entry(0)]) };
        check("one of two", half, Some(1), Some(cause)).await;
    }
    let page = |seen: &Seen| if is_api(seen) { Reply::ok("text/html", "<html>") } else { Reply::status(404) };
    check("a page without redirect", page, None, Some(GapCause::Malformed)).await;
}

#[tokio::test]
async fn broken_lists_are_malformed_and_keep_what_can_be_read() {
    let bad = json!({"mediaType": OCI_MANIFEST, "digest": "sha512:00", "size": 1});
    let api = {
        let bad = bad.clone();
        move |seen: &Seen| if is_api(seen) { index([entry(0), bad.clone()]) } else { Reply::status(404) }
    };
    check("an entry of the API", api, Some(1), Some(GapCause::Malformed)).await;
    let paged = {
        let bad = bad.clone();
        move |seen: &Seen| match (is_api(seen), seen.query.as_str()) {
            (false, _) => Reply::status(404),
            (true, "") => index([bad.clone()]).with("link", "<?last=1>; rel=next"),
            (true, _) => index([entry(0)]),
        }
    };
    check("a bad entry before a good page", paged, Some(1), Some(GapCause::Malformed)).await;
    let tag = move |seen: &Seen| if is_api(seen) { Reply::status(404) } else { index([bad.clone(), entry(0)]) };
    check("an entry of the tag", tag, Some(1), Some(GapCause::Malformed)).await;
    for body in ["{", r#"{"manifests":[],"manifests":[]}"#, r#"{"manifests":[],"layers":[]}"#, "[]"] {
        let api = move |seen: &Seen| if is_api(seen) { Reply::ok(OCI_INDEX, body) } else { Reply::status(404) };
        check(body, api, None, Some(GapCause::Malformed)).await;
        let tag = move |seen: &Seen| if is_api(seen) { Reply::status(404) } else { Reply::ok(OCI_INDEX, body) };
        check(body, tag, None, Some(GapCause::Malformed)).await;
    }
}

#[tokio::test]
async fn attack_33_a_tag_that_is_no_list_is_not_read_as_one() {
    let image = |seen: &Seen| match is_api(seen) {
        true => Reply::status(404),
        false => Reply::ok(OCI_MANIFEST, json!({"schemaVersion": 2, "config": entry(0), "layers": []}).to_string()),
    };
    check("an image", image, Some(0), None).await;
    // GitLab answers with the subject itself, whose digest is the one that was asked for.
    let itself = |seen: &Seen| if is_api(seen) { Reply::status(404) } else { Reply::ok("application/json", "{}") };
    check("the subject", itself, Some(0), None).await;
}

#[tokio::test]
async fn pages_are_followed_on_our_own_origin() {
    let elsewhere = Server::start(|_| index([entry(99)])).await;
    let foreign = elsewhere.url(&format!("/v2/app/referrers/{OF}?last=1"));
    let pages = move |seen: &Seen| match (is_api(seen), seen.query.as_str()) {
        (false, _) => Reply::status(404),
        (true, "") => index([entry(0)]).with("link", format!("<{foreign}>; rel=\"next\"")),
        (true, "last=1") => index([entry(1)]).with("link", "<?last=2&n=1>; rel=next"),
        (true, _) => index([entry(2)]),
    };
    let server = check("three pages", pages, Some(3), None).await;
    assert_eq!(server.count("/referrers/"), 3);
    assert_eq!(elsewhere.seen().len(), 0, "attack 35: the next page is not read from another host");
}

#[tokio::test]
async fn attack_42_a_later_page_that_is_missing_is_a_gap() {
    for (status, cause) in [
        (303, GapCause::Malformed),
        (400, GapCause::Malformed),
        (404, GapCause::NotFound),
        (501, GapCause::Unreachable),
    ] {
        let pages = move |seen: &Seen| match (is_api(seen), seen.query.as_str()) {
            (false, _) => Reply::status(404),
            (true, "") => index([entry(0)]).with("link", "<?last=1>; rel=next"),
            (true, _) => Reply::status(status),
        };
        check(&status.to_string(), pages, Some(1), Some(cause)).await;
    }
}

#[tokio::test]
async fn a_list_of_the_limit_is_whole() {
    let api = |seen: &Seen| if is_api(seen) { index((0..1000).map(entry)) } else { Reply::status(404) };
    check("a thousand entries", api, Some(1000), None).await;
    // What is too long already is not read on.
    let more = |seen: &Seen| match is_api(seen) {
        true => index((0..1200).map(entry)).with("link", "<?last=1>; rel=next"),
        false => Reply::status(404),
    };
    let server = check("more pages", more, Some(1000), Some(GapCause::OverLimit)).await;
    assert_eq!(server.count("/referrers/"), 1);
}

#[tokio::test]
async fn attack_35_pages_are_bounded_together() {
    let page = |number: usize| json!({"schemaVersion": 2, "manifests": [entry(number)]}).to_string();
    let server = Server::start(move |seen| match (is_api(seen), seen.query.as_str()) {
        (false, _) => Reply::status(404),
        (true, "") => Reply::ok(OCI_INDEX, page(0)).with("link", "<?last=1>; rel=next"),
        (true, _) => Reply::ok(OCI_INDEX, page(1)),
    })
    .await;
    let (of, both) = (OF.parse().unwrap(), 2 * page(0).len() as u64);
    for (listing, entries, fault) in [(both, 2, None), (both - 1, 1, Some(GapCause::OverLimit))] {
        let client = user_within(Limits { listing, ..Limits::default() });
        let found = client.referrers(&server.repository(), of, &Budget::default()).await;
        assert_eq!((found.entries.len(), found.fault.map(|fault| fault.cause)), (entries, fault), "{listing}");
    }
}

#[tokio::test]
async fn attack_35_lists_without_end_are_cut() {
    let next = |seen: &Seen, link: String| match is_api(seen) {
        true => index([entry(seen.query.len())]).with("link", format!("<{link}>; rel=\"next\"")),
        false => Reply::status(404),
    };
    let endless = move |seen: &Seen| next(seen, format!("?{}x", seen.query));
    let server = check("endless pages", endless, Some(10), Some(GapCause::OverLimit)).await;
    assert_eq!(server.count("/referrers/"), 10);
    let looping = move |seen: &Seen| next(seen, if seen.query == "a" { "?b" } else { "?a" }.to_owned());
    let server = check("a loop", looping, Some(2), Some(GapCause::Malformed)).await;
    assert_eq!(server.count("/referrers/"), 3);
    for link in ["/v2/other/referrers/x", "../../../../v2/other/manifests/x", "/token?x", "http://["] {
        let outside = move |seen: &Seen| next(seen, link.to_owned());
        check(link, outside, None, Some(GapCause::Malformed)).await;
    }
    let many = |seen: &Seen| if is_api(seen) { index((0..1200).map(entry)) } else { Reply::status(404) };
    check("too many entries", many, Some(1000), Some(GapCause::OverLimit)).await;
    let tag = |seen: &Seen| if is_api(seen) { Reply::status(404) } else { index((0..1200).map(entry)) };
    check("too many entries in the tag", tag, Some(1000), Some(GapCause::OverLimit)).await;
    let big = |seen: &Seen| match is_api(seen) {
        true => Reply::ok(OCI_INDEX, "").endless(),
        false => Reply::status(404),
    };
    check("a page of gigabytes", big, None, Some(GapCause::OverLimit)).await;
}
