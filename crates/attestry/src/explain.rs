//! A review and its answer in words: which policy, which requirement, why, and what to do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use attestry_core::decision::{Answer, Objection};
use attestry_core::review::{Mode, Outcome, PolicyReview, Proof, RequirementReview};
use attestry_core::{Reason, ReasonCode, Reference, Review, Verdict};

use crate::output::Paint;

/// Reasons shown for one requirement; the JSON has all of them.
const MAX_REASONS: usize = 3;

/// What `verify` prints.
pub(crate) fn verification(
    reference: &Reference,
    pinned: Option<&str>,
    answer: &Answer,
    review: &Review,
    paint: Paint,
) -> String {
    let mut text = Explanation { out: String::new(), hinted: BTreeSet::new(), paint };
    text.line(0, &format!("{}  {}", text.answer(answer, review), pinned.unwrap_or(&reference.to_string())));
    for finding in &review.findings {
        text.reason(2, finding);
    }
    for policy in &review.policies {
        text.policy(policy);
    }
    for warning in answer.warnings.iter().filter(|warning| warning.requirement.is_none()) {
        text.warning(warning);
    }
    for denial in answer.denials.iter().filter(|denial| is_about_reference(denial, review)) {
        text.reason(2, &denial.reason);
    }
    if let Some(until) = review.valid_until {
        let line = text.paint.faint(&format!("as long as nothing changes, this holds until {until}"));
        text.line(2, &line);
    }
    if reference.digest().is_none()
        && let Some(pinned) = pinned
    {
        text.line(2, &format!("pinned: {pinned}"));
    }
    text.out
}

/// One line for an answer that says nothing of its review.
pub(crate) fn verdict(verdict: Verdict, paint: Paint) -> String {
    match verdict {
        Verdict::Trusted => paint.good(verdict.as_str()),
        Verdict::Untrusted => paint.bad(verdict.as_str()),
        Verdict::Undeterminable => paint.unsure(verdict.as_str()),
    }
}

/// The proofs of a review, one on each line.
pub(crate) fn proofs(review: &Review) -> Vec<String> {
    let requirements = review.policies.iter().flat_map(|policy| &policy.requirements);
    let named = |requirement: &RequirementReview| {
        let lines = requirement.proofs.iter().map(|proof| format!("{}: {}", requirement.name, describe(proof)));
        lines.collect::<Vec<_>>()
    };
    requirements.flat_map(named).collect()
}

struct Explanation {
    out: String,
    /// Codes whose hint was given already.
    hinted: BTreeSet<ReasonCode>,
    paint: Paint,
}

impl Explanation {
    /// The first word. A verdict that a mode lets pass is said with it.
    fn answer(&self, answer: &Answer, review: &Review) -> String {
        let word = verdict(review.verdict, self.paint);
        match (answer.allowed, review.verdict) {
            (true, Verdict::Trusted) | (false, Verdict::Untrusted | Verdict::Undeterminable) => word,
            (true, _) => format!("{word}, {}", self.paint.unsure("allowed by mode")),
            (false, Verdict::Trusted) => format!("{word}, {}", self.paint.bad("refused")),
        }
    }

    fn policy(&mut self, policy: &PolicyReview) {
        let mode = match policy.mode {
            Mode::Enforce => String::new(),
            mode => format!(" ({mode:?})"),
        };
        let title = self.paint.strong(&format!("policy {}", policy.name));
        let heading = format!("{title}{mode}: {}", verdict(policy.verdict, self.paint));
        self.line(2, &heading);
        for reason in &policy.reasons {
            self.reason(4, reason);
        }
        for requirement in &policy.requirements {
            self.requirement(4, requirement);
        }
    }

    fn requirement(&mut self, indent: usize, requirement: &RequirementReview) {
        let outcome = match requirement.outcome {
            Outcome::Met => self.paint.good("met"),
            Outcome::Unmet => self.paint.bad("unmet"),
            Outcome::Undeterminable => self.paint.unsure("undeterminable"),
        };
        self.line(indent, &format!("{outcome}  {} ({})", requirement.name, requirement.kind));
        for proof in &requirement.proofs {
            let proof = self.paint.faint(&describe(proof));
            self.line(indent + 2, &proof);
        }
        for reason in requirement.reasons.iter().take(MAX_REASONS) {
            self.reason(indent + 2, reason);
        }
        if requirement.reasons.len() > MAX_REASONS {
            self.line(indent + 2, &format!("and {} more reasons", requirement.reasons.len() - MAX_REASONS));
        }
        // Where one alternative is met, why the others are not is nobody's question.
        if requirement.outcome != Outcome::Met {
            for alternative in &requirement.alternatives {
                self.requirement(indent + 2, alternative);
            }
        }
    }

    fn reason(&mut self, indent: usize, reason: &Reason) {
        self.line(indent, &format!("{}: {}", self.paint.strong(reason.code.as_str()), reason.message));
        if self.hinted.insert(reason.code) {
            self.line(indent + 2, &format!("hint: {}", reason.code.hint()));
        }
    }

    fn warning(&mut self, warning: &Objection) {
        let word = self.paint.unsure("warning");
        let mut reason = warning.reason.clone();
        if let Some(policy) = &warning.policy {
            reason.message = format!("{} (policy {policy})", reason.message);
        }
        self.line(2, &format!("{word}: {}: {}", reason.code, reason.message));
    }

    fn line(&mut self, indent: usize, text: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.out, "{:indent$}{text}", "");
    }
}

/// What only the answer says: a tag that is refused, for example. The review is about a subject, whatever it is called.
fn is_about_reference(denial: &Objection, review: &Review) -> bool {
    let of_review = review.findings.iter().chain(review.policies.iter().flat_map(|policy| &policy.reasons));
    denial.requirement.is_none() && !of_review.into_iter().any(|reason| *reason == denial.reason)
}

/// A proof in one line: who, about what, from which attachment.
fn describe(proof: &Proof) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push(format!("{name} {value}"));
        }
    };
    part("by", proof.authority.clone());
    // The key of a keyless signature lived for minutes and names nobody.
    match &proof.identity {
        Some(identity) => part("as", Some(format!("{} of {}", identity.subject, identity.issuer))),
        None => part("key", proof.key_id.map(|key| key.to_string())),
    }
    part("type", proof.predicate_type.clone());
    part("for", proof.platform.clone());
    part("at", proof.time.map(|time| time.to_string()));
    for (name, value) in &proof.details {
        part(name, Some(value.clone()));
    }
    part("in", proof.attachment.map(|attachment| attachment.to_string()));
    parts.join(", ")
}
