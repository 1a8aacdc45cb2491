//! `attestry completions`.

use std::io;

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    clap_complete::generate(args.shell, &mut Cli::command(), "attestry", &mut io::stdout());
    Ok(Exit::Done)
}
