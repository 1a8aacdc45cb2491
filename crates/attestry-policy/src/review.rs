//! The review: one subject judged under one policy set, and what must be read to judge it.
//!
//! [`Session::needs`] and [`Session::review`] are the same evaluation: one returns what is still to be read, the
//! other the verdict. A session remembers what it has verified, so that each round of a collection does only what
//! is new; with or without that memory the answer is the same.

mod attested;
mod facts;
mod image;
mod judgement;
mod platforms;
mod provenance;

use std::ops::Deref;

use attestry_core::{
    Digest, Evidence, Need, Needs, Reason, ReasonCode, Repository, Review, Timestamp, Verdict,
    review::{Outcome, PolicyReview, Proof, RequirementReview, ReviewedSubject},
};

use attested::{Attested, Memo, Want};
use judgement::{Judgement, earlier};
use platforms::{Children, Runnable, Shape, shape};

use crate::{
    compile::{Matches, Namespace, Policy, PolicySet, Requirement, RequirementKind, Revoked},
    document::PlatformRule,
};

/// What selects policies: where the image comes from and where it is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRequest {
    /// The repository, in normal form.
    pub repository: Repository,
    /// The namespace, where there is one.
    pub namespace: Option<Namespace>,
}

/// One judgement in the making: over a borrowed policy set, or over a shared one where it moves between threads.
#[derive(Debug)]
pub struct Session<S> {
    set: S,
    request: ReviewRequest,
    now: Timestamp,
    memo: Memo,
}

impl<S: Deref<Target = PolicySet>> Session<S> {
    /// Begins to judge a subject at `now`.
    pub fn new(set: S, request: ReviewRequest, now: Timestamp) -> Self {
        Self { set, request, now, memo: Memo::default() }
    }

    /// What is still to be read, given what was read. Empty means that nothing more can turn the verdict.
    pub fn needs(&mut self, evidence: &Evidence) -> Needs {
        self.judge().needs(evidence)
    }

    /// The verdict over what was read.
    pub fn review(&mut self, evidence: &Evidence) -> Review {
        self.judge().review(evidence)
    }

    fn judge(&mut self) -> Judge<'_> {
        Judge { set: &self.set, request: &self.request, now: self.now, memo: &mut self.memo }
    }
}

/// A session at work.
struct Judge<'a> {
    set: &'a PolicySet,
    request: &'a ReviewRequest,
    now: Timestamp,
    memo: &'a mut Memo,
}

impl PolicySet {
    /// Begins to judge a subject at `now`.
    pub fn session(&self, request: &ReviewRequest, now: Timestamp) -> Session<&PolicySet> {
        Session::new(self, request.clone(), now)
    }

    /// The policies that are about this request, or might be.
    fn matching<'a>(&'a self, request: &'a ReviewRequest) -> impl Iterator<Item = (&'a Policy, Matches)> {
        let matched = |policy: &'a Policy| (policy, policy.matches(&request.repository, request.namespace.as_ref()));
        self.policies().iter().map(matched).filter(|(_, matches)| *matches != Matches::No)
    }
}

/// One policy as evaluated.
struct Evaluated {
    review: PolicyReview,
    needs: Needs,
    valid_until: Option<Timestamp>,
}

impl Evaluated {
    /// Nothing is trusted while the subject itself was not seen.
    fn cap(&mut self, unseen: &[Reason]) {
        if self.review.verdict == Verdict::Trusted {
            self.review.verdict = Verdict::Undeterminable;
        }
        if self.review.verdict == Verdict::Undeterminable {
            // Told once: the requirements often say the same.
            let untold = |reason: &&Reason| {
                let of_requirements = self.review.requirements.iter().flat_map(|requirement| &requirement.reasons);
                !of_requirements.into_iter().any(|known| known.code == reason.code && known.message == reason.message)
            };
            let new: Vec<Reason> = unseen.iter().filter(untold).cloned().collect();
            self.review.reasons.extend(new);
        }
    }
}

impl Judge<'_> {
    fn needs(&mut self, evidence: &Evidence) -> Needs {
        let Some(digest) = evidence.digest else { return Needs::new() };
        // What is revoked or matches no policy stays refused whatever is read.
        if self.findings(evidence).0.iter().any(|finding| finding.code == ReasonCode::Revoked) {
            return Needs::new();
        }
        let evaluated = self.evaluate(evidence);
        let mut needs: Needs = evaluated.into_iter().flat_map(|policy| policy.needs).collect();
        // The subject itself is always read: what no registry holds was not judged.
        needs.extend(attested::first_needs(digest, evidence));
        // So are the children that a revocation could name, however well the index is proven.
        if self.revokes_digests() {
            needs.extend(Children::of(evidence, digest).needs);
        }
        needs.retain(|need| !evidence.settled(need));
        needs
    }

    fn review(&mut self, evidence: &Evidence) -> Review {
        let (findings, mut valid_until) = self.findings(evidence);
        let mut evaluated = self.evaluate(evidence);
        let unseen = self.unseen(evidence);
        if !unseen.is_empty() {
            evaluated.iter_mut().for_each(|policy| policy.cap(&unseen));
        }
        let worst_policy = evaluated.iter().map(|policy| policy.review.verdict).max();
        // A finding is final; without any policy nothing was proven.
        let verdict = if findings.is_empty() { worst_policy.unwrap_or(Verdict::Untrusted) } else { Verdict::Untrusted };
        for policy in &evaluated {
            valid_until = earlier(valid_until, policy.valid_until);
        }
        let (api_version, kind, engine) = Review::header();
        Review {
            api_version,
            kind,
            repository: evidence.repository.clone(),
            subject: evidence.digest.map(|digest| ReviewedSubject {
                repository: evidence.repository.clone(),
                digest,
                media_type: evidence.document(&digest).map(|document| document.media_type.clone()),
            }),
            namespace: self.request.namespace.as_ref().map(|namespace| namespace.name.clone()),
            verdict,
            findings,
            policies: evaluated.into_iter().map(|policy| policy.review).collect(),
            policy_set: self.set.digest(),
            evidence: evidence.name(),
            engine,
            evaluated_at: self.now,
            valid_until: valid_until.filter(|_| verdict == Verdict::Trusted),
        }
    }

    /// Whether a revocation names images, so that every child that may run has to be known.
    fn revokes_digests(&self) -> bool {
        self.set.revocations().iter().any(|revocation| matches!(revocation.revoked, Revoked::Digest(_)))
    }

    /// What of the subject itself was not seen. Proofs about it may be met all the same; without it nothing is
    /// trusted, since a revoked child could hide there (a smaller picture is never a better one).
    fn unseen(&self, evidence: &Evidence) -> Vec<Reason> {
        let Some(digest) = evidence.digest else { return Vec::new() };
        if evidence.document(&digest).is_none() {
            let gap = evidence.gap(&Need::Manifest { digest });
            return vec![gap.map_or_else(judgement::unread, |gap| gap.reason())];
        }
        if !self.revokes_digests() {
            return Vec::new();
        }
        let children = Children::of(evidence, digest);
        let unread = (!children.needs.is_empty()).then(judgement::unread);
        children.gaps.into_iter().chain(unread).collect()
    }

    /// What holds whatever the policies say, and when a revocation yet to come would count.
    fn findings(&self, evidence: &Evidence) -> (Vec<Reason>, Option<Timestamp>) {
        let mut findings = Vec::new();
        let mut until = None;
        for digest in judged_digests(evidence) {
            for revocation in self.set.revocations().iter().filter(|r| r.revoked == Revoked::Digest(digest)) {
                match revocation.since {
                    // Nothing proves when an image was made, so `since` only says when the entry begins to count.
                    Some(since) if self.now < since => until = earlier(until, Some(since)),
                    _ => {
                        let message = format!("{digest} is revoked: {}", revocation.reason);
                        findings.push(Reason::new(ReasonCode::Revoked, message).with("revocation", revocation.id));
                    }
                }
            }
        }
        if self.set.matching(self.request).next().is_none() {
            let message = format!("no policy matches {}", self.request.repository);
            findings.push(Reason::new(ReasonCode::NoPolicy, message));
        }
        (findings, until)
    }

    fn evaluate(&mut self, evidence: &Evidence) -> Vec<Evaluated> {
        let matching: Vec<(&Policy, Matches)> = self.set.matching(self.request).collect();
        matching
            .into_iter()
            .map(|(policy, matches)| match matches {
                Matches::NamespaceUnknown => self.namespace_unknown(policy),
                Matches::Yes | Matches::No => self.policy(policy, evidence),
            })
            .collect()
    }

    fn namespace_unknown(&self, policy: &Policy) -> Evaluated {
        let message =
            format!("policy {} selects by namespace, and what it asks of the namespace is not known", policy.name);
        let reason = Reason::new(ReasonCode::NamespaceUnknown, message).with("policy", &policy.name);
        let review = policy_review(policy, Verdict::Undeterminable, vec![reason], Vec::new());
        Evaluated { review, needs: Needs::new(), valid_until: None }
    }

    fn policy(&mut self, policy: &Policy, evidence: &Evidence) -> Evaluated {
        let mut needs = Needs::new();
        let mut valid_until = None;
        let mut requirements = Vec::new();
        for requirement in &policy.require {
            let (review, judgement) = self.requirement(policy, requirement, evidence);
            needs.extend(judgement.needs);
            valid_until = earlier(valid_until, judgement.valid_until);
            requirements.push(review);
        }
        let worst = requirements.iter().map(|r: &RequirementReview| r.outcome).max();
        let verdict = worst.map_or(Verdict::Untrusted, Verdict::from);
        Evaluated { review: policy_review(policy, verdict, Vec::new(), requirements), needs, valid_until }
    }

    fn requirement(
        &mut self,
        policy: &Policy,
        requirement: &Requirement,
        evidence: &Evidence,
    ) -> (RequirementReview, Judgement) {
        let mut alternatives = Vec::new();
        let judgement = match (&requirement.kind, evidence.digest) {
            // The tag could not be resolved: nothing is known of anything.
            (_, None) => {
                Judgement::undeterminable(evidence.gaps.iter().map(|gap| gap.reason()).collect(), Needs::new())
            }
            (RequirementKind::AnyOf(options), Some(_)) => {
                let mut whole: Option<Judgement> = None;
                let mut needs = Needs::new();
                for option in options {
                    let (review, judgement) = self.requirement(policy, option, evidence);
                    alternatives.push(review);
                    // Alternatives are read side by side: none is better than another.
                    needs.extend(judgement.needs.clone());
                    whole = Some(match whole {
                        None => judgement,
                        Some(so_far) => so_far.or(judgement),
                    });
                }
                let mut whole = whole.unwrap_or_else(|| Judgement::unmet(Vec::new()));
                whole.needs = if whole.outcome == Outcome::Met { Needs::new() } else { needs };
                whole
            }
            (kind, Some(digest)) => {
                self.judge(policy, kind, std::ptr::from_ref(requirement) as usize, digest, evidence)
            }
        };
        let review = RequirementReview {
            name: requirement.name.clone(),
            kind: requirement.kind.as_str().to_owned(),
            outcome: judgement.outcome,
            reasons: judgement.reasons.clone(),
            proofs: judgement.proofs.clone(),
            alternatives,
        };
        (review, judgement)
    }

    fn judge(
        &mut self,
        policy: &Policy,
        kind: &RequirementKind,
        place: usize,
        digest: Digest,
        evidence: &Evidence,
    ) -> Judgement {
        let want = match kind {
            RequirementKind::Signature(signature) => Want::from(signature),
            RequirementKind::Attestation(attestation) => Want::from(attestation),
            RequirementKind::Provenance(provenance) => Want::from(provenance),
            RequirementKind::BaseImage(base) => {
                return every_image(evidence, digest, |digest| image::base(base, evidence, digest, self.now));
            }
            RequirementKind::Config(condition) => {
                return every_image(evidence, digest, |digest| image::config(condition, evidence, digest));
            }
            RequirementKind::Digests(listed) => {
                let judge = |digest: Digest| match listed.contains(&digest) {
                    true => Judgement::met(vec![listed_proof(digest)], None),
                    false => Judgement::unmet_because(Reason::new(
                        ReasonCode::DigestNotListed,
                        format!("{digest} is not listed"),
                    )),
                };
                return by_platform(policy.platforms, digest, evidence, judge);
            }
            // Compiling refuses an anyOf inside an anyOf.
            RequirementKind::AnyOf(_) => return Judgement::unmet(Vec::new()),
        };
        let mut attested = Attested { set: self.set, now: self.now, evidence, memo: &mut *self.memo };
        by_platform(policy.platforms, digest, evidence, |digest| attested.judge(digest, &want, place))
    }
}

/// Layers and configuration are each platform's own, so every one of them is judged, whatever the policy's `platforms`
/// says.
fn every_image(
    evidence: &Evidence,
    digest: Digest,
    judge: impl Fn(Digest) -> Result<Judgement, Judgement>,
) -> Judgement {
    by_platform(PlatformRule::EveryPlatform, digest, evidence, |digest| judge(digest).unwrap_or_else(|unknown| unknown))
}

/// Judges the subject itself, each runnable child of an index, or either, as the rule says.
fn by_platform(
    rule: PlatformRule,
    digest: Digest,
    evidence: &Evidence,
    mut judge: impl FnMut(Digest) -> Judgement,
) -> Judgement {
    match rule {
        PlatformRule::Index => judge(digest),
        PlatformRule::EveryPlatform => match shape(evidence, digest) {
            Shape::Image => judge(digest),
            Shape::Index(children) => every_platform(children, judge),
            Shape::Unknown(unknown) => unknown,
        },
        PlatformRule::IndexOrEveryPlatform => {
            let own = judge(digest);
            if own.outcome == Outcome::Met {
                return own;
            }
            match shape(evidence, digest) {
                Shape::Image => own,
                // Children only where the index itself does not suffice.
                Shape::Index(_) if !own.needs.is_empty() => own,
                Shape::Index(children) => own.or(every_platform(children, judge)),
                Shape::Unknown(unknown) => {
                    // Whether there are children is part of the picture, and is read beside the attachments.
                    let mut needs = own.needs.clone();
                    needs.extend(unknown.needs.clone());
                    Judgement { needs, ..own.or(unknown) }
                }
            }
        }
    }
}

fn every_platform(children: Vec<Runnable>, mut judge: impl FnMut(Digest) -> Judgement) -> Judgement {
    let mut whole: Option<Judgement> = None;
    for child in children {
        let mut judgement = judge(child.digest).tagged("platform", &child.platform);
        for proof in &mut judgement.proofs {
            proof.platform = Some(child.platform.clone());
        }
        if judgement.outcome == Outcome::Unmet {
            let why = judgement.reasons.first().map(|reason| format!(": {reason}")).unwrap_or_default();
            let message = format!("platform {} ({}) is not proven{why}", child.platform, child.digest);
            let reason = Reason::new(ReasonCode::PlatformUnproven, message).with("platform", &child.platform);
            judgement.reasons.push(reason);
        }
        whole = Some(match whole {
            None => judgement,
            Some(so_far) => so_far.and(judgement),
        });
    }
    // "Every platform" of an index without any would be true of nothing.
    whole.unwrap_or_else(|| {
        Judgement::unmet_because(Reason::new(ReasonCode::PlatformUnproven, "the index has no runnable child"))
    })
}

fn listed_proof(digest: Digest) -> Proof {
    Proof { subject: Some(digest), details: [("listed".to_owned(), digest.to_string())].into(), ..Proof::default() }
}

fn policy_review(
    policy: &Policy,
    verdict: Verdict,
    reasons: Vec<Reason>,
    requirements: Vec<RequirementReview>,
) -> PolicyReview {
    PolicyReview {
        name: policy.name.clone(),
        mode: policy.mode,
        on_undeterminable: policy.on_undeterminable,
        tags: policy.tags,
        tag_beside_digest: policy.tag_beside_digest,
        verdict,
        reasons,
        requirements,
    }
}

/// The subject and, where it is an index, its children as far as they are known: any of them may run.
fn judged_digests(evidence: &Evidence) -> Vec<Digest> {
    let Some(digest) = evidence.digest else { return Vec::new() };
    let mut digests = vec![digest];
    digests.extend(Children::of(evidence, digest).digests);
    digests
}

#[cfg(test)]
mod tests;
