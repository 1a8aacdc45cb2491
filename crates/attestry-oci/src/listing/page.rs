//! One page of a listing: an OCI index whose entries are attachments (OCI distribution-spec v1.1.1, "Listing Referrers").

use attestry_core::{
    evidence::Listed,
    manifest::{Descriptor, OCI_INDEX},
    strict_json,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

/// Where a bundle's manifest says what the bundle holds (cosign BUNDLE_SPEC). A hint, never a filter.
pub(crate) const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// What a page holds.
pub(super) struct Page {
    pub(super) entries: Vec<Listed>,
    /// Entries that are no descriptors. They may name the very attachment that is looked for.
    pub(super) unreadable: usize,
}

/// Reads a page; the error says why it is none.
pub(super) fn read(body: &[u8]) -> Result<Page, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        media_type: Option<String>,
        manifests: Option<Vec<Value>>,
        config: Option<IgnoredAny>,
        layers: Option<IgnoredAny>,
    }
    let wire: Wire = strict_json::read(body).map_err(|error| format!("the listing cannot be read: {error}"))?;
    let (Some(manifests), None, None) = (wire.manifests, wire.config, wire.layers) else {
        return Err("the listing is no OCI index".to_owned());
    };
    if wire.media_type.is_some_and(|inside| inside != OCI_INDEX) {
        return Err("the listing says that it is something else than an OCI index".to_owned());
    }
    let total = manifests.len();
    let entries: Vec<Listed> =
        manifests.into_iter().filter_map(|value| Descriptor::deserialize(value).ok()).map(listed).collect();
    Ok(Page { unreadable: total - entries.len(), entries })
}

fn listed(descriptor: Descriptor) -> Listed {
    let predicate_type = descriptor.annotations.and_then(|mut annotations| annotations.remove(PREDICATE_TYPE));
    let artifact_type = descriptor.artifact_type.filter(|text| !text.is_empty());
    Listed { digest: descriptor.digest, artifact_type, predicate_type }
}
