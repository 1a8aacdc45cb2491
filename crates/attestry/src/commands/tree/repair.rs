//! `attestry tree --repair`: the fallback index of an image, made anew from its manifests.

use attestry_core::{Digest, Reference};
use attestry_oci::{Budget, Client};
use serde::Serialize;

use super::super::Context;
use crate::cli::TreeArgs;
use crate::exit::{Exit, Failure};
use crate::registry;

#[derive(Serialize)]
struct Repair {
    image: String,
    tag: String,
    listed: usize,
    added: Vec<Digest>,
    corrected: Vec<Digest>,
    unreadable: Vec<Digest>,
}

pub(super) fn run(
    args: &TreeArgs,
    reference: &Reference,
    client: &Client,
    context: Context<'_>,
) -> Result<Exit, Failure> {
    let progress = context.output.progress(format!("repairing the list of {reference}"));
    let repaired = registry::block_on(async {
        let subject = client.resolve(reference, &Budget::default()).await.map_err(|gap| {
            let reason = gap.reason();
            Failure::undeterminable(format!("cannot resolve {reference}: {reason}")).hint(reason.code.hint())
        })?;
        Ok((client.repair_listing(&subject, &args.manifests).await?, subject))
    });
    drop(progress);
    let (repaired, subject) = repaired?;
    let image = reference.pin(subject.digest).to_string();
    let attestry_oci::Repaired { tag, listed, added, corrected, unreadable, .. } = repaired;
    let repair = Repair { image, tag, listed, added, corrected, unreadable };
    context.output.result("ListRepair", &repair, || repair.describe())?;
    Ok(Exit::Done)
}

impl Repair {
    fn describe(&self) -> String {
        let mut lines = vec![format!("{}\n  {} entries in {}", self.image, self.listed, self.tag)];
        let told = [("added", &self.added), ("corrected", &self.corrected), ("unreadable, left", &self.unreadable)];
        for (what, digests) in told {
            lines.extend(digests.iter().map(|digest| format!("  {what}  {digest}")));
        }
        if self.added.is_empty() && self.corrected.is_empty() {
            lines.push("  nothing to repair was found".to_owned());
        }
        lines.join("\n")
    }
}
