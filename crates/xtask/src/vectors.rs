//! `cargo xtask vectors`: the third-party test vectors are byte for byte what their list of sums says, and the list
//! leaves none of them out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::command;

/// The folders of other people's data. What else lies beside them is ours and not in the list.
const FOLDERS: [&str; 3] = ["dsse", "merkle", "sigstore-conformance"];
/// Our own words about the data.
const OURS: [&str; 2] = ["README.md", "LICENSE"];

pub(crate) fn run() -> Result<()> {
    let vectors = command::root().join("tests/vectors");
    let sums = fs::read_to_string(vectors.join("SHA256SUMS")).context("cannot read tests/vectors/SHA256SUMS")?;
    let listed = parse(&sums)?;
    let mut found = BTreeMap::new();
    for folder in FOLDERS {
        hash_files(&vectors, folder, &mut found)?;
    }
    let wrong = differences(&listed, &found);
    if wrong.is_empty() {
        println!("{} vectors are unchanged", found.len());
        return Ok(());
    }
    for line in &wrong {
        eprintln!("tests/vectors/{line}");
    }
    bail!("{} of the third-party vectors differ from SHA256SUMS", wrong.len())
}

/// The format of `sha256sum`: digest, two spaces, path.
fn parse(sums: &str) -> Result<BTreeMap<String, String>> {
    sums.lines()
        .map(|line| {
            let (sum, path) = line.split_once("  ").with_context(|| format!("not a line of sums: {line}"))?;
            Ok((path.to_owned(), sum.to_owned()))
        })
        .collect()
}

fn hash_files(top: &Path, folder: &str, found: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(top.join(folder)).with_context(|| format!("cannot list tests/vectors/{folder}"))? {
        let entry = entry?;
        let name = entry.file_name().into_string().ok().context("a vector's name is not UTF-8")?;
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            hash_files(top, &path, found)?;
        } else if !OURS.contains(&name.as_str()) {
            found.insert(path, hex::encode(Sha256::digest(fs::read(entry.path())?)));
        }
    }
    Ok(())
}

/// One line for each file that is not as listed.
fn differences(listed: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (path, sum) in listed {
        match found.get(path) {
            None => wrong.push(format!("{path}: listed, but not there")),
            Some(other) if other != sum => wrong.push(format!("{path}: changed")),
            Some(_) => {}
        }
    }
    wrong.extend(found.keys().filter(|path| !listed.contains_key(*path)).map(|path| format!("{path}: not listed")));
    wrong
}

#[cfg(test)]
mod tests;
