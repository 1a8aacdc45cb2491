//! Writes that fail for a moment, go elsewhere or ask for more than they need.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{
    OciError,
    hostile::{Reply, Seen},
};

#[tokio::test]
async fn failures_that_pass_are_waited_out_and_refusals_are_not() {
    let check = async |line: &'static str, status: u16, passes: bool| {
        let sample = Sample::new(true);
        let (store, first) = (sample.store.clone(), AtomicUsize::new(0));
        let server =
            Server::start(move |seen| match seen.line().starts_with(line) && first.fetch_add(1, SeqCst) == 0 {
                true => Reply::status(status),
                false => store.answer(seen),
            })
            .await;
        let repository = server.repository();
        let result = match line.starts_with("HEAD") {
            true => user().push_blob(&repository, "new".into(), None).await.map(drop),
            false => user().push_manifest(&repository, Some("2"), OCI_MANIFEST, "{}".into()).await.map(drop),
        };
        assert_eq!(result.is_ok(), passes, "{line} with {status}: {result:?}");
        assert_eq!(server.count(line), if passes { 2 } else { 1 }, "{line} with {status}");
    };
    check("HEAD /v2/app/blobs/", 503, true).await;
    check("HEAD /v2/app/blobs/", 403, false).await;
    // A blob that another upload is just linking looks damaged to the registry.
    check("PUT /v2/app/manifests/", 400, true).await;
    check("PUT /v2/app/manifests/", 503, true).await;
    check("PUT /v2/app/manifests/", 403, false).await;
    check("PUT /v2/app/manifests/", 404, false).await;
}

#[test]
fn pauses_differ_and_are_never_longer_than_said() {
    let most = Duration::from_secs(1);
    let pauses: BTreeSet<Duration> = (0..100).map(|_| crate::patience::jitter(most)).collect();
    assert!(pauses.len() > 1);
    assert!(pauses.iter().all(|pause| *pause <= most));
}

#[tokio::test]
async fn attack_47_writes_are_not_sent_elsewhere() {
    let elsewhere = Server::start(|_| Reply::status(201)).await;
    let target = elsewhere.url("/storage");
    let server = Server::start(move |_| Reply::redirect(307, target.clone())).await;
    // A registry says where a blob is only if it has it.
    user().push_blob(&server.repository(), "x".into(), None).await.unwrap();
    assert_eq!(
        server.seen().iter().map(Seen::line).collect::<Vec<_>>(),
        [format!("HEAD /v2/app/blobs/{}", Digest::of("x"))]
    );
    let error = user().push_manifest(&server.repository(), Some("1"), OCI_MANIFEST, "{}".into()).await.unwrap_err();
    assert!(matches!(error, OciError::Rejected { status: 307, .. }), "{error}");
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn an_upload_is_not_begun_twice() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let repository = format!("{}/app", listener.local_addr().unwrap()).parse().unwrap();
    let posts = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&posts);
    let server = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).await.unwrap();
            match head[..length].starts_with(b"POST") {
                true => _ = counter.fetch_add(1, SeqCst),
                false => {
                    let absent = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    stream.write_all(absent).await.unwrap();
                }
            }
        }
    });
    let error = user().push_blob(&repository, "x".into(), None).await.unwrap_err();
    assert!(matches!(error, OciError::Transport { cause: GapCause::Unreachable, .. }), "{error}");
    assert_eq!(posts.load(SeqCst), 1);
    server.abort();
}

#[tokio::test]
async fn a_manifest_of_the_limit_is_pushed_and_no_larger_one() {
    let server = Server::start(|_| Reply::status(201)).await;
    let client = user_within(Limits { manifest: 3, ..Limits::default() });
    let push = async |text: &'static str| {
        client.push_manifest(&server.repository(), Some("1"), OCI_MANIFEST, text.into()).await
    };
    push("{ }").await.unwrap();
    let error = push("{  }").await.unwrap_err();
    assert!(matches!(error, OciError::TooLarge { what: "manifest", size: 4, limit: 3 }), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository_of_the_same_registry_only() {
    let server = Server::start(|seen: &Seen| match seen.method.as_str() {
        "HEAD" => Reply::status(404),
        _ => Reply::status(201),
    })
    .await;
    for from in [server.repository(), "elsewhere.example/base".parse().unwrap()] {
        user().push_blob(&server.repository(), "x".into(), Some(&from)).await.unwrap();
        assert_eq!(server.seen().pop().unwrap().query, "", "{from}");
    }
}

#[tokio::test]
async fn tokens_are_asked_for_what_is_to_be_done() {
    let server = Server::start(|seen: &Seen| match (seen.path.as_str(), seen.method.as_str()) {
        ("/token", _) => Reply::json(&json!({"token": "good"})),
        _ if seen.header("authorization").is_none() => {
            Reply::status(401).with("www-authenticate", "Bearer realm=\"/token\"")
        }
        (_, "HEAD") => Reply::status(404),
        _ => Reply::status(201),
    })
    .await;
    let from = server.reference("base").repository().clone();
    user().resolve(&server.reference("app"), &Budget::default()).await.unwrap_err();
    user().push_blob(&server.repository(), "x".into(), Some(&from)).await.unwrap();
    let asked: Vec<String> =
        server.seen().into_iter().filter(|seen| seen.path == "/token").map(|seen| seen.query).collect();
    let push = "scope=repository%3Aapp%3Apull%2Cpush";
    let expected = [
        "scope=repository%3Aapp%3Apull&client_id=attestry".to_owned(),
        format!("{push}&client_id=attestry"),
        format!("{push}&scope=repository%3Abase%3Apull&client_id=attestry"),
    ];
    assert_eq!(asked, expected);
}
