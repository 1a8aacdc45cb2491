//! Base catalogs: which trusted base an image stands on, proven by its layers.
//!
//! The proof is a prefix of the image by a build's layers. A manifest's layer digests alone can be forged, since a
//! node picks its unpacked copies by the config's diffIDs; diffIDs alone are only declared. So `Exact` wants both,
//! and where they contradict each other the image is refused, whatever else it has (attack 77).

mod changes;
mod edit;

use std::{collections::BTreeSet, sync::Arc};

use attestry_core::{Digest, Reason, ReasonCode, Timestamp};

pub use changes::{Bounds, Change, Changes, Overlay, OverlayError, What};
pub use edit::{EditError, NewBuild, add_build, set_status};

use crate::{
    compile::{BaseImage, Place},
    document::{BaseProof, Status},
};

/// A compiled `BaseCatalog`.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// `metadata.name`.
    pub name: String,
    /// The bases.
    pub bases: Vec<Base>,
    /// Where it is written.
    pub place: Place,
}

/// A base image.
#[derive(Debug, Clone)]
pub struct Base {
    /// Unique within the catalog.
    pub name: String,
    /// The team that looks after it.
    pub owner: String,
    /// How to reach that team.
    pub contact: Option<String>,
    /// The first moment after the last day of support.
    pub supported_until: Timestamp,
    /// Whether it may still be built on.
    pub status: Status,
    /// What to move to.
    pub replaced_by: Option<String>,
    /// Every rebuild.
    pub builds: Vec<Build>,
}

/// One build of a base.
#[derive(Debug, Clone)]
pub struct Build {
    /// When it entered the catalog.
    pub added_at: Timestamp,
    /// Whether this build may be used.
    pub status: Status,
    /// Digest of the index, if the base has one.
    pub index: Option<Digest>,
    /// Its images. Never empty.
    pub platforms: Vec<PlatformImage>,
}

/// The image of one platform.
#[derive(Debug, Clone)]
pub struct PlatformImage {
    /// Such as `linux/amd64`.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Digests of the compressed layers; as many as diffIDs, and one at least is not empty.
    pub layers: Vec<Digest>,
    /// Digests of the unpacked layers.
    pub diff_ids: Vec<Digest>,
}

/// What is known of the image that is judged: one platform of it.
#[derive(Debug, Clone, Copy)]
pub struct ImageLayers<'a> {
    /// Digest of its manifest.
    pub digest: Digest,
    /// Layer digests of the manifest, in order.
    pub layers: &'a [Digest],
    /// `rootfs.diff_ids` of the config that the manifest names.
    pub diff_ids: &'a [Digest],
    /// The annotation `org.opencontainers.image.base.digest`, if the manifest has it. Proves nothing.
    pub claimed_base: Option<&'a str>,
}

/// Which base an image stands on.
#[derive(Debug, Clone)]
pub enum BaseMatch<'a> {
    /// This build, whatever its status.
    Found(FoundBase<'a>),
    /// No build of the catalogs.
    Unknown {
        /// A base whose diffIDs agree while the compressed layers do not: the image was recompressed.
        recompressed_from: Option<&'a str>,
    },
    /// What the image says of itself contradicts itself.
    ClaimsDisagree {
        /// How, in one sentence.
        how: String,
    },
}

/// The build that decides.
#[derive(Debug, Clone, Copy)]
pub struct FoundBase<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The base.
    pub base: &'a Base,
    /// The build of it.
    pub build: &'a Build,
    /// The image of it whose layers agree.
    pub image: &'a PlatformImage,
}

/// How an image stands by a `baseImage` requirement.
#[derive(Debug, Clone)]
pub struct BaseAssessment<'a> {
    /// The build that decided, if one was found.
    pub found: Option<FoundBase<'a>>,
    /// Why the requirement is not met; `None` when it is.
    pub reason: Option<Reason>,
    /// The first moment at which time alone takes it away again; only when it is met.
    pub valid_until: Option<Timestamp>,
}

impl BaseImage {
    /// Judges one platform of an image. Needs nothing but manifest and config: the answer is final.
    pub fn assess(&self, image: ImageLayers<'_>, now: Timestamp) -> BaseAssessment<'_> {
        let refuse = |found, reason| BaseAssessment { found, reason: Some(reason), valid_until: None };
        match find(&self.catalogs, self.proof, image) {
            BaseMatch::ClaimsDisagree { how } => refuse(None, Reason::new(ReasonCode::BaseClaimsDisagree, how)),
            BaseMatch::Unknown { recompressed_from } => refuse(None, self.unknown(recompressed_from)),
            BaseMatch::Found(found) => match self.refusal(&found, now) {
                Some(reason) => refuse(Some(found), reason),
                None => BaseAssessment { found: Some(found), reason: None, valid_until: Some(self.deadline(&found)) },
            },
        }
    }

    fn unknown(&self, recompressed_from: Option<&str>) -> Reason {
        let names: Vec<&str> = self.catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
        let message = match recompressed_from {
            Some(base) => format!(
                "the unpacked layers are those of {base}, but they were compressed anew; proof Exact wants the very blobs"
            ),
            None => format!("the image stands on no build of {}", names.join(", ")),
        };
        Reason::new(ReasonCode::BaseUnknown, message).with("catalogs", names.join(","))
    }

    fn refusal(&self, found: &FoundBase<'_>, now: Timestamp) -> Option<Reason> {
        let FoundBase { base, build, .. } = found;
        let move_to = base.replaced_by.as_ref().map(|name| format!("; move to {name}")).unwrap_or_default();
        let status = base.status.max(build.status);
        let (code, message) = if status == Status::Revoked {
            let what = if base.status == Status::Revoked { "base" } else { "build" };
            (ReasonCode::BaseRevoked, format!("the {what} {} is revoked{move_to}", found.title()))
        } else if !self.allow.contains(&status) {
            (ReasonCode::BaseNotTrusted, format!("{} is {}{move_to}", found.title(), status.as_str()))
        } else if now >= base.supported_until {
            (ReasonCode::BaseUnsupported, format!("{} is past its support date{move_to}", base.name))
        } else if self.build_deadline(build).is_some_and(|deadline| now >= deadline) {
            (ReasonCode::BaseUnsupported, format!("{} is older than maxBuildAge", found.title()))
        } else {
            return None;
        };
        let contact = base.contact.as_deref().unwrap_or_default();
        let reason = Reason::new(code, message).with("base", &base.name).with("owner", &base.owner);
        Some(if contact.is_empty() { reason } else { reason.with("contact", contact) })
    }

    fn build_deadline(&self, build: &Build) -> Option<Timestamp> {
        let age = self.max_build_age?;
        Some(build.added_at.checked_add(age).unwrap_or(Timestamp::MAX))
    }

    fn deadline(&self, found: &FoundBase<'_>) -> Timestamp {
        let supported = found.base.supported_until;
        self.build_deadline(found.build).map_or(supported, |deadline| deadline.min(supported))
    }
}

impl FoundBase<'_> {
    /// Base and build in words.
    pub fn title(&self) -> String {
        format!("{} (build of {})", self.base.name, self.build.added_at)
    }

    /// The status that counts: the worse of base and build.
    fn status(&self) -> Status {
        self.base.status.max(self.build.status)
    }
}

/// Finds the build that an image stands on.
///
/// The longest match decides, whatever its status, so that a revoked derived base is not hidden behind a shorter
/// trusted one (attack 78). Of builds with the same layers the one with the worst status decides, then the newest.
/// Empty layers keep their place but add nothing to the length. The match is a strict prefix: an image whose layers
/// are all a build's own stands on it only if it *is* that build, by the digest of its manifest.
pub fn find<'a>(catalogs: &'a [Arc<Catalog>], proof: BaseProof, image: ImageLayers<'_>) -> BaseMatch<'a> {
    if image.layers.len() != image.diff_ids.len() {
        let how =
            format!("the manifest lists {} layers, the config {} diffIDs", image.layers.len(), image.diff_ids.len());
        return BaseMatch::ClaimsDisagree { how };
    }
    if let Some(how) = contradiction(catalogs, image) {
        return BaseMatch::ClaimsDisagree { how };
    }
    let best = (all(catalogs))
        .filter(|found| stands_on(found.image, proof, image))
        .max_by_key(|found| (found.image.weight(), found.status(), found.build.added_at));
    // A claim that names a listed build is either true or a lie; one that names anything else may be an image
    // between base and application, which nobody vouches for (attack 69).
    if let Some(claimed) = image.claimed_base.and_then(|text| text.parse::<Digest>().ok()) {
        let of_build = |found: &FoundBase<'_>| found.image.digest == claimed || found.build.index == Some(claimed);
        let true_claim = |found: &FoundBase<'_>| of_build(found) && stands_on(found.image, BaseProof::DiffIds, image);
        if all(catalogs).any(|found| of_build(&found)) && !all(catalogs).any(|found| true_claim(&found)) {
            let how = format!("the annotation names {claimed} as base, but the layers are not those of that build");
            return BaseMatch::ClaimsDisagree { how };
        }
    }
    match best {
        Some(found) => BaseMatch::Found(found),
        None => BaseMatch::Unknown {
            recompressed_from: all(catalogs)
                .find(|found| stands_on(found.image, BaseProof::DiffIds, image))
                .map(|found| found.base.name.as_str()),
        },
    }
}

/// Every image of every build.
fn all(catalogs: &[Arc<Catalog>]) -> impl Iterator<Item = FoundBase<'_>> {
    catalogs.iter().flat_map(|catalog| {
        catalog.bases.iter().flat_map(move |base| {
            base.builds.iter().flat_map(move |build| {
                build.platforms.iter().map(move |image| FoundBase { catalog, base, build, image })
            })
        })
    })
}

/// A compressed layer has one content. A config that gives a listed layer another diffID makes a node run
/// something else than what the digest stands for (attack 77).
fn contradiction(catalogs: &[Arc<Catalog>], image: ImageLayers<'_>) -> Option<String> {
    let ours: BTreeSet<(Digest, Digest)> = image.layers.iter().copied().zip(image.diff_ids.iter().copied()).collect();
    let lies = |(layer, diff_id): (&Digest, &Digest)| {
        let same_layer = (*layer, Digest::from_bytes([0; 32]))..=(*layer, Digest::from_bytes([0xff; 32]));
        ours.range(same_layer).any(|(_, other)| other != diff_id)
    };
    all(catalogs).find(|found| found.image.layers.iter().zip(&found.image.diff_ids).any(lies)).map(|found| {
        format!("a layer of {} stands in the manifest, but the config gives it another diffID", found.base.name)
    })
}

fn stands_on(base: &PlatformImage, proof: BaseProof, image: ImageLayers<'_>) -> bool {
    let prefix = match proof {
        BaseProof::Exact => image.layers.starts_with(&base.layers) && image.diff_ids.starts_with(&base.diff_ids),
        BaseProof::DiffIds => image.diff_ids.starts_with(&base.diff_ids),
    };
    prefix && (image.diff_ids.len() > base.diff_ids.len() || image.digest == base.digest)
}

impl PlatformImage {
    /// How many of its layers hold something.
    fn weight(&self) -> usize {
        self.diff_ids.iter().filter(|diff_id| !is_empty_layer(diff_id)).count()
    }
}

/// Whether a diffID is that of a tar archive without entries, in one of the lengths that tools write.
pub fn is_empty_layer(diff_id: &Digest) -> bool {
    // Nothing, one and two blocks of zeros, and the record of 20 blocks that tar(1) pads to.
    static EMPTY: std::sync::LazyLock<[Digest; 4]> =
        std::sync::LazyLock::new(|| [0, 512, 1024, 10_240].map(|length| Digest::of(vec![0u8; length])));
    EMPTY.contains(diff_id)
}

#[cfg(test)]
mod tests;
