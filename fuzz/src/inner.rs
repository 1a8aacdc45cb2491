//! Parsers that other crates keep to themselves. Their files are compiled in here as they stand, so nothing has to
//! become public for the fuzzer.

#[allow(dead_code, reason = "only the parser is called")]
#[path = "../../crates/attestry-oci/src/challenge.rs"]
mod challenge;
#[path = "../../crates/attestry-oci/src/link.rs"]
mod link;
#[allow(dead_code, reason = "only the formats are used")]
#[path = "../../crates/attestry-store/src/frame.rs"]
mod frame;

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
