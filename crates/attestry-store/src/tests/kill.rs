//! Kill -9 under load: every record whose answer left the process is found under its id after the next start.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::*;

/// Names the data directory in the child; this test binary runs itself.
const CHILD: &str = "ATTESTRY_STORE_KILL_TEST_DIR";
const WRITERS: u64 = 8;
/// The parent kills once it has read so many answers.
const ANSWERS: usize = 150;

#[test]
fn every_acknowledged_record_survives_kill_9() {
    if let Some(dir) = env::var_os(CHILD) {
        append_until_killed(&PathBuf::from(dir));
    }
    let dir = TempDir::new().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        acknowledged.extend(killed_round(dir.path()));
        let backend = if round % 2 == 0 { Backend::Redb } else { Backend::Sled };
        let (store, report) = Store::open(dir.path(), &options(), backend, None).unwrap();
        assert!(!report.rebuilt_index && report.records >= acknowledged.len() as u64, "{report:?}");
        for (id, value) in &acknowledged {
            let found = store.log().record(*id).unwrap().unwrap();
            assert_eq!(String::from_utf8(found.bytes).unwrap(), *value);
            let key = Some(("value".to_owned(), value.clone()));
            let page = store.query(&Query { key, before: None, limit: 10 }).unwrap();
            assert!(page.records.iter().any(|(found, _)| found == id), "{id}");
        }
    }
    assert!(acknowledged.len() >= 4 * ANSWERS);
}

/// Runs a child, kills it while it appends, and gives what it had answered.
fn killed_round(dir: &Path) -> Vec<(RecordId, String)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tests::kill::every_acknowledged_record_survives_kill_9", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // A whole answer begins and ends with a mark: the harness prints lines of its own, and the kill may cut one.
    let answer = |line: String| {
        let (id, value) = line.split_once("answer:")?.1.strip_suffix(":end")?.split_once(' ')?;
        Some((id.parse().unwrap(), value.to_owned()))
    };
    let mut answers: Vec<_> = lines.by_ref().filter_map(answer).take(ANSWERS).collect();
    child.kill().unwrap();
    answers.extend(lines.filter_map(answer));
    child.wait().unwrap();
    answers
}

/// The child: several threads append and say what they were answered.
fn append_until_killed(dir: &Path) -> ! {
    let often = Options { checkpoint_interval: Duration::from_millis(5), segment_bytes: 4000, ..options() };
    let (store, report) = Store::open(dir, &often, Backend::default(), None).unwrap();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, start) = (&store, report.records);
            scope.spawn(move || {
                for n in 0.. {
                    let value = format!("{start}/{writer}/{n}");
                    let keys = vec![("value".to_owned(), value.clone())];
                    let record = Record { bytes: value.clone().into_bytes(), keys };
                    let ids = store.log().append(&[record]).wait().unwrap();
                    let line = format!("answer:{} {value}:end\n", ids[0]);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
    unreachable!("the writers end only with the process")
}
