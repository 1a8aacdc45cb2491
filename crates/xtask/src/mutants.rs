//! `cargo xtask mutants`: changes the code in every way that cargo-mutants knows and sees whether a test notices.
//!
//! All mutants of a crate are built at once, each behind a switch ([`switch`]), in a copy of the checkout. Every test
//! runs once to say which places it comes by; then each mutant is turned on for the tests that come by it, the quickest
//! first. What no test notices is printed and stands in `outcomes.jsonl`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::command;

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
    let (campaign, mut unviable) = Campaign::new(options)?;
    if !options.resume {
        campaign.copy()?;
        campaign.settle(&mut unviable)?;
        campaign.build()?;
        campaign.record()?;
    }
    let mut suite = Suite::read(&campaign.tree(), &campaign.folder)?;
    if !options.resume {
        suite.settle()?;
    }
    campaign.try_all(&suite, &unviable, options)
}

/// One copy of the checkout and the mutants in it.
struct Campaign {
    folder: PathBuf,
    mutants: Vec<Mutant>,
    packages: Vec<String>,
}

impl Campaign {
    /// The mutants, and which of them are known not to compile: those of the last run if it had the same ones.
    fn new(options: &Options) -> Result<(Self, BTreeSet<u32>)> {
        let folder = command::root().join("target/mutants");
        fs::create_dir_all(&folder)?;
        let (kept, unviable) = (folder.join("mutants.json"), folder.join("unviable.json"));
        let last = fs::read_to_string(&kept).unwrap_or_default();
        let list = match options.resume {
            true => last.clone(),
            false => {
                let mut list = command::cargo(["mutants", "--list", "--json", "--colors", "never"]);
                list.args(options.packages.iter().flat_map(|package| ["--package", package]));
                command::output(&mut list)?
            }
        };
        let unviable = match fs::read(unviable) {
            Ok(bytes) if list == last => serde_json::from_slice(&bytes)?,
            _ => BTreeSet::new(),
        };
        fs::write(&kept, &list)?;
        let mutants: Vec<Mutant> = serde_json::from_str(&list).context("a list of mutants")?;
        Ok((Self { folder, mutants, packages: options.packages.clone() }, unviable))
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
        let mut list = command::program("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        for path in command::output(&mut list)?.split_terminator('\0').filter(|path| !switched.contains(*path)) {
            let (from, to) = (command::root().join(path), self.tree().join(path));
            if from.is_file() {
                write_if_other(&to, &fs::read(&from)?)?;
                fs::set_permissions(&to, fs::metadata(&from)?.permissions())?;
            }
        }
        Ok(())
    }

    /// Writes the switched sources and leaves out what does not compile, until all of it does.
    fn settle(&self, unviable: &mut BTreeSet<u32>) -> Result<()> {
        loop {
            let places = self.write_sources(unviable)?;
            let before = unviable.len();
            let complaints = self.complaints()?;
            if complaints.is_empty() {
                break;
            }
            for (file, bytes, text) in complaints {
                let blamed = blamed(places.get(&file).map_or(&[], Vec::as_slice), &bytes);
                ensure!(!blamed.is_empty(), "{file} does not compile, and no mutant is to blame: {text}");
                unviable.extend(blamed);
            }
            println!("{} of {} mutants do not compile", unviable.len(), self.mutants.len());
            ensure!(unviable.len() > before, "the compiler repeats itself");
        }
        fs::write(self.folder.join("unviable.json"), serde_json::to_vec(unviable)?)?;
        Ok(())
    }

    fn write_sources(&self, unviable: &mut BTreeSet<u32>) -> Result<BTreeMap<String, Vec<Piece>>> {
        let mut files: BTreeMap<&str, Vec<(u32, &Mutant)>> = BTreeMap::new();
        for (number, mutant) in self.numbered() {
            files.entry(&mutant.file).or_default().push((number, mutant));
        }
        let mut places = BTreeMap::new();
        for (file, mutants) in files {
            let text = fs::read_to_string(command::root().join(file))?;
            let switched = switch(&text, &mutants, &|number| unviable.contains(&number)).context(file.to_owned())?;
            unviable.extend(switched.left_out);
            write_if_other(&self.tree().join(file), switched.text.as_bytes())?;
            places.insert(file.to_owned(), switched.places);
        }
        for package in &self.packages {
            let source = Path::new("crates").join(package).join("src");
            let root = fs::read_to_string(command::root().join(&source).join("lib.rs"))?;
            write_if_other(&self.tree().join(&source).join("mutants_hook.rs"), include_bytes!("mutants/hook.rs"))?;
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

    fn try_all(&self, suite: &Suite, unviable: &BTreeSet<u32>, options: &Options) -> Result<()> {
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
        let counts = trial::try_each(suite, &todo, unviable, (options.jobs, options.seconds), &place)?;
        let summary: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        println!("{} mutants: {}", todo.len(), summary.join(", "));
        let missed =
            counts.get(&Outcome::Missed).copied().unwrap_or(0) + counts.get(&Outcome::Unreached).copied().unwrap_or(0);
        ensure!(missed == 0, "{missed} mutants are noticed by no test (hint: they are listed in {})", place.display());
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

fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::create_dir_all(path.parent().context("a path in the copy")?)?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
