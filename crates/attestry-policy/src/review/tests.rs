//! Reviews over evidence that is built by hand: no registry, no clock.
#![allow(clippy::unwrap_used, reason = "tests")]

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
        // Something else, or a child of the index, is revoked.
        let revoked = if seed % 3 == 0 { World::nested().children[2] } else { Digest::of("other") };
        let revocation = format!("apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r}}\nspec:\n  entries: [{{digest: \"{revoked}\", reason: test}}]\n");
        let set = load(&[
            key("release", 1),
            key("second", 2),
            revocation.clone(),
            policy(&format!("- {{name: signed, signature: {{authorities: [release, second], threshold: {}}}}}\n    - {{name: any, anyOf: [{{name: sbom, attestation: {{types: [spdx], authorities: [release]}}}}, {{name: listed, digests: [\"{}\"]}}]}}\n  platforms: {platforms}",
                1 + seed % 2, World::image().digest())),
        ]);
        let mut world = match (index, seed % 2) {
            (false, _) => World::image(),
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
