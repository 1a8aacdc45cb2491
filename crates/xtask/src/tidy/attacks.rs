//! The table of attacks in `SECURITY.md`: every number once, every named test there, and the count that it gives.

use super::Finding;
use super::text::names;
use crate::tree::Tree;

const PAGE: &str = "SECURITY.md";
/// How many attacks the list has.
const ATTACKS: usize = 95;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    check_table(tree, ATTACKS)
}

fn check_table(tree: &Tree, attacks: usize) -> Vec<Finding> {
    let page = tree.get(PAGE).unwrap_or_default();
    let rows: Vec<Row<'_>> = page.lines().enumerate().filter_map(|(at, line)| Row::of(at + 1, line)).collect();
    let mut findings = Vec::new();
    let numbers: Vec<usize> = rows.iter().map(|row| row.number).collect();
    if numbers != (1..=attacks).collect::<Vec<_>>() {
        findings.push(Finding::new(PAGE, format!("the table does not list the attacks 1 to {attacks} in order")));
    }
    for row in &rows {
        findings
            .extend(row.shown_by().filter_map(|(name, path)| missing(tree, name, path).map(|why| row.finding(&why))));
        if !row.is_open() && row.shown_by().next().is_none() {
            findings.push(row.finding("names no test and is not open"));
        }
    }
    let shown = rows.iter().filter(|row| !row.is_open()).count();
    let count = format!("{shown} of {attacks} are shown");
    if !page.contains(&count) {
        findings.push(Finding::new(PAGE, format!("does not say {count:?}")));
    }
    findings
}

/// A row whose first cell is a number.
struct Row<'a> {
    line: usize,
    number: usize,
    shown_by: &'a str,
}

impl<'a> Row<'a> {
    fn of(line: usize, text: &'a str) -> Option<Self> {
        let mut cells = text.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim);
        let number = cells.next()?.parse().ok()?;
        Some(Self { line, number, shown_by: cells.next_back()? })
    }

    fn is_open(&self) -> bool {
        self.shown_by.starts_with("open")
    }

    /// Name and path of each ``[`name`](path)``.
    fn shown_by(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.shown_by.split("[`").skip(1).filter_map(|rest| {
            let (name, rest) = rest.split_once("`](")?;
            Some((name, rest.split_once(')')?.0))
        })
    }

    fn finding(&self, message: &str) -> Finding {
        Finding::new(format!("{PAGE}:{}", self.line), format!("attack {}: {message}", self.number))
    }
}

/// Why the test is not there: a Rust file must have a function of that name, anything else is a case of that name.
fn missing(tree: &Tree, name: &str, path: &str) -> Option<String> {
    let there = if path.ends_with(".rs") {
        tree.get(path).is_some_and(|text| text.lines().any(|line| line.contains("fn ") && names(line, name)))
    } else {
        let file = path.rsplit('/').next().unwrap_or(path);
        file.strip_suffix(".yaml").unwrap_or(file) == name && tree.files().any(|(file, _)| file.starts_with(path))
    };
    (!there).then(|| format!("there is no {name} in {path}"))
}

#[cfg(test)]
mod tests;
