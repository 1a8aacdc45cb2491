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

use super::Mutant;
use crate::command;

/// Whether a test noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Caught,
    /// The tests did not come to an end.
    TimedOut,
    Missed,
    /// No test comes by it.
    Unreached,
    /// It does not compile, or has no form behind a switch.
    Unviable,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caught => "caught",
            Self::TimedOut => "timed out",
            Self::Missed => "missed",
            Self::Unreached => "unreached",
            Self::Unviable => "unviable",
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
            let reached = fs::read_to_string(folder.join("reached").join(format!("{binary}${name}")));
            let reached = reached.unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect();
            let time = Duration::from_secs_f64(line["exec_time"].as_f64().unwrap_or(1.0));
            tests.push(Test { binary, name: name.to_owned(), time, reached });
        }
        tests.sort_by_key(|test| test.time);
        Ok(Self { binaries, tests })
    }

    /// Leaves out what fails without a mutant when it is run as trials run it: with others in one process, in less memory.
    pub(crate) fn settle(&mut self) -> Result<()> {
        let mut failing = BTreeSet::new();
        for (id, binary) in &self.binaries {
            let tests: Vec<&Test> = self.tests.iter().filter(|test| test.binary == *id).collect();
            if binary.own && self.noticed(NONE, &tests)?.is_none() {
                continue;
            }
            for test in tests {
                if self.noticed(NONE, &[test])?.is_some() {
                    failing.insert((test.binary.clone(), test.name.clone()));
                }
            }
        }
        self.tests.retain(|test| {
            let fails = failing.contains(&(test.binary.clone(), test.name.clone()));
            if fails {
                println!("{} {} fails as trials run it and is left out", test.binary, test.name);
            }
            !fails
        });
        Ok(())
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
        let (few, many) = own.split_at(own.len().min(16));
        for tests in [few, many] {
            if let Some(noticed) = self.noticed(number, tests)? {
                return Ok(noticed);
            }
        }
        let started = Instant::now();
        for (at, test) in others.iter().enumerate() {
            if started.elapsed() > Duration::from_secs(seconds) {
                return Ok((Outcome::Missed, format!("{} of {} tests ran", own.len() + at, reaching.len())));
            }
            if let Some(noticed) = self.noticed(number, &[test])? {
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
            Some(true) => None,
            Some(false) => Some((Outcome::Caught, label())),
            None => Some((Outcome::TimedOut, label())),
        })
    }
}

/// The number of no mutant.
const NONE: u32 = 0;
const MEMORY_KIB: u64 = 6 << 20;
const PATIENCE: Duration = Duration::from_secs(15);

/// Whether it ended well; none if it had to be ended, with all that it started.
fn ended(mut child: Child, limit: Duration) -> Result<Option<bool>> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
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
    unviable: &BTreeSet<u32>,
    (jobs, seconds): (usize, u64),
    outcomes: &Path,
) -> Result<BTreeMap<Outcome, usize>> {
    let file = OpenOptions::new().append(true).create(true).open(outcomes)?;
    let state = Mutex::new((file, BTreeMap::new()));
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let worker = || -> Result<()> {
            while let Some((number, mutant)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = Instant::now();
                let (outcome, by) = match unviable.contains(number) {
                    true => (Outcome::Unviable, String::new()),
                    false => suite.try_one(*number, mutant, seconds)?,
                };
                let took = (started.elapsed().as_secs_f64() * 10.0).round() / 10.0;
                let line = json!({"name": mutant.name, "outcome": outcome.to_string(), "by": by, "seconds": took});
                let mut state = state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                writeln!(state.0, "{line}")?;
                *state.1.entry(outcome).or_default() += 1;
                if matches!(outcome, Outcome::Missed | Outcome::Unreached) {
                    println!("{outcome}: {} ({by})", mutant.name);
                }
            }
            Ok(())
        };
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(state.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).1)
}
