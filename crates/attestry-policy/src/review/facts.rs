//! What conditions see of the image itself: bound by its digest, so "for all" may be asked of it.

use std::collections::BTreeMap;

use attestry_core::{
    Digest, Evidence, Need,
    evidence::BlobRole,
    manifest::{Descriptor, ImageConfig, Manifest},
};

use super::{judgement::Judgement, platforms};
use crate::condition::ImageFacts;

/// The facts about `digest`; its annotations and labels only where they are asked for.
pub(super) fn of(evidence: &Evidence, digest: Digest, with_content: bool) -> Result<ImageFacts, Judgement> {
    if !with_content {
        return Ok(of_content(evidence, digest, BTreeMap::new(), BTreeMap::new()));
    }
    Ok(match platforms::manifest(evidence, digest)? {
        // An index has no config of its own; its platforms may differ in their labels.
        Manifest::Index(index) => of_content(evidence, digest, index.annotations, BTreeMap::new()),
        Manifest::Image(manifest) => {
            let labels = config(evidence, &manifest.config)?.labels;
            of_content(evidence, digest, manifest.annotations, labels)
        }
    })
}

/// The facts about an image that was read already.
pub(super) fn of_content(
    evidence: &Evidence,
    digest: Digest,
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
) -> ImageFacts {
    ImageFacts { reference: evidence.repository.to_string(), digest: digest.to_string(), annotations, labels }
}

/// The configuration that a manifest names.
pub(super) fn config(evidence: &Evidence, descriptor: &Descriptor) -> Result<ImageConfig, Judgement> {
    let need = Need::Blob { digest: descriptor.digest, size: descriptor.size, role: BlobRole::Config };
    let document = platforms::document(evidence, descriptor.digest, need)?;
    ImageConfig::parse(&document.bytes).map_err(|error| {
        let message = format!("config {}: {error}", descriptor.digest);
        Judgement::undeterminable(
            vec![attestry_core::Reason::new(attestry_core::ReasonCode::RegistryMalformed, message)],
            Default::default(),
        )
    })
}
