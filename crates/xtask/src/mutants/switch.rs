//! Source text in which every mutant is there at once, each behind a switch.
//!
//! cargo-mutants says where a mutant is and what it puts there. It then builds once for each; here they are all built
//! together, and a number in the environment says which is on. That turns minutes of building into one run of tests.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};
use proc_macro2::LineColumn;
use serde::Deserialize;
use syn::{spanned::Spanned as _, visit::Visit};

/// One line of `cargo mutants --list --json`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Mutant {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) package: String,
    genre: String,
    replacement: String,
    span: Span,
}

/// Lines and columns from one, columns in characters.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// A file with its mutants.
pub(crate) struct Switched {
    pub(crate) text: String,
    /// Which mutants stand in which bytes of `text`, for what the compiler has to say about them: each by itself, and
    /// then what stands around them.
    pub(crate) places: Vec<Piece>,
    /// Mutants that have no form behind a switch.
    pub(crate) left_out: Vec<u32>,
}

/// Bytes of a switched file, and the mutants that they are about.
pub(crate) type Piece = (Range<usize>, Vec<u32>);

/// What a switch stands around.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Site {
    /// The start of a function's body: the mutant returns something else.
    Body(usize),
    /// Behind the pattern of a match arm without a guard: the mutant never takes the arm.
    Arm(usize),
    /// An expression: the mutant is another one.
    Expression { start: usize, end: usize },
}

/// Puts `mutants`, each with its number, into `text`. Those in `without` are left out.
pub(crate) fn switch(text: &str, mutants: &[(u32, &Mutant)], without: &dyn Fn(u32) -> bool) -> Result<Switched> {
    let parsed = syn::parse_file(text).context("not Rust")?;
    let lines = Lines::of(text);
    let mut nodes = Nodes::new(&lines);
    nodes.visit_file(&parsed);
    let mut sites: BTreeMap<Site, Vec<(u32, String)>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (number, mutant) in mutants.iter().filter(|(number, _)| !without(*number)) {
        match nodes.site(text, mutant)? {
            Some((site, other)) => sites.entry(site).or_default().push((*number, other)),
            None => left_out.push(*number),
        }
    }
    let (text, places) = write(text, &sites);
    Ok(Switched { text, places, left_out })
}

/// What an insertion is. At one place the outer switch opens first and closes last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Close { length: usize },
    Body,
    Open { longer_first: Reverse<usize> },
}

/// Text for one place of a file, in pieces with the mutants that they are about.
struct Insertion {
    at: usize,
    order: Order,
    pieces: Vec<(String, Vec<u32>)>,
}

fn write(text: &str, sites: &BTreeMap<Site, Vec<(u32, String)>>) -> (String, Vec<Piece>) {
    let mut insertions: Vec<Insertion> = Vec::new();
    let mut insert = |at, order, pieces| insertions.push(Insertion { at, order, pieces });
    for (site, others) in sites {
        let numbers: Vec<u32> = others.iter().map(|(number, _)| *number).collect();
        let at = format!("crate::mutants_hook::at(&{numbers:?})");
        // One piece for each mutant, between two that are about all.
        let choice = |open: String, wrap: &dyn Fn(&str) -> String, close: &str| {
            let arms =
                (1..).zip(others).map(|(at, (number, other))| (format!("{at} => {}, ", wrap(other)), vec![*number]));
            let (open, close) = ((open, numbers.clone()), (close.to_owned(), numbers.clone()));
            std::iter::once(open).chain(arms).chain([close]).collect()
        };
        match *site {
            Site::Body(start) => {
                let pieces = choice(
                    format!("match {at} {{ 0 => (), "),
                    &|other| format!("return {other}"),
                    "_ => unreachable!() } ",
                );
                insert(start, Order::Body, pieces);
            }
            Site::Arm(end) => insert(end, Order::Body, vec![(format!(" if {at} == 0"), numbers)]),
            Site::Expression { start, end } => {
                let length = end - start;
                let open = vec![(format!("(match {at} {{ 0 => "), numbers.clone())];
                insert(start, Order::Open { longer_first: Reverse(length) }, open);
                let pieces = choice(", ".to_owned(), &|other| format!("({other})"), "_ => unreachable!() })");
                insert(end, Order::Close { length }, pieces);
            }
        }
    }
    insertions.sort_by(|a, b| (a.at, &a.order).cmp(&(b.at, &b.order)));
    let (mut out, mut places, mut done) = (String::new(), Vec::new(), 0);
    for Insertion { at, pieces, .. } in insertions {
        out.push_str(&text[done..at]);
        done = at;
        for (piece, mutants) in pieces {
            let start = out.len();
            out.push_str(&piece);
            places.push((start..out.len(), mutants));
        }
    }
    out.push_str(&text[done..]);
    (out, places)
}

/// Bytes by line and column.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Columns from zero, in characters.
    fn byte(&self, line: usize, column: usize) -> usize {
        let start = self.starts[line - 1];
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    fn place(&self, place: Place) -> usize {
        self.byte(place.line, place.column - 1)
    }

    fn syn(&self, place: LineColumn) -> usize {
        self.byte(place.line, place.column)
    }

    fn range(&self, span: proc_macro2::Span) -> Range<usize> {
        self.syn(span.start())..self.syn(span.end())
    }
}

/// What a mutant can stand in, by where cargo-mutants says that it is.
struct Nodes<'a> {
    lines: &'a Lines<'a>,
    /// By the operator; none where the expression binds with `let` and can only stand as it is.
    operators: BTreeMap<usize, Option<Range<usize>>>,
    structs: Vec<Range<usize>>,
    /// By the start of the arm: its pattern's end, and its guard.
    arms: BTreeMap<usize, (usize, Option<Range<usize>>)>,
}

impl<'a> Nodes<'a> {
    fn new(lines: &'a Lines<'a>) -> Self {
        Self { lines, operators: BTreeMap::new(), structs: Vec::new(), arms: BTreeMap::new() }
    }

    fn site(&self, text: &str, mutant: &Mutant) -> Result<Option<(Site, String)>> {
        let (start, end) = (self.lines.place(mutant.span.start), self.lines.place(mutant.span.end));
        let expression = |range: &Range<usize>| Site::Expression { start: range.start, end: range.end };
        let replaced = |range: &Range<usize>| {
            format!("{}{}{}", &text[range.start..start], mutant.replacement, &text[end..range.end])
        };
        Ok(match mutant.genre.as_str() {
            "FnValue" => Some((Site::Body(start), mutant.replacement.clone())),
            "MatchArmGuard" => Some((Site::Expression { start, end }, mutant.replacement.clone())),
            "BinaryOperator" | "UnaryOperator" => {
                let node = self.operators.get(&start).with_context(|| format!("nothing at {}", mutant.name))?;
                node.as_ref().map(|range| (expression(range), replaced(range)))
            }
            "MatchArm" => {
                let (pattern, guard) = self.arms.get(&start).with_context(|| format!("no arm at {}", mutant.name))?;
                Some(match guard {
                    None => (Site::Arm(*pattern), String::new()),
                    Some(guard) => (expression(guard), "false".to_owned()),
                })
            }
            "StructField" => {
                let around = self.structs.iter().filter(|range| range.start <= start && end <= range.end);
                let around = around.min_by_key(|range| range.len());
                around.map(|range| (expression(range), replaced(range)))
            }
            other => bail!("a mutant of an unknown kind: {other}"),
        })
    }
}

/// Whether an expression is part of a chain that binds with `let`.
fn binds(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => binds(&binary.left) || binds(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Nodes<'_> {
    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let range = self.lines.range(node.span());
        let chained = binds(&node.left) || binds(&node.right);
        self.operators.insert(self.lines.range(node.op.span()).start, (!chained).then_some(range));
        syn::visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        self.operators.insert(self.lines.range(node.op.span()).start, Some(self.lines.range(node.span())));
        syn::visit::visit_expr_unary(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast syn::ExprStruct) {
        self.structs.push(self.lines.range(node.span()));
        syn::visit::visit_expr_struct(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        let guard = node.guard.as_ref().map(|(_, guard)| self.lines.range(guard.span()));
        let pattern = self.lines.range(node.pat.span()).end;
        self.arms.insert(self.lines.range(node.span()).start, (pattern, guard));
        syn::visit::visit_arm(self, node);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn mutant(genre: &str, replacement: &str, (from, to): ((usize, usize), (usize, usize))) -> Mutant {
        let place = |(line, column)| Place { line, column };
        let span = Span { start: place(from), end: place(to) };
        let (genre, replacement) = (genre.to_owned(), replacement.to_owned());
        Mutant { file: String::new(), name: String::new(), package: String::new(), genre, replacement, span }
    }

    fn check(text: &str, mutants: &[Mutant], expected: &str) {
        let numbered: Vec<(u32, &Mutant)> = (1..).zip(mutants).collect();
        assert_eq!(switch(text, &numbered, &|_| false).unwrap().text, expected);
    }

    #[test]
    fn operators_become_choices() {
        check(
            "fn f(a: u8) -> bool { a < 2 }",
            &[mutant("BinaryOperator", "==", ((1, 25), (1, 26))), mutant("BinaryOperator", ">", ((1, 25), (1, 26)))],
            "fn f(a: u8) -> bool { (match crate::mutants_hook::at(&[1, 2]) { 0 => a < 2, 1 => (a == 2), 2 => (a > 2), _ \
             => unreachable!() }) }",
        );
    }

    #[test]
    fn outer_choices_open_first_and_close_last() {
        check(
            "fn f(a: bool) -> bool { !a && a }",
            &[mutant("BinaryOperator", "||", ((1, 28), (1, 30))), mutant("UnaryOperator", "", ((1, 25), (1, 26)))],
            "fn f(a: bool) -> bool { (match crate::mutants_hook::at(&[1]) { 0 => (match crate::mutants_hook::at(&[2]) \
             { 0 => !a, 1 => (a), _ => unreachable!() }) && a, 1 => (!a || a), _ => unreachable!() }) }",
        );
    }

    #[test]
    fn bodies_return_and_arms_are_not_taken() {
        check(
            "fn f(a: u8) -> u8 { match a { 1 => 2, _ => 3 } }",
            &[mutant("FnValue", "0", ((1, 21), (1, 47))), mutant("MatchArm", "", ((1, 31), (1, 38)))],
            "fn f(a: u8) -> u8 { match crate::mutants_hook::at(&[1]) { 0 => (), 1 => return 0, _ => unreachable!() } \
             match a { 1 if crate::mutants_hook::at(&[2]) == 0 => 2, _ => 3 } }",
        );
    }

    #[test]
    fn chains_that_bind_are_left_out() {
        let text = "fn f(a: Option<u8>) { if let Some(b) = a && b == 1 {} }";
        let and = mutant("BinaryOperator", "||", ((1, 42), (1, 44)));
        assert_eq!(switch(text, &[(7, &and)], &|_| false).unwrap().left_out, [7]);
    }
}
