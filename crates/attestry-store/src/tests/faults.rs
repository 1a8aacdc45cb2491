//! Every write and sync is made to fail in turn, both "lost" and "done but reported lost", and the disk fills up.

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicUsize, Ordering},
};

use super::*;

/// How a call fails.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// Nothing was done.
    Lost,
    /// A part was written.
    Part,
    /// All was done, and still an error comes back.
    DoneButReportedLost,
}

/// Fails the call number `at` (from zero) and all later ones, as a broken disk does.
#[derive(Debug)]
struct FailingDisk {
    at: usize,
    calls: AtomicUsize,
    fault: Fault,
    kind: io::ErrorKind,
}

impl FailingDisk {
    fn call(&self, part: impl FnOnce() -> io::Result<()>, whole: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.at {
            return whole();
        }
        match self.fault {
            Fault::Lost => {}
            Fault::Part => part()?,
            Fault::DoneButReportedLost => whole()?,
        }
        Err(self.kind.into())
    }
}

impl Disk for FailingDisk {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let mut same = file.try_clone()?;
        self.call(|| RealDisk.write(path, &mut same, &bytes[..bytes.len() / 2]), || RealDisk.write(path, file, bytes))
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        self.call(|| Ok(()), || RealDisk.sync(path, file))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.call(|| Ok(()), || RealDisk.sync_directory(path))
    }
}

/// Opens, appends with rotation and checkpoints, and gives the log with what was acknowledged.
fn work(dir: &Path, disk: Arc<dyn Disk>) -> Option<(Log, u64)> {
    let options = Options { segment_bytes: 150, checkpoint_interval: Duration::ZERO, disk, ..options() };
    let (log, _) = Log::open(dir, &options, None).ok()?;
    let acknowledged = (0..6).take_while(|n| log.append(&[record(*n)]).wait().is_ok()).count();
    Some((log, acknowledged as u64))
}

#[test]
fn each_write_and_sync_fails_in_turn_and_nothing_acknowledged_is_lost() {
    for fault in [Fault::Lost, Fault::Part, Fault::DoneButReportedLost] {
        let mut poisoned = 0;
        for at in 0.. {
            let dir = TempDir::new().unwrap();
            let disk = Arc::new(FailingDisk { at, calls: AtomicUsize::new(0), fault, kind: io::ErrorKind::Other });
            let outcome = work(dir.path(), disk.clone());
            let acknowledged = outcome.as_ref().map_or(0, |(_, acknowledged)| *acknowledged);
            if let Some((log, acknowledged)) = outcome {
                if acknowledged < 6 {
                    poisoned += 1;
                    assert!(!log.is_writable());
                    let failure = log.failure().unwrap();
                    assert!(matches!(&*failure, StoreError::Io { .. }), "{failure}");
                    let refused = log.append(&[record(0)]).wait();
                    assert!(matches!(refused, Err(StoreError::Poisoned { cause }) if Arc::ptr_eq(&cause, &failure)));
                }
                // Reading goes on.
                assert_eq!(log.records(), acknowledged);
                assert_eq!(log.record(0).unwrap(), (acknowledged > 0).then(|| record(0)));
            }
            let (log, report) = Log::open(dir.path(), &options(), None).unwrap();
            assert!(report.records >= acknowledged, "{fault:?} at call {at}: {report:?}");
            let found: Vec<_> = (0..report.records).map(|n| log.record(n).unwrap().unwrap()).collect();
            assert_eq!(found, (0..report.records).map(record).collect::<Vec<_>>());
            append(&log, report.records..report.records + 2);
            // The last round is the one in which nothing failed.
            if disk.calls.load(Ordering::Relaxed) <= at {
                assert_eq!(acknowledged, 6);
                break;
            }
        }
        assert!(poisoned > 10, "{poisoned}");
    }
}

/// Has no space for segments once it is full; the reserve gives room for a checkpoint again.
#[derive(Debug)]
struct FullDisk {
    writes_left: AtomicUsize,
}

impl Disk for FullDisk {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        let left = self.writes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        let reserve_is_held = path.with_file_name("reserve").exists();
        match left {
            Err(_) if path.extension().is_some_and(|extension| extension == "seg") || reserve_is_held => {
                RealDisk.write(path, file, &bytes[..bytes.len() / 2])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => RealDisk.write(path, file, bytes),
        }
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        RealDisk.sync(path, file)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

#[test]
fn full_disk_refuses_records_says_so_and_still_seals_what_is_there() {
    let dir = TempDir::new().unwrap();
    // The segment's header, the reserve, the first checkpoint, three records.
    let disk = Arc::new(FullDisk { writes_left: AtomicUsize::new(6) });
    let full = Options { reserve_bytes: 4096, disk, ..options() };
    let (log, _) = Log::open(dir.path(), &full, None).unwrap();
    append(&log, 0..3);
    assert!(log.is_writable());
    match log.append(&[record(3)]).wait() {
        Err(StoreError::Poisoned { cause }) => assert!(cause.to_string().contains("disk is full"), "{cause}"),
        other => panic!("{other:?}"),
    }
    assert!(!log.is_writable());
    drop(log);
    assert!(!dir.path().join("reserve").exists());
    assert_eq!(LogReader::open(dir.path()).unwrap().checkpoint().unwrap().unwrap().size, 3);
    // With space again the log goes on, and there is a reserve again.
    let (log, report) = Log::open(dir.path(), &Options { reserve_bytes: 4096, ..options() }, None).unwrap();
    assert_eq!((report.records, report.truncated_bytes), (3, 0));
    assert_eq!(fs::metadata(dir.path().join("reserve")).unwrap().len(), 4096);
    append(&log, 3..5);
}

/// Counts syncs of segments, and holds them back until it is opened.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    entered: Condvar,
    syncs: Mutex<usize>,
    fails: bool,
}

impl Gate {
    fn wait_for_sync(&self) {
        drop(self.entered.wait_while(self.syncs.lock().unwrap(), |syncs| *syncs == 0).unwrap());
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Disk for Gate {
    fn write(&self, path: &Path, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        RealDisk.write(path, file, bytes)
    }

    fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        if path.extension().is_none_or(|extension| extension != "seg") {
            return RealDisk.sync(path, file);
        }
        *self.syncs.lock().unwrap() += 1;
        self.entered.notify_all();
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
        if self.fails { Err(io::ErrorKind::Other.into()) } else { RealDisk.sync(path, file) }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)
    }
}

#[test]
fn nobody_is_answered_before_the_sync_and_waiters_share_one() {
    let dir = TempDir::new().unwrap();
    let gate = Arc::new(Gate::default());
    let (log, _) = Log::open(dir.path(), &Options { disk: gate.clone(), ..options() }, None).unwrap();
    let mut waiting = vec![log.append(&[record(0)])];
    gate.wait_for_sync();
    waiting.extend((1..400).map(|n| log.append(&[record(n)])));
    for waiter in &mut waiting {
        let polled = std::pin::Pin::new(waiter).poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    // Written, not synced: no reader of the log may see it.
    assert_eq!((log.records(), log.record(0).unwrap()), (0, None));
    gate.open();
    for (n, waiter) in (0..).zip(waiting) {
        assert_eq!(waiter.wait().unwrap(), [n]);
    }
    // One for the first, one for the next 256, one for the rest.
    assert_eq!(*gate.syncs.lock().unwrap(), 3);
}

#[test]
fn failed_sync_refuses_every_waiter() {
    let dir = TempDir::new().unwrap();
    let gate = Arc::new(Gate { fails: true, ..Gate::default() });
    let (log, _) = Log::open(dir.path(), &Options { disk: gate.clone(), ..options() }, None).unwrap();
    let mut waiting = vec![log.append(&[record(0)])];
    gate.wait_for_sync();
    waiting.extend((1..400).map(|n| log.append(&[record(n)])));
    gate.open();
    for waiter in waiting {
        assert!(matches!(block_on(waiter), Err(StoreError::Poisoned { .. })));
    }
    assert_eq!((*gate.syncs.lock().unwrap(), log.records()), (1, 0));
}

#[test]
fn queue_is_bounded() {
    let dir = TempDir::new().unwrap();
    let gate = Arc::new(Gate::default());
    let (log, _) = Log::open(dir.path(), &Options { disk: gate.clone(), ..options() }, None).unwrap();
    let first = log.append(&[record(0)]);
    gate.wait_for_sync();
    let mut waiting: Vec<_> = (1..2000).map(|n| log.append(&[record(n)])).collect();
    let late = waiting.pop().unwrap();
    assert!(matches!(late.wait(), Err(StoreError::Overloaded)));
    gate.open();
    assert_eq!(first.wait().unwrap(), [0]);
    let written = waiting.into_iter().filter_map(|waiter| waiter.wait().ok()).count();
    assert_eq!((written, log.records()), (1024, 1025));
    append(&log, 1025..1026);
}
