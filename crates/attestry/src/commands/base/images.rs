//! The images behind a reference, one for each platform, with their layers.

use anyhow::Context as _;
use attestry_core::evidence::BlobRole;
use attestry_core::manifest::{Descriptor, ImageConfig, ImageManifest, MAX_CHILDREN, Manifest};
use attestry_core::{Digest, Gap, Subject};
use attestry_oci::{Budget, Client};

use crate::exit::Failure;

/// One platform of an image.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) digest: Digest,
    /// Such as `linux/amd64`, where index or config say it.
    pub(super) platform: Option<String>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) diff_ids: Vec<Digest>,
    /// What the manifest's annotation says of its base; proves nothing.
    pub(super) claimed_base: Option<String>,
}

impl Image {
    /// Digests of the compressed layers.
    pub(super) fn layer_digests(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.digest).collect()
    }

    /// The platform in words.
    pub(super) fn platform_name(&self) -> String {
        self.platform.clone().unwrap_or_else(|| "no platform".to_owned())
    }
}

/// What was found behind a subject.
#[derive(Debug)]
pub(super) struct Images {
    /// The index's digest, where it is one.
    pub(super) index: Option<Digest>,
    /// Never empty.
    pub(super) images: Vec<Image>,
}

/// Reads manifest and config of every runnable image of a subject.
pub(super) async fn read_images(client: &Client, subject: &Subject) -> Result<Images, Failure> {
    let budget = Budget::default();
    match manifest(client, subject, &budget).await? {
        Manifest::Image(image) => {
            let image = read_image(client, subject, &image, None, &budget).await?;
            Ok(Images { index: None, images: vec![image] })
        }
        Manifest::Index(index) => {
            let entries: Vec<&Descriptor> = index.manifests.iter().filter(|e| !e.is_attestation_manifest()).collect();
            if entries.is_empty() || entries.len() > MAX_CHILDREN {
                let message = format!("{subject} holds {} images; 1 to {MAX_CHILDREN} are read", entries.len());
                return Err(Failure::failed(message));
            }
            let mut images = Vec::new();
            for entry in entries {
                let child = Subject { repository: subject.repository.clone(), digest: entry.digest };
                let Manifest::Image(image) = manifest(client, &child, &budget).await? else {
                    return Err(Failure::failed(format!("{subject} is an index of indexes; name one of those")));
                };
                let platform = entry.platform.as_ref().map(ToString::to_string);
                images.push(read_image(client, &child, &image, platform, &budget).await?);
            }
            Ok(Images { index: Some(subject.digest), images })
        }
    }
}

async fn manifest(client: &Client, subject: &Subject, budget: &Budget) -> Result<Manifest, Failure> {
    let document = client.pull_manifest(&subject.repository, subject.digest, budget).await;
    let document = document.map_err(|gap| unreadable(subject, &gap))?;
    let read = Manifest::parse(&document.media_type, &document.bytes);
    Ok(read.with_context(|| format!("{subject} is no image"))?)
}

async fn read_image(
    client: &Client,
    subject: &Subject,
    manifest: &ImageManifest,
    platform: Option<String>,
    budget: &Budget,
) -> Result<Image, Failure> {
    let (config, role) = (&manifest.config, BlobRole::Config);
    let blob = client.pull_blob(&subject.repository, config.digest, config.size, role, budget).await;
    let blob = blob.map_err(|gap| unreadable(subject, &gap))?;
    let config = ImageConfig::parse(&blob.bytes).with_context(|| format!("the config of {subject} cannot be read"))?;
    let platform = platform.or_else(|| config.platform.map(|platform| platform.to_string()));
    Ok(Image {
        digest: subject.digest,
        platform,
        layers: manifest.layers.clone(),
        diff_ids: config.diff_ids,
        claimed_base: manifest.annotations.get("org.opencontainers.image.base.digest").cloned(),
    })
}

fn unreadable(subject: &Subject, gap: &Gap) -> Failure {
    let reason = gap.reason();
    Failure::undeterminable(format!("cannot read {subject}: {reason}")).hint(reason.code.hint())
}
