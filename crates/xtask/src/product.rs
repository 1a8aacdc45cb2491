//! The attestry binary of this checkout, for what is written or checked by running it.

use std::path::PathBuf;

use anyhow::Result;

use crate::command;

pub(crate) struct Product(PathBuf);

impl Product {
    /// Built as `ci` builds it before its tests, so that nothing is compiled twice.
    pub(crate) fn build() -> Result<Self> {
        command::run(&mut command::cargo(["build", "--quiet", "--workspace", "--all-targets", "--locked"]))?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| command::root().join("target"), PathBuf::from);
        Ok(Self(target.join("debug/attestry")))
    }

    /// What it prints with these arguments.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<String> {
        // The width of help must not depend on who runs this.
        command::output(command::program(&self.0).args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1"))
    }
}
