//! The moment at which tests judge: fixed and in the past, so that no verdict depends on the day of the run.

use attestry_core::Timestamp;

/// `2026-02-01T12:00:00Z`: after the playground's images were built (2026-01-15), before any key here ends.
pub fn now() -> Timestamp {
    at("2026-02-01T12:00:00Z")
}

/// The moment written as RFC 3339.
///
/// # Panics
/// If `text` is no such moment.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
