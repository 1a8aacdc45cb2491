//! Gathering evidence: rounds of needs until nothing more is wanted or the budget is spent.

use attestry_core::{
    Digest, Evidence, Gap, GapCause, Need, Needs, Repository, Subject,
    evidence::{Document, Listed},
};
use futures::{StreamExt as _, stream};

use crate::{Client, budget::Budget, error::Fault};

/// What one need gave.
#[derive(Debug, Default)]
struct Found {
    documents: Vec<(Digest, Document)>,
    listing: Option<Vec<Listed>>,
    fault: Option<Fault>,
}

impl Client {
    /// Gathers what `needs` asks for, round by round: it is called with what was read so far and says what is
    /// still wanted; nothing new ends the collection.
    ///
    /// Never fails: whatever could not be read is a gap. Needs that are still open after the last round are gaps
    /// of cause [`GapCause::BudgetSpent`].
    pub async fn collect(
        &self,
        subject: &Subject,
        budget: &Budget,
        mut needs: impl FnMut(&Evidence) -> Needs,
    ) -> Evidence {
        let mut evidence = Evidence::new(subject);
        for _ in 0..self.transport.limits.rounds {
            let wanted = needs(&evidence);
            if !self.gather(&mut evidence, wanted, budget).await {
                return evidence;
            }
        }
        for need in needs(&evidence) {
            if !evidence.settled(&need) {
                let detail = format!("still wanted after {} rounds", self.transport.limits.rounds);
                evidence.gaps.push(Gap { need, cause: GapCause::BudgetSpent, detail });
            }
        }
        evidence
    }

    /// One round: fetches side by side what is wanted and not settled, and says whether there was any such need.
    ///
    /// For callers that compute needs on another thread; [`Client::collect`] is a loop over this. The bound on
    /// rounds is then theirs.
    pub async fn gather(&self, evidence: &mut Evidence, wanted: Needs, budget: &Budget) -> bool {
        let open: Vec<Need> = wanted.into_iter().filter(|need| !evidence.settled(need)).collect();
        if open.is_empty() {
            return false;
        }
        let repository = evidence.repository.clone();
        let fetch = |need: Need| {
            let repository = &repository;
            async move {
                let found = self.fetch(repository, &need, budget).await;
                (need, found)
            }
        };
        let mut answers: Vec<(Need, Found)> =
            stream::iter(open).map(fetch).buffer_unordered(self.transport.limits.concurrency.max(1)).collect().await;
        // The order of arrival must not show in the evidence.
        answers.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (need, found) in answers {
            keep(evidence, need, found);
        }
        true
    }

    async fn fetch(&self, repository: &Repository, need: &Need, budget: &Budget) -> Found {
        match need {
            Need::Manifest { digest } => Found::document(*digest, self.manifest(repository, *digest, budget).await),
            Need::Blob { digest, size, role } => {
                Found::document(*digest, self.blob(repository, *digest, *size, *role, budget).await)
            }
            Need::Listing { of, layout } => {
                let listing = self.listing(repository, *of, *layout, budget).await;
                let read = listing.fault.is_none() || !listing.entries.is_empty();
                Found { documents: listing.documents, listing: read.then_some(listing.entries), fault: listing.fault }
            }
            // Policies never ask for this: a subject has a digest.
            Need::Resolve { .. } => {
                Found { fault: Some(Fault::malformed("a subject has no tag to resolve")), ..Found::default() }
            }
        }
    }
}

impl Found {
    fn document(digest: Digest, result: Result<Document, Fault>) -> Self {
        match result {
            Ok(document) => Self { documents: vec![(digest, document)], ..Self::default() },
            Err(fault) => Self { fault: Some(fault), ..Self::default() },
        }
    }
}

fn keep(evidence: &mut Evidence, need: Need, found: Found) {
    let mut fault = found.fault;
    for (digest, document) in found.documents {
        if let Err(error) = evidence.insert(digest, document) {
            fault = fault.or_else(|| Some(Fault::malformed(error.to_string())));
        }
    }
    if let (Need::Listing { of, layout }, Some(entries)) = (&need, found.listing) {
        evidence.listings.insert((*of, *layout), entries);
    }
    if let Some(fault) = fault {
        tracing::debug!(?need, cause = ?fault.cause, detail = fault.detail, "could not be read");
        evidence.gaps.push(fault.gap(need));
    }
}
