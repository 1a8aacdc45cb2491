//! `BaseCatalog`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Trusted base images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseCatalogSpec {
    /// The bases, each with every build it ever had.
    pub bases: Vec<BaseSpec>,
}

/// A base image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseSpec {
    /// Unique within the catalog.
    pub name: String,
    /// Who looks after it.
    pub owner: OwnerSpec,
    /// The last day of support, `YYYY-MM-DD`, in UTC.
    pub supported_until: String,
    /// Whether it may still be built on.
    pub status: Status,
    /// What to move to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Every rebuild. Never removed, only its status changes.
    #[serde(default)]
    pub builds: Vec<BuildSpec>,
}

/// The people behind a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnerSpec {
    /// The team.
    pub team: String,
    /// How to reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
}

/// Whether a base or a build of it is good to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Status {
    /// Use it.
    Supported,
    /// Move away.
    Deprecated,
    /// Never use it again.
    Revoked,
}

impl Status {
    /// The status as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Supported => "Supported",
            Self::Deprecated => "Deprecated",
            Self::Revoked => "Revoked",
        }
    }
}

/// One build of a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BuildSpec {
    /// RFC 3339.
    pub added_at: String,
    /// Whether this build may be used.
    pub status: Status,
    /// Digest of the index, if the base has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Its images.
    pub platforms: Vec<PlatformSpec>,
}

/// The image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlatformSpec {
    /// Such as `linux/amd64` or `linux/arm64/v8`.
    pub platform: String,
    /// Digest of its manifest.
    pub digest: String,
    /// Digests of the compressed layers, in order.
    pub layers: Vec<String>,
    /// Digests of the unpacked layers, in order.
    #[serde(rename = "diffIDs")]
    pub diff_ids: Vec<String>,
}
