//! Threads that judge: as many as cores, with stacks for deep recursion, and a budget of memory for all of them.
//!
//! Verification and conditions never run on the async workers: a slow one would stop every other request.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout_at},
};

const STACK: usize = 16 << 20;
/// Jobs that wait. More are refused at once rather than answered too late.
const QUEUE: usize = 1024;
/// Bytes that judging may take at one time, over all threads.
const MEMORY: usize = 512 << 20;
/// One permit stands for this many bytes.
const UNIT: usize = 64 << 10;

type Job = Box<dyn FnOnce() + Send>;

/// The verification pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    jobs: SyncSender<Job>,
    memory: Arc<Semaphore>,
}

/// Why a job gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoResult {
    /// Too many jobs wait.
    Overloaded,
    /// The memory could not be had before the deadline.
    OverMemory,
    /// The job panicked. The process goes on (attack 12).
    Panicked,
}

impl Pool {
    pub(crate) fn start() -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel::<Job>(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..thread::available_parallelism().map_or(2, usize::from) {
            let receiver = receiver.clone();
            thread::Builder::new().name(format!("judge-{number}")).stack_size(STACK).spawn(move || work(&receiver))?;
        }
        Ok(Self { jobs, memory: Arc::new(Semaphore::new(MEMORY / UNIT)) })
    }

    /// Runs a job and waits for its result.
    pub(crate) async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, NoResult> {
        let (answer, result) = oneshot::channel();
        let job = move || {
            // A receiver that is gone does not want the result any more.
            let _ = answer.send(catch_unwind(AssertUnwindSafe(job)));
        };
        self.jobs.try_send(Box::new(job)).map_err(|_| NoResult::Overloaded)?;
        match result.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(NoResult::Panicked),
        }
    }

    /// Reserves memory for judging documents of `bytes`: eight times as much, since they are decoded and parsed.
    pub(crate) async fn reserve(&self, bytes: usize, deadline: Instant) -> Result<OwnedSemaphorePermit, NoResult> {
        let units = (bytes.saturating_mul(8) / UNIT).max(1);
        if units > MEMORY / UNIT {
            return Err(NoResult::OverMemory);
        }
        // At most 8192, as just checked.
        let units = u32::try_from(units).map_err(|_| NoResult::OverMemory)?;
        let waiting = self.memory.clone().acquire_many_owned(units);
        timeout_at(deadline, waiting).await.ok().and_then(Result::ok).ok_or(NoResult::OverMemory)
    }
}

fn work(receiver: &Mutex<Receiver<Job>>) {
    loop {
        let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            // The pool was dropped.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
