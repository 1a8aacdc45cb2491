//! `cargo xtask manifests`: the Kubernetes manifests in `deploy/` are what Kubernetes accepts.
//!
//! The validator holds the published schemas. So that a validator that accepts everything does not pass for good
//! manifests, it must also refuse each broken one in `manifests/broken`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::command;

const VALIDATOR: &str = "kubernetes-validate";
/// The oldest release that we say works, and the newest that the validator knows.
const RELEASES: [&str; 2] = ["1.33", "1.37"];
const FOLDER: &str = "deploy/kubernetes";
const BROKEN: &str = "crates/xtask/src/manifests/broken";
/// Not an object of the API server, so no schema knows it.
const KUSTOMIZATION: &str = "kustomization.yaml";
/// Applied by hand once the service answers, so no part of the kustomization.
const APPLIED_LAST: [&str; 2] = ["mutating-webhook.yaml", "validating-webhook.yaml"];
/// How the validator says that it refuses: its exit code is the same where it could not run at all.
const REFUSAL: &str = "did not validate";

pub(crate) fn missing() -> Option<String> {
    (!command::is_installed(VALIDATOR)).then(|| format!("{VALIDATOR} is not installed (a Python package)"))
}

pub(crate) fn run() -> Result<()> {
    let manifests = yaml_files(FOLDER)?;
    ensure!(!manifests.is_empty(), "{FOLDER} holds no manifest");
    check_kustomization(&manifests)?;
    for release in RELEASES {
        command::run(validator(release).arg("--quiet").args(&manifests))?;
    }
    for broken in yaml_files(BROKEN)? {
        let answer = validator(RELEASES[1]).arg(&broken).output().context("cannot start the validator")?;
        let said = [answer.stdout, answer.stderr].concat();
        let refused = !answer.status.success() && String::from_utf8_lossy(&said).contains(REFUSAL);
        ensure!(refused, "the validator does not refuse {}, so it proves nothing", broken.display());
    }
    println!("{} manifests are valid for Kubernetes {}", manifests.len(), RELEASES.join(" and "));
    Ok(())
}

/// Strict: a field that the schema does not know is an error, not a thing for later releases.
fn validator(release: &str) -> Command {
    let mut command = command::program(VALIDATOR);
    command.args(["--strict", "--kubernetes-version", release]);
    command
}

/// The part of a kustomization that we use.
#[derive(Deserialize)]
struct Kustomization {
    resources: Vec<String>,
}

/// A manifest that is not listed would be checked here and never be applied.
fn check_kustomization(manifests: &[PathBuf]) -> Result<()> {
    let path = format!("{FOLDER}/{KUSTOMIZATION}");
    let text = fs::read_to_string(command::root().join(&path)).with_context(|| format!("cannot read {path}"))?;
    let mut listed =
        serde_saphyr::from_str::<Kustomization>(&text).with_context(|| format!("cannot parse {path}"))?.resources;
    listed.extend(APPLIED_LAST.map(str::to_owned));
    listed.sort();
    let there: Vec<_> = manifests.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    ensure!(listed == there, "{path} and what is applied last are {listed:?}, but the folder holds {there:?}");
    Ok(())
}

/// Sorted, and without the kustomization.
fn yaml_files(folder: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(command::root().join(folder)).with_context(|| format!("cannot list {folder}"))? {
        let name = entry?.file_name();
        let is_manifest =
            Path::new(&name).extension().is_some_and(|extension| extension == "yaml") && name != KUSTOMIZATION;
        if is_manifest {
            files.push(Path::new(folder).join(name));
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
