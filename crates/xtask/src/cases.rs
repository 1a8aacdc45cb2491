//! `cargo xtask cases`: the cases of the example policies with their saved evidence.
//!
//! Everything in them is made from fixed inputs (playground images, example keys, deterministic signatures), so the
//! same bytes come out on every machine and CI fails where a file differs. The list of cases stands in [`table`].

mod table;
mod world;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use attestry_core::{Evidence, Verdict};
use clap::Args;

use crate::command;
use table::{Case, POLICIES, Policy};
use world::World;

#[derive(Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a file differs from what would be written.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted = files(&World::new()?)?;
    let mut stale = Vec::new();
    for (path, bytes) in &wanted {
        let place = command::root().join(path);
        if fs::read(&place).is_ok_and(|current| current == *bytes) {
            continue;
        }
        stale.push(path.display().to_string());
        if !options.check {
            fs::create_dir_all(place.parent().context("a case without a folder")?)?;
            fs::write(&place, bytes).with_context(|| format!("cannot write {}", path.display()))?;
            println!("wrote {}", path.display());
        }
    }
    if options.check && !stale.is_empty() {
        bail!("not up to date: {}; run `cargo xtask cases` and commit what it wrote", stale.join(", "));
    }
    Ok(())
}

/// Every file with its content, by path from the root.
fn files(world: &World) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    files.insert(PathBuf::from("policies/trusted-base/catalog.yaml"), world.catalog()?.into_bytes());
    for policy in POLICIES {
        let folder = PathBuf::from("policies").join(policy.name);
        let evidence = policy.evidence.iter().map(|(name, make)| (*name, make(world))).collect::<BTreeMap<_, _>>();
        for (name, evidence) in &evidence {
            files.insert(folder.join("evidence").join(format!("{name}.json")), evidence.to_bytes());
        }
        for case in policy.cases {
            let evidence = (evidence.get(case.evidence))
                .with_context(|| format!("{}/{}: there is no evidence {}", policy.name, case.name, case.evidence))?;
            files.insert(folder.join("cases").join(format!("{}.yaml", case.name)), text(policy, case, evidence)?);
        }
    }
    Ok(files)
}

fn text(policy: &Policy, case: &Case, evidence: &Evidence) -> Result<Vec<u8>> {
    let place = || format!("{}/{}", policy.name, case.name);
    let image = match (case.tag, evidence.digest) {
        (Some(tag), _) => format!("{}:{tag}", evidence.repository),
        (None, Some(digest)) => format!("{}@{digest}", evidence.repository),
        (None, None) => bail!("{}: neither a tag nor a digest", place()),
    };
    let verdict = case.verdict.unwrap_or(if case.allowed() { Verdict::Trusted } else { Verdict::Untrusted }).as_str();
    let reasons = case.reasons.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", ");
    let reasons = if reasons.is_empty() { String::new() } else { format!("    reasons: [{reasons}]\n") };
    let text = format!(
        "# Written by `cargo xtask cases`.\n\
         # {}\n\
         apiVersion: attestry.dev/v1alpha1\n\
         kind: PolicyCase\n\
         metadata: {{name: {}}}\n\
         spec:\n\
        \x20 image: {image}\n\
        \x20 now: {}\n\
        \x20 evidence: ../evidence/{}.json\n\
        \x20 expect:\n\
        \x20   verdict: {verdict}\n\
        \x20   allowed: {}\n\
         {reasons}",
        case.why,
        case.name,
        case.now,
        case.evidence,
        case.allowed(),
    );
    Ok(text.into_bytes())
}
