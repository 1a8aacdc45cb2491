//! Source to [`Node`]: parse, resolve every name, compile every pattern.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators},
    parser::PrattParser,
};

use super::{
    ConditionError, bounds,
    node::{Constant, Fold, Function, Node, Op, Root},
};
use crate::error::suggest;

/// Nodes of one condition, macros expanded.
const MAX_NODES: usize = 5_000;
/// Depth of one condition. Chains of `&&` and `||` are balanced and stay far below.
const MAX_DEPTH: usize = 64;
/// Compiled bytes of one pattern, so that a pattern costs little for each byte that it looks at.
const MAX_PATTERN: usize = 64 << 10;

/// Compiles a condition over these variables, and says which of them it looks at.
pub(super) fn compile(
    source: &str,
    variables: &'static [(&'static str, Root)],
) -> Result<(Node, Vec<Root>), ConditionError> {
    bounds::check(source)?;
    let parser = PrattParser::new()
        .max_recursion_depth(bounds::MAX_BRACKETS)
        .error_recovery_limit(8)
        .max_expression_node_count(MAX_NODES);
    let tree = parser.parse(source).map_err(|errors| {
        // Errors without a place only say that there were others.
        let mut errors = errors.errors;
        // Where the bound ends the parser, the places that it then misses something at come before.
        if errors.iter().any(|error| error.msg.contains("recursion limit")) {
            return ConditionError::TooComplex("lists, maps and calls are nested more than 24 deep");
        }
        errors.sort_by_key(|error| (error.pos.0 == 0, error.pos));
        let first = errors.into_iter().next();
        let (place, message) = first.map_or(((0, 0), String::new()), |error| (error.pos, error.msg));
        let number = |n: isize| u32::try_from(n).unwrap_or(0);
        let message = attestry_core::reason::clean(message.trim_start_matches("Syntax error: "), 200);
        ConditionError::Syntax { line: number(place.0).max(1), column: number(place.1).max(1), message }
    })?;
    let mut compiler = Compiler { variables, locals: Vec::new(), roots: Vec::new(), depth: 0 };
    let root = compiler.node(&tree)?;
    match root.certainly_not_bool() {
        Some(what) => Err(ConditionError::NotBool(what)),
        None => Ok((root, compiler.roots)),
    }
}

struct Compiler {
    variables: &'static [(&'static str, Root)],
    /// Variables of the macros around the current place, outermost first.
    locals: Vec<String>,
    roots: Vec<Root>,
    depth: usize,
}

type Result_<T = Node> = Result<T, ConditionError>;

impl Compiler {
    /// One expression, at a bounded depth: evaluation recurses as deeply as the tree goes.
    fn node(&mut self, expr: &IdedExpr) -> Result_ {
        if self.depth == MAX_DEPTH {
            return Err(ConditionError::TooComplex("expressions are nested more than 64 deep"));
        }
        self.depth += 1;
        let node = self.node_here(expr);
        self.depth -= 1;
        node
    }

    fn node_here(&mut self, expr: &IdedExpr) -> Result_ {
        Ok(match &expr.expr {
            Expr::Literal(value) => Node::Constant(constant(value)?),
            Expr::Ident(name) => self.variable(name)?,
            Expr::Select(select) => {
                let (of, field) = (Box::new(self.node(&select.operand)?), select.field.clone());
                if select.test { Node::Has { of, field } } else { Node::Select { of, field } }
            }
            Expr::List(list) if list.optional_indices.is_empty() => Node::List(self.nodes(&list.elements)?),
            Expr::Map(map) => {
                let mut entries = Vec::with_capacity(map.entries.len());
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) if !entry.optional => {
                            entries.push((self.node(&entry.key)?, self.node(&entry.value)?));
                        }
                        _ => return Err(ConditionError::Unsupported("an optional entry")),
                    }
                }
                Node::Map(entries)
            }
            Expr::Call(call) => self.call(call)?,
            Expr::Comprehension(comprehension) => self.fold(comprehension)?,
            Expr::Struct(_) => return Err(ConditionError::Unsupported("a message")),
            Expr::List(_) | Expr::Unspecified => return Err(ConditionError::Unsupported("optional syntax")),
        })
    }

    fn nodes(&mut self, exprs: &[IdedExpr]) -> Result_<Vec<Node>> {
        exprs.iter().map(|expr| self.node(expr)).collect()
    }

    fn variable(&mut self, name: &str) -> Result_ {
        if let Some(index) = self.locals.iter().rposition(|local| local == name) {
            return Ok(Node::Local(index));
        }
        let Some((_, root)) = self.variables.iter().copied().find(|(known, _)| *known == name) else {
            let known = self.variables.iter().map(|(name, _)| *name).chain(self.locals.iter().map(String::as_str));
            return Err(ConditionError::UnknownVariable { name: name.to_owned(), hint: suggest(name, known) });
        };
        if !self.roots.contains(&root) {
            self.roots.push(root);
        }
        Ok(Node::Root(root))
    }

    fn call(&mut self, call: &CallExpr) -> Result_ {
        let name = call.func_name.as_str();
        if name == "matches" {
            return self.matches(call);
        }
        let is_operator = name.contains(['_', '@']);
        if !is_operator && !FUNCTIONS.contains(&name) {
            return Err(unknown_function(call));
        }
        // A macro that the parser did not expand has another number of arguments.
        if MACROS.contains(&name) {
            return Err(unknown_function(call));
        }
        // `x.f(y)` and `f(x, y)` are one function of two values.
        let target = call.target.iter().map(|target| &**target);
        let mut arguments = target.chain(&call.args).map(|expr| self.node(expr)).collect::<Result_<Vec<Node>>>()?;
        if call.target.is_some() {
            return function(call, arguments);
        }
        // Taken from the end: the last argument first.
        let count = arguments.len();
        let mut next = || arguments.pop().map(Box::new).ok_or(ConditionError::Unsupported("a call without arguments"));
        Ok(match (name, count) {
            (operators::LOGICAL_NOT, 1) => Node::Not(next()?),
            (operators::NEGATE, 1) => Node::Negate(next()?),
            (operators::CONDITIONAL, 3) => {
                let (otherwise, then, test) = (next()?, next()?, next()?);
                Node::If { test, then, otherwise }
            }
            (_, 2) if is_binary(name) => {
                let (right, left) = (next()?, next()?);
                match (name, operator(name)) {
                    (operators::LOGICAL_AND, _) => Node::And(left, right),
                    (operators::LOGICAL_OR, _) => Node::Or(left, right),
                    (_, Some(op)) => Node::Binary(op, left, right),
                    (_, None) => Node::Index { of: left, at: right },
                }
            }
            _ => return function(call, arguments),
        })
    }

    /// Patterns are constants: compiled once, under a bound, and known to be good before any image is judged.
    fn matches(&mut self, call: &CallExpr) -> Result_ {
        let (of, pattern) = match (&call.target, call.args.as_slice()) {
            (Some(of), [pattern]) => (&**of, pattern),
            (None, [of, pattern]) => (of, pattern),
            _ => return Err(unknown_function(call)),
        };
        let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
            return Err(ConditionError::Pattern("it is not a constant text".to_owned()));
        };
        let pattern = regex::RegexBuilder::new(pattern.inner())
            .size_limit(MAX_PATTERN)
            .dfa_size_limit(1 << 20)
            .nest_limit(32)
            .build()
            .map_err(|error| ConditionError::Pattern(crate::pattern::last_line(&error.to_string())))?;
        Ok(Node::Matches { of: Box::new(self.node(of)?), pattern })
    }

    /// The parser writes a macro out as a loop with an accumulator. Each has its own shape, told apart by what the
    /// accumulator begins with; anything else was not made by a macro that we know.
    fn fold(&mut self, loop_: &ComprehensionExpr) -> Result_ {
        let unsupported = || ConditionError::Unsupported("this macro");
        if loop_.iter_var2.is_some() {
            return Err(unsupported());
        }
        let over = Box::new(self.node(&loop_.iter_range)?);
        let Expr::Call(step) = &loop_.loop_step.expr else { return Err(unsupported()) };
        self.locals.push(loop_.iter_var.clone());
        let fold = match (&loop_.accu_init.expr, step.func_name.as_str(), step.args.as_slice()) {
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND, [_, body]) => Fold::All(self.node(body)?),
            (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR, [_, body]) => {
                Fold::Exists(self.node(body)?)
            }
            (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [body, _, _]) => {
                Fold::ExistsOne(self.node(body)?)
            }
            (Expr::List(_), operators::ADD, [_, made]) => Fold::Map { keep: None, make: self.made(made)? },
            (Expr::List(_), operators::CONDITIONAL, [keep, add, _]) => {
                let Expr::Call(CallExpr { args, .. }) = &add.expr else { return Err(unsupported()) };
                let [_, made] = args.as_slice() else { return Err(unsupported()) };
                Fold::Map { keep: Some(self.node(keep)?), make: self.made(made)? }
            }
            _ => return Err(unsupported()),
        };
        self.locals.pop();
        Ok(Node::Fold { over, fold: Box::new(fold) })
    }

    /// The one element of the list that a step adds.
    fn made(&mut self, list: &IdedExpr) -> Result_ {
        match &list.expr {
            Expr::List(list) if list.elements.len() == 1 => self.node(&list.elements[0]),
            _ => Err(ConditionError::Unsupported("this macro")),
        }
    }
}

/// Names of functions and macros, for hints.
const FUNCTIONS: [&str; 21] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "lowerAscii",
    "upperAscii",
    "trim",
    "split",
    "int",
    "double",
    "string",
    "timestamp",
    "duration",
    "has",
    "all",
    "exists",
    "exists_one",
    "map",
    "filter",
    "in",
];

/// A function of values.
fn function(call: &CallExpr, arguments: Vec<Node>) -> Result_ {
    let function = match (call.func_name.as_str(), call.target.is_some(), arguments.len()) {
        ("size", _, 1) => Function::Size,
        ("contains", true, 2) => Function::Contains,
        ("startsWith", true, 2) => Function::StartsWith,
        ("endsWith", true, 2) => Function::EndsWith,
        ("lowerAscii", true, 1) => Function::LowerAscii,
        ("upperAscii", true, 1) => Function::UpperAscii,
        ("trim", true, 1) => Function::Trim,
        ("split", true, 2) => Function::Split,
        ("int", false, 1) => Function::Int,
        ("double", false, 1) => Function::Double,
        ("string", false, 1) => Function::Text,
        ("timestamp", false, 1) => Function::Timestamp,
        ("duration", false, 1) => Function::Duration,
        _ => return Err(unknown_function(call)),
    };
    Ok(Node::Call(function, arguments))
}

fn unknown_function(call: &CallExpr) -> ConditionError {
    let name = attestry_core::reason::clean(&call.func_name, 64);
    let arguments = match call.args.len() {
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    };
    let target = if call.target.is_some() { "x." } else { "" };
    let hint = match name.as_str() {
        "now" => Some("conditions know no clock: demand an age with maxAge".to_owned()),
        "has" => Some("write has(a.b)".to_owned()),
        macro_ if MACROS.contains(&macro_) => Some(format!("write list.{macro_}(item, …)")),
        _ => suggest(&name, FUNCTIONS).filter(|_| !FUNCTIONS.contains(&name.as_str())),
    };
    ConditionError::UnknownFunction { name: format!("{target}{name}() with {arguments}"), hint }
}

/// What the parser expands.
const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];

fn is_binary(name: &str) -> bool {
    matches!(name, operators::LOGICAL_AND | operators::LOGICAL_OR | operators::INDEX) || operator(name).is_some()
}

fn operator(name: &str) -> Option<Op> {
    Some(match name {
        operators::EQUALS => Op::Equal,
        operators::NOT_EQUALS => Op::NotEqual,
        operators::LESS => Op::Less,
        operators::LESS_EQUALS => Op::LessEqual,
        operators::GREATER => Op::Greater,
        operators::GREATER_EQUALS => Op::GreaterEqual,
        operators::ADD => Op::Add,
        operators::SUBSTRACT => Op::Subtract,
        operators::MULTIPLY => Op::Multiply,
        operators::DIVIDE => Op::Divide,
        operators::MODULO => Op::Modulo,
        operators::IN => Op::In,
        _ => return None,
    })
}

fn constant(value: &LiteralValue) -> Result_<Constant> {
    Ok(match value {
        LiteralValue::Null => Constant::Null,
        LiteralValue::Boolean(value) => Constant::Bool(*value.inner()),
        LiteralValue::Int(value) => Constant::Int(*value.inner()),
        LiteralValue::UInt(value) => Constant::Uint(*value.inner()),
        LiteralValue::Double(value) => Constant::Double(*value.inner()),
        LiteralValue::String(value) => Constant::Text(value.inner().to_owned()),
        LiteralValue::Bytes(_) => return Err(ConditionError::Unsupported("a bytes constant")),
    })
}
