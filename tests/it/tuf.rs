//! Trusted roots over TUF: the command against a repository of our own, honest and not.

use std::{
    fs,
    process::Output,
    time::{Duration, Instant},
};

use attestry_core::Timestamp;
use attestry_testkit::{
    authorities::{Instance, TufFault, TufRepository, TufServer},
    clock,
};
use jiff::SignedDuration;
use tempfile::TempDir;

use crate::{attestry, peers};

/// A repository, and a home in which it is followed.
struct Stage {
    repository: TufRepository,
    server: TufServer,
    home: TempDir,
}

impl Stage {
    fn new() -> Self {
        let repository = TufRepository::new(trusted_root());
        let (server, home) = (TufServer::start(&repository), tempfile::tempdir().unwrap());
        fs::write(home.path().join("root.json"), repository.first_root()).unwrap();
        Self { repository, server, home }
    }

    /// What the command says, on both channels together.
    #[track_caller]
    fn update(&self, code: i32) -> String {
        let output = peers::expect(code, &format!("{:?}", self.repository.fault), self.try_update());
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn try_update(&self) -> Output {
        self.server.publish(&self.repository);
        let words = ["trust-root", "update", "trusted_root.json", "--tuf-root", "root.json", "--tuf-url"];
        attestry::attestry(self.home.path()).args(words).arg(self.server.url()).output().unwrap()
    }

    fn file(&self) -> Vec<u8> {
        fs::read(self.home.path().join("trusted_root.json")).unwrap_or_default()
    }

    /// Refused for this reason, and the file stays what it was.
    #[track_caller]
    fn refused(&self, code: i32, why: &str) {
        let before = self.file();
        let said = self.update(code);
        assert!(said.contains(why) && said.contains("is unchanged"), "{:?}: {said}", self.repository.fault);
        assert_eq!(self.file(), before, "{:?}", self.repository.fault);
    }
}

fn trusted_root() -> Vec<u8> {
    Instance::start(clock::now).trusted_root().to_string().into_bytes()
}

#[test]
fn a_trusted_root_is_followed_through_new_versions_and_new_keys() {
    let mut stage = Stage::new();
    assert!(stage.update(0).starts_with("updated trusted_root.json (sha256:"));
    assert_eq!(stage.file(), stage.repository.trusted_root);
    assert!(stage.update(0).starts_with("unchanged "));
    let (first, second) = (stage.repository.trusted_root.clone(), trusted_root());
    assert_ne!(first, second);
    stage.repository = TufRepository { trusted_root: second.clone(), versions: [3, 2, 2], ..stage.repository };
    let said = stage.update(0);
    assert!(said.contains("vouched for until 2040-01-01T00:00:00Z"), "{said}");
    assert_eq!(stage.file(), second);
    // What is vouched for and of no use to us changes nothing either.
    stage.repository = TufRepository { trusted_root: b"{}".to_vec(), versions: [3, 3, 3], ..stage.repository };
    stage.refused(4, "of no use");
}

#[test]
fn attack_18_rollback() {
    let mut stage = Stage::new();
    stage.repository.versions = [2, 5, 5];
    stage.update(0);
    for versions in [[2, 4, 5], [2, 5, 4], [2, 6, 4]] {
        stage.repository.versions = versions;
        // The same version of the timestamp is no news, whatever it says.
        if versions[1] == 5 {
            stage.update(0);
        } else {
            stage.refused(4, "rollback");
        }
    }
    // The root's version too: an old mirror has no second one, and what it has is signed with keys that were changed.
    stage.repository.versions = [1, 6, 6];
    stage.refused(4, "threshold");
}

/// What was seen is remembered, and where that memory is of no use nothing is taken.
#[test]
fn attack_18_rollback_behind_a_lost_memory() {
    let mut stage = Stage::new();
    assert!(!stage.update(0).contains("nothing was remembered"), "there was no file either");
    stage.repository.versions = [1, 5, 5];
    stage.update(0);
    stage.repository.versions = [1, 4, 4];
    let cache = stage.home.path().join(".cache/attestry/tuf");
    let folder = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let remembered = fs::read(folder.join("timestamp.json")).unwrap();
    for damage in ["", "{", r#"{"signed":{"_type":"root"}}"#] {
        fs::write(folder.join("timestamp.json"), damage).unwrap();
        stage.refused(4, "timestamp.json is damaged");
        assert_eq!(fs::read_to_string(folder.join("timestamp.json")).unwrap(), damage, "nothing was written over it");
    }
    fs::remove_file(folder.join("timestamp.json")).unwrap();
    fs::create_dir(folder.join("timestamp.json")).unwrap();
    stage.refused(4, "the TUF cache");
    fs::remove_dir(folder.join("timestamp.json")).unwrap();
    fs::write(folder.join("timestamp.json"), remembered).unwrap();
    stage.refused(4, "rollback");
    // Another repository has a memory of its own, in the same folder.
    let other = TufRepository::new(trusted_root());
    let server = TufServer::start(&other);
    fs::write(stage.home.path().join("root.json"), other.first_root()).unwrap();
    let words = ["trust-root", "update", "other.json", "--tuf-root", "root.json", "--tuf-url", server.url()];
    attestry::run(stage.home.path(), 0, &words);
    stage.refused(4, "rollback");
    // Without any memory it passes, and that is said.
    fs::remove_dir_all(&cache).unwrap();
    assert!(stage.update(0).contains("nothing was remembered"));
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "no folder").unwrap();
    stage.refused(4, "the TUF cache");
}

/// Of two that follow one repository the second waits until the first has written: it could put back what is older.
#[test]
fn attack_18_two_that_follow_one_repository_take_turns() {
    let mut stage = Stage::new();
    stage.update(0);
    let cache = stage.home.path().join(".cache/attestry/tuf");
    let folder = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    let lock = fs::File::options().append(true).open(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    stage.repository.versions = [1, 2, 2];
    stage.server.publish(&stage.repository);
    let words = ["trust-root", "update", "trusted_root.json", "--tuf-root", "root.json", "--tuf-url"];
    let mut waiting = attestry::attestry(stage.home.path()).args(words).arg(stage.server.url()).spawn().unwrap();
    let asked = fs::read(folder.join("timestamp.json")).unwrap();
    // The kernel lists who waits for a lock: `1: -> FLOCK ADVISORY WRITE <pid> …`.
    let pid = waiting.id().to_string();
    let waits = |line: &str| line.contains("->") && line.split_whitespace().any(|word| word == pid);
    let start = Instant::now();
    while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
        assert!(waiting.try_wait().unwrap().is_none(), "it did not wait");
        assert!(start.elapsed() < Duration::from_secs(30), "it neither waits nor ends");
    }
    assert_eq!(fs::read(folder.join("timestamp.json")).unwrap(), asked, "it wrote without its turn");
    drop(lock);
    assert!(waiting.wait().unwrap().success());
    assert_ne!(fs::read(folder.join("timestamp.json")).unwrap(), asked);
}

#[test]
fn attack_18_freeze() {
    let mut stage = Stage::new();
    stage.update(0);
    stage.repository.timestamp_ends = clock::at("2026-01-01T00:00:00Z");
    stage.repository.versions = [1, 2, 2];
    stage.refused(3, "trust-root-stale");
    // The same metadata as ever, until they end.
    stage.repository.timestamp_ends = Timestamp::now() + SignedDuration::from_secs(3);
    stage.repository.versions = [1, 3, 3];
    stage.update(0);
    let start = Instant::now();
    while stage.try_update().status.success() {
        assert!(start.elapsed() < Duration::from_secs(30), "held back for ever");
    }
    stage.refused(3, "trust-root-stale");
}

#[test]
fn attack_18_what_the_keys_do_not_vouch_for() {
    for (fault, versions, why) in [
        (TufFault::RootByStranger, [2, 2, 2], "threshold"),
        (TufFault::ByStranger("timestamp"), [1, 2, 2], "threshold"),
        (TufFault::ByStranger("snapshot"), [1, 2, 2], "threshold"),
        (TufFault::ByStranger("targets"), [1, 2, 2], "threshold"),
        (TufFault::ThresholdZero("timestamp"), [2, 2, 2], "threshold 0"),
        (TufFault::ThresholdZero("targets"), [2, 2, 2], "threshold 0"),
        (TufFault::DelegationByStranger, [1, 2, 2], "threshold"),
        (TufFault::DelegationOfOtherPaths, [1, 2, 2], "not listed"),
        (TufFault::HashIsPath, [1, 2, 2], "no name of a file"),
        (TufFault::OtherTarget, [1, 2, 2], "mismatch"),
        (TufFault::Endless, [1, 2, 2], "larger than"),
    ] {
        let mut stage = Stage::new();
        stage.update(0);
        stage.repository =
            TufRepository { fault: Some(fault), versions, trusted_root: trusted_root(), ..stage.repository.clone() };
        stage.refused(4, why);
        // The next versions mend it; a root that a stranger signed never was one.
        let next = if fault == TufFault::RootByStranger { 2 } else { versions[0] + 1 };
        stage.repository = TufRepository { fault: None, versions: [next, 3, 3], ..stage.repository };
        stage.update(0);
        assert_eq!(stage.file(), stage.repository.trusted_root, "{fault:?}");
    }
}

#[test]
fn a_repository_that_cannot_be_reached_is_no_verdict() {
    let stage = Stage::new();
    stage.update(0);
    let Stage { server, home, .. } = stage;
    let url = server.url().to_owned();
    drop(server);
    let words = ["trust-root", "update", "trusted_root.json", "--tuf-root", "root.json", "--tuf-url", &url];
    attestry::run(home.path(), 3, &words);
    attestry::run(home.path(), 2, &["trust-root", "update", "f", "--tuf-url", "https://tuf.example"]);
    for url in ["ftp://a", "https://:secret@a", "https://a/?b", "https://a/#b"] {
        attestry::run(home.path(), 2, &["trust-root", "update", "f", "--tuf-root", "root.json", "--tuf-url", url]);
    }
}

/// Mistakes are the user's, and nobody is accused of forgery.
#[test]
fn a_wrong_url_and_a_wrong_root_are_told_as_that() {
    let stage = Stage::new();
    let url = format!("{}/elsewhere", stage.server.url());
    let words = ["trust-root", "update", "trusted_root.json", "--tuf-root", "root.json", "--tuf-url"];
    let output = attestry::attestry(stage.home.path()).args(words).arg(url).output().unwrap();
    let output = peers::expect(3, "another path", output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("timestamp.json not found") && said.contains("is --tuf-url right?"), "{said}");
    fs::write(stage.home.path().join("root.json"), "{}").unwrap();
    stage.refused(2, "the TUF root cannot be used");
}
