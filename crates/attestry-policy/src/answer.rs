//! From verdict to answer: the one place where modes, tags and what the caller is come in.

use attestry_core::{
    Digest, Gap, Reason, ReasonCode, Reference, Review, Verdict,
    decision::{Answer, Objection, Use},
    evidence::GapCause,
    reason::ReasonGroup,
    review::{Mode, OnUndeterminable, Outcome, PolicyReview, RequirementReview, TagBesideDigest, TagRule},
};

/// What happens to an image that no policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoPolicy {
    /// Refused.
    #[default]
    Deny,
    /// Admitted.
    Allow,
}

/// How strictly the modes of policies are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// `Warn` and `Audit` policies never refuse.
    #[default]
    AsWritten,
    /// They count like `Enforce`, as `verify --strict` asks.
    Strict,
}

/// What is known of the tag that stands beside a digest in one reference. No part of a review, which is about a subject
/// whatever it was called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Tagged {
    /// The registry was not asked.
    #[default]
    NotAsked,
    /// It names this.
    Names(Digest),
    /// It could not be read.
    Unknown(Gap),
}

impl Tagged {
    /// From what a registry was asked, if it was.
    pub fn of(asked: Option<Result<Digest, Gap>>) -> Self {
        match asked {
            None => Self::NotAsked,
            Some(Ok(digest)) => Self::Names(digest),
            Some(Err(gap)) => Self::Unknown(gap),
        }
    }

    /// What the tag names, where that is known.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Names(digest) => Some(*digest),
            Self::NotAsked | Self::Unknown(_) => None,
        }
    }
}

/// What follows from `review` for an image named by `reference`.
pub fn answer(
    review: &Review,
    reference: &Reference,
    tagged: &Tagged,
    usage: Use,
    no_policy: NoPolicy,
    strictness: Strictness,
) -> Answer {
    let mut answer = Draft::default();
    for finding in &review.findings {
        // A revocation beats every policy and mode.
        if finding.code != ReasonCode::NoPolicy || no_policy == NoPolicy::Deny {
            answer.objections.push((Severity::Deny, objection(None, None, finding)));
        }
    }
    for policy in &review.policies {
        let mode = if strictness == Strictness::Strict { Mode::Enforce } else { policy.mode };
        let severity = verdict_severity(policy, usage).map(|severity| under(mode, severity));
        let objections = objections(policy);
        answer.objections.extend(objections.into_iter().filter_map(|o| Some((severity?, o))));
        if reference.digest().is_none()
            && let Some((severity, reason)) = tag_finding(policy.tags, reference, review, usage)
        {
            answer.objections.push((under(mode, severity), objection(Some(&policy.name), None, &reason)));
        }
        if policy.tag_beside_digest == TagBesideDigest::Same
            && let Some(reason) = not_the_same(reference, tagged)
        {
            let severity = severity_of(&reason, policy, usage);
            answer.objections.push((under(mode, severity), objection(Some(&policy.name), None, &reason)));
        }
    }
    // Whoever asked is told, also where no policy minds.
    let told = |(severity, objection): &(Severity, Objection)| {
        *severity != Severity::Silent && objection.reason.code == ReasonCode::TagDigestDisagree
    };
    if let Some(reason) = disagreement(reference, tagged)
        && !answer.objections.iter().any(told)
    {
        answer.objections.push((Severity::Warn, objection(None, None, &reason)));
    }
    answer.finish()
}

/// Tag and digest name different images (attack 34).
fn disagreement(reference: &Reference, tagged: &Tagged) -> Option<Reason> {
    let (tag, digest, named) = (reference.tag()?, reference.digest()?, tagged.digest()?);
    (named != digest).then(|| {
        let message = format!("tag {tag} names {named} by now; {digest} was judged");
        Reason::new(ReasonCode::TagDigestDisagree, message).with("tagged", named)
    })
}

/// Why it is not known that tag and digest name the same image; nothing where the reference has not both.
fn not_the_same(reference: &Reference, tagged: &Tagged) -> Option<Reason> {
    let tag = reference.tag().filter(|_| reference.digest().is_some())?;
    match tagged {
        Tagged::Names(_) => disagreement(reference, tagged),
        Tagged::Unknown(gap) => Some(gap.reason().with("tag", tag)),
        Tagged::NotAsked => {
            let message = format!("what tag {tag} names was not read; saved evidence does not say it");
            Some(Reason::new(ReasonCode::BudgetSpent, message).with("tag", tag))
        }
    }
}

/// How a reason about a reference counts under a policy that minds it.
fn severity_of(reason: &Reason, policy: &PolicyReview, usage: Use) -> Severity {
    match reason.code.group() {
        ReasonGroup::Undeterminable => severity_of_unknown(policy, usage, is_outage(reason)),
        _ => Severity::Deny,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    Silent,
    Warn,
    Deny,
}

/// What a mode makes of an objection.
fn under(mode: Mode, severity: Severity) -> Severity {
    match mode {
        Mode::Enforce => severity,
        Mode::Warn if severity == Severity::Deny => Severity::Warn,
        Mode::Warn => severity,
        Mode::Audit => Severity::Silent,
    }
}

fn verdict_severity(policy: &PolicyReview, usage: Use) -> Option<Severity> {
    match policy.verdict {
        Verdict::Trusted => None,
        Verdict::Untrusted => Some(Severity::Deny),
        Verdict::Undeterminable => Some(severity_of_unknown(policy, usage, only_outages(policy))),
    }
}

/// How something counts that is not known; `outage` where that is the registry's fault alone.
fn severity_of_unknown(policy: &PolicyReview, usage: Use, outage: bool) -> Severity {
    match usage {
        // The Pods of a template are judged themselves, and a passing fault must not stop a rollout's object.
        Use::Template => Severity::Warn,
        _ if policy.on_undeterminable == OnUndeterminable::DangerWarn && outage => Severity::Warn,
        _ => Severity::Deny,
    }
}

/// Whether all that is unknown is unknown because a registry is unreachable, too slow or throttling.
fn only_outages(policy: &PolicyReview) -> bool {
    let unknown: Vec<&RequirementReview> =
        policy.requirements.iter().filter(|r| r.outcome == Outcome::Undeterminable).collect();
    // A requirement that tells no gap is unknown for a reason that nobody has named an outage.
    let tells_outages = |requirement: &&RequirementReview| {
        gaps(&requirement.reasons).next().is_some() && gaps(&requirement.reasons).all(is_outage)
    };
    let told = !unknown.is_empty() || !policy.reasons.is_empty();
    told && policy.reasons.iter().all(is_outage) && unknown.iter().all(tells_outages)
}

fn is_outage(reason: &Reason) -> bool {
    CAUSES.iter().any(|cause| cause.is_outage() && cause.code() == reason.code)
}

const CAUSES: [GapCause; 3] = [GapCause::Unreachable, GapCause::Timeout, GapCause::Throttled];

/// The reasons of an undeterminable requirement that say what could not be known; others only add to them.
fn gaps(reasons: &[Reason]) -> impl Iterator<Item = &Reason> {
    reasons.iter().filter(|reason| reason.code.group() == ReasonGroup::Undeterminable)
}

/// One objection for each requirement that is not met, with its most telling reason. Never empty for a policy that is
/// not trusted: a denial must not hang on a reason being told.
fn objections(policy: &PolicyReview) -> Vec<Objection> {
    let of_policy = policy.reasons.iter().map(|reason| objection(Some(&policy.name), None, reason));
    let unproven = policy.requirements.iter().filter(|requirement| requirement.outcome != Outcome::Met);
    let of_requirements = unproven.map(|requirement| {
        let untold = || Reason::new(ReasonCode::BudgetSpent, format!("requirement {} is not proven", requirement.name));
        let reason = requirement.reasons.first().cloned().unwrap_or_else(untold);
        objection(Some(&policy.name), Some(&requirement.name), &reason)
    });
    let mut all: Vec<Objection> = of_policy.chain(of_requirements).collect();
    if all.is_empty() {
        let message = format!("policy {} is {}", policy.name, policy.verdict.as_str());
        all.push(objection(Some(&policy.name), None, &Reason::new(ReasonCode::BudgetSpent, message)));
    }
    all
}

fn tag_finding(rule: TagRule, reference: &Reference, review: &Review, usage: Use) -> Option<(Severity, Reason)> {
    let pinned = review.subject.as_ref().map(|subject| reference.pin(subject.digest).to_string());
    let told = |code, message: String| {
        let reason = Reason::new(code, message).with("image", reference);
        match &pinned {
            Some(pinned) => reason.with("pinned", pinned),
            None => reason,
        }
    };
    match (rule, usage) {
        (TagRule::Deny, _) => Some((
            Severity::Deny,
            told(ReasonCode::TagMutable, format!("{reference} is named by a tag, which can move")),
        )),
        (TagRule::Pin, Use::Pod) => {
            Some((Severity::Deny, told(ReasonCode::TagNotPinned, format!("{reference} was not pinned to a digest"))))
        }
        (TagRule::Pin | TagRule::DangerResolve, Use::Template) => None,
        (TagRule::Pin, Use::Advice) => Some((
            Severity::Warn,
            told(ReasonCode::TagNotPinned, format!("{reference} was judged as the tag points now")),
        )),
        (TagRule::DangerResolve, Use::Pod | Use::Advice) => {
            let message = format!("{reference} was judged as the tag points now; what runs may differ");
            Some((Severity::Warn, told(ReasonCode::TagMutable, message)))
        }
    }
}

fn objection(policy: Option<&str>, requirement: Option<&str>, reason: &Reason) -> Objection {
    Objection { policy: policy.map(str::to_owned), requirement: requirement.map(str::to_owned), reason: reason.clone() }
}

/// Objections with their severity, before they are sorted into the answer.
#[derive(Default)]
struct Draft {
    objections: Vec<(Severity, Objection)>,
}

impl Draft {
    fn finish(self) -> Answer {
        let of = |wanted: Severity| -> Vec<Objection> {
            let mut kept: Vec<Objection> = Vec::new();
            for (_, objection) in self.objections.iter().filter(|(severity, _)| *severity == wanted) {
                // Several policies say the same of one tag.
                if !kept
                    .iter()
                    .any(|known| known.reason == objection.reason && known.requirement == objection.requirement)
                {
                    kept.push(objection.clone());
                }
            }
            kept
        };
        let denials = of(Severity::Deny);
        let unknown = |o: &Objection| o.reason.code.group() == ReasonGroup::Undeterminable;
        Answer {
            allowed: denials.is_empty(),
            undeterminable: !denials.is_empty() && denials.iter().all(unknown),
            denials,
            warnings: of(Severity::Warn),
        }
    }
}

#[cfg(test)]
mod tests;
