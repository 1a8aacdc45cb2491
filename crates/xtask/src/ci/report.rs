//! What is said at the end of a run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// What ran, for how long, and what did not.
#[derive(Default)]
pub(super) struct Report {
    times: Vec<(&'static str, Duration)>,
    skipped: Vec<(&'static str, String)>,
    summaries: Vec<String>,
}

/// A step that is running.
pub(super) struct Timer(&'static str, Instant);

impl Report {
    pub(super) fn start(&self, step: &'static str) -> Timer {
        Timer(step, Instant::now())
    }

    pub(super) fn stop(&mut self, Timer(step, began): Timer) {
        self.times.push((step, began.elapsed()));
    }

    pub(super) fn skipped(&mut self, step: &'static str, why: String) {
        self.skipped.push((step, why));
    }

    /// A test runner's closing lines, in its own words: people and machines look for them last.
    pub(super) fn summary(&mut self, lines: Vec<String>) {
        self.summaries.extend(lines);
    }

    pub(super) fn print(&self, skipped_tests: &BTreeSet<String>) {
        eprintln!();
        for (step, time) in &self.times {
            eprintln!("{step:<14}{:>8.1} s", time.as_secs_f64());
        }
        let whole: Duration = self.times.iter().map(|(_, time)| *time).sum();
        eprintln!("{:<14}{:>8.1} s", "together", whole.as_secs_f64());
        for (step, why) in &self.skipped {
            eprintln!("step not run: {step}: {why}");
        }
        if !skipped_tests.is_empty() {
            eprintln!(
                "tests not run, since real tools are not installed (tests/peers/README.md): {}",
                skipped_tests.len()
            );
            for name in skipped_tests {
                eprintln!("  {name}");
            }
        }
        for line in &self.summaries {
            eprintln!("{line}");
        }
    }
}
