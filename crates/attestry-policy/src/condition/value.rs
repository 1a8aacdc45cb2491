//! What an expression gives. Parts of the documents are borrowed, never copied.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, rc::Rc};

use attestry_core::Timestamp;
use jiff::SignedDuration;
use serde_json::{Map as JsonMap, Value as Json};

use super::eval::{Budget, Failure};

/// A value. Cloning is cheap.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(&'a str),
    OwnText(Rc<str>),
    Array(&'a [Json]),
    Object(&'a JsonMap<String, Json>),
    List(Rc<Vec<Value<'a>>>),
    Map(Rc<BTreeMap<String, Value<'a>>>),
    Time(Timestamp),
    Duration(SignedDuration),
}

impl<'a> Value<'a> {
    /// A value of a document. Whole numbers are `int` where they fit, then `uint`, all others `double`.
    pub(super) fn of_json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) => Self::Uint(uint),
                (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(items) => Self::Array(items),
            Json::Object(members) => Self::Object(members),
        }
    }

    /// The type's name, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) | Self::OwnText(_) => "string",
            Self::Array(_) | Self::List(_) => "list",
            Self::Object(_) | Self::Map(_) => "map",
            Self::Time(_) => "timestamp",
            Self::Duration(_) => "duration",
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::OwnText(text) => Some(text),
            _ => None,
        }
    }

    /// How many items a list or map has.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Array(items) => Some(items.len()),
            Self::List(items) => Some(items.len()),
            Self::Object(members) => Some(members.len()),
            Self::Map(members) => Some(members.len()),
            _ => None,
        }
    }

    /// The items of a list, or the keys of a map.
    pub(super) fn items(&self) -> Option<Box<dyn Iterator<Item = Value<'a>> + '_>> {
        match self {
            Self::Array(items) => Some(Box::new(items.iter().map(Value::of_json))),
            Self::List(items) => Some(Box::new(items.iter().cloned())),
            Self::Object(members) => Some(Box::new(members.keys().map(|key| Value::Text(key)))),
            Self::Map(members) => Some(Box::new(members.keys().map(|key| Value::OwnText(key.as_str().into())))),
            _ => None,
        }
    }

    /// The item of a list at `index`.
    pub(super) fn item(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Array(items) => items.get(index).map(Value::of_json),
            Self::List(items) => items.get(index).cloned(),
            _ => None,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Array(_) | Self::List(_))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Object(_) | Self::Map(_))
    }

    /// The member of a map.
    pub(super) fn member(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Object(members) => members.get(name).map(Value::of_json),
            Self::Map(members) => members.get(name).cloned(),
            _ => None,
        }
    }

    /// Whether two values are equal. Values of different types are not; numbers are compared by what they count.
    pub(super) fn equals(&self, other: &Value<'_>, budget: &mut Budget) -> Result<bool, Failure> {
        budget.pay(1)?;
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            budget.pay_bytes(a.len().min(b.len()))?;
            return Ok(a == b);
        }
        Ok(match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (a, b) if a.is_list() && b.is_list() => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for (x, y) in a.items().into_iter().flatten().zip(b.items().into_iter().flatten()) {
                    if !x.equals(&y, budget)? {
                        return Ok(false);
                    }
                }
                true
            }
            (a, b) if a.is_map() && b.is_map() => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                for key in a.items().into_iter().flatten() {
                    let name = key.text().unwrap_or_default();
                    budget.pay_bytes(name.len())?;
                    match (a.member(name), b.member(name)) {
                        (Some(x), Some(y)) if x.equals(&y, budget)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            (a, b) => a.order_numbers(b) == Some(Ordering::Equal),
        })
    }

    /// The order of two values, where their types have one.
    pub(super) fn order(&self, other: &Value<'_>, budget: &mut Budget) -> Result<Ordering, Failure> {
        if let (Some(a), Some(b)) = (self.text(), other.text()) {
            budget.pay_bytes(a.len().min(b.len()))?;
            return Ok(a.cmp(b));
        }
        let order = match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (a, b) => a.order_numbers(b),
        };
        order.ok_or_else(|| Failure::other(format!("{} and {} have no order", self.type_name(), other.type_name())))
    }

    fn order_numbers(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self.whole(), other.whole()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => self.float()?.partial_cmp(&other.float()?),
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some((*value).into()),
            Self::Uint(value) => Some((*value).into()),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a double holds no more")]
    fn float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as `string()` writes it.
    pub(super) fn to_text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Text(text) => Cow::Borrowed(*text),
            Self::OwnText(text) => Cow::Borrowed(&**text),
            Self::Bool(value) => Cow::Owned(value.to_string()),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Uint(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => Cow::Owned(value.to_string()),
            Self::Time(value) => Cow::Owned(value.to_string()),
            _ => return None,
        })
    }
}
