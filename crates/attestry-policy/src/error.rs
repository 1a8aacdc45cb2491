//! What is wrong with policy documents, each with its place, so that a person can go there.

use std::fmt;

/// One thing that is wrong in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1; 0 where a problem concerns the whole file.
    pub line: u32,
    /// Column in characters, from 1; 0 where a problem concerns the whole file.
    pub column: u32,
    /// Kind and name of the document, such as `ImagePolicy production`, once they are known.
    pub document: Option<String>,
    /// The field, such as `spec.require[0].signature`; empty for the whole document.
    pub path: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file.
    pub(crate) fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            document: None,
            path: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The byte offset of the place in `text`, the content of the file; for snippets. 0 for a whole file.
    pub fn offset(&self, text: &str) -> usize {
        let Some(line_index) = (self.line as usize).checked_sub(1) else { return 0 };
        let start: usize = text.split_inclusive('\n').take(line_index).map(str::len).sum();
        let line = text.get(start..).unwrap_or_default();
        let column = (self.column as usize).saturating_sub(1);
        start + line.chars().take(column).take_while(|c| *c != '\n').map(char::len_utf8).sum::<usize>()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if let Some(document) = &self.document {
            write!(f, ": {document}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// At most this many problems are kept; more are counted.
const MAX_PROBLEMS: usize = 100;

/// Everything that is wrong with a set of documents. A set with a problem is refused whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyErrors {
    problems: Vec<Problem>,
    more: usize,
}

impl PolicyErrors {
    /// The problems, ordered by file and line; at most 100.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many more there were.
    pub fn more(&self) -> usize {
        self.more
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// `Err` if there is a problem.
    pub(crate) fn into_result(mut self) -> Result<(), Self> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Err(self)
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// The known name nearest to `name`, if one is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
    let limit = 1 + name.len() / 4;
    (known.into_iter())
        .map(|candidate| (distance(&name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest known name, else all of them when they are few.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => Some(format!("did you mean {near:?}?")),
        None if known.is_empty() || known.len() > 16 => None,
        None => Some(format!("known here: {}", known.join(", "))),
    }
}

/// Edits between two names, a swap of neighbours counting once, blind to case.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).flat_map(char::to_lowercase).collect();
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = usize::from(a[i - 1] != b[j - 1]);
                let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}
