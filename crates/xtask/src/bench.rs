//! `cargo xtask bench`: ratios against peers and ceilings, all in one run, since the machine's own speed drifts.
//!
//! Prints what was measured, the ratio, the bar of the design, and whether it holds. A missed bar is a line, not a
//! failure: a shared machine must not turn a build red. What cannot be measured here is named.

mod bundles;
mod registry;
mod relay;
mod requests;
mod stage;
mod verify;
mod warm;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

pub(crate) use warm::{BareServer, run_bare};

use crate::command;

#[derive(Args)]
pub(crate) struct Options {
    /// Measure these parts only.
    parts: Vec<Part>,
    /// Fewer and shorter runs, to see that everything works.
    #[arg(long)]
    short: bool,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `attestry verify` against `cosign verify`.
    Verify,
    /// Verifying a bundle against the library's call.
    Bundles,
    /// Requests and round trips of `attestry verify` for each layout.
    Requests,
    /// Admission reviews.
    Warm,
}

impl Options {
    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }
}

/// One line of the report.
pub(crate) struct Measured {
    name: String,
    ours: String,
    theirs: String,
    /// Ours divided by theirs.
    ratio: f64,
    bar: Bar,
    notes: Vec<String>,
}

/// What the ratio should be.
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if cfg!(debug_assertions) {
        return as_shipped(options);
    }
    let mut report = Vec::new();
    if options.wants(Part::Bundles) {
        report.extend(bundles::run(options.short)?);
    }
    let mut requests = None;
    if [Part::Verify, Part::Requests, Part::Warm].into_iter().any(|part| options.wants(part)) {
        let stage = stage::Stage::new(options.short)?;
        if options.wants(Part::Verify) {
            report.push(verify::run(&stage)?);
        }
        if options.wants(Part::Requests) {
            requests = Some(requests::run(&stage)?);
        }
        if options.wants(Part::Warm) {
            report.extend(warm::run(&stage)?);
        }
    }
    println!();
    for measured in &report {
        measured.print();
    }
    if let Some(table) = requests {
        print!("{table}");
    }
    Ok(())
}

/// Builds the product and this program as they are shipped, and measures with those: a slow load generator, or a slow
/// server to compare with, would flatter us.
fn as_shipped(options: &Options) -> Result<()> {
    eprintln!("building with --profile dist");
    command::run(&mut command::cargo([
        "build",
        "--quiet",
        "--profile",
        "dist",
        "--locked",
        "-p",
        "attestry",
        "-p",
        "xtask",
    ]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
    let mut bench = command::program(target.join("dist/xtask"));
    bench.arg("bench").args(options.parts.iter().filter_map(Part::to_possible_value).map(|p| p.get_name().to_owned()));
    if options.short {
        bench.arg("--short");
    }
    command::run(&mut bench)
}

impl Measured {
    fn print(&self) {
        let (holds, bar) = match self.bar {
            Bar::AtMost(bar) => (self.ratio <= bar, format!("at most {bar}")),
            Bar::AtLeast(bar) => (self.ratio >= bar, format!("at least {bar}")),
        };
        println!("{}", self.name);
        println!("  ours    {}", self.ours);
        println!("  theirs  {}", self.theirs);
        println!("  ratio   {:.3}, the bar is {bar}: {}", self.ratio, if holds { "holds" } else { "MISSED" });
        for note in &self.notes {
            println!("  {note}");
        }
    }
}

/// The median of some figures.
pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
