//! Requirements on what one image is: its base and its configuration. Both are bound by its digest and said by nobody.

use attestry_core::{
    Digest, Evidence, Reason, ReasonCode, Timestamp,
    manifest::{ImageConfig, ImageManifest, Manifest},
    review::Proof,
};

use super::{facts, judgement::Judgement, platforms};
use crate::{base::ImageLayers, compile::BaseImage, condition::Condition};

/// Whether one platform stands on a build of a catalog.
pub(super) fn base(
    base: &BaseImage,
    evidence: &Evidence,
    digest: Digest,
    now: Timestamp,
) -> Result<Judgement, Judgement> {
    let (manifest, config) = read(evidence, digest, ReasonCode::BaseUnknown)?;
    let layers: Vec<Digest> = manifest.layers.iter().map(|layer| layer.digest).collect();
    let claimed_base = manifest.annotations.get("org.opencontainers.image.base.digest").map(String::as_str);
    let image = ImageLayers { digest, layers: &layers, diff_ids: &config.diff_ids, claimed_base };
    let assessment = base.assess(image, now);
    Ok(match (assessment.reason, assessment.found) {
        (Some(reason), _) => Judgement::unmet_because(reason),
        (None, Some(found)) => {
            let details = [
                ("base", found.base.name.clone()),
                ("build", found.build.added_at.to_string()),
                ("catalog", found.catalog.name.clone()),
                ("owner", found.base.owner.clone()),
            ];
            Judgement::met(vec![proof(digest, details)], assessment.valid_until)
        }
        (None, None) => {
            Judgement::unmet_because(Reason::new(ReasonCode::BaseUnknown, format!("{digest} stands on no known base")))
        }
    })
}

/// Whether the configuration of one platform meets a condition (attack 70).
pub(super) fn config(condition: &Condition, evidence: &Evidence, digest: Digest) -> Result<Judgement, Judgement> {
    let (manifest, config) = read(evidence, digest, ReasonCode::PlatformUnproven)?;
    let image = facts::of_content(evidence, digest, manifest.annotations, config.labels.clone());
    Ok(match condition.check_config(&config, &image) {
        Ok(()) => Judgement::met(vec![proof(digest, [("config", manifest.config.digest.to_string())])], None),
        Err(reason) => Judgement::unmet_because(reason),
    })
}

/// Manifest and configuration of one platform; `unless` is the reason where there is an index instead.
fn read(evidence: &Evidence, digest: Digest, unless: ReasonCode) -> Result<(ImageManifest, ImageConfig), Judgement> {
    match platforms::manifest(evidence, digest)? {
        Manifest::Image(manifest) => {
            let config = facts::config(evidence, &manifest.config)?;
            Ok((manifest, config))
        }
        Manifest::Index(_) => {
            let message = format!("{digest} is an index where the manifest of one platform belongs");
            Err(Judgement::unmet_because(Reason::new(unless, message)))
        }
    }
}

fn proof<const N: usize>(digest: Digest, details: [(&str, String); N]) -> Proof {
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Proof { subject: Some(digest), details, ..Proof::default() }
}
