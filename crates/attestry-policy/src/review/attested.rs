//! Requirements that somebody must have signed for: `signature`, `attestation`, `provenance`.
//!
//! One function over what is wanted. "There is one" is all that is ever asked of attachments, so more evidence
//! never takes anything away.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use attestry_core::{
    Digest, Evidence, Needs, Reason, ReasonCode, Timestamp,
    attachment::{Attachment, Attachments, Form},
    evidence::Layout,
    predicate::{COSIGN_SIGN, stated_time},
    review::Proof,
    statement::Statement,
    verify::{Candidate, Reading, SubjectDigests, TrustedKey, Verified},
};
use jiff::SignedDuration;
use serde_json::Value;

use super::{
    judgement::{Judgement, earlier},
    provenance::View,
};
use crate::{
    compile::{
        Attestation, Authority, AuthorityId, AuthorityKind, KeyAuthority, PolicySet, PredicateTypes, Provenance,
        Revoked, Signature,
    },
    condition::{Condition, ImageFacts},
    document::TransparencyLog,
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
    Signature,
    /// A predicate of these types for which the condition holds.
    Attestation { types: &'a PredicateTypes, condition: Option<&'a Condition> },
    /// SLSA provenance by these builders from these sources.
    Provenance { builders: &'a [Pattern], sources: &'a [Pattern] },
}

impl<'a> From<&'a Signature> for Want<'a> {
    fn from(signature: &'a Signature) -> Self {
        let Signature { authorities, threshold } = signature;
        Self { kind: Wanted::Signature, authorities, threshold: *threshold, max_age: None }
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
            Wanted::Signature => Layout::LegacySignatures,
            Wanted::Attestation { .. } | Wanted::Provenance { .. } => Layout::LegacyAttestations,
        }
    }

    fn covers(&self, predicate_type: &str) -> bool {
        match self.kind {
            Wanted::Signature => predicate_type == COSIGN_SIGN,
            Wanted::Attestation { types, .. } => types.covers(predicate_type),
            Wanted::Provenance { .. } => {
                attestry_core::predicate::PredicateFormat::SlsaProvenance.covers(predicate_type)
            }
        }
    }

    fn missing(&self, digest: Digest) -> Reason {
        match self.kind {
            Wanted::Signature => Reason::new(ReasonCode::SignatureMissing, format!("{digest} has no signature")),
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

/// Names a candidate within one session: two legacy layers may share a payload and differ in their signature.
type CandidateKey = (Digest, Digest, Digest, String);

/// What was read and verified before, so that each round of a collection does only what is new.
#[derive(Debug, Default)]
pub(super) struct Memo {
    read: BTreeMap<CandidateKey, Result<Reading, Reason>>,
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
        let gaps: Vec<Reason> = [&referrers.incomplete[..], &legacy.incomplete[..]].concat();
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
            Ok(Reading::Candidate(candidate)) => self.judge_candidate(&candidate, want, facts, subject.digest),
            Ok(Reading::Irrelevant) => Ok(Vec::new()),
            Err(reason) => Err(vec![reason]),
        };
        self.memo.accepted.insert((key, place), result.clone());
        result
    }

    fn judge_candidate(
        &self,
        candidate: &Candidate,
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
        for authority in want.authorities {
            match self.by_authority(candidate, authority, want, facts, digest) {
                Ok(proof) => accepted.push(proof),
                Err(reason) => reasons.push(reason),
            }
        }
        if accepted.is_empty() { Err(blame(reasons)) } else { Ok(accepted) }
    }

    fn by_authority(
        &self,
        candidate: &Candidate,
        authority: &Authority,
        want: &Want<'_>,
        facts: Option<&ImageFacts>,
        digest: Digest,
    ) -> Result<Accepted, Reason> {
        let key = match &authority.kind {
            AuthorityKind::Key(key) => key,
            AuthorityKind::Keyless(_) => {
                let message = format!(
                    "authority {} is keyless, and keyless evidence is not verified by this version",
                    authority.name
                );
                return Err(Reason::new(ReasonCode::BundleUnsupported, message).with("authority", &authority.name));
            }
        };
        let named = |reason: Reason| reason.with("authority", &authority.name);
        let verified = candidate.verify(&trusted(key), self.now).map_err(named)?;
        let spared = self.not_revoked(&verified).map_err(named)?;
        let (fresh, mut details) = self.satisfies(&verified, want, facts).map_err(named)?;
        let proof = Proof {
            attachment: Some(verified.attachment()),
            subject: Some(digest),
            authority: Some(authority.name.clone()),
            key_id: Some(verified.key_id()),
            predicate_type: Some(attestry_core::reason::clean(&verified.get().predicate_type, 512)),
            time: verified.time(),
            details: std::mem::take(&mut details),
            ..Proof::default()
        };
        // A proven time keeps a signature good after its key's window; without one the window's end is the end.
        let window = if verified.time().is_none() { key.valid_until } else { None };
        Ok(Accepted { authority: authority.id(), proof, valid_until: earlier(earlier(window, spared), fresh) })
    }

    /// The first moment at which a revocation yet to come would count, or the revocation that counts now.
    fn not_revoked(&self, verified: &Verified<Statement>) -> Result<Option<Timestamp>, Reason> {
        let mut until = None;
        for revocation in self.set.revocations() {
            let hit = match &revocation.revoked {
                Revoked::Key(key_id) => *key_id == verified.key_id(),
                Revoked::Digest(digest) => *digest == verified.attachment(),
                Revoked::Identity { .. } => false,
            };
            if !hit || !revocation.covers_time(verified.time()) {
                continue;
            }
            match revocation.since {
                Some(since) if self.now < since => until = earlier(until, Some(since)),
                _ => {
                    let message = format!(
                        "attachment {} was signed by key {}, which is revoked: {}",
                        verified.attachment(),
                        verified.key_id(),
                        revocation.reason
                    );
                    return Err(Reason::new(ReasonCode::Revoked, message).with("revocation", revocation.id));
                }
            }
        }
        Ok(until)
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
            (Wanted::Attestation { condition: Some(condition), .. }, _, Some(facts)) => {
                holds(condition, statement, facts, attachment)?;
            }
            _ => {}
        }
        Ok((deadline, details))
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

fn trusted(key: &KeyAuthority) -> TrustedKey {
    TrustedKey {
        key: key.key.clone(),
        valid_from: key.valid_from,
        valid_until: key.valid_until,
        trust_root: key.trust_root.is_some(),
        log_required: key.transparency_log != TransparencyLog::Optional,
    }
}

fn key_of(attachment: &Attachment, subject: Digest) -> CandidateKey {
    let signature = match &attachment.form {
        Form::Bundle => String::new(),
        Form::SimpleSigning(material) | Form::Envelope(material) => format!("{material:?}"),
    };
    (subject, attachment.manifest, attachment.digest, signature)
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

/// Of one attachment's failures under several authorities only those are told that are about it: that one key did
/// not sign says nothing where another key did and failed later.
fn blame(reasons: Vec<Reason>) -> Vec<Reason> {
    let (unknown, told): (Vec<_>, Vec<_>) =
        reasons.into_iter().partition(|reason| reason.code == ReasonCode::KeyUnknown);
    if told.iter().any(|reason| reason.code != ReasonCode::BundleUnsupported) {
        return told;
    }
    // One "not signed by this key" for each authority would be noise.
    unknown.into_iter().take(1).chain(told).collect()
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
