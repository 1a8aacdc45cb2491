//! Each kind of registry, in process: pages, no referrers API, conditional writes.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::Digest;
use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::{
    ImageBuilder,
    image::{INDEX, MANIFEST},
    registry::Stack,
};

async fn send(app: &Router, method: Method, target: &str, headers: &[(&str, &str)], body: Bytes) -> Response {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap()
}

async fn json_body(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), MAX_LISTING).await.unwrap()).unwrap()
}

/// Pushes `count` referrers of an image and returns its digest with theirs.
async fn push_referrers(app: &Router, count: usize) -> (Digest, Vec<String>, Option<String>) {
    let image = ImageBuilder::single("linux/amd64").build().unwrap();
    let mut digests = Vec::new();
    let mut told = None;
    for n in 0..count {
        let referrer = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example",
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of("{}"), "size": 2 },
            "layers": [],
            "subject": image.root().descriptor(),
            "annotations": { "n": n.to_string() },
        });
        let bytes = Bytes::from(referrer.to_string());
        let digest = Digest::of(&bytes).to_string();
        let target = format!("/v2/app/manifests/{digest}");
        let response = send(app, Method::PUT, &target, &[("content-type", MANIFEST)], bytes).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        told = response.headers().get("oci-subject").map(|value| value.to_str().unwrap().to_owned());
        digests.push(digest);
    }
    (image.digest(), digests, told)
}

#[tokio::test]
async fn pages_follow_each_other_and_miss_nothing() {
    for (size, pages) in [(1, 5), (2, 3), (5, 1), (9, 1)] {
        let behaviour = Behaviour { page_size: NonZeroUsize::new(size), ..Behaviour::default() };
        let app = Stack::new(behaviour).app;
        let (subject, digests, _) = push_referrers(&app, 5).await;
        let mut next = Some(format!("/v2/app/referrers/{subject}?artifactType=application/vnd.example"));
        let mut seen = Vec::new();
        let mut count = 0;
        while let Some(target) = next {
            assert!(target.contains("artifactType="), "the filter stays: {target}");
            let response = send(&app, Method::GET, &target, &[], Bytes::new()).await;
            next = response.headers().get("link").map(|link| {
                let link = link.to_str().unwrap();
                link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned()
            });
            let listing = json_body(response).await;
            assert_eq!(listing["mediaType"], INDEX);
            let entries = listing["manifests"].as_array().unwrap();
            seen.extend(entries.iter().map(|e| e["digest"].as_str().unwrap().to_owned()));
            count += 1;
        }
        assert_eq!((seen, count), (digests, pages));
    }
}

#[tokio::test]
async fn without_the_api_a_listing_is_404_and_no_subject_is_told() {
    for (referrers_api, status) in [(true, StatusCode::OK), (false, StatusCode::NOT_FOUND)] {
        let app = Stack::new(Behaviour { referrers_api, ..Behaviour::default() }).app;
        let (subject, _, told) = push_referrers(&app, 1).await;
        assert_eq!(told, referrers_api.then(|| subject.to_string()));
        let target = format!("/v2/app/referrers/{subject}");
        assert_eq!(send(&app, Method::GET, &target, &[], Bytes::new()).await.status(), status);
    }
}

#[tokio::test]
async fn conditions_of_a_write_are_honoured() {
    let index = |n: u32| {
        Bytes::from(
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": { "n": n.to_string() } })
                .to_string(),
        )
    };
    let put = |n, headers: &'static [(&'static str, &'static str)]| (n, headers);
    for (conditional_writes, expected) in [(true, [412, 201, 412, 412, 201]), (false, [201; 5])] {
        let app = Stack::new(Behaviour { conditional_writes, ..Behaviour::default() }).app;
        let mut seen = Vec::new();
        for (n, conditions) in [
            put(0, &[("if-match", "*")]),
            put(1, &[("if-none-match", "*")]),
            put(2, &[("if-none-match", "*")]),
            put(3, &[("if-match", "\"sha256:0000\"")]),
        ] {
            let headers: Vec<_> = [("content-type", INDEX)].into_iter().chain(conditions.iter().copied()).collect();
            seen.push(send(&app, Method::PUT, "/v2/app/manifests/tag", &headers, index(n)).await.status().as_u16());
        }
        let now = send(&app, Method::HEAD, "/v2/app/manifests/tag", &[], Bytes::new()).await;
        let etag = now.headers()[header::ETAG].to_str().unwrap().to_owned();
        let headers = [("content-type", INDEX), ("if-match", etag.as_str())];
        seen.push(send(&app, Method::PUT, "/v2/app/manifests/tag", &headers, index(4)).await.status().as_u16());
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn of_two_writers_with_one_condition_one_fails() {
    let app = Stack::new(Behaviour::default()).app;
    let write = |n: u32| {
        let body = Bytes::from(
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "annotations": { "n": n.to_string() } })
                .to_string(),
        );
        let app = app.clone();
        async move {
            let headers = [("content-type", INDEX), ("if-none-match", "*")];
            send(&app, Method::PUT, "/v2/app/manifests/tag", &headers, body).await.status().as_u16()
        }
    };
    let mut statuses = futures::future::join_all((0..8).map(write)).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412, 412, 412, 412, 412, 412, 412]);
}
