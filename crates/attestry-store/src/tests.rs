//! The log as its callers see it; damage, faults and crashes have files of their own.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    fs,
    path::Path,
    sync::{Arc, Condvar, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use attestry_core::{
    merkle::{Frontier, leaf_hash},
    note::{Checkpoint, NoteKey, NoteSigner, UnverifiedNote},
};
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::*;

mod damage;
mod faults;
mod kill;

/// No reserve, and checkpoints only at opening and closing, so that a test decides when there is one.
pub(crate) fn options() -> Options {
    Options { reserve_bytes: 0, checkpoint_interval: Duration::from_secs(3600), ..Options::default() }
}

pub(crate) fn record(n: u64) -> Record {
    let kind = if n.is_multiple_of(3) { "Review" } else { "Decision" };
    let keys = [("kind", kind.to_owned()), ("n", n.to_string())];
    Record {
        bytes: format!("{{\"n\":{n}}}").into_bytes(),
        keys: keys.map(|(name, value)| (name.to_owned(), value)).to_vec(),
    }
}

pub(crate) fn open(dir: &Path) -> Log {
    Log::open(dir, &options(), None).unwrap().0
}

/// Appends `record(n)` for each `n`, each in a frame of its own.
pub(crate) fn append(log: &Log, numbers: std::ops::Range<u64>) {
    for n in numbers {
        assert_eq!(log.append(&[record(n)]).wait().unwrap(), [n]);
    }
}

/// What a crash at this moment leaves: the files of a log that is still open.
pub(crate) fn crash_copy(dir: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("log")).unwrap();
    for entry in fs::read_dir(dir.join("log")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join("log").join(entry.file_name())).unwrap();
    }
    fs::copy(dir.join("checkpoint"), copy.path().join("checkpoint")).unwrap();
    copy
}

/// The records that a reader without the lock finds.
pub(crate) fn contents(dir: &Path) -> Vec<Record> {
    let records = LogReader::open(dir).unwrap().map(Result::unwrap);
    (0..).zip(records).map(|(n, (id, record))| if n == id { record } else { panic!("{id} stands at {n}") }).collect()
}

#[test]
fn appended_records_are_read_back_under_their_ids_also_after_reopening() {
    let dir = TempDir::new().unwrap();
    let (log, report) = Log::open(dir.path(), &options(), None).unwrap();
    assert_eq!((report.records, report.truncated_bytes), (0, 0));
    assert_eq!(log.append(&[]).wait().unwrap(), [0; 0]);
    assert_eq!(log.append(&[record(0), record(1)]).wait().unwrap(), [0, 1]);
    assert_eq!(log.append(&[record(2)]).wait().unwrap(), [2]);
    let check = |log: &Log| {
        for n in 0..3 {
            assert_eq!(log.record(n).unwrap(), Some(record(n)));
        }
        assert_eq!((log.record(3).unwrap(), log.record(u64::MAX).unwrap()), (None, None));
    };
    check(&log);
    let log_id = log.log_id();
    drop(log);
    let (log, report) = Log::open(dir.path(), &options(), None).unwrap();
    assert_eq!(report, OpenReport { log_id, records: 3, truncated_bytes: 0, rebuilt_index: false });
    check(&log);
    append(&log, 3..5);
    assert_eq!(contents(dir.path()), (0..5).map(record).collect::<Vec<_>>());
}

#[test]
fn segments_rotate_and_the_next_start_reads_them_all() {
    let dir = TempDir::new().unwrap();
    let small = Options { segment_bytes: 300, ..options() };
    for start in [0, 20] {
        let (log, report) = Log::open(dir.path(), &small, None).unwrap();
        assert_eq!(report.records, start);
        append(&log, start..start + 20);
        assert_eq!(log.record(7).unwrap(), Some(record(7)));
    }
    assert!(fs::read_dir(dir.path().join("log")).unwrap().count() > 5);
    assert_eq!(contents(dir.path()), (0..40).map(record).collect::<Vec<_>>());
}

#[test]
fn a_record_larger_than_a_segment_gets_a_segment_of_its_own() {
    let dir = TempDir::new().unwrap();
    let (log, _) = Log::open(dir.path(), &Options { segment_bytes: 100, ..options() }, None).unwrap();
    let large = Record { bytes: vec![b'x'; 1000], keys: Vec::new() };
    log.append(&[record(0)]).wait().unwrap();
    log.append(std::slice::from_ref(&large)).wait().unwrap();
    assert_eq!(log.record(1).unwrap(), Some(large));
}

#[test]
fn what_is_beyond_the_bounds_is_refused_and_the_log_goes_on() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    let long = "k".repeat(MAX_KEY + 1);
    for refused in [
        vec![Record { bytes: vec![0; MAX_RECORD + 1], keys: Vec::new() }],
        vec![Record { bytes: vec![0; MAX_RECORD], keys: Vec::new() }; 5],
        vec![Record { bytes: Vec::new(), keys: vec![(long.clone(), String::new())] }],
        vec![Record { bytes: Vec::new(), keys: vec![(String::new(), long)] }],
        vec![Record { bytes: Vec::new(), keys: vec![Default::default(); MAX_KEYS + 1] }],
    ] {
        assert!(matches!(log.append(&refused).wait(), Err(StoreError::TooLarge { .. })));
    }
    append(&log, 0..1);
}

#[test]
fn second_process_is_told_that_the_directory_is_in_use() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    let error = Log::open(dir.path(), &options(), None).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }));
    drop(log);
    open(dir.path());
}

#[test]
fn reader_sees_a_prefix_while_the_log_is_written_and_rotated() {
    let dir = TempDir::new().unwrap();
    let (log, _) = Log::open(dir.path(), &Options { segment_bytes: 400, ..options() }, None).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| append(&log, 0..300));
        while !writer.is_finished() {
            let before = log.records();
            let seen = contents(dir.path());
            assert!(seen.len() as u64 >= before);
            assert_eq!(seen, (0..seen.len() as u64).map(record).collect::<Vec<_>>());
        }
    });
    assert_eq!(contents(dir.path()).len(), 300);
}

#[test]
fn answer_wakes_the_task_that_awaits_it() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    for n in 0..20 {
        assert_eq!(block_on(log.append(&[record(n)])).unwrap(), [n]);
    }
}

#[test]
fn checkpoints_are_signed_over_all_records_and_signed_again_for_another_key() {
    let dir = TempDir::new().unwrap();
    let check = |found: &DurableCheckpoint, signer: &Key, size: u64| {
        let mut frontier = Frontier::new();
        (0..size).for_each(|n| frontier.push(leaf_hash(&record(n).bytes)));
        let note = UnverifiedNote::parse(found.note.as_ref().unwrap().as_bytes()).unwrap();
        let signed = Checkpoint::from_text(note.verify(&signer.public()).unwrap()).unwrap();
        assert_eq!(signed, Checkpoint { origin: signer.name().to_owned(), size, root: frontier.root() });
        assert_eq!((found.size, found.root), (size, frontier.root()));
    };
    let [first, second] = [1, 2].map(|seed| Arc::new(Key(SigningKey::from_bytes(&[seed; 32]))));
    let eager = Options { checkpoint_interval: Duration::ZERO, ..options() };
    let (log, _) = Log::open(dir.path(), &eager, Some(first.clone())).unwrap();
    check(&log.checkpoint().unwrap(), &first, 0);
    append(&log, 0..2);
    // The writer wrote the checkpoint over the first record before it took the second.
    assert!(log.checkpoint().unwrap().size >= 1);
    drop(log);
    check(&LogReader::open(dir.path()).unwrap().checkpoint().unwrap().unwrap(), &first, 2);
    let (log, _) = Log::open(dir.path(), &eager, Some(second.clone())).unwrap();
    check(&log.checkpoint().unwrap(), &second, 2);
    drop(log);
    // Without a signer what was signed stays.
    check(&open(dir.path()).checkpoint().unwrap(), &second, 2);
}

#[test]
fn record_names_have_one_spelling() {
    let name = RecordName { log: "0123456789ab".parse().unwrap(), index: 42 };
    assert_eq!(name.to_string(), "0123456789ab-42");
    assert_eq!("0123456789ab-42".parse(), Ok(name));
    for text in
        ["", "42", "0123456789ab", "0123456789ab-", "0123456789ab-042", "0123456789ab-+42", "0123456789AB-42", "ab-42"]
    {
        assert_eq!(text.parse::<RecordName>(), Err(MalformedName), "{text}");
    }
}

#[derive(Debug, Clone)]
enum Operation {
    /// One append of records with this many bytes.
    Append(Vec<u16>),
    /// A clean end, and a start.
    Reopen,
    /// A crash that leaves these bytes behind the last frame, and a start.
    Crash(Vec<u8>),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        6 => prop::collection::vec(0u16..600, 1..6).prop_map(Operation::Append),
        1 => Just(Operation::Reopen),
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Operation::Crash),
    ];
    prop::collection::vec(operation, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_read_back_in_order(operations in operations(), segment_bytes in 100u64..3000) {
        let options = Options { segment_bytes, ..options() };
        let mut dir = TempDir::new().unwrap();
        let mut log = Log::open(dir.path(), &options, None).unwrap().0;
        let mut acknowledged: Vec<Record> = Vec::new();
        for operation in operations {
            let mut torn = 0;
            match operation {
                Operation::Append(sizes) => {
                    let next = acknowledged.len() as u64;
                    let records: Vec<_> = (next..).zip(sizes).map(|(n, size)| {
                        Record { bytes: vec![n as u8; size.into()], ..record(n) }
                    }).collect();
                    let ids = log.append(&records).wait().unwrap();
                    prop_assert_eq!(ids, (next..next + records.len() as u64).collect::<Vec<_>>());
                    acknowledged.extend(records);
                    continue;
                }
                Operation::Reopen => drop(log),
                Operation::Crash(garbage) => {
                    let copy = crash_copy(dir.path());
                    drop(log);
                    let last = fs::read_dir(copy.path().join("log")).unwrap().map(|e| e.unwrap().path()).max().unwrap();
                    torn = garbage.len() as u64;
                    fs::write(&last, [fs::read(&last).unwrap(), garbage].concat()).unwrap();
                    dir = copy;
                }
            }
            let (reopened, report) = Log::open(dir.path(), &options, None).unwrap();
            prop_assert_eq!((report.records, report.truncated_bytes), (acknowledged.len() as u64, torn));
            log = reopened;
        }
        prop_assert_eq!(contents(dir.path()), acknowledged);
    }
}

/// A test key of a fixed seed.
#[derive(Debug)]
pub(crate) struct Key(SigningKey);

impl Key {
    fn public(&self) -> NoteKey {
        NoteKey::ed25519(self.name(), self.0.verifying_key().to_bytes()).unwrap()
    }
}

impl NoteSigner for Key {
    fn name(&self) -> &str {
        "attestry.example/log"
    }

    fn key_id(&self) -> [u8; 4] {
        self.public().id()
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).to_bytes().to_vec()
    }
}

/// The smallest async runtime there is.
fn block_on<F: Future>(future: F) -> F::Output {
    #[derive(Default)]
    struct Woken(Mutex<bool>, Condvar);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() = true;
            self.1.notify_all();
        }
    }
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut flag = woken.1.wait_while(woken.0.lock().unwrap(), |woken| !*woken).unwrap();
        *flag = false;
    }
}
