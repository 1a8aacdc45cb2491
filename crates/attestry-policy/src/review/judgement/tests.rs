//! How outcomes combine, and which reasons are told.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::{Digest, Need};

use super::*;

fn judgement(outcome: Outcome, code: ReasonCode, need: &str) -> Judgement {
    let needs: Needs = [Need::Manifest { digest: Digest::of(need) }].into();
    let reasons = vec![Reason::new(code, need)];
    match outcome {
        Outcome::Met => Judgement::met(Vec::new(), None),
        Outcome::Unmet => Judgement::unmet(reasons),
        Outcome::Undeterminable => Judgement::undeterminable(reasons, needs),
    }
}

#[test]
fn outcomes_combine() {
    use Outcome::{Met, Undeterminable, Unmet};
    // Neither code tells more than the other, so that the order is that of the combination.
    let (a, b) = (ReasonCode::TrustRootStale, ReasonCode::DigestNotListed);
    for (first, second, either, leads_either, both, leads_both) in [
        (Met, Met, Met, None, Met, None),
        (Met, Unmet, Met, None, Unmet, Some(b)),
        (Met, Undeterminable, Met, None, Undeterminable, Some(b)),
        (Unmet, Met, Met, None, Unmet, Some(a)),
        (Unmet, Unmet, Unmet, Some(a), Unmet, Some(a)),
        (Unmet, Undeterminable, Undeterminable, Some(b), Unmet, Some(a)),
        (Undeterminable, Met, Met, None, Undeterminable, Some(a)),
        (Undeterminable, Unmet, Undeterminable, Some(a), Unmet, Some(b)),
        (Undeterminable, Undeterminable, Undeterminable, Some(a), Undeterminable, Some(a)),
    ] {
        let pair = || (judgement(first, a, "first"), judgement(second, b, "second"));
        let leads = |judgement: &Judgement| judgement.reasons.first().map(|reason| reason.code);
        let (x, y) = pair();
        let or = x.or(y);
        assert_eq!((or.outcome, leads(&or)), (either, leads_either), "{first:?} or {second:?}");
        let (x, y) = pair();
        let and = x.and(y);
        assert_eq!((and.outcome, leads(&and)), (both, leads_both), "{first:?} and {second:?}");
        assert_eq!(and.needs.is_empty(), both != Undeterminable, "{first:?} and {second:?}");
        assert_eq!(or.needs.is_empty(), either != Undeterminable, "{first:?} or {second:?}");
    }
    let unknown = |need| judgement(Undeterminable, a, need);
    let needs =
        |names: &[&str]| -> Needs { names.iter().map(|name| Need::Manifest { digest: Digest::of(name) }).collect() };
    assert_eq!(unknown("x").or(unknown("y")).needs, needs(&["x"]), "one after the other");
    assert_eq!(unknown("x").and(unknown("y")).needs, needs(&["x", "y"]), "side by side");
    assert_eq!(judgement(Unmet, a, "x").or(unknown("y")).needs, needs(&["y"]));
    let until = |second: i64| Judgement::met(Vec::new(), Timestamp::from_second(second).ok());
    assert_eq!(until(7).and(until(5)).valid_until, Timestamp::from_second(5).ok());
    assert_eq!(Judgement::met(Vec::new(), None).and(until(5)).valid_until, Timestamp::from_second(5).ok());
}

#[test]
fn the_most_telling_reasons_come_first() {
    use ReasonCode as C;
    let order: &[&[C]] = &[
        &[C::RegistryDenied, C::RegistryMalformed, C::NotFound, C::RegistryNotAllowed, C::OverLimit, C::BudgetSpent],
        &[C::RegistryUnreachable, C::RegistryTimeout, C::RegistryThrottled],
        &[C::Revoked, C::BaseRevoked],
        &[C::SignatureInvalid],
        &[
            C::ThresholdNotMet,
            C::ConditionFalse,
            C::ConditionFailed,
            C::EvidenceTooOld,
            C::TimestampMissing,
            C::BuilderNotTrusted,
            C::SourceNotTrusted,
            C::KeyNotValidThen,
        ],
        &[C::KeyUnknown, C::IdentityMismatch],
        &[C::SubjectMismatch],
        &[C::BundleUnsupported],
        &[C::SignatureMissing, C::AttestationMissing],
        &[C::PlatformUnproven, C::DigestNotListed],
    ];
    let first = |codes: [C; 2]| Judgement::unmet(codes.map(|code| Reason::new(code, "why")).into()).reasons[0].code;
    for (at, codes) in order.iter().enumerate() {
        for code in *codes {
            for later in order[at + 1..].iter().copied().flatten() {
                assert_eq!(first([*later, *code]), *code, "{code} before {later}");
            }
        }
        for pair in codes.windows(2) {
            assert_eq!(first([pair[1], pair[0]]), pair[1], "{} and {} tell as much", pair[0], pair[1]);
        }
    }
    // Each once, eight at most, and outages never push out a gap that DangerWarn does not let pass.
    let mut reasons: Vec<Reason> =
        (0..8).map(|number| Reason::new(C::RegistryThrottled, format!("429, {number}"))).collect();
    reasons.push(reasons[0].clone());
    assert_eq!(Judgement::unmet(reasons.clone()).reasons, reasons[..8]);
    reasons.push(Reason::new(C::RegistryDenied, "401"));
    let kept = Judgement::undeterminable(reasons, Needs::new()).reasons;
    assert_eq!((kept.len(), kept[0].code), (8, C::RegistryDenied));
}

/// What is not known of one part is no reason once another part has decided.
#[test]
fn a_gap_beside_a_refusal_is_not_told_as_the_reason() {
    let unmet = || judgement(Outcome::Unmet, ReasonCode::SignatureMissing, "read");
    let unknown = || judgement(Outcome::Undeterminable, ReasonCode::RegistryThrottled, "not read");
    for both in [unmet().and(unknown()), unknown().and(unmet())] {
        let codes: Vec<ReasonCode> = both.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!((both.outcome, codes), (Outcome::Unmet, vec![ReasonCode::SignatureMissing]));
    }
}
