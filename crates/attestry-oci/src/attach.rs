//! Storing a bundle beside its image so that it is found again.
//!
//! Success is what was read back, nothing less: registries exist that accept a manifest with a `subject` and list
//! it nowhere (attack 43), and where the list is a tag, two writers overwrite each other (attack 68).

use std::{collections::BTreeMap, time::Duration};

use attestry_core::{
    Digest, GapCause, Subject, Timestamp,
    evidence::{Document, Layout},
    manifest::{Manifest, OCI_INDEX, OCI_MANIFEST},
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    Client,
    budget::Budget,
    error::OciError,
    listing::{FallbackIndex, PREDICATE_TYPE, tag},
    tag_list::{SETTLE, TagContent, TagList},
};

/// Media and artifact type of a bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONTENT: &str = "dev.sigstore.bundle.content";
const CREATED: &str = "org.opencontainers.image.created";

/// A bundle and what its manifest says about it.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The bundle as JSON.
    pub bytes: Bytes,
    /// Predicate type of its statement: a hint for whoever lists.
    pub predicate_type: String,
    /// When it was made.
    pub created: Timestamp,
    /// Further annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

/// An attachment that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attached {
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The digest of its content.
    pub content: Digest,
    /// Where it is listed.
    pub place: Place,
    /// Whether the very same content was attached before; then nothing was written.
    pub existed: bool,
}

/// Where an attachment is found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The registry's referrers API.
    Referrers,
    /// A tag in the subject's repository.
    Tag(String),
}

/// Reads of a listing after a write; registries with several nodes may lag behind.
const READ_BACKS: u32 = 4;
/// Attachments that are compared with a new one.
const MAX_COMPARED: usize = 128;
const READ_BACK_PAUSE: Duration = Duration::from_millis(200);

impl Client {
    /// Attaches a bundle to an image or index that is in the registry.
    ///
    /// Pushes the blobs, then the manifest by digest, and makes sure that it is listed: by the referrers API
    /// where the registry answers `OCI-Subject`, else in the fallback tag, which is rewritten until our entry and
    /// every entry seen before are in it. A bundle that is attached already is not attached twice.
    pub async fn attach_bundle(&self, subject: &Subject, bundle: &Bundle) -> Result<Attached, OciError> {
        let budget = Budget::of(self.transport.limits.push_time);
        let (repository, host) = (&subject.repository, subject.repository.host());
        let limit = self.transport.limits.attachment;
        let size = bundle.bytes.len() as u64;
        if size > limit {
            return Err(OciError::TooLarge { what: "bundle", size, limit });
        }
        // The subject's type and size are read from the subject, never guessed.
        let image = match self.manifest(repository, subject.digest, &budget).await {
            Ok(image) => image,
            Err(fault) if fault.cause == GapCause::NotFound => return Err(OciError::SubjectMissing(subject.clone())),
            Err(fault) => return Err(fault.error(host)),
        };
        let _turn = self.turns.of(subject).await;

        let (content, existed) = self.upload(repository, bundle.bytes.clone(), None, &budget).await?;
        if existed {
            let mut found = self.find_attached(subject, content, &budget).await?;
            if found.as_ref().is_some_and(|attached| attached.place != Place::Referrers) {
                // Whoever wrote it may have ended before it had settled: somebody with an older list may be writing.
                tokio::time::sleep(SETTLE).await;
                found = self.find_attached(subject, content, &budget).await?;
            }
            if let Some(attached) = found {
                return Ok(attached);
            }
        }
        self.upload(repository, Bytes::from_static(b"{}"), None, &budget).await?;
        let manifest = bundle_manifest(subject, &image, bundle, content);
        let bytes = Bytes::from(to_json(&manifest));
        let digest = Digest::of(&bytes);
        let outcome = self.store_manifest(repository, None, OCI_MANIFEST, bytes.clone(), &budget).await?;

        let place = if outcome.oci_subject {
            self.read_back(subject, digest, &budget).await?;
            Place::Referrers
        } else {
            let entry = json!({
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": bytes.len(),
                "artifactType": BUNDLE,
                "annotations": manifest.annotations,
            });
            let list = FallbackList { client: self, subject, tag: tag(subject.digest, Layout::Referrers) };
            self.add_to_tag(&list, entry, &budget).await?;
            Place::Tag(list.tag)
        };
        Ok(Attached { manifest: digest, content, place, existed: false })
    }

    /// An attachment whose only layer is `content`, if the listing has one.
    async fn find_attached(
        &self,
        subject: &Subject,
        content: Digest,
        budget: &Budget,
    ) -> Result<Option<Attached>, OciError> {
        let repository = &subject.repository;
        let listing = self.listing(repository, subject.digest, Layout::Referrers, budget).await;
        // A listing that cannot be read now would make the read-back fail as well.
        if let Some(fault) = listing.fault {
            return Err(fault.error(repository.host()));
        }
        for entry in listing.entries.into_iter().take(MAX_COMPARED) {
            // An entry that cannot be read is not ours to judge; ours is written beside it.
            let Ok(document) = self.manifest(repository, entry.digest, budget).await else { continue };
            let Ok(Manifest::Image(manifest)) = Manifest::parse(&document.media_type, &document.bytes) else {
                continue;
            };
            let ours = matches!(&manifest.layers[..], [layer] if layer.digest == content);
            if ours && manifest.subject.is_some_and(|of| of.digest == subject.digest) {
                let place = self.place_of(subject, entry.digest, budget).await;
                return Ok(Some(Attached { manifest: entry.digest, content, place, existed: true }));
            }
        }
        Ok(None)
    }

    async fn place_of(&self, subject: &Subject, manifest: Digest, budget: &Budget) -> Place {
        let api = self.referrers(&subject.repository, subject.digest, budget).await;
        match api.entries.iter().any(|entry| entry.digest == manifest) {
            true => Place::Referrers,
            false => Place::Tag(tag(subject.digest, Layout::Referrers)),
        }
    }

    /// Reads the referrers API until it lists `manifest`.
    async fn read_back(&self, subject: &Subject, manifest: Digest, budget: &Budget) -> Result<(), OciError> {
        let (repository, host) = (&subject.repository, subject.repository.host());
        for attempt in 1..=READ_BACKS {
            let listing = self.referrers(repository, subject.digest, budget).await;
            if listing.entries.iter().any(|entry| entry.digest == manifest) {
                return Ok(());
            }
            if let Some(fault) = listing.fault {
                return Err(fault.error(host));
            }
            if attempt < READ_BACKS {
                tokio::time::sleep(READ_BACK_PAUSE * attempt).await;
            }
        }
        Err(OciError::NotListed { host: host.to_owned(), manifest, of: subject.digest })
    }
}

/// The fallback index `sha256-<hex>`.
pub(crate) struct FallbackList<'a> {
    pub(crate) client: &'a Client,
    pub(crate) subject: &'a Subject,
    pub(crate) tag: String,
}

impl TagList for FallbackList<'_> {
    fn subject(&self) -> &Subject {
        self.subject
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    /// One entry per manifest.
    fn same(&self, a: &Value, b: &Value) -> bool {
        a.get("digest") == b.get("digest")
    }

    fn member(&self) -> &'static str {
        "manifests"
    }

    async fn read(&self, budget: &Budget) -> Result<TagContent, OciError> {
        let repository = &self.subject.repository;
        let found = self.client.fallback_index(repository, self.subject.digest, budget).await;
        match found.map_err(|fault| fault.error(repository.host()))? {
            FallbackIndex::Absent => Ok(TagContent::Absent),
            FallbackIndex::Other(media_type) => Ok(TagContent::Other(media_type)),
            FallbackIndex::Index { body, etag } => Ok(TagContent::Document { body, etag }),
        }
    }

    async fn prepare(
        &self,
        document: Option<Value>,
        entries: Vec<Value>,
        _: &Budget,
    ) -> Result<(String, Value), OciError> {
        let mut index = document.unwrap_or_else(|| json!({"schemaVersion": 2, "mediaType": OCI_INDEX}));
        index["manifests"] = Value::Array(entries);
        Ok((OCI_INDEX.to_owned(), index))
    }
}

/// The manifest of a bundle, in the field order of the specification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BundleManifest<'a> {
    schema_version: u8,
    media_type: &'a str,
    artifact_type: &'a str,
    config: DescriptorWire<'a>,
    layers: [DescriptorWire<'a>; 1],
    subject: DescriptorWire<'a>,
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DescriptorWire<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
}

fn bundle_manifest<'a>(subject: &Subject, image: &'a Document, bundle: &Bundle, content: Digest) -> BundleManifest<'a> {
    let mut annotations = bundle.annotations.clone();
    annotations.insert(CREATED.to_owned(), bundle.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    annotations.insert(CONTENT.to_owned(), "dsse-envelope".to_owned());
    annotations.insert(PREDICATE_TYPE.to_owned(), bundle.predicate_type.clone());
    let size = |bytes: &[u8]| bytes.len() as u64;
    BundleManifest {
        schema_version: 2,
        media_type: OCI_MANIFEST,
        artifact_type: BUNDLE,
        config: DescriptorWire { media_type: EMPTY, digest: Digest::of("{}"), size: 2 },
        layers: [DescriptorWire { media_type: BUNDLE, digest: content, size: size(&bundle.bytes) }],
        subject: DescriptorWire { media_type: &image.media_type, digest: subject.digest, size: size(&image.bytes) },
        annotations,
    }
}

/// Strings and numbers only, which serde_json always writes.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
