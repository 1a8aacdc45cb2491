//! Everything the project runs on itself: `cargo xtask ci` is what CI runs, the other commands are its parts.
//!
//! One module per command. Start reading in [`ci`], which lists the steps in order.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for people at a terminal")]

mod bench;
mod cases;
mod ci;
mod command;
mod docs;
mod fuzz;
mod manifests;
mod metadata;
mod mutants;
mod product;
mod tidy;
mod tree;
mod vectors;
mod writers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Everything the project runs on itself.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run everything that CI runs, in the same order.
    Ci(ci::Options),
    /// Check what the compiler cannot: crate edges, purity, headers, policies with their cases, reason codes.
    Tidy(tidy::Options),
    /// Write the generated reference pages.
    Docs(docs::Options),
    /// Write the cases of the example policies and their evidence.
    Cases(cases::Options),
    /// Measure speed against peers and ceilings; prints ratios.
    Bench(bench::Options),
    /// Run the fuzz targets in `fuzz/`, each for a while. Needs cargo-fuzz.
    Fuzz(fuzz::Options),
    /// Change the code in every way that cargo-mutants knows and see whether a test notices. Needs cargo-mutants.
    Mutants(mutants::Options),
    /// The server that the bench compares with.
    #[command(hide = true)]
    BareServer(bench::BareServer),
    /// Check that the third-party test vectors are what their list of sums says.
    Vectors,
    /// Let many processes attach to one image at a time and count what is kept.
    Writers(writers::Options),
    /// Check the Kubernetes manifests in `deploy/` against the schemas of Kubernetes.
    Manifests,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Ci(options) => ci::run(&options),
        Task::Tidy(options) => tidy::run(&options),
        Task::Docs(options) => docs::run(&options),
        Task::Cases(options) => cases::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Mutants(options) => mutants::run(&options),
        Task::BareServer(options) => bench::run_bare(&options),
        Task::Vectors => vectors::run(),
        Task::Writers(options) => writers::run(&options),
        Task::Manifests => manifests::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
