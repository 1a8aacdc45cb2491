//! Reviews over evidence that is built by hand: no registry, no clock.
#![allow(clippy::unwrap_used, reason = "tests")]

mod image;
mod world;

use attestry_core::{
    Evidence, GapCause, Need, ReasonCode, Verdict,
    crypto::PublicKey,
    evidence::{Gap, Layout},
    predicate::COSIGN_SIGN,
};
use proptest::prelude::*;
use world::{World, key, policy, subject_manifest};

use super::*;
use crate::SourceFile;

const NOW: &str = "2026-06-01T00:00:00Z";

fn load(documents: &[String]) -> PolicySet {
    let text = documents.join("---\n");
    PolicySet::load(&[SourceFile::new("policies.yaml", text)]).unwrap_or_else(|errors| panic!("{errors}"))
}

fn review(set: &PolicySet, evidence: &Evidence) -> Review {
    let request = ReviewRequest { repository: evidence.repository.clone(), namespace: None };
    set.session(&request, NOW.parse().unwrap()).review(evidence)
}

/// Verdict and the first reason of the first requirement.
fn check(set: &PolicySet, evidence: &Evidence, verdict: Verdict, code: Option<ReasonCode>) -> Review {
    let review = review(set, evidence);
    let first = review.reasons().next().map(|reason| reason.code);
    assert_eq!((review.verdict, first), (verdict, code), "{review:#?}");
    review
}

fn signed_policy() -> PolicySet {
    load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release]}}")])
}

#[test]
fn a_signature_by_the_authority_is_trusted() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let review = check(&signed_policy(), &world.evidence, Verdict::Trusted, None);
    let proof = &review.policies[0].requirements[0].proofs[0];
    assert_eq!(proof.authority.as_deref(), Some("release"));
    assert_eq!(proof.subject, world.evidence.digest);
}

#[test]
fn what_is_refused_and_why() {
    let set = signed_policy();
    check(&set, &World::image().evidence, Verdict::Untrusted, Some(ReasonCode::SignatureMissing));

    let mut other_key = World::image();
    other_key.attach(2, COSIGN_SIGN, "{}");
    check(&set, &other_key.evidence, Verdict::Untrusted, Some(ReasonCode::KeyUnknown));

    let mut attack_10_attestation = World::image();
    attack_10_attestation.attach(1, "https://spdx.dev/Document", "{}");
    check(&set, &attack_10_attestation.evidence, Verdict::Untrusted, Some(ReasonCode::SignatureMissing));

    let mut attack_01_other_digest = World::image();
    attack_01_other_digest.attach_about(attestry_core::Digest::of("other"), 1, COSIGN_SIGN, "{}");
    check(&set, &attack_01_other_digest.evidence, Verdict::Untrusted, Some(ReasonCode::SubjectMismatch));

    let mut tampered = World::image();
    tampered.attach_tampered(1);
    check(&set, &tampered.evidence, Verdict::Untrusted, Some(ReasonCode::SignatureInvalid));
}

#[test]
fn attack_42_a_gap_is_never_a_missing_signature() {
    let set = signed_policy();
    for cause in [
        GapCause::Unreachable,
        GapCause::Timeout,
        GapCause::Throttled,
        GapCause::Denied,
        GapCause::Malformed,
        GapCause::NotFound,
        GapCause::NotAllowed,
        GapCause::OverLimit,
        GapCause::BudgetSpent,
    ] {
        let mut world = World::image();
        let of = world.digest();
        let need = Need::Listing { of, layout: Layout::Referrers };
        world.evidence.listings.remove(&(of, Layout::Referrers));
        world.evidence.gaps.push(Gap { need, cause, detail: "test".into() });
        check(&set, &world.evidence, Verdict::Undeterminable, Some(cause.code()));
        // The same where one source of the listing was read and another was not.
        world.evidence.listings.insert((of, Layout::Referrers), Vec::new());
        check(&set, &world.evidence, Verdict::Undeterminable, Some(cause.code()));
        // A met requirement stays met whatever else is missing.
        world.attach_legacy(1);
        check(&set, &world.evidence, Verdict::Trusted, None);
    }
    let repository: Repository = "registry.example/shop/app".parse().unwrap();
    let gap = Gap { need: Need::Resolve { tag: "v1".into() }, cause: GapCause::Unreachable, detail: "down".into() };
    check(&set, &Evidence::unresolved(repository, gap), Verdict::Undeterminable, Some(ReasonCode::RegistryUnreachable));
}

#[test]
fn needs_come_in_order_and_end() {
    let set = signed_policy();
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let full = world.evidence.clone();
    let digest = world.digest();
    let request = ReviewRequest { repository: full.repository.clone(), namespace: None };
    let mut session = set.session(&request, NOW.parse().unwrap());
    let mut evidence = Evidence::new(&full.subject().unwrap());
    let first = session.needs(&evidence);
    assert_eq!(first, [Need::Manifest { digest }, Need::Listing { of: digest, layout: Layout::Referrers }].into());
    let mut rounds = 0;
    loop {
        let needs = session.needs(&evidence);
        if needs.is_empty() {
            break;
        }
        rounds += 1;
        assert!(needs.iter().all(|need| !evidence.settled(need)));
        World::serve(&full, &mut evidence, needs);
    }
    assert_eq!(rounds, 3, "manifest and listing, attachment manifest, blob");
    assert_eq!(session.review(&evidence).verdict, Verdict::Trusted);
    assert!(!evidence.listings.contains_key(&(digest, Layout::LegacySignatures)), "the legacy tag was not needed");
}

#[test]
fn legacy_tags_are_read_only_when_nothing_else_suffices() {
    let set = signed_policy();
    let mut world = World::image();
    world.attach_legacy(1);
    check(&set, &world.evidence, Verdict::Trusted, None);
    // Attack 95: anybody's bundle does not hide it.
    world.attach(9, COSIGN_SIGN, "{}");
    check(&set, &world.evidence, Verdict::Trusted, None);
}

#[test]
fn thresholds_count_distinct_keys() {
    let two = "- {name: signed, signature: {authorities: [a, b], threshold: 2}}";
    let set = load(&[key("a", 1), key("b", 2), policy(two)]);
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::ThresholdNotMet));
    world.attach(1, COSIGN_SIGN, r#"{"again":1}"#);
    check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::ThresholdNotMet));
    world.attach(2, COSIGN_SIGN, "{}");
    check(&set, &world.evidence, Verdict::Trusted, None);
}

#[test]
fn platforms_of_an_index() {
    let rule = |platforms: &str| {
        load(&[
            key("release", 1),
            policy(&format!("- {{name: signed, signature: {{authorities: [release]}}}}\n  platforms: {platforms}")),
        ])
    };
    let unsigned = World::index();
    let mut index_signed = World::index();
    index_signed.attach(1, COSIGN_SIGN, "{}");
    let mut children_signed = World::index();
    for child in children_signed.children.clone() {
        children_signed.attach_to(child, 1, COSIGN_SIGN, "{}");
    }
    let mut one_signed = World::index();
    let first = one_signed.children[0];
    one_signed.attach_to(first, 1, COSIGN_SIGN, "{}");
    for (world, name, expected) in [
        (&unsigned, "unsigned", [false, false, false]),
        (&index_signed, "index", [true, false, true]),
        (&children_signed, "children", [false, true, true]),
        (&one_signed, "one", [false, false, false]),
    ] {
        for (rule_name, trusted) in ["Index", "EveryPlatform", "IndexOrEveryPlatform"].into_iter().zip(expected) {
            let verdict = if trusted { Verdict::Trusted } else { Verdict::Untrusted };
            assert_eq!(review(&rule(rule_name), &world.evidence).verdict, verdict, "{name} under {rule_name}");
        }
    }
    let refused =
        check(&rule("EveryPlatform"), &one_signed.evidence, Verdict::Untrusted, Some(ReasonCode::SignatureMissing));
    let unproven: Vec<_> = refused.reasons().filter(|r| r.code == ReasonCode::PlatformUnproven).collect();
    assert_eq!(unproven.len(), 1, "{refused:#?}");
    assert_eq!(unproven[0].details["platform"], "linux/arm64");
}

#[test]
fn attestations_conditions_and_age() {
    let sbom = |created: &str, packages: &str| {
        format!(r#"{{"spdxVersion":"SPDX-2.3","creationInfo":{{"created":"{created}"}},"packages":{packages}}}"#)
    };
    let fresh = sbom("2026-05-31T00:00:00Z", r#"[{"name":"a","versionInfo":"1"}]"#);
    let set = |more: &str| {
        let text = format!("- {{name: sbom, attestation: {{types: [spdx], authorities: [release]{more}}}}}");
        load(&[key("release", 1), policy(&text)])
    };
    let world = |predicate: &str| {
        let mut world = World::image();
        world.attach(1, "https://spdx.dev/Document/v2.3", predicate);
        world.evidence
    };
    check(&set(""), &World::image().evidence, Verdict::Untrusted, Some(ReasonCode::AttestationMissing));
    check(&set(""), &world(&fresh), Verdict::Trusted, None);
    let condition = r#", condition: "size(sbom.packages) > 0""#;
    check(&set(condition), &world(&fresh), Verdict::Trusted, None);
    check(
        &set(condition),
        &world(&sbom("2026-05-31T00:00:00Z", "[]")),
        Verdict::Untrusted,
        Some(ReasonCode::ConditionFalse),
    );
    let failing = r#", condition: "predicate.absent == 1""#;
    check(&set(failing), &world(&fresh), Verdict::Untrusted, Some(ReasonCode::ConditionFailed));
    let aged = check(&set(", maxAge: 48h"), &world(&fresh), Verdict::Trusted, None);
    assert_eq!(aged.valid_until, Some("2026-06-02T00:00:00Z".parse().unwrap()));
    check(&set(", maxAge: 24h"), &world(&fresh), Verdict::Untrusted, Some(ReasonCode::EvidenceTooOld));
    check(&set(", maxAge: 24h"), &world("{}"), Verdict::Untrusted, Some(ReasonCode::TimestampMissing));
    let future = sbom("2026-06-02T00:00:00Z", "[]");
    check(&set(", maxAge: 24h"), &world(&future), Verdict::Untrusted, Some(ReasonCode::TimestampMissing));
}

#[test]
fn provenance_by_builder_and_source() {
    let set = load(&[
        key("release", 1),
        policy(
            "- {name: built, provenance: {authorities: [release], builders: [{glob: \"https://ci.example/*\"}], sources: [{exact: \"https://github.com/acme/shop\"}]}}",
        ),
    ]);
    let provenance = |builder: &str, source: &str| {
        format!(
            r#"{{"buildDefinition":{{"externalParameters":{{"workflow":{{"repository":"{source}"}}}}}},"runDetails":{{"builder":{{"id":"{builder}"}}}}}}"#
        )
    };
    for (builder, source, code) in [
        ("https://ci.example/runner", "https://github.com/acme/shop", None),
        ("https://ci.example/a/b", "https://github.com/acme/shop", Some(ReasonCode::BuilderNotTrusted)),
        ("https://ci.example/runner", "https://github.com/acme/shop-evil", Some(ReasonCode::SourceNotTrusted)),
    ] {
        let mut world = World::image();
        world.attach(1, "https://slsa.dev/provenance/v1", &provenance(builder, source));
        let verdict = if code.is_none() { Verdict::Trusted } else { Verdict::Untrusted };
        check(&set, &world.evidence, verdict, code);
    }
}

#[test]
fn revocations_beat_everything() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let revoke = |entry: String| {
        let document = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec:\n  entries:\n    - {{{entry}, reason: test}}\n"
        );
        load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release]}}"), document])
    };
    let public = PublicKey::from_pem(&world::public_pem(1)).unwrap();
    check(
        &revoke(format!("digest: \"{}\"", world.digest())),
        &world.evidence,
        Verdict::Untrusted,
        Some(ReasonCode::Revoked),
    );
    check(
        &revoke(format!("keyId: \"{}\"", public.id())),
        &world.evidence,
        Verdict::Untrusted,
        Some(ReasonCode::Revoked),
    );
    check(&revoke("authority: release".into()), &world.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
    // Attack 82: without a proven time `since` spares nothing.
    check(
        &revoke("authority: release, since: 2026-05-01T00:00:00Z".into()),
        &world.evidence,
        Verdict::Untrusted,
        Some(ReasonCode::Revoked),
    );
    let later = check(
        &revoke("authority: release, since: 2026-07-01T00:00:00Z".into()),
        &world.evidence,
        Verdict::Trusted,
        None,
    );
    assert_eq!(later.valid_until, Some("2026-07-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn a_revoked_child_is_found_behind_every_index() {
    let revoke = |digest: Digest| {
        let document = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec:\n  entries: [{{digest: \"{digest}\", reason: test}}]\n"
        );
        load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release]}}"), document])
    };
    let mut index = World::index();
    index.attach(1, COSIGN_SIGN, "{}");
    check(&revoke(index.children[1]), &index.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));

    // A nested index that was not read hides neither its own children nor those beside it.
    let nested = World::nested();
    check(&revoke(nested.children[0]), &nested.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
    check(&revoke(nested.children[2]), &nested.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
    let inner = nested.children[1];
    let without = nested.without(inner);
    let set = revoke(nested.children[2]);
    check(&set, &without, Verdict::Undeterminable, Some(ReasonCode::BudgetSpent));
    let request = ReviewRequest { repository: without.repository.clone(), namespace: None };
    let needs = set.session(&request, NOW.parse().unwrap()).needs(&without);
    assert!(needs.contains(&Need::Manifest { digest: inner }), "{needs:?}");
}

#[test]
fn a_subject_that_was_not_read_is_never_trusted() {
    let mut world = World::index();
    world.attach(1, COSIGN_SIGN, "{}");
    let digest = world.digest();
    let mut unread = world.without(digest);
    check(&signed_policy(), &unread, Verdict::Undeterminable, Some(ReasonCode::BudgetSpent));
    unread.gaps.push(Gap { need: Need::Manifest { digest }, cause: GapCause::Throttled, detail: "429".into() });
    check(&signed_policy(), &unread, Verdict::Undeterminable, Some(ReasonCode::RegistryThrottled));
}

#[test]
fn policies_select_and_combine() {
    let set = load(&[
        key("release", 1),
        policy("- {name: signed, signature: {authorities: [release]}}")
            .replace("registry.example/**", "other.example/**"),
    ]);
    check(&set, &World::image().evidence, Verdict::Untrusted, Some(ReasonCode::NoPolicy));

    let digest = World::image().digest();
    let any = format!(
        "- {{name: any, anyOf: [{{name: signed, signature: {{authorities: [release]}}}}, {{name: listed, digests: [\"{digest}\"]}}]}}"
    );
    check(&load(&[key("release", 1), policy(&any)]), &World::image().evidence, Verdict::Trusted, None);
    let none = any.replace(&digest.to_string(), &attestry_core::Digest::of("other").to_string());
    check(
        &load(&[key("release", 1), policy(&none)]),
        &World::image().evidence,
        Verdict::Untrusted,
        Some(ReasonCode::SignatureMissing),
    );
}

#[test]
fn attack_03_a_signature_made_for_another_repository() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let bound =
        load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release], repository: Same}}")]);
    check(&bound, &world.evidence, Verdict::Trusted, None);
    // The same evidence beside a copy of the image.
    world.evidence.repository = "registry.example/copy".parse().unwrap();
    check(&bound, &world.evidence, Verdict::Untrusted, Some(ReasonCode::SubjectMismatch));
}

#[test]
fn a_signature_by_key_names_no_identity() {
    let keyless = "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {name: release}\nspec: {keyless: {issuer: \"https://issuer.example\", subject: {exact: \"https://a.example/b\"}, trustRoot: root}}\n---\napiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: root}\nspec: {publicGood: {}}\n";
    let set = load(&[keyless.to_owned(), policy("- {name: signed, signature: {authorities: [release]}}")]);
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::IdentityMismatch));
}

#[test]
fn attack_19_a_stale_trust_root_leaves_the_answer_open() {
    let keyless = "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {name: release}\nspec: {keyless: {issuer: \"https://issuer.example\", subject: {exact: \"https://a.example/b\"}, trustRoot: root}}\n---\napiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {name: root}\nspec: {publicGood: {}, refreshBy: \"2000-01-01T00:00:00Z\"}\n";
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let set = load(&[keyless.to_owned(), policy("- {name: signed, signature: {authorities: [release]}}")]);
    check(&set, &world.evidence, Verdict::Undeterminable, Some(ReasonCode::TrustRootStale));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let set = signed_policy();
    let saved = Evidence::from_bytes(&world.evidence.to_bytes()).unwrap();
    assert_eq!(review(&set, &world.evidence).to_bytes(), review(&set, &saved).to_bytes());
    assert!(subject_manifest().1.len() > 10);
}

fn revocation(entry: &str) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec:\n  entries: [{{{entry}, reason: test}}]\n"
    )
}

fn session<'a>(set: &'a PolicySet, evidence: &Evidence) -> Session<&'a PolicySet> {
    let request = ReviewRequest { repository: evidence.repository.clone(), namespace: None };
    set.session(&request, NOW.parse().unwrap())
}

#[test]
fn a_revoked_digest_counts_from_its_moment_on() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let set = |since: &str| {
        let entry = format!("digest: \"{}\", since: {since}", world.digest());
        load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release]}}"), revocation(&entry)])
    };
    check(&set("2026-05-31T23:59:59Z"), &world.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
    check(&set(NOW), &world.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
    let later = check(&set("2026-06-01T00:00:01Z"), &world.evidence, Verdict::Trusted, None);
    assert_eq!(later.valid_until, Some("2026-06-01T00:00:01Z".parse().unwrap()));
    let unsigned = World::image();
    let later =
        check(&set("2026-06-01T00:00:01Z"), &unsigned.evidence, Verdict::Untrusted, Some(ReasonCode::SignatureMissing));
    assert_eq!(later.valid_until, None, "time alone does not better it");
}

#[test]
fn a_revoked_attachment_or_payload_does_not_count() {
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let trusted = check(&signed_policy(), &world.evidence, Verdict::Trusted, None);
    let attachment = trusted.policies[0].requirements[0].proofs[0].attachment.unwrap();
    let payload = world::payload_digest(world.digest(), COSIGN_SIGN, "{}");
    let set = |entry: String| {
        load(&[key("release", 1), policy("- {name: signed, signature: {authorities: [release]}}"), revocation(&entry)])
    };
    for (digest, said) in [(attachment, "is revoked".to_owned()), (payload, format!("signs {payload}, which is"))] {
        let set = set(format!("digest: \"{digest}\""));
        let refused = check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
        let message = &refused.policies[0].requirements[0].reasons[0].message;
        assert!(message.starts_with(&format!("attachment {attachment} {said}")), "{message}");
    }
    // The moment of `since` counts already.
    let set = set(format!("authority: release, since: {NOW}"));
    check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::Revoked));
}

#[test]
fn what_is_revoked_is_not_read_any_further() {
    let world = World::image();
    let (digest, empty) = (world.digest(), Evidence::new(&world.evidence.subject().unwrap()));
    let signed = "- {name: signed, signature: {authorities: [release]}}";
    let revoked = load(&[key("release", 1), policy(signed), revocation(&format!("digest: \"{digest}\""))]);
    assert_eq!(session(&revoked, &empty).needs(&empty), Needs::new());
    // What no policy matches is refused all the same, but the subject is read.
    let unmatched = load(&[key("release", 1), policy(signed).replace("registry.example/**", "other.example/**")]);
    assert_eq!(session(&unmatched, &empty).needs(&empty), [Need::Manifest { digest }].into());
}

#[test]
fn children_are_read_only_for_a_revocation_or_a_rule() {
    let nested = World::nested();
    let inner = nested.children[1];
    let without = nested.without(inner);
    let set = signed_policy();
    check(&set, &without, Verdict::Trusted, None);
    assert_eq!(session(&set, &without).needs(&without), Needs::new());
    // An entry that is no index is a child, whatever it holds: it need not be read.
    let mut index = World::index();
    index.attach(1, COSIGN_SIGN, "{}");
    let unread = index.without(index.children[0]);
    let other = Digest::of("other");
    let revoked = load(&[
        key("release", 1),
        policy("- {name: signed, signature: {authorities: [release]}}"),
        revocation(&format!("digest: \"{other}\"")),
    ]);
    check(&revoked, &unread, Verdict::Trusted, None);
    assert_eq!(session(&revoked, &unread).needs(&unread), Needs::new());
}

#[test]
fn what_an_index_lacks_is_read_before_what_its_children_lack() {
    let set = signed_policy();
    let index = World::index();
    let mut evidence = index.evidence.clone();
    let of = index.digest();
    evidence.listings.clear();
    let needs = session(&set, &evidence).needs(&evidence);
    assert_eq!(needs, [Need::Listing { of, layout: Layout::Referrers }].into());
    // That the children suffice is not looked at before the index was.
    let mut signed = World::index();
    for child in signed.children.clone() {
        signed.attach_to(child, 1, COSIGN_SIGN, "{}");
    }
    check(&set, &signed.evidence, Verdict::Trusted, None);
    signed.evidence.listings.remove(&(of, Layout::Referrers));
    assert_eq!(session(&set, &signed.evidence).needs(&signed.evidence), needs);
    // Whether there are children behind a nested index is asked at the same time.
    let nested = World::nested();
    let (of, inner) = (nested.digest(), nested.children[1]);
    let mut evidence = nested.without(inner);
    evidence.listings.clear();
    let needs = session(&set, &evidence).needs(&evidence);
    assert_eq!(needs, [Need::Manifest { digest: inner }, Need::Listing { of, layout: Layout::Referrers }].into());
}

#[test]
fn alternatives_are_read_side_by_side_until_one_is_met() {
    let any = |digest: Digest| {
        let any = format!(
            "- {{name: any, anyOf: [{{name: signed, signature: {{authorities: [release]}}}}, {{name: based, baseImage: {{catalogs: [bases]}}}}, {{name: listed, digests: [\"{digest}\"]}}]}}"
        );
        let catalog =
            "apiVersion: attestry.dev/v1alpha1\nkind: BaseCatalog\nmetadata: {name: bases}\nspec: {bases: []}\n";
        load(&[key("release", 1), catalog.to_owned(), policy(&any)])
    };
    let mut world = World::image();
    let of = world.digest();
    world.evidence.listings.clear();
    let set = any(Digest::of("other"));
    let needs = session(&set, &world.evidence).needs(&world.evidence);
    let listing = Need::Listing { of, layout: Layout::Referrers };
    assert!(needs.contains(&listing) && needs.iter().any(|need| matches!(need, Need::Blob { .. })), "{needs:?}");
    check(&set, &world.evidence, Verdict::Undeterminable, Some(ReasonCode::BudgetSpent));

    let set = any(of);
    assert_eq!(session(&set, &world.evidence).needs(&world.evidence), Needs::new());
    let review = check(&set, &world.evidence, Verdict::Trusted, None);
    let proof = &review.policies[0].requirements[0].proofs[0];
    assert_eq!((proof.subject, &proof.details["listed"]), (Some(of), &of.to_string()));
}

#[test]
fn an_unread_subject_is_told_once_and_makes_nothing_better() {
    let set = |require: &str| load(&[key("release", 1), policy(&format!("{require}\n  platforms: Index"))]);
    let signed = "- {name: signed, signature: {authorities: [release]}}";
    let mut world = World::image();
    let digest = world.digest();
    let gap = |need: Need, detail: &str| Gap { need, cause: GapCause::Throttled, detail: detail.into() };
    let manifest_gap = gap(Need::Manifest { digest }, "429 for the manifest");
    let told = |set: &PolicySet, evidence: &Evidence, verdict: Verdict| {
        let review = review(set, evidence);
        assert_eq!(review.verdict, verdict, "{review:#?}");
        review.policies[0].reasons.iter().map(|reason| reason.message.clone()).collect::<Vec<_>>()
    };

    // The requirement is met, the subject was not seen.
    world.attach(1, COSIGN_SIGN, "{}");
    let mut unread = world.without(digest);
    unread.gaps.push(manifest_gap.clone());
    assert_eq!(told(&set(signed), &unread, Verdict::Undeterminable), ["429 for the manifest"]);

    // What cannot be met stays refused.
    let listed = format!("- {{name: listed, digests: [\"{}\"]}}", Digest::of("other"));
    assert_eq!(told(&set(&listed), &unread, Verdict::Untrusted), [""; 0]);

    // Another gap of the same cause does not stand for it.
    let listing = Need::Listing { of: digest, layout: Layout::Referrers };
    let mut unread = World::image().without(digest);
    unread.listings.remove(&(digest, Layout::Referrers));
    unread.gaps = vec![manifest_gap.clone(), gap(listing.clone(), "429 for the listing")];
    assert_eq!(told(&set(signed), &unread, Verdict::Undeterminable), ["429 for the manifest"]);
    unread.gaps = vec![manifest_gap, gap(listing, "429 for the manifest")];
    assert_eq!(told(&set(signed), &unread, Verdict::Undeterminable), [""; 0], "the requirement says it");
}

#[test]
fn a_policy_that_asks_for_an_unknown_namespace_leaves_the_answer_open() {
    let set = load(&[
        key("release", 1),
        policy("- {name: signed, signature: {authorities: [release]}}")
            .replace("**\"]}", "**\"], namespaces: {names: [shop]}}"),
    ]);
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    let review = check(&set, &world.evidence, Verdict::Undeterminable, Some(ReasonCode::NamespaceUnknown));
    assert_eq!(review.policies[0].requirements.len(), 0);
    for (namespace, verdict) in [("shop", Verdict::Trusted), ("web", Verdict::Untrusted)] {
        let namespace = Some(Namespace { name: namespace.to_owned(), labels: None });
        let request = ReviewRequest { repository: world.evidence.repository.clone(), namespace: namespace.clone() };
        let review = set.session(&request, NOW.parse().unwrap()).review(&world.evidence);
        assert_eq!((review.verdict, review.namespace), (verdict, namespace.map(|n| n.name)));
    }
}

#[test]
fn attack_19_a_key_stands_on_its_trust_root_only_until_it_is_stale() {
    let set = |refresh_by: &str| {
        let authority = key("release", 1).replace("}}\n", ", trustRoot: root}}\n");
        let root = format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: root}}\nspec: {{publicGood: {{}}, refreshBy: \"{refresh_by}\"}}\n"
        );
        load(&[authority, root, policy("- {name: signed, signature: {authorities: [release]}}")])
    };
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    for stale in ["2026-05-31T23:59:59Z", NOW] {
        check(&set(stale), &world.evidence, Verdict::Undeterminable, Some(ReasonCode::TrustRootStale));
    }
    let fresh = set("2026-06-01T00:00:01Z");
    let review = check(&fresh, &world.evidence, Verdict::Trusted, None);
    assert_eq!(review.valid_until, Some("2026-06-01T00:00:01Z".parse().unwrap()));
    let root = fresh.authorities()["release"].trust_root().unwrap().root.digest();
    assert_eq!(review.policies[0].requirements[0].proofs[0].details["trustRoot"], root.to_string());
}

#[test]
fn a_proof_names_what_it_is_made_of() {
    let mut world = World::image();
    world.attach(1, "https://slsa.dev/provenance/v1", r#"{"runDetails":{"builder":{"id":"https://ci.example/a"}}}"#);
    let set = load(&[key("release", 1), policy("- {name: built, provenance: {authorities: [release]}}")]);
    let review = check(&set, &world.evidence, Verdict::Trusted, None);
    let [proof] = &review.policies[0].requirements[0].proofs[..] else { panic!("one proof") };
    assert!(world.evidence.document(&proof.attachment.unwrap()).is_some(), "the stored bundle");
    let public = PublicKey::from_pem(&world::public_pem(1)).unwrap();
    assert_eq!((proof.subject, proof.key_id), (world.evidence.digest, Some(public.id())));
    assert_eq!(proof.predicate_type.as_deref(), Some("https://slsa.dev/provenance/v1"));
    assert_eq!(proof.details, [("builder".to_owned(), "https://ci.example/a".to_owned())].into());
}

#[test]
fn what_is_missing_is_named() {
    let said = |require: &str| {
        let review = review(&load(&[key("release", 1), policy(require)]), &World::image().evidence);
        review.policies[0].requirements[0].reasons[0].message.clone()
    };
    let digest = World::image().digest();
    let uri = "https://a.example/own";
    assert_eq!(
        said(&format!(
            "- {{name: a, attestation: {{types: [spdx], predicateTypes: [\"{uri}\"], authorities: [release]}}}}"
        )),
        format!("{digest} has no attestation of type spdx or {uri}")
    );
    let mut world = World::image();
    world.attach(1, COSIGN_SIGN, "{}");
    world.attach(2, COSIGN_SIGN, "{}");
    let three = "- {name: signed, signature: {authorities: [a, b, c], threshold: 3}}";
    let set = load(&[key("a", 1), key("b", 2), key("c", 3), policy(three)]);
    let refused = check(&set, &world.evidence, Verdict::Untrusted, Some(ReasonCode::ThresholdNotMet));
    assert_eq!(
        refused.policies[0].requirements[0].reasons[0].message,
        format!("{digest}: 2 of 3 distinct authorities signed")
    );
}

#[test]
fn an_index_may_nest_once_and_hold_64_children() {
    use attestry_core::manifest::{MAX_CHILDREN, OCI_MANIFEST};
    let every = |digests: &[Digest]| {
        let listed: Vec<String> = digests.iter().map(|digest| format!("\"{digest}\"")).collect();
        policy(&format!("- {{name: listed, digests: [{}]}}\n  platforms: EveryPlatform", listed.join(", ")))
    };
    for (levels, verdict, code) in [
        (1, Verdict::Trusted, None),
        (2, Verdict::Trusted, None),
        (3, Verdict::Undeterminable, Some(ReasonCode::OverLimit)),
        (4, Verdict::Undeterminable, Some(ReasonCode::OverLimit)),
    ] {
        let world = World::tower(levels);
        let image = *world.children.last().unwrap();
        check(&load(&[every(&[image])]), &world.evidence, verdict, code);
        // A revocation looks as deep.
        let own = policy(&format!("- {{name: listed, digests: [\"{}\"]}}\n  platforms: Index", world.digest()));
        let other = revocation(&format!("digest: \"{}\"", Digest::of("other")));
        check(&load(&[own, other]), &world.evidence, verdict, code);
    }
    let children: Vec<Digest> = (0..=MAX_CHILDREN).map(|index| Digest::of(index.to_string())).collect();
    let set = load(&[every(&children)]);
    let (over, within) = (World::index_over(OCI_MANIFEST, &children), &children[1..]);
    check(&set, &over.evidence, Verdict::Undeterminable, Some(ReasonCode::OverLimit));
    let review = check(&set, &World::index_over(OCI_MANIFEST, within).evidence, Verdict::Trusted, None);
    assert_eq!(review.policies[0].requirements[0].proofs.len(), MAX_CHILDREN);
    // A child that is listed again is no further one.
    let twice: Vec<Digest> = within.iter().chain(within).copied().collect();
    check(&set, &World::index_over(OCI_MANIFEST, &twice).evidence, Verdict::Trusted, None);
    // "Every platform" is not true of none.
    let none = World::index_over(OCI_MANIFEST, &[]);
    check(&set, &none.evidence, Verdict::Untrusted, Some(ReasonCode::PlatformUnproven));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// A review of a random subset of the evidence is never more trusted than the review of all of it.
    #[test]
    fn omission_never_gives_trust(
        seed in any::<u64>(),
        kinds in proptest::collection::vec(0u8..6, 0..5),
        keep in proptest::collection::vec(any::<bool>(), 64),
        platforms in 0usize..3,
        index in any::<bool>(),
    ) {
        let platforms = ["Index", "EveryPlatform", "IndexOrEveryPlatform"][platforms];
        // Often a configuration is asked for, which is there for some images, and right for some of these.
        let runs = ["", "\n    - {name: runs, config: {condition: \"config.User == '1000'\"}}"][usize::from(seed % 5 > 1)];
        let user = ["1000", ""][usize::from(seed % 7 == 0)];
        // Something else, or a child of the index, is revoked.
        let revoked = if seed % 3 == 0 { World::nested().children[2] } else { Digest::of("other") };
        let revocation = format!("apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec:\n  entries: [{{digest: \"{revoked}\", reason: test}}]\n");
        let set = load(&[
            key("release", 1),
            key("second", 2),
            revocation.clone(),
            policy(&format!("- {{name: signed, signature: {{authorities: [release, second], threshold: {}}}}}\n    - {{name: any, anyOf: [{{name: sbom, attestation: {{types: [spdx], authorities: [release]}}}}, {{name: listed, digests: [\"{}\"]}}]}}{runs}\n  platforms: {platforms}",
                1 + seed % 2, World::image().digest())),
        ]);
        let mut world = match (index, seed % 2) {
            (false, _) if seed % 5 == 0 => World::image(),
            (false, _) => World::configured(&[], &serde_json::json!({"config": {"User": user}})),
            (true, 0) => World::index(),
            (true, _) => World::nested(),
        };
        let targets: Vec<_> = std::iter::once(world.digest()).chain(world.children.clone()).collect();
        for (at, kind) in kinds.iter().enumerate() {
            let target = targets[(seed as usize >> at) % targets.len()];
            match kind {
                0 | 1 => world.attach_to(target, 1 + kind, COSIGN_SIGN, "{}"),
                2 => world.attach_to(target, 1, "https://spdx.dev/Document", "{}"),
                3 => world.attach_to(target, 9, COSIGN_SIGN, "{}"),
                4 => world.attach_about(attestry_core::Digest::of("other"), 1, COSIGN_SIGN, "{}"),
                _ => world.attach_tampered(1),
            }
        }
        let full = review(&set, &world.evidence);
        let subset = review(&set, &world.subset(&keep));
        prop_assert!(subset.verdict != Verdict::Trusted || full.verdict == Verdict::Trusted);
    }
}
