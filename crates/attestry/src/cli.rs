//! The command line as it is typed. What it means is worked out by the command that it names.
//!
//! Every text here is also the reference (`docs/reference/cli.md` is written from it).

#![allow(rustdoc::broken_intra_doc_links, reason = "help texts write registry/repository[:tag][@digest]")]

mod image;
mod judge;
mod local;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use image::{AttestArgs, DigestArgs, ProvenanceSource, RegistryArgs, SignArgs, SignerArgs, StoredAs};
pub(crate) use judge::{DemandArgs, ExtractArgs, TreeArgs, VerifyArgs};
pub(crate) use local::{
    AuditCommand, AuditListArgs, AuditShowArgs, AuditSource, BaseAddArgs, BaseCheckArgs, BaseCommand, BaseStatusArgs,
    CompletionsArgs, DemoArgs, KeyAlgorithm, KeyCommand, KeyGenerateArgs, KeyImportArgs, KeyPublicArgs, PolicyCommand,
    PolicyDirArgs, ServeArgs, StatusName, TrustRootCommand, TrustRootUpdateArgs,
};

/// Sign container images, attest what is known of them, and admit only what is proven.
#[derive(Debug, Parser)]
#[command(name = "attestry", version, max_term_width = 100, after_help = crate::exit::TABLE)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Text for people, or JSON with a stable shape on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "text|json", hide_possible_values = true)]
    pub(crate) output: Format,
    /// Print no text but errors; the exit code says the rest
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more on standard error; twice and three times for more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, import and show signing keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign an image and store the signature beside it in its registry
    Sign(SignArgs),
    /// Attest an SBOM, provenance or anything else about an image and store it beside the image
    Attest(AttestArgs),
    /// Check an image or a file against policies, a key or an identity
    Verify(Box<VerifyArgs>),
    /// Print a predicate, such as an SBOM, if it is verified
    Extract(Box<ExtractArgs>),
    /// List what is stored beside an image, who signed it, and whether that is verified
    Tree(Box<TreeArgs>),
    /// Test, lint and describe policy documents
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Bring a trusted root up to date
    #[command(subcommand)]
    TrustRoot(TrustRootCommand),
    /// Keep the catalog of trusted base images
    #[command(subcommand)]
    Base(BaseCommand),
    /// Read the decision log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Run the service: admission webhook, API, health and metrics
    Serve(ServeArgs),
    /// Play the whole story in one process: sign, attest, admit, refuse, audit
    Demo(DemoArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the OpenAPI description of the service
    #[command(hide = true)]
    Openapi,
}

/// Reads `K=V`.
fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// A file that is read or written.
type File = PathBuf;

#[cfg(test)]
mod tests;
