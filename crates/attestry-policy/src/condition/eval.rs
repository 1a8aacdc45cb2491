//! Evaluation, with every step charged to a budget.

use std::{cmp::Ordering, collections::BTreeMap, fmt, rc::Rc};

use attestry_core::statement::Statement;
use serde_json::{Value as Json, json};

use super::{
    ImageFacts,
    node::{Constant, Fold, Function, Node, Op, Root},
    sbom,
    value::Value,
};

/// What is left of the steps.
pub(super) struct Budget {
    steps: u64,
}

/// Bytes that one step pays for, read or written.
const BYTES_PER_STEP: usize = 32;
/// Bytes that one step pays for where a pattern looks at them.
const PATTERN_BYTES_PER_STEP: usize = 8;

impl Budget {
    pub(super) fn new(steps: u64) -> Self {
        Self { steps }
    }

    pub(super) fn pay(&mut self, steps: usize) -> Result<(), Failure> {
        self.steps = self.steps.checked_sub(steps as u64).ok_or(Failure::Exhausted)?;
        Ok(())
    }

    pub(super) fn pay_bytes(&mut self, bytes: usize) -> Result<(), Failure> {
        self.pay(bytes / BYTES_PER_STEP)
    }
}

/// Why an evaluation gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The budget is spent. Nothing absorbs this.
    Exhausted,
    /// An operation that cannot be done.
    Other(String),
}

impl Failure {
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self::Other(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted => f.write_str("it took more than 100000 steps"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

/// The documents that variables stand for.
pub(super) struct Facts<'a> {
    over: Over<'a>,
    image: Json,
}

/// What a condition runs over.
enum Over<'a> {
    Statement { predicate: &'a Json, predicate_type: Json, subjects: Json, sbom: Result<Json, Failure> },
    Config(&'a Json),
}

impl<'a> Facts<'a> {
    pub(super) fn of_statement(
        statement: &Statement,
        predicate: &'a Json,
        image: &ImageFacts,
        uses_sbom: bool,
        budget: &mut Budget,
    ) -> Self {
        let sbom = match uses_sbom {
            true => sbom::packages(&statement.predicate_type, predicate, budget),
            false => Err(Failure::other("sbom is not used")),
        };
        let (predicate_type, subjects) = (json!(statement.predicate_type), json!(statement.subjects));
        Self { over: Over::Statement { predicate, predicate_type, subjects, sbom }, image: of_image(image) }
    }

    /// `config` is the member of this name, with all its parts.
    pub(super) fn of_config(config: &'a Json, image: &ImageFacts) -> Self {
        Self { over: Over::Config(config), image: of_image(image) }
    }

    fn root(&self, root: Root) -> Result<Value<'_>, Failure> {
        match (root, &self.over) {
            (Root::Image, _) => Ok(Value::of_json(&self.image)),
            (Root::Config, Over::Config(config)) => Ok(Value::of_json(config)),
            (Root::Predicate, Over::Statement { predicate, .. }) => Ok(Value::of_json(predicate)),
            (Root::Sbom, Over::Statement { sbom, .. }) => sbom.as_ref().map(Value::of_json).map_err(Failure::clone),
            (Root::Statement, Over::Statement { predicate, predicate_type, subjects, .. }) => {
                let members = [("predicateType", predicate_type), ("subject", subjects), ("predicate", *predicate)];
                let members: BTreeMap<String, Value<'_>> =
                    members.into_iter().map(|(name, json)| (name.to_owned(), Value::of_json(json))).collect();
                Ok(Value::Map(Rc::new(members)))
            }
            // Compiling refuses the variables of another scope.
            _ => Err(Failure::other("a variable stands for nothing here")),
        }
    }
}

fn of_image(image: &ImageFacts) -> Json {
    json!({
        "reference": image.reference,
        "digest": image.digest,
        "annotations": image.annotations,
        "labels": image.labels,
    })
}

/// Evaluates a whole condition.
pub(super) fn run(root: &Node, facts: &Facts<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    let mut evaluation = Evaluation { facts, budget, locals: Vec::new() };
    match evaluation.value(root)? {
        Value::Bool(answer) => Ok(answer),
        other => Err(Failure::other(format!("it gives a {}, not true or false", other.type_name()))),
    }
}

struct Evaluation<'a, 'b> {
    facts: &'a Facts<'a>,
    budget: &'b mut Budget,
    /// Values of the macros' variables, outermost first.
    locals: Vec<Value<'a>>,
}

impl<'a> Evaluation<'a, '_> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, Failure> {
        // Constants and variables cost nothing by themselves; whatever looks at them is charged.
        match node {
            Node::Constant(constant) => return Ok(of_constant(constant)),
            Node::Local(index) => {
                let value = self.locals.get(*index).cloned();
                return value.ok_or_else(|| Failure::other("a variable is out of reach"));
            }
            _ => self.budget.pay(1)?,
        }
        match node {
            Node::Constant(_) | Node::Local(_) => Ok(Value::Null),
            Node::Root(root) => self.facts.root(*root),
            Node::Select { of, field } => {
                let of = self.map(of, field)?;
                of.member(field).ok_or_else(|| Failure::other(format!("there is no field {field:?}")))
            }
            Node::Has { of, field } => Ok(Value::Bool(self.map(of, field)?.member(field).is_some())),
            Node::Index { of, at } => self.index(of, at),
            Node::List(nodes) => {
                self.budget.pay(nodes.len())?;
                let values = nodes.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>()?;
                Ok(Value::List(Rc::new(values)))
            }
            Node::Map(entries) => self.map_of(entries),
            Node::Not(of) => self.bool(of).map(|value| Value::Bool(!value)),
            Node::Negate(of) => match self.value(of)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
                Value::Double(value) => Ok(Value::Double(-value)),
                other => Err(Failure::other(format!("a {} has no negative", other.type_name()))),
            },
            Node::And(a, b) => self.both(a, b, false),
            Node::Or(a, b) => self.both(a, b, true),
            Node::If { test, then, otherwise } => {
                let branch = if self.bool(test)? { then } else { otherwise };
                self.value(branch)
            }
            Node::Binary(op, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.binary(*op, &a, &b)
            }
            Node::Call(function, arguments) => {
                let arguments = arguments.iter().map(|node| self.value(node)).collect::<Result<Vec<_>, _>>()?;
                self.call(*function, &arguments)
            }
            Node::Matches { of, pattern } => {
                let of = self.value(of)?;
                let text = of.text().ok_or_else(|| wrong_type("matches()", &of))?;
                self.budget.pay(text.len() / PATTERN_BYTES_PER_STEP)?;
                Ok(Value::Bool(pattern.is_match(text)))
            }
            Node::Fold { over, fold } => self.fold(over, fold),
        }
    }

    fn bool(&mut self, node: &'a Node) -> Result<bool, Failure> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(Failure::other(format!("a {} stands where true or false is needed", other.type_name()))),
        }
    }

    fn map(&mut self, node: &'a Node, field: &str) -> Result<Value<'a>, Failure> {
        let value = self.value(node)?;
        match value.is_map() {
            true => Ok(value),
            false => Err(Failure::other(format!("a {} has no field {field:?}", value.type_name()))),
        }
    }

    /// `&&` and `||` as CEL has them: either side may decide, and an error counts only if neither does. A spent
    /// budget is no error that could be decided away.
    fn both(&mut self, a: &'a Node, b: &'a Node, decides: bool) -> Result<Value<'a>, Failure> {
        match self.bool(a) {
            Err(Failure::Exhausted) => Err(Failure::Exhausted),
            Ok(value) if value == decides => Ok(Value::Bool(decides)),
            Ok(_) => self.bool(b).map(Value::Bool),
            Err(error) => match self.bool(b) {
                Ok(value) if value == decides => Ok(Value::Bool(decides)),
                Err(Failure::Exhausted) => Err(Failure::Exhausted),
                _ => Err(error),
            },
        }
    }

    fn index(&mut self, of: &'a Node, at: &'a Node) -> Result<Value<'a>, Failure> {
        let (of, at) = (self.value(of)?, self.value(at)?);
        let found = match (&at, of.is_list()) {
            (Value::Int(index), true) => usize::try_from(*index).ok().and_then(|index| of.item(index)),
            (Value::Uint(index), true) => usize::try_from(*index).ok().and_then(|index| of.item(index)),
            (key, false) if of.is_map() => key.text().and_then(|key| of.member(key)),
            _ => return Err(Failure::other(format!("a {} has no index of type {}", of.type_name(), at.type_name()))),
        };
        found.ok_or_else(|| match at.to_text() {
            Some(key) => Failure::other(format!("there is no item {:?}", attestry_core::reason::clean(&key, 64))),
            None => Failure::other("there is no such item"),
        })
    }

    fn map_of(&mut self, entries: &'a [(Node, Node)]) -> Result<Value<'a>, Failure> {
        self.budget.pay(entries.len())?;
        let mut members = BTreeMap::new();
        for (key, value) in entries {
            let (key, value) = (self.value(key)?, self.value(value)?);
            let name = key.text().ok_or_else(|| Failure::other("the key of a map must be a string"))?;
            self.budget.pay_bytes(name.len())?;
            if members.insert(name.to_owned(), value).is_some() {
                return Err(Failure::other("a map has the same key twice"));
            }
        }
        Ok(Value::Map(Rc::new(members)))
    }

    fn fold(&mut self, over: &'a Node, fold: &'a Fold) -> Result<Value<'a>, Failure> {
        let over = self.value(over)?;
        let items = over.items().ok_or_else(|| wrong_type("a macro", &over))?;
        let mut state = FoldState { error: None, found: 0, made: Vec::new() };
        for item in items {
            self.budget.pay(1)?;
            self.locals.push(item);
            let goes_on = self.step(fold, &mut state);
            self.locals.pop();
            if !goes_on? {
                break;
            }
        }
        match (fold, state.error) {
            // As for && and ||: an item that decides outweighs one that could not be computed.
            (Fold::All(_), _) if state.found > 0 => Ok(Value::Bool(false)),
            (Fold::Exists(_), _) if state.found > 0 => Ok(Value::Bool(true)),
            (_, Some(error)) => Err(error),
            (Fold::All(_), None) => Ok(Value::Bool(true)),
            (Fold::Exists(_), None) => Ok(Value::Bool(false)),
            (Fold::ExistsOne(_), None) => Ok(Value::Bool(state.found == 1)),
            (Fold::Map { .. }, None) => Ok(Value::List(Rc::new(state.made))),
        }
    }

    /// One item. Whether the macro goes on.
    fn step(&mut self, fold: &'a Fold, state: &mut FoldState<'a>) -> Result<bool, Failure> {
        let (body, decides) = match fold {
            Fold::All(body) => (body, false),
            Fold::Exists(body) => (body, true),
            Fold::ExistsOne(body) => {
                state.found += usize::from(self.bool(body)?);
                return Ok(true);
            }
            Fold::Map { keep, make } => {
                let keep = match keep {
                    Some(keep) => self.bool(keep)?,
                    None => true,
                };
                if keep {
                    let made = self.value(make)?;
                    state.made.push(made);
                }
                return Ok(true);
            }
        };
        match self.bool(body) {
            Ok(value) if value == decides => {
                state.found = 1;
                Ok(false)
            }
            Ok(_) => Ok(true),
            Err(Failure::Exhausted) => Err(Failure::Exhausted),
            Err(error) => {
                state.error.get_or_insert(error);
                Ok(true)
            }
        }
    }

    fn binary(&mut self, op: Op, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, Failure> {
        let wanted: &[Ordering] = match op {
            Op::Equal => return a.equals(b, self.budget).map(Value::Bool),
            Op::NotEqual => return a.equals(b, self.budget).map(|equal| Value::Bool(!equal)),
            Op::In => return self.is_in(a, b).map(Value::Bool),
            Op::Less => &[Ordering::Less],
            Op::LessEqual => &[Ordering::Less, Ordering::Equal],
            Op::Greater => &[Ordering::Greater],
            Op::GreaterEqual => &[Ordering::Greater, Ordering::Equal],
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo => return self.arithmetic(op, a, b),
        };
        Ok(Value::Bool(wanted.contains(&a.order(b, self.budget)?)))
    }

    fn is_in(&mut self, item: &Value<'a>, of: &Value<'a>) -> Result<bool, Failure> {
        if of.is_map() {
            return Ok(item.text().is_some_and(|name| of.member(name).is_some()));
        }
        if !of.is_list() {
            return Err(wrong_type("in", of));
        }
        for candidate in of.items().into_iter().flatten() {
            if candidate.equals(item, self.budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn arithmetic(&mut self, op: Op, a: &Value<'a>, b: &Value<'a>) -> Result<Value<'a>, Failure> {
        if let (Op::Add, Some(x), Some(y)) = (op, a.text(), b.text()) {
            self.budget.pay_bytes(x.len() + y.len())?;
            return Ok(Value::OwnText([x, y].concat().into()));
        }
        if op == Op::Add && a.is_list() && b.is_list() {
            self.budget.pay(a.len().unwrap_or(0) + b.len().unwrap_or(0))?;
            let items = a.items().into_iter().flatten().chain(b.items().into_iter().flatten());
            return Ok(Value::List(Rc::new(items.collect())));
        }
        let result = match (a, b) {
            (Value::Int(a), Value::Int(b)) => {
                let result = match op {
                    Op::Add => a.checked_add(*b),
                    Op::Subtract => a.checked_sub(*b),
                    Op::Multiply => a.checked_mul(*b),
                    Op::Divide => a.checked_div(*b),
                    _ => a.checked_rem(*b),
                };
                return result.map(Value::Int).ok_or_else(overflow);
            }
            (Value::Uint(a), Value::Uint(b)) => {
                let result = match op {
                    Op::Add => a.checked_add(*b),
                    Op::Subtract => a.checked_sub(*b),
                    Op::Multiply => a.checked_mul(*b),
                    Op::Divide => a.checked_div(*b),
                    _ => a.checked_rem(*b),
                };
                return result.map(Value::Uint).ok_or_else(overflow);
            }
            (Value::Double(a), Value::Double(b)) => match op {
                Op::Add => Some(Value::Double(a + b)),
                Op::Subtract => Some(Value::Double(a - b)),
                Op::Multiply => Some(Value::Double(a * b)),
                Op::Divide => Some(Value::Double(a / b)),
                _ => None,
            },
            (Value::Time(a), Value::Duration(b)) => match op {
                Op::Add => a.checked_add(*b).ok().map(Value::Time),
                Op::Subtract => a.checked_sub(*b).ok().map(Value::Time),
                _ => None,
            },
            (Value::Time(a), Value::Time(b)) if op == Op::Subtract => Some(Value::Duration(a.duration_since(*b))),
            _ => None,
        };
        result.ok_or_else(|| {
            Failure::other(format!("{} and {} cannot be computed with each other", a.type_name(), b.type_name()))
        })
    }

    fn call(&mut self, function: Function, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
        let none = Value::Null;
        let (first, second) = (arguments.first().unwrap_or(&none), arguments.get(1).unwrap_or(&none));
        let name = function.name();
        if function == Function::Size
            && let Some(length) = first.len()
        {
            return whole(length);
        }
        match function {
            Function::Int => return to_int(first),
            Function::Double => return to_double(first),
            Function::Timestamp if matches!(first, Value::Time(_)) => return Ok(first.clone()),
            Function::Text => {
                let text = first.to_text().ok_or_else(|| wrong_type(name, first))?;
                self.budget.pay_bytes(text.len())?;
                return Ok(Value::OwnText(text.as_ref().into()));
            }
            _ => {}
        }
        let text = first.text().ok_or_else(|| wrong_type(name, first))?;
        self.budget.pay_bytes(text.len())?;
        let part = || second.text().ok_or_else(|| wrong_type(name, second));
        Ok(match function {
            Function::Size => return whole(text.chars().count()),
            Function::Contains => Value::Bool(text.contains(part()?)),
            Function::StartsWith => Value::Bool(text.starts_with(part()?)),
            Function::EndsWith => Value::Bool(text.ends_with(part()?)),
            Function::LowerAscii => Value::OwnText(text.to_ascii_lowercase().into()),
            Function::UpperAscii => Value::OwnText(text.to_ascii_uppercase().into()),
            Function::Trim => Value::OwnText(text.trim().into()),
            Function::Split => {
                let separator = part()?;
                if separator.is_empty() {
                    return Err(Failure::other("split() needs a separator"));
                }
                let parts: Vec<Value<'a>> = text.split(separator).map(|part| Value::OwnText(part.into())).collect();
                self.budget.pay(parts.len())?;
                Value::List(Rc::new(parts))
            }
            Function::Timestamp => match crate::duration::parse_time(text) {
                Some(time) => Value::Time(time),
                None => return Err(Failure::other("timestamp() needs RFC 3339")),
            },
            Function::Duration => match crate::duration::parse(text) {
                Some(duration) => Value::Duration(duration),
                None => return Err(Failure::other("duration() needs hours, minutes and seconds, such as 72h")),
            },
            Function::Int | Function::Double | Function::Text => Value::Null,
        })
    }
}

struct FoldState<'a> {
    error: Option<Failure>,
    found: usize,
    made: Vec<Value<'a>>,
}

impl Function {
    const fn name(self) -> &'static str {
        match self {
            Self::Size => "size()",
            Self::Contains => "contains()",
            Self::StartsWith => "startsWith()",
            Self::EndsWith => "endsWith()",
            Self::LowerAscii => "lowerAscii()",
            Self::UpperAscii => "upperAscii()",
            Self::Trim => "trim()",
            Self::Split => "split()",
            Self::Int => "int()",
            Self::Double => "double()",
            Self::Text => "string()",
            Self::Timestamp => "timestamp()",
            Self::Duration => "duration()",
        }
    }
}

fn of_constant(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Int(value) => Value::Int(*value),
        Constant::Uint(value) => Value::Uint(*value),
        Constant::Double(value) => Value::Double(*value),
        Constant::Text(text) => Value::Text(text),
    }
}

fn whole<'a>(length: usize) -> Result<Value<'a>, Failure> {
    i64::try_from(length).map(Value::Int).map_err(|_| overflow())
}

fn to_int<'a>(value: &Value<'_>) -> Result<Value<'a>, Failure> {
    let int = match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        // Beyond 2^53 a double names no single whole number.
        Value::Double(value) if value.abs() <= 9_007_199_254_740_992.0 => Some(*value as i64),
        Value::Time(time) => Some(time.as_second()),
        other => other.text().filter(|text| text.len() <= 20).and_then(|text| text.parse().ok()),
    };
    int.map(Value::Int).ok_or_else(|| Failure::other("int() needs a whole number"))
}

#[expect(clippy::cast_precision_loss, reason = "a double holds no more")]
fn to_double<'a>(value: &Value<'_>) -> Result<Value<'a>, Failure> {
    let double = match value {
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::Double(value) => Some(*value),
        other => other.text().filter(|text| text.len() <= 64).and_then(|text| text.parse().ok()),
    };
    double.map(Value::Double).ok_or_else(|| Failure::other("double() needs a number"))
}

fn wrong_type(what: &str, value: &Value<'_>) -> Failure {
    Failure::other(format!("{what} cannot be used on a {}", value.type_name()))
}

fn overflow() -> Failure {
    Failure::other("a whole number is too large, or divided by zero")
}
