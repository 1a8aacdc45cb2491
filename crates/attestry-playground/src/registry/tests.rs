//! The registry over real connections: what is loaded can be pulled, and a cut line is cut.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::{Effect, ImageBuilder, StatusCode};

/// A GET as HTTP/1.0, whose body ends with the connection: (head, body).
async fn get(address: SocketAddr, target: &str) -> io::Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {target} HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((String::from_utf8_lossy(&answer[..end]).to_lowercase(), answer[end + 4..].to_vec()))
}

#[tokio::test]
async fn what_is_loaded_can_be_pulled() {
    let registry = Registry::start().await.unwrap();
    let image = ImageBuilder::multi().files(&[("etc/motd", "hello")]).build().unwrap();
    registry.load("shop/app", &image, &["v1", "latest"]).await.unwrap();
    assert_eq!(registry.requests(), 0, "loading is not counted");

    let mut expected: Vec<(String, Bytes)> =
        image.blobs().iter().map(|(digest, bytes)| (format!("blobs/{digest}"), bytes.clone())).collect();
    expected.extend(image.manifests().iter().map(|m| (format!("manifests/{}", m.digest), m.bytes.clone())));
    expected.push(("manifests/v1".to_owned(), image.root().bytes.clone()));
    for (path, bytes) in &expected {
        let (head, body) = get(registry.address(), &format!("/v2/shop/app/{path}")).await.unwrap();
        assert!(head.starts_with("http/1.0 200"), "{path}: {head}");
        assert_eq!(&body, bytes, "{path}");
    }
    assert_eq!(registry.requests(), expected.len() as u64);
    let last = registry.seen().pop().unwrap();
    assert_eq!(last, Seen { method: Method::GET, target: "/v2/shop/app/manifests/v1".into(), authorized: false });
}

#[tokio::test]
async fn what_the_store_refuses_is_an_error_with_its_words() {
    let registry = Registry::start().await.unwrap();
    let refused = registry.load_manifest("shop/app", "v1", crate::image::MANIFEST, "no json".into()).await;
    assert!(matches!(refused, Err(PlaygroundError::Refused { status: 400, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_cut_line_refuses_open_and_new_connections_and_comes_back_as_it_was() {
    let registry = Registry::start().await.unwrap();
    let address = registry.address();
    let image = ImageBuilder::single("linux/amd64").files(&[("a", "b")]).build().unwrap();
    registry.load("app", &image, &["v1"]).await.unwrap();
    // A connection that is kept, as every client keeps one.
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(b"GET /v2/ HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(kept.read(&mut [0; 512]).await.unwrap() > 0);

    registry.cut_off().await.unwrap();
    registry.cut_off().await.unwrap();
    assert!(matches!(kept.read(&mut [0; 512]).await, Ok(0) | Err(_)), "a kept connection ends");
    assert_eq!(get(address, "/v2/").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);

    registry.restore().await.unwrap();
    let (head, body) = get(address, "/v2/app/manifests/v1").await.unwrap();
    assert!(head.starts_with("http/1.0 200"), "{head}");
    assert_eq!(body, image.root().bytes);
    registry.stop().await;
    assert_eq!(get(address, "/v2/").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_truncated_body_is_shorter_than_it_says() {
    let registry = Registry::start().await.unwrap();
    let image = ImageBuilder::single("linux/amd64").files(&[("a", "b")]).build().unwrap();
    registry.load("app", &image, &["v1"]).await.unwrap();
    registry.inject(Fault::on(Method::GET, "/manifests/", Effect::Truncate));
    let (head, body) = get(registry.address(), "/v2/app/manifests/v1").await.unwrap();
    let whole = image.root().bytes.len();
    assert!(head.contains(&format!("content-length: {whole}")), "{head}");
    assert!(body.len() < whole);

    registry.heal();
    assert_eq!(get(registry.address(), "/v2/app/manifests/v1").await.unwrap().1, image.root().bytes);
}

#[tokio::test]
async fn refused_requests_are_seen_and_counted() {
    let registry = Registry::start().await.unwrap();
    registry.inject(Fault::any("/v2/", Effect::status(StatusCode::SERVICE_UNAVAILABLE)));
    assert!(get(registry.address(), "/v2/").await.unwrap().0.starts_with("http/1.0 503"));
    assert_eq!(registry.requests(), 1);
}
