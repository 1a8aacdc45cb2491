//! The page of commands: what `--help` says, of the binary and of each command below it.

use anyhow::{Result, ensure};

use crate::product::Product;

/// Deeper nesting would be a mistake in the reading, not a command line for people.
const DEEPEST: usize = 3;

pub(super) fn page(product: &Product) -> Result<String> {
    let mut page = String::from(
        "# Commands\n\n<!-- Written by `cargo xtask docs` from `attestry --help`. Change the texts in the binary's crate. -->\n",
    );
    describe(product, &[], &mut page)?;
    Ok(page)
}

fn describe(product: &Product, path: &[&str], page: &mut String) -> Result<()> {
    ensure!(path.len() <= DEEPEST, "commands nested too deeply: {}", path.join(" "));
    let help = product.output(&[path, &["--help"]].concat())?;
    let name = [&["attestry"], path].concat().join(" ");
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end()));
    for below in subcommands(&help) {
        describe(product, &[path, &[below]].concat(), page)?;
    }
    Ok(())
}

/// The names under `Commands:`, without the one that only repeats help.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What is indented further goes on describing the line above.
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
}

#[cfg(test)]
mod tests;
