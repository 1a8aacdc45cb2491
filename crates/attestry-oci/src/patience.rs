//! Waiting out failures that pass, where something is written.
//!
//! Registries on plain files fail for a moment while somebody else writes the same tag or blob: readers see a
//! half-written link. Reading for a review never waits like this; a few writes may.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use attestry_core::GapCause;

use crate::error::OciError;

const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// Does `work` again, a few times with pauses, while it fails in a way that `passes`.
pub(crate) async fn patiently<T, Work: Future<Output = Result<T, OciError>>>(
    passes: fn(&OciError) -> bool,
    work: impl Fn() -> Work,
) -> Result<T, OciError> {
    for attempt in 1..TRIES {
        match work().await {
            Err(error) if passes(&error) => {
                tracing::debug!(%error, attempt, "waiting for the registry");
                tokio::time::sleep(jitter(PAUSE * attempt)).await;
            }
            result => return result,
        }
    }
    work().await
}

/// Whether the registry failed (5xx), which may pass.
pub(crate) fn is_failure(error: &OciError) -> bool {
    matches!(error, OciError::Transport { cause: GapCause::Unreachable, .. })
}

/// Something between nothing and `most`, so that writers that met once do not meet again. The standard library's
/// seeded hasher is random enough for that.
pub(crate) fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    most.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 1000.0)
}
