//! What was answered: the enforcement that follows from reviews, and the record of it.

use serde::{Deserialize, Serialize};

use crate::{API_VERSION, Digest, Reason, Timestamp, Verdict, canonical};

/// Where an answer is used, which decides what a tag means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Use {
    /// The command line and `/v1/reviews`: nothing runs because of it, so tags are judged and warned of.
    Advice,
    /// A Pod in admission: what is admitted runs.
    Pod,
    /// The Pod template of a workload in admission: its Pods are judged again.
    Template,
}

/// One refusal or warning, with the place in the policy set that it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objection {
    /// The policy; absent where none is to blame (`no-policy`, `revoked`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The requirement within it; absent for tags and the like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement: Option<String>,
    /// Why.
    pub reason: Reason,
}

/// What follows from a review: the verdict is blind to modes, this is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// Whether the image may run.
    pub allowed: bool,
    /// Whether a refusal comes only from what could not be known.
    pub undeterminable: bool,
    /// Why not. Empty exactly when allowed.
    pub denials: Vec<Objection>,
    /// What a person should know all the same.
    pub warnings: Vec<Objection>,
}

/// An image as the request names it, with every place where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestImage {
    /// The text of the image field.
    pub image: String,
    /// Field paths such as `spec.containers[0].image`.
    pub fields: Vec<String>,
}

/// What was asked. Never the object itself, its environment, annotations or the user's extras (attack 91).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionRequest {
    /// The AdmissionReview's uid.
    pub uid: String,
    /// CREATE or UPDATE.
    pub operation: String,
    /// `group/version/Kind`, `v1/Pod` for the core group.
    pub kind: String,
    /// The object's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name, or `generateName` and `*`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its uid, if it has one yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_uid: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// Every image that was judged.
    pub images: Vec<RequestImage>,
}

/// How one image of the request came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageDecision {
    /// The text of the image field.
    pub image: String,
    /// The digest that was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// What the tag beside that digest named, where a policy asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<Digest>,
    /// The verdict; absent where the reference could not even be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Digest of the stored Review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Digest>,
    /// What followed.
    pub answer: Answer,
}

/// What the service answered and recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// `attestry.dev/v1alpha1`.
    pub api_version: String,
    /// `Decision`.
    pub kind: String,
    /// When it was answered.
    pub time: Timestamp,
    /// What was asked.
    pub request: DecisionRequest,
    /// Whether the object was admitted.
    pub allowed: bool,
    /// How each image came out.
    pub images: Vec<ImageDecision>,
    /// Why the object as a whole was refused, beside its images (`kind-unsupported`, `record-failed`) or only
    /// recorded (`unguarded`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Digest of the policy set in force.
    pub policy_set: Digest,
}

impl Decision {
    /// `kind` of a stored decision.
    pub const KIND: &str = "Decision";

    /// A decision at `time` over nothing yet.
    pub fn new(time: Timestamp, request: DecisionRequest, policy_set: Digest) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            time,
            request,
            allowed: true,
            images: Vec::new(),
            reasons: Vec::new(),
            policy_set,
        }
    }

    /// The canonical bytes that are stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_vec(self)
    }
}
