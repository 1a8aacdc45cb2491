//! One module per command: plan, call, print.

mod attach;
mod attest;
mod audit;
mod base;
mod completions;
mod demand;
mod demo;
mod extract;
mod key;
mod keyless;
mod policy;
mod provenance;
mod serve;
mod sign;
mod sign_file;
mod subject;
mod tree;
mod trust_root;
mod verify;
mod verify_file;

use crate::cli::Command;
use crate::environment::Environment;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// What every command may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) output: &'a Output,
}

/// Runs the command that was typed.
pub(crate) fn run(command: &Command, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let context = Context { environment, output };
    match command {
        Command::Key(command) => key::run(command, context),
        Command::Sign(args) => sign::run(args, context),
        Command::Attest(args) => attest::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Extract(args) => extract::run(args, context),
        Command::Audit(command) => audit::run(command, context),
        Command::Tree(args) => tree::run(args, context),
        Command::Policy(command) => policy::run(command, context),
        Command::TrustRoot(command) => trust_root::run(command, context),
        Command::Base(command) => base::run(command, context),
        Command::Serve(args) => serve::run(args, context),
        Command::Openapi => {
            output.document(&attestry_server::openapi::document())?;
            Ok(Exit::Done)
        }
        Command::Demo(args) => demo::run(args, context),
        Command::Completions(args) => completions::run(args, context),
    }
}
