//! `cargo xtask tidy`: the rules of the architecture that the compiler does not know.
//!
//! Each check looks at the repository as a value and returns what it found; none stops at the first.

mod attacks;
mod closure;
mod edges;
mod links;
mod policies;
mod purity;
mod reasons;
mod text;

use std::fmt;

use anyhow::{Result, bail};
use clap::Args;

use crate::metadata;
use crate::tree::Tree;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Write the dependency closures of the pure crates as they are now; read the difference before you commit it.
    #[arg(long)]
    bless: bool,
}

/// One broken rule at one place.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// A path, with a line where there is one, or a crate.
    place: String,
    message: String,
}

impl Finding {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.message)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let tree = Tree::read()?;
    let mut findings = Vec::new();
    findings.extend(edges::check(&metadata::members()?));
    findings.extend(closure::check(options.bless)?);
    findings.extend(purity::check(&tree));
    findings.extend(text::check(&tree));
    findings.extend(links::check(&tree));
    findings.extend(reasons::check(&tree));
    findings.extend(policies::check(&tree));
    findings.extend(attacks::check(&tree));
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("{} findings", findings.len())
}
