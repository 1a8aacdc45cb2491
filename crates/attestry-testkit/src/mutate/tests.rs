//! The verifier meets every twin with a reason that the twin earns.

use attestry_core::{
    attachment::{Attachment, Form},
    statement::StrongDigests,
    verify::{SubjectDigests, TrustedKey},
};
use attestry_sign::{SignedAttachment, SigningKey};

use super::*;
use crate::{case::judge, clock, evidence::EvidenceBuilder, keys};

fn genuine(key: &SigningKey, subject: Digest) -> SignedAttachment {
    let image = attestry_playground::ImageBuilder::single("linux/amd64").build().unwrap();
    let statement = EvidenceBuilder::new("registry.example/app", &image).signature_statement(subject);
    SignedAttachment::bundle(key, &statement, subject).unwrap()
}

#[test]
fn every_twin_gets_what_it_earns() {
    let manifest = b"manifest";
    let subject = SubjectDigests { digest: Digest::of(manifest), strong: StrongDigests::of(manifest) };
    for key in [keys::p256("release"), keys::ed25519("release")] {
        let bundle = genuine(&key, subject.digest);
        let trusted = TrustedKey::always(key.public_key().clone());
        let verdict = |bytes: Vec<u8>| {
            let digest = Digest::of(&bytes);
            let attachment = Attachment { digest, manifest: digest, form: Form::Bundle, bytes: bytes.into() };
            judge(&attachment, &subject, &trusted, clock::now())
        };
        assert_eq!(verdict(bundle.bytes().to_vec()), Ok(()));
        for mutation in MUTATIONS {
            for seed in 0..32 {
                let twin = mutation.apply(bundle.bytes(), &mut Seed::new(seed));
                let verdict = verdict(twin);
                let earned = match verdict {
                    Ok(()) => mutation.refused_for.is_empty(),
                    Err(code) => mutation.refused_for.contains(&code),
                };
                assert!(earned, "{} by {}, seed {seed}: {verdict:?}", mutation.name, key.algorithm());
            }
        }
    }
}

#[test]
fn names_are_unique_and_the_same_seed_gives_the_same_twin() {
    let bundle = genuine(&keys::p256("release"), Digest::of("manifest"));
    let names: std::collections::BTreeSet<_> = MUTATIONS.iter().map(|mutation| mutation.name).collect();
    assert_eq!(names.len(), MUTATIONS.len());
    for mutation in MUTATIONS {
        let twin = |seed| mutation.apply(bundle.bytes(), &mut Seed::new(seed));
        assert_eq!(twin(7), twin(7), "{}", mutation.name);
    }
}
