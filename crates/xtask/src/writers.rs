//! `cargo xtask writers`: the long form of the test of many writers of one list. The short one is part of every run.

use anyhow::Result;
use clap::Args;

use crate::command;

/// How many writers, how often.
#[derive(Args)]
pub(crate) struct Options {
    /// Processes that attach to one image at a time.
    #[arg(long, default_value_t = 64)]
    writers: usize,
    /// Images, one after the other.
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    command::run(&mut command::cargo(["build", "--quiet", "--locked", "--package", "attestry"]))?;
    let arguments = ["test", "--locked", "--package", "attestry-tests", "--test", "it", "writers::"];
    let mut test = command::cargo(arguments);
    test.args(["--", "--nocapture", "--test-threads=1"]);
    test.env("ATTESTRY_WRITERS", format!("{}x{}", options.writers, options.rounds)).env("ATTESTRY_REQUIRE_PEERS", "1");
    command::run(&mut test)
}
