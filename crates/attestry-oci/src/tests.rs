//! The client against a registry that lies, fails, stalls and floods, step by step.
#![allow(clippy::unwrap_used, reason = "tests")]

mod attaching;
mod authorising;
mod layers;
mod listing;
mod pushing;
mod reading;
mod repairing;

use attestry_core::{
    Digest, Evidence, GapCause, Need, Needs, Subject,
    evidence::{BlobRole, Layout},
    manifest::{Manifest, OCI_MANIFEST},
};
use serde_json::json;

use crate::{
    Budget, Client, ClientOptions, Credentials, Limits,
    hostile::{Server, Store},
};

/// A client as the command line has it: loopback and plain HTTP are allowed.
fn user() -> Client {
    user_with(Credentials::Anonymous)
}

fn user_with(credentials: Credentials) -> Client {
    Client::new(&ClientOptions::for_user(credentials)).unwrap()
}

fn user_within(limits: Limits) -> Client {
    let options = ClientOptions { limits, ..ClientOptions::for_user(Credentials::Anonymous) };
    Client::new(&options).unwrap()
}

fn basic() -> Credentials {
    Credentials::Basic { username: "user".into(), password: "secret".into() }
}

/// Needs as a policy would have them: everything that can be found about the subject.
fn everything(of: Digest) -> impl Fn(&Evidence) -> Needs {
    move |evidence: &Evidence| {
        let listing = |layout| Need::Listing { of, layout };
        let mut needs: Needs = [
            Need::Manifest { digest: of },
            listing(Layout::Referrers),
            listing(Layout::LegacySignatures),
            listing(Layout::LegacyAttestations),
        ]
        .into();
        for entry in evidence.listings.values().flatten() {
            needs.insert(Need::Manifest { digest: entry.digest });
        }
        for (_, document) in evidence.documents() {
            if let Ok(Manifest::Image(manifest)) = Manifest::parse(&document.media_type, &document.bytes) {
                needs.extend(manifest.layers.iter().map(|layer| Need::Blob {
                    digest: layer.digest,
                    size: layer.size,
                    role: BlobRole::Attachment,
                }));
            }
        }
        needs
    }
}

async fn collect_everything(client: &Client, subject: &Subject) -> Evidence {
    client.collect(subject, &Budget::default(), everything(subject.digest)).await
}

/// Causes of all gaps, sorted.
fn causes(evidence: &Evidence) -> Vec<GapCause> {
    let mut causes: Vec<GapCause> = evidence.gaps.iter().map(|gap| gap.cause).collect();
    causes.sort();
    causes
}

/// A store with one image `app:1`, one bundle attached to it, and a signature in cosign's tag.
struct Sample {
    store: Store,
    image: Digest,
    bundle: Digest,
    attachment: Digest,
    legacy: Digest,
}

impl Sample {
    fn new(referrers: bool) -> Self {
        let store = Store::new(referrers);
        let mut state = store.state();
        let config = state.blob("{}");
        let descriptor = |digest: Digest, size: usize| json!({"mediaType": "x", "digest": digest, "size": size});
        let image = json!({"schemaVersion": 2, "config": descriptor(config, 2), "layers": []}).to_string();
        let image_size = image.len();
        let image = state.manifest(Some("1"), OCI_MANIFEST, image);
        let bundle = state.blob("a bundle");
        let attachment = json!({
            "schemaVersion": 2, "config": descriptor(config, 2), "layers": [descriptor(bundle, 8)],
            "subject": descriptor(image, image_size),
        });
        let attachment = state.manifest(None, OCI_MANIFEST, attachment.to_string());
        let payload = state.blob("a payload");
        let legacy = json!({"schemaVersion": 2, "config": descriptor(config, 2), "layers": [descriptor(payload, 9)]});
        let tag = format!("sha256-{}.sig", image.hex());
        let legacy = state.manifest(Some(&tag), OCI_MANIFEST, legacy.to_string());
        drop(state);
        Self { store, image, bundle, attachment, legacy }
    }

    async fn serve(&self) -> Server {
        let store = self.store.clone();
        Server::start(move |seen| store.answer(seen)).await
    }
}
