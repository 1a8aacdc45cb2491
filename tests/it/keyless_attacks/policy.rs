//! The same evidence before policies: who is named, how many, and who is revoked.

use attestry_core::{Digest, Review, Verdict, envelope::IN_TOTO};
use attestry_policy::{PolicySet, ReviewRequest, SourceFile};
use attestry_testkit::{authorities::Leaf, authorities::log::propose, clock, evidence::EvidenceBuilder};
use serde_json::json;

use super::world::{ISSUER, Parts, SUBJECT, V02, World, signed, statement};

const REPOSITORY: &str = "registry.example/app";

/// An image of the playground, with what a test attaches to it.
struct Stage {
    world: World,
    builder: EvidenceBuilder,
    digest: Digest,
}

impl Stage {
    fn new() -> Self {
        let image = attestry_playground::ImageBuilder::single("linux/amd64").build().unwrap();
        let builder = EvidenceBuilder::new(REPOSITORY, &image);
        let digest = builder.clone().build().digest.unwrap();
        Self { world: World::new(), builder, digest }
    }

    /// Signs the image and logs it, as often as is asked.
    fn signed_by(&mut self, leaf: &Leaf, entries: usize) -> Parts {
        let mut parts = self.world.signed_by(leaf, &World::key("signer"), &statement(self.digest));
        assert_eq!(parts.envelope.payload_type, IN_TOTO);
        let verifier = propose::Verifier::Certificate(&parts.leaf);
        for request in
            [propose::dsse(&parts.envelope, verifier), propose::intoto(&parts.envelope, verifier)].iter().take(entries)
        {
            parts.entries.push(self.world.v1.append(request, signed()).unwrap());
        }
        parts
    }

    fn review(&self, parts: &[Parts], documents: &[serde_json::Value]) -> Review {
        let root = json!({"kind": "TrustRoot", "metadata": {"name": "acme"}, "spec": {"inline": self.world.trusted_root().to_string()}});
        let documents = documents.iter().chain([&root]).enumerate().map(|(at, document)| {
            let mut document = document.clone();
            document["apiVersion"] = "attestry.dev/v1alpha1".into();
            SourceFile::new(format!("{at}.yaml"), document.to_string())
        });
        let set = PolicySet::load(&documents.collect::<Vec<_>>()).unwrap_or_else(|errors| panic!("{errors}"));
        let builder = parts.iter().fold(self.builder.clone(), |builder, parts| builder.attach_bytes(parts.bundle()));
        let request = ReviewRequest { repository: REPOSITORY.parse().unwrap(), namespace: None };
        set.session(&request, clock::now()).review(&builder.build())
    }

    #[track_caller]
    fn check(&self, parts: &[Parts], documents: &[serde_json::Value], verdict: Verdict, code: Option<&str>) -> Review {
        let review = self.review(parts, documents);
        let first = review.reasons().next().map(|reason| reason.code.as_str());
        assert_eq!((review.verdict, first), (verdict, code), "{review:#?}");
        review
    }
}

fn authority(name: &str, subject: serde_json::Value) -> serde_json::Value {
    json!({"kind": "Authority", "metadata": {"name": name},
        "spec": {"keyless": {"issuer": ISSUER, "subject": subject, "trustRoot": "acme"}}})
}

fn policy(authorities: &[&str], threshold: u32) -> serde_json::Value {
    json!({"kind": "ImagePolicy", "metadata": {"name": "app"}, "spec": {
        "match": {"images": ["registry.example/**"]},
        "require": [{"name": "signed", "signature": {"authorities": authorities, "threshold": threshold}}],
    }})
}

#[test]
fn an_identity_that_is_named_is_trusted_and_told() {
    let mut stage = Stage::new();
    let parts = stage.signed_by(&World::leaf(), 1);
    let glob = json!({"glob": "https://ci.test/acme/*/release.yml@refs/heads/*"});
    let named = [authority("ci", glob), policy(&["ci"], 1)];
    let review = stage.check(&[parts], &named, Verdict::Trusted, None);
    let proof = &review.policies[0].requirements[0].proofs[0];
    let identity = proof.identity.as_ref().unwrap();
    assert_eq!((identity.subject.as_str(), identity.issuer.as_str()), (SUBJECT, ISSUER));
    assert_eq!((proof.time, proof.details["log"].as_str()), (Some(signed()), "inclusion"));
    assert!(proof.details["trustRoot"].starts_with("sha256:"));
}

#[test]
fn attack_17_two_entries_of_one_signature_are_one_signature() {
    let mut stage = Stage::new();
    let parts = stage.signed_by(&World::leaf(), 2);
    assert_eq!(parts.entries.len(), 2);
    let exact = json!({"exact": SUBJECT});
    let somebody = json!({"exact": "https://ci.test/acme/other"});
    let one = [authority("ci", exact.clone()), authority("other", somebody), policy(&["ci", "other"], 1)];
    stage.check(std::slice::from_ref(&parts), &one, Verdict::Trusted, None);
    let two = [one[0].clone(), one[1].clone(), policy(&["ci", "other"], 2)];
    stage.check(std::slice::from_ref(&parts), &two, Verdict::Untrusted, Some("threshold-not-met"));
    // The same signature attached twice is no second one either.
    stage.check(&[parts.clone(), parts], &two, Verdict::Untrusted, Some("threshold-not-met"));
}

#[test]
fn attack_22_identities_that_only_look_like_the_named_one() {
    for evil in [
        "https://ci.test/acme/app-evil/release.yml@refs/heads/main",
        "https://evil.test/https://ci.test/acme/app/release.yml@refs/heads/main",
        "https://ci.test/acme/app/release.yml@refs/heads/main/x",
        "https://CI.test/acme/app/release.yml@refs/heads/main",
        "https://ci.test/acme/%61pp/release.yml@refs/heads/main",
        "https://ci.test./acme/app/release.yml@refs/heads/main",
        "https://ci.test/acme/../acme/app/release.yml@refs/heads/main",
    ] {
        let mut stage = Stage::new();
        let parts = stage.signed_by(&Leaf::uri(evil, ISSUER), 1);
        for subject in [
            json!({"exact": SUBJECT}),
            json!({"glob": "https://ci.test/acme/app/*.yml@refs/heads/*"}),
            json!({"regex": "https://ci\\.test/acme/app/release\\.yml@refs/heads/main"}),
        ] {
            let named = [authority("ci", subject), policy(&["ci"], 1)];
            stage.check(std::slice::from_ref(&parts), &named, Verdict::Untrusted, Some("identity-mismatch"));
        }
    }
    // The right subject of another issuer, and a claim that differs.
    let mut stage = Stage::new();
    let elsewhere = stage.signed_by(&Leaf::uri(SUBJECT, "https://token.evil.test"), 1);
    let named = [authority("ci", json!({"exact": SUBJECT})), policy(&["ci"], 1)];
    stage.check(&[elsewhere], &named, Verdict::Untrusted, Some("identity-mismatch"));
    let mut claimed = named;
    claimed[0]["spec"]["keyless"]["claims"] = json!({"sourceRepositoryURI": {"exact": "https://ci.test/acme/app"}});
    let fork = stage.signed_by(&Leaf::uri(SUBJECT, ISSUER).claim(12, "https://ci.test/fork/app"), 1);
    stage.check(&[fork], &claimed, Verdict::Untrusted, Some("identity-mismatch"));
    let unclaimed = stage.signed_by(&Leaf::uri(SUBJECT, ISSUER), 1);
    stage.check(&[unclaimed], &claimed, Verdict::Untrusted, Some("identity-mismatch"));
    let right = stage.signed_by(&World::leaf(), 1);
    stage.check(&[right], &claimed, Verdict::Trusted, None);
}

#[test]
fn attack_82_a_revoked_identity_whatever_names_it() {
    let mut stage = Stage::new();
    let parts = [stage.signed_by(&World::leaf(), 1)];
    let named = [authority("renamed", json!({"glob": "https://ci.test/**"})), policy(&["renamed"], 1)];
    stage.check(&parts, &named, Verdict::Trusted, None);
    let entry = |since: Option<&str>| {
        let mut entry =
            json!({"identity": {"issuer": ISSUER, "subject": {"exact": SUBJECT}}, "reason": "stolen runner"});
        if let Some(since) = since {
            entry["since"] = since.into();
        }
        json!({"kind": "Revocation", "metadata": {"name": "incident"}, "spec": {"entries": [entry]}})
    };
    let with = |since| [named[0].clone(), named[1].clone(), entry(since)];
    stage.check(&parts, &with(None), Verdict::Untrusted, Some("revoked"));
    // What was proven to be signed earlier is spared.
    stage.check(&parts, &with(Some("2026-01-20T10:01:00Z")), Verdict::Untrusted, Some("revoked"));
    stage.check(&parts, &with(Some("2026-01-20T10:01:01Z")), Verdict::Trusted, None);
}

/// One signature can be stored in many attachments; what it signs is the same in all.
#[test]
fn attack_82_a_revoked_attachment_in_other_bytes() {
    let mut stage = Stage::new();
    let parts = stage.signed_by(&World::leaf(), 1);
    let named = [authority("ci", json!({"exact": SUBJECT})), policy(&["ci"], 1)];
    let revoked = |digest: Digest| {
        let entry = json!({"digest": digest, "reason": "built on a stolen runner"});
        let revocation = json!({"kind": "Revocation", "metadata": {"name": "incident"}, "spec": {"entries": [entry]}});
        [named[0].clone(), named[1].clone(), revocation]
    };
    let rewritten = Parts { media_type: V02, ..parts.clone() }.older(V02, &[]);
    let (attachment, payload) = (Digest::of(parts.bundle()), Digest::of(statement(stage.digest)));
    let one = std::slice::from_ref(&parts);
    stage.check(one, &revoked(attachment), Verdict::Untrusted, Some("revoked"));
    stage.check(&[parts.clone(), rewritten.clone()], &revoked(attachment), Verdict::Trusted, None);
    stage.check(&[parts, rewritten], &revoked(payload), Verdict::Untrusted, Some("revoked"));
}
