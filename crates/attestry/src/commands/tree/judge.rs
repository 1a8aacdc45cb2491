//! Who signed an attachment, and whether that is proven.

use attestry_core::trust_root::{Demands, TrustRoot};
use attestry_core::verify::{Candidate, Verified};
use attestry_core::{Digest, Reason, ReasonCode, Timestamp};
use attestry_policy::PolicySet;
use serde::Serialize;

use super::super::{Context, demand};
use crate::cli::TreeArgs;
use crate::exit::Failure;

/// Against what attachments are verified.
pub(super) enum Judge {
    /// The authorities of policies, or the one that the command line names.
    Authorities(PolicySet),
    /// Nobody in particular is asked for: certificates are checked and tell who signed.
    Anybody(Box<TrustRoot>),
}

/// A signature that was verified.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Signer {
    /// Name of the authority whose key or identity it is; absent where nobody in particular was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    key_id: Digest,
    /// The earliest proven time.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    /// `promise` or `inclusion`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'static str>,
}

impl Judge {
    pub(super) fn new(args: &TreeArgs, context: Context<'_>) -> Result<Self, Failure> {
        let demand = &args.demand;
        if demand.policy.is_some() || demand.key.is_some() || demand.identity.is_some() {
            return demand::policy_set(demand, None, context).map(Self::Authorities);
        }
        let root = match &demand.trust_root {
            None => TrustRoot::public_good(Demands::default()),
            Some(path) => {
                let text = demand::trusted_root(path)?;
                TrustRoot::from_json(text.as_bytes(), Demands::default())
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
            }
        };
        Ok(Self::Anybody(Box::new(root)))
    }

    /// Who signed, or the most telling reason why that is not proven.
    pub(super) fn signer(&self, candidate: &Candidate, now: Timestamp) -> Result<Signer, Reason> {
        match self {
            Self::Anybody(root) if candidate.claims_identity() => {
                candidate.verify_keyless(root, None, now).map(|verified| Signer::new(None, &verified))
            }
            Self::Anybody(_) => {
                Err(Reason::new(ReasonCode::KeyUnknown, "signed by a key; name it with --key or --policy"))
            }
            Self::Authorities(set) => {
                let mut told: Option<Reason> = None;
                for authority in set.authorities().values() {
                    let verified = authority.verify(candidate, now);
                    match verified.and_then(|verified| set.not_revoked(&verified, now).map(|_| verified)) {
                        Ok(verified) => return Ok(Signer::new(Some(authority.name.clone()), &verified)),
                        // That one authority did not sign says less than what is wrong with a signature.
                        Err(reason) if told.as_ref().is_none_or(by_somebody_else) => told = Some(reason),
                        Err(_) => {}
                    }
                }
                Err(told.unwrap_or_else(|| Reason::new(ReasonCode::KeyUnknown, "the policies name no authority")))
            }
        }
    }
}

fn by_somebody_else(reason: &Reason) -> bool {
    matches!(reason.code, ReasonCode::KeyUnknown | ReasonCode::IdentityMismatch)
}

impl Signer {
    fn new<T>(authority: Option<String>, verified: &Verified<T>) -> Self {
        Self {
            authority,
            subject: verified.identity().map(|identity| identity.subject.clone()),
            issuer: verified.identity().map(|identity| identity.issuer.clone()),
            key_id: verified.key_id(),
            time: verified.time(),
            log: verified.log().as_str(),
        }
    }

    /// In one line.
    pub(super) fn describe(&self) -> String {
        let who = match (&self.subject, &self.issuer) {
            (Some(subject), Some(issuer)) => format!("{subject} of {issuer}"),
            _ => format!("key {}", self.key_id),
        };
        let named = self.authority.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let time = self.time.map(|time| format!(" at {time}")).unwrap_or_default();
        format!("by {who}{named}{time}")
    }
}
