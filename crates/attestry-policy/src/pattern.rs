//! Patterns over whole texts, in linear time: `{exact: …}`, `{glob: …}`, `{regex: …}`, and image globs.
//!
//! A pattern always speaks of the whole text, so `…/repo` never accepts `…/repo-evil` (attack 22). Globs become
//! anchored regular expressions of an engine without backtracking, and regular expressions have a bound on source
//! and compiled size, so no pattern explodes (attack 26).

use std::fmt;

use attestry_core::{Repository, reference::normal_host};
use regex::{Regex, RegexBuilder};

use crate::document::PatternSpec;

/// Bytes of a pattern's source.
const MAX_SOURCE: usize = 1024;
/// Bytes of a compiled pattern.
const MAX_COMPILED: usize = 256 << 10;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// None or several of `exact`, `glob` and `regex`.
    #[error("exactly one of exact, glob and regex is needed")]
    NotOne,
    /// An empty pattern would accept an empty text, or nothing (attack 24).
    #[error("the pattern is empty")]
    Empty,
    /// Longer than 1 KiB.
    #[error("the pattern is longer than {MAX_SOURCE} bytes")]
    TooLong,
    /// A character with a meaning in other globs, which would be taken literally here.
    #[error("{0:?} has no meaning in a glob here: only * and ** do")]
    GlobCharacter(char),
    /// Three stars or more in a row.
    #[error("*** means nothing: * stays within one part, ** crosses /")]
    Stars,
    /// A regular expression that cannot be compiled, or only to something too large.
    #[error("the regular expression cannot be used: {0}")]
    Regex(String),
    /// An image glob that is not in normal form, so that it would match nothing.
    #[error("image names are compared in normal form, where this can match nothing")]
    NotNormal {
        /// The glob that was meant, where that is clear.
        normal: Option<String>,
    },
    /// An image glob with a tag or digest.
    #[error("an image glob is over host/repository, without tag and digest")]
    TagOrDigest,
}

impl PatternError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOne => Some("write {exact: …}, {glob: …} or {regex: …}".to_owned()),
            Self::GlobCharacter(_) => Some("write {regex: …} where more is needed".to_owned()),
            Self::NotNormal { normal: Some(normal) } => Some(format!("write {normal:?}")),
            Self::NotNormal { normal: None } => {
                Some("write the registry's host in lower case, without default port, then the repository".to_owned())
            }
            Self::TagOrDigest => Some("list digests in a digests requirement; forbid tags with tags: Deny".to_owned()),
            _ => None,
        }
    }
}

/// A compiled pattern.
#[derive(Clone)]
pub struct Pattern {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Exact(String),
    Glob(Glob),
    Regex { source: String, regex: Regex },
}

impl Pattern {
    /// Compiles what a document says.
    pub fn compile(spec: &PatternSpec) -> Result<Self, PatternError> {
        let source = match (&spec.exact, &spec.glob, &spec.regex) {
            (Some(text), None, None) => {
                check_source(text)?;
                Source::Exact(text.clone())
            }
            (None, Some(glob), None) => Source::Glob(Glob::compile(glob)?),
            (None, None, Some(source)) => {
                check_source(source)?;
                // Alone first: `a)|(b` is no expression, but would become one inside our brackets.
                build(source)?;
                Source::Regex { regex: build(&format!(r"\A(?:{source})\z"))?, source: source.clone() }
            }
            _ => return Err(PatternError::NotOne),
        };
        Ok(Self { source })
    }

    /// A pattern for exactly this text.
    pub fn exact(text: &str) -> Result<Self, PatternError> {
        check_source(text)?;
        Ok(Self { source: Source::Exact(text.to_owned()) })
    }

    /// Whether the whole of `text` fits.
    ///
    /// A text with control characters fits no glob and no regular expression: a line feed in an identity is an
    /// attempt to be two texts (attack 23).
    pub fn matches(&self, text: &str) -> bool {
        match &self.source {
            Source::Exact(exact) => exact == text,
            Source::Glob(glob) => glob.matches(text),
            Source::Regex { regex, .. } => !text.chars().any(char::is_control) && regex.is_match(text),
        }
    }

    /// Whether it accepts texts that have nothing in common, as `**` and `.*` do.
    pub fn is_catch_all(&self) -> bool {
        // Texts that no honest pattern accepts together.
        ["https://a.invalid/b/c@d", "mailto-x@y.invalid", "Z9"].iter().all(|text| self.matches(text))
    }

    /// The text before the first wildcard: what every accepted text begins with.
    pub fn fixed_start(&self) -> String {
        match &self.source {
            Source::Exact(text) => text.clone(),
            Source::Glob(glob) => glob.fixed_start().to_owned(),
            Source::Regex { source, .. } => fixed_start_of_regex(source),
        }
    }

    /// Whether it is a regular expression.
    pub fn is_regex(&self) -> bool {
        matches!(self.source, Source::Regex { .. })
    }

    /// Whether it accepts one text only.
    pub fn is_exact(&self) -> bool {
        matches!(self.source, Source::Exact(_))
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        match &self.source {
            Source::Exact(text) => text,
            Source::Glob(glob) => &glob.source,
            Source::Regex { source, .. } => source,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.source {
            Source::Exact(_) => "exact",
            Source::Glob(_) => "glob",
            Source::Regex { .. } => "regex",
        };
        write!(f, "{{{kind}: {:?}}}", self.source())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(&self.source) == std::mem::discriminant(&other.source) && self.source() == other.source()
    }
}

impl Eq for Pattern {}

/// A compiled glob: `*` stands for printable ASCII without `/`, `**` for printable ASCII.
///
/// Wildcards do not stand for `%`, blanks, control characters or anything beyond ASCII, and a text with a part
/// `.` or `..` fits nothing: what looks alike or is resolved elsewhere is not taken for what was meant (attack 23).
#[derive(Clone)]
pub struct Glob {
    source: String,
    regex: Regex,
}

impl Glob {
    /// Compiles a glob over any text.
    pub fn compile(source: &str) -> Result<Self, PatternError> {
        match source.chars().find(|c| matches!(c, '[' | ']')) {
            Some(c) => Err(PatternError::GlobCharacter(c)),
            None => Self::translate(source),
        }
    }

    /// To an anchored regular expression.
    fn translate(source: &str) -> Result<Self, PatternError> {
        check_source(source)?;
        if let Some(c) = source.chars().find(|c| matches!(c, '?' | '{' | '}' | '\\')) {
            return Err(PatternError::GlobCharacter(c));
        }
        if source.contains("***") {
            return Err(PatternError::Stars);
        }
        let mut translated = String::from(r"\A");
        let mut rest = source;
        while let Some((literal, after)) = rest.split_once('*') {
            translated.push_str(&regex::escape(literal));
            rest = match after.strip_prefix('*') {
                Some(after) => {
                    translated.push_str("[!-$&-~]*");
                    after
                }
                None => {
                    translated.push_str("[!-$&-.0-~]*");
                    after
                }
            };
        }
        translated.push_str(&regex::escape(rest));
        translated.push_str(r"\z");
        Ok(Self { source: source.to_owned(), regex: build(&translated)? })
    }

    /// Compiles a glob over `host/repository`. One that can match no normal form is refused, since it would
    /// quietly guard nothing (attack 80).
    pub fn compile_image(source: &str) -> Result<Self, PatternError> {
        // An IPv6 address stands in brackets; they mean nothing else here.
        let glob = if source.starts_with('[') { Self::translate(source)? } else { Self::compile(source)? };
        check_image_glob(source)?;
        Ok(glob)
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text) && !text.split('/').any(|part| matches!(part, "." | ".."))
    }

    /// Whether a repository fits.
    pub fn matches_repository(&self, repository: &Repository) -> bool {
        self.matches(&repository.to_string())
    }

    /// The text before the first wildcard.
    pub fn fixed_start(&self) -> &str {
        self.source.split('*').next().unwrap_or_default()
    }

    /// The source as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.source)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Glob {}

/// The checks that a reference passes, as far as they can be asked of a glob.
fn check_image_glob(source: &str) -> Result<(), PatternError> {
    let not_normal = |normal: Option<String>| Err(PatternError::NotNormal { normal });
    if source.contains('@') || source.rsplit('/').next().is_some_and(|last| last != source && last.contains(':')) {
        return Err(PatternError::TagOrDigest);
    }
    let Some((host, path)) = source.split_once('/') else {
        // Without a slash only a glob that crosses slashes can match `host/repository`.
        return match source {
            _ if source.contains("**") => Ok(()),
            _ if source.contains('*') => not_normal(Some(format!("{source}/**"))),
            _ if source.contains(['.', ':']) || source == "localhost" => not_normal(Some(format!("{source}/**"))),
            _ => not_normal(Some(format!("docker.io/library/{source}"))),
        };
    };
    if path.bytes().any(|b| !(b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-/*".contains(&b)))
        || path.is_empty()
        || path.contains("//")
    {
        return not_normal(None);
    }
    if host.contains('*') {
        let odd = |b: u8| !(b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:*[]".contains(&b));
        return if host.bytes().any(odd) || host.ends_with('.') || host.ends_with(":443") {
            not_normal(None)
        } else {
            Ok(())
        };
    }
    if !host.contains(['.', ':']) && host != "localhost" && !host.bytes().any(|b| b.is_ascii_uppercase()) {
        return not_normal(Some(format!("docker.io/{source}")));
    }
    let Ok(normal) = normal_host(host) else { return not_normal(None) };
    if normal == attestry_core::reference::DOCKER_HUB && !path.contains('/') && !path.contains("**") {
        return not_normal(Some(format!("{normal}/library/{path}")));
    }
    if normal == host { Ok(()) } else { not_normal(Some(format!("{normal}/{path}"))) }
}

fn check_source(source: &str) -> Result<(), PatternError> {
    if source.trim().is_empty() {
        return Err(PatternError::Empty);
    }
    if source.len() > MAX_SOURCE {
        return Err(PatternError::TooLong);
    }
    Ok(())
}

/// What every text that a regular expression accepts begins with, as far as that can be seen without reading it as
/// one: empty where there is an alternation, and up to the first character with a meaning.
fn fixed_start_of_regex(source: &str) -> String {
    let mut start = String::new();
    if source.contains('|') {
        return start;
    }
    let mut characters = source.trim_start_matches('^').chars().peekable();
    while let Some(c) = characters.next() {
        let literal = match c {
            '\\' => characters.next().filter(char::is_ascii_punctuation),
            c if c.is_ascii_alphanumeric() || "/:@-_%".contains(c) => Some(c),
            _ => None,
        };
        match literal {
            // What may be absent or repeated is no part of it.
            Some(c) if !matches!(characters.peek(), Some('?' | '*' | '{')) => start.push(c),
            _ => break,
        }
    }
    start
}

/// Compiles a regular expression under our bounds.
pub(crate) fn build(source: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(source)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(32)
        .build()
        .map_err(|error| PatternError::Regex(last_line(&error.to_string())))
}

/// The regex crate draws the expression over several lines; the last one says what is wrong.
pub(crate) fn last_line(text: &str) -> String {
    let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    attestry_core::reason::clean(line.trim().trim_start_matches("error: ").trim_end_matches('.'), 200)
}

#[cfg(test)]
mod tests;
