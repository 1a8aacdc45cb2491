//! The documents as they are written: one struct for each kind, field by field as the reference has them.
//!
//! These are wire types. They hold text where a digest, time or pattern is meant, so that [`crate::compile`] can
//! check it and name the place. Unknown fields are refused everywhere. "Exactly one of" is a struct of options:
//! untagged enums would lose the place of an error.

mod authority;
mod catalog;
mod policy;
mod revocation;
mod schema;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use authority::{AuthoritySpec, KeySpec, KeylessSpec, LogDemand, PublicGood, TransparencyLog, TrustRootSpec};
pub use catalog::{BaseCatalogSpec, BaseSpec, BuildSpec, OwnerSpec, PlatformSpec, Status};
pub use policy::{
    AttestationSpec, BaseImageSpec, BaseProof, ConfigSpec, ImagePolicySpec, MatchSpec, NamespacesSpec, PlatformRule,
    ProvenanceSpec, RepositoryRule, RequirementSpec, SignatureSpec,
};
pub use revocation::{IdentitySpec, RevocationEntrySpec, RevocationSpec};
pub use schema::schema;

/// A document: `apiVersion`, `kind`, `metadata`, `spec`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document<S> {
    /// `attestry.dev/v1alpha1`.
    pub api_version: String,
    /// The kind of document.
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// Its content.
    pub spec: S,
}

/// What names a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Unique within its kind: lower-case letters, digits, `-` and `.`, at most 253 characters.
    pub name: String,
    /// Free text for people and tools. Means nothing to attestry.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The kinds of policy documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who may sign.
    Authority,
    /// A Sigstore trusted root.
    TrustRoot,
    /// The list of trusted base images.
    BaseCatalog,
    /// What is no longer trusted, whatever the policies say.
    Revocation,
    /// What images must prove.
    ImagePolicy,
}

impl Kind {
    /// Every kind, in the order of the reference.
    pub const ALL: [Self; 5] =
        [Self::Authority, Self::TrustRoot, Self::BaseCatalog, Self::Revocation, Self::ImagePolicy];

    /// The kind as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "Authority",
            Self::TrustRoot => "TrustRoot",
            Self::BaseCatalog => "BaseCatalog",
            Self::Revocation => "Revocation",
            Self::ImagePolicy => "ImagePolicy",
        }
    }

    /// The kind that is written so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How a text is compared: exactly one of the three. Always the whole text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatternSpec {
    /// Equal, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// `*` stands for anything but `/`, `**` for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glob: Option<String>,
    /// A regular expression over the whole text, in linear time (RE2 syntax).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}
