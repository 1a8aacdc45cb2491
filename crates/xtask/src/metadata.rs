//! What `cargo metadata` says of the workspace's own crates.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// The members of the workspace.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

/// One crate and what its manifest depends on.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a manifest's dependency tables.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Absent for an ordinary dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

/// Reads the members; no other crate is listed.
pub(crate) fn members() -> Result<Metadata> {
    let json = command::output(&mut command::cargo(["metadata", "--no-deps", "--format-version=1", "--locked"]))?;
    serde_json::from_str(&json).context("cannot read what `cargo metadata` printed")
}
