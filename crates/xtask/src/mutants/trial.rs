//! One mutant and the tests that come by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Mutant, NotTried};
use crate::command;

/// The number of no mutant.
const NONE: u32 = 0;
/// How many of a crate's own tests are tried first: most mutants are noticed by these.
const FEW: usize = 16;
/// What a mutant may take, so that one that asks for all the memory does not end the others. Tests need less than one.
const MEMORY_KIB: u64 = 6 << 20;
/// What tests may take longer than three times as long as usual, with others beside them.
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether a test noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Caught,
    /// The tests did not come to an end by themselves: in time, in memory, without a signal.
    Ended,
    Missed,
    /// No test comes by it.
    Unreached,
    /// It does not compile.
    Unviable,
    /// It has no form behind a switch, and was not tried.
    LeftOut,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caught => "caught",
            Self::Ended => "ended",
            Self::Missed => "missed",
            Self::Unreached => "unreached",
            Self::Unviable => "unviable",
            Self::LeftOut => "left out",
        })
    }
}

/// The tests that pass without a mutant.
pub(crate) struct Suite {
    binaries: BTreeMap<String, Binary>,
    tests: Vec<Test>,
}

struct Binary {
    path: PathBuf,
    folder: PathBuf,
    package: String,
    /// Unit tests, which may share a process.
    own: bool,
}

struct Test {
    binary: String,
    name: String,
    /// Both, as nextest's messages have it.
    named: String,
    time: Duration,
    /// The mutants that it comes by.
    reached: BTreeSet<u32>,
}

impl Suite {
    pub(crate) fn read(tree: &Path, folder: &Path) -> Result<Self> {
        let mut list = command::cargo(["nextest", "list", "--locked", "--workspace", "--message-format", "json"]);
        list.current_dir(tree).env("CARGO_TARGET_DIR", folder.join("target")).env("CARGO_PROFILE_DEV_DEBUG", "0");
        let list: Value = serde_json::from_str(&command::output(&mut list)?)?;
        let (mut binaries, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for (id, suite) in list["rust-suites"].as_object().context("a list of tests")? {
            let text = |name: &str| suite[name].as_str().unwrap_or_default().to_owned();
            let (path, folder) = (text("binary-path").into(), text("cwd").into());
            let (package, own) = (text("package-name"), text("kind") != "test");
            ids.insert(format!("{package}::{}", text("binary-name")), id.clone());
            binaries.insert(id.clone(), Binary { path, folder, package, own });
        }
        let mut tests = Vec::new();
        for line in fs::read_to_string(folder.join("tests.jsonl"))?.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            if line["type"] != "test" || line["event"] == "started" {
                continue;
            }
            let named = line["name"].as_str().context("a test's name")?;
            let (binary, name) = named.split_once('$').context("binary and test")?;
            let binary = ids.get(binary).cloned().with_context(|| format!("no test binary for {named}"))?;
            if line["event"] != "ok" {
                println!("{named} fails without a mutant and is left out");
                continue;
            }
            let reached = fs::read_to_string(folder.join("reached").join(format!("{binary}${name}").replace('/', "|")));
            let reached = reached.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
            let time = Duration::from_secs_f64(line["exec_time"].as_f64().unwrap_or(1.0));
            let (name, named) = (name.to_owned(), named.to_owned());
            tests.push(Test { binary, name, named, time, reached });
        }
        tests.sort_by_key(|test| test.time);
        Ok(Self { binaries, tests })
    }

    /// What fails without a mutant when it is run as trials run it: with others in one process, in less memory.
    pub(crate) fn failing(&self) -> Result<BTreeSet<String>> {
        let mut failing = BTreeSet::new();
        for (id, binary) in &self.binaries {
            let tests: Vec<&Test> = self.tests.iter().filter(|test| test.binary == *id).collect();
            if binary.own && self.noticed(NONE, &tests)?.is_none() {
                continue;
            }
            for test in tests {
                if self.noticed(NONE, &[test])?.is_some() {
                    failing.insert(test.named.clone());
                }
            }
        }
        Ok(failing)
    }

    /// The crate's own tests share a process, a few at first; the others run one by one as long as there is time.
    fn try_one(&self, number: u32, mutant: &Mutant, seconds: u64) -> Result<(Outcome, String)> {
        let reaching: Vec<&Test> = self.tests.iter().filter(|test| test.reached.contains(&number)).collect();
        if reaching.is_empty() {
            return Ok((Outcome::Unreached, String::new()));
        }
        let (own, others): (Vec<&Test>, Vec<&Test>) = reaching.iter().partition(|test| {
            let binary = &self.binaries[&test.binary];
            binary.own && binary.package == mutant.package
        });
        let mut by_binary: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
        for test in &own {
            by_binary.entry(&test.binary).or_default().push(test);
        }
        for tests in by_binary.values() {
            let (few, many) = tests.split_at(tests.len().min(FEW));
            for tests in [few, many] {
                if let Some(noticed) = self.noticed(number, tests)? {
                    return Ok(noticed);
                }
            }
        }
        let started = Instant::now();
        for (at, test) in others.iter().enumerate() {
            if started.elapsed() > Duration::from_secs(seconds) {
                return Ok((Outcome::Missed, format!("{} of {} tests ran", own.len() + at, reaching.len())));
            }
            // A test of real servers can fail for the machine's sake.
            if let Some(noticed) = self.noticed(number, &[test])?
                && self.noticed(NONE, &[test])?.is_none()
            {
                return Ok(noticed);
            }
        }
        Ok((Outcome::Missed, format!("all {} tests ran", reaching.len())))
    }

    /// Runs tests of one binary with the mutant turned on; none if they all pass.
    fn noticed(&self, number: u32, tests: &[&Test]) -> Result<Option<(Outcome, String)>> {
        let Some(first) = tests.first() else { return Ok(None) };
        let binary = &self.binaries[&first.binary];
        let usual: Duration = tests.iter().map(|test| test.time).sum();
        let mut command = Command::new("sh");
        // A mutant may ask for all the memory that there is.
        command.arg("-c").arg(format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"")).arg(&binary.path);
        command.arg("--exact").args(tests.iter().map(|test| &test.name)).arg("--test-threads=1");
        command.current_dir(&binary.folder).env("ATTESTRY_MUTANT", number.to_string()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.path.display()))?;
        let label = || match tests {
            [one] => one.name.clone(),
            [first, ..] => format!("{} or one of {} more", first.name, tests.len() - 1),
            [] => String::new(),
        };
        Ok(match ended(child, usual * 3 + PATIENCE)? {
            Some(Some(0)) => None,
            Some(Some(_)) => Some((Outcome::Caught, label())),
            Some(None) | None => Some((Outcome::Ended, label())),
        })
    }
}

/// Its exit code, which is absent after a signal; nothing if it had to be ended, with all that it started.
fn ended(mut child: Child, limit: Duration) -> Result<Option<Option<i32>>> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.code()));
        }
        if started.elapsed() > limit {
            let group = format!("-{}", child.id());
            command::run(Command::new("kill").args(["-KILL", "--", &group]))?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Tries each of `mutants`, `jobs` at a time, and writes a line for each.
pub(crate) fn try_each(
    suite: &Suite,
    mutants: &[(u32, &Mutant)],
    not_tried: &NotTried,
    (jobs, seconds): (usize, u64),
    outcomes: &Path,
) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(outcomes)?;
    let file = Mutex::new(file);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || -> Result<()> {
            while let Some((number, mutant)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = Instant::now();
                let (outcome, by) = match not_tried.outcome(*number) {
                    Some(outcome) => (outcome, String::new()),
                    None => suite.try_one(*number, mutant, seconds)?,
                };
                let took = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
                let line = json!({"name": mutant.name, "outcome": outcome.to_string(), "by": by, "seconds": took});
                writeln!(file.lock().unwrap_or_else(std::sync::PoisonError::into_inner), "{line}")?;
                if matches!(outcome, Outcome::Missed | Outcome::Unreached | Outcome::LeftOut) {
                    println!("{outcome}: {} ({by})", mutant.name);
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })
}
