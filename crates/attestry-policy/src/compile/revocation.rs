//! Revocations: what is no longer trusted, whatever the policies say.

use std::{collections::BTreeMap, sync::Arc};

use attestry_core::{Digest, Reason, ReasonCode, Timestamp, canonical, crypto::KeyId, verify::Verified};
use serde_json::json;

use super::{Authority, AuthorityKind, Compiler, Place, PolicySet, identity_fits, read::ByName};
use crate::{
    document::{RevocationEntrySpec, RevocationSpec},
    pattern::Pattern,
    source::At,
};

/// Entries in one set.
const MAX_ENTRIES: usize = 100_000;

/// One revoked thing.
#[derive(Debug, Clone)]
pub struct Revocation {
    /// Names the entry by its content. The server remembers it, and refuses a set that lacks it.
    pub id: Digest,
    /// What is revoked.
    pub revoked: Revoked,
    /// Spares only what was proven to be signed earlier.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: String,
    /// Where it is written.
    pub place: Place,
}

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// An image, an attachment, or what an attachment signs.
    Digest(Digest),
    /// A key, under whatever authority's name it is used (attack 82).
    Key(KeyId),
    /// An identity at an issuer. Claims narrow it where a whole authority was revoked.
    Identity {
        /// The OIDC issuer.
        issuer: String,
        /// The subject alternative name.
        subject: Pattern,
        /// Fulcio extensions.
        claims: BTreeMap<String, Pattern>,
    },
}

impl Revocation {
    /// Whether something signed at `proven`, the earliest proven time, falls under it.
    pub fn covers_time(&self, proven: Option<Timestamp>) -> bool {
        // Without a proof of time anything could be backdated (attack 82).
        match (self.since, proven) {
            (Some(since), Some(proven)) => proven >= since,
            _ => true,
        }
    }
}

impl Compiler {
    pub(super) fn revocations(
        &mut self,
        documents: &ByName<'_, RevocationSpec>,
        authorities: &BTreeMap<String, Arc<Authority>>,
    ) -> Vec<Revocation> {
        let mut revocations = Vec::new();
        for loaded in documents.values() {
            let at = loaded.at().field("entries");
            let entries = &loaded.document.spec.entries;
            if revocations.len() + entries.len() > MAX_ENTRIES {
                self.push(at.problem(format!("the set holds more than {MAX_ENTRIES} revocation entries")));
                continue;
            }
            for (index, entry) in entries.iter().enumerate() {
                revocations.extend(self.revocation(entry, authorities, &at.index(index)));
            }
        }
        revocations.sort_by_key(|entry: &Revocation| entry.id);
        revocations
    }

    fn revocation(
        &mut self,
        spec: &RevocationEntrySpec,
        authorities: &BTreeMap<String, Arc<Authority>>,
        at: &At<'_>,
    ) -> Option<Revocation> {
        let since = match &spec.since {
            Some(text) => Some(self.time(text, &at.field("since"))?),
            None => None,
        };
        if spec.reason.trim().is_empty() {
            self.push(at.field("reason").problem("the reason is empty").hint("say why, for whoever is refused"));
        }
        let revoked = match (&spec.digest, &spec.key_id, &spec.identity, &spec.authority) {
            (Some(digest), None, None, None) => Revoked::Digest(self.digest(digest, &at.field("digest"))?),
            (None, Some(key_id), None, None) => Revoked::Key(self.digest(key_id, &at.field("keyId"))?),
            (None, None, Some(identity), None) => {
                let at = at.field("identity");
                let issuer = self.issuer(&identity.issuer, &at.field("issuer"));
                let subject = self.pattern(&identity.subject, &at.field("subject"));
                Revoked::Identity { issuer: issuer?, subject: subject?, claims: BTreeMap::new() }
            }
            (None, None, None, Some(name)) => {
                // Resolved at load: what counts is the key or identity, not the name.
                let authority = self.name(name, authorities, "Authority", &at.field("authority"))?;
                match &authority.kind {
                    AuthorityKind::Key(key) => Revoked::Key(key.key_id),
                    AuthorityKind::Keyless(keyless) => Revoked::Identity {
                        issuer: keyless.issuer.clone(),
                        subject: keyless.subject.clone(),
                        claims: keyless.claims.clone(),
                    },
                }
            }
            _ => {
                self.push(at.problem("exactly one of digest, keyId, identity and authority is needed"));
                return None;
            }
        };
        let id = entry_id(&revoked, since);
        Some(Revocation { id, revoked, since, reason: spec.reason.clone(), place: Place::of(at) })
    }
}

impl PolicySet {
    /// The first moment at which a revocation yet to come would count, or the revocation that counts now.
    pub fn not_revoked<T>(&self, verified: &Verified<T>, now: Timestamp) -> Result<Option<Timestamp>, Reason> {
        let mut until = None;
        for revocation in self.revocations() {
            let hit = match &revocation.revoked {
                Revoked::Key(key_id) => *key_id == verified.key_id(),
                // Whoever can push can store the same signature in other bytes; what it signs stays the same.
                Revoked::Digest(digest) => [verified.attachment(), verified.payload()].contains(digest),
                Revoked::Identity { issuer, subject, claims } => {
                    verified.identity().is_some_and(|identity| identity_fits(issuer, subject, claims, identity))
                }
            };
            if !hit || !revocation.covers_time(verified.time()) {
                continue;
            }
            match revocation.since {
                Some(since) if now < since => until = Some(until.map_or(since, |until: Timestamp| until.min(since))),
                _ => {
                    let attachment = verified.attachment();
                    let what = match (&revocation.revoked, verified.identity()) {
                        (Revoked::Digest(digest), _) if *digest == attachment => "is revoked".to_owned(),
                        (Revoked::Digest(digest), _) => format!("signs {digest}, which is revoked"),
                        (_, Some(identity)) => format!("was signed by {identity}, who is revoked"),
                        (_, None) => format!("was signed by key {}, which is revoked", verified.key_id()),
                    };
                    let message = format!("attachment {attachment} {what}: {}", revocation.reason);
                    return Err(Reason::new(ReasonCode::Revoked, message).with("revocation", revocation.id));
                }
            }
        }
        Ok(until)
    }
}

/// Names an entry by what it revokes and from when: a new wording of the reason takes nothing back.
fn entry_id(revoked: &Revoked, since: Option<Timestamp>) -> Digest {
    let what = match revoked {
        Revoked::Digest(digest) => json!({ "digest": digest }),
        Revoked::Key(key_id) => json!({ "keyId": key_id }),
        Revoked::Identity { issuer, subject, claims } => {
            let claims: BTreeMap<&String, String> = claims.iter().map(|(name, p)| (name, p.to_string())).collect();
            json!({"issuer": issuer, "subject": subject.to_string(), "claims": claims})
        }
    };
    canonical::digest(&json!({"revoked": what, "since": since.map(|time| time.to_string())}))
}
