//! Image manifests, indexes and configs (OCI image-spec v1.1.1 and their Docker equivalents), read only.
//!
//! Only what judging needs is kept. The identity of a document is the digest of its raw bytes, so nothing here is
//! ever written back.

mod config;

use std::collections::BTreeMap;

pub use config::ImageConfig;
use serde::Deserialize;

use crate::{
    Digest, strict_json,
    strict_json::{Names, StrictJsonError},
};

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Every type that a client asks for, so that no registry converts or picks a platform.
pub const MANIFEST_TYPES: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

/// How many children of an index are looked at.
pub const MAX_CHILDREN: usize = 64;
/// How deep indexes may nest: an index of indexes is read, deeper is not.
pub const MAX_DEPTH: usize = 2;
const MAX_LAYERS: usize = 1024;

/// A manifest or an index.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "short-lived values, one per document")]
pub enum Manifest {
    /// One image, or an artifact.
    Image(ImageManifest),
    /// A list of manifests.
    Index(Index),
}

/// The manifest of one image or artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// Type of an artifact.
    pub artifact_type: Option<String>,
    /// The image's configuration.
    pub config: Descriptor,
    /// Its layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// What it is attached to.
    pub subject: Option<Descriptor>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its entries.
    pub manifests: Vec<Descriptor>,
    /// What it is attached to.
    pub subject: Option<Descriptor>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A reference to a document by digest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    #[serde(default)]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Type of an artifact.
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// Annotations of the entry.
    #[serde(default)]
    pub annotations: Option<BTreeMap<String, String>>,
    /// What it runs on.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// What an image runs on; written `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct Platform {
    /// For example `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// For example `linux`.
    #[serde(default)]
    pub os: String,
    /// For example `v8`.
    #[serde(default)]
    pub variant: Option<String>,
}

/// Members that say what an image runs on, as a node reads them.
const PLATFORM: &[&str] = &["architecture", "os", "os.version", "os.features", "variant"];
/// Members of a descriptor as a node reads them.
const DESCRIPTOR: Names = Names {
    plain: &[&["mediaType", "digest", "size", "urls", "annotations", "data", "artifactType"]],
    nested: &[("platform", &Names { plain: &[PLATFORM], nested: &[] })],
};
/// Members of manifests and indexes as a node reads them.
const MANIFEST: Names = Names {
    plain: &[&["schemaVersion", "mediaType", "artifactType", "annotations"]],
    nested: &[("config", &DESCRIPTOR), ("layers", &DESCRIPTOR), ("manifests", &DESCRIPTOR), ("subject", &DESCRIPTOR)],
};

/// Why a document is no manifest. The reason code is `registry-malformed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not strict JSON, or not of the shape of its type.
    #[error("the manifest cannot be read: {0}")]
    Json(#[from] StrictJsonError),
    /// As [`Self::Json`], for the configuration of an image.
    #[error("the configuration cannot be read: {0}")]
    Config(#[source] StrictJsonError),
    /// A type that is neither a manifest nor an index.
    #[error("media type {0:?} is no image manifest or index")]
    MediaType(String),
    /// The served type and the document's own `mediaType` differ (attack 29).
    #[error("served as {served:?}, but the document says {inside:?}")]
    TypesDisagree {
        /// The `Content-Type`.
        served: String,
        /// The document's `mediaType`.
        inside: String,
    },
    /// Members of a manifest and of an index in one document (attack 29, GHSA-qq97).
    #[error("the document has members of a manifest and of an index")]
    Polyglot,
    /// More layers or entries than are read.
    #[error("the document lists too many entries")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a document served with `media_type`.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        let wire: Wire = strict_json::read_named(bytes, &MANIFEST)?;
        if let Some(inside) = &wire.media_type
            && inside != media_type
        {
            return Err(ManifestError::TypesDisagree {
                served: crate::reason::clean(media_type, 128),
                inside: crate::reason::clean(inside, 128),
            });
        }
        let annotations = wire.annotations.unwrap_or_default();
        match (media_type, wire.config, wire.layers, wire.manifests) {
            (OCI_MANIFEST | DOCKER_MANIFEST, Some(config), layers, None) => {
                let layers = layers.unwrap_or_default();
                if layers.len() > MAX_LAYERS {
                    return Err(ManifestError::TooLarge);
                }
                let artifact_type = wire.artifact_type.filter(|t| !t.is_empty());
                Ok(Self::Image(ImageManifest { artifact_type, config, layers, subject: wire.subject, annotations }))
            }
            (OCI_INDEX | DOCKER_INDEX, None, None, Some(manifests)) => {
                if manifests.len() > 1024 {
                    return Err(ManifestError::TooLarge);
                }
                Ok(Self::Index(Index { manifests, subject: wire.subject, annotations }))
            }
            (OCI_MANIFEST | DOCKER_MANIFEST, None, _, None) | (OCI_INDEX | DOCKER_INDEX, None, None, None) => {
                Err(StrictJsonError::new("config or manifests is absent").into())
            }
            (OCI_MANIFEST | DOCKER_MANIFEST | OCI_INDEX | DOCKER_INDEX, ..) => Err(ManifestError::Polyglot),
            _ => Err(ManifestError::MediaType(crate::reason::clean(media_type, 128))),
        }
    }
}

impl Descriptor {
    /// Whether this entry of an index is BuildKit's unsigned attestation manifest rather than something that runs.
    ///
    /// Both marks are needed: a runnable child merely labelled `unknown/unknown` must be judged (attack 84).
    pub fn is_attestation_manifest(&self) -> bool {
        let unknown = self.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown");
        let marked = (self.annotations.as_ref())
            .is_some_and(|a| a.get("vnd.docker.reference.type").is_some_and(|t| t == "attestation-manifest"));
        unknown && marked
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(f, "/{variant}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> String {
        format!(r#"{{"mediaType":"x","digest":"{}","size":2}}"#, Digest::of("{}"))
    }

    #[test]
    fn manifests_and_indexes_of_both_families_are_read() {
        let d = descriptor();
        for media_type in [OCI_MANIFEST, DOCKER_MANIFEST] {
            let text = format!(r#"{{"schemaVersion":2,"config":{d},"layers":[{d}],"unknown":1}}"#);
            assert!(
                matches!(Manifest::parse(media_type, text.as_bytes()), Ok(Manifest::Image(m)) if m.layers.len() == 1)
            );
        }
        for media_type in [OCI_INDEX, DOCKER_INDEX] {
            let text = format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{d}]}}"#);
            assert!(matches!(Manifest::parse(media_type, text.as_bytes()), Ok(Manifest::Index(_))));
        }
    }

    #[test]
    fn attack_29_documents_of_two_meanings_are_refused() {
        let d = descriptor();
        for (media_type, text) in [
            (OCI_MANIFEST, format!(r#"{{"config":{d},"layers":[],"manifests":[]}}"#)),
            (OCI_INDEX, format!(r#"{{"manifests":[],"config":{d}}}"#)),
            (OCI_INDEX, r#"{"manifests":[],"layers":[]}"#.to_owned()),
            (OCI_MANIFEST, format!(r#"{{"mediaType":"{OCI_INDEX}","config":{d},"layers":[]}}"#)),
            (OCI_MANIFEST, r#"{"layers":[]}"#.to_owned()),
            (OCI_MANIFEST, format!(r#"{{"config":{d},"config":{d},"layers":[]}}"#)),
            ("application/json", format!(r#"{{"config":{d},"layers":[]}}"#)),
        ] {
            assert!(Manifest::parse(media_type, text.as_bytes()).is_err(), "{media_type} {text}");
        }
    }

    #[test]
    fn attack_27_a_manifest_that_a_node_reads_differently_is_refused() {
        let d = descriptor();
        let other = d.replace("digest", "Digest");
        let platform = d.replace("}", r#","platform":{"OS":"linux"}}"#);
        for (media_type, text) in [
            (OCI_MANIFEST, format!(r#"{{"config":{d},"layers":[{d}],"Layers":[]}}"#)),
            (OCI_MANIFEST, format!(r#"{{"config":{d},"layer\u017f":[]}}"#)),
            (OCI_MANIFEST, format!(r#"{{"config":{d},"CONFIG":{d},"layers":[]}}"#)),
            (DOCKER_MANIFEST, format!(r#"{{"config":{d},"layers":[{other}]}}"#)),
            (OCI_INDEX, format!(r#"{{"manifests":[{d}],"Manifests":[]}}"#)),
            (OCI_INDEX, format!(r#"{{"manifests":[{platform}]}}"#)),
        ] {
            let read = Manifest::parse(media_type, text.as_bytes());
            assert!(matches!(read, Err(ManifestError::Json(_))), "{media_type} {text}: {read:?}");
        }
        let annotated = r#"{"manifests":[],"annotations":{"a":"1","A":"2","Layers":"3"}}"#;
        assert!(Manifest::parse(OCI_INDEX, annotated.as_bytes()).is_ok());
    }

    #[test]
    fn attack_84_only_both_marks_make_an_attestation_manifest() {
        let entry = |platform: &str, annotation: &str| -> Descriptor {
            let digest = Digest::of("");
            serde_json::from_str(&format!(
                r#"{{"mediaType":"x","digest":"{digest}","size":0,"platform":{platform},"annotations":{annotation}}}"#
            ))
            .expect("test data")
        };
        let unknown = r#"{"os":"unknown","architecture":"unknown"}"#;
        let marked = r#"{"vnd.docker.reference.type":"attestation-manifest"}"#;
        assert!(entry(unknown, marked).is_attestation_manifest());
        assert!(!entry(unknown, "{}").is_attestation_manifest());
        assert!(!entry(r#"{"os":"linux","architecture":"amd64"}"#, marked).is_attestation_manifest());
        assert!(!entry("null", marked).is_attestation_manifest());
        for half in [r#"{"os":"unknown","architecture":"amd64"}"#, r#"{"os":"linux","architecture":"unknown"}"#] {
            assert!(!entry(half, marked).is_attestation_manifest(), "{half}");
        }
    }

    #[test]
    fn an_absent_part_is_told_from_two_meanings() {
        let d = descriptor();
        for (media_type, text) in [
            (OCI_MANIFEST, r#"{"layers":[]}"#.to_owned()),
            (DOCKER_MANIFEST, "{}".to_owned()),
            (OCI_INDEX, "{}".to_owned()),
        ] {
            assert!(matches!(Manifest::parse(media_type, text.as_bytes()), Err(ManifestError::Json(_))), "{text}");
        }
        for (media_type, text) in [
            (OCI_MANIFEST, format!(r#"{{"config":{d},"manifests":[]}}"#)),
            (OCI_INDEX, format!(r#"{{"config":{d},"manifests":[]}}"#)),
        ] {
            assert!(matches!(Manifest::parse(media_type, text.as_bytes()), Err(ManifestError::Polyglot)), "{text}");
        }
    }

    #[test]
    fn layers_and_children_are_counted() {
        let d = descriptor();
        let many = |count: usize| vec![d.as_str(); count].join(",");
        let image =
            |count| Manifest::parse(OCI_MANIFEST, format!(r#"{{"config":{d},"layers":[{}]}}"#, many(count)).as_bytes());
        assert!(image(MAX_LAYERS).is_ok());
        assert_eq!(image(MAX_LAYERS + 1), Err(ManifestError::TooLarge));
        let index = |count| Manifest::parse(OCI_INDEX, format!(r#"{{"manifests":[{}]}}"#, many(count)).as_bytes());
        assert!(index(1024).is_ok());
        assert_eq!(index(1025), Err(ManifestError::TooLarge));
    }

    #[test]
    fn an_empty_artifact_type_is_none() {
        let d = descriptor();
        for (text, expected) in [("", None), (r#""artifactType":"","#, None), (r#""artifactType":"a/b","#, Some("a/b"))]
        {
            let text = format!(r#"{{{text}"config":{d}}}"#);
            let Ok(Manifest::Image(image)) = Manifest::parse(OCI_MANIFEST, text.as_bytes()) else { panic!("{text}") };
            assert_eq!(image.artifact_type.as_deref(), expected);
            assert!(image.layers.is_empty());
        }
    }
}
