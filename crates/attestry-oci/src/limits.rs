//! The bounds of design §11 that hold for talking to a registry.

use std::time::Duration;

/// Sizes in bytes, counts and times. Each is a default that can be configured.
#[derive(Debug, Clone)]
pub struct Limits {
    /// A manifest or index.
    pub manifest: u64,
    /// An image configuration.
    pub config: u64,
    /// A bundle or the payload of a legacy layer. Admission sets 4 MiB.
    pub attachment: u64,
    /// A layer of an image, as it is packed. It is kept in a file, not in memory.
    pub layer: u64,
    /// The answer of a token service or credential helper, and the body of an error.
    pub small: u64,
    /// Pages of one listing.
    pub listing_pages: usize,
    /// Bytes of all pages of one listing.
    pub listing: u64,
    /// Entries of one listing.
    pub listing_entries: usize,
    /// Redirects of one request.
    pub redirects: usize,
    /// Requests at once of one round.
    pub concurrency: usize,
    /// Rounds of one collection.
    pub rounds: usize,
    /// The time that one push or attach may take.
    pub push_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 4 << 20,
            config: 1 << 20,
            attachment: 16 << 20,
            layer: 4 << 30,
            small: 64 << 10,
            listing_pages: 10,
            listing: 8 << 20,
            listing_entries: 1000,
            redirects: 3,
            concurrency: 16,
            rounds: 8,
            push_time: Duration::from_secs(120),
        }
    }
}
