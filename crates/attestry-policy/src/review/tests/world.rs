//! Evidence built by hand: an image or an index, and attachments signed by keys from seeds.

use std::collections::BTreeMap;

use attestry_core::{
    Digest, Evidence, Need, Needs, Subject,
    bundle::{BUNDLE_V03, key_bundle},
    crypto::PublicKey,
    envelope::{EnvelopeJson, IN_TOTO, pae},
    evidence::{Document, Layout, Listed},
    legacy,
    manifest::{OCI_INDEX, OCI_MANIFEST},
    statement::Statement,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use p256::{
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    pkcs8::{EncodePublicKey, LineEnding},
};
use serde_json::{json, value::RawValue};

pub(super) struct World {
    pub(super) evidence: Evidence,
    pub(super) children: Vec<Digest>,
}

fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32].into()).unwrap()
}

pub(super) fn public_pem(seed: u8) -> String {
    secret(seed).verifying_key().to_public_key_pem(LineEnding::LF).unwrap()
}

fn public(seed: u8) -> PublicKey {
    PublicKey::from_pem(&public_pem(seed)).unwrap()
}

/// An Authority document for the key of a seed.
pub(super) fn key(name: &str, seed: u8) -> String {
    let pem = json!(public_pem(seed));
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: {name}}}\nspec: {{key: {{pem: {pem}}}}}\n"
    )
}

/// An ImagePolicy over registry.example with these requirements.
pub(super) fn policy(require: &str) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: production}}\nspec:\n  match: {{images: [\"registry.example/**\"]}}\n  require:\n    {require}\n"
    )
}

pub(super) fn subject_manifest() -> (&'static str, Vec<u8>) {
    manifest("amd64")
}

fn manifest(salt: &str) -> (&'static str, Vec<u8>) {
    let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(salt), "size": salt.len()});
    (
        OCI_MANIFEST,
        serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []}))
            .unwrap(),
    )
}

impl World {
    pub(super) fn image() -> Self {
        Self::of(subject_manifest(), Vec::new())
    }

    /// An index of two platforms and one of BuildKit's attestation manifests.
    pub(super) fn index() -> Self {
        let documents = [manifest("amd64"), manifest("arm64")];
        let entry = |document: &(&str, Vec<u8>), os: &str, architecture: &str, annotations: serde_json::Value| {
            json!({"mediaType": document.0, "digest": Digest::of(&document.1), "size": document.1.len(),
                   "platform": {"os": os, "architecture": architecture}, "annotations": annotations})
        };
        let marked = json!({"vnd.docker.reference.type": "attestation-manifest"});
        let manifests = json!([
            entry(&documents[0], "linux", "amd64", json!({})),
            entry(&documents[1], "linux", "arm64", json!({})),
            entry(&manifest("attestation"), "unknown", "unknown", marked),
        ]);
        let index =
            serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})).unwrap();
        Self::of((OCI_INDEX, index), documents.to_vec())
    }

    /// An index of an image and of an index of another one, signed.
    pub(super) fn nested() -> Self {
        let (first, second) = (manifest("amd64"), manifest("arm64"));
        let entry = |document: &(&str, Vec<u8>)| json!({"mediaType": document.0, "digest": Digest::of(&document.1), "size": document.1.len(), "platform": {"os": "linux", "architecture": "x"}});
        let index = |entries: &[serde_json::Value]| {
            (
                OCI_INDEX,
                serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})).unwrap(),
            )
        };
        let inner = index(&[entry(&second)]);
        let outer = index(&[entry(&first), entry(&inner)]);
        let mut world = Self::of(outer, vec![first, inner, second]);
        world.attach(1, attestry_core::predicate::COSIGN_SIGN, "{}");
        world
    }

    /// An image of these layers, whose configuration has these diffIDs and a label, and was read.
    pub(super) fn layered(layers: &[Digest], diff_ids: &[Digest]) -> Self {
        Self::configured(
            layers,
            &json!({
                "os": "linux",
                "architecture": "amd64",
                "config": {"Labels": {"team": "shop"}},
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }),
        )
    }

    /// An image of these layers with this configuration, which was read.
    pub(super) fn configured(layers: &[Digest], config: &serde_json::Value) -> Self {
        let config = serde_json::to_vec(config).unwrap();
        let layer = |digest: &Digest| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(&config), "size": config.len()},
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
            "annotations": {"org.opencontainers.image.version": "1.2"},
        });
        let mut world = Self::of((OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap()), Vec::new());
        world.insert("", config);
        world
    }

    /// An index with entries of this type and these digests, none of which was read.
    pub(super) fn index_over(media_type: &str, children: &[Digest]) -> Self {
        let entry = |digest: &Digest| json!({"mediaType": media_type, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": "amd64"}});
        let entries: Vec<_> = children.iter().map(entry).collect();
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        Self::of((OCI_INDEX, serde_json::to_vec(&index).unwrap()), Vec::new())
    }

    /// An index around an index around an index, `levels` of them, around one image. The image is the last child.
    pub(super) fn tower(levels: usize) -> Self {
        let mut documents = vec![manifest("amd64")];
        for _ in 0..levels {
            let (media_type, bytes) = &documents[0];
            let entry = json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len(), "platform": {"os": "linux", "architecture": "amd64"}});
            let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]});
            documents.insert(0, (OCI_INDEX, serde_json::to_vec(&index).unwrap()));
        }
        let subject = documents.remove(0);
        Self::of(subject, documents)
    }

    /// The evidence without one document.
    pub(super) fn without(&self, digest: Digest) -> Evidence {
        let mut evidence = Evidence::new(&self.evidence.subject().unwrap());
        for (name, document) in self.evidence.documents().filter(|(name, _)| **name != digest) {
            evidence.insert(*name, document.clone()).unwrap();
        }
        evidence.listings = self.evidence.listings.clone();
        evidence
    }

    fn of(subject: (&'static str, Vec<u8>), children: Vec<(&'static str, Vec<u8>)>) -> Self {
        let repository = "registry.example/shop/app".parse().unwrap();
        let evidence = Evidence::new(&Subject { repository, digest: Digest::of(&subject.1) });
        let mut world = Self { evidence, children: children.iter().map(|child| Digest::of(&child.1)).collect() };
        for (media_type, bytes) in std::iter::once(subject).chain(children) {
            let digest = world.insert(media_type, bytes);
            for layout in [Layout::Referrers, Layout::LegacySignatures, Layout::LegacyAttestations] {
                world.evidence.listings.insert((digest, layout), Vec::new());
            }
        }
        world
    }

    pub(super) fn digest(&self) -> Digest {
        self.evidence.digest.unwrap()
    }

    fn insert(&mut self, media_type: &str, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.evidence.insert(digest, Document { media_type: media_type.to_owned(), bytes: bytes.into() }).unwrap();
        digest
    }

    pub(super) fn attach(&mut self, seed: u8, predicate_type: &str, predicate: &str) {
        self.attach_to(self.digest(), seed, predicate_type, predicate);
    }

    pub(super) fn attach_to(&mut self, of: Digest, seed: u8, predicate_type: &str, predicate: &str) {
        let bundle = bundle(of, seed, predicate_type, predicate);
        self.store(of, bundle);
    }

    /// A bundle about another digest, stored under our subject.
    pub(super) fn attach_about(&mut self, about: Digest, seed: u8, predicate_type: &str, predicate: &str) {
        let bundle = bundle(about, seed, predicate_type, predicate);
        self.store(self.digest(), bundle);
    }

    /// A bundle whose payload was changed after signing.
    pub(super) fn attach_tampered(&mut self, seed: u8) {
        let predicate_type = attestry_core::predicate::COSIGN_SIGN;
        let statement = statement(self.digest(), predicate_type, r#"{"changed":true}"#);
        let (_, signature) = sign(seed, b"something else");
        let envelope = EnvelopeJson::new(IN_TOTO, &statement, signature.as_bytes());
        self.store(self.digest(), key_bundle(&public(seed).id(), &envelope));
    }

    pub(super) fn attach_legacy(&mut self, seed: u8) {
        let of = self.digest();
        let payload = legacy::payload(&self.evidence.repository, of, None);
        let (_, signature) = sign(seed, &payload);
        let annotations = json!({legacy::SIGNATURE_ANNOTATION: STANDARD.encode(signature.as_bytes())});
        let layer = json!({"mediaType": legacy::SIMPLE_SIGNING, "digest": Digest::of(&payload), "size": payload.len(), "annotations": annotations});
        self.insert("", payload);
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": empty(), "layers": [layer]});
        let digest = self.insert(OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap());
        let listed = Listed { digest, artifact_type: None, predicate_type: None };
        self.evidence.listings.insert((of, Layout::LegacySignatures), vec![listed]);
    }

    fn store(&mut self, of: Digest, bundle: Vec<u8>) {
        let layer = json!({"mediaType": BUNDLE_V03, "digest": Digest::of(&bundle), "size": bundle.len()});
        self.insert("", bundle);
        let subject = json!({"mediaType": OCI_MANIFEST, "digest": of, "size": 1});
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": BUNDLE_V03, "config": empty(), "layers": [layer], "subject": subject});
        let digest = self.insert(OCI_MANIFEST, serde_json::to_vec(&manifest).unwrap());
        let listed = Listed { digest, artifact_type: Some(BUNDLE_V03.to_owned()), predicate_type: None };
        self.evidence.listings.entry((of, Layout::Referrers)).or_default().push(listed);
    }

    /// The evidence without what `keep` leaves out: documents, whole listings, and entries of listings.
    pub(super) fn subset(&self, keep: &[bool]) -> Evidence {
        let mut keep = keep.iter().copied().cycle();
        let mut kept = || keep.next().unwrap_or(true);
        let mut evidence = Evidence::new(&self.evidence.subject().unwrap());
        for (digest, document) in self.evidence.documents() {
            if kept() {
                evidence.insert(*digest, document.clone()).unwrap();
            }
        }
        let mut listings: BTreeMap<_, _> = self.evidence.listings.clone();
        listings.retain(|_, entries| {
            entries.retain(|_| kept());
            kept()
        });
        evidence.listings = listings;
        evidence
    }

    /// Answers needs from complete evidence, as a registry would.
    pub(super) fn serve(full: &Evidence, evidence: &mut Evidence, needs: Needs) {
        for need in needs {
            match need {
                Need::Manifest { digest } | Need::Blob { digest, .. } => {
                    evidence.insert(digest, full.document(&digest).unwrap().clone()).unwrap();
                }
                Need::Listing { of, layout } => {
                    evidence.listings.insert((of, layout), full.listings[&(of, layout)].clone());
                }
                Need::Resolve { .. } => panic!("policy never asks for a tag"),
            }
        }
    }
}

fn empty() -> serde_json::Value {
    json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of("{}"), "size": 2})
}

fn statement(about: Digest, predicate_type: &str, predicate: &str) -> Vec<u8> {
    let predicate = RawValue::from_string(predicate.to_owned()).unwrap();
    Statement::about(&"registry.example/shop/app".parse().unwrap(), about, None, predicate_type, predicate).to_bytes()
}

/// Digest of what a bundle about `about` signs.
pub(super) fn payload_digest(about: Digest, predicate_type: &str, predicate: &str) -> Digest {
    Digest::of(statement(about, predicate_type, predicate))
}

fn sign(seed: u8, message: &[u8]) -> (PublicKey, DerSignature) {
    (public(seed), secret(seed).sign(message))
}

fn bundle(about: Digest, seed: u8, predicate_type: &str, predicate: &str) -> Vec<u8> {
    let payload = statement(about, predicate_type, predicate);
    let (public, signature) = sign(seed, &pae(IN_TOTO, &payload));
    key_bundle(&public.id(), &EnvelopeJson::new(IN_TOTO, &payload, signature.as_bytes()))
}
