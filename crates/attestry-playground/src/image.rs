//! Small real images: tar layers, configurations, manifests and an index, the same bytes on every machine.
//!
//! Format: OCI image specification 1.1. An image is built from files; one standing on a base begins with the
//! base's layers, platform by platform, as a build tool leaves it.

use std::{collections::BTreeMap, io::Write};

use attestry_core::{Digest, canonical};
use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};

use crate::PlaygroundError;

/// The media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI image configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of a gzip-compressed layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// When every image says it was built.
pub const CREATED: &str = "2026-01-15T08:00:00Z";
/// The same moment for the files in layers, in seconds since 1970.
const FILE_TIME: u64 = 1_768_464_000;

/// An image with all that must be pushed for it.
#[derive(Debug, Clone)]
pub struct Image {
    blobs: Vec<(Digest, Bytes)>,
    /// Never empty; the root is the last.
    manifests: Vec<Manifest>,
    platforms: Vec<PlatformImage>,
}

/// A manifest or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// [`MANIFEST`] or [`INDEX`].
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// The image of one platform.
#[derive(Debug, Clone)]
pub struct PlatformImage {
    /// Such as `linux/amd64` or `linux/arm64/v8`.
    pub platform: String,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Digest of its configuration.
    pub config: Digest,
    /// Its layers from the bottom.
    pub layers: Vec<Layer>,
}

/// A layer.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Digest of the compressed bytes.
    pub digest: Digest,
    /// Digest of the tar archive (`rootfs.diff_ids`).
    pub diff_id: Digest,
    /// The compressed bytes.
    pub bytes: Bytes,
    tar: Bytes,
}

/// One entry of an index that is put together by hand.
#[derive(Debug, Clone, Copy)]
pub struct Child<'a> {
    /// An image of one platform.
    pub image: &'a Image,
    /// What the index says of its platform; `None` leaves it out.
    pub platform: Option<&'a str>,
    /// Annotations of the entry.
    pub annotations: &'a [(&'a str, &'a str)],
}

impl Image {
    /// Layers and configurations, each once.
    pub fn blobs(&self) -> &[(Digest, Bytes)] {
        &self.blobs
    }

    /// Manifests and, last, the root: in the order in which a registry takes them.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The runnable images, one per platform.
    pub fn platforms(&self) -> &[PlatformImage] {
        &self.platforms
    }

    /// The manifest or index that names the image.
    pub fn root(&self) -> &Manifest {
        // The fields are private, and both functions that make an image end with pushing its root.
        self.manifests.last().expect("an image has a root")
    }

    /// The digest that names the image.
    pub fn digest(&self) -> Digest {
        self.root().digest
    }

    /// The manifest with this digest.
    pub fn manifest(&self, digest: Digest) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.digest == digest)
    }

    /// The image of one platform.
    pub fn platform(&self, platform: &str) -> Option<&PlatformImage> {
        self.platforms.iter().find(|image| image.platform == platform)
    }

    /// The bytes of a layer or configuration.
    pub fn blob(&self, digest: Digest) -> Option<&Bytes> {
        self.blobs.iter().find(|(other, _)| *other == digest).map(|(_, bytes)| bytes)
    }

    /// An index over images, with entries exactly as given: also ones that no build tool writes.
    pub fn index(children: &[Child<'_>]) -> Self {
        let mut image = Self { blobs: Vec::new(), manifests: Vec::new(), platforms: Vec::new() };
        let mut entries = Vec::new();
        for child in children {
            let root = child.image.root();
            let mut entry = descriptor(&root.media_type, root.digest, root.bytes.len());
            if let Some(platform) = child.platform {
                entry["platform"] = platform_json(platform);
            }
            if !child.annotations.is_empty() {
                entry["annotations"] = child.annotations.iter().map(|(k, v)| (*k, *v)).collect();
            }
            entries.push(entry);
            for (digest, bytes) in &child.image.blobs {
                image.add_blob(*digest, bytes);
            }
            for manifest in &child.image.manifests {
                if image.manifest(manifest.digest).is_none() {
                    image.manifests.push(manifest.clone());
                }
            }
            image.platforms.extend(child.image.platforms.iter().cloned());
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        image.manifests.push(Manifest::of(INDEX, &index));
        image
    }

    fn add_blob(&mut self, digest: Digest, bytes: &Bytes) {
        if self.blob(digest).is_none() {
            self.blobs.push((digest, bytes.clone()));
        }
    }
}

impl Manifest {
    fn of(media_type: &str, value: &Value) -> Self {
        let bytes = Bytes::from(canonical::to_vec(value));
        Self { digest: Digest::of(&bytes), media_type: media_type.to_owned(), bytes }
    }

    /// Its descriptor, as `subject` of an attachment carries it.
    pub fn descriptor(&self) -> Value {
        descriptor(&self.media_type, self.digest, self.bytes.len())
    }
}

impl Layer {
    /// A layer with these files (path and content); what begins with `#!` is executable. Without files it is an
    /// empty layer.
    ///
    /// # Errors
    /// [`PlaygroundError::Layer`] for a path that is absolute, leads upwards, or is too long.
    pub fn of(files: &[(&str, &str)]) -> Result<Self, PlaygroundError> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in files {
            let failed = |source| PlaygroundError::Layer { path: (*path).to_owned(), source };
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(if content.starts_with("#!") { 0o755 } else { 0o644 });
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(FILE_TIME);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content.as_bytes()).map_err(failed)?;
        }
        let failed = |source| PlaygroundError::Layer { path: String::new(), source };
        let tar = archive.into_inner().map_err(failed)?;
        compress(tar.into(), Compression::default()).map_err(failed)
    }

    /// The same files compressed otherwise: another digest, the same diffID.
    ///
    /// # Errors
    /// Never in practice: it only writes to memory.
    pub fn recompress(&self) -> Result<Self, PlaygroundError> {
        compress(self.tar.clone(), Compression::none())
            .map_err(|source| PlaygroundError::Layer { path: String::new(), source })
    }
}

fn compress(tar: Bytes, level: Compression) -> std::io::Result<Layer> {
    // No file name and no time in the gzip header, or two builds would differ.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), level);
    gzip.write_all(&tar)?;
    let bytes = Bytes::from(gzip.finish()?);
    Ok(Layer { digest: Digest::of(&bytes), diff_id: Digest::of(&tar), bytes, tar })
}

/// Builds an image; nothing is made before [`ImageBuilder::build`].
#[derive(Debug, Clone, Default)]
pub struct ImageBuilder {
    platforms: Vec<String>,
    with_index: bool,
    base: Option<Image>,
    steps: Vec<Step>,
    recompress: bool,
    diff_ids: Option<Vec<Digest>>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    config: BTreeMap<String, Value>,
}

#[derive(Debug, Clone)]
enum Step {
    /// The same files on every platform.
    Files(Vec<(String, String)>),
    /// One file that differs per platform, as a compiled program does.
    Program(String),
}

impl ImageBuilder {
    /// An index over `linux/amd64` and `linux/arm64`.
    pub fn multi() -> Self {
        let platforms = vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()];
        Self { platforms, with_index: true, ..Self::default() }
    }

    /// A single manifest without an index.
    pub fn single(platform: &str) -> Self {
        Self { platforms: vec![platform.to_owned()], ..Self::default() }
    }

    /// Stands on `base`: its layers come first, and its labels are inherited.
    #[must_use]
    pub fn base(mut self, base: &Image) -> Self {
        self.base = Some(base.clone());
        self
    }

    /// Adds a layer with these files (path and content).
    #[must_use]
    pub fn files(mut self, files: &[(&str, &str)]) -> Self {
        let owned = files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect();
        self.steps.push(Step::Files(owned));
        self
    }

    /// Adds a layer with one file whose content names the platform.
    #[must_use]
    pub fn program(mut self, path: &str) -> Self {
        self.steps.push(Step::Program(path.to_owned()));
        self
    }

    /// Adds a label to the configuration.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets a member of the configuration's `config`, such as `User`; also one that no build tool writes.
    #[must_use]
    pub fn config(mut self, name: &str, value: Value) -> Self {
        self.config.insert(name.to_owned(), value);
        self
    }

    /// Adds an annotation to every manifest: a claim and no more, such as `org.opencontainers.image.base.digest`.
    #[must_use]
    pub fn annotation(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Compresses every layer otherwise than its base did: other digests, the same diffIDs.
    #[must_use]
    pub fn recompressed(mut self) -> Self {
        self.recompress = true;
        self
    }

    /// The configuration claims these diffIDs, whatever the layers are (attack 77).
    #[must_use]
    pub fn forged_diff_ids(mut self, diff_ids: &[Digest]) -> Self {
        self.diff_ids = Some(diff_ids.to_vec());
        self
    }

    /// Makes the image.
    ///
    /// # Errors
    /// [`PlaygroundError::Layer`] for a path that no archive takes, [`PlaygroundError::PlatformMissing`] if the base
    /// lacks a platform.
    pub fn build(self) -> Result<Image, PlaygroundError> {
        let images = self.platforms.iter().map(|platform| self.build_one(platform)).collect::<Result<Vec<_>, _>>()?;
        let mut images = images.into_iter();
        if !self.with_index
            && let Some(image) = images.next()
        {
            return Ok(image);
        }
        let images: Vec<Image> = images.collect();
        let children: Vec<Child<'_>> = (images.iter().zip(&self.platforms))
            .map(|(image, platform)| Child { image, platform: Some(platform), annotations: &[] })
            .collect();
        Ok(Image::index(&children))
    }

    fn build_one(&self, platform: &str) -> Result<Image, PlaygroundError> {
        let (mut layers, mut history, mut labels) = self.start(platform)?;
        for step in &self.steps {
            let (layer, created_by) = step.run(platform)?;
            layers.push(layer);
            history.push(json!({ "created": CREATED, "created_by": created_by }));
        }
        if self.recompress {
            layers = layers.iter().map(Layer::recompress).collect::<Result<_, _>>()?;
        }
        labels.extend(self.labels.clone());

        let diff_ids = self.diff_ids.clone().unwrap_or_else(|| layers.iter().map(|layer| layer.diff_id).collect());
        let mut config = platform_json(platform);
        config["created"] = CREATED.into();
        config["config"] = json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Labels": labels });
        for (name, value) in &self.config {
            config["config"][name] = value.clone();
        }
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        config["history"] = history.into();
        let config = Bytes::from(canonical::to_vec(&config));
        let config_digest = Digest::of(&config);

        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config_digest, config.len()),
            "layers": layers.iter().map(|l| descriptor(LAYER, l.digest, l.bytes.len())).collect::<Vec<_>>(),
        });
        if !self.annotations.is_empty() {
            manifest["annotations"] = json!(self.annotations);
        }
        let manifest = Manifest::of(MANIFEST, &manifest);

        let mut image = Image { blobs: Vec::new(), manifests: Vec::new(), platforms: Vec::new() };
        for layer in &layers {
            image.add_blob(layer.digest, &layer.bytes);
        }
        image.add_blob(config_digest, &config);
        image.platforms.push(PlatformImage {
            platform: platform.to_owned(),
            manifest: manifest.digest,
            config: config_digest,
            layers,
        });
        image.manifests.push(manifest);
        Ok(image)
    }

    /// Layers, history and labels of the base; nothing of all where there is none.
    #[expect(clippy::type_complexity, reason = "the three belong together and are taken apart at once")]
    fn start(&self, platform: &str) -> Result<(Vec<Layer>, Vec<Value>, BTreeMap<String, String>), PlaygroundError> {
        let Some(base) = &self.base else { return Ok(Default::default()) };
        let missing = || PlaygroundError::PlatformMissing(platform.to_owned());
        let found = base.platform(platform).ok_or_else(missing)?;
        let config: Value =
            base.blob(found.config).and_then(|bytes| serde_json::from_slice(bytes).ok()).ok_or_else(missing)?;
        let labels = serde_json::from_value(config["config"]["Labels"].clone()).unwrap_or_default();
        Ok((found.layers.clone(), config["history"].as_array().cloned().unwrap_or_default(), labels))
    }
}

impl Step {
    fn run(&self, platform: &str) -> Result<(Layer, String), PlaygroundError> {
        match self {
            Self::Files(files) => {
                let files: Vec<(&str, &str)> = files.iter().map(|(p, c)| (p.as_str(), c.as_str())).collect();
                let paths: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
                Ok((Layer::of(&files)?, format!("COPY {} /", paths.join(" "))))
            }
            Self::Program(path) => {
                let content = format!("#!/bin/sh\necho {path} for {platform}\n");
                Ok((Layer::of(&[(path, &content)])?, format!("COPY {path} /{path}")))
            }
        }
    }
}

fn descriptor(media_type: &str, digest: Digest, size: usize) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

fn platform_json(platform: &str) -> Value {
    let mut parts = platform.splitn(3, '/');
    let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match parts.next() {
        Some(variant) => json!({ "os": os, "architecture": architecture, "variant": variant }),
        None => json!({ "os": os, "architecture": architecture }),
    }
}

#[cfg(test)]
mod tests;
