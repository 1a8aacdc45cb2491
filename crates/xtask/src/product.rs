//! The attestry binary of this checkout, for what is written or checked by running it.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command;

/// Built when it is first run.
#[derive(Default)]
pub(crate) struct Product(OnceCell<PathBuf>);

impl Product {
    /// What it prints with these arguments.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<String> {
        // The width of help must not depend on who runs this.
        command::output(command::program(self.binary()?).args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1"))
    }

    /// Where it is.
    pub(crate) fn binary(&self) -> Result<&Path> {
        if self.0.get().is_none() {
            let built = build().context("cannot build the attestry binary")?;
            self.0.get_or_init(|| built);
        }
        Ok(self.0.get().context("no binary after it was built")?)
    }
}

/// As `ci` builds it before its tests, so that nothing is compiled twice.
fn build() -> Result<PathBuf> {
    command::run(&mut command::cargo(["build", "--quiet", "--workspace", "--all-targets", "--locked"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
    Ok(target.join("debug/attestry"))
}
