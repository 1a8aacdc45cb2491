//! Parsers that other crates keep to themselves. Their files are compiled in here as they stand, so nothing has to
//! become public for the fuzzer.

use attestry_core::layer::EntryKind;

#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-oci/src/challenge.rs"]
mod challenge;
#[allow(dead_code, reason = "only the formats are used")]
#[path = "../../crates/attestry-store/src/frame.rs"]
mod frame;
#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-oci/src/layer.rs"]
mod layer;
#[path = "../../crates/attestry-oci/src/link.rs"]
mod link;
#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-oci/src/listing/page.rs"]
mod page;
#[path = "../../crates/attestry-oci/src/refusal.rs"]
mod refusal;
#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-oci/src/auth/token.rs"]
mod token;

#[path = "../../crates/attestry-sign/src/keyless/fulcio/answer.rs"]
mod answer;

#[path = "../../crates/attestry-sign/src/keyless/rekor/entry.rs"]
mod entry;
#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-sign/src/keyless/timestamp/response.rs"]
mod response;

#[path = "."]
mod admission {
    #[allow(dead_code, reason = "only the parser is called")]
    #[path = "../../crates/attestry-server/src/admission/images.rs"]
    pub(super) mod images;
    #[allow(dead_code, reason = "only the parser is called")]
    #[path = "../../crates/attestry-server/src/admission/pin.rs"]
    pub(super) mod pin;
    #[allow(dead_code, reason = "only the parser is called")]
    #[path = "../../crates/attestry-server/src/admission/plan.rs"]
    pub(super) mod plan;
}

/// A challenge has a scheme, and no more text than its header.
pub fn challenge(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else { return };
    let challenges = challenge::Challenge::parse_all(header);
    assert!(challenges.iter().map(|found| found.scheme.len()).sum::<usize>() <= header.len());
    for found in &challenges {
        assert!(!found.scheme.is_empty() && !found.scheme.contains(|c: char| c.is_ascii_uppercase()));
        assert!(found.parameter("realm").is_none_or(|realm| realm.len() <= header.len()));
    }
}

/// The next page is named by a part of the header in angle brackets.
pub fn link(bytes: &[u8]) {
    let Ok(header) = std::str::from_utf8(bytes) else { return };
    if let Some(target) = link::next(header) {
        assert!(header.contains(&format!("<{target}>")), "{header:?} {target:?}");
    }
}

/// A token is there, and used for an hour at most.
pub fn token_answer(bytes: &[u8]) {
    if let Some(issued) = token::read(bytes) {
        assert!(!issued.token.is_empty() && issued.token.len() <= bytes.len() && issued.life <= 3600);
    }
}

/// Every entry of a page is listed or counted as unreadable, and a page is nothing else.
pub fn listing(bytes: &[u8]) {
    let Ok(page) = page::read(bytes) else { return };
    let value: serde_json::Value = serde_json::from_slice(bytes).expect("a page is JSON");
    let entries = value["manifests"].as_array().map(Vec::len);
    assert_eq!(entries, Some(page.entries.len() + page.unreadable));
    assert!(value["config"].is_null() && value["layers"].is_null());
    assert!(page.entries.iter().all(|entry| entry.artifact_type.as_deref() != Some("")));
}

/// A refusal is told in one short line.
pub fn refusal(bytes: &[u8]) {
    if let Some(text) = refusal::text(bytes) {
        assert!(text.len() <= 512 + 4 && !text.contains(char::is_control), "{text:?}");
    }
}

/// One certificate comes out, and no more text than there was.
pub fn certificate_answer(bytes: &[u8]) {
    if let Ok(leaf) = answer::leaf(bytes) {
        assert!(leaf.len() <= bytes.len());
    }
}

/// What a layer is listed with are paths of the image, and its digest is that of all bytes. The first byte chooses the
/// media type.
pub fn layer(bytes: &[u8]) {
    const TYPES: [&str; 3] = ["", "+gzip", "+zstd"];
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let choice = usize::from(*choice) % TYPES.len();
    let media_type = format!("application/vnd.oci.image.layer.v1.tar{}", TYPES[choice]);
    // Small enough for the fuzzer to reach them.
    let bounds = layer::Bounds { unpacked: 1 << 20, entries: 1000, names: 64 << 10, header: 16 << 10, window: 1 << 20 };
    let Ok(layer) = layer::read(&media_type, bytes, &bounds) else { return };
    assert!(layer.entries.len() as u64 <= bounds.entries);
    for entry in &layer.entries {
        let root = entry.path.is_empty() && entry.kind == EntryKind::Opaque;
        let clean = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
        let path = |path: &[u8]| path.split(|byte| *byte == b'/').all(clean);
        assert!(root || path(&entry.path), "{entry:?}");
        if let EntryKind::HardLink(target) = &entry.kind {
            assert!(target.is_empty() || path(target), "{entry:?}");
        }
    }
    if choice == 0 {
        assert_eq!(layer.diff_id, attestry_core::Digest::of(bytes));
    }
}

/// What a log answers comes out as an entry with the members that bundles have, and strict.
pub fn log_answer(bytes: &[u8]) {
    let end = attestry_core::Timestamp::constant(1_800_000_000, 0);
    let answers = [entry::v1(bytes, "dsse", None), entry::v1(bytes, "dsse", Some(end)), entry::v2(bytes)];
    for entry in answers.into_iter().flatten() {
        attestry_core::strict_json::check(entry.get().as_bytes()).expect("an entry is strict JSON");
        let value: serde_json::Value = serde_json::from_str(entry.get()).expect("an entry is JSON");
        for member in ["logId", "kindVersion", "inclusionProof", "canonicalizedBody"] {
            assert!(value.get(member).is_some(), "{member}: {value}");
        }
    }
}

/// A timestamp that passes for ours holds our imprint and our nonce.
pub fn timestamp_response(bytes: &[u8]) {
    let (imprint, nonce) = (attestry_core::Digest::of("signature"), [0x41, 2, 3, 4, 5, 6, 7, 8]);
    if response::check(bytes, &imprint, nonce).is_ok() {
        let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        assert!(holds(imprint.as_bytes()) && holds(&nonce));
    }
}

/// Frames, records and segment headers are written as they were read.
pub fn frames(bytes: &[u8]) {
    if let Some((head, body)) = bytes.split_first_chunk::<{ frame::FRAME_HEADER }>()
        && let Some(header) = frame::FrameHeader::parse(head)
    {
        assert!((1..=frame::MAX_BODY).contains(&header.length));
        if header.matches(body) {
            assert_eq!(frame::encode_frame(header.seq, std::iter::once(body)), bytes);
        }
    }
    if let Some(records) = frame::records(bytes) {
        let whole: Option<Vec<_>> = records.into_iter().map(frame::RecordRef::to_record).collect();
        if let Some(encoded) = whole.and_then(|records| frame::Encoded::new(&records).ok()) {
            assert_eq!(encoded.body, bytes);
        }
    }
    if let Some((head, _)) = bytes.split_first_chunk::<{ frame::SEGMENT_HEADER }>()
        && let Ok(header) = frame::SegmentHeader::parse(head)
    {
        assert_eq!(&header.encode(), head);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(name) = text.parse::<frame::RecordName>()
    {
        assert_eq!(name.to_string(), text);
    }
}

/// What is recorded of a review is bounded, and without a known digest nothing is pinned.
pub fn admission(bytes: &[u8]) {
    match admission::plan::read(bytes) {
        Ok(read) => {
            assert!(read.request.uid.len() <= 128);
            let texts = [Some(&read.request.kind), read.request.namespace.as_ref(), read.request.user_name.as_ref()];
            assert!(texts.into_iter().flatten().all(|text| text.len() <= 4 << 10), "{read:?}");
        }
        Err(reason) => assert!(reason.message.len() <= 1100, "{reason:?}"),
    }
    if let Ok(pinning) = admission::pin::images(bytes) {
        let answer = admission::pin::respond(&pinning, &Default::default());
        assert_eq!(answer["response"]["allowed"], true);
        assert!(answer["response"].get("patch").is_none());
    }
}
