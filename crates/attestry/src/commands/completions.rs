//! `attestry completions`.

use clap::CommandFactory as _;

use super::Context;
use crate::cli::{Cli, CompletionsArgs};
use crate::exit::{Exit, Failure};

pub(super) fn run(args: &CompletionsArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "attestry", &mut script);
    context.output.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
