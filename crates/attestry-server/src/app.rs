//! The state of the service: one struct, built once. Tests build the same one.

use std::{sync::Arc, time::Duration};

use attestry_core::{Reason, ReasonCode, Timestamp};
use attestry_policy::NoPolicy;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::{
    config::{Role, Token},
    error::Problem,
    judge::Judge,
    metrics::Metrics,
    policies::{Look, Policies},
    record::Recorder,
};

/// Requests that are worked on at one time; more are refused at once.
const MAX_CONCURRENT: usize = 512;

/// Where `now` comes from: the clock, or a fixed time in tests.
pub(crate) type Clock = fn() -> Timestamp;

/// Everything that handlers use.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) policies: Arc<Policies>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) no_policy: NoPolicy,
    pub(crate) tokens: Vec<Token>,
    pub(crate) clock: Clock,
    admission_turns: Semaphore,
    api_turns: Semaphore,
}

impl App {
    pub(crate) fn new(
        policies: Policies,
        judge: Judge,
        recorder: Recorder,
        metrics: Arc<Metrics>,
        no_policy: NoPolicy,
        tokens: Vec<Token>,
        clock: Clock,
    ) -> Self {
        // What the data directory kept is in force before the policy directory was looked at.
        if let Some(set) = policies.current() {
            metrics.in_force(set.digest());
        }
        Self {
            policies: Arc::new(policies),
            judge: Arc::new(judge),
            recorder,
            metrics,
            no_policy,
            tokens,
            clock,
            admission_turns: Semaphore::new(MAX_CONCURRENT),
            api_turns: Semaphore::new(MAX_CONCURRENT),
        }
    }

    /// A turn to answer an admission review, or the problem that there is none. Taken once the body is there: whoever
    /// only opens connections keeps nobody from being answered.
    pub(crate) fn admission_turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        turn(&self.admission_turns)
    }

    /// The same for the API, whose callers must not starve admission.
    pub(crate) fn api_turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        turn(&self.api_turns)
    }

    /// Looks at the policy directory once, on the verification pool.
    pub(crate) async fn look_at_policies(&self) {
        let policies = self.policies.clone();
        match self.judge.pool().run(move || policies.look()).await {
            Ok(Look::Same) => {}
            Ok(Look::Loaded(digest)) => {
                self.metrics.in_force(digest);
                tracing::info!(%digest, "policy set loaded");
            }
            Ok(Look::Refused(reason)) => {
                tracing::error!(%reason, "the policy directory is refused; the last good set stays")
            }
            Err(problem) => tracing::error!(?problem, "the policy directory could not be looked at"),
        }
        self.metrics.policy_problem.set(i64::from(self.policies.problem().is_some()));
        let log = self.recorder.store().log();
        self.metrics.log_writable.set(i64::from(log.is_writable()));
        self.metrics.log_records.set(log.records());
    }

    /// Whether somebody with this token may do this. Without tokens everybody on loopback may.
    pub(crate) fn allows(&self, bearer: Option<&str>, role: Role) -> bool {
        if self.tokens.is_empty() {
            return true;
        }
        let Some(bearer) = bearer else { return false };
        // Hashes are compared, so the time of the comparison tells nothing about the token itself.
        let given = attestry_core::Digest::of(bearer);
        self.tokens.iter().any(|token| token.sha256 == given && token.roles.contains(&role))
    }
}

/// The deadline of a request that may take `time`.
pub(crate) fn deadline(time: Duration) -> Instant {
    Instant::now() + time
}

fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Problem> {
    let message = || format!("{MAX_CONCURRENT} requests are being answered");
    turns.try_acquire().map_err(|_| Problem::new(Reason::new(ReasonCode::Overloaded, message())))
}
