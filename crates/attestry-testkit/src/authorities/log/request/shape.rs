//! The members of each request, and no others.

use attestry_core::envelope::EnvelopeJson;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Proposal {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) spec: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hash {
    pub(super) algorithm: String,
    pub(super) value: String,
}

impl Hash {
    pub(super) fn to_json(&self) -> Value {
        json!({ "algorithm": self.algorithm, "value": self.value })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashedRekord {
    pub(super) data: Data,
    pub(super) signature: Signature,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub(super) hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) content: String,
    pub(super) public_key: Content,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) content: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Dsse {
    pub(super) proposed_content: ProposedContent,
    /// Rekor's own client writes it as null.
    #[serde(default, rename = "signatures")]
    _signatures: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposedContent {
    pub(super) envelope: String,
    pub(super) verifiers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoV001 {
    pub(super) content: EnvelopeText,
    pub(super) public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EnvelopeText {
    pub(super) envelope: String,
    /// What the log works out itself; some clients say it as well.
    pub(super) hash: Option<Hash>,
    pub(super) payload_hash: Option<Hash>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IntotoV002 {
    pub(super) content: IntotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoContent {
    pub(super) envelope: IntotoEnvelope,
    pub(super) hash: Hash,
    pub(super) payload_hash: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoEnvelope {
    pub(super) payload: String,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<IntotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IntotoSignature {
    pub(super) sig: String,
    pub(super) public_key: String,
}

#[derive(Deserialize)]
pub(super) enum RequestV2 {
    #[serde(rename = "hashedRekordRequestV002")]
    HashedRekord(HashedRekordV002),
    /// Until 2026-06.
    #[serde(rename = "dsseRequestV002")]
    Dsse(DsseV002),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DsseV002 {
    pub(super) envelope: EnvelopeJson,
    pub(super) verifiers: Vec<VerifierV2>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HashedRekordV002 {
    pub(super) digest: String,
    pub(super) signature: SignatureV2,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureV2 {
    pub(super) content: String,
    pub(super) verifier: VerifierV2,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VerifierV2 {
    pub(super) key_details: String,
    pub(super) x509_certificate: Option<RawBytes>,
    pub(super) public_key: Option<RawBytes>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawBytes {
    pub(super) raw_bytes: String,
}
