//! Conditions: CEL expressions over a verified statement or an image's configuration, with every step paid for.
//!
//! The `cel` crate parses; evaluation is ours. A policy's author is trusted, but the document that a condition runs
//! over is not, and an evaluator without a budget can be held up for minutes by one nested `all()` (attack 39). So
//! source, nesting, operators, predicate and steps have bounds, a step is charged for each operation and for the
//! bytes that it touches, and what runs out is an error, never a pass.
//!
//! The language is the standard one without types, `bytes`, optional syntax and the clock. Variables over a statement:
//!
//! - `predicate`: the statement's predicate;
//! - `statement`: `predicateType`, `subject` and `predicate`;
//! - `sbom`: `packages`, each with `name` and, where the document states them, `version`, `purl`, `licence`; an
//!   error for a predicate that is neither SPDX nor CycloneDX;
//! - `image`: `reference`, `digest`, `annotations` of its manifest, `labels` of its configuration.
//!
//! Over a configuration:
//!
//! - `config`: the member `config` of the configuration, see [`ImageConfig::execution`];
//! - `image`, as above.

mod bounds;
mod compile;
mod eval;
mod node;
mod sbom;
mod value;

use std::{collections::BTreeMap, fmt, sync::Arc};

use attestry_core::{Reason, ReasonCode, manifest::ImageConfig, statement::Statement};
use serde_json::Value as Json;

/// Bytes of a condition's source.
pub const MAX_SOURCE: usize = 4 << 10;
/// Steps of one evaluation.
pub const MAX_STEPS: u64 = 100_000;
/// Bytes of a predicate that a condition may look at.
pub const MAX_PREDICATE: usize = 2 << 20;
/// Values in a predicate or configuration that a condition may look at.
pub const MAX_NODES: usize = 100_000;

/// A compiled condition.
#[derive(Clone)]
pub struct Condition {
    source: String,
    root: Arc<node::Node>,
    roots: Vec<node::Root>,
}

/// Why a condition is refused when it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// Nothing was written.
    #[error("the condition is empty")]
    Empty,
    /// Longer than 4 KiB.
    #[error("the condition is longer than {} KiB", MAX_SOURCE >> 10)]
    TooLong,
    /// Too many operators or too deep nesting.
    #[error("the condition is too complex: {0}")]
    TooComplex(&'static str),
    /// Not CEL.
    #[error("the condition cannot be read at {line}:{column}: {message}")]
    Syntax {
        /// Line within the condition, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
        /// What the parser expected.
        message: String,
    },
    /// A name that means nothing here.
    #[error("there is no variable {name:?}")]
    UnknownVariable {
        /// The name.
        name: String,
        /// The name that was probably meant, or all of them.
        hint: Option<String>,
    },
    /// A function that does not exist here, or with another number of arguments.
    #[error("there is no function {name}")]
    UnknownFunction {
        /// The name and the shape of the call.
        name: String,
        /// The name that was probably meant.
        hint: Option<String>,
    },
    /// A part of CEL that is not supported.
    #[error("{0} is not supported in conditions")]
    Unsupported(&'static str),
    /// A pattern of `matches` that is not a constant text, or no regular expression.
    #[error("the pattern of matches() cannot be used: {0}")]
    Pattern(String),
    /// An expression that can never be true or false.
    #[error("the condition is not a question: it gives {0}, not true or false")]
    NotBool(&'static str),
}

impl ConditionError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::TooLong | Self::TooComplex(_) => Some("split it over several requirements".to_owned()),
            Self::UnknownVariable { hint, .. } | Self::UnknownFunction { hint, .. } => hint.clone(),
            Self::Pattern(_) => {
                Some("patterns are compiled when the policy is loaded: write the text in quotes".to_owned())
            }
            Self::NotBool(_) => Some("compare it with something, such as size(sbom.packages) > 0".to_owned()),
            _ => None,
        }
    }
}

/// What a condition sees of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// `host/repository` in normal form.
    pub reference: String,
    /// The digest of the subject that is judged.
    pub digest: String,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
    /// Labels of its configuration.
    pub labels: BTreeMap<String, String>,
}

/// What a condition is about.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// A verified statement.
    Statement,
    /// The configuration of an image.
    Config,
}

impl Condition {
    /// Compiles a condition. Needs no more than 1 MiB of stack, whatever the source.
    pub fn compile(source: &str, scope: Scope) -> Result<Self, ConditionError> {
        let variables = match scope {
            Scope::Statement => node::Root::OF_STATEMENT,
            Scope::Config => node::Root::OF_CONFIG,
        };
        let (root, roots) = compile::compile(source, variables)?;
        Ok(Self { source: source.to_owned(), root: Arc::new(root), roots })
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it looks at `image`: only then its facts are needed.
    pub fn reads_image(&self) -> bool {
        self.roots.contains(&node::Root::Image)
    }

    /// Whether the condition holds of a statement. `Ok(())` is a pass; everything else is a reason: `condition-false`,
    /// or `condition-failed` for an error, a predicate above the bounds and an exhausted budget.
    pub fn check(&self, statement: &Statement, image: &ImageFacts) -> Result<(), Reason> {
        let raw = statement.predicate.get();
        if raw.len() > MAX_PREDICATE {
            return Err(self.failed(&format!("the predicate is larger than {} MiB", MAX_PREDICATE >> 20)));
        }
        // The payload passed the strict check before it was verified: no duplicates, bounded depth.
        let predicate: Json = serde_json::from_str(raw).map_err(|error| self.failed(&error.to_string()))?;
        let mut budget = self.budget("the predicate", &predicate)?;
        let uses_sbom = self.roots.contains(&node::Root::Sbom);
        let facts = eval::Facts::of_statement(statement, &predicate, image, uses_sbom, &mut budget);
        self.evaluate(&facts, &mut budget)
    }

    /// Whether the condition holds of an image's configuration, as [`Self::check`] says it of a statement.
    pub fn check_config(&self, config: &ImageConfig, image: &ImageFacts) -> Result<(), Reason> {
        let execution = config.execution().map_err(|error| self.failed(&error.to_string()))?;
        let execution = Json::Object(execution);
        let mut budget = self.budget("the configuration", &execution)?;
        self.evaluate(&eval::Facts::of_config(&execution, image), &mut budget)
    }

    fn budget(&self, what: &str, document: &Json) -> Result<eval::Budget, Reason> {
        if count(document, 0) > MAX_NODES {
            return Err(self.failed(&format!("{what} holds more than {MAX_NODES} values")));
        }
        Ok(eval::Budget::new(MAX_STEPS))
    }

    fn evaluate(&self, facts: &eval::Facts<'_>, budget: &mut eval::Budget) -> Result<(), Reason> {
        match eval::run(&self.root, facts, budget) {
            Ok(true) => Ok(()),
            Ok(false) => {
                Err(Reason::new(ReasonCode::ConditionFalse, format!("the condition is false: {}", self.source))
                    .with("condition", &self.source))
            }
            Err(error) => Err(self.failed(&error.to_string())),
        }
    }

    fn failed(&self, why: &str) -> Reason {
        Reason::new(ReasonCode::ConditionFailed, format!("the condition could not be computed: {why}"))
            .with("condition", &self.source)
    }
}

/// Values in a document, counted until the bound is passed.
fn count(value: &Json, so_far: usize) -> usize {
    if so_far > MAX_NODES {
        return so_far;
    }
    match value {
        Json::Array(items) => items.iter().fold(so_far + 1, |sum, item| count(item, sum)),
        Json::Object(members) => members.values().fold(so_far + 1, |sum, item| count(item, sum)),
        _ => so_far + 1,
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Condition {}

#[cfg(test)]
mod tests;
