//! Snapshots that no test looks at any more: they prove nothing and mislead who reads them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::command;

/// Where the snapshot library writes the path of each snapshot that a test compared with.
pub(super) const REFERENCES: &str = "INSTA_SNAPSHOT_REFERENCES_FILE";

/// Fails where a snapshot of the workspace is not among those in the file `references`.
pub(super) fn check(references: &Path) -> Result<()> {
    let listed = fs::read_to_string(references).context("cannot read which snapshots the tests used")?;
    // The tests write paths through their own folder, such as tests/it/../snapshots.
    let used: BTreeSet<PathBuf> = listed.lines().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let tracked = command::output(command::program("git").args(["ls-files", "-z", "--", "*.snap", ":!tests/interop"]))?;
    let unused: Vec<_> = tracked.split_terminator('\0').filter(|path| !is_used(path, &used)).collect();
    ensure!(unused.is_empty(), "snapshots that no test uses: {}", unused.join(", "));
    Ok(())
}

fn is_used(path: &str, used: &BTreeSet<PathBuf>) -> bool {
    fs::canonicalize(command::root().join(path)).is_ok_and(|path| used.contains(&path))
}
