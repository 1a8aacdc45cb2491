//! What was judged: one subject under one policy set, as a value that is stored and can be reproduced.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{API_VERSION, Digest, ENGINE, Reason, Repository, Timestamp, canonical};

/// The three answers. Ordered from best to worst, so that the overall verdict is the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Every requirement is met by verified facts.
    Trusted,
    /// Something needed could not be read; later evidence may turn it either way.
    Undeterminable,
    /// Everything was read and a requirement is not met, or something is revoked.
    Untrusted,
}

impl Verdict {
    /// The verdict as it is written in JSON and text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trusted => "trusted",
            Self::Undeterminable => "undeterminable",
            Self::Untrusted => "untrusted",
        }
    }
}

/// What a policy does with its verdict (`spec.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum Mode {
    /// Refuse what is not trusted.
    #[default]
    Enforce,
    /// Admit with warnings.
    Warn,
    /// Admit and record.
    Audit,
}

/// What a policy does when the answer cannot be known (`spec.onUndeterminable`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum OnUndeterminable {
    /// Refuse.
    #[default]
    Deny,
    /// Admit with a warning, but only while a registry is unreachable, too slow or throttling.
    DangerWarn,
}

/// What a policy says of references without digest (`spec.tags`). Ordered from lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum TagRule {
    /// Judged as resolved now, with a warning, though what runs may differ.
    DangerResolve,
    /// Mutation adds the digest; a Pod that reaches validation unpinned is refused.
    #[default]
    Pin,
    /// Refused.
    Deny,
}

/// What a policy says of a tag that stands beside a digest (`spec.tagBesideDigest`). The digest is judged either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum TagBesideDigest {
    /// It may name anything by now.
    #[default]
    Any,
    /// It must name the same image; one that cannot be read leaves the answer open.
    Same,
}

impl TagBesideDigest {
    /// Whether nothing is asked. Such a rule is not written, so that digests of documents that know none stay.
    pub fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// Whether a requirement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Proven by verified facts. More evidence never takes this away.
    Met,
    /// Not proven, and something is missing that could prove it.
    Undeterminable,
    /// Not proven although everything was read.
    Unmet,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Met => Self::Trusted,
            Outcome::Undeterminable => Self::Undeterminable,
            Outcome::Unmet => Self::Untrusted,
        }
    }
}

/// A verified fact that a requirement used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// Digest of the stored bundle or legacy layer, where the proof is an attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Digest>,
    /// The digest that it vouches for: the subject's, or that of a child of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Platform of that child, such as `linux/arm64/v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Name of the authority whose key or identity made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// SHA-256 of the signing public key (SPKI DER); for a keyless signature that of the certificate's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Digest>,
    /// Who the certificate of a keyless signature names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<ProvenIdentity>,
    /// Predicate type of the signed statement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// The earliest proven time of the signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// More, by kind of requirement: `base`, `build`, `catalog`, `owner`, `builder`, `source`, `config`, `listed`,
    /// `log`, `trustRoot`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// An identity that a certificate authority of the trust root vouches for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvenIdentity {
    /// The OIDC issuer.
    pub issuer: String,
    /// The certificate's one subject alternative name.
    pub subject: String,
}

/// How one requirement of a policy came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequirementReview {
    /// The requirement's name in its policy.
    pub name: String,
    /// Its kind: `signature`, `attestation`, `provenance`, `baseImage`, `config`, `digests`, `anyOf`.
    pub kind: String,
    /// Whether it holds.
    pub outcome: Outcome,
    /// Why not, most telling first. Empty when met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The facts it stands on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proofs: Vec<Proof>,
    /// The alternatives of an `anyOf`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<RequirementReview>,
}

/// How one policy came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyReview {
    /// `metadata.name` of the ImagePolicy.
    pub name: String,
    /// What it does with the verdict.
    pub mode: Mode,
    /// What it does when the answer cannot be known.
    pub on_undeterminable: OnUndeterminable,
    /// What it says of tags.
    pub tags: TagRule,
    /// What it says of a tag beside a digest.
    #[serde(default, skip_serializing_if = "TagBesideDigest::is_any")]
    pub tag_beside_digest: TagBesideDigest,
    /// Its verdict, blind to mode.
    pub verdict: Verdict,
    /// Reasons beside the requirements, such as `namespace-unknown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Its requirements in the order of the document.
    pub requirements: Vec<RequirementReview>,
}

/// The resolved thing that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReviewedSubject {
    /// Repository in normal form.
    pub repository: Repository,
    /// Digest of the manifest or index.
    pub digest: Digest,
    /// Its media type, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

/// The judgement of one subject under one policy set. Same inputs and same engine, same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// `attestry.dev/v1alpha1`.
    pub api_version: String,
    /// `Review`.
    pub kind: String,
    /// The repository that was named.
    pub repository: Repository,
    /// The subject; absent where a tag could not be resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<ReviewedSubject>,
    /// The namespace under which policies were selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The overall verdict: the worst of all policies and findings.
    pub verdict: Verdict,
    /// What holds whatever the policies say: `revoked`, `no-policy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Reason>,
    /// One entry for each policy that matches, ordered by name.
    pub policies: Vec<PolicyReview>,
    /// Digest of the policy set.
    pub policy_set: Digest,
    /// Digest that names the evidence.
    pub evidence: Digest,
    /// Version of the deciding code.
    pub engine: String,
    /// The `now` of the review.
    pub evaluated_at: Timestamp,
    /// For a trusted review: the first moment at which time alone could change it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl Review {
    /// `kind` of a stored review.
    pub const KIND: &str = "Review";

    /// The fixed fields of every review of this engine.
    pub fn header() -> (String, String, String) {
        (API_VERSION.to_owned(), Self::KIND.to_owned(), ENGINE.to_owned())
    }

    /// The canonical bytes that are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_vec(self)
    }

    /// The digest that names this review.
    pub fn name(&self) -> Digest {
        Digest::of(self.to_bytes())
    }

    /// Every reason against trust, findings first, then by policy and requirement, alternatives last. What is met
    /// has none, whatever its alternatives say.
    pub fn reasons(&self) -> impl Iterator<Item = &Reason> {
        let of_policies = self.policies.iter().flat_map(|policy| {
            let unproven = policy.requirements.iter().filter(|requirement| requirement.outcome != Outcome::Met);
            policy.reasons.iter().chain(unproven.flat_map(|requirement| {
                requirement.reasons.iter().chain(requirement.alternatives.iter().flat_map(|a| a.reasons.iter()))
            }))
        });
        self.findings.iter().chain(of_policies)
    }
}
