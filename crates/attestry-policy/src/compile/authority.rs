//! Authorities and the trust roots that they stand on.

use std::{collections::BTreeMap, sync::Arc};

use attestry_core::{
    Reason, ReasonCode, Timestamp,
    crypto::{KeyId, PublicKey},
    identity::{CLAIMS, Identity},
    statement::Statement,
    trust_root::{self, Demands, LogProof},
    verify::{Candidate, FileContent, FileSigner, SignedFile, TrustedKey, Verified, verify_file},
};
use jiff::SignedDuration;

use super::{Compiler, Place, read::ByName};
use crate::{
    document::{AuthoritySpec, KeySpec, KeylessSpec, LogDemand, TransparencyLog, TrustRootSpec},
    pattern::Pattern,
    source::At,
};

/// Who may sign.
#[derive(Debug, Clone)]
pub struct Authority {
    /// `metadata.name`.
    pub name: String,
    /// A key or an identity.
    pub kind: AuthorityKind,
    /// Where it is written.
    pub place: Place,
}

/// A key or an identity.
#[derive(Debug, Clone)]
pub enum AuthorityKind {
    /// A public key.
    Key(KeyAuthority),
    /// An identity that a certificate authority vouches for.
    Keyless(KeylessAuthority),
}

/// A public key with its validity window.
#[derive(Debug, Clone)]
pub struct KeyAuthority {
    /// The key, parsed and checked.
    pub key: PublicKey,
    /// SHA-256 of its SPKI DER.
    pub key_id: KeyId,
    /// From when on it may sign.
    pub valid_from: Option<Timestamp>,
    /// The first moment at which it may no longer sign.
    pub valid_until: Option<Timestamp>,
    /// Without it log entries and timestamps are not looked at and prove nothing.
    pub trust_root: Option<Arc<TrustRoot>>,
    /// What is demanded of a transparency log. More than `Optional` only with a trust root.
    pub transparency_log: TransparencyLog,
}

impl KeyAuthority {
    /// The key as verification takes it.
    pub fn trusted(&self) -> TrustedKey {
        TrustedKey {
            key: self.key.clone(),
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            trust_root: self.trust_root.as_ref().map(|root| Arc::clone(&root.root)),
            log: match self.transparency_log {
                TransparencyLog::Optional => LogProof::None,
                TransparencyLog::Promise => LogProof::Promise,
                TransparencyLog::Required => LogProof::Inclusion,
            },
        }
    }

    /// Whether `time` lies in the validity window.
    pub fn valid_at(&self, time: Timestamp) -> bool {
        self.valid_from.is_none_or(|from| from <= time) && self.valid_until.is_none_or(|until| time < until)
    }
}

/// An identity at an issuer.
#[derive(Debug, Clone)]
pub struct KeylessAuthority {
    /// The OIDC issuer, exactly.
    pub issuer: String,
    /// The certificate's one subject alternative name.
    pub subject: Pattern,
    /// Fulcio extensions by their documented names.
    pub claims: BTreeMap<String, Pattern>,
    /// The instance that vouches.
    pub trust_root: Arc<TrustRoot>,
    /// How long after its timestamp a signature may lack its log entry.
    pub pending_log: Option<SignedDuration>,
}

impl KeylessAuthority {
    /// The verified signature, if the identity that it proves is the one that is named here.
    pub fn admit<T>(&self, verified: Verified<T>) -> Result<Verified<T>, Reason> {
        let attachment = verified.attachment();
        match verified.identity() {
            Some(identity) if self.names(identity) => Ok(verified),
            Some(identity) => {
                let message = format!("attachment {attachment} is signed by {identity}, which is not who is named");
                let reason = Reason::new(ReasonCode::IdentityMismatch, message).with("attachment", attachment);
                Err(reason.with("issuer", &identity.issuer).with("subject", &identity.subject))
            }
            None => Err(Reason::new(ReasonCode::IdentityMismatch, "the signature names no identity")),
        }
    }

    /// Whether a proven identity is the one that is named here: every pattern matches its whole text (attack 22).
    pub fn names(&self, identity: &Identity) -> bool {
        identity_fits(&self.issuer, &self.subject, &self.claims, identity)
    }
}

/// One match for authorities and revocations.
pub(crate) fn identity_fits(
    issuer: &str,
    subject: &Pattern,
    claims: &BTreeMap<String, Pattern>,
    identity: &Identity,
) -> bool {
    let claimed = |(name, pattern): (&String, &Pattern)| {
        identity.claims.get(name.as_str()).is_some_and(|value| pattern.matches(value))
    };
    identity.issuer == issuer && subject.matches(&identity.subject) && claims.iter().all(claimed)
}

/// What makes two authorities one when they are counted: the same key or identity under two names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthorityId {
    /// A key.
    Key(KeyId),
    /// Issuer, subject pattern and claims in one text.
    Identity(String),
}

impl Authority {
    /// What it counts as in a threshold.
    pub fn id(&self) -> AuthorityId {
        match &self.kind {
            AuthorityKind::Key(key) => AuthorityId::Key(key.key_id),
            AuthorityKind::Keyless(keyless) => {
                // Length-framed by the quoting of Debug, so that no two identities share a text.
                AuthorityId::Identity(format!("{:?} {} {:?}", keyless.issuer, keyless.subject, keyless.claims))
            }
        }
    }

    /// Verifies an attachment of an image, whatever it says.
    pub fn verify(&self, candidate: &Candidate, now: Timestamp) -> Result<Verified<Statement>, Reason> {
        if let Some(root) = self.trust_root().filter(|root| root.stale(now)) {
            return Err(root.stale_reason());
        }
        match &self.kind {
            AuthorityKind::Key(key) => candidate.verify(&key.trusted(), now),
            AuthorityKind::Keyless(keyless) => candidate
                .verify_keyless(&keyless.trust_root.root, keyless.pending_log, now)
                .and_then(|verified| keyless.admit(verified)),
        }
    }

    /// Verifies a bundle about a file that is no image.
    pub fn verify_file(
        &self,
        bundle: &[u8],
        file: FileContent<'_>,
        now: Timestamp,
    ) -> Result<Verified<SignedFile>, Reason> {
        if let Some(root) = self.trust_root().filter(|root| root.stale(now)) {
            return Err(root.stale_reason());
        }
        match &self.kind {
            AuthorityKind::Key(key) => verify_file(bundle, file, FileSigner::Key(&key.trusted()), now),
            AuthorityKind::Keyless(keyless) => {
                let signer = FileSigner::Certificate { root: &keyless.trust_root.root, pending: keyless.pending_log };
                verify_file(bundle, file, signer, now).and_then(|verified| keyless.admit(verified))
            }
        }
    }

    /// The trust root that it stands on, if any.
    pub fn trust_root(&self) -> Option<&TrustRoot> {
        match &self.kind {
            AuthorityKind::Key(key) => key.trust_root.as_deref(),
            AuthorityKind::Keyless(keyless) => Some(&keyless.trust_root),
        }
    }

    /// The key, if it is one.
    pub fn key(&self) -> Option<&KeyAuthority> {
        match &self.kind {
            AuthorityKind::Key(key) => Some(key),
            AuthorityKind::Keyless(_) => None,
        }
    }

    /// The identity, if it is one.
    pub fn keyless(&self) -> Option<&KeylessAuthority> {
        match &self.kind {
            AuthorityKind::Key(_) => None,
            AuthorityKind::Keyless(keyless) => Some(keyless),
        }
    }
}

/// A Sigstore instance: certificate authorities, logs, timestamp authorities.
#[derive(Debug, Clone)]
pub struct TrustRoot {
    /// `metadata.name`.
    pub name: String,
    /// What it verifies with.
    pub root: Arc<trust_root::TrustRoot>,
    /// From when on it is stale.
    pub refresh_by: Option<Timestamp>,
    /// Where it is written.
    pub place: Place,
}

impl TrustRoot {
    /// Whether it was to be refreshed by now.
    pub fn stale(&self, now: Timestamp) -> bool {
        self.refresh_by.is_some_and(|time| time <= now)
    }

    /// Why nothing can be said by it any more (attack 19).
    pub fn stale_reason(&self) -> Reason {
        let since = self.refresh_by.map(|time| time.to_string()).unwrap_or_default();
        let message = format!("trust root {} was to be refreshed by {since}", self.name);
        Reason::new(ReasonCode::TrustRootStale, message).with("trustRoot", &self.name)
    }
}

impl Compiler {
    pub(super) fn trust_roots(
        &mut self,
        documents: &ByName<'_, TrustRootSpec>,
        contents: BTreeMap<String, String>,
    ) -> BTreeMap<String, Arc<TrustRoot>> {
        let mut trust_roots = BTreeMap::new();
        for (name, loaded) in documents {
            let (at, spec) = (loaded.at(), &loaded.document.spec);
            // A file has become inline by now, or was reported.
            let sources = [spec.file.is_some(), spec.inline.is_some(), spec.public_good.is_some()];
            if sources.iter().filter(|given| **given).count() != 1 {
                let hint = "write file: trusted_root.json, inline: …, or publicGood: {}";
                self.push(at.problem("exactly one of file, inline and publicGood is needed").hint(hint));
                self.broken.insert(("TrustRoot", name.clone()));
                continue;
            }
            let demands = Demands { sct: spec.sct == LogDemand::Required, log: spec.log == LogDemand::Required };
            let root = match contents.get(name) {
                Some(text) => {
                    let read = trust_root::TrustRoot::from_json(text.as_bytes(), demands);
                    self.take(read.map_err(|error| {
                        let hint = "fetch it again: attestry trust-root update, or cosign trusted-root create";
                        at.field("inline").problem(format!("this is no trusted_root.json: {error}")).hint(hint)
                    }))
                }
                None if spec.public_good.is_some() => Some(trust_root::TrustRoot::public_good(demands)),
                None => None,
            };
            let refresh_by = self.optional_time(spec.refresh_by.as_ref(), &at.field("refreshBy"));
            let Some(root) = root else {
                self.broken.insert(("TrustRoot", name.clone()));
                continue;
            };
            let place = Place::of(&at);
            let root = TrustRoot { name: name.clone(), root: Arc::new(root), refresh_by, place };
            trust_roots.insert(name.clone(), Arc::new(root));
        }
        trust_roots
    }

    pub(super) fn authorities(
        &mut self,
        documents: &ByName<'_, AuthoritySpec>,
        trust_roots: &BTreeMap<String, Arc<TrustRoot>>,
    ) -> BTreeMap<String, Arc<Authority>> {
        let mut authorities = BTreeMap::new();
        for (name, loaded) in documents {
            let (at, spec) = (loaded.at(), &loaded.document.spec);
            let kind = match (&spec.key, &spec.keyless) {
                (Some(key), None) => self.key_authority(key, trust_roots, &at.field("key")).map(AuthorityKind::Key),
                (None, Some(keyless)) => {
                    self.keyless_authority(keyless, trust_roots, &at.field("keyless")).map(AuthorityKind::Keyless)
                }
                _ => {
                    self.push(at.problem("exactly one of key and keyless is needed"));
                    None
                }
            };
            match kind {
                Some(kind) => {
                    let authority = Authority { name: name.clone(), kind, place: Place::of(&at) };
                    authorities.insert(name.clone(), Arc::new(authority));
                }
                None => {
                    self.broken.insert(("Authority", name.clone()));
                }
            }
        }
        authorities
    }

    fn key_authority(
        &mut self,
        spec: &KeySpec,
        trust_roots: &BTreeMap<String, Arc<TrustRoot>>,
        at: &At<'_>,
    ) -> Option<KeyAuthority> {
        let key = PublicKey::from_pem(&spec.pem).map_err(|error| {
            let hint = "paste the file that attestry key public or cosign public-key prints";
            at.field("pem").problem(format!("the key cannot be used: {error}")).hint(hint)
        });
        let key = self.take(key);
        let valid_from = self.optional_time(spec.valid_from.as_ref(), &at.field("validFrom"));
        let valid_until = self.optional_time(spec.valid_until.as_ref(), &at.field("validUntil"));
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && until <= from
        {
            self.push(at.field("validUntil").problem("validUntil does not lie after validFrom"));
        }
        let trust_root = match &spec.trust_root {
            None => None,
            Some(name) => Some(self.name(name, trust_roots, "TrustRoot", &at.field("trustRoot"))?),
        };
        if spec.transparency_log != TransparencyLog::Optional && spec.trust_root.is_none() {
            let message = "a transparency log is demanded, but without trustRoot no entry can be checked";
            self.push(at.field("transparencyLog").problem(message).hint("name a TrustRoot"));
        }
        let key = key?;
        Some(KeyAuthority {
            key_id: key.id(),
            key,
            valid_from,
            valid_until,
            trust_root,
            transparency_log: spec.transparency_log,
        })
    }

    fn keyless_authority(
        &mut self,
        spec: &KeylessSpec,
        trust_roots: &BTreeMap<String, Arc<TrustRoot>>,
        at: &At<'_>,
    ) -> Option<KeylessAuthority> {
        let issuer = self.issuer(&spec.issuer, &at.field("issuer"));
        let subject = self.pattern(&spec.subject, &at.field("subject"));
        let mut claims = BTreeMap::new();
        for (name, pattern) in &spec.claims {
            let at = at.field("claims").field(name);
            if !CLAIMS.contains(&name.as_str()) {
                let mut problem = at.problem(format!("{name:?} is no claim of a certificate"));
                problem.hint = crate::error::suggest(name, CLAIMS);
                self.push(problem);
            }
            if let Some(pattern) = self.pattern(pattern, &at) {
                claims.insert(name.clone(), pattern);
            }
        }
        let trust_root = self.name(&spec.trust_root, trust_roots, "TrustRoot", &at.field("trustRoot"));
        let pending_log = self.duration(spec.pending_log.as_ref(), &at.field("pendingLog"));
        Some(KeylessAuthority { issuer: issuer?, subject: subject?, claims, trust_root: trust_root?, pending_log })
    }

    /// An issuer is a URL without room for a second reading (attack 24).
    pub(super) fn issuer(&mut self, issuer: &str, at: &At<'_>) -> Option<String> {
        let clean = issuer.starts_with("https://") && issuer.len() > "https://".len() && issuer.len() <= 512;
        if clean && issuer.bytes().all(|b| b.is_ascii_graphic()) {
            return Some(issuer.to_owned());
        }
        let message =
            if issuer.is_empty() { "the issuer is empty".to_owned() } else { format!("{issuer:?} is no issuer") };
        self.push(at.problem(message).hint("write its https URL exactly as tokens have it, without a pattern"));
        None
    }
}
