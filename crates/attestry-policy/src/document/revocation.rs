//! `Revocation`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PatternSpec;

/// What is no longer trusted. Beats every policy; append-only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationSpec {
    /// What and why.
    pub entries: Vec<RevocationEntrySpec>,
}

/// One revoked thing: exactly one of `digest`, `keyId`, `identity`, `authority`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevocationEntrySpec {
    /// An image, an attachment, or the payload that an attachment signs, as `attestry tree` prints them. Whoever can push
    /// can store one signature in many attachments: the payload's digest revokes them all, and with them everybody else's
    /// signature over the very same text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// SHA-256 of a public key (SPKI DER), as `attestry key public` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// An identity at an issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentitySpec>,
    /// Name of an `Authority`: its key or identity, under whatever name that comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// RFC 3339. Spares only what was proven to be signed earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Why, for whoever is refused.
    pub reason: String,
}

/// An identity at an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentitySpec {
    /// The OIDC issuer, exactly.
    pub issuer: String,
    /// The certificate's subject alternative name.
    pub subject: PatternSpec,
}
