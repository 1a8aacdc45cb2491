//! `Authority` and `TrustRoot`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PatternSpec;

/// Who may sign: exactly one of a key and an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthoritySpec {
    /// A public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySpec>,
    /// An identity that a certificate authority vouches for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyless: Option<KeylessSpec>,
}

/// A public key with its validity window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeySpec {
    /// One PEM block `PUBLIC KEY`: ECDSA P-256 or P-384, Ed25519, RSA from 2048 bits.
    pub pem: String,
    /// RFC 3339. Signatures proven to be older are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// RFC 3339. Signatures not proven to be older are refused from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// Name of a `TrustRoot`. Without it log entries and timestamps are not looked at and prove nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_root: Option<String>,
    /// Whether an entry in a transparency log is demanded.
    #[serde(default)]
    pub transparency_log: TransparencyLog,
}

/// What is demanded of a transparency log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "camelCase")]
pub enum TransparencyLog {
    /// Nothing; entries that are there must be good.
    #[default]
    Optional,
    /// A signed promise suffices.
    Promise,
    /// An inclusion proof and a checkpoint.
    Required,
}

/// An identity at an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeylessSpec {
    /// The OIDC issuer, exactly.
    pub issuer: String,
    /// The certificate's one subject alternative name.
    pub subject: PatternSpec,
    /// Fulcio extensions by their documented names, such as `sourceRepositoryOwnerURI`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, PatternSpec>,
    /// Name of a `TrustRoot`.
    pub trust_root: String,
    /// How long after its timestamp a signature may still lack its log entry, as `72h`. Without it, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_log: Option<String>,
}

/// A Sigstore trusted root: exactly one of the three sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustRootSpec {
    /// A `trusted_root.json` in the same directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The text of a `trusted_root.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// Sigstore's public instance: the copy built in, kept fresh over TUF when that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_good: Option<PublicGood>,
    /// Whether certificates must carry a signed certificate timestamp.
    #[serde(default)]
    pub sct: LogDemand,
    /// Whether keyless signatures must have a transparency log entry.
    #[serde(default)]
    pub log: LogDemand,
    /// RFC 3339. From then on the root is stale: what depends on it is undeterminable until it is refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_by: Option<String>,
}

/// Nothing to say yet: `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublicGood {}

/// Whether an instance offers something that is then demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Default)]
pub enum LogDemand {
    /// It is there and must be.
    #[default]
    Required,
    /// The instance has none.
    NotOffered,
}
