//! Plays `attestry_oci::collect` over evidence that is all there: the same rounds, without network.

use attestry_core::{
    Evidence, Gap, GapCause, Need, Needs,
    evidence::{Document, Listed},
};

/// The bound on rounds that the registry client has.
pub const MAX_ROUNDS: usize = 8;

/// What was read, and what was asked for in each round.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The evidence that came together.
    pub evidence: Evidence,
    /// The needs of each round.
    pub rounds: Vec<Needs>,
}

/// Reads from `registry` what `needs` asks for, round by round, until it asks for nothing.
///
/// `refuse` is the registry's mood: a need that it returns a cause for becomes a gap. What the registry does not have
/// is `NotFound`; a listing that it does not have is empty.
///
/// # Panics
/// If a round asks for something that is settled, or after [`MAX_ROUNDS`]: the client would stop there too.
pub fn collect(
    registry: &Evidence,
    mut needs: impl FnMut(&Evidence) -> Needs,
    refuse: impl Fn(&Need) -> Option<GapCause>,
) -> Collected {
    let mut evidence = Evidence::new(&registry.subject().unwrap());
    let mut rounds = Vec::new();
    loop {
        let wanted = needs(&evidence);
        if wanted.is_empty() {
            return Collected { evidence, rounds };
        }
        assert!(rounds.len() < MAX_ROUNDS, "after {MAX_ROUNDS} rounds there is still a need for {wanted:?}");
        for need in &wanted {
            assert!(!evidence.settled(need), "{need:?} is settled and asked for again");
            match refuse(need) {
                Some(cause) => evidence.gaps.push(gap(need, cause)),
                None => read(registry, need, &mut evidence),
            }
        }
        rounds.push(wanted);
    }
}

fn read(registry: &Evidence, need: &Need, evidence: &mut Evidence) {
    match need {
        Need::Manifest { digest } | Need::Blob { digest, .. } => match registry.document(digest) {
            Some(document) => {
                let Document { media_type, bytes } = document.clone();
                evidence.insert(*digest, Document { media_type, bytes }).unwrap();
            }
            None => evidence.gaps.push(gap(need, GapCause::NotFound)),
        },
        Need::Listing { of, layout } => {
            let entries: Vec<Listed> = registry.listings.get(&(*of, *layout)).cloned().unwrap_or_default();
            evidence.listings.insert((*of, *layout), entries);
        }
        Need::Resolve { tag } => panic!("tag {tag} is to be resolved, which no policy may ask for"),
    }
}

fn gap(need: &Need, cause: GapCause) -> Gap {
    Gap { need: need.clone(), cause, detail: format!("refused by the test: {cause:?}") }
}

#[cfg(test)]
mod tests {
    use attestry_core::{Digest, attachment::Attachments, evidence::Layout};
    use attestry_playground::ImageBuilder;

    use super::*;
    use crate::{EvidenceBuilder, keys};

    /// All signatures of the subject: listing, then manifests, then bundles.
    fn signatures(evidence: &Evidence) -> Needs {
        Attachments::of(evidence, evidence.digest.unwrap(), Layout::Referrers).pending
    }

    fn signed() -> Evidence {
        let image = ImageBuilder::single("linux/amd64").build().unwrap();
        EvidenceBuilder::new("registry.example/app", &image).sign(&keys::p256("release")).build()
    }

    #[test]
    fn each_round_reads_what_the_one_before_made_known() {
        let collected = collect(&signed(), signatures, |_| None);
        let kinds: Vec<Vec<&str>> = collected.rounds.iter().map(|needs| needs.iter().map(kind).collect()).collect();
        assert_eq!(kinds, [["listing"], ["manifest"], ["blob"]]);
        let found = Attachments::of(&collected.evidence, collected.evidence.digest.unwrap(), Layout::Referrers);
        assert!(found.complete());
        assert_eq!(found.found.len(), 1);
    }

    #[test]
    fn what_is_refused_is_a_gap_and_ends_that_path() {
        let throttled = |need: &Need| (kind(need) == "manifest").then_some(GapCause::Throttled);
        let collected = collect(&signed(), signatures, throttled);
        assert_eq!(collected.rounds.len(), 2);
        assert_eq!(collected.evidence.gaps.iter().map(|gap| gap.cause).collect::<Vec<_>>(), [GapCause::Throttled]);
    }

    #[test]
    fn what_the_registry_lacks_is_not_found() {
        let absent = Need::Manifest { digest: Digest::of("absent") };
        let ask = |evidence: &Evidence| if evidence.settled(&absent) { Needs::new() } else { [absent.clone()].into() };
        assert_eq!(collect(&signed(), ask, |_| None).evidence.gap(&absent).unwrap().cause, GapCause::NotFound);
    }

    #[test]
    #[should_panic(expected = "is settled and asked for again")]
    fn a_need_that_never_ends_is_a_failure() {
        let root = signed().digest.unwrap();
        collect(&signed(), |_| [Need::Manifest { digest: root }].into(), |_| None);
    }

    fn kind(need: &Need) -> &'static str {
        match need {
            Need::Resolve { .. } => "resolve",
            Need::Manifest { .. } => "manifest",
            Need::Blob { .. } => "blob",
            Need::Listing { .. } => "listing",
        }
    }
}
