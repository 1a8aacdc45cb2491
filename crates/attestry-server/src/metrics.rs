//! Prometheus metrics. Labels are from closed sets: never an image, a namespace or a user (attack 38).

use std::sync::atomic::AtomicU64;

use attestry_core::{Digest, Verdict};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) decisions: Family<Answer, Counter>,
    pub(crate) reviews: Family<VerdictLabel, Counter>,
    pub(crate) cache_hits: Counter,
    pub(crate) collections: Counter,
    policy_set: Family<PolicySetLabel, Gauge>,
    pub(crate) policy_problem: Gauge,
    pub(crate) log_writable: Gauge,
    pub(crate) log_records: Gauge<u64, AtomicU64>,
    registry_requests: Gauge<u64, AtomicU64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Answer {
    /// `admitted`, `refused`, `record-failed`.
    pub(crate) answer: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct VerdictLabel {
    /// `trusted`, `untrusted`, `undeterminable`.
    pub(crate) verdict: &'static str,
}

/// One series at a time: the set in force, so that replicas can be compared (attack 64).
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicySetLabel {
    digest: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("attestry"),
            decisions: Family::default(),
            reviews: Family::default(),
            cache_hits: Counter::default(),
            collections: Counter::default(),
            policy_set: Family::default(),
            policy_problem: Gauge::default(),
            log_writable: Gauge::default(),
            log_records: Gauge::default(),
            registry_requests: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("decisions", "Admission decisions by answer", metrics.decisions.clone());
        registry.register("reviews", "Images judged, by verdict", metrics.reviews.clone());
        registry.register("review_cache_hits", "Reviews answered from the cache", metrics.cache_hits.clone());
        registry.register("collections", "Collections of evidence begun", metrics.collections.clone());
        registry.register("policy_set", "1 for the policy set in force", metrics.policy_set.clone());
        registry.register("policy_problem", "1 while the policy directory is refused", metrics.policy_problem.clone());
        registry.register("log_writable", "1 while the decision log can be written", metrics.log_writable.clone());
        registry.register("log_records", "Records in the decision log", metrics.log_records.clone());
        registry.register("registry_requests", "Requests sent to registries", metrics.registry_requests.clone());
        metrics
    }

    pub(crate) fn judged(&self, verdict: Verdict) {
        self.reviews.get_or_create(&VerdictLabel { verdict: verdict.as_str() }).inc();
    }

    pub(crate) fn answered(&self, answer: &'static str) {
        self.decisions.get_or_create(&Answer { answer }).inc();
    }

    /// This set is in force from now on.
    pub(crate) fn in_force(&self, policy_set: Digest) {
        self.policy_set.clear();
        self.policy_set.get_or_create(&PolicySetLabel { digest: policy_set.to_string() }).set(1);
    }

    /// The text exposition format.
    pub(crate) fn text(&self, registry_requests: u64) -> String {
        self.registry_requests.set(registry_requests);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
