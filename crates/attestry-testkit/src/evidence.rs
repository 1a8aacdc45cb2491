//! Evidence about a playground image, as a registry without gaps would give it. Genuine and forged alike.

use std::collections::BTreeMap;

use attestry_core::{
    Digest, Evidence, Repository, Subject,
    bundle::BUNDLE_V03,
    evidence::{Document, Layout, Listed},
    manifest::OCI_MANIFEST,
};
use attestry_playground::{Image, image::CONFIG};
use attestry_sign::{
    Predicate, SignedAttachment, SigningKey,
    attest::{attestation, image_signature},
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::Seed;

/// Every place where attachments can be.
pub const LAYOUTS: [Layout; 3] = [Layout::Referrers, Layout::LegacySignatures, Layout::LegacyAttestations];
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// Puts evidence about an image together: first everything that the registry holds of the image itself, then what is
/// attached, in order.
#[derive(Debug, Clone)]
pub struct EvidenceBuilder {
    repository: Repository,
    image: Image,
    evidence: Evidence,
    /// Layer descriptors of the `.sig` and `.att` manifests, which are written at the end.
    legacy: BTreeMap<(Digest, Layout), Vec<Value>>,
}

impl EvidenceBuilder {
    /// The image in `repository`, with all manifests and configurations and no attachment anywhere.
    pub fn new(repository: &str, image: &Image) -> Self {
        let repository: Repository = repository.parse().unwrap();
        let mut evidence = Evidence::new(&Subject { repository: repository.clone(), digest: image.digest() });
        for manifest in image.manifests() {
            let document = Document { media_type: manifest.media_type.clone(), bytes: manifest.bytes.clone() };
            evidence.insert(manifest.digest, document).unwrap();
            for layout in LAYOUTS {
                evidence.listings.insert((manifest.digest, layout), Vec::new());
            }
        }
        for platform in image.platforms() {
            let bytes = image.blob(platform.config).unwrap().clone();
            evidence.insert(platform.config, Document { media_type: String::new(), bytes }).unwrap();
        }
        Self { repository, image: image.clone(), evidence, legacy: BTreeMap::new() }
    }

    /// The evidence.
    pub fn build(mut self) -> Evidence {
        for ((of, layout), layers) in std::mem::take(&mut self.legacy) {
            let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
            let config = json!({ "rootfs": { "type": "layers", "diff_ids": diff_ids } }).to_string();
            let manifest = json!({
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(CONFIG, config.as_bytes()),
                "layers": layers,
            });
            let digest = self.add(OCI_MANIFEST, manifest.to_string());
            self.list(of, layout, Listed { digest, artifact_type: None, predicate_type: None });
        }
        self.evidence
    }

    /// Signs the image as `attestry sign` does.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Self {
        let of = self.image.digest();
        self.sign_of(of, key)
    }

    /// Signs every platform's manifest and the index, as `--recursive` does.
    #[must_use]
    pub fn sign_recursively(self, key: &SigningKey) -> Self {
        let all: Vec<Digest> = self.image.manifests().iter().map(|manifest| manifest.digest).collect();
        all.into_iter().fold(self, |builder, of| builder.sign_of(of, key))
    }

    /// Signs the image or one of its children.
    #[must_use]
    pub fn sign_of(self, of: Digest, key: &SigningKey) -> Self {
        let signed = SignedAttachment::bundle(key, &self.signature_statement(of), of).unwrap();
        self.attach(of, &signed)
    }

    /// Attests a predicate whose type is told from its content.
    #[must_use]
    pub fn attest(self, key: &SigningKey, predicate: &Value) -> Self {
        let of = self.image.digest();
        self.attest_of(of, key, &read_predicate(predicate, None))
    }

    /// Attests a predicate under this type.
    #[must_use]
    pub fn attest_as(self, key: &SigningKey, predicate_type: &str, predicate: &Value) -> Self {
        let of = self.image.digest();
        self.attest_of(of, key, &read_predicate(predicate, Some(predicate_type)))
    }

    /// Attests a predicate of the image or one of its children.
    #[must_use]
    pub fn attest_of(self, of: Digest, key: &SigningKey, predicate: &Predicate) -> Self {
        let statement = attestation(&self.repository, of, predicate);
        let signed = SignedAttachment::bundle(key, &statement, of).unwrap();
        self.attach(of, &signed)
    }

    /// Signs the image as a layer of cosign's `.sig` tag.
    #[must_use]
    pub fn sign_legacy(self, key: &SigningKey) -> Self {
        let of = self.image.digest();
        let signed = SignedAttachment::legacy_signature(key, &self.repository, of, &BTreeMap::new()).unwrap();
        self.attach_legacy(of, Layout::LegacySignatures, &signed)
    }

    /// Attests a predicate as a layer of cosign's `.att` tag.
    #[must_use]
    pub fn attest_legacy(self, key: &SigningKey, predicate: &Value) -> Self {
        let of = self.image.digest();
        let statement = attestation(&self.repository, of, &read_predicate(predicate, None));
        let signed = SignedAttachment::legacy_attestation(key, &statement, of).unwrap();
        self.attach_legacy(of, Layout::LegacyAttestations, &signed)
    }

    /// Attaches a finished bundle to `of`, whatever it is about (attack 1).
    #[must_use]
    pub fn attach(self, of: Digest, signed: &SignedAttachment) -> Self {
        let hint = Some(signed.statement().predicate_type.as_str());
        self.attach_as(of, of, BUNDLE_V03, hint, signed.bytes().clone())
    }

    /// Attaches any bytes to the image as a bundle: what [`crate::mutate`] makes.
    #[must_use]
    pub fn attach_bytes(self, bytes: impl Into<Bytes>) -> Self {
        let of = self.image.digest();
        self.attach_as(of, of, BUNDLE_V03, None, bytes.into())
    }

    /// A referrer in every detail: listed under `of`, with a manifest whose subject is `subject` (attack 44 where
    /// they differ) and a layer of type `media_type`; the listing claims `predicate_type` (attack 5).
    #[must_use]
    pub fn attach_as(
        mut self,
        of: Digest,
        subject: Digest,
        media_type: &str,
        predicate_type: Option<&str>,
        bytes: Bytes,
    ) -> Self {
        let empty = json!({ "mediaType": EMPTY, "digest": Digest::of("{}"), "size": 2 });
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": media_type,
            "config": empty,
            "layers": [descriptor(media_type, &bytes)],
            "subject": self.subject_descriptor(subject),
        });
        if let Some(predicate_type) = predicate_type {
            manifest["annotations"] = json!({ PREDICATE_TYPE: predicate_type });
        }
        self.add("", bytes);
        let digest = self.add(OCI_MANIFEST, manifest.to_string());
        let predicate_type = predicate_type.map(str::to_owned);
        self.list(of, Layout::Referrers, Listed { digest, artifact_type: Some(media_type.to_owned()), predicate_type });
        self
    }

    /// Attaches a finished legacy layer to the `.sig` or `.att` tag of `of`.
    #[must_use]
    pub fn attach_legacy(self, of: Digest, layout: Layout, signed: &SignedAttachment) -> Self {
        self.attach_legacy_layer(of, layout, signed.media_type(), &signed.layer_annotations(), signed.bytes().clone())
    }

    /// A legacy layer in every detail.
    #[must_use]
    pub fn attach_legacy_layer(
        mut self,
        of: Digest,
        layout: Layout,
        media_type: &str,
        annotations: &BTreeMap<String, String>,
        bytes: Bytes,
    ) -> Self {
        let mut layer = descriptor(media_type, &bytes);
        layer["annotations"] = json!(annotations);
        self.add("", bytes);
        self.legacy.entry((of, layout)).or_default().push(layer);
        self
    }

    /// The statement "this is signed" about any digest, to be signed and attached where it does not belong.
    pub fn signature_statement(&self, about: Digest) -> attestry_core::statement::Statement {
        image_signature(&self.repository, about, &BTreeMap::new())
    }

    fn add(&mut self, media_type: &str, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.evidence.insert(digest, Document { media_type: media_type.to_owned(), bytes }).unwrap();
        digest
    }

    fn list(&mut self, of: Digest, layout: Layout, entry: Listed) {
        self.evidence.listings.entry((of, layout)).or_default().push(entry);
    }

    fn subject_descriptor(&self, subject: Digest) -> Value {
        match self.image.manifest(subject) {
            Some(manifest) => manifest.descriptor(),
            None => json!({ "mediaType": OCI_MANIFEST, "digest": subject, "size": 2 }),
        }
    }
}

/// A random part of the evidence: documents, listings and entries of listings are missing, without a gap that says so.
///
/// The subject stays. A review of the part must never be more trusted than a review of the whole.
pub fn part(whole: &Evidence, seed: &mut Seed) -> Evidence {
    let mut part = Evidence::new(&whole.subject().unwrap());
    for (digest, document) in whole.documents() {
        if seed.flip() {
            part.insert(*digest, document.clone()).unwrap();
        }
    }
    for (place, entries) in &whole.listings {
        if seed.flip() {
            part.listings.insert(*place, entries.iter().filter(|_| seed.flip()).cloned().collect());
        }
    }
    part.gaps.clone_from(&whole.gaps);
    part
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len() })
}

fn read_predicate(predicate: &Value, predicate_type: Option<&str>) -> Predicate {
    Predicate::read(predicate.to_string().as_bytes(), predicate_type).unwrap()
}

#[cfg(test)]
mod tests;
