//! What conditions see of the image itself: bound by its digest, so "for all" may be asked of it.

use attestry_core::{
    Digest, Evidence, Need,
    evidence::BlobRole,
    manifest::{Descriptor, ImageConfig, Manifest},
};

use super::{judgement::Judgement, platforms};
use crate::condition::ImageFacts;

/// The facts about `digest`; its annotations and labels only where they are asked for.
pub(super) fn of(evidence: &Evidence, digest: Digest, with_content: bool) -> Result<ImageFacts, Judgement> {
    let mut facts = ImageFacts {
        reference: evidence.repository.to_string(),
        digest: digest.to_string(),
        annotations: Default::default(),
        labels: Default::default(),
    };
    if with_content {
        match platforms::manifest(evidence, digest)? {
            // An index has no config of its own; its platforms may differ in their labels.
            Manifest::Index(index) => facts.annotations = index.annotations,
            Manifest::Image(manifest) => {
                facts.labels = config(evidence, &manifest.config)?.labels;
                facts.annotations = manifest.annotations;
            }
        }
    }
    Ok(facts)
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
