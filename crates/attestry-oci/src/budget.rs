//! What one collection may cost, and how many requests were made.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::error::Fault;

/// The bound on one collection or upload: a deadline, requests and bytes. Shared by everything that works for it.
#[derive(Debug)]
pub struct Budget {
    deadline: Instant,
    requests: AtomicU32,
    tokens: AtomicU32,
    bytes: AtomicU64,
    shared: Option<Shared>,
}

/// What one collection has taken of the bytes of all; given back when the budget ends.
#[derive(Debug)]
struct Shared {
    of_all: Arc<SharedBytes>,
    taken: AtomicU64,
}

/// The body bytes that all collections of a process may hold at one time: many images at once must not add up to
/// more memory than there is.
#[derive(Debug)]
pub struct SharedBytes(AtomicU64);

impl SharedBytes {
    /// This many bytes for all.
    pub const fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.of_all.0.fetch_add(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

impl Budget {
    /// The default time of one subject's collection.
    pub const TIME: Duration = Duration::from_secs(8);
    /// The default number of requests, token requests not counted.
    pub const REQUESTS: u32 = 512;
    /// The default number of body bytes: what an attacker's attachments can make us hold.
    pub const BYTES: u64 = 256 << 20;
    /// Token requests: one registry needs one or two.
    const TOKENS: u32 = 64;

    /// A budget that ends at `deadline` or after `requests`.
    pub fn new(deadline: Instant, requests: u32) -> Self {
        Self {
            deadline,
            requests: AtomicU32::new(requests),
            tokens: AtomicU32::new(Self::TOKENS),
            bytes: AtomicU64::new(Self::BYTES),
            shared: None,
        }
    }

    /// A budget of `time` from this moment and the default number of requests.
    pub fn of(time: Duration) -> Self {
        Self::new(Instant::now() + time, Self::REQUESTS)
    }

    /// Another bound on body bytes.
    #[must_use]
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes: AtomicU64::new(bytes), ..self }
    }

    /// Takes its body bytes from those of all collections as well, until it is dropped.
    #[must_use]
    pub fn sharing(self, of_all: Arc<SharedBytes>) -> Self {
        Self { shared: Some(Shared { of_all, taken: AtomicU64::new(0) }), ..self }
    }

    /// When the budget ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether time or requests are used up.
    pub fn spent(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0 || Instant::now() >= self.deadline
    }

    pub(crate) fn take_request(&self) -> Result<(), Fault> {
        take(&self.requests).map_err(|()| Fault::budget("the request budget of this collection is used up"))
    }

    pub(crate) fn take_token(&self) -> Result<(), Fault> {
        take(&self.tokens).map_err(|()| Fault::budget("the token requests of this collection are used up"))
    }

    /// Reserves body bytes before they are held.
    pub(crate) fn take_bytes(&self, count: u64) -> Result<(), Fault> {
        let less = |left: u64| left.checked_sub(count);
        if self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Err(Fault::over_limit("the documents of this collection are larger than its byte budget"));
        }
        let Some(Shared { of_all, taken }) = &self.shared else { return Ok(()) };
        if of_all.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return Err(Fault::over_limit("the memory for documents of all images is used up at the moment"));
        }
        taken.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// Runs `work` until the deadline.
    pub(crate) async fn within<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if Instant::now() >= self.deadline {
            return Err(Fault::budget("the time of this collection was used up before this was asked for"));
        }
        match tokio::time::timeout_at(self.deadline, work).await {
            Ok(result) => result,
            Err(_) => Err(Fault::timeout()),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(Self::TIME)
    }
}

fn take(counter: &AtomicU32) -> Result<(), ()> {
    let less = |left: u32| left.checked_sub(1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).map(|_| ()).map_err(|_| ())
}

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    Manifest,
    Listing,
    Blob,
    Token,
    Upload,
}

/// Counts the requests that a client sent, by kind.
#[derive(Debug, Default)]
pub(crate) struct Counters([AtomicU64; 5]);

impl Counters {
    pub(crate) fn count(&self, kind: Kind) {
        self.0[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let read = |kind: Kind| self.0[kind as usize].load(Ordering::Relaxed);
        Stats {
            manifests: read(Kind::Manifest),
            listings: read(Kind::Listing),
            blobs: read(Kind::Blob),
            tokens: read(Kind::Token),
            uploads: read(Kind::Upload),
        }
    }
}

/// Requests sent so far, by kind; redirects and repeated requests count as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Manifests and tags.
    pub manifests: u64,
    /// Pages of the referrers API, fallback tags and legacy tags.
    pub listings: u64,
    /// Configs, attachments and layers.
    pub blobs: u64,
    /// Token services.
    pub tokens: u64,
    /// Everything that writes.
    pub uploads: u64,
}

impl Stats {
    /// All requests but those for tokens.
    pub const fn requests(&self) -> u64 {
        self.manifests + self.listings + self.blobs + self.uploads
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { manifests, listings, blobs, tokens, uploads } = self;
        write!(f, "{manifests} manifests, {listings} listings, {blobs} blobs, {tokens} tokens, {uploads} uploads")
    }
}
