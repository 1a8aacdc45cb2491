//! Tags, manifests and blobs.

use attestry_core::evidence::Document;

use super::*;
use crate::{
    SharedBytes,
    hostile::{Reply, Seen},
};

#[tokio::test]
async fn everything_is_read_in_three_rounds_with_few_requests() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let client = user();
    let subject = client.resolve(&server.reference("app:1"), &Budget::default()).await.unwrap();
    assert_eq!(subject, server.subject(sample.image));
    assert_eq!(client.stats().requests(), 1);
    let mut rounds = 0;
    let needs = everything(subject.digest);
    let evidence = client
        .collect(&subject, &Budget::default(), |evidence| {
            rounds += 1;
            needs(evidence)
        })
        .await;
    assert_eq!(evidence.gaps, []);
    // The last call finds nothing new.
    assert_eq!(rounds, 4);
    for digest in [sample.image, sample.attachment, sample.bundle, sample.legacy] {
        assert!(evidence.document(&digest).is_some(), "{digest}");
    }
    // Manifest, referrers, fallback, two legacy tags; the attachment; bundle and payload.
    assert_eq!(client.stats().requests() - 1, 8);
    assert_eq!(server.seen().len(), 9);
    assert_eq!(client.stats().to_string(), "3 manifests, 4 listings, 2 blobs, 0 tokens, 0 uploads");
    // No registry picks a platform or converts what it was not asked to.
    for seen in server.seen() {
        match (seen.path.contains("/referrers/"), seen.path.contains("/manifests/")) {
            (true, _) => assert_eq!(seen.header("accept"), Some(attestry_core::manifest::OCI_INDEX)),
            (_, true) => assert_eq!(seen.header("accept"), Some(crate::pull::ACCEPT_MANIFESTS), "{}", seen.path),
            _ => {}
        }
    }
    let agents: Vec<_> = server.seen().iter().map(|seen| seen.header("user-agent").unwrap().to_owned()).collect();
    assert!(agents.iter().all(|agent| agent == crate::USER_AGENT), "{agents:?}");
}

#[tokio::test]
async fn a_reference_with_digest_costs_no_request() {
    let server = Server::start(|_| Reply::status(500)).await;
    let digest = Digest::of("x");
    let reference = server.reference("app:1").pin(digest);
    assert_eq!(user().resolve(&reference, &Budget::default()).await, Ok(server.subject(digest)));
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn tags_resolve_by_header_else_by_the_bytes() {
    const BODY: &str = r#"{"schemaVersion":2}"#;
    let check = async |answer: fn(&Seen) -> Reply, expected: Result<Digest, GapCause>| {
        let server = Server::start(answer).await;
        let found = user().resolve(&server.reference("app"), &Budget::default()).await;
        assert_eq!(found.map(|subject| subject.digest).map_err(|gap| gap.cause), expected);
    };
    const OTHER: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    check(|_| Reply::status(200).with("docker-content-digest", OTHER), Ok(OTHER.parse().unwrap())).await;
    check(|_| Reply::ok(OCI_MANIFEST, BODY), Ok(Digest::of(BODY))).await;
    check(|_| Reply::ok(OCI_MANIFEST, BODY).with("docker-content-digest", "sha512:00"), Ok(Digest::of(BODY))).await;
    check(
        |seen| if seen.method == "HEAD" { Reply::status(405) } else { Reply::ok(OCI_MANIFEST, BODY) },
        Ok(Digest::of(BODY)),
    )
    .await;
    check(|_| Reply::status(404), Err(GapCause::NotFound)).await;
    check(|_| Reply::status(413), Err(GapCause::OverLimit)).await;
    check(|_| Reply::status(429), Err(GapCause::Throttled)).await;
    check(|_| Reply::status(418), Err(GapCause::Malformed)).await;
}

#[tokio::test]
async fn attack_42_every_failure_has_its_cause_at_every_step() {
    let statuses = [
        (401, GapCause::Denied),
        (403, GapCause::Denied),
        (404, GapCause::NotFound),
        (408, GapCause::Timeout),
        (429, GapCause::Throttled),
        (500, GapCause::Unreachable),
        (502, GapCause::Unreachable),
        (503, GapCause::Unreachable),
        (504, GapCause::Unreachable),
        (418, GapCause::Malformed),
        (204, GapCause::Malformed),
    ];
    for referrers in [true, false] {
        let sample = Sample::new(referrers);
        let fallback = json!({"schemaVersion": 2, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": sample.attachment, "size": 1}]});
        let tag = format!("sha256-{}", sample.image.hex());
        sample.store.state().manifest(Some(&tag), attestry_core::manifest::OCI_INDEX, fallback.to_string());
        let (hex, image) = (sample.image.hex(), sample.image);
        for (path, lists) in [
            (format!("manifests/{image}"), false),
            (format!("manifests/{}", sample.attachment), false),
            (format!("blobs/{}", sample.bundle), false),
            (format!("referrers/{image}"), true),
            (format!("manifests/sha256-{hex}"), true),
            (format!("manifests/sha256-{hex}.sig"), true),
            (format!("manifests/sha256-{hex}.att"), true),
        ] {
            for (status, cause) in statuses {
                let (store, path) = (sample.store.clone(), format!("/v2/app/{path}"));
                let server = Server::start({
                    let path = path.clone();
                    move |seen| if seen.path == path { Reply::status(status) } else { store.answer(seen) }
                })
                .await;
                let evidence = collect_everything(&user(), &server.subject(sample.image)).await;
                // Only a true 404 of a listing is "there is none".
                let expected = if lists && status == 404 { vec![] } else { vec![cause] };
                assert_eq!(causes(&evidence), expected, "{path} with {status}: {:?}", evidence.gaps);
                // Both sources list the attachment, so losing one of them loses nothing that proves.
                let kept = !path.contains(&sample.attachment.to_string()) && !path.contains(&sample.bundle.to_string());
                let alone = !referrers && path.ends_with(&format!("sha256-{hex}"));
                assert_eq!(evidence.document(&sample.bundle).is_some(), kept && !alone, "{path} with {status}");
            }
        }
    }
}

#[tokio::test]
async fn attacks_30_and_40_bytes_and_sizes_must_fit() {
    let sample = Sample::new(true);
    for (path, reply) in [
        ("manifests", (|| Reply::ok(OCI_MANIFEST, r#"{"config":null}"#)) as fn() -> Reply),
        ("blobs", || Reply::ok("", "A BUNDLE")),
        ("blobs", || Reply::ok("", "a bundl")),
        ("blobs", || Reply::ok("", "a bundle!")),
        ("blobs", || Reply::ok("", "")),
    ] {
        let store = sample.store.clone();
        let (bundle, attachment) = (sample.bundle.to_string(), sample.attachment.to_string());
        let server = Server::start(move |seen| {
            let hit = seen.path.contains(path) && (seen.path.ends_with(&bundle) || seen.path.ends_with(&attachment));
            if hit { reply() } else { store.answer(seen) }
        })
        .await;
        let evidence = collect_everything(&user(), &server.subject(sample.image)).await;
        assert_eq!(causes(&evidence), [GapCause::Malformed], "{path}");
        assert!(evidence.document(&sample.bundle).is_none());
    }
}

#[tokio::test]
async fn attack_29_two_types_for_one_document_are_refused() {
    let inside = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let polyglot = r#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[],"manifests":[]}"#;
    let check = async |media_type: &'static str, body: &'static str, expected: Result<&str, GapCause>| {
        let server = Server::start(move |_| {
            if media_type.is_empty() { Reply::status(200).body(body) } else { Reply::ok(media_type, body) }
        })
        .await;
        let client = user();
        let found = client.pull_manifest(&server.repository(), Digest::of(body), &Budget::default()).await;
        let found = found.map(|Document { media_type, .. }| media_type).map_err(|gap| gap.cause);
        assert_eq!(found, expected.map(str::to_owned), "{media_type}");
    };
    let index = attestry_core::manifest::OCI_INDEX;
    check(index, inside, Ok(index)).await;
    check("application/vnd.oci.image.index.v1+json; charset=utf-8", inside, Ok(index)).await;
    check("", inside, Ok(index)).await;
    check("", "{}", Err(GapCause::Malformed)).await;
    check(OCI_MANIFEST, inside, Err(GapCause::Malformed)).await;
    check("application/json", inside, Err(GapCause::Malformed)).await;
    check(OCI_MANIFEST, polyglot, Err(GapCause::Malformed)).await;
    check(index, polyglot, Err(GapCause::Malformed)).await;
    // Other types are kept as they are: their digest is right, and they prove nothing.
    check("application/vnd.example", "{}", Ok("application/vnd.example")).await;
}

#[tokio::test]
async fn attack_36_bodies_without_end_or_with_lying_lengths() {
    let digest = Digest::of("a bundle");
    let blob = Need::Blob { digest, size: 8, role: BlobRole::Attachment };
    let manifest = Need::Manifest { digest };
    let check = async |need: &Need, reply: fn() -> Reply, expected: GapCause| {
        let server = Server::start(move |_| reply()).await;
        let client = user();
        let needs: Needs = [need.clone()].into();
        let evidence = client.collect(&server.subject(digest), &Budget::default(), |_| needs.clone()).await;
        assert_eq!(causes(&evidence), [expected], "{need:?} {:?}", evidence.gaps);
    };
    check(&manifest, || Reply::status(200).endless(), GapCause::OverLimit).await;
    check(&manifest, || Reply::status(200).with("content-length", "9000000000").endless(), GapCause::OverLimit).await;
    check(&blob, || Reply::status(200).with("content-length", "9000000000").endless(), GapCause::Malformed).await;
    check(&blob, || Reply::status(200).endless(), GapCause::OverLimit).await;
    check(&blob, || Reply::status(200).cut("a bun"), GapCause::Unreachable).await;
    check(&blob, || Reply::status(200).with("content-length", "8").cut("a bun"), GapCause::Unreachable).await;
    check(&blob, || Reply::ok("", "a bundle").with("content-encoding", "gzip"), GapCause::Malformed).await;
    let huge = Need::Blob { digest, size: u64::MAX, role: BlobRole::Attachment };
    check(&huge, || Reply::status(200).endless(), GapCause::OverLimit).await;
    let config = Need::Blob { digest, size: (1 << 20) + 1, role: BlobRole::Config };
    check(&config, || Reply::status(200).endless(), GapCause::OverLimit).await;
}

#[tokio::test]
async fn attack_79_a_flood_of_bytes_ends_at_the_budget() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let client = user();
    let budget = Budget::default().with_bytes(100);
    let evidence = client.collect(&server.subject(sample.image), &budget, everything(sample.image)).await;
    assert!(causes(&evidence).contains(&GapCause::OverLimit), "{:?}", evidence.gaps);
}

#[tokio::test]
async fn attack_36_silence_ends_at_the_deadline() {
    let sample = Sample::new(true);
    let (store, attachment) = (sample.store.clone(), sample.attachment.to_string());
    let server =
        Server::start(move |seen| if seen.path.ends_with(&attachment) { Reply::silence() } else { store.answer(seen) })
            .await;
    let subject = server.subject(sample.image);
    let task = tokio::spawn(async move { collect_everything(&user(), &subject).await });
    server.is_silent().await;
    tokio::time::pause();
    let evidence = task.await.unwrap();
    // What was read before stays; the open request timed out, and nothing more was asked.
    assert!(evidence.document(&sample.image).is_some());
    let gap = evidence.gap(&Need::Manifest { digest: sample.attachment }).unwrap();
    assert_eq!(gap.cause, GapCause::Timeout);
    assert!(causes(&evidence).iter().all(|cause| matches!(cause, GapCause::Timeout | GapCause::BudgetSpent)));
}

#[tokio::test]
async fn a_spent_budget_is_a_gap() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    let subject = server.subject(sample.image);
    let past = Budget::new(tokio::time::Instant::now(), 10);
    let evidence = user().collect(&subject, &past, everything(sample.image)).await;
    assert_eq!(causes(&evidence), [GapCause::BudgetSpent; 4]);
    assert_eq!(server.seen().len(), 0);

    let few = Budget::new(tokio::time::Instant::now() + Budget::TIME, 5);
    let evidence = user().collect(&subject, &few, everything(sample.image)).await;
    assert!(!evidence.gaps.is_empty());
    assert!(causes(&evidence).iter().all(|cause| *cause == GapCause::BudgetSpent), "{:?}", evidence.gaps);
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test]
async fn attack_37_needs_without_end_stop_after_eight_rounds() {
    let server = Server::start(|_| Reply::status(404)).await;
    let mut round = 0_u32;
    let needs = |_: &Evidence| {
        round += 1;
        [Need::Manifest { digest: Digest::of(round.to_be_bytes()) }].into()
    };
    let evidence = user().collect(&server.subject(Digest::of("x")), &Budget::default(), needs).await;
    assert_eq!(server.seen().len(), Limits::default().rounds);
    assert_eq!(evidence.gaps.last().unwrap().cause, GapCause::BudgetSpent);
}

#[tokio::test]
async fn no_registry_and_no_address_are_gaps() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let resolve = async |client: &Client, name: &str| {
        client.resolve(&name.parse().unwrap(), &Budget::default()).await.unwrap_err()
    };
    assert_eq!(resolve(&user(), &format!("{port}/app")).await.cause, GapCause::Unreachable);
    let service = Client::new(&ClientOptions::for_service(Vec::new())).unwrap();
    assert_eq!(resolve(&service, &format!("{port}/app")).await.cause, GapCause::NotAllowed);
    // The name resolves to a loopback address: what is connected to is what is checked.
    let gap = resolve(&service, "localhost/app").await;
    assert_eq!(gap.cause, GapCause::NotAllowed, "{}", gap.detail);
}

#[tokio::test]
async fn a_connection_that_is_reset_is_tried_once_more() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    for (resets, requests, expected) in [(1, 2, GapCause::NotFound), (9, 2, GapCause::Unreachable)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            for connection in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await.unwrap();
                if connection >= resets {
                    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
            }
        });
        let client = user();
        let reference = format!("{address}/app").parse().unwrap();
        let gap = client.resolve(&reference, &Budget::default()).await.unwrap_err();
        assert_eq!((gap.cause, client.stats().requests()), (expected, requests), "{}", gap.detail);
        server.abort();
    }
}

#[tokio::test]
async fn retry_after_is_followed_twice_and_never_past_the_deadline() {
    let check = async |status: u16, wait: &'static str, requests: usize| {
        let server = Server::start(move |_| Reply::status(status).with("retry-after", wait)).await;
        let gap = user().resolve(&server.reference("app"), &Budget::default()).await.unwrap_err();
        assert_eq!(server.seen().len(), requests, "{status} {wait}");
        gap.cause
    };
    assert_eq!(check(429, "0", 3).await, GapCause::Throttled);
    assert_eq!(check(503, "0", 3).await, GapCause::Unreachable);
    assert_eq!(check(429, "3600", 1).await, GapCause::Throttled);
    assert_eq!(check(429, "whenever", 1).await, GapCause::Throttled);
    assert_eq!(check(500, "0", 1).await, GapCause::Unreachable);
}

#[tokio::test]
async fn attack_47_redirects_are_followed_thrice_and_without_credentials() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let elsewhere = Server::start(move |seen| match seen.path.strip_prefix("/storage") {
        Some(path) => store.answer(&Seen { path: path.to_owned(), ..seen.clone() }),
        None => Reply::status(404),
    })
    .await;
    let (store, target) = (sample.store.clone(), elsewhere.url("/storage"));
    let server = Server::start(move |seen| {
        if seen.header("authorization").is_none() {
            return Reply::status(401).with("www-authenticate", "Basic realm=\"x\"");
        }
        match seen.path.contains("/blobs/") {
            true => Reply::redirect(307, format!("{target}{}", seen.path)),
            false => store.answer(seen),
        }
    })
    .await;
    let evidence = collect_everything(&user_with(basic()), &server.subject(sample.image)).await;
    assert_eq!(evidence.gaps, []);
    assert!(evidence.document(&sample.bundle).is_some());
    assert_eq!(elsewhere.seen().len(), 2);
    assert!(elsewhere.seen().iter().all(|seen| seen.header("authorization").is_none()));

    let check = async |location: &'static str, expected: GapCause, requests: usize| {
        let server = Server::start(move |_| Reply::redirect(302, location)).await;
        let needs: Needs = [Need::Manifest { digest: Digest::of("x") }].into();
        let client = user();
        let evidence = client.collect(&server.subject(Digest::of("x")), &Budget::default(), |_| needs.clone()).await;
        assert_eq!(causes(&evidence), [expected], "{location}");
        assert_eq!(server.seen().len(), requests, "{location}");
    };
    check("/again", GapCause::OverLimit, 4).await;
    check("http://169.254.169.254/latest/meta-data/", GapCause::NotAllowed, 1).await;
    check("https://169.254.169.254/", GapCause::NotAllowed, 1).await;
    check("http://registry.example/", GapCause::NotAllowed, 1).await;
    check("file:///etc/passwd", GapCause::NotAllowed, 1).await;
    check("http://[", GapCause::Malformed, 1).await;
}

#[tokio::test]
async fn attack_47_a_challenge_from_elsewhere_gets_no_answer() {
    let elsewhere = Server::start(|_| Reply::status(401).with("www-authenticate", "Basic realm=\"x\"")).await;
    let target = elsewhere.url("/storage");
    let server = Server::start(move |_| Reply::redirect(307, target.clone())).await;
    let repository = server.repository();
    let gap = user_with(basic()).pull_manifest(&repository, Digest::of("x"), &Budget::default()).await.unwrap_err();
    assert_eq!(gap.cause, GapCause::Denied);
    assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_body_of_the_limit_is_read_and_no_longer_one() {
    const BODY: &str = r#"{"schemaVersion":2}"#;
    let length = BODY.len() as u64;
    for no_length in [false, true] {
        let server = Server::start(move |_| {
            let reply = Reply::ok("application/vnd.example", BODY);
            if no_length { reply.unsized_body(BODY) } else { reply }
        })
        .await;
        for (manifest, expected) in [(length, None), (length - 1, Some(GapCause::OverLimit))] {
            let client = user_within(Limits { manifest, ..Limits::default() });
            assert_eq!(client.limits().manifest, manifest);
            let found = client.pull_manifest(&server.repository(), Digest::of(BODY), &Budget::default()).await;
            assert_eq!(found.err().map(|gap| gap.cause), expected, "{manifest}, unsized: {no_length}");
        }
    }
}

#[tokio::test]
async fn a_blob_of_the_limit_is_read_and_no_larger_one() {
    let sample = Sample::new(true);
    let server = sample.serve().await;
    for (attachment, expected) in [(8, None), (7, Some(GapCause::OverLimit))] {
        let client = user_within(Limits { attachment, ..Limits::default() });
        let (repository, role) = (server.repository(), BlobRole::Attachment);
        let found = client.pull_blob(&repository, sample.bundle, 8, role, &Budget::default()).await;
        assert_eq!(found.err().map(|gap| gap.cause), expected, "{attachment}");
    }
    // One byte too many without a length: what is wrong is the size, not a limit.
    let server = Server::start(|_| Reply::status(200).unsized_body("a bundle!")).await;
    let (repository, role) = (server.repository(), BlobRole::Attachment);
    let gap = user().pull_blob(&repository, sample.bundle, 8, role, &Budget::default()).await.unwrap_err();
    assert_eq!(gap.cause, GapCause::Malformed, "{}", gap.detail);
}

#[tokio::test]
async fn a_tag_is_nothing_that_a_round_may_ask_for() {
    let server = Server::start(|_| Reply::status(500)).await;
    let mut evidence = Evidence::new(&server.subject(Digest::of("x")));
    evidence.digest = None;
    let wanted: Needs = [Need::Resolve { tag: "1".into() }].into();
    assert!(user().gather(&mut evidence, wanted, &Budget::default()).await);
    assert_eq!(causes(&evidence), [GapCause::Malformed]);
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_budget_knows_when_it_is_spent() {
    let later = tokio::time::Instant::now() + Budget::TIME;
    assert!(!Budget::new(later, 1).spent());
    assert!(Budget::new(later, 0).spent());
    assert!(Budget::new(tokio::time::Instant::now(), 1).spent());
    // A registry that names ever new token services does not make us ask them all.
    let budget = Budget::default();
    assert!((0..64).all(|_| budget.take_token().is_ok()));
    assert_eq!(budget.take_token().unwrap_err().cause, GapCause::BudgetSpent);
}

#[tokio::test]
async fn attack_79_collections_share_bytes_and_give_them_back() {
    let of_all = std::sync::Arc::new(SharedBytes::new(10));
    let one = Budget::default().sharing(std::sync::Arc::clone(&of_all));
    let two = Budget::default().sharing(of_all);
    one.take_bytes(6).unwrap();
    assert_eq!(two.take_bytes(5).unwrap_err().cause, GapCause::OverLimit);
    two.take_bytes(4).unwrap();
    drop(one);
    two.take_bytes(6).unwrap();
    assert_eq!(two.take_bytes(1).unwrap_err().cause, GapCause::OverLimit);
}
