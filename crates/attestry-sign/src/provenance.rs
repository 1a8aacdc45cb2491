//! SLSA provenance v1 from the variables that a CI system gives its jobs (slsa.dev/spec/v1.0/provenance).
//!
//! A job can set its own variables, so what is written here is a claim: it counts by the identity that signs it.
//! Only variables named in [`variables`] are ever asked for. A job's environment holds tokens, and a predicate is
//! public.

mod github;
mod gitlab;
mod tekton;
#[cfg(test)]
mod tests;

use attestry_core::Timestamp;
use serde_json::{Value, json};

/// The predicate type of everything that this module writes.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";

/// The longest value that is taken over. Names, references and addresses are far shorter.
const MAX_VALUE_BYTES: usize = 2048;

/// Why there is no provenance. Values are never part of a message: they may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// Nothing says that this is a CI job.
    #[error(
        "this is no CI job that attestry knows: neither GITHUB_ACTIONS=true nor GITLAB_CI=true nor TEKTON_TASKRUN_NAME is set"
    )]
    OutsideCi,
    /// More than one CI system says that this is its job.
    #[error("the variables of both {first} and {second} are set, so it is unclear whose job this is")]
    Ambiguous {
        /// One of them.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// A variable without which the provenance would not say what was built.
    #[error("the {ci} job has no variable {variable}")]
    Missing {
        /// The CI system.
        ci: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// A variable that does not hold what its documentation says, or that would publish a secret.
    #[error("the variable {variable} of the {ci} job cannot be used: {problem}")]
    Unusable {
        /// The CI system.
        ci: &'static str,
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One CI system: how its jobs are recognised, what is read of them and what is written.
struct System {
    name: &'static str,
    /// The variable that marks a job, and its value where it has a fixed one.
    mark: (&'static str, Option<&'static str>),
    variables: &'static [&'static str],
    write: fn(&Job<'_>, Timestamp) -> Result<Value, ProvenanceError>,
}

const SYSTEMS: [System; 3] = [github::SYSTEM, gitlab::SYSTEM, tekton::SYSTEM];

/// Every variable that is ever looked up.
pub fn variables() -> impl Iterator<Item = &'static str> {
    SYSTEMS.into_iter().flat_map(|system| std::iter::once(system.mark.0).chain(system.variables.iter().copied()))
}

/// The provenance predicate of the job whose variables `lookup` knows. `now` becomes the time at which the build was
/// finished: an image is attested after it was built.
pub fn from_ci(lookup: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> Result<Value, ProvenanceError> {
    let marked = |system: &System| {
        let (variable, wanted) = system.mark;
        lookup(variable).is_some_and(|value| wanted.map_or(!value.is_empty(), |wanted| value == wanted))
    };
    let mut found = SYSTEMS.into_iter().filter(marked);
    let system = found.next().ok_or(ProvenanceError::OutsideCi)?;
    if let Some(second) = found.next() {
        return Err(ProvenanceError::Ambiguous { first: system.name, second: second.name });
    }
    (system.write)(&Job { ci: system.name, lookup }, now)
}

/// The variables of a job, each checked before it is used.
struct Job<'a> {
    ci: &'static str,
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl Job<'_> {
    /// A variable that has to be there.
    fn text(&self, variable: &'static str) -> Result<String, ProvenanceError> {
        self.optional(variable)?.ok_or(self.missing(variable))
    }

    /// A variable that may be absent or empty.
    fn optional(&self, variable: &'static str) -> Result<Option<String>, ProvenanceError> {
        let Some(value) = (self.lookup)(variable).filter(|value| !value.is_empty()) else { return Ok(None) };
        if value.len() > MAX_VALUE_BYTES {
            return Err(self.unusable(variable, "it is longer than 2048 bytes"));
        }
        if value.chars().any(char::is_control) {
            return Err(self.unusable(variable, "it holds control characters"));
        }
        // GitLab and Tekton leave a variable that they do not know as it stands in the job's definition.
        if value.contains("$(") || value.contains("${") {
            return Err(self.unusable(variable, "it names another variable that was not replaced"));
        }
        Ok(Some(value))
    }

    /// The address of a server or repository: `http(s)://host[:port]/path`, without a trailing slash. User
    /// information, a query or a fragment could carry a token into the predicate, so they are refused.
    fn url(&self, variable: &'static str) -> Result<String, ProvenanceError> {
        let value = self.text(variable)?;
        let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
        let rest = rest.ok_or_else(|| self.unusable(variable, "it does not begin with https:// or http://"))?;
        if rest.contains('@') {
            return Err(self.unusable(variable, "it may hold credentials: it has an @"));
        }
        if rest.contains(['?', '#']) {
            return Err(self.unusable(variable, "it may hold credentials: it has a query or a fragment"));
        }
        if rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains(char::is_whitespace) {
            return Err(self.unusable(variable, "it is no address with a host"));
        }
        Ok(value.trim_end_matches('/').to_owned())
    }

    /// A commit: 40 hexadecimal digits, or 64 in repositories that use SHA-256.
    fn commit(&self, variable: &'static str) -> Result<String, ProvenanceError> {
        let value = self.text(variable)?;
        if !matches!(value.len(), 40 | 64) || !value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(self.unusable(variable, "it is no full commit id in hexadecimal"));
        }
        Ok(value.to_ascii_lowercase())
    }

    /// A git reference in full. A short name could be a branch's or a tag's.
    fn reference(&self, variable: &'static str) -> Result<Option<String>, ProvenanceError> {
        match self.optional(variable)? {
            Some(value) if !value.starts_with("refs/") => Err(self.unusable(variable, "it does not begin with refs/")),
            value => Ok(value),
        }
    }

    /// A number that names a run, a job or a runner.
    fn number(&self, variable: &'static str) -> Result<u64, ProvenanceError> {
        self.text(variable)?.parse().map_err(|_| self.unusable(variable, "it is no number"))
    }

    fn missing(&self, variable: &'static str) -> ProvenanceError {
        ProvenanceError::Missing { ci: self.ci, variable }
    }

    fn unusable(&self, variable: &'static str, problem: &'static str) -> ProvenanceError {
        ProvenanceError::Unusable { ci: self.ci, variable, problem }
    }
}

/// `now` as provenance states times: whole seconds.
fn seconds(time: Timestamp) -> Value {
    json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
