//! Jobs that fail, and more than there is room for.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use super::*;

#[tokio::test]
async fn attack_12_a_panic_is_the_jobs_own() {
    let pool = Pool::start().unwrap();
    // More panics than threads: each thread must outlive one.
    for _ in 0..2 * thread::available_parallelism().map_or(2, usize::from) {
        assert_eq!(pool.run(|| -> u8 { panic!("a check that fails") }).await, Err(NoResult::Panicked));
    }
    assert_eq!(pool.run(|| 1).await, Ok(1));
}

#[tokio::test]
async fn memory_that_is_not_there_in_time_is_refused() {
    let pool = Pool::start().unwrap();
    let soon = || Instant::now() + Duration::from_millis(1);
    assert_eq!(pool.reserve(MEMORY, soon()).await.unwrap_err(), NoResult::OverMemory);
    let all = pool.reserve(MEMORY / 8, soon()).await.unwrap();
    assert_eq!(pool.reserve(1, soon()).await.unwrap_err(), NoResult::OverMemory);
    drop(all);
    assert!(pool.reserve(1, soon()).await.is_ok());
}
