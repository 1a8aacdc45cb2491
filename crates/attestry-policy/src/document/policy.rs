//! `ImagePolicy`.

use std::collections::BTreeMap;

use attestry_core::review::{Mode, OnUndeterminable, TagBesideDigest, TagRule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PatternSpec, Status};

/// What images must prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImagePolicySpec {
    /// Which images it is about.
    #[serde(rename = "match")]
    pub matches: MatchSpec,
    /// What it does with its verdict.
    #[serde(default)]
    #[schemars(with = "super::schema::Mode")]
    pub mode: Mode,
    /// What it does when the answer cannot be known.
    #[serde(default)]
    #[schemars(with = "super::schema::OnUndeterminable")]
    pub on_undeterminable: OnUndeterminable,
    /// What it says of references without digest.
    #[serde(default)]
    #[schemars(with = "super::schema::TagRule")]
    pub tags: TagRule,
    /// What a tag beside a digest must name.
    #[serde(default, skip_serializing_if = "TagBesideDigest::is_any")]
    #[schemars(with = "super::schema::TagBesideDigest")]
    pub tag_beside_digest: TagBesideDigest,
    /// What must be signed where the image has several platforms.
    #[serde(default)]
    pub platforms: PlatformRule,
    /// All must be met. Never empty.
    pub require: Vec<RequirementSpec>,
}

/// Which images a policy is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchSpec {
    /// Globs over `host/repository` in normal form; `**` crosses `/`. Never empty; `**` alone is every image.
    pub images: Vec<String>,
    /// Globs that take images out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_images: Vec<String>,
    /// Which namespaces. Absent: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespacesSpec>,
}

/// Which namespaces a policy is about. All that is given must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NamespacesSpec {
    /// Globs over the name; one must fit. Absent: every name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Globs over the name; none may fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_names: Vec<String>,
    /// Labels that the namespace must have, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// What must be proven where an image has several platforms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub enum PlatformRule {
    /// The index itself.
    Index,
    /// Each runnable child.
    EveryPlatform,
    /// Either.
    #[default]
    IndexOrEveryPlatform,
}

/// One named demand: exactly one of its kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequirementSpec {
    /// Unique within the policy: lower-case letters, digits and `-`.
    pub name: String,
    /// Somebody signed the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureSpec>,
    /// Somebody attested something about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationSpec>,
    /// SLSA provenance says how it was built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<ProvenanceSpec>,
    /// It stands on a trusted base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_image: Option<BaseImageSpec>,
    /// Its configuration is as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigSpec>,
    /// Its digest is listed: images reviewed by people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digests: Option<Vec<String>>,
    /// Alternatives: at least one must be met. They do not nest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub any_of: Option<Vec<RequirementSpec>>,
}

/// A signature by enough of the authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureSpec {
    /// Names of `Authority` documents.
    pub authorities: Vec<String>,
    /// How many distinct ones must have signed. The same key or identity under two names is one.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub threshold: u32,
    /// Whether the signed statement must also name the repository that the image is taken from.
    #[serde(default, skip_serializing_if = "RepositoryRule::is_any")]
    pub repository: RepositoryRule,
}

/// What a signature must say about the repository. The digest decides either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub enum RepositoryRule {
    /// Nothing: an image may be copied together with its signatures.
    #[default]
    Any,
    /// That it is this one.
    Same,
}

impl RepositoryRule {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

fn one() -> u32 {
    1
}

/// An attestation of a wanted type by one of the authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttestationSpec {
    /// Short names, each for every URI of its format: `spdx`, `cyclonedx`, `slsaprovenance`, `vuln`, `openvex`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Exact predicate type URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicate_types: Vec<String>,
    /// Names of `Authority` documents.
    pub authorities: Vec<String>,
    /// The oldest it may be, such as `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// A CEL expression over `predicate`, `statement`, `sbom` and `image` that must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
}

/// SLSA provenance v0.2 or v1 by one of the authorities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvenanceSpec {
    /// Names of `Authority` documents.
    pub authorities: Vec<String>,
    /// Builders, of which one must fit. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builders: Vec<PatternSpec>,
    /// Source repositories, of which one must fit. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<PatternSpec>,
    /// The oldest it may be, such as `720h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
}

/// The image stands on a build of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BaseImageSpec {
    /// Names of `BaseCatalog` documents.
    pub catalogs: Vec<String>,
    /// What the image's first layers must agree in.
    #[serde(default)]
    pub proof: BaseProof,
    /// Statuses that base and build may have: `Supported`, `Deprecated`.
    #[serde(default = "supported")]
    pub allow: Vec<Status>,
    /// The oldest a build may be, such as `2160h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_build_age: Option<String>,
}

fn supported() -> Vec<Status> {
    vec![Status::Supported]
}

/// What the configuration of an image says of how it is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfigSpec {
    /// A CEL expression over `config` and `image` that must be true of every platform.
    pub condition: String,
}

/// What proves that an image stands on a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
pub enum BaseProof {
    /// Compressed layer digests and diffIDs agree.
    #[default]
    Exact,
    /// diffIDs agree: recompression is allowed. Unsafe with lazily pulled layers.
    #[serde(rename = "DiffIDs")]
    DiffIds,
}
