//! The spine for one image: resolve, look into the cache, collect what the policies need, review.
//!
//! One collection runs for one subject under one policy set at a time, however many ask for it, and it goes on after
//! a caller's deadline, so that the retry finds its result. Only whole reviews are cached, under every input that
//! they depend on; what is undeterminable is not cached at all.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestry_core::{
    Digest, Evidence, Gap, GapCause, Need, Reference, Review, Subject, Timestamp, Verdict, evidence::Layout,
};
use attestry_oci::{Budget, Client};
use attestry_policy::{Namespace, PolicySet, ReviewRequest, Session};
use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use moka::sync::Cache;
use tokio::time::{Instant, timeout_at};

use crate::{
    metrics::Metrics,
    pool::{NoResult, Pool},
};

/// Reviews that are kept. One is a few kilobytes without its evidence.
const MAX_CACHED: u64 = 10_000;
/// How long an untrusted review is kept: somebody is signing right now.
const UNTRUSTED: Duration = Duration::from_secs(10);
/// How long a trusted review is kept at most.
const TRUSTED: Duration = Duration::from_secs(3600);
/// Rounds of one collection.
const ROUNDS: usize = 8;
/// Bodies of one collection: admission reads smaller bundles than the command line.
const COLLECTION_BYTES: u64 = 64 << 20;

/// A review with what it was made from.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) review: Arc<Review>,
    /// Digest of the review's canonical bytes.
    pub(crate) name: Digest,
    pub(crate) set: Arc<PolicySet>,
    /// What is stored beside the review. Shared with the cache, and given up once it is stored, so that thousands
    /// of cached reviews do not hold their evidence.
    evidence: Arc<Mutex<Option<Arc<Evidence>>>>,
}

impl Judged {
    /// The evidence, unless it is stored already.
    pub(crate) fn evidence(&self) -> Option<Arc<Evidence>> {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The evidence is durable: it need not be held any more.
    pub(crate) fn evidence_is_stored(&self) {
        self.evidence.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Everything that a cached review depends on, framed by lengths so that no two inputs share a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

#[derive(Debug, Clone)]
struct Cached {
    judged: Judged,
    since: Instant,
}

type Flight = Shared<BoxFuture<'static, Judged>>;

/// Judges images for every caller of the service.
#[derive(Debug)]
pub(crate) struct Judge {
    client: Client,
    pool: Pool,
    cache: Cache<Key, Cached>,
    flights: Mutex<HashMap<Key, Flight>>,
    metrics: Arc<Metrics>,
}

impl Judge {
    pub(crate) fn new(client: Client, pool: Pool, metrics: Arc<Metrics>) -> Self {
        Self { client, pool, cache: Cache::new(MAX_CACHED), flights: Mutex::default(), metrics }
    }

    /// The registry client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The threads that judge.
    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Judges the image that `reference` names, as far as it can be known by `deadline`.
    pub(crate) async fn judge(
        self: &Arc<Self>,
        set: Arc<PolicySet>,
        reference: &Reference,
        namespace: Option<Namespace>,
        now: Timestamp,
        deadline: Instant,
    ) -> Judged {
        let request = ReviewRequest { repository: reference.repository().clone(), namespace };
        let subject = match self.resolve(reference, deadline).await {
            Ok(subject) => subject,
            Err(gap) => {
                let evidence = Evidence::unresolved(reference.repository().clone(), gap);
                return self.review_now(set, request, evidence, now).await;
            }
        };
        let key = key(&subject, &set, &request);
        if let Some(judged) = self.cached(&key, now) {
            self.metrics.cache_hits.inc();
            return judged;
        }
        let flight = self.flight(key, set.clone(), subject.clone(), request.clone(), now);
        match timeout_at(deadline, flight).await {
            Ok(judged) => judged,
            Err(_) => {
                let evidence = too_late(&subject);
                self.review_now(set, request, evidence, now).await
            }
        }
    }

    async fn resolve(&self, reference: &Reference, deadline: Instant) -> Result<Subject, Gap> {
        if let Some(subject) = reference.subject() {
            return Ok(subject);
        }
        let budget = Budget::new(deadline, Budget::REQUESTS);
        self.client.resolve(reference, &budget).await
    }

    fn cached(&self, key: &Key, now: Timestamp) -> Option<Judged> {
        let cached = self.cache.get(key)?;
        let age = cached.since.elapsed();
        let fresh = match cached.judged.review.verdict {
            Verdict::Trusted => age < TRUSTED && cached.judged.review.valid_until.is_none_or(|until| now < until),
            Verdict::Untrusted => age < UNTRUSTED,
            Verdict::Undeterminable => false,
        };
        if !fresh {
            self.cache.invalidate(key);
        }
        fresh.then_some(cached.judged)
    }

    /// The collection that is under way for this key, or a new one.
    fn flight(
        self: &Arc<Self>,
        key: Key,
        set: Arc<PolicySet>,
        subject: Subject,
        request: ReviewRequest,
        now: Timestamp,
    ) -> Flight {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key) {
            return flight.clone();
        }
        let judge = self.clone();
        let of = key.clone();
        let work = async move {
            let judged = judge.collect(set, subject, request, now).await;
            if judged.review.verdict != Verdict::Undeterminable {
                judge.cache.insert(of.clone(), Cached { judged: judged.clone(), since: Instant::now() });
            }
            judge.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
            judged
        };
        let flight = work.boxed().shared();
        flights.insert(key, flight.clone());
        // It goes on although every caller may have gone.
        tokio::spawn(flight.clone());
        flight
    }

    async fn collect(&self, set: Arc<PolicySet>, subject: Subject, request: ReviewRequest, now: Timestamp) -> Judged {
        self.metrics.collections.inc();
        let budget = Budget::default().with_bytes(COLLECTION_BYTES);
        let mut session = Session::new(set.clone(), request.clone(), now);
        let mut evidence = Evidence::new(&subject);
        for round in 0..=ROUNDS {
            let size = evidence.documents().map(|(_, document)| document.bytes.len()).sum();
            let Ok(memory) = self.pool.reserve(size, budget.deadline()).await else {
                return self.failed(set, request, &subject, NoResult::OverMemory, now).await;
            };
            let step = move || {
                let needs = session.needs(&evidence);
                let review = (needs.is_empty() || round == ROUNDS).then(|| session.review(&evidence));
                drop(memory);
                (session, evidence, needs, review)
            };
            let needs;
            let review;
            (session, evidence, needs, review) = match self.pool.run(step).await {
                Ok(result) => result,
                Err(problem) => return self.failed(set, request, &subject, problem, now).await,
            };
            if let Some(review) = review {
                return finish(set, review, evidence);
            }
            self.client.gather(&mut evidence, needs, &budget).await;
        }
        // The last round above always has a review.
        self.failed(set, request, &subject, NoResult::OverMemory, now).await
    }

    /// A review over evidence that needs no reading.
    async fn review_now(
        &self,
        set: Arc<PolicySet>,
        request: ReviewRequest,
        evidence: Evidence,
        now: Timestamp,
    ) -> Judged {
        let of = set.clone();
        let shared = Arc::new(evidence);
        let evidence = shared.clone();
        let job = move || Session::new(of, request, now).review(&evidence);
        match self.pool.run(job).await {
            Ok(review) => finish(set, review, Arc::unwrap_or_clone(shared)),
            // Without a thread to judge on nothing is known, and the review of nothing needs none.
            Err(_) => {
                let request = ReviewRequest { repository: shared.repository.clone(), namespace: None };
                let review = Session::new(set.clone(), request, now).review(&shared);
                finish(set, review, Arc::unwrap_or_clone(shared))
            }
        }
    }

    async fn failed(
        &self,
        set: Arc<PolicySet>,
        request: ReviewRequest,
        subject: &Subject,
        problem: NoResult,
        now: Timestamp,
    ) -> Judged {
        let (cause, detail) = match problem {
            NoResult::Overloaded => (GapCause::BudgetSpent, "too many images are being judged"),
            NoResult::OverMemory => (GapCause::OverLimit, "the memory for judging could not be had in time"),
            NoResult::Panicked => (GapCause::OverLimit, "judging this evidence failed"),
        };
        tracing::error!(%subject, ?problem, "an image could not be judged");
        self.review_now(set, request, gap_everywhere(subject, cause, detail), now).await
    }
}

fn finish(set: Arc<PolicySet>, review: Review, evidence: Evidence) -> Judged {
    let name = review.name();
    Judged { review: Arc::new(review), name, set, evidence: Arc::new(Mutex::new(Some(Arc::new(evidence)))) }
}

fn too_late(subject: &Subject) -> Evidence {
    gap_everywhere(subject, GapCause::BudgetSpent, "not known before the request's deadline; try again")
}

/// Evidence in which everything that a review begins with is a gap.
fn gap_everywhere(subject: &Subject, cause: GapCause, detail: &str) -> Evidence {
    let mut evidence = Evidence::new(subject);
    let of = subject.digest;
    let needs = [
        Need::Manifest { digest: of },
        Need::Listing { of, layout: Layout::Referrers },
        Need::Listing { of, layout: Layout::LegacySignatures },
        Need::Listing { of, layout: Layout::LegacyAttestations },
    ];
    evidence.gaps = needs.into_iter().map(|need| Gap { need, cause, detail: detail.to_owned() }).collect();
    evidence
}

fn key(subject: &Subject, set: &PolicySet, request: &ReviewRequest) -> Key {
    let mut bytes = Vec::new();
    let mut add = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    add(subject.repository.to_string().as_bytes());
    add(subject.digest.as_bytes());
    add(set.digest().as_bytes());
    if let Some(namespace) = &request.namespace {
        add(namespace.name.as_bytes());
        match &namespace.labels {
            None => add(b"labels unknown"),
            Some(labels) => {
                add(b"labels");
                for (name, value) in labels {
                    add(name.as_bytes());
                    add(value.as_bytes());
                }
            }
        }
    }
    Key(bytes)
}
