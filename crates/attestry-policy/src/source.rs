//! YAML text to one typed document, with the place of every field.
//!
//! Two passes over each document. The first walks the parser's events: it enforces the bounds, refuses anchors,
//! aliases, merge keys and tags, and remembers where each field stands, so that what is found wrong later can be
//! shown to a person. The second is serde, once `apiVersion` and `kind` have said which struct to read.

mod place;
mod yaml;

use serde::de::DeserializeOwned;

pub(crate) use place::{At, Node};

use crate::error::{PolicyErrors, Problem, suggest};

/// A file of the policy directory: its name relative to that directory, and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Shown in messages; a `TrustRoot` refers to it. Means nothing else.
    pub name: String,
    /// The content. UTF-8 YAML, or the JSON that a `TrustRoot` names.
    pub bytes: Vec<u8>,
}

impl SourceFile {
    /// A file from its name and content.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Whether documents are read from it: by its ending, `.yaml` or `.yml`.
    pub fn holds_documents(&self) -> bool {
        self.name.ends_with(".yaml") || self.name.ends_with(".yml")
    }
}

/// Bytes of one file. A catalog with years of rebuilds fits.
pub(crate) const MAX_FILE: usize = 8 << 20;
/// Documents in one file.
const MAX_DOCUMENTS: usize = 1_000;

/// One document of a file, split off but not yet read as its kind.
pub(crate) struct RawDocument<'a> {
    file: &'a str,
    text: &'a str,
    /// Bytes of the file before this document.
    start: usize,
    /// Lines of the file before this document.
    lines_before: u32,
    /// Its fields with their places.
    pub(crate) root: Node,
}

/// Splits a file into its documents. What cannot be read is pushed to `errors`.
pub(crate) fn split<'a>(file: &'a SourceFile, errors: &mut PolicyErrors) -> Vec<RawDocument<'a>> {
    let problem = |message: &str| Problem::of_file(&file.name, message);
    if file.bytes.len() > MAX_FILE {
        errors.push(problem(&format!("the file is larger than {} MiB", MAX_FILE >> 20)));
        return Vec::new();
    }
    let Ok(text) = str::from_utf8(&file.bytes) else {
        errors.push(problem("the file is not UTF-8 text"));
        return Vec::new();
    };
    let mut documents = Vec::new();
    for Piece { start, lines_before, text } in pieces(text) {
        if documents.len() == MAX_DOCUMENTS {
            errors.push(problem(&format!("the file holds more than {MAX_DOCUMENTS} documents")));
            break;
        }
        match yaml::read(text, lines_before) {
            Ok(Some(root)) => documents.push(RawDocument { file: &file.name, text, start, lines_before, root }),
            Ok(None) => {}
            Err(fault) => {
                let mut problem = problem(&fault.message);
                (problem.line, problem.column) = (fault.line, fault.column);
                problem.hint = fault.hint.map(str::to_owned);
                errors.push(problem);
            }
        }
    }
    documents
}

/// A stretch of a file that holds one document.
struct Piece<'a> {
    start: usize,
    lines_before: u32,
    text: &'a str,
}

/// The text between `---` lines. YAML allows no such line inside a document, whatever scalar it stands in, so the
/// split needs no parser. A piece begins with its `---` line.
fn pieces(whole: &str) -> Vec<Piece<'_>> {
    let mark = if whole.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let (mut pieces, mut start, mut start_line, mut offset) = (Vec::new(), mark, 0, mark);
    let text = whole.get(mark..).unwrap_or_default();
    for (line_number, line) in (0u32..).zip(text.split_inclusive('\n')) {
        let after = line.strip_prefix("---");
        let is_marker = after.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_marker && offset > start {
            pieces.push(Piece { start, lines_before: start_line, text: &whole[start..offset] });
            (start, start_line) = (offset, line_number);
        }
        offset += line.len();
    }
    pieces.push(Piece { start, lines_before: start_line, text: &whole[start..] });
    pieces
}

impl RawDocument<'_> {
    /// A cursor at the root of the document, for messages.
    pub(crate) fn at<'b>(&'b self, document: Option<&'b str>) -> At<'b> {
        At::root(self.file, document, &self.root)
    }

    /// The name of the file.
    pub(crate) fn file(&self) -> &str {
        self.file
    }

    /// The text of the document, from its `---` line on.
    pub(crate) fn text(&self) -> &str {
        self.text
    }

    /// Where the document stands in its file.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// The `---` line, comments and empty lines before the first field.
    pub(crate) fn preamble(&self) -> String {
        let mut lines = self.text.split_inclusive('\n').peekable();
        let mut preamble = String::new();
        if let Some(line) = lines.next_if(|line| line.starts_with("---")) {
            // A document may begin on the line of its marker; what stands there is content, not preamble.
            let rest = line.trim_start_matches('-').trim();
            preamble.push_str(if rest.is_empty() || rest.starts_with('#') { line } else { "---\n" });
        }
        preamble.extend(lines.take_while(|line| line.starts_with('#') || line.trim().is_empty()));
        preamble
    }

    /// Reads the document as `T`. Unknown fields are refused with the nearest known name.
    pub(crate) fn read<T: DeserializeOwned>(&self, document: Option<&str>) -> Result<T, Box<Problem>> {
        serde_saphyr::from_str_with_options(self.text, yaml::options()).map_err(|error| {
            let (message, hint) = explain(error.without_snippet());
            let place = error.location();
            let mut problem = self.at(document).problem(message);
            if let Some(place) = place {
                problem.line = self.lines_before + u32::try_from(place.line()).unwrap_or(0);
                problem.column = u32::try_from(place.column()).unwrap_or(0);
            }
            problem.path = self.root.path_at(problem.line, problem.column);
            if matches!(error.without_snippet(), serde_saphyr::Error::SerdeMissingField { .. }) {
                // Found missing after the last field was read: what lacks it is the map around.
                problem.path.truncate(problem.path.rfind('.').unwrap_or(0));
            }
            problem.hint = hint;
            Box::new(problem)
        })
    }
}

/// A serde error in our words.
fn explain(error: &serde_saphyr::Error) -> (String, Option<String>) {
    use serde_saphyr::Error;
    match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field {field:?}"), suggest(field, expected.iter().copied()))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => (
            format!("{variant:?} is not one of {}", expected.join(", ")),
            suggest(variant, expected.iter().copied()).filter(|hint| hint.starts_with("did")),
        ),
        Error::SerdeMissingField { field, .. } => (format!("the field {field:?} is missing"), None),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("{expected} is needed here, not {unexpected}"), None)
        }
        Error::NullIntoString { .. } => ("a text is needed here, not nothing".to_owned(), None),
        Error::DuplicateMappingKey { key, .. } => {
            (format!("the field {:?} is there twice", key.as_deref().unwrap_or_default()), None)
        }
        Error::Unexpected { expected, .. } => {
            let expected = match *expected {
                "mapping start" => "a map of fields",
                "sequence start" => "a list",
                other => other,
            };
            (format!("{expected} is needed here"), None)
        }
        Error::InvalidScalar { ty, .. } if ty.starts_with(['u', 'i']) => {
            ("a whole number is needed here".to_owned(), None)
        }
        Error::InvalidScalar { ty, .. } => (format!("this is no {ty}"), None),
        other => (one_line(&other.to_string()), None),
    }
}

fn one_line(text: &str) -> String {
    attestry_core::reason::clean(text.lines().next().unwrap_or_default(), 300)
}

#[cfg(test)]
mod tests;
