//! What the builder puts together reads as attachments, and forged parts read as what they are.

use attestry_core::{
    ReasonCode,
    attachment::{Attachments, MAX_ATTACHED, MAX_ATTACHMENTS},
    manifest::Manifest,
    verify::{SubjectDigests, TrustedKey},
};
use attestry_playground::{ImageBuilder, documents};

use super::*;
use crate::{case::judge, clock, keys};

const REPOSITORY: &str = "registry.example/shop/app";

fn image() -> Image {
    ImageBuilder::multi().program("app/run").build().unwrap()
}

fn verdicts(evidence: &Evidence, of: Digest, layout: Layout, key: &SigningKey) -> Vec<Result<(), ReasonCode>> {
    let attachments = Attachments::of(evidence, of, layout);
    assert!(attachments.complete(), "{attachments:?}");
    let subject = SubjectDigests::of(evidence, of);
    let trusted = TrustedKey::always(key.public_key().clone());
    attachments.found.iter().map(|found| judge(found, &subject, &trusted, clock::now())).collect()
}

#[test]
fn every_layout_verifies() {
    let image = image();
    let spdx = documents::spdx("app", documents::PACKAGES);
    for key in [keys::p256("release"), keys::ed25519("release")] {
        let evidence = (EvidenceBuilder::new(REPOSITORY, &image).sign(&key).attest(&key, &spdx))
            .sign_legacy(&key)
            .attest_legacy(&key, &spdx)
            .attest_legacy(&key, &documents::provenance_v1(&documents::BUILD))
            .build();
        for (layout, count) in LAYOUTS.into_iter().zip([2, 1, 2]) {
            assert_eq!(verdicts(&evidence, image.digest(), layout, &key), vec![Ok(()); count], "{layout:?}");
        }
        assert_eq!(Evidence::from_bytes(&evidence.to_bytes()).unwrap(), evidence);
    }
}

#[test]
fn the_image_itself_is_all_there() {
    let image = image();
    let evidence = EvidenceBuilder::new(REPOSITORY, &image).build();
    let root = evidence.document(&image.digest()).unwrap();
    let Manifest::Index(index) = Manifest::parse(&root.media_type, &root.bytes).unwrap() else { panic!("no index") };
    for entry in &index.manifests {
        let child = evidence.document(&entry.digest).unwrap();
        let Manifest::Image(child) = Manifest::parse(&child.media_type, &child.bytes).unwrap() else {
            panic!("no manifest")
        };
        assert!(evidence.document(&child.config.digest).is_some());
        assert_eq!(evidence.listings[&(entry.digest, Layout::Referrers)], []);
    }
}

#[test]
fn recursive_signatures_are_on_every_manifest() {
    let (image, key) = (image(), keys::p256("release"));
    let evidence = EvidenceBuilder::new(REPOSITORY, &image).sign_recursively(&key).build();
    for manifest in image.manifests() {
        assert_eq!(verdicts(&evidence, manifest.digest, Layout::Referrers, &key), [Ok(())]);
    }
}

#[test]
fn attack_01_a_bundle_about_another_image() {
    let (image, key) = (image(), keys::p256("release"));
    let builder = EvidenceBuilder::new(REPOSITORY, &image);
    let other = Digest::of("other");
    let stolen = SignedAttachment::bundle(&key, &builder.signature_statement(other), other).unwrap();
    let evidence = builder.attach(image.digest(), &stolen).build();
    let verdicts = verdicts(&evidence, image.digest(), Layout::Referrers, &key);
    assert_eq!(verdicts, [Err(ReasonCode::SubjectMismatch)]);
}

#[test]
fn attack_44_listed_here_but_attached_elsewhere() {
    let (image, key) = (image(), keys::p256("release"));
    let builder = EvidenceBuilder::new(REPOSITORY, &image);
    let of = image.digest();
    let genuine = SignedAttachment::bundle(&key, &builder.signature_statement(of), of).unwrap();
    let elsewhere = Digest::of("elsewhere");
    let evidence = builder.attach_as(of, elsewhere, BUNDLE_V03, None, genuine.bytes().clone()).build();
    let attachments = Attachments::of(&evidence, of, Layout::Referrers);
    assert!(attachments.found.is_empty());
    assert_eq!(attachments.ignored[0].code, ReasonCode::SubjectMismatch);
}

#[test]
fn attack_79_a_flood_is_over_the_limit_only_while_unread() {
    let (image, key) = (image(), keys::p256("release"));
    let flood = (0..MAX_ATTACHMENTS + 1)
        .fold(EvidenceBuilder::new(REPOSITORY, &image), |builder, n| builder.attach_bytes(format!("junk {n}")));
    let all = flood.sign(&key).build();
    assert!(verdicts(&all, image.digest(), Layout::Referrers, &key).contains(&Ok(())));

    let mut unread = Evidence::new(&all.subject().unwrap());
    unread.listings.clone_from(&all.listings);
    let attachments = Attachments::of(&unread, image.digest(), Layout::Referrers);
    assert_eq!(attachments.pending.len(), MAX_ATTACHMENTS);
    assert_eq!(attachments.incomplete[0].code, ReasonCode::OverLimit);
}

/// One blob under many names is read, decoded and kept as often: what is not read is not missing.
#[test]
fn attack_79_one_large_blob_under_many_names() {
    let image = image();
    let large = bytes::Bytes::from(vec![b' '; 16 << 20]);
    let list = |blob: &bytes::Bytes, count: usize| {
        let names = (0..count).map(|number| format!("https://example.org/{number}"));
        let builder = names.fold(EvidenceBuilder::new(REPOSITORY, &image), |builder, hint| {
            builder.attach_as(image.digest(), image.digest(), BUNDLE_V03, Some(&hint), blob.clone())
        });
        Attachments::of(&builder.build(), image.digest(), Layout::Referrers)
    };
    let by_bytes = usize::try_from(MAX_ATTACHED / large.len() as u64).unwrap();
    let by_number = 2 * MAX_ATTACHMENTS;
    for (blob, most) in [(large, by_bytes), ("small".into(), by_number)] {
        assert!(list(&blob, most).incomplete.is_empty());
        let more = list(&blob, most + 1);
        assert_eq!((more.found.len(), more.incomplete[0].code), (most, ReasonCode::OverLimit));
    }
}

#[test]
fn a_part_holds_nothing_that_the_whole_does_not() {
    let (image, key) = (image(), keys::p256("release"));
    let whole = EvidenceBuilder::new(REPOSITORY, &image).sign(&key).sign_legacy(&key).build();
    let mut sizes = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let part = part(&whole, &mut Seed::new(seed));
        assert!(part.documents().all(|(digest, document)| whole.document(digest) == Some(document)), "seed {seed}");
        for (place, entries) in &part.listings {
            assert!(entries.iter().all(|entry| whole.listings[place].contains(entry)), "seed {seed}");
        }
        sizes.insert((part.documents().count(), part.listings.len()));
    }
    assert!(sizes.len() > 8, "the parts differ: {sizes:?}");
}
