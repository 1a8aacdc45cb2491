//! `cargo xtask mutants`: changes the code in every way that cargo-mutants knows and sees whether a test notices.
//!
//! All mutants of a crate are built at once, each behind a switch ([`mod@switch`]), in a copy of the checkout. Every test
//! runs once to say which places it comes by; then each mutant is turned on for the tests that come by it, the quickest
//! first. What no test notices is printed and stands in `outcomes.jsonl`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{command, tree};

mod switch;
mod trial;

use switch::{Mutant, Piece, switch};
use trial::{Outcome, Suite};

/// Which mutants, and how long for each.
#[derive(Args)]
pub(crate) struct Options {
    /// Crates to change.
    #[arg(long = "package", default_values = ["attestry-core", "attestry-policy", "attestry-oci"])]
    packages: Vec<String>,
    /// Only mutants whose name contains this, such as a file's path.
    #[arg(long)]
    only: Vec<String>,
    /// Seconds of integration tests for a mutant that the crate's own tests do not notice.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Mutants at a time. Tests that wait leave the processor to others.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// Go on where the last run ended: the copy, the build and the outcomes are kept.
    #[arg(long)]
    resume: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(command::is_installed("cargo-mutants"), "cargo-mutants is missing (hint: cargo install cargo-mutants)");
    let (campaign, mut not_tried) = Campaign::new(options)?;
    if !options.resume {
        campaign.copy()?;
        campaign.settle(&mut not_tried)?;
        campaign.build()?;
        campaign.record()?;
        campaign.leave_out_failing()?;
    }
    let suite = Suite::read(&campaign.tree(), &campaign.folder)?;
    campaign.try_all(&suite, &not_tried, options)
}

/// Mutants by number that there are no trials of.
#[derive(Default, Serialize, Deserialize)]
struct NotTried {
    unviable: BTreeSet<u32>,
    left_out: BTreeSet<u32>,
}

impl NotTried {
    fn outcome(&self, number: u32) -> Option<Outcome> {
        match (self.unviable.contains(&number), self.left_out.contains(&number)) {
            (true, _) => Some(Outcome::Unviable),
            (_, true) => Some(Outcome::LeftOut),
            _ => None,
        }
    }
}

const HOOK: &str = "mutants_hook.rs";
const NOT_TRIED: &str = "not_tried.json";

/// One copy of the checkout and the mutants in it.
struct Campaign {
    folder: PathBuf,
    mutants: Vec<Mutant>,
    packages: Vec<String>,
}

impl Campaign {
    /// The mutants, and which of them are known not to be tried: those of the last run if it had the same mutants.
    fn new(options: &Options) -> Result<(Self, NotTried)> {
        let folder = command::root().join("target/mutants");
        fs::create_dir_all(&folder)?;
        let (kept, not_tried) = (folder.join("mutants.json"), folder.join(NOT_TRIED));
        let last = fs::read_to_string(&kept).unwrap_or_default();
        let list = match options.resume {
            true => last.clone(),
            false => {
                let mut list = command::cargo(["mutants", "--list", "--json", "--colors", "never"]);
                list.args(options.packages.iter().flat_map(|package| ["--package", package]));
                command::output(&mut list)?
            }
        };
        if list != last && not_tried.exists() {
            fs::remove_file(&not_tried)?;
        }
        fs::write(&kept, &list)?;
        let not_tried = match fs::read(&not_tried) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(_) => NotTried::default(),
        };
        let mutants: Vec<Mutant> = serde_json::from_str(&list).context("a list of mutants")?;
        Ok((Self { folder, mutants, packages: options.packages.clone() }, not_tried))
    }

    fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, &Mutant)> {
        (1..).zip(&self.mutants)
    }

    /// The checkout as Git sees it. What has not changed keeps its time, so that little is built again.
    fn copy(&self) -> Result<()> {
        // What is switched is written below.
        let libs = self.packages.iter().map(|package| format!("crates/{package}/src/lib.rs"));
        let switched: BTreeSet<String> = self.mutants.iter().map(|mutant| mutant.file.clone()).chain(libs).collect();
        let listed = tree::listed()?;
        for path in listed.difference(&switched) {
            let (from, to) = (command::root().join(path), self.tree().join(path));
            if from.is_file() {
                write_if_other(&to, &fs::read(&from)?)?;
                fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
            }
        }
        // A test that is gone must not notice anything.
        for folder in ["crates", "tests"] {
            remove_others(&self.tree(), Path::new(folder), &listed)?;
        }
        Ok(())
    }

    /// Writes the switched sources and leaves out what does not compile, until all of it does.
    fn settle(&self, not_tried: &mut NotTried) -> Result<()> {
        loop {
            let places = self.write_sources(not_tried)?;
            let before = not_tried.unviable.len();
            let complaints = self.complaints()?;
            if complaints.is_empty() {
                break;
            }
            for (file, bytes, text) in complaints {
                let blamed = blamed(places.get(&file).map_or(&[], Vec::as_slice), &bytes);
                ensure!(!blamed.is_empty(), "{file} does not compile, and no mutant is to blame: {text}");
                not_tried.unviable.extend(blamed);
            }
            println!("{} of {} mutants do not compile", not_tried.unviable.len(), self.mutants.len());
            ensure!(not_tried.unviable.len() > before, "the compiler repeats itself");
        }
        fs::write(self.folder.join(NOT_TRIED), serde_json::to_vec(not_tried)?)?;
        Ok(())
    }

    fn write_sources(&self, not_tried: &mut NotTried) -> Result<BTreeMap<String, Vec<Piece>>> {
        let mut files: BTreeMap<&str, Vec<(u32, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in self.numbered() {
            files.entry(&mutant.file).or_default().push((number, mutant));
        }
        let mut places = BTreeMap::new();
        for (file, mutants) in files {
            let text = fs::read_to_string(command::root().join(file))?;
            let without = |number| not_tried.unviable.contains(&number);
            let switched = switch(&text, &mutants, &without).context(file.to_owned())?;
            not_tried.left_out.extend(switched.left_out);
            write_if_other(&self.tree().join(file), switched.text.as_bytes())?;
            places.insert(file.to_owned(), switched.places);
        }
        for package in &self.packages {
            let source = Path::new("crates").join(package).join("src");
            let root = fs::read_to_string(command::root().join(&source).join("lib.rs"))?;
            write_if_other(&self.tree().join(&source).join(HOOK), include_bytes!("mutants/hook.rs"))?;
            let lib = source.join("lib.rs");
            let text = match places.contains_key(&lib.to_string_lossy().into_owned()) {
                true => fs::read_to_string(self.tree().join(&lib))?,
                false => root,
            };
            write_if_other(&self.tree().join(&lib), format!("{text}\nmod mutants_hook;\n").as_bytes())?;
        }
        Ok(places)
    }

    /// What the compiler refuses: file, bytes, and what it says.
    fn complaints(&self) -> Result<Vec<(String, std::ops::Range<usize>, String)>> {
        let mut check = self.cargo(["check", "--locked", "--message-format", "json", "--keep-going", "--lib"]);
        check.args(self.packages.iter().flat_map(|package| ["--package", package]));
        let output = check.stderr(std::process::Stdio::null()).output().context("cargo check")?;
        let mut found = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
            let message = &message["message"];
            if message["level"] != "error" {
                continue;
            }
            let text = message["rendered"].as_str().unwrap_or_default().to_owned();
            for mut span in message["spans"].as_array().into_iter().flatten().filter(|span| span["is_primary"] == true)
            {
                // What a macro of another crate wrote is to blame where the macro was called.
                while let Some(outer) = span["expansion"].get("span") {
                    span = outer;
                }
                let at = |name: &str| span[name].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
                let file = span["file_name"].as_str().unwrap_or_default().to_owned();
                found.push((file, at("byte_start")..at("byte_end"), text.clone()));
            }
        }
        ensure!(output.status.success() == found.is_empty(), "cargo check failed and named no place");
        Ok(found)
    }

    fn build(&self) -> Result<()> {
        command::run(&mut self.cargo(["build", "--locked", "--package", "attestry"]))?;
        command::run(&mut self.cargo(["nextest", "run", "--locked", "--workspace", "--no-run"]))
    }

    /// Runs every test once, without a mutant, and keeps what it comes by and how long it takes.
    fn record(&self) -> Result<()> {
        let reached = self.folder.join("reached");
        if reached.exists() {
            fs::remove_dir_all(&reached)?;
        }
        fs::create_dir_all(&reached)?;
        let mut run = self.cargo(["nextest", "run", "--locked", "--workspace", "--no-fail-fast", "--profile", "ci"]);
        run.args(["--message-format", "libtest-json-plus"]).env("NEXTEST_EXPERIMENTAL_LIBTEST_JSON", "1");
        run.env("ATTESTRY_MUTANTS_REACHED", &reached);
        let output = run.stderr(std::process::Stdio::inherit()).output()?;
        fs::write(self.folder.join("tests.jsonl"), &output.stdout)?;
        Ok(())
    }

    fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> std::process::Command {
        let mut cargo = command::cargo(arguments);
        cargo.current_dir(self.tree()).env("CARGO_TARGET_DIR", self.folder.join("target"));
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env_remove("ATTESTRY_MUTANT");
        cargo
    }

    fn try_all(&self, suite: &Suite, not_tried: &NotTried, options: &Options) -> Result<()> {
        let place = self.folder.join("outcomes.jsonl");
        let mut done: BTreeSet<String> = BTreeSet::new();
        if options.resume {
            let old = fs::read_to_string(&place).unwrap_or_default();
            done.extend(old.lines().filter_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                line["name"].as_str().map(str::to_owned)
            }));
        } else {
            fs::write(&place, "")?;
        }
        let wanted = |mutant: &Mutant| options.only.is_empty() || options.only.iter().any(|o| mutant.name.contains(o));
        let todo: Vec<(u32, &Mutant)> =
            self.numbered().filter(|(_, mutant)| wanted(mutant) && !done.contains(&mutant.name)).collect();
        trial::try_each(suite, &todo, not_tried, (options.jobs, options.seconds), &place)?;
        // Of all that were ever tried, also before a resumption.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for line in fs::read_to_string(&place)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            *counts.entry(line["outcome"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let summary: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        println!("{} mutants: {}", counts.values().sum::<usize>(), summary.join(", "));
        let unnoticed = [Outcome::Missed, Outcome::Unreached].map(|o| counts.get(&o.to_string()).copied().unwrap_or(0));
        let unnoticed: usize = unnoticed.iter().sum();
        ensure!(unnoticed == 0, "no test notices {unnoticed} of them (hint: they are listed in {})", place.display());
        Ok(())
    }

    /// Tests that fail as trials run them would notice every mutant.
    fn leave_out_failing(&self) -> Result<()> {
        let failing = Suite::read(&self.tree(), &self.folder)?.failing()?;
        let place = self.folder.join("tests.jsonl");
        let lines = fs::read_to_string(&place)?;
        let fails = |line: &&str| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|line| line["name"].as_str().is_some_and(|name| failing.contains(name)))
        };
        let kept: Vec<&str> = lines.lines().filter(|line| !fails(line)).collect();
        failing.iter().for_each(|name| println!("{name} fails as trials run it and is left out"));
        fs::write(&place, kept.join("\n"))?;
        Ok(())
    }
}

/// The mutants whose own text the compiler points at, or those around it, or else those whose switch is the last to begin
/// before it.
fn blamed(places: &[Piece], bytes: &std::ops::Range<usize>) -> Vec<u32> {
    let inside = places.iter().filter(|(place, _)| place.start < bytes.end && bytes.start < place.end);
    let before = places.iter().filter(|(place, _)| place.start <= bytes.start).max_by_key(|(place, _)| place.start);
    let few = inside.clone().map(|(_, mutants)| mutants.len()).min();
    match few {
        Some(few) => inside.filter(|(_, mutants)| mutants.len() == few).flat_map(|(_, all)| all).copied().collect(),
        None => before.map(|(_, mutants)| mutants.clone()).unwrap_or_default(),
    }
}

/// Removes the Rust files of a folder that are not among `listed`.
fn remove_others(tree: &Path, folder: &Path, listed: &BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(tree.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(tree, &path, listed)?;
        } else if path.extension().is_some_and(|end| end == "rs")
            && !path.ends_with(HOOK)
            && !listed.contains(&*path.to_string_lossy())
        {
            fs::remove_file(tree.join(&path))?;
        }
    }
    Ok(())
}

fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a path in the copy")?)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
