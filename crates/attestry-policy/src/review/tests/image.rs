//! Requirements on what an image is: its base and its configuration.

use attestry_core::{
    Digest, Need, ReasonCode, Verdict,
    manifest::{Manifest, OCI_MANIFEST},
};
use serde_json::json;

use super::{
    check, load, review, session,
    world::{World, key, policy},
};
use crate::PolicySet;

/// The catalog holds one build: layer `a`, unpacked `b`.
fn base_policy() -> PolicySet {
    let digest = Digest::of;
    let catalog = format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: BaseCatalog\nmetadata: {{name: bases}}\nspec:\n  bases:\n  - name: debian\n    owner: {{team: platform}}\n    supportedUntil: 2027-01-31\n    status: Supported\n    builds:\n    - addedAt: 2026-01-01T00:00:00Z\n      status: Supported\n      platforms: [{{platform: linux/amd64, digest: \"{}\", layers: [\"{}\"], diffIDs: [\"{}\"]}}]\n",
        digest("image"),
        digest("a"),
        digest("b"),
    );
    load(&[catalog, policy("- {name: based, baseImage: {catalogs: [bases]}}")])
}

/// Without its configuration nothing is known of the image, and nothing else is asked for.
fn wants_only_the_configuration(set: &PolicySet, unread: &World) {
    check(set, &unread.evidence, Verdict::Undeterminable, Some(ReasonCode::BudgetSpent));
    let needs = session(set, &unread.evidence).needs(&unread.evidence);
    assert!(needs.len() == 1 && needs.iter().all(|need| matches!(need, Need::Blob { .. })), "{needs:?}");
}

#[test]
fn a_base_is_read_from_manifest_and_config() {
    let set = base_policy();
    let digests = |words: &str| words.split_whitespace().map(Digest::of).collect::<Vec<_>>();
    let on_base = World::layered(&digests("a app"), &digests("b unpacked"));
    let review = check(&set, &on_base.evidence, Verdict::Trusted, None);
    assert_eq!(review.valid_until, Some("2027-02-01T00:00:00Z".parse().unwrap()));
    let [proof] = &review.policies[0].requirements[0].proofs[..] else { panic!("one proof") };
    assert_eq!(proof.subject, on_base.evidence.digest);
    let details: Vec<(&str, &str)> = proof.details.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(
        details,
        [("base", "debian"), ("build", "2026-01-01T00:00:00Z"), ("catalog", "bases"), ("owner", "platform")]
    );

    let elsewhere = World::layered(&digests("x app"), &digests("y unpacked"));
    check(&set, &elsewhere.evidence, Verdict::Untrusted, Some(ReasonCode::BaseUnknown));
    let lying = World::layered(&digests("a app"), &digests("y unpacked"));
    check(&set, &lying.evidence, Verdict::Untrusted, Some(ReasonCode::BaseClaimsDisagree));
    wants_only_the_configuration(&set, &World::image());
}

#[test]
fn attack_70_what_an_image_runs_is_judged_by_its_configuration() {
    let set = |condition: &str| load(&[policy(&format!("- {{name: runs, config: {{condition: \"{condition}\"}}}}"))]);
    let user = set("config.User == '1000' && image.labels.team == 'shop'");
    let image = |inner: serde_json::Value| World::configured(&[], &json!({"os": "linux", "config": inner}));
    let good = image(json!({"User": "1000", "Labels": {"team": "shop"}}));
    let review = check(&user, &good.evidence, Verdict::Trusted, None);
    assert_eq!(review.valid_until, None);
    let [proof] = &review.policies[0].requirements[0].proofs[..] else { panic!("one proof") };
    assert_eq!(proof.subject, good.evidence.digest);
    let Some(Ok(Manifest::Image(manifest))) =
        good.evidence.document(&good.digest()).map(|document| Manifest::parse(&document.media_type, &document.bytes))
    else {
        panic!("an image")
    };
    assert_eq!(proof.details, [("config".to_owned(), manifest.config.digest.to_string())].into());

    let root = image(json!({"Labels": {"team": "shop"}}));
    check(&user, &root.evidence, Verdict::Untrusted, Some(ReasonCode::ConditionFalse));
    let wrong = image(json!({"User": 1000, "Labels": {"team": "shop"}}));
    check(&user, &wrong.evidence, Verdict::Untrusted, Some(ReasonCode::ConditionFailed));
    // What a node reads as root is not read as 1000 here.
    let two_users = image(json!({"User": "1000", "user": "0", "Labels": {"team": "shop"}}));
    check(&user, &two_users.evidence, Verdict::Undeterminable, Some(ReasonCode::RegistryMalformed));
    wants_only_the_configuration(&user, &World::image());
}

#[test]
fn attack_70_every_platform_is_judged_whatever_the_policy_says_of_platforms() {
    let index = World::index();
    for platforms in ["Index", "EveryPlatform", "IndexOrEveryPlatform"] {
        let text = "- {name: runs, config: {condition: \"config.User != ''\"}}\n  platforms: ".to_owned() + platforms;
        let needs = session(&load(&[policy(&text)]), &index.evidence).needs(&index.evidence);
        // A configuration for each of the two platforms that run.
        assert_eq!(needs.len(), 2, "{platforms}: {needs:?}");
        assert!(needs.iter().all(|need| matches!(need, Need::Blob { .. })), "{platforms}: {needs:?}");
    }
    // An entry that is said to be an image and is an index has no configuration to judge.
    let inner = World::index();
    let mut outer = World::index_over(OCI_MANIFEST, &[inner.digest()]);
    let document = inner.evidence.document(&inner.digest()).unwrap().clone();
    outer.evidence.insert(inner.digest(), document).unwrap();
    let set = load(&[policy("- {name: runs, config: {condition: \"true\"}}")]);
    check(&set, &outer.evidence, Verdict::Untrusted, Some(ReasonCode::PlatformUnproven));
}

#[test]
fn conditions_see_the_image_that_was_read() {
    let set = |condition: &str| {
        let text = format!(
            "- {{name: sbom, attestation: {{types: [spdx], authorities: [release], condition: \"{condition}\"}}}}"
        );
        load(&[key("release", 1), policy(&text)])
    };
    let digests = [Digest::of("a")];
    let mut world = World::layered(&digests, &digests);
    world.attach(1, "https://spdx.dev/Document", "{}");
    for (condition, verdict) in [
        (format!("image.digest == '{}'", world.digest()), Verdict::Trusted),
        ("image.digest == ''".to_owned(), Verdict::Untrusted),
        ("image.reference == 'registry.example/shop/app'".to_owned(), Verdict::Trusted),
        ("image.labels.team == 'shop'".to_owned(), Verdict::Trusted),
        ("image.labels.team == 'web'".to_owned(), Verdict::Untrusted),
        ("image.annotations['org.opencontainers.image.version'] == '1.2'".to_owned(), Verdict::Trusted),
    ] {
        assert_eq!(review(&set(&condition), &world.evidence).verdict, verdict, "{condition}");
    }
    // Only a condition that looks at the image needs it.
    let mut unread = World::image();
    unread.attach(1, "https://spdx.dev/Document", "{}");
    check(&set("predicate == {}"), &unread.evidence, Verdict::Trusted, None);
    let labels = set("image.labels.team == 'shop'");
    wants_only_the_configuration(&labels, &unread);
}
