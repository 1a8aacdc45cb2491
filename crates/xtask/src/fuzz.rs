//! `cargo xtask fuzz`: the fuzz targets in `fuzz/`, one after the other, for a bounded time each.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::command;

/// Which targets, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// One target, such as bundle; all without it.
    target: Option<String>,
    /// Seconds per target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// What cargo-fuzz takes: none, address. Stable toolchains come without some sanitizers.
    #[arg(long, default_value = "none")]
    sanitizer: String,
}

/// No parser of ours needs more for one input.
const MEMORY_MIB: u32 = 1024;
const SECONDS_PER_INPUT: u32 = 20;

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(command::is_installed("cargo-fuzz"), "cargo-fuzz is missing (hint: cargo install cargo-fuzz)");
    let folder = command::root().join("fuzz");
    let mut targets = targets(&folder)?;
    if let Some(wanted) = &options.target {
        ensure!(targets.contains(wanted), "there is no fuzz target {wanted} (hint: {})", targets.join(", "));
        targets.retain(|target| target == wanted);
    }
    for target in &targets {
        println!("{target}: {} seconds", options.seconds);
        fuzz(&folder, target, options)?;
    }
    Ok(())
}

fn fuzz(folder: &Path, target: &str, options: &Options) -> Result<()> {
    // The first folder takes what is found, so that the seeds stay as they were committed.
    let found = env::var_os("CARGO_TARGET_DIR").map_or_else(|| folder.join("target"), Into::into);
    let found = found.join("corpus").join(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let mut fuzzer = command::cargo(["fuzz", "run", "--sanitizer", &options.sanitizer, target]);
    fuzzer.current_dir(folder).env("RUSTC_BOOTSTRAP", "1").arg(found).arg(folder.join("corpus").join(target));
    fuzzer.arg("--").arg(format!("-max_total_time={}", options.seconds)).arg("-print_final_stats=1");
    fuzzer.arg(format!("-rss_limit_mb={MEMORY_MIB}")).arg(format!("-timeout={SECONDS_PER_INPUT}"));
    command::run(&mut fuzzer)
}

/// Every target has an entry point by its name.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("fuzz_targets")).context("cannot list fuzz/fuzz_targets")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
