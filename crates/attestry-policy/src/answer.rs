//! From verdict to answer: the one place where modes, tags and what the caller is come in.

use attestry_core::{
    Reason, ReasonCode, Reference, Review, Verdict,
    decision::{Answer, Objection, Use},
    evidence::GapCause,
    reason::ReasonGroup,
    review::{Mode, OnUndeterminable, Outcome, PolicyReview, RequirementReview, TagRule},
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

/// What follows from `review` for an image named by `reference`.
pub fn answer(
    review: &Review,
    reference: &Reference,
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
    }
    answer.finish()
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
        // The Pods of a template are judged themselves, and a passing fault must not stop a rollout's object.
        Verdict::Undeterminable if usage == Use::Template => Some(Severity::Warn),
        Verdict::Undeterminable if policy.on_undeterminable == OnUndeterminable::DangerWarn && only_outages(policy) => {
            Some(Severity::Warn)
        }
        Verdict::Undeterminable => Some(Severity::Deny),
    }
}

/// Whether all that is unknown is unknown because a registry is unreachable, too slow or throttling.
fn only_outages(policy: &PolicyReview) -> bool {
    let outage = |reason: &Reason| CAUSES.iter().any(|cause| cause.is_outage() && cause.code() == reason.code);
    let unknown: Vec<&RequirementReview> =
        policy.requirements.iter().filter(|r| r.outcome == Outcome::Undeterminable).collect();
    // A requirement that tells no gap is unknown for a reason that nobody has named an outage.
    let tells_outages = |requirement: &&RequirementReview| {
        gaps(&requirement.reasons).next().is_some() && gaps(&requirement.reasons).all(outage)
    };
    let told = !unknown.is_empty() || !policy.reasons.is_empty();
    told && policy.reasons.iter().all(outage) && unknown.iter().all(tells_outages)
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
