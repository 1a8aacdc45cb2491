//! What is found of a subject's attachments, and what is left to read.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    Subject,
    evidence::{Document, Gap, GapCause},
    manifest::OCI_MANIFEST,
};

fn of() -> Digest {
    Digest::of("subject")
}

fn empty() -> Evidence {
    Evidence::new(&Subject { repository: "registry.example/app".parse().unwrap(), digest: of() })
}

fn listed(digest: Digest, artifact_type: Option<&str>) -> Listed {
    Listed { digest, artifact_type: artifact_type.map(str::to_owned), predicate_type: None }
}

/// Stores a manifest with these layers, each of `size` bytes as it says, and lists it.
fn list(evidence: &mut Evidence, layout: Layout, name: &str, layers: usize, size: u64) -> Digest {
    let layer = |n: usize| {
        let digest = Digest::of(format!("{name} {n}"));
        format!(r#"{{"mediaType":"{DSSE_LAYER}","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<String> = (0..layers).map(layer).collect();
    let (config, subject) = (Digest::of("{}"), of());
    let text = format!(
        r#"{{"annotations":{{"n":"{name}"}},"config":{{"mediaType":"x","digest":"{config}","size":2}},"layers":[{}],"subject":{{"mediaType":"x","digest":"{subject}","size":2}}}}"#,
        layers.join(",")
    );
    let digest = Digest::of(&text);
    evidence.insert(digest, Document { media_type: OCI_MANIFEST.to_owned(), bytes: text.into() }).unwrap();
    evidence.listings.entry((of(), layout)).or_default().push(listed(digest, None));
    digest
}

fn codes(attachments: &Attachments) -> Vec<ReasonCode> {
    attachments.incomplete.iter().map(|reason| reason.code).collect()
}

#[test]
fn complete_is_what_has_neither_gap_nor_need() {
    let mut evidence = empty();
    let layout = Layout::LegacyAttestations;
    assert!(!Attachments::of(&evidence, of(), layout).complete(), "nothing was asked yet");
    evidence.listings.insert((of(), layout), Vec::new());
    assert!(Attachments::of(&evidence, of(), layout).complete());
    // One need, no gap; then one gap, no need.
    let wanted = Digest::of("not read yet");
    evidence.listings.insert((of(), layout), vec![listed(wanted, None)]);
    let attachments = Attachments::of(&evidence, of(), layout);
    assert!(attachments.incomplete.is_empty() && !attachments.complete());
    let need = Need::Manifest { digest: wanted };
    evidence.gaps.push(Gap { need, cause: GapCause::Throttled, detail: "429".to_owned() });
    let attachments = Attachments::of(&evidence, of(), layout);
    assert!(attachments.pending.is_empty() && !attachments.complete());
}

#[test]
fn attack_79_layers_are_counted_and_what_is_over_the_bound_is_told_once() {
    for (layers, over) in [(MAX_ATTACHMENTS, 0), (MAX_ATTACHMENTS + 1, 1)] {
        let mut evidence = empty();
        list(&mut evidence, Layout::LegacyAttestations, "a", layers, 1);
        let attachments = Attachments::of(&evidence, of(), Layout::LegacyAttestations);
        assert_eq!((attachments.pending.len(), codes(&attachments).len()), (MAX_ATTACHMENTS, over), "{layers}");
    }
    // Several lists over the bound are one reason, beside others.
    let mut evidence = empty();
    let need = Need::Listing { of: of(), layout: Layout::LegacyAttestations };
    evidence.gaps.push(Gap { need, cause: GapCause::Throttled, detail: "429".to_owned() });
    for name in ["a", "b"] {
        list(&mut evidence, Layout::LegacyAttestations, name, MAX_ATTACHMENTS + 1, 1);
    }
    let attachments = Attachments::of(&evidence, of(), Layout::LegacyAttestations);
    assert_eq!(codes(&attachments), [ReasonCode::RegistryThrottled, ReasonCode::OverLimit]);
}

#[test]
fn attack_79_bytes_are_counted_over_a_list() {
    for (size, over) in [(MAX_ATTACHED / 2, false), (MAX_ATTACHED / 2 + 1, true)] {
        let mut evidence = empty();
        list(&mut evidence, Layout::LegacyAttestations, "a", 2, size);
        let attachments = Attachments::of(&evidence, of(), Layout::LegacyAttestations);
        assert_eq!(codes(&attachments).contains(&ReasonCode::OverLimit), over, "{size}");
    }
    assert_eq!(MAX_ATTACHED, 268_435_456, "256 MiB");
}

/// Manifests that were read count, whichever list they stand in.
#[test]
fn attack_79_manifests_are_counted_over_all_lists() {
    let mut evidence = empty();
    for n in 0..MAX_ATTACHMENTS - 1 {
        list(&mut evidence, Layout::LegacyAttestations, &n.to_string(), 0, 1);
    }
    let more = [listed(Digest::of("one more"), None), listed(Digest::of("and one more"), None)];
    evidence.listings.insert((of(), Layout::Referrers), more.to_vec());
    let attachments = Attachments::of(&evidence, of(), Layout::Referrers);
    assert_eq!((attachments.pending.len(), codes(&attachments)), (1, vec![ReasonCode::OverLimit]));
}

#[test]
fn likely_bundles_come_first() {
    let digest = Digest::of("x");
    let rank = |kind: Option<&str>| rank(&listed(digest, kind)).0;
    assert_eq!(rank(Some("application/vnd.dev.sigstore.bundle.v0.3+json")), 0);
    for unknown in [None, Some(""), Some("application/vnd.oci.empty.v1+json")] {
        assert_eq!(rank(unknown), 1, "{unknown:?}");
    }
    assert_eq!(rank(Some("application/vnd.example")), 2);
    // The order decides what is read where not all of it is.
    let mut evidence = empty();
    let other: Vec<Listed> = (0..MAX_ATTACHMENTS)
        .map(|n| listed(Digest::of(n.to_string()), Some("application/vnd.example")))
        .chain([listed(digest, Some("application/vnd.dev.sigstore.bundle.v0.3+json"))])
        .collect();
    evidence.listings.insert((of(), Layout::Referrers), other);
    let attachments = Attachments::of(&evidence, of(), Layout::Referrers);
    assert!(attachments.pending.contains(&Need::Manifest { digest }));
}
