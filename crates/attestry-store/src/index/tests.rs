//! Both engines answer the same questions the same way, and neither holds anything that the log cannot rebuild.
#![allow(clippy::unwrap_used, reason = "tests")]

use tempfile::TempDir;

use super::*;
use crate::{
    Query, Store,
    tests::{append, crash_copy, options, record},
};

const BACKENDS: [Backend; 2] = [Backend::Redb, Backend::Sled];
const RECORDS: u64 = 50;

fn open(dir: &Path, backend: Backend) -> (Store, bool) {
    let (store, report) = Store::open(dir, &options(), backend, None).unwrap();
    (store, report.rebuilt_index)
}

/// All pages of a query, each of at most `limit` records.
fn pages(store: &Store, key: Option<(&str, &str)>, limit: usize) -> Vec<Vec<RecordId>> {
    let mut query = Query { key: key.map(|(name, value)| (name.to_owned(), value.to_owned())), before: None, limit };
    let mut pages = Vec::new();
    loop {
        let page = store.query(&query).unwrap();
        pages.push(page.records.iter().map(|(id, _)| *id).collect());
        assert!(page.records.iter().all(|(id, found)| *found == record(*id)));
        query.before = page.next;
        if query.before.is_none() {
            return pages;
        }
    }
}

/// What every index over `record(0..records)` answers, however it came about.
fn check(store: &Store, records: u64) {
    let ask = |key: Option<(&str, &str)>, wanted: fn(u64) -> bool| {
        let expected: Vec<_> = (0..records).rev().filter(|n| wanted(*n)).collect();
        for limit in [1, 7, 1000] {
            let pages = pages(store, key, limit);
            assert!(pages.iter().all(|page| page.len() <= limit), "{key:?} by {limit}");
            assert!(pages.iter().rev().skip(1).all(|page| page.len() == limit), "{key:?} by {limit}");
            assert_eq!(pages.concat(), expected, "{key:?} by {limit}");
        }
    };
    ask(Some(("kind", "Review")), |n| n.is_multiple_of(3));
    ask(Some(("kind", "Decision")), |n| !n.is_multiple_of(3));
    ask(Some(("n", "7")), |n| n == 7);
    ask(None, |_| true);
    for nobody in [("kind", "Revie"), ("kind", "Review2"), ("kin", "dReview"), ("", ""), ("n", "")] {
        assert_eq!(pages(store, Some(nobody), 10), [[0; 0]], "{nobody:?}");
    }
}

#[test]
fn queries_page_newest_first_and_see_every_answered_record() {
    for backend in BACKENDS {
        let dir = TempDir::new().unwrap();
        let (store, rebuilt) = open(dir.path(), backend);
        assert!(!rebuilt);
        check(&store, 0);
        for n in 0..RECORDS {
            append(store.log(), n..n + 1);
            assert_eq!(pages(&store, Some(("n", &n.to_string())), 10), [[n]]);
        }
        check(&store, RECORDS);
        drop(store);
        let (store, rebuilt) = open(dir.path(), backend);
        assert!(!rebuilt, "{backend:?}");
        check(&store, RECORDS);
    }
}

#[test]
fn index_that_is_behind_or_gone_is_replayed() {
    for backend in BACKENDS {
        let dir = TempDir::new().unwrap();
        append(open(dir.path(), backend).0.log(), 0..20);
        // Without the index, as after a crash that took its last transactions.
        append(&crate::tests::open(dir.path()), 20..RECORDS);
        check(&open(dir.path(), backend).0, RECORDS);
        let path = backend.path(dir.path());
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
        check(&open(dir.path(), backend).0, RECORDS);
    }
}

#[test]
fn damaged_index_is_moved_aside_and_made_anew() {
    for backend in BACKENDS {
        let dir = TempDir::new().unwrap();
        append(open(dir.path(), backend).0.log(), 0..RECORDS);
        let path = backend.path(dir.path());
        // Twice: an earlier one that was moved aside makes room.
        for _ in 0..2 {
            let damaged = if path.is_dir() { path.join("conf") } else { path.clone() };
            fs::write(damaged, b"no index at all").unwrap();
            let (store, rebuilt) = open(dir.path(), backend);
            assert!(rebuilt, "{backend:?}");
            check(&store, RECORDS);
        }
        assert!(path.with_extension(format!("{}.aside", path.extension().unwrap().display())).exists());
    }
}

#[test]
fn flipped_bytes_in_an_index_never_change_an_answer() {
    for backend in BACKENDS {
        let dir = TempDir::new().unwrap();
        let store = open(dir.path(), backend).0;
        append(store.log(), 0..RECORDS);
        check(&store, RECORDS);
        drop(store);
        let path = backend.path(dir.path());
        let file = if path.is_dir() { path.join("db") } else { path };
        let whole = fs::read(&file).unwrap();
        // Where there is something to damage: both engines reserve space that they have not used.
        let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
        for at in used.iter().step_by(used.len() / 25) {
            let mut flipped = whole.clone();
            flipped[*at] ^= 0x5a;
            fs::write(&file, flipped).unwrap();
            check(&open(dir.path(), backend).0, RECORDS);
        }
    }
}

#[test]
fn index_of_another_log_or_another_state_is_made_anew() {
    for backend in BACKENDS {
        let (dir, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        append(open(dir.path(), backend).0.log(), 0..RECORDS);
        append(open(other.path(), backend).0.log(), 0..RECORDS);
        let path = backend.path(dir.path());
        let take = |from: &Path| {
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }.unwrap();
            fs::rename(backend.path(from), &path).unwrap();
        };
        take(other.path());
        let (store, rebuilt) = open(dir.path(), backend);
        assert!(rebuilt, "{backend:?}: another log");
        check(&store, RECORDS);
        drop(store);

        // The log goes back to a copy, and on from there with other records: the index knows more than the log.
        let old = TempDir::new().unwrap();
        let log = crate::tests::open(old.path());
        append(&log, 0..10);
        let copy = crash_copy(old.path());
        append(&log, 10..11);
        drop(log);
        check(&open(old.path(), backend).0, 11);
        let other = Record { bytes: b"other".to_vec(), ..record(10) };
        crate::tests::open(copy.path()).append(&[other]).wait().unwrap();
        fs::rename(backend.path(old.path()), backend.path(copy.path())).unwrap();
        let (_, rebuilt) = open(copy.path(), backend);
        assert!(rebuilt, "{backend:?}: another state");
    }
}
