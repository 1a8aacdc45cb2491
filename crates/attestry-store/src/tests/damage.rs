//! A torn tail is cut and reported; damage anywhere else stops the start and changes nothing.

use std::path::PathBuf;

use super::*;
use crate::frame::{FRAME_HEADER, SEGMENT_HEADER};

/// Records in the log of most tests here, each in its own frame.
const RECORDS: u64 = 5;

/// A log of [`RECORDS`] frames as a crash leaves it: the checkpoint covers none of them.
fn crashed() -> TempDir {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    append(&log, 0..RECORDS);
    crash_copy(dir.path())
}

/// The same after a clean end: the checkpoint covers all of them.
fn closed() -> TempDir {
    let dir = TempDir::new().unwrap();
    append(&open(dir.path()), 0..RECORDS);
    dir
}

fn segment(dir: &TempDir) -> PathBuf {
    dir.path().join("log/0001.seg")
}

/// Where each frame begins, and the end of the file.
fn borders(bytes: &[u8]) -> Vec<usize> {
    let mut borders = vec![SEGMENT_HEADER];
    while let Some(header) = bytes[borders[borders.len() - 1]..].first_chunk::<FRAME_HEADER>() {
        let length = frame::FrameHeader::parse(header).unwrap().length;
        borders.push(borders[borders.len() - 1] + FRAME_HEADER + length);
    }
    borders
}

fn start(dir: &TempDir) -> Result<OpenReport, StoreError> {
    Log::open(dir.path(), &options(), None).map(|(_, report)| report)
}

/// The start is refused because of damage at `offset` of the first segment, and the file stays as it is.
fn check_damaged(dir: &TempDir, offset: usize, case: &str) {
    let before = fs::read(segment(dir)).unwrap();
    match start(dir) {
        Err(error @ StoreError::Damaged { .. }) => {
            let message = error.to_string();
            assert!(message.contains("0001.seg") && message.contains(&format!("byte {offset}:")), "{case}: {message}");
            assert!(message.contains("hint: "), "{case}: {message}");
        }
        other => panic!("{case}: {other:?}"),
    }
    assert_eq!(fs::read(segment(dir)).unwrap(), before, "{case}");
}

#[test]
fn torn_tail_is_cut_and_reported_at_every_byte_of_the_last_frame() {
    let dir = crashed();
    let whole = fs::read(segment(&dir)).unwrap();
    let borders = borders(&whole);
    let last = borders[borders.len() - 2];
    for cut in last..whole.len() {
        // Either the file ends early, or its length is there and its data is not.
        let zeroed = [&whole[..cut], &vec![0; whole.len() - cut]].concat();
        for torn in [whole[..cut].to_vec(), zeroed] {
            let copy = crash_copy(dir.path());
            fs::write(segment(&copy), &torn).unwrap();
            if torn == whole {
                continue;
            }
            let mut reader = LogReader::open(copy.path()).unwrap();
            assert_eq!(reader.by_ref().map(Result::unwrap).count() as u64, RECORDS - 1);
            assert_eq!(reader.torn_bytes(), (torn.len() - last) as u64);
            let report = start(&copy).unwrap();
            assert_eq!((report.records, report.truncated_bytes), (RECORDS - 1, (torn.len() - last) as u64), "{cut}");
            assert_eq!(start(&copy).unwrap().truncated_bytes, 0);
        }
    }
    // The place of the cut frame is used again.
    let copy = crash_copy(dir.path());
    fs::write(segment(&copy), &whole[..whole.len() - 1]).unwrap();
    append(&open(copy.path()), RECORDS - 1..RECORDS + 3);
    assert_eq!(contents(copy.path()), (0..RECORDS + 3).map(record).collect::<Vec<_>>());
}

#[test]
fn flipped_byte_stops_the_start_wherever_it_is_but_in_an_unshown_last_frame() {
    let dir = crashed();
    let whole = fs::read(segment(&dir)).unwrap();
    let borders = borders(&whole);
    let last = borders[borders.len() - 2];
    for at in 0..whole.len() {
        for mask in [0x01, 0x80] {
            let mut flipped = whole.clone();
            flipped[at] ^= mask;
            let copy = crash_copy(dir.path());
            fs::write(segment(&copy), &flipped).unwrap();
            if at >= last {
                let report = start(&copy).unwrap();
                let cut = (whole.len() - last) as u64;
                assert_eq!((report.records, report.truncated_bytes), (RECORDS - 1, cut), "{at}");
            } else {
                let begin = borders.iter().rev().find(|border| **border <= at).copied().unwrap_or(0);
                let read: Result<Vec<_>, _> = LogReader::open(copy.path()).and_then(Iterator::collect);
                // The format's version is behind a checksum too, so even there it is damage.
                assert!(matches!(read, Err(StoreError::Damaged { .. })), "{at}");
                check_damaged(&copy, begin, &format!("byte {at}"));
            }
        }
    }
}

#[test]
fn nothing_that_a_checkpoint_covers_is_cut() {
    let dir = closed();
    let whole = fs::read(segment(&dir)).unwrap();
    let borders = borders(&whole);
    let last = borders[borders.len() - 2];
    let mut flipped = whole.clone();
    flipped[last + FRAME_HEADER] ^= 1;
    for damaged in [&whole[..whole.len() - 1], &whole[..last], &whole[..SEGMENT_HEADER], &flipped] {
        fs::write(segment(&dir), damaged).unwrap();
        match start(&dir) {
            Err(error @ StoreError::BehindCheckpoint { checkpoint: RECORDS, .. }) => {
                assert!(error.to_string().contains("0001.seg"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read(segment(&dir)).unwrap(), damaged);
    }
    fs::write(segment(&dir), &whole).unwrap();
    assert_eq!(start(&dir).unwrap().records, RECORDS);
}

#[test]
fn attack_67_frames_left_out_swapped_or_doubled_stop_the_start() {
    let dir = crashed();
    let whole = fs::read(segment(&dir)).unwrap();
    let at = borders(&whole);
    let part = |from: usize, to: usize| &whole[at[from]..at[to]];
    let head = &whole[..at[0]];
    let end = RECORDS as usize;
    for (case, bytes, offset) in [
        ("first left out", [head, part(1, end)].concat(), at[0]),
        ("middle left out", [head, part(0, 2), part(3, end)].concat(), at[2]),
        ("swapped", [head, part(0, 1), part(2, 3), part(1, 2), part(3, end)].concat(), at[1]),
        ("last two swapped", [head, part(0, 3), part(4, 5), part(3, 4)].concat(), at[3]),
        ("last doubled", [whole.as_slice(), part(4, 5)].concat(), whole.len()),
    ] {
        let copy = crash_copy(dir.path());
        fs::write(segment(&copy), bytes).unwrap();
        check_damaged(&copy, offset, case);
    }
}

#[test]
fn two_bad_frames_at_the_end_are_damage_and_no_torn_tail() {
    let dir = crashed();
    let whole = fs::read(segment(&dir)).unwrap();
    let at = borders(&whole);
    for length in at[4] + 1..whole.len() {
        let mut bytes = whole[..length].to_vec();
        bytes[at[3] + FRAME_HEADER + 2] ^= 1;
        fs::write(segment(&dir), bytes).unwrap();
        check_damaged(&dir, at[3], &format!("{length} bytes"));
    }
}

#[test]
fn missing_and_foreign_segments_stop_the_start() {
    let make = || {
        let dir = TempDir::new().unwrap();
        let small = Options { segment_bytes: 200, ..options() };
        append(&Log::open(dir.path(), &small, None).unwrap().0, 0..12);
        dir
    };
    let path = |dir: &TempDir, number: u32| dir.path().join(format!("log/{number:04}.seg"));
    for missing in 1..=3 {
        let dir = make();
        fs::remove_file(path(&dir, missing)).unwrap();
        match start(&dir) {
            Err(StoreError::SegmentMissing { path: named }) => assert_eq!(named, path(&dir, missing)),
            other => panic!("{other:?}"),
        }
    }
    let dir = make();
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert!(matches!(start(&dir), Err(StoreError::SegmentMissing { .. })), "a new log would hide the loss");

    let dir = make();
    let last = fs::read_dir(dir.path().join("log")).unwrap().count() as u32;
    fs::remove_file(path(&dir, last)).unwrap();
    assert!(matches!(start(&dir), Err(StoreError::BehindCheckpoint { checkpoint: 12, .. })));

    let (dir, other) = (make(), make());
    fs::copy(path(&other, 2), path(&dir, 2)).unwrap();
    match start(&dir) {
        Err(StoreError::Damaged { path: named, offset: 0, .. }) => assert_eq!(named, path(&dir, 2)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn torn_write_in_an_older_segment_is_damage() {
    let dir = TempDir::new().unwrap();
    let (log, _) = Log::open(dir.path(), &Options { segment_bytes: 200, ..options() }, None).unwrap();
    append(&log, 0..12);
    let copy = crash_copy(dir.path());
    let whole = fs::read(segment(&copy)).unwrap();
    let at = borders(&whole);
    fs::write(segment(&copy), &whole[..whole.len() - 1]).unwrap();
    check_damaged(&copy, at[at.len() - 2], "cut short");
}

#[test]
fn flipped_byte_in_the_checkpoint_stops_the_start() {
    let dir = TempDir::new().unwrap();
    let key = Arc::new(Key(SigningKey::from_bytes(&[1; 32])));
    append(&Log::open(dir.path(), &options(), Some(key)).unwrap().0, 0..RECORDS);
    let path = dir.path().join("checkpoint");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x81;
        fs::write(&path, flipped).unwrap();
        assert!(matches!(start(&dir), Err(StoreError::DamagedCheckpoint { .. })), "byte {at}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(start(&dir).unwrap().records, RECORDS);
}

#[test]
fn newer_format_is_named_and_refused() {
    let dir = closed();
    let mut bytes = fs::read(segment(&dir)).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..SEGMENT_HEADER - 4]);
    bytes[SEGMENT_HEADER - 4..SEGMENT_HEADER].copy_from_slice(&crc.to_le_bytes());
    fs::write(segment(&dir), bytes).unwrap();
    assert!(matches!(start(&dir), Err(StoreError::Format { version: 2, .. })));
}

/// The first bytes of a version 1 log: later code must go on reading them.
#[test]
fn version_1_has_golden_bytes() {
    let log = LogId::from_bytes([1, 2, 3, 4, 5, 6]);
    let header = frame::SegmentHeader { number: 1, first_seq: 0, first_record: 0, log_id: log };
    let body = frame::Encoded::new(&[record(1)]).unwrap().body;
    let frame = frame::encode_frame(0, [body.as_slice()].into_iter());
    let bytes = [header.encode().as_slice(), &frame].concat();
    let golden = "617474736567 0d0a 01000000 01000000 0000000000000000 0000000000000000 010203040506 d3765d0a\
        ff6166fe 0000000000000000 25000000 487ce829\
        07000000 7b226e223a317d 16000000 0400 6b696e64 0800 4465636973696f6e 0100 6e 0100 31";
    assert_eq!(hex::encode(&bytes), golden.replace(' ', ""));

    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("log")).unwrap();
    fs::write(segment(&dir), &bytes).unwrap();
    assert_eq!(contents(dir.path()), [record(1)]);
    assert_eq!(start(&dir).unwrap(), OpenReport { log_id: log, records: 1, truncated_bytes: 0, rebuilt_index: false });
}
