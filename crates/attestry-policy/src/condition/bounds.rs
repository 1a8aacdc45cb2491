//! Bounds on the source, before any parser sees it.
//!
//! The parser and everything that walks its tree recurse, and `1+1+…` nests as deeply as it is long. The parser
//! itself bounds lists, maps and calls within each other; what it does not bound are operators and plain brackets, so
//! they are counted here. They are counted inside texts as well: telling text from code would need a second lexer that
//! agrees with the first in every corner.

use super::{ConditionError, MAX_SOURCE};

/// Lists, maps and calls that may be open at once; the parser's own bound.
pub(super) const MAX_BRACKETS: u16 = 24;
/// What can be an operator or a call: arithmetic, comparison, `in`, negation, choice, selection, index.
const MAX_OPERATORS: usize = 400;

/// Refuses a source that could exhaust the stack.
pub(super) fn check(source: &str) -> Result<(), ConditionError> {
    if source.trim().is_empty() {
        return Err(ConditionError::Empty);
    }
    if source.len() > MAX_SOURCE {
        return Err(ConditionError::TooLong);
    }
    let signs = source.bytes().filter(|b| b"+-*/%<>=!?.&|[({".contains(b)).count();
    if signs + source.matches("in").count() > MAX_OPERATORS {
        return Err(ConditionError::TooComplex("it holds more than 400 operators and brackets"));
    }
    Ok(())
}
