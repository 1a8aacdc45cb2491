//! What a policy set allows but probably does not mean.
//!
//! A set with findings loads and works. Findings say where a rule is wider than it looks, where something can never
//! be met, and where a setting lets pass what is not proven.

mod identities;
mod policies;

use std::fmt;

use attestry_core::Timestamp;
use jiff::SignedDuration;

use crate::compile::{Place, PolicySet};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It works as written and nothing else: the policy can never be met, or guards nothing.
    Error,
    /// It is wider or weaker than a careful author would want.
    Warning,
    /// Worth knowing.
    Notice,
}

impl Level {
    /// The level as it is printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// Stable, in kebab-case.
    pub code: &'static str,
    /// What was found, in one sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to do about it.
    pub hint: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column, document, path } = &self.place;
        let Self { level, code, message, hint, .. } = self;
        write!(f, "{file}:{line}:{column}: {}[{code}]: {document}: {path}: {message}\n  hint: {hint}", level.as_str())
    }
}

/// How long before its end a key or base is reported.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Looks at a whole set as it stands at `now`. Ordered by file and line.
pub fn lint(set: &PolicySet, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    identities::authorities(set, now, &mut findings);
    policies::policies(set, now, &mut findings);
    policies::catalogs(set, now, &mut findings);
    findings.sort_by(|a, b| (&a.place, a.level, a.code).cmp(&(&b.place, b.level, b.code)));
    findings
}

fn finding(level: Level, code: &'static str, place: &Place, message: impl Into<String>, hint: &'static str) -> Finding {
    Finding { level, code, message: message.into(), place: place.clone(), hint }
}

/// Whether `end` lies ahead, but not far.
fn ends_soon(end: Timestamp, now: Timestamp) -> bool {
    end > now && end.duration_since(now) < SOON
}

#[cfg(test)]
mod tests;
