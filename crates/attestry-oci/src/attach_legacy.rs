//! cosign's older layout: one more layer of the manifest at the tag `sha256-<hex>.sig` or `.att`.

use std::collections::BTreeMap;

use attestry_core::{
    GapCause, Subject,
    evidence::Layout,
    manifest::{DOCKER_MANIFEST, OCI_MANIFEST},
};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    Client,
    attach::{Attached, Place, to_json},
    budget::{Budget, Kind},
    error::OciError,
    listing::tag,
    tag_list::{TagContent, TagList},
};

/// One signature or attestation in cosign's older layout.
#[derive(Debug, Clone)]
pub struct LegacyLayer {
    /// Which tag it goes to.
    pub kind: LegacyKind,
    /// The payload: a simple-signing document or an envelope.
    pub bytes: Bytes,
    /// Annotations of the layer, which hold the signature.
    pub annotations: BTreeMap<String, String>,
}

/// Which of cosign's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyKind {
    /// `.sig`, simple-signing payloads.
    Signature,
    /// `.att`, envelopes.
    Attestation,
}

impl LegacyKind {
    const fn layout(self) -> Layout {
        match self {
            Self::Signature => Layout::LegacySignatures,
            Self::Attestation => Layout::LegacyAttestations,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Signature => "application/vnd.dev.cosign.simplesigning.v1+json",
            Self::Attestation => "application/vnd.dsse.envelope.v1+json",
        }
    }
}

const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

impl Client {
    /// Appends a layer to the tag's manifest and reads it back; the same layer is not appended twice.
    pub async fn attach_legacy(&self, subject: &Subject, layer: &LegacyLayer) -> Result<Attached, OciError> {
        let budget = Budget::of(self.transport.limits.push_time);
        let limit = self.transport.limits.attachment;
        let size = layer.bytes.len() as u64;
        if size > limit {
            return Err(OciError::TooLarge { what: "payload", size, limit });
        }
        match self.manifest(&subject.repository, subject.digest, &budget).await {
            Ok(_) => {}
            Err(fault) if fault.cause == GapCause::NotFound => return Err(OciError::SubjectMissing(subject.clone())),
            Err(fault) => return Err(fault.error(subject.repository.host())),
        }
        let _turn = self.turns.of(subject).await;
        let (content, _) = self.upload(&subject.repository, layer.bytes.clone(), None, &budget).await?;
        let entry = json!({
            "mediaType": layer.kind.media_type(),
            "size": size,
            "digest": content,
            "annotations": layer.annotations,
        });
        let list = LegacyList { client: self, subject, tag: tag(subject.digest, layer.kind.layout()) };
        let (existed, manifest) = self.add_to_tag(&list, entry, &budget).await?;
        Ok(Attached { manifest, content, place: Place::Tag(list.tag), existed })
    }
}

struct LegacyList<'a> {
    client: &'a Client,
    subject: &'a Subject,
    tag: String,
}

impl TagList for LegacyList<'_> {
    fn subject(&self) -> &Subject {
        self.subject
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn member(&self) -> &'static str {
        "layers"
    }

    /// Many signatures share one payload; they differ in their annotations.
    fn same(&self, a: &Value, b: &Value) -> bool {
        a.get("digest") == b.get("digest") && a.get("annotations") == b.get("annotations")
    }

    async fn read(&self, budget: &Budget) -> Result<TagContent, OciError> {
        let repository = &self.subject.repository;
        let failed = |fault: crate::error::Fault| fault.error(repository.host());
        let answer = match self.client.get_manifest(repository, &self.tag, Kind::Listing, budget).await {
            Ok(answer) => answer,
            Err(fault) if fault.cause == GapCause::NotFound => return Ok(TagContent::Absent),
            Err(fault) => return Err(failed(fault)),
        };
        let etag = answer.header(&reqwest::header::ETAG).map(str::to_owned);
        let document =
            self.client.document(answer, self.client.transport.limits.manifest, budget).await.map_err(failed)?;
        match document.media_type.as_str() {
            OCI_MANIFEST | DOCKER_MANIFEST => Ok(TagContent::Document { body: document.bytes, etag }),
            _ => Ok(TagContent::Other(document.media_type)),
        }
    }

    /// The config is derived from the layers, as go-containerregistry writes it, so it is made anew each time.
    async fn prepare(
        &self,
        document: Option<Value>,
        entries: Vec<Value>,
        budget: &Budget,
    ) -> Result<(String, Value), OciError> {
        let mut manifest = document.unwrap_or_else(|| json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST}));
        let is_docker = manifest.get("mediaType").is_some_and(|media_type| media_type == DOCKER_MANIFEST);
        let (media_type, config_type) =
            if is_docker { (DOCKER_MANIFEST, DOCKER_CONFIG) } else { (OCI_MANIFEST, OCI_CONFIG) };
        let config = Bytes::from(legacy_config(&entries));
        let size = config.len();
        let (digest, _) = self.client.upload(&self.subject.repository, config, None, budget).await?;
        manifest["mediaType"] = media_type.into();
        manifest["config"] = json!({"mediaType": config_type, "size": size, "digest": digest});
        manifest["layers"] = Value::Array(entries);
        Ok((media_type.to_owned(), manifest))
    }
}

/// go-containerregistry's empty config with one history item and one diff id per layer: 233 bytes for one layer.
/// Payloads are not compressed, so a diff id is the layer's digest.
fn legacy_config(layers: &[Value]) -> Vec<u8> {
    const EPOCH: &str = "0001-01-01T00:00:00Z";
    #[derive(serde::Serialize)]
    struct Config<'a> {
        architecture: &'a str,
        created: &'a str,
        history: Vec<History<'a>>,
        os: &'a str,
        rootfs: RootFs<'a>,
        config: BTreeMap<String, String>,
    }
    #[derive(serde::Serialize)]
    struct History<'a> {
        created: &'a str,
    }
    #[derive(serde::Serialize)]
    struct RootFs<'a> {
        r#type: &'a str,
        diff_ids: Vec<&'a Value>,
    }
    to_json(&Config {
        architecture: "",
        created: EPOCH,
        history: layers.iter().map(|_| History { created: EPOCH }).collect(),
        os: "",
        rootfs: RootFs { r#type: "layers", diff_ids: layers.iter().filter_map(|layer| layer.get("digest")).collect() },
        config: BTreeMap::new(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use attestry_core::Digest;

    use super::*;

    #[test]
    fn the_config_of_one_layer_is_the_one_that_cosign_writes() {
        let layer = json!({"digest": Digest::of("payload")});
        let text = String::from_utf8(legacy_config(&[layer])).unwrap();
        let expected = format!(
            "{}{}{}",
            r#"{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":[""#,
            Digest::of("payload"),
            r#""]},"config":{}}"#
        );
        assert_eq!(text, expected);
        assert_eq!(text.len(), 233);
    }
}
