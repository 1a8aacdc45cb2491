//! Verdicts under every mode, tag rule and use.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::{
    Digest, Timestamp,
    review::{Outcome, RequirementReview, ReviewedSubject},
};

use super::*;

struct Case {
    verdict: Verdict,
    codes: &'static [ReasonCode],
    mode: Mode,
    unknown: OnUndeterminable,
    tags: TagRule,
    pinned: bool,
    usage: Use,
}

const TRUSTED: Case = Case {
    verdict: Verdict::Trusted,
    codes: &[],
    mode: Mode::Enforce,
    unknown: OnUndeterminable::Deny,
    tags: TagRule::Pin,
    pinned: true,
    usage: Use::Pod,
};

fn review(case: &Case) -> Review {
    let repository: attestry_core::Repository = "registry.example/app".parse().unwrap();
    let (api_version, kind, engine) = Review::header();
    let outcome = match case.verdict {
        Verdict::Trusted => Outcome::Met,
        Verdict::Undeterminable => Outcome::Undeterminable,
        Verdict::Untrusted => Outcome::Unmet,
    };
    Review {
        api_version,
        kind,
        repository: repository.clone(),
        subject: Some(ReviewedSubject { repository, digest: Digest::of("x"), media_type: None }),
        namespace: None,
        verdict: case.verdict,
        findings: Vec::new(),
        policies: vec![PolicyReview {
            name: "production".into(),
            mode: case.mode,
            on_undeterminable: case.unknown,
            tags: case.tags,
            tag_beside_digest: Default::default(),
            verdict: case.verdict,
            reasons: Vec::new(),
            requirements: vec![RequirementReview {
                name: "signed".into(),
                kind: "signature".into(),
                outcome,
                reasons: case.codes.iter().map(|code| Reason::new(*code, "why")).collect(),
                proofs: Vec::new(),
                alternatives: Vec::new(),
            }],
        }],
        policy_set: Digest::of("set"),
        evidence: Digest::of("evidence"),
        engine,
        evaluated_at: Timestamp::UNIX_EPOCH,
        valid_until: None,
    }
}

/// `expected`: allowed, codes of the denials, codes of the warnings.
fn check(case: &Case, expected: (bool, &[ReasonCode], &[ReasonCode])) {
    let text = if case.pinned {
        format!("registry.example/app@{}", Digest::of("x"))
    } else {
        "registry.example/app:v1".into()
    };
    let answer = answer(
        &review(case),
        &text.parse().unwrap(),
        &Tagged::NotAsked,
        case.usage,
        NoPolicy::Deny,
        Strictness::AsWritten,
    );
    let codes = |objections: &[Objection]| objections.iter().map(|o| o.reason.code).collect::<Vec<_>>();
    let found = (answer.allowed, codes(&answer.denials), codes(&answer.warnings));
    assert_eq!(
        (found.0, &found.1[..], &found.2[..]),
        expected,
        "{text} {:?} {:?} {:?}",
        case.verdict,
        case.mode,
        case.usage
    );
}

#[test]
fn the_answer_follows_verdict_and_mode() {
    const MISSING: &[ReasonCode] = &[ReasonCode::SignatureMissing];
    let untrusted = Case { verdict: Verdict::Untrusted, codes: MISSING, ..TRUSTED };
    check(&TRUSTED, (true, &[], &[]));
    check(&untrusted, (false, MISSING, &[]));
    check(&Case { mode: Mode::Warn, ..untrusted }, (true, &[], MISSING));
    check(&Case { mode: Mode::Audit, ..untrusted }, (true, &[], &[]));
    check(&Case { usage: Use::Template, ..untrusted }, (false, MISSING, &[]));
}

#[test]
fn a_denial_does_not_hang_on_a_reason_being_told() {
    for verdict in [Verdict::Untrusted, Verdict::Undeterminable] {
        let silent = Case { verdict, ..TRUSTED };
        check(&silent, (false, &[ReasonCode::BudgetSpent], &[]));
        let mut review = review(&silent);
        review.policies[0].requirements.clear();
        let reference = format!("registry.example/app@{}", Digest::of("x")).parse().unwrap();
        assert!(
            !answer(&review, &reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Deny, Strictness::AsWritten).allowed
        );
    }
}

#[test]
fn danger_warn_covers_outages_and_nothing_else() {
    const OUTAGE: &[ReasonCode] = &[ReasonCode::RegistryThrottled];
    const MIXED: &[ReasonCode] = &[ReasonCode::RegistryMalformed, ReasonCode::RegistryThrottled];
    let unknown = Case { verdict: Verdict::Undeterminable, codes: OUTAGE, ..TRUSTED };
    check(&unknown, (false, OUTAGE, &[]));
    let lax = OnUndeterminable::DangerWarn;
    check(&Case { unknown: lax, ..unknown }, (true, &[], OUTAGE));
    check(&Case { unknown: lax, codes: MIXED, ..unknown }, (false, &[ReasonCode::RegistryMalformed], &[]));
    check(
        &Case { unknown: lax, codes: &[ReasonCode::RegistryDenied], ..unknown },
        (false, &[ReasonCode::RegistryDenied], &[]),
    );
    check(&Case { unknown: lax, codes: &[], ..unknown }, (false, &[ReasonCode::BudgetSpent], &[]));
    check(&Case { usage: Use::Template, ..unknown }, (true, &[], OUTAGE));
}

#[test]
fn tags_are_a_finding_on_the_reference() {
    let tag = Case { pinned: false, ..TRUSTED };
    let mutable: &[ReasonCode] = &[ReasonCode::TagMutable];
    let unpinned: &[ReasonCode] = &[ReasonCode::TagNotPinned];
    for (tags, usage, expected) in [
        (TagRule::Deny, Use::Pod, (false, mutable, &[][..])),
        (TagRule::Deny, Use::Template, (false, mutable, &[])),
        (TagRule::Deny, Use::Advice, (false, mutable, &[])),
        (TagRule::Pin, Use::Pod, (false, unpinned, &[])),
        (TagRule::Pin, Use::Template, (true, &[], &[])),
        (TagRule::Pin, Use::Advice, (true, &[], unpinned)),
        (TagRule::DangerResolve, Use::Pod, (true, &[], mutable)),
        (TagRule::DangerResolve, Use::Template, (true, &[], &[])),
        (TagRule::DangerResolve, Use::Advice, (true, &[], mutable)),
    ] {
        check(&Case { tags, usage, ..tag }, expected);
    }
    check(&Case { tags: TagRule::Deny, mode: Mode::Warn, ..tag }, (true, &[], mutable));
}

#[test]
fn a_revocation_beats_modes_and_no_policy_is_configured() {
    let reference: Reference =
        "registry.example/app@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse().unwrap();
    let mut review = review(&Case { mode: Mode::Audit, ..TRUSTED });
    review.findings = vec![Reason::new(ReasonCode::Revoked, "why")];
    assert!(!answer(&review, &reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Allow, Strictness::AsWritten).allowed);
    review.findings = vec![Reason::new(ReasonCode::NoPolicy, "why")];
    review.policies.clear();
    assert!(!answer(&review, &reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Deny, Strictness::AsWritten).allowed);
    assert!(answer(&review, &reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Allow, Strictness::AsWritten).allowed);
}

#[test]
fn strict_counts_every_policy() {
    let case = Case { verdict: Verdict::Untrusted, codes: &[ReasonCode::KeyUnknown], mode: Mode::Audit, ..TRUSTED };
    let reference: Reference = format!("registry.example/app@{}", Digest::of("x")).parse().unwrap();
    assert!(
        answer(&review(&case), &reference, &Tagged::NotAsked, Use::Advice, NoPolicy::Deny, Strictness::AsWritten)
            .allowed
    );
    assert!(
        !answer(&review(&case), &reference, &Tagged::NotAsked, Use::Advice, NoPolicy::Deny, Strictness::Strict).allowed
    );
}

#[test]
fn danger_warn_looks_at_reasons_of_the_policy_too() {
    use ReasonCode::{NamespaceUnknown, RegistryDenied, RegistryThrottled};
    let lax = Case {
        verdict: Verdict::Undeterminable,
        codes: &[RegistryThrottled],
        unknown: OnUndeterminable::DangerWarn,
        ..TRUSTED
    };
    let reference: Reference = format!("registry.example/app@{}", Digest::of("x")).parse().unwrap();
    for (of_policy, with_requirement, allowed) in [
        (Some(RegistryThrottled), true, true),
        (Some(RegistryThrottled), false, true),
        (Some(RegistryDenied), true, false),
        (Some(NamespaceUnknown), true, false),
        (Some(NamespaceUnknown), false, false),
        (None, true, true),
        (None, false, false),
    ] {
        let mut review = review(&lax);
        review.policies[0].reasons = of_policy.map(|code| Reason::new(code, "why")).into_iter().collect();
        if !with_requirement {
            review.policies[0].requirements.clear();
        }
        let answer = answer(&review, &reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Deny, Strictness::AsWritten);
        assert_eq!(answer.allowed, allowed, "{of_policy:?} {with_requirement}");
        assert_eq!(answer.warnings.is_empty(), !allowed, "{of_policy:?} {with_requirement}");
    }
}

#[test]
fn what_several_policies_say_of_one_tag_is_told_once() {
    let mut review = review(&Case { verdict: Verdict::Untrusted, codes: &[ReasonCode::SignatureMissing], ..TRUSTED });
    let mut second = review.policies[0].clone();
    second.name = "second".into();
    second.requirements[0].name = "also-signed".into();
    review.policies.push(second);
    let answer = answer(
        &review,
        &"registry.example/app:v1".parse().unwrap(),
        &Tagged::NotAsked,
        Use::Pod,
        NoPolicy::Deny,
        Strictness::AsWritten,
    );
    let told: Vec<_> = answer.denials.iter().map(|o| (o.requirement.as_deref(), o.reason.code)).collect();
    let missing = ReasonCode::SignatureMissing;
    assert_eq!(
        told,
        [(Some("signed"), missing), (None, ReasonCode::TagNotPinned), (Some("also-signed"), missing)],
        "the same reason under another requirement is told as well"
    );
}

#[test]
fn only_what_is_not_known_is_undeterminable() {
    let reference: Reference = format!("registry.example/app@{}", Digest::of("x")).parse().unwrap();
    let tag: Reference = "registry.example/app:v1".parse().unwrap();
    let unknown = Case { verdict: Verdict::Undeterminable, codes: &[ReasonCode::RegistryThrottled], ..TRUSTED };
    let untrusted = Case { verdict: Verdict::Untrusted, codes: &[ReasonCode::SignatureMissing], ..TRUSTED };
    for (case, reference, expected) in [
        (&TRUSTED, &reference, false),
        (&unknown, &reference, true),
        (&untrusted, &reference, false),
        // The tag is refused whatever is read.
        (&unknown, &tag, false),
        (&Case { mode: Mode::Warn, ..unknown }, &reference, false),
    ] {
        let answer =
            answer(&review(case), reference, &Tagged::NotAsked, Use::Pod, NoPolicy::Deny, Strictness::AsWritten);
        assert_eq!(answer.undeterminable, expected, "{:?} {:?} {reference}", case.verdict, case.mode);
    }
}

#[test]
fn attack_34_a_tag_beside_a_digest_is_refused_by_a_policy_that_minds() {
    use GapCause::{NotFound, Throttled};
    const DISAGREE: &[ReasonCode] = &[ReasonCode::TagDigestDisagree];
    let gap = |cause: GapCause| {
        Tagged::Unknown(Gap {
            need: attestry_core::Need::Resolve { tag: "v1".into() },
            cause,
            detail: "not read".into(),
        })
    };
    let (same, other) = (Tagged::Names(Digest::of("x")), Tagged::Names(Digest::of("y")));
    let lax = Case { unknown: OnUndeterminable::DangerWarn, ..TRUSTED };
    let template = Case { usage: Use::Template, ..TRUSTED };
    let warn = Case { mode: Mode::Warn, ..TRUSTED };
    let audit = Case { mode: Mode::Audit, ..TRUSTED };
    for (rule, case, tagged, expected) in [
        (TagBesideDigest::Any, &TRUSTED, &Tagged::NotAsked, (true, &[][..], &[][..])),
        (TagBesideDigest::Any, &TRUSTED, &same, (true, &[], &[])),
        (TagBesideDigest::Any, &TRUSTED, &other, (true, &[], DISAGREE)),
        (TagBesideDigest::Any, &TRUSTED, &gap(NotFound), (true, &[], &[])),
        (TagBesideDigest::Same, &TRUSTED, &same, (true, &[], &[])),
        (TagBesideDigest::Same, &TRUSTED, &other, (false, DISAGREE, &[])),
        (TagBesideDigest::Same, &template, &other, (false, DISAGREE, &[])),
        (TagBesideDigest::Same, &warn, &other, (true, &[], DISAGREE)),
        (TagBesideDigest::Same, &audit, &other, (true, &[], DISAGREE)),
        // What is not known proves nothing.
        (TagBesideDigest::Same, &TRUSTED, &Tagged::NotAsked, (false, &[ReasonCode::BudgetSpent], &[])),
        (TagBesideDigest::Same, &TRUSTED, &gap(NotFound), (false, &[ReasonCode::NotFound], &[])),
        (TagBesideDigest::Same, &TRUSTED, &gap(Throttled), (false, &[ReasonCode::RegistryThrottled], &[])),
        (TagBesideDigest::Same, &lax, &gap(Throttled), (true, &[], &[ReasonCode::RegistryThrottled])),
        (TagBesideDigest::Same, &lax, &gap(NotFound), (false, &[ReasonCode::NotFound], &[])),
        (TagBesideDigest::Same, &lax, &other, (false, DISAGREE, &[])),
        (TagBesideDigest::Same, &template, &gap(NotFound), (true, &[], &[ReasonCode::NotFound])),
    ] {
        let mut review = review(case);
        review.policies[0].tag_beside_digest = rule;
        let both: Reference = format!("registry.example/app:v1@{}", Digest::of("x")).parse().unwrap();
        let answer = answer(&review, &both, tagged, case.usage, NoPolicy::Deny, Strictness::AsWritten);
        let codes = |objections: &[Objection]| objections.iter().map(|o| o.reason.code).collect::<Vec<_>>();
        let found = (answer.allowed, codes(&answer.denials), codes(&answer.warnings));
        assert_eq!((found.0, &found.1[..], &found.2[..]), expected, "{rule:?} {:?} {tagged:?}", case.mode);
        let unknown = !answer.allowed && tagged.digest().is_none();
        assert_eq!(answer.undeterminable, unknown, "{rule:?} {:?} {tagged:?}", case.mode);
        // Only a reference with both has anything to compare.
        for text in ["registry.example/app:v1", &format!("registry.example/app@{}", Digest::of("x"))] {
            let one = super::answer(
                &review,
                &text.parse().unwrap(),
                tagged,
                Use::Template,
                NoPolicy::Deny,
                Strictness::AsWritten,
            );
            assert!(one.allowed && one.warnings.is_empty(), "{text}: {one:?}");
        }
    }
}
