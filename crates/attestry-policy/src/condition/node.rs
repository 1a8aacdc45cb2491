//! A condition in the form that is evaluated: names resolved, patterns compiled, macros recognised.

use regex::Regex;

/// A constant.
#[derive(Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
}

/// What a condition can look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Predicate,
    Statement,
    Sbom,
    Config,
    Image,
}

impl Root {
    /// The variables of a condition over a statement.
    pub(super) const OF_STATEMENT: &'static [(&'static str, Self)] =
        &[("predicate", Self::Predicate), ("statement", Self::Statement), ("sbom", Self::Sbom), ("image", Self::Image)];
    /// The variables of a condition over an image's configuration.
    pub(super) const OF_CONFIG: &'static [(&'static str, Self)] = &[("config", Self::Config), ("image", Self::Image)];
}

/// An operator on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    In,
}

/// A function on values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Int,
    Double,
    Text,
    Timestamp,
    Duration,
}

/// What a macro makes of a list, or of the keys of a map.
#[derive(Debug)]
pub(super) enum Fold {
    /// True for every item.
    All(Node),
    /// True for one at least.
    Exists(Node),
    /// True for exactly one.
    ExistsOne(Node),
    /// A list of what `make` gives for each item of which `keep` is true.
    Map { keep: Option<Node>, make: Node },
}

/// An expression.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Constant),
    Root(Root),
    /// The variable of the macro at this depth, counted from the outermost.
    Local(usize),
    Select {
        of: Box<Node>,
        field: String,
    },
    Has {
        of: Box<Node>,
        field: String,
    },
    Index {
        of: Box<Node>,
        at: Box<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If {
        test: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Binary(Op, Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
    Matches {
        of: Box<Node>,
        pattern: Regex,
    },
    Fold {
        over: Box<Node>,
        fold: Box<Fold>,
    },
}

impl Node {
    /// What the expression gives, where that is certainly neither true nor false.
    pub(super) fn certainly_not_bool(&self) -> Option<&'static str> {
        match self {
            Self::Constant(Constant::Bool(_)) => None,
            Self::Constant(Constant::Text(_)) => Some("a text"),
            Self::Constant(Constant::Null) => Some("null"),
            Self::Constant(_) | Self::Negate(_) => Some("a number"),
            Self::Root(_) | Self::Map(_) => Some("a map"),
            Self::List(_) => Some("a list"),
            Self::Fold { fold, .. } if matches!(**fold, Fold::Map { .. }) => Some("a list"),
            Self::Binary(Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Modulo, ..) => {
                Some("a number or text")
            }
            Self::Call(function, _) => match function {
                Function::Size | Function::Int | Function::Double => Some("a number"),
                Function::LowerAscii | Function::UpperAscii | Function::Trim | Function::Text => Some("a text"),
                Function::Split => Some("a list"),
                Function::Timestamp | Function::Duration => Some("a time"),
                Function::Contains | Function::StartsWith | Function::EndsWith => None,
            },
            Self::If { then, otherwise, .. } => then.certainly_not_bool().and(otherwise.certainly_not_bool()),
            _ => None,
        }
    }
}
