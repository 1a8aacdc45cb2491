//! `cargo xtask docs`: the reference pages that are written by machine, from the code that they describe.
//!
//! They are checked in, so that they can be read without building anything, and CI fails where one differs.

mod help;
mod reasons;

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::command;
use crate::product::Product;

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
    let product = Product::default();
    let mut stale = Vec::new();
    for page in &PAGES {
        let rendered = (page.render)(&product).with_context(|| format!("cannot render {}", page.path))?;
        let text = format!("{}\n", rendered.trim_end());
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
