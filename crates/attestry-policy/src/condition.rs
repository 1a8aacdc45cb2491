//! Conditions.

/// A compiled condition.
#[derive(Debug, Clone)]
pub struct Condition {
    source: String,
}

/// Why a condition is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConditionError {
    /// Empty.
    #[error("the condition is empty")]
    Empty,
}

impl ConditionError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

impl Condition {
    /// Compiles.
    pub fn compile(source: &str) -> Result<Self, ConditionError> {
        Ok(Self { source: source.to_owned() })
    }
}
