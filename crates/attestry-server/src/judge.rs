//! The spine for one image: resolve, look into the cache, collect what the policies need, review.
//!
//! One collection runs for one subject under one policy set at a time, however many ask for it, and it goes on after
//! a caller's deadline, so that the retry finds its result. Only whole reviews are cached, under every input that
//! they depend on; what is undeterminable is not cached at all.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestry_core::{
    Digest, Evidence, Gap, GapCause, Need, Reference, Review, Subject, Timestamp, Verdict, evidence::Layout,
};
use attestry_oci::{Budget, Client, SharedBytes};
use attestry_policy::{Namespace, PolicySet, ReviewRequest, Session};
use futures::{FutureExt as _, future::BoxFuture, future::Shared};
use moka::sync::Cache;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

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
/// Bodies of all collections that are under way.
const COLLECTIONS_BYTES: u64 = 512 << 20;
/// Collections at one time. They outlive the requests that began them, so the bound on requests is none on them.
const MAX_COLLECTIONS: usize = 256;
/// Evidence that waits in the cache to be stored, in units of a kilobyte. A dry run stores nothing, and a caller may
/// be gone before the answer: what finds no room here is answered and not cached.
const KEPT_EVIDENCE: usize = 128 << 10;

/// A review with what it was made from.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) review: Arc<Review>,
    /// Digest of the review's canonical bytes.
    pub(crate) name: Digest,
    pub(crate) set: Arc<PolicySet>,
    /// What is stored beside the review. Shared with the cache, and given up once it is stored, so that thousands
    /// of cached reviews do not hold their evidence.
    evidence: Arc<Mutex<Option<Unstored>>>,
}

/// Evidence that is not stored yet, and the room that it takes while it is cached.
#[derive(Debug)]
struct Unstored {
    evidence: Arc<Evidence>,
    room: Option<OwnedSemaphorePermit>,
}

impl Judged {
    fn new(set: Arc<PolicySet>, review: Review, evidence: Evidence) -> Self {
        let name = review.name();
        let unstored = Unstored { evidence: Arc::new(evidence), room: None };
        Self { review: Arc::new(review), name, set, evidence: Arc::new(Mutex::new(Some(unstored))) }
    }

    /// The evidence, unless it is stored already.
    pub(crate) fn evidence(&self) -> Option<Arc<Evidence>> {
        let unstored = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        unstored.as_ref().map(|unstored| unstored.evidence.clone())
    }

    /// Whether there is room to keep the evidence until somebody stores it.
    fn finds_room(&self, rooms: &Arc<Semaphore>) -> bool {
        let mut unstored = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unstored) = unstored.as_mut() else { return true };
        let units = u32::try_from(size(&unstored.evidence) / 1024 + 1);
        unstored.room = units.ok().and_then(|units| rooms.clone().try_acquire_many_owned(units).ok());
        unstored.room.is_some()
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
    collections: Semaphore,
    documents: Arc<SharedBytes>,
    rooms: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl Judge {
    pub(crate) fn new(client: Client, pool: Pool, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            pool,
            cache: Cache::new(MAX_CACHED),
            flights: Mutex::default(),
            collections: Semaphore::new(MAX_COLLECTIONS),
            documents: Arc::new(SharedBytes::new(COLLECTIONS_BYTES)),
            rooms: Arc::new(Semaphore::new(KEPT_EVIDENCE)),
            metrics,
        }
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
                return without_reading(set, request, evidence, now);
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
                let evidence = gap_everywhere(&subject, GapCause::BudgetSpent, TOO_LATE);
                without_reading(set, request, evidence, now)
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
            let judged = judge.collect(set.clone(), &subject, request.clone(), now);
            // A panic here would be everybody's who waits for this flight, now and later (attack 12).
            let judged = AssertUnwindSafe(judged).catch_unwind().await;
            let judged = judged.unwrap_or_else(|_| failed(set, request, &subject, NoResult::Panicked, now));
            if judged.review.verdict != Verdict::Undeterminable && judged.finds_room(&judge.rooms) {
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

    async fn collect(&self, set: Arc<PolicySet>, subject: &Subject, request: ReviewRequest, now: Timestamp) -> Judged {
        self.metrics.collections.inc();
        let budget = Budget::default().with_bytes(COLLECTION_BYTES).sharing(self.documents.clone());
        let Ok(Ok(_turn)) = timeout_at(budget.deadline(), self.collections.acquire()).await else {
            return failed(set, request, subject, NoResult::Overloaded, now);
        };
        let mut session = Session::new(set.clone(), request.clone(), now);
        let mut evidence = Evidence::new(subject);
        for round in 0..=ROUNDS {
            let Ok(memory) = self.pool.reserve(size(&evidence), budget.deadline()).await else {
                return failed(set, request, subject, NoResult::OverMemory, now);
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
                Err(problem) => return failed(set, request, subject, problem, now),
            };
            if let Some(review) = review {
                return Judged::new(set, review, evidence);
            }
            self.client.gather(&mut evidence, needs, &budget).await;
        }
        // The last round above always has a review.
        failed(set, request, subject, NoResult::OverMemory, now)
    }
}

const TOO_LATE: &str = "not known before the request's deadline; try again";

/// A review over evidence that holds no document: it costs nothing and waits for no thread, so it is in time however
/// busy the pool is (attack 88).
fn without_reading(set: Arc<PolicySet>, request: ReviewRequest, evidence: Evidence, now: Timestamp) -> Judged {
    let review = Session::new(set.clone(), request, now).review(&evidence);
    Judged::new(set, review, evidence)
}

/// The review of a subject that could not be judged: undeterminable wherever something would have to be read.
fn failed(set: Arc<PolicySet>, request: ReviewRequest, subject: &Subject, problem: NoResult, now: Timestamp) -> Judged {
    let (cause, detail) = match problem {
        NoResult::Overloaded => (GapCause::BudgetSpent, "too many images are being judged"),
        NoResult::OverMemory => (GapCause::OverLimit, "the memory for judging could not be had in time"),
        NoResult::Panicked => (GapCause::OverLimit, "judging this evidence failed"),
    };
    tracing::error!(%subject, ?problem, "an image could not be judged");
    without_reading(set, request, gap_everywhere(subject, cause, detail), now)
}

/// Bytes of all documents.
fn size(evidence: &Evidence) -> usize {
    evidence.documents().map(|(_, document)| document.bytes.len()).sum()
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
