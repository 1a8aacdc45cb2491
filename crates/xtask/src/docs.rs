//! `cargo xtask docs`: the reference pages that are written by machine, from the code that they describe.
//!
//! They are checked in, so that they can be read without building anything, and CI fails where one differs.

mod help;
mod reasons;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command;

/// Also read by `tidy`, which wants every code on it.
pub(crate) const REASON_CODES: &str = "docs/reference/reason-codes.md";

#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a page differs from what would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

/// One generated page.
struct Page {
    path: &'static str,
    render: fn(&Product) -> Result<String>,
}

const PAGES: [Page; 4] = [
    Page { path: REASON_CODES, render: |_| Ok(reasons::page()) },
    Page { path: "docs/reference/cli.md", render: help::page },
    Page { path: "docs/reference/policy.schema.json", render: |product| product.output(&["policy", "schema"]) },
    Page { path: "docs/reference/openapi.json", render: |product| product.output(&["openapi"]) },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let product = Product::build()?;
    let mut stale = Vec::new();
    for page in &PAGES {
        let text = (page.render)(&product).with_context(|| format!("cannot render {}", page.path))?;
        let place = command::root().join(page.path);
        if fs::read_to_string(&place).is_ok_and(|current| current == text) {
            continue;
        }
        stale.push(page.path);
        if !options.check {
            fs::create_dir_all(place.parent().context("a page without a folder")?)?;
            fs::write(&place, text).with_context(|| format!("cannot write {}", page.path))?;
            println!("wrote {}", page.path);
        }
    }
    if options.check && !stale.is_empty() {
        bail!("not up to date: {}; run `cargo xtask docs` and commit what it wrote", stale.join(", "));
    }
    Ok(())
}

/// The attestry binary of this checkout.
struct Product(PathBuf);

impl Product {
    fn build() -> Result<Self> {
        // As in `ci`, where it is built already.
        command::run(&mut command::cargo(["build", "--quiet", "--workspace", "--all-targets", "--locked"]))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
        Ok(Self(target.join("debug/attestry")))
    }

    /// What it prints with these arguments, with exactly one line end after it.
    fn output(&self, arguments: &[&str]) -> Result<String> {
        // The width of help must not depend on who runs this.
        let printed =
            command::output(command::program(&self.0).args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1"))?;
        Ok(format!("{}\n", printed.trim_end()))
    }
}
