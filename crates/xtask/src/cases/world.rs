//! What the cases are made of: keys, images, a catalogue.

use std::fs;

use anyhow::{Context, Result};
use attestry_core::evidence::{GapCause, Layout};
use attestry_core::{Digest, Evidence, Gap, Need};
use attestry_playground::image::Child;
use attestry_playground::{Image, ImageBuilder};
use attestry_policy::SourceFile;
use attestry_policy::base::{NewBuild, add_build, set_status};
use attestry_policy::document::{BuildSpec, OwnerSpec, PlatformSpec, Status};
use attestry_sign::SigningKey;
use attestry_testkit::EvidenceBuilder;

use crate::command;

/// Where the images are said to be.
const APP: &str = "registry.example/shop/app";
const VENDOR: &str = "registry.example/vendor/tool";
/// The password of the example keys, as their README says.
const PASSWORD: &[u8] = b"attestry-example";

pub(super) struct World {
    /// The key that the policies trust.
    pub(super) release: SigningKey,
    /// Somebody else's.
    pub(super) other: SigningKey,
    /// A key that no policy names.
    pub(super) stranger: SigningKey,
    /// A base that is good, and the build of it that is revoked.
    pub(super) base: Image,
    pub(super) revoked_build: Image,
    /// A base whose support has ended.
    pub(super) old_base: Image,
    /// A base of nobody's catalogue.
    pub(super) unknown_base: Image,
    /// The shop's application on the good base, for two platforms.
    pub(super) app: Image,
    /// Another image of the same repository.
    pub(super) other_app: Image,
    /// Somebody else's image, which nobody signed.
    pub(super) vendor: Image,
}

impl World {
    pub(super) fn new() -> Result<Self> {
        let base = base("debian 12.9")?;
        Ok(Self {
            release: example_key("release")?,
            other: example_key("other")?,
            stranger: attestry_testkit::keys::p256("somebody else"),
            revoked_build: self::base("debian 12.8")?,
            old_base: self::base("debian 11.11")?,
            unknown_base: self::base("something from somewhere")?,
            app: application(&base, "app")?,
            other_app: application(&base, "other")?,
            vendor: ImageBuilder::multi().program("tool").build()?,
            base,
        })
    }

    /// Everything that the registry holds of the shop's application, with nothing attached yet.
    pub(super) fn evidence(&self) -> EvidenceBuilder {
        EvidenceBuilder::new(APP, &self.app)
    }

    /// The same of another image in the application's place.
    pub(super) fn evidence_of(&self, image: &Image) -> Evidence {
        self.builder_of(image).build()
    }

    pub(super) fn builder_of(&self, image: &Image) -> EvidenceBuilder {
        EvidenceBuilder::new(APP, image)
    }

    /// An index over the application for `linux/amd64` on the good base, and for another platform on another one.
    pub(super) fn mixed_index(&self, other_base: &Image, other_platform: &str) -> Image {
        let one = |platform: &str, base: &Image| {
            // The bases were built above for both platforms.
            ImageBuilder::single(platform).base(base).program("app").build().expect("an application on a base")
        };
        index(&one("linux/amd64", &self.base), &one("linux/arm64", other_base), other_platform)
    }

    pub(super) fn vendor_evidence(&self) -> Evidence {
        EvidenceBuilder::new(VENDOR, &self.vendor).build()
    }

    /// An application on this base.
    pub(super) fn application_on(&self, base: &Image) -> Image {
        // The base was built above for both platforms, and the path is one that an archive takes.
        application(base, "app").expect("an application on a base for the same platforms")
    }

    /// The catalogue as `attestry base add` and `attestry base set-status` write it.
    pub(super) fn catalog(&self) -> Result<String> {
        let builds = [
            ("debian-12-slim", &self.revoked_build, "2026-01-02T04:00:00Z", "2028-06-30"),
            ("debian-12-slim", &self.base, "2026-01-12T04:00:00Z", "2028-06-30"),
            ("debian-11-slim", &self.old_base, "2026-01-03T04:00:00Z", "2026-01-31"),
        ];
        let mut text =
            "# The bases to build on, kept by `attestry base add` and `attestry base set-status`.\n".to_owned();
        for (base, image, added_at, supported_until) in builds {
            let new = NewBuild {
                base: base.to_owned(),
                owner: Some(OwnerSpec {
                    team: "platform-images".to_owned(),
                    contact: Some("#platform-images".to_owned()),
                }),
                supported_until: Some(supported_until.to_owned()),
                build: build(image, added_at),
            };
            text = add_build(&SourceFile::new("catalog.yaml", text), None, new)?;
        }
        let file = SourceFile::new("catalog.yaml", text);
        let revoked = self.revoked_build.digest().to_string();
        Ok(set_status(&file, None, "debian-12-slim", Some(&revoked), Status::Revoked)?)
    }
}

/// An index over an image for `linux/amd64` and one for another platform.
pub(super) fn index(first: &Image, second: &Image, second_platform: &str) -> Image {
    Image::index(&[
        Child { image: first, platform: Some("linux/amd64"), annotations: &[] },
        Child { image: second, platform: Some(second_platform), annotations: &[] },
    ])
}

/// The evidence as a registry would have given it that began to throttle at the listing of attachments.
pub(super) fn throttled(mut evidence: Evidence) -> Evidence {
    let root = evidence.digest;
    let places: Vec<(Digest, Layout)> = evidence.listings.keys().copied().filter(|(of, _)| Some(*of) == root).collect();
    for (of, layout) in places {
        evidence.listings.remove(&(of, layout));
        let detail = "the registry answered 429 Too Many Requests".to_owned();
        evidence.gaps.push(Gap { need: Need::Listing { of, layout }, cause: GapCause::Throttled, detail });
    }
    evidence
}

fn example_key(name: &str) -> Result<SigningKey> {
    let path = command::root().join("keys-example").join(format!("{name}.key"));
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(SigningKey::danger_import_example(&bytes, Some(PASSWORD))?)
}

fn base(release: &str) -> Result<Image> {
    Ok(ImageBuilder::multi().files(&[("etc/os-release", release)]).program("bin/sh").build()?)
}

fn application(base: &Image, program: &str) -> Result<Image> {
    Ok(ImageBuilder::multi().base(base).program(program).build()?)
}

fn build(image: &Image, added_at: &str) -> BuildSpec {
    let platforms = (image.platforms().iter())
        .map(|platform| PlatformSpec {
            platform: platform.platform.clone(),
            digest: platform.manifest.to_string(),
            layers: platform.layers.iter().map(|layer| layer.digest.to_string()).collect(),
            diff_ids: platform.layers.iter().map(|layer| layer.diff_id.to_string()).collect(),
        })
        .collect();
    BuildSpec {
        added_at: added_at.to_owned(),
        status: Status::Supported,
        index: Some(image.digest().to_string()),
        platforms,
    }
}
