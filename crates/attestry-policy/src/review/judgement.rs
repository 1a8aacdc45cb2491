//! How requirements combine: three outcomes, the reasons, the proofs, and what is still to be read.

use attestry_core::{
    Needs, Reason, ReasonCode, Timestamp,
    review::{Outcome, Proof},
};

/// How many reasons one requirement tells. The rest says nothing new.
const MAX_REASONS: usize = 8;
/// How many proofs one requirement lists; an index of many platforms has one for each.
const MAX_PROOFS: usize = 64;

/// How something came out, and what would have to be read to know better.
#[derive(Debug, Clone)]
pub(super) struct Judgement {
    pub(super) outcome: Outcome,
    pub(super) reasons: Vec<Reason>,
    pub(super) proofs: Vec<Proof>,
    /// Empty unless the outcome could still turn.
    pub(super) needs: Needs,
    /// For what is met: the first moment at which time alone takes it away.
    pub(super) valid_until: Option<Timestamp>,
}

impl Judgement {
    pub(super) fn met(proofs: Vec<Proof>, valid_until: Option<Timestamp>) -> Self {
        Self { outcome: Outcome::Met, reasons: Vec::new(), proofs, needs: Needs::new(), valid_until }
    }

    pub(super) fn unmet(reasons: Vec<Reason>) -> Self {
        Self {
            outcome: Outcome::Unmet,
            reasons: telling(reasons),
            proofs: Vec::new(),
            needs: Needs::new(),
            valid_until: None,
        }
    }

    pub(super) fn unmet_because(reason: Reason) -> Self {
        Self::unmet(vec![reason])
    }

    /// Not known: `gaps` say why, `needs` what could still be read.
    pub(super) fn undeterminable(gaps: Vec<Reason>, needs: Needs) -> Self {
        let mut reasons = telling(gaps);
        if reasons.is_empty() {
            reasons.push(unread());
        }
        Self { outcome: Outcome::Undeterminable, reasons, proofs: Vec::new(), needs, valid_until: None }
    }

    /// Either suffices. What `self` lacks is read first: `other` adds needs only once `self` has none.
    pub(super) fn or(self, other: Self) -> Self {
        if self.outcome == Outcome::Met {
            return self;
        }
        if other.outcome == Outcome::Met {
            return other;
        }
        let needs = if self.needs.is_empty() { other.needs } else { self.needs };
        // Reasons of what decides come first: an unmet alternative says nothing while another is unknown.
        let (outcome, reasons) = match (self.outcome, other.outcome) {
            (Outcome::Unmet, Outcome::Undeterminable) => {
                (Outcome::Undeterminable, [other.reasons, self.reasons].concat())
            }
            (Outcome::Undeterminable, _) => (Outcome::Undeterminable, [self.reasons, other.reasons].concat()),
            _ => (Outcome::Unmet, [self.reasons, other.reasons].concat()),
        };
        Self { outcome, reasons: telling(reasons), proofs: Vec::new(), needs, valid_until: None }
    }

    /// Both are needed. Nothing more is read once one is unmet.
    pub(super) fn and(self, other: Self) -> Self {
        let outcome = self.outcome.max(other.outcome);
        // Once one is unmet, what is not known of the other no longer matters, and must not pass for the reason.
        let reasons = match (self.outcome, other.outcome) {
            (Outcome::Unmet, Outcome::Undeterminable) => self.reasons,
            (Outcome::Undeterminable, Outcome::Unmet) => other.reasons,
            _ => [self.reasons, other.reasons].concat(),
        };
        let mut proofs = [self.proofs, other.proofs].concat();
        proofs.truncate(MAX_PROOFS);
        let mut needs = self.needs;
        needs.extend(other.needs);
        match outcome {
            Outcome::Met => Self::met(proofs, earlier(self.valid_until, other.valid_until)),
            Outcome::Unmet => Self::unmet(reasons),
            Outcome::Undeterminable => {
                Self { outcome, reasons: telling(reasons), proofs: Vec::new(), needs, valid_until: None }
            }
        }
    }

    /// Adds a detail to every reason, such as the platform it is about.
    pub(super) fn tagged(mut self, name: &str, value: &str) -> Self {
        self.reasons = self.reasons.into_iter().map(|reason| reason.with(name, value)).collect();
        self
    }
}

/// The earlier of two moments, where none means never.
pub(super) fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (some, None) | (None, some) => some,
    }
}

/// For evidence that lacks something without saying why, such as a part of saved evidence.
pub(super) fn unread() -> Reason {
    Reason::new(ReasonCode::BudgetSpent, "not everything that is needed was read")
}

/// The most telling reasons first, each once, bounded.
fn telling(mut reasons: Vec<Reason>) -> Vec<Reason> {
    reasons.sort_by_key(|reason| rank(reason.code));
    let mut kept: Vec<Reason> = Vec::new();
    for reason in reasons {
        if kept.len() == MAX_REASONS {
            break;
        }
        if !kept.contains(&reason) {
            kept.push(reason);
        }
    }
    kept
}

/// How far something came before it failed: what came furthest tells most, and which platform it was comes last. Gaps
/// come before all, since while something is unread nothing else is final; outages last among them, so that cutting the
/// list never leaves only the gaps that `DangerWarn` lets pass.
fn rank(code: ReasonCode) -> u8 {
    use ReasonCode as C;
    match code {
        C::RegistryDenied | C::RegistryMalformed | C::NotFound | C::RegistryNotAllowed | C::OverLimit => 0,
        C::BudgetSpent => 0,
        C::RegistryUnreachable | C::RegistryTimeout | C::RegistryThrottled => 1,
        C::Revoked | C::BaseRevoked => 2,
        C::SignatureInvalid => 3,
        C::ThresholdNotMet | C::ConditionFalse | C::ConditionFailed | C::EvidenceTooOld | C::TimestampMissing => 5,
        C::BuilderNotTrusted | C::SourceNotTrusted | C::KeyNotValidThen => 5,
        C::KeyUnknown | C::IdentityMismatch => 6,
        C::SubjectMismatch => 7,
        C::BundleUnsupported => 8,
        C::SignatureMissing | C::AttestationMissing => 9,
        _ => 10,
    }
}

#[cfg(test)]
mod tests;
