//! The attestry command line: parse, build, run, and turn the result into an exit code.

mod cli;
mod commands;
mod environment;
mod exit;
mod explain;
mod files;
mod keys;
mod output;
mod password;
mod policies;
mod registry;
mod telemetry;

use std::process::ExitCode;
use std::thread;

use clap::Parser as _;

use crate::cli::Cli;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::Output;

/// Reviews, conditions and nested JSON are worked through by recursion, which is bounded for this much stack.
const STACK: usize = 16 << 20;

fn main() -> ExitCode {
    // clap ends the process itself for `--help` (0) and for a command line that it cannot read (2).
    let cli = Cli::parse();
    let environment = Environment::read();
    let output = Output::new(&cli.common, environment.no_color);
    let run = move || {
        telemetry::install(&cli.common);
        let result = commands::run(&cli.command, &environment, &output);
        result.unwrap_or_else(|failure| {
            output.failure(&failure);
            failure.exit()
        })
    };
    let worker = thread::Builder::new().name("attestry".to_owned()).stack_size(STACK).spawn(run);
    // Where no thread can be had, or ours panicked (its message is printed already), nothing was decided.
    worker.map_or(Exit::Failed, |worker| worker.join().unwrap_or(Exit::Failed)).into()
}
