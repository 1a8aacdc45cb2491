//! Requirements that somebody must have signed for: `signature`, `attestation`, `provenance`.
//!
//! One function over what is wanted. "There is one" is all that is ever asked of attachments, so more evidence
//! never takes anything away.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use attestry_core::{
    Digest, Evidence, Needs, Reason, ReasonCode, Repository, Timestamp,
    attachment::{Attachment, Attachments, Form},
    evidence::Layout,
    predicate::{COSIGN_SIGN, stated_time},
    review::{Proof, ProvenIdentity},
    statement::Statement,
    verify::{Candidate, Reading, SubjectDigests, Verified},
};
use jiff::SignedDuration;
use serde_json::Value;

use super::{
    judgement::{Judgement, earlier},
    provenance::View,
};
use crate::{
    compile::{
        Attestation, Authority, AuthorityId, AuthorityKind, KeylessAuthority, PolicySet, PredicateTypes, Provenance,
        Signature,
    },
    condition::{Condition, ImageFacts},
    document::RepositoryRule,
    pattern::Pattern,
};

/// What a requirement wants of an attachment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) kind: Wanted<'a>,
    pub(super) authorities: &'a [Arc<Authority>],
    pub(super) threshold: usize,
    pub(super) max_age: Option<SignedDuration>,
}

/// The statement that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted<'a> {
    /// Somebody signed the image: only `https://sigstore.dev/cosign/sign/v1` counts (attack 10).
    Signature { repository: RepositoryRule },
    /// A predicate of these types for which the condition holds.
    Attestation { types: &'a PredicateTypes, condition: Option<&'a Condition> },
    /// SLSA provenance by these builders from these sources.
    Provenance { builders: &'a [Pattern], sources: &'a [Pattern] },
}

impl<'a> From<&'a Signature> for Want<'a> {
    fn from(signature: &'a Signature) -> Self {
        let Signature { authorities, threshold, repository } = signature;
        Self { kind: Wanted::Signature { repository: *repository }, authorities, threshold: *threshold, max_age: None }
    }
}

impl<'a> From<&'a Attestation> for Want<'a> {
    fn from(attestation: &'a Attestation) -> Self {
        let kind = Wanted::Attestation { types: &attestation.types, condition: attestation.condition.as_ref() };
        Self { kind, authorities: &attestation.authorities, threshold: 1, max_age: attestation.max_age }
    }
}

impl<'a> From<&'a Provenance> for Want<'a> {
    fn from(provenance: &'a Provenance) -> Self {
        let kind = Wanted::Provenance { builders: &provenance.builders, sources: &provenance.sources };
        Self { kind, authorities: &provenance.authorities, threshold: 1, max_age: provenance.max_age }
    }
}

impl Want<'_> {
    fn layout(&self) -> Layout {
        match self.kind {
            Wanted::Signature { .. } => Layout::LegacySignatures,
            Wanted::Attestation { .. } | Wanted::Provenance { .. } => Layout::LegacyAttestations,
        }
    }

    fn covers(&self, predicate_type: &str) -> bool {
        match self.kind {
            Wanted::Signature { .. } => predicate_type == COSIGN_SIGN,
            Wanted::Attestation { types, .. } => types.covers(predicate_type),
            Wanted::Provenance { .. } => {
                attestry_core::predicate::PredicateFormat::SlsaProvenance.covers(predicate_type)
            }
        }
    }

    fn missing(&self, digest: Digest) -> Reason {
        match self.kind {
            Wanted::Signature { .. } => Reason::new(ReasonCode::SignatureMissing, format!("{digest} has no signature")),
            Wanted::Attestation { types, .. } => Reason::new(
                ReasonCode::AttestationMissing,
                format!("{digest} has no attestation of type {}", names(types)),
            ),
            Wanted::Provenance { .. } => {
                Reason::new(ReasonCode::AttestationMissing, format!("{digest} has no SLSA provenance"))
            }
        }
    }
}

fn names(types: &PredicateTypes) -> String {
    let formats = types.formats.iter().map(|format| format.short_name());
    formats.chain(types.uris.iter().map(String::as_str)).collect::<Vec<_>>().join(" or ")
}

/// An attachment that does what is wanted.
#[derive(Debug, Clone)]
struct Accepted {
    authority: AuthorityId,
    proof: Proof,
    valid_until: Option<Timestamp>,
}

/// Names a candidate within one session: two legacy layers may share a payload and differ in their annotations.
type CandidateKey = (Digest, Digest, Digest, Form);

/// A keyless verification, which does not depend on who is named: trust root and patience are its only parameters.
type KeylessKey = (CandidateKey, String, Option<SignedDuration>);

/// What was read and verified before, so that each round of a collection does only what is new.
#[derive(Debug, Default)]
pub(super) struct Memo {
    read: BTreeMap<CandidateKey, Result<Reading, Reason>>,
    keyless: BTreeMap<KeylessKey, Result<Verified<Statement>, Reason>>,
    accepted: BTreeMap<(CandidateKey, usize), Result<Vec<Accepted>, Vec<Reason>>>,
}

/// Judges what is wanted of one digest.
pub(super) struct Attested<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) now: Timestamp,
    pub(super) evidence: &'a Evidence,
    pub(super) memo: &'a mut Memo,
}

impl Attested<'_> {
    /// Whether the attachments of `digest` do what is wanted. `place` names the requirement within the session.
    pub(super) fn judge(&mut self, digest: Digest, want: &Want<'_>, place: usize) -> Judgement {
        let facts = match self.facts(digest, want) {
            Ok(facts) => facts,
            Err(unknown) => return unknown,
        };
        let subject = SubjectDigests::of(self.evidence, digest);
        let referrers = Attachments::of(self.evidence, digest, Layout::Referrers);
        let legacy = Attachments::of(self.evidence, digest, want.layout());
        let mut accepted = Vec::new();
        let mut reasons = Vec::new();
        for attachment in referrers.found.iter().chain(&legacy.found) {
            match self.accept(attachment, &subject, want, place, facts.as_ref()) {
                Ok(more) => accepted.extend(more),
                Err(more) => reasons.extend(more),
            }
        }
        if let Some(judgement) = enough(&mut accepted, want, digest) {
            return judgement;
        }
        // Only what can still turn the outcome is read, and the legacy tag last.
        let needs = if referrers.pending.is_empty() { legacy.pending.clone() } else { referrers.pending.clone() };
        let mut gaps: Vec<Reason> = [&referrers.incomplete[..], &legacy.incomplete[..]].concat();
        gaps.extend(self.stale_roots(want));
        if !needs.is_empty() || !gaps.is_empty() {
            return Judgement::undeterminable(gaps, needs);
        }
        reasons.extend(referrers.ignored);
        reasons.extend(legacy.ignored);
        if !accepted.is_empty() {
            let message =
                format!("{digest}: {} of {} distinct authorities signed", distinct(&accepted), want.threshold);
            reasons.push(Reason::new(ReasonCode::ThresholdNotMet, message));
        }
        if reasons.is_empty() {
            reasons.push(want.missing(digest));
        }
        Judgement::unmet(reasons)
    }

    /// Authorities that cannot be asked: what they would say is not known (attack 19).
    fn stale_roots(&self, want: &Want<'_>) -> Vec<Reason> {
        let roots = want.authorities.iter().filter_map(|authority| authority.trust_root());
        let stale: BTreeMap<&str, Reason> =
            roots.filter(|root| root.stale(self.now)).map(|root| (root.name.as_str(), root.stale_reason())).collect();
        stale.into_values().collect()
    }

    /// Facts about the image that a condition asks for, or what must be read to have them.
    fn facts(&self, digest: Digest, want: &Want<'_>) -> Result<Option<ImageFacts>, Judgement> {
        match want.kind {
            Wanted::Attestation { condition: Some(condition), .. } => {
                let reads_image = condition.reads_image();
                super::facts::of(self.evidence, digest, reads_image).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn accept(
        &mut self,
        attachment: &Attachment,
        subject: &SubjectDigests,
        want: &Want<'_>,
        place: usize,
        facts: Option<&ImageFacts>,
    ) -> Result<Vec<Accepted>, Vec<Reason>> {
        let key = key_of(attachment, subject.digest);
        if let Some(known) = self.memo.accepted.get(&(key.clone(), place)) {
            return known.clone();
        }
        let reading =
            (self.memo.read.entry(key.clone())).or_insert_with(|| Candidate::read(attachment, subject)).clone();
        let result = match reading {
            Ok(Reading::Candidate(candidate)) => self.judge_candidate(&candidate, &key, want, facts, subject.digest),
            Ok(Reading::Irrelevant) => Ok(Vec::new()),
            Err(reason) => Err(vec![reason]),
        };
        self.memo.accepted.insert((key, place), result.clone());
        result
    }

    fn judge_candidate(
        &mut self,
        candidate: &Candidate,
        key: &CandidateKey,
        want: &Want<'_>,
        facts: Option<&ImageFacts>,
        digest: Digest,
    ) -> Result<Vec<Accepted>, Vec<Reason>> {
        // 8. Another type is no failure of this attachment: it just is not what is asked for.
        if !want.covers(candidate.unverified_predicate_type()) {
            return Ok(Vec::new());
        }
        let mut accepted = Vec::new();
        let mut reasons = Vec::new();
        let fresh = |authority: &&Arc<Authority>| authority.trust_root().is_none_or(|root| !root.stale(self.now));
        let authorities: Vec<&Arc<Authority>> = want.authorities.iter().filter(fresh).collect();
        for authority in authorities {
            let verified = match &authority.kind {
                AuthorityKind::Key(trusted) => candidate.verify(&trusted.trusted(), self.now),
                AuthorityKind::Keyless(keyless) => self.keyless(candidate, key, keyless),
            };
            let accept = |verified| self.accept_verified(&verified, authority, want, facts, digest);
            match verified.and_then(accept) {
                Ok(proof) => accepted.push(proof),
                Err(reason) => reasons.push(reason.with("authority", &authority.name)),
            }
        }
        if accepted.is_empty() { Err(blame(reasons)) } else { Ok(accepted) }
    }

    /// Steps 4 to 7 for a keyless authority. The expensive part is done once for each trust root.
    fn keyless(
        &mut self,
        candidate: &Candidate,
        key: &CandidateKey,
        authority: &KeylessAuthority,
    ) -> Result<Verified<Statement>, Reason> {
        let memo_key = (key.clone(), authority.trust_root.name.clone(), authority.pending_log);
        let verify = || candidate.verify_keyless(&authority.trust_root.root, authority.pending_log, self.now);
        let verified = self.memo.keyless.entry(memo_key).or_insert_with(verify).clone()?;
        authority.admit(verified)
    }

    fn accept_verified(
        &self,
        verified: &Verified<Statement>,
        authority: &Authority,
        want: &Want<'_>,
        facts: Option<&ImageFacts>,
        digest: Digest,
    ) -> Result<Accepted, Reason> {
        let spared = self.set.not_revoked(verified, self.now)?;
        let (fresh, mut details) = self.satisfies(verified, want, facts)?;
        let root = authority.trust_root();
        details.extend(verified.log().as_str().map(|log| ("log".to_owned(), log.to_owned())));
        if let Some(root) = root {
            details.insert("trustRoot".to_owned(), root.root.digest().to_string());
        }
        let proof = Proof {
            attachment: Some(verified.attachment()),
            subject: Some(digest),
            authority: Some(authority.name.clone()),
            key_id: Some(verified.key_id()),
            identity: verified
                .identity()
                .map(|identity| ProvenIdentity { issuer: identity.issuer.clone(), subject: identity.subject.clone() }),
            predicate_type: Some(attestry_core::reason::clean(&verified.get().predicate_type, 512)),
            time: verified.time(),
            details,
            ..Proof::default()
        };
        // A proven time keeps a signature good after its key's window; without one the window's end is the end.
        let window = authority.key().filter(|_| verified.time().is_none()).and_then(|key| key.valid_until);
        let refresh_by = root.and_then(|root| root.refresh_by);
        let ends = [window, spared, fresh, verified.pending_until(), refresh_by];
        let valid_until = ends.into_iter().fold(None, earlier);
        Ok(Accepted { authority: authority.id(), proof, valid_until })
    }

    /// Whether the verified statement says what is wanted; the deadline that follows from its age, and details.
    fn satisfies(
        &self,
        verified: &Verified<Statement>,
        want: &Want<'_>,
        facts: Option<&ImageFacts>,
    ) -> Result<(Option<Timestamp>, BTreeMap<String, String>), Reason> {
        let statement = verified.get();
        let attachment = verified.attachment();
        let mut details = BTreeMap::new();
        let needs_value = want.max_age.is_some() || matches!(want.kind, Wanted::Provenance { .. });
        let value = if needs_value { Some(predicate(statement, attachment)?) } else { None };
        let deadline = match (want.max_age, &value) {
            (Some(age), Some(value)) => Some(self.fresh(verified, value, age)?),
            _ => None,
        };
        match (want.kind, &value, facts) {
            (Wanted::Provenance { builders, sources }, Some(value), _) => {
                details = built_by(value, builders, sources, attachment)?;
            }
            (Wanted::Signature { repository: RepositoryRule::Same }, ..) => {
                self.names_repository(statement, attachment)?
            }
            (Wanted::Attestation { condition: Some(condition), .. }, _, Some(facts)) => {
                holds(condition, statement, facts, attachment)?;
            }
            _ => {}
        }
        Ok((deadline, details))
    }

    /// A signature that was made for a copy of the image elsewhere does not count where policy binds the two
    /// (attack 3).
    fn names_repository(&self, statement: &Statement, attachment: Digest) -> Result<(), Reason> {
        let here = &self.evidence.repository;
        let names: Vec<&str> = statement.subjects.iter().filter_map(|subject| subject.name.as_deref()).collect();
        if names.iter().any(|name| name.parse::<Repository>().is_ok_and(|named| named == *here)) {
            return Ok(());
        }
        let named = attestry_core::reason::clean(names.first().unwrap_or(&"no repository"), 256);
        let message = format!("attachment {attachment} names {named}, not {here}");
        Err(Reason::new(ReasonCode::SubjectMismatch, message).with("attachment", attachment))
    }

    /// `maxAge` counts from the earlier of the proven time and the time that the predicate states, where that one
    /// is not after `now`.
    fn fresh(
        &self,
        verified: &Verified<Statement>,
        predicate: &Value,
        age: SignedDuration,
    ) -> Result<Timestamp, Reason> {
        let attachment = verified.attachment();
        let stated = stated_time(&verified.get().predicate_type, predicate).filter(|time| *time <= self.now);
        let Some(time) = earlier(verified.time(), stated) else {
            let message = format!("attachment {attachment} has no proven time and its predicate states none");
            return Err(Reason::new(ReasonCode::TimestampMissing, message));
        };
        let deadline = time.checked_add(age).unwrap_or(Timestamp::MAX);
        if self.now >= deadline {
            let message = format!("attachment {attachment} is of {time}, older than maxAge allows");
            return Err(Reason::new(ReasonCode::EvidenceTooOld, message).with("time", time));
        }
        Ok(deadline)
    }
}

fn key_of(attachment: &Attachment, subject: Digest) -> CandidateKey {
    (subject, attachment.manifest, attachment.digest, attachment.form.clone())
}

/// Enough distinct authorities, preferring proofs that hold longest.
fn enough(accepted: &mut [Accepted], want: &Want<'_>, digest: Digest) -> Option<Judgement> {
    accepted.sort_by(|a, b| {
        let lasting = |accepted: &Accepted| accepted.valid_until.unwrap_or(Timestamp::MAX);
        lasting(b).cmp(&lasting(a)).then_with(|| a.proof.cmp(&b.proof))
    });
    let mut seen = BTreeSet::new();
    let used: Vec<&Accepted> =
        accepted.iter().filter(|a| seen.insert(a.authority.clone())).take(want.threshold).collect();
    (used.len() >= want.threshold).then(|| {
        let valid_until = used.iter().fold(None, |until, a| earlier(until, a.valid_until));
        debug_assert!(used.iter().all(|a| a.proof.subject == Some(digest)));
        Judgement::met(used.into_iter().map(|a| a.proof.clone()).collect(), valid_until)
    })
}

fn distinct(accepted: &[Accepted]) -> usize {
    accepted.iter().map(|a| &a.authority).collect::<BTreeSet<_>>().len()
}

/// Of one attachment's failures under several authorities only those are told that are about it: that one authority
/// did not sign says nothing where another did and failed later.
fn blame(reasons: Vec<Reason>) -> Vec<Reason> {
    let by_others = |reason: &Reason| matches!(reason.code, ReasonCode::KeyUnknown | ReasonCode::IdentityMismatch);
    let (mut unknown, told): (Vec<_>, Vec<_>) = reasons.into_iter().partition(by_others);
    if !told.is_empty() {
        return told;
    }
    // One "not signed by this one" for each authority would be noise.
    let mut codes = BTreeSet::new();
    unknown.retain(|reason| codes.insert(reason.code));
    unknown
}

fn predicate(statement: &Statement, attachment: Digest) -> Result<Value, Reason> {
    serde_json::from_str(statement.predicate.get()).map_err(|error| {
        Reason::new(
            ReasonCode::StatementMalformed,
            format!("attachment {attachment}: the predicate cannot be read: {error}"),
        )
    })
}

fn holds(condition: &Condition, statement: &Statement, facts: &ImageFacts, attachment: Digest) -> Result<(), Reason> {
    condition.check(statement, facts).map_err(|reason| reason.with("attachment", attachment))
}

fn built_by(
    predicate: &Value,
    builders: &[Pattern],
    sources: &[Pattern],
    attachment: Digest,
) -> Result<BTreeMap<String, String>, Reason> {
    let view = View::of(predicate);
    let fits = |patterns: &[Pattern], text: &Option<String>| {
        patterns.is_empty() || text.as_ref().is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(text)))
    };
    let told = |text: &Option<String>| attestry_core::reason::clean(text.as_deref().unwrap_or("none"), 256);
    if !fits(builders, &view.builder) {
        let message = format!("attachment {attachment} names builder {}", told(&view.builder));
        return Err(Reason::new(ReasonCode::BuilderNotTrusted, message).with("builder", told(&view.builder)));
    }
    if !fits(sources, &view.source) {
        let message = format!("attachment {attachment} names source {}", told(&view.source));
        return Err(Reason::new(ReasonCode::SourceNotTrusted, message).with("source", told(&view.source)));
    }
    let details =
        [("builder", view.builder), ("source", view.source), ("ref", view.reference), ("commit", view.commit)];
    let clean = |text: String| attestry_core::reason::clean(&text, 512);
    Ok(details.into_iter().filter_map(|(name, text)| Some((name.to_owned(), clean(text?)))).collect())
}

/// The whole `Needs` of an untouched subject: what every review begins with.
pub(super) fn first_needs(digest: Digest, evidence: &Evidence) -> Needs {
    let need = attestry_core::Need::Manifest { digest };
    if evidence.settled(&need) { Needs::new() } else { [need].into() }
}
