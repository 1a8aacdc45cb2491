//! Layers: from a registry into a file, and from there to a list.

use std::{fs::File, io::Read as _};

use attestry_core::{Gap, layer::EntryKind, manifest::Descriptor};

use super::*;
use crate::{
    LayerFault,
    hostile::{Reply, Seen},
    layer::LayerError,
};

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const BODY: &[u8] = b"a layer, as it is packed";

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    let (digest, size) = (Digest::of(bytes), bytes.len());
    serde_json::from_value(json!({"mediaType": media_type, "digest": digest, "size": size})).unwrap()
}

async fn pull(client: &Client, server: &Server, descriptor: &Descriptor) -> Result<File, Gap> {
    client.pull_layer(&server.repository(), descriptor, &Budget::default()).await
}

/// An archive of one file.
fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(0);
    builder.append_data(&mut header, "etc/passwd", std::io::empty()).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn a_layer_is_a_file_from_its_start_and_costs_no_bytes_of_the_budget() {
    for no_length in [false, true] {
        let server = Server::start(move |seen| {
            assert_eq!(seen.path, format!("/v2/app/blobs/{}", Digest::of(BODY)));
            let reply = Reply::ok("", BODY);
            if no_length { reply.unsized_body(BODY) } else { reply }
        })
        .await;
        let (client, budget) = (user(), Budget::default().with_bytes(0));
        let mut file = client.pull_layer(&server.repository(), &descriptor(TAR, BODY), &budget).await.unwrap();
        let mut found = Vec::new();
        file.read_to_end(&mut found).unwrap();
        assert_eq!((found.as_slice(), client.stats().blobs), (BODY, 1));
    }
}

#[tokio::test]
async fn attacks_30_and_36_only_the_bytes_of_the_descriptor_become_a_file() {
    for (reply, expected) in [
        ((|| Reply::ok("", "A LAYER, AS IT IS PACKED")) as fn() -> Reply, GapCause::Malformed),
        (|| Reply::ok("", "a layer, as it is packe"), GapCause::Malformed),
        (|| Reply::ok("", "a layer, as it is packed!"), GapCause::Malformed),
        (|| Reply::ok("", ""), GapCause::Malformed),
        (|| Reply::status(200).unsized_body("a layer, as it is packe"), GapCause::Malformed),
        (|| Reply::status(200).unsized_body("a layer, as it is packed!"), GapCause::Malformed),
        (|| Reply::status(200).unsized_body("A LAYER, AS IT IS PACKED"), GapCause::Malformed),
        (|| Reply::status(200).unsized_body("a layer, as it is packed!!"), GapCause::OverLimit),
        (|| Reply::status(200).endless(), GapCause::OverLimit),
        (|| Reply::status(200).with("content-length", "9000000000").endless(), GapCause::Malformed),
        (|| Reply::status(200).cut("a layer"), GapCause::Unreachable),
        (|| Reply::status(200).with("content-length", "24").cut("a layer"), GapCause::Unreachable),
        (|| Reply::ok("", BODY).with("content-encoding", "gzip"), GapCause::Malformed),
        (|| Reply::status(404), GapCause::NotFound),
        (|| Reply::status(403), GapCause::Denied),
        (|| Reply::status(503), GapCause::Unreachable),
        (|| Reply::status(206).body(BODY), GapCause::Malformed),
        (|| Reply::redirect(307, "/again"), GapCause::OverLimit),
        (|| Reply::redirect(307, "http://169.254.169.254/"), GapCause::NotAllowed),
    ] {
        let server = Server::start(move |_| reply()).await;
        let descriptor = descriptor(TAR, BODY);
        let gap = pull(&user(), &server, &descriptor).await.unwrap_err();
        let (digest, size) = (descriptor.digest, descriptor.size);
        assert_eq!(gap.need, Need::Blob { digest, size, role: BlobRole::Layer });
        assert_eq!(gap.cause, expected, "{:?}: {}", reply(), gap.detail);
    }
}

#[tokio::test]
async fn a_wrong_length_is_told_from_a_wrong_digest() {
    for (body, expected) in [
        ("a layer, as it is packe", "has 23 bytes at the registry and 24 in the manifest"),
        ("a layer, as it is packed!", "has 25 bytes at the registry and 24 in the manifest"),
        ("A LAYER, AS IT IS PACKED", "was asked for"),
    ] {
        let server = Server::start(move |_| Reply::status(200).unsized_body(body)).await;
        let gap = pull(&user(), &server, &descriptor(TAR, BODY)).await.unwrap_err();
        assert!(gap.detail.contains(expected), "{}", gap.detail);
    }
}

#[tokio::test]
async fn a_layer_of_the_limit_is_read_and_no_larger_one() {
    assert_eq!(Limits::default().layer, 4 << 30);
    let server = Server::start(|_| Reply::ok("", BODY)).await;
    let length = BODY.len() as u64;
    for (layer, expected, requests) in [(length - 1, Some(GapCause::OverLimit), 0), (length, None, 1)] {
        let client = user_within(Limits { layer, attachment: 1, config: 1, manifest: 1, ..Limits::default() });
        let found = pull(&client, &server, &descriptor(TAR, BODY)).await;
        assert_eq!((found.err().map(|gap| gap.cause), server.seen().len()), (expected, requests));
    }
    let huge = Descriptor { size: u64::MAX, ..descriptor(TAR, BODY) };
    assert_eq!(pull(&user(), &server, &huge).await.unwrap_err().cause, GapCause::OverLimit);
}

#[tokio::test]
async fn redirects_of_a_layer_are_followed_to_where_it_is_stored() {
    let storage = Server::start(|_| Reply::ok("", BODY)).await;
    let target = storage.url("/storage");
    let server = Server::start(move |_: &Seen| Reply::redirect(307, target.clone())).await;
    assert!(pull(&user(), &server, &descriptor(TAR, BODY)).await.is_ok());
    assert_eq!((server.seen().len(), storage.seen().len()), (1, 1));
}

#[tokio::test]
async fn attack_36_a_layer_that_does_not_come_ends_at_the_deadline() {
    for reply in [(|| Reply::silence()) as fn() -> Reply, || Reply::status(200).stalled(&BODY[..5])] {
        let server = Server::start(move |_| reply()).await;
        let (repository, descriptor) = (server.repository(), descriptor(TAR, BODY));
        let task = tokio::spawn(async move { user().pull_layer(&repository, &descriptor, &Budget::default()).await });
        server.is_silent().await;
        tokio::time::pause();
        assert_eq!(task.await.unwrap().unwrap_err().cause, GapCause::Timeout);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_layer_is_no_document() {
    let server = Server::start(|_| Reply::ok("", BODY)).await;
    let (repository, digest, size) = (server.repository(), Digest::of(BODY), BODY.len() as u64);
    let gap = user().pull_blob(&repository, digest, size, BlobRole::Layer, &Budget::default()).await.unwrap_err();
    assert_eq!((gap.cause, server.seen().len()), (GapCause::OverLimit, 0));
}

#[tokio::test]
async fn a_layer_is_listed_or_it_is_said_why_not() {
    let bytes = archive();
    let served = bytes.clone();
    let server = Server::start(move |_| Reply::ok("", served.clone())).await;
    let (repository, client) = (server.repository(), user());
    let list = async |descriptor: &Descriptor, budget: &Budget| client.layer(&repository, descriptor, budget).await;
    let layer = list(&descriptor(TAR, &bytes), &Budget::default()).await.unwrap();
    assert_eq!(layer.diff_id, Digest::of(&bytes));
    assert_eq!(layer.entries.len(), 1);
    assert_eq!((&layer.entries[0].path[..], &layer.entries[0].kind), (&b"etc/passwd"[..], &EntryKind::File));

    // What is never read is not asked for.
    let unsupported = list(&descriptor("application/vnd.example", &bytes), &Budget::default()).await.unwrap_err();
    assert!(matches!(unsupported, LayerFault::Unreadable(LayerError::Unsupported { .. })), "{unsupported}");
    assert_eq!(server.seen().len(), 1);

    let gzip = list(&descriptor(&format!("{TAR}+gzip"), &bytes), &Budget::default()).await.unwrap_err();
    assert!(matches!(gzip, LayerFault::Unreadable(LayerError::Malformed { .. })), "{gzip}");
    let other = list(&descriptor(TAR, BODY), &Budget::default()).await.unwrap_err();
    let LayerFault::Gap(gap) = &other else { panic!("{other}") };
    assert_eq!((gap.cause, &other.to_string()), (GapCause::Malformed, &gap.detail));
}

#[tokio::test]
async fn the_deadline_holds_while_a_layer_is_unpacked() {
    // 16 GiB in 512 KiB: 131 072 blocks of one byte each, in 64 frames, so that no bound but the time comes first.
    let block = |last: u32| [&(last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3], &[0]].concat();
    let frame = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x38][..], &block(0).repeat(2047), &block(1)].concat();
    let bomb = frame.repeat(64);
    let served = bomb.clone();
    let server = Server::start(move |_| Reply::ok("", served.clone())).await;
    let descriptor = descriptor(&format!("{TAR}+zstd"), &bomb);
    let budget = Budget::of(std::time::Duration::from_millis(300));
    let fault = user().layer(&server.repository(), &descriptor, &budget).await.unwrap_err();
    let LayerFault::Gap(gap) = fault else { panic!("{fault}") };
    assert_eq!(gap.cause, GapCause::BudgetSpent, "{}", gap.detail);
    assert_eq!(gap.need, Need::Blob { digest: descriptor.digest, size: descriptor.size, role: BlobRole::Layer });
}
