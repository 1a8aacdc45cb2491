//! `cargo xtask ci`: everything that CI runs, no more and no less.
//!
//! The steps stand in [`steps`] in the order in which they run. The first that fails ends the run. At the end stands
//! how long each took, what could not be run on this machine and why, and last the summary of the tests.

mod report;
mod snapshots;
mod steps;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use report::Report;
use steps::{STEPS, Step};

#[derive(Args)]
pub(crate) struct Options {
    /// Fail where a tool that a step needs is not installed, instead of naming the step at the end.
    #[arg(long)]
    require_tools: bool,
    /// Fail tests that do not find the real tools (tests/peers/README.md), instead of naming them at the end.
    #[arg(long)]
    require_peers: bool,
    /// Run these steps alone.
    #[arg(long, value_name = "STEP", value_parser = STEPS.map(|step| step.name))]
    only: Vec<String>,
}

/// What a step has to know of the run.
struct Run {
    require_peers: bool,
    /// Where tests that lack their tools write their names, one a line.
    skipped: tempfile::NamedTempFile,
}

impl Run {
    /// Names of the tests that did not find their tools.
    fn skipped_tests(&self) -> Result<BTreeSet<String>> {
        let names = fs::read_to_string(self.skipped.path()).context("cannot read the names of skipped tests")?;
        Ok(names.lines().map(str::to_owned).collect())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let run = Run {
        require_peers: options.require_peers,
        skipped: tempfile::NamedTempFile::new().context("cannot make a file for the names of skipped tests")?,
    };
    let mut report = Report::default();
    let wanted =
        STEPS.iter().filter(|step| options.only.is_empty() || options.only.iter().any(|only| only == step.name));
    let result = wanted.into_iter().try_for_each(|step| run_step(step, options, &run, &mut report));
    report.print(&run.skipped_tests()?);
    result
}

fn run_step(step: &Step, options: &Options, run: &Run, report: &mut Report) -> Result<()> {
    if let Some(missing) = (step.missing)() {
        ensure!(!options.require_tools, "{}: {missing}", step.name);
        report.skipped(step.name, missing);
        return Ok(());
    }
    eprintln!("== {}", step.name);
    let timer = report.start(step.name);
    let result = (step.run)(run, report);
    report.stop(timer);
    match result {
        Ok(()) => Ok(()),
        Err(error) => bail!("{}: {error:#}", step.name),
    }
}
