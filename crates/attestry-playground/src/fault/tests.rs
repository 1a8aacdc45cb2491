//! Each fault does what it says, to the requests that it names and to no other.
#![allow(clippy::unwrap_used, reason = "tests")]

use axum::Router;
use futures::FutureExt;
use serde_json::json;
use tower::ServiceExt;

use super::*;
use crate::{Behaviour, ImageBuilder, registry::Stack};

const LISTING: &str = "/v2/app/referrers/";

fn stack(faults: Vec<Fault>) -> Router {
    let stack = Stack::new(Behaviour::default());
    faults.into_iter().for_each(|fault| stack.shared.faults.add(fault));
    stack.app
}

async fn send(app: &Router, method: Method, target: &str, media_type: &str, body: Bytes) -> Response {
    let request = Request::builder().method(method).uri(target).header(header::CONTENT_TYPE, media_type);
    app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
}

async fn get(app: &Router, target: &str) -> Response {
    send(app, Method::GET, target, "", Bytes::new()).await
}

async fn body(response: Response) -> Bytes {
    to_bytes(response.into_body(), MAX_BODY).await.unwrap()
}

/// A small blob in a registry with these faults, and where it lies.
async fn with_blob(faults: Vec<Fault>) -> (Router, String, Bytes) {
    let app = stack(faults);
    let bytes = Bytes::from_static(b"0123456789");
    let digest = Digest::of(&bytes);
    let target = format!("/v2/app/blobs/uploads/?digest={digest}");
    let made = send(&app, Method::POST, &target, "application/octet-stream", bytes.clone()).await;
    assert_eq!(made.status(), StatusCode::CREATED);
    (app, format!("/v2/app/blobs/{digest}"), bytes)
}

#[tokio::test]
async fn only_the_named_requests_are_hit() {
    let fault = Fault::on(Method::GET, "/blobs/", Effect::status(StatusCode::FORBIDDEN)).after(1).times(2);
    let (app, blob, _) = with_blob(vec![fault]).await;
    let mut seen = Vec::new();
    for target in [blob.as_str(), "/v2/", &blob, &blob, &blob] {
        seen.push(get(&app, target).await.status().as_u16());
    }
    assert_eq!(seen, [200, 200, 403, 403, 200]);
}

#[tokio::test]
async fn the_first_due_fault_decides() {
    let faults = vec![
        Fault::any("/blobs/sha256", Effect::status(StatusCode::UNAUTHORIZED)).nth(1),
        Fault::any("/blobs/sha256", Effect::status(StatusCode::BAD_GATEWAY)).nth(2),
    ];
    let (app, blob, bytes) = with_blob(faults).await;
    assert_eq!(get(&app, &blob).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(get(&app, &blob).await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(body(get(&app, &blob).await).await, bytes);
}

#[tokio::test]
async fn refusals_carry_their_headers() {
    for (effect, status, name, value) in [
        (Effect::throttled(Duration::from_secs(7)), 429, header::RETRY_AFTER, "7"),
        (Effect::challenge("Basic realm=\"x\""), 401, header::WWW_AUTHENTICATE, "Basic realm=\"x\""),
        (Effect::redirect("http://169.254.169.254/"), 307, header::LOCATION, "http://169.254.169.254/"),
    ] {
        let response = get(&stack(vec![Fault::any("/v2/", effect)]), "/v2/").await;
        assert_eq!((response.status().as_u16(), response.headers()[name].to_str().unwrap()), (status, value));
    }
}

#[tokio::test]
async fn a_write_is_lost_or_done_but_reported_lost() {
    let failed = Answer::new(StatusCode::INTERNAL_SERVER_ERROR).body("down");
    for (effect, kept) in [(Effect::Answer(failed.clone()), false), (Effect::Misreport(failed.clone()), true)] {
        let app = stack(vec![Fault::on(Method::POST, "/uploads/", effect)]);
        let digest = Digest::of("x");
        let target = format!("/v2/app/blobs/uploads/?digest={digest}");
        let answer = send(&app, Method::POST, &target, "application/octet-stream", "x".into()).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(body(answer).await, "down");
        assert_eq!(get(&app, &format!("/v2/app/blobs/{digest}")).await.status().is_success(), kept);
    }
}

#[tokio::test]
async fn a_hanging_request_has_no_answer() {
    let app = stack(vec![Fault::any("/v2/", Effect::Hang).nth(2)]);
    assert!(get(&app, "/v2/").now_or_never().is_some());
    assert!(get(&app, "/v2/").now_or_never().is_none());
}

#[tokio::test]
async fn broken_bodies() {
    let on_blob = |effect| vec![Fault::on(Method::GET, "/blobs/", effect)];

    let (app, blob, bytes) = with_blob(on_blob(Effect::FlipBit)).await;
    let response = get(&app, &blob).await;
    assert_eq!(response.headers()[header::CONTENT_LENGTH], "10");
    let flipped = body(response).await;
    assert_eq!(flipped.len(), bytes.len());
    assert_eq!(flipped.iter().zip(&bytes).map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(), 1);

    let (app, blob, bytes) = with_blob(on_blob(Effect::Stall { after: 3 })).await;
    let mut stream = get(&app, &blob).await.into_body().into_data_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), bytes.slice(..3));
    assert!(stream.next().now_or_never().is_none());

    let (app, blob, bytes) = with_blob(on_blob(Effect::Drip { every: Duration::from_millis(1) })).await;
    let drops: Vec<_> = get(&app, &blob).await.into_body().into_data_stream().collect().await;
    assert_eq!(drops.into_iter().map(Result::unwrap).collect::<Vec<_>>(), bytes.chunks(1).collect::<Vec<_>>());

    let (app, blob, _) = with_blob(on_blob(Effect::Endless)).await;
    let mut endless = get(&app, &blob).await.into_body().into_data_stream().take(1000);
    let mut total = 0;
    while let Some(chunk) = endless.next().await {
        total += chunk.unwrap().len();
    }
    assert_eq!(total, 1000 * ENDLESS_CHUNK.len());

    let (app, blob, bytes) = with_blob(on_blob(Effect::Truncate)).await;
    let mut stream = get(&app, &blob).await.into_body().into_data_stream();
    assert_eq!(stream.next().await.unwrap().unwrap(), bytes.slice(..5));
    assert!(stream.next().await.unwrap().is_err());
}

#[tokio::test]
async fn listings_lie() {
    let image = ImageBuilder::single("linux/amd64").build().unwrap();
    let root = image.root();
    let referrer = json!({
        "schemaVersion": 2,
        "mediaType": root.media_type,
        "artifactType": "application/vnd.example",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of("{}"), "size": 2 },
        "layers": [],
        "subject": root.descriptor(),
    });
    let referrer = Bytes::from(referrer.to_string());
    let digest = Digest::of(&referrer);
    let foreign = json!({ "mediaType": root.media_type, "digest": Digest::of("other"), "size": 5 });
    for (effect, expected) in [
        (Effect::hide_all(), vec![]),
        (Effect::hide(digest), vec![]),
        (Effect::hide(Digest::of("other")), vec![digest.to_string()]),
        (Effect::poison(vec![foreign]), vec![Digest::of("other").to_string(), digest.to_string()]),
    ] {
        let app = stack(vec![Fault::on(Method::GET, LISTING, effect)]);
        let target = format!("/v2/app/manifests/{digest}");
        let put = send(&app, Method::PUT, &target, &root.media_type, referrer.clone()).await;
        assert_eq!(put.headers()["oci-subject"], root.digest.to_string());
        let listing = body(get(&app, &format!("{LISTING}{}", root.digest)).await).await;
        let listing: Value = serde_json::from_slice(&listing).unwrap();
        let digests: Vec<_> = listing["manifests"].as_array().unwrap().iter().map(|e| e["digest"].clone()).collect();
        assert_eq!(digests, expected);
    }
}

#[tokio::test]
async fn headers_change_or_vanish() {
    let (app, blob, bytes) = with_blob(vec![
        Fault::on(Method::GET, "/blobs/", Effect::content_type("text/html")).nth(1),
        Fault::on(Method::GET, "/blobs/", Effect::DropHeader(header::ETAG)).nth(2),
    ])
    .await;
    let first = get(&app, &blob).await;
    assert_eq!(first.headers()[header::CONTENT_TYPE], "text/html");
    assert!(first.headers().contains_key(header::ETAG));
    assert_eq!(body(first).await, bytes);
    assert!(!get(&app, &blob).await.headers().contains_key(header::ETAG));
}

#[tokio::test]
async fn a_fault_that_cannot_happen_is_loud() {
    for effect in [Effect::content_type("a\nb"), Effect::redirect("a\nb"), Effect::Edit(Edit::new(|_| ()))] {
        let (app, blob, _) = with_blob(vec![Fault::on(Method::GET, "/blobs/", effect)]).await;
        assert_eq!(get(&app, &blob).await.status(), StatusCode::NOT_EXTENDED);
    }
}
