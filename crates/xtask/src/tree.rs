//! The text of the repository, read once, so that each check is a function over values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result};

use crate::command;

/// Data of other people, which follows none of our rules.
const FOREIGN: [&str; 3] = ["tests/vectors/dsse/", "tests/vectors/merkle/", "tests/vectors/sigstore-conformance/"];

/// The path of every file that is tracked, or new and not ignored, in their order.
pub(crate) fn listed() -> Result<BTreeSet<String>> {
    let mut list = command::program("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    Ok(command::output(&mut list)?.split_terminator('\0').map(str::to_owned).collect())
}

/// Every text file that is tracked, or new and not ignored, by its path from the root.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Reads the checkout as Git sees it, so that nothing built or fetched is looked at.
    pub(crate) fn read() -> Result<Self> {
        let root = command::root();
        let mut files = BTreeMap::new();
        for path in listed()?.into_iter().filter(|path| !FOREIGN.iter().any(|folder| path.starts_with(folder))) {
            let place = root.join(&path);
            // A file deleted but not yet committed is still listed, and a symbolic link may lead anywhere.
            if !place.symlink_metadata().is_ok_and(|found| found.is_file()) {
                continue;
            }
            let bytes = fs::read(&place).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.insert(path, text);
            }
        }
        Ok(Self(files))
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Path and text of each file, in the order of the paths.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files among them.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(|(path, _)| path.ends_with(".rs"))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}
