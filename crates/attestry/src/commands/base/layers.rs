//! What an image's own layers change of its base: every layer is read, none is kept.

use std::time::Duration;

use attestry_core::{Reason, ReasonCode, Repository};
use attestry_oci::layer::LayerError;
use attestry_oci::{Budget, Client, LayerFault};
use attestry_policy::base::{Bounds, Change, Changes, Overlay, What};

use super::images::Image;
use crate::exit::Failure;
use crate::output::Paint;

/// The time for the layers of one platform: ten gigabytes come in it over fifty megabits a second.
const TIME: Duration = Duration::from_secs(1800);
/// Changes shown as text; the JSON has up to a thousand.
const SHOWN: usize = 20;

/// What came of reading the layers of one platform.
#[derive(Debug)]
pub(super) enum Read {
    /// All of them.
    Whole(Changes),
    /// One unpacks to something else than the configuration says (attack 77).
    Refused(Reason),
    /// One could not be read or listed.
    Unknown(Reason),
}

/// Reads the layers of one platform, of which the first `of_base` are its base's.
pub(super) async fn read(client: &Client, repository: &Repository, image: &Image, of_base: usize) -> Read {
    let budget = Budget::of(TIME);
    let mut overlay = Overlay::new(Bounds::default());
    // As many diffIDs as layers: an image with a base was compared with both.
    for (number, (layer, diff_id)) in image.layers.iter().zip(&image.diff_ids).enumerate() {
        let read = match client.layer(repository, layer, &budget).await {
            Ok(read) => read,
            Err(fault) => return Read::Unknown(unreadable(&fault).with("layer", layer.digest)),
        };
        if read.diff_id != *diff_id {
            let message = format!("layer {} unpacks to {}, but the config says {diff_id}", layer.digest, read.diff_id);
            return Read::Refused(Reason::new(ReasonCode::BaseClaimsDisagree, message));
        }
        let laid = match number < of_base {
            true => overlay.add_base(&read.entries),
            false => overlay.add_own(layer.digest, &read.entries),
        };
        if let Err(error) = laid {
            let reason = Reason::new(ReasonCode::OverLimit, format!("layer {}: {error}", layer.digest));
            return Read::Unknown(reason.with("layer", layer.digest));
        }
    }
    Read::Whole(overlay.into_changes())
}

fn unreadable(fault: &LayerFault) -> Reason {
    match fault {
        LayerFault::Gap(gap) => gap.reason(),
        LayerFault::Unreadable(error) => {
            let code = match error {
                LayerError::OverLimit { .. } | LayerError::Io(_) => ReasonCode::OverLimit,
                _ => ReasonCode::RegistryMalformed,
            };
            Reason::new(code, Failure::chain(error))
        }
    }
}

pub(super) fn describe(changes: &Changes, text: &mut String, paint: Paint) {
    let count = changes.count();
    if count == 0 {
        text.push_str("    removes and replaces nothing of the base\n");
        return;
    }
    let Changes { removed, emptied, replaced, .. } = changes;
    let counts = format!("{removed} removed, {emptied} emptied, {replaced} replaced");
    text.push_str(&format!("    changes of the base: {counts}\n"));
    for Change { what, path, paths, .. } in changes.listed.iter().take(SHOWN) {
        let below = match (what, paths) {
            (What::Emptied, _) | (_, 2..) => format!("  {paths} paths"),
            _ => String::new(),
        };
        text.push_str(&format!("      {:<8}  /{path}{}\n", what.as_str(), paint.faint(&below)));
    }
    if count > SHOWN {
        text.push_str(&format!("      and {} more; --output json lists a thousand\n", count - SHOWN));
    }
}
