//! What an image's own layers change of its base: every layer is read, none is kept.

use std::time::Duration;

use attestry_core::{Reason, ReasonCode, Repository};
use attestry_oci::{Budget, Client, LayerFault};
use attestry_policy::base::{Change, Overlay, What};
use serde::Serialize;

use super::images::Image;
use crate::exit::Failure;
use crate::output::Paint;

/// The time for one layer. The largest that are read come in it over a hundred megabits a second.
const LAYER_TIME: Duration = Duration::from_secs(600);
/// Changes shown as text; the JSON has up to a thousand.
const SHOWN: usize = 20;

/// What was changed of a base.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changes {
    /// How many changes there are.
    count: usize,
    /// The first thousand of them, what is gone before what is replaced.
    listed: Vec<Change>,
}

/// Reads the layers of one platform, of which the first `of_base` are its base's.
///
/// # Errors
///
/// A layer that cannot be read or listed. The inner error is a refusal: a layer that unpacks to something else than the
/// configuration says (attack 77).
pub(super) async fn changes(
    client: &Client,
    repository: &Repository,
    image: &Image,
    of_base: usize,
) -> Result<Result<Changes, Reason>, Failure> {
    let mut overlay = Overlay::default();
    // As many diffIDs as layers: an image with a base was compared with both.
    for (number, (layer, diff_id)) in image.layers.iter().zip(&image.diff_ids).enumerate() {
        let read = client.layer(repository, layer, &Budget::of(LAYER_TIME)).await;
        let read = read.map_err(|fault| unreadable(&format!("layer {} of {}", layer.digest, image.digest), &fault))?;
        if read.diff_id != *diff_id {
            let message = format!("layer {} unpacks to {}, but the config says {diff_id}", layer.digest, read.diff_id);
            return Ok(Err(Reason::new(ReasonCode::BaseClaimsDisagree, message)));
        }
        let laid = match number < of_base {
            true => overlay.add_base(&read.entries),
            false => overlay.add_own(layer.digest, &read.entries),
        };
        laid.map_err(|error| Failure::undeterminable(format!("what {} changes is not known: {error}", image.digest)))?;
    }
    Ok(Ok(Changes { count: overlay.count(), listed: overlay.changes() }))
}

fn unreadable(what: &str, fault: &LayerFault) -> Failure {
    match fault {
        LayerFault::Gap(gap) => {
            let reason = gap.reason();
            Failure::undeterminable(format!("cannot read {what}: {reason}")).hint(reason.code.hint())
        }
        LayerFault::Unreadable(error) => {
            Failure::undeterminable(format!("cannot list {what}: {}", Failure::chain(error)))
                .hint("what such a layer changes is not known; rebuild the image with a current build tool")
        }
    }
}

impl Changes {
    pub(super) fn describe(&self, text: &mut String, paint: Paint) {
        if self.count == 0 {
            text.push_str("    changes nothing of the base\n");
            return;
        }
        let noun = if self.count == 1 { "change" } else { "changes" };
        text.push_str(&format!("    {} {noun} to the base\n", self.count));
        for Change { what, path, paths, .. } in self.listed.iter().take(SHOWN) {
            let below = match (what, paths) {
                (What::Emptied, _) | (_, 2..) => format!("  {paths} paths"),
                _ => String::new(),
            };
            text.push_str(&format!("      {:<8}  /{path}{}\n", what.as_str(), paint.faint(&below)));
        }
        if self.count > SHOWN {
            text.push_str(&format!("      and {} more; --output json lists a thousand\n", self.count - SHOWN));
        }
    }
}
