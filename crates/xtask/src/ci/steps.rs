//! The steps of CI, in their order.

use std::process::Command;

use anyhow::{Context, Result};

use super::report::Report;
use super::{Run, snapshots};
use crate::command::{self, cargo, is_installed};
use crate::product::Product;
use crate::{cases, docs, manifests, metadata, tidy, vectors};

/// One thing that CI runs.
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Why it cannot be run on this machine.
    pub(super) missing: fn() -> Option<String>,
    pub(super) run: fn(&Run, &mut Report) -> Result<()>,
}

pub(super) const STEPS: [Step; 13] = [
    Step { name: "fmt", missing: nothing, run: |_, _| fmt() },
    Step { name: "tidy", missing: nothing, run: |_, _| tidy::run(&tidy::Options::default()) },
    Step { name: "vectors", missing: nothing, run: |_, _| vectors::run() },
    Step { name: "clippy", missing: nothing, run: |_, _| clippy() },
    Step { name: "test", missing: nothing, run: test },
    Step { name: "doc-test", missing: nothing, run: |_, _| doc_test() },
    Step { name: "policies", missing: nothing, run: |_, _| policies() },
    Step { name: "interop", missing: no_interop, run: interop },
    Step { name: "doc", missing: nothing, run: |_, _| doc() },
    Step { name: "deny", missing: no_cargo_deny, run: |_, _| deny() },
    Step { name: "each-crate", missing: nothing, run: |_, _| each_crate() },
    Step { name: "manifests", missing: manifests::missing, run: |_, _| manifests::run() },
    Step { name: "docs", missing: nothing, run: |_, _| docs::run(&docs::Options { check: true }) },
];

/// The workspace with other people's crates that must read what we write, with a lock file of its own.
const INTEROP: &str = "tests/interop/Cargo.toml";

fn nothing() -> Option<String> {
    None
}

fn fmt() -> Result<()> {
    command::run(&mut cargo(["fmt", "--all", "--check"]))?;
    match no_interop() {
        None => command::run(&mut cargo(["fmt", "--manifest-path", INTEROP, "--check"])),
        Some(_) => Ok(()),
    }
}

fn clippy() -> Result<()> {
    command::run(&mut cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

/// All targets are built first, since the tests start the binary and a test runner alone would not build it.
fn test(run: &Run, report: &mut Report) -> Result<()> {
    command::run(&mut cargo(["build", "--workspace", "--all-targets", "--locked"]))?;
    let snapshots = tempfile::NamedTempFile::new().context("cannot make a file for the names of used snapshots")?;
    let mut command = tests();
    command.args(["--workspace", "--locked"]).env(snapshots::REFERENCES, snapshots.path());
    run_tests(&mut command, run, report)?;
    if run.skipped_tests()?.is_empty() { snapshots::check(snapshots.path()) } else { Ok(()) }
}

fn doc_test() -> Result<()> {
    // The two public crates; the others have no documentation for users to copy from.
    let public = ["--package", "attestry-core", "--package", "attestry-policy"];
    command::run(cargo(["test", "--quiet", "--doc", "--locked"]).args(public))
}

/// The cases of the example policies, as written by this checkout, by the command that users run on their own.
fn policies() -> Result<()> {
    cases::run(&cases::Options { check: true })?;
    print!("{}", Product::default().output(&["policy", "test", "policies"])?);
    Ok(())
}

fn no_interop() -> Option<String> {
    let there = command::root().join(INTEROP).is_file();
    (!there).then(|| format!("{INTEROP} is not there"))
}

fn interop(run: &Run, report: &mut Report) -> Result<()> {
    command::run(&mut cargo([
        "clippy",
        "--manifest-path",
        INTEROP,
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
    let product = Product::default();
    let mut command = tests();
    command.args(["--manifest-path", INTEROP, "--locked"]).env("ATTESTRY_BIN", product.binary()?);
    run_tests(&mut command, run, report)
}

fn doc() -> Result<()> {
    command::run(cargo(["doc", "--no-deps", "--workspace", "--locked"]).env("RUSTDOCFLAGS", "-D warnings"))
}

fn no_cargo_deny() -> Option<String> {
    (!is_installed("cargo-deny")).then(|| "cargo-deny is not installed".to_owned())
}

fn deny() -> Result<()> {
    command::run(&mut cargo(["deny", "--locked", "check", "--hide-inclusion-graph", "licenses", "bans", "sources"]))
}

/// A crate may lean on a feature that only another member turns on: built alone it shows.
fn each_crate() -> Result<()> {
    for package in metadata::members()?.packages {
        command::run(&mut cargo(["check", "--quiet", "--locked", "--package", &package.name]))?;
    }
    Ok(())
}

/// nextest, or cargo's own test runner where it is not installed.
fn tests() -> Command {
    if !has_nextest() {
        return cargo(["test"]);
    }
    // Named, so that the workspace in tests/interop has the same profiles.
    cargo(["nextest", "run", "--config-file", ".config/nextest.toml", "--profile", profile()])
}

fn has_nextest() -> bool {
    is_installed("cargo-nextest")
}

/// Runs tests by the contract of tests/peers/README.md and hands nextest's closing lines to the report.
fn run_tests(command: &mut Command, run: &Run, report: &mut Report) -> Result<()> {
    command.env("ATTESTRY_SKIPPED_FILE", run.skipped.path());
    if run.require_peers {
        command.env("ATTESTRY_REQUIRE_PEERS", "1");
    }
    if !has_nextest() {
        return command::run(command);
    }
    let (summary, result) = command::run_and_keep(command, is_summary);
    report.summary(summary);
    result
}

/// In CI every failure is wanted, not the first alone.
fn profile() -> &'static str {
    if std::env::var_os("CI").is_some() { "ci" } else { "default" }
}

/// nextest's "Summary [  12.3s] 40 tests run: …", which stands in a line of its own.
fn is_summary(line: &str) -> bool {
    line.trim_start().starts_with("Summary [")
}

#[cfg(test)]
mod tests;
