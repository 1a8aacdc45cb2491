//! Documents to one immutable [`PolicySet`], named by its digest.
//!
//! Everything is checked here: names that refer to nothing, patterns, times, keys, thresholds, conditions. What
//! reviews see afterwards cannot be wrong in itself. A set with one problem is refused whole, and every problem is
//! reported with its place, not only the first.

mod authority;
mod catalog;
mod policy;
mod read;
mod revocation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use attestry_core::Digest;

pub(crate) use authority::identity_fits;
pub use authority::{Authority, AuthorityId, AuthorityKind, KeyAuthority, KeylessAuthority, TrustRoot};
pub use policy::{
    Attestation, BaseImage, Matches, Namespace, NamespaceSelector, Policy, PredicateTypes, Provenance, Requirement,
    RequirementKind, Signature,
};
pub use revocation::{Revocation, Revoked};

use crate::{
    base::Catalog,
    error::{PolicyErrors, Problem, suggest},
    source::{At, SourceFile},
};

/// Patterns and globs in one set (attack 39).
const MAX_PATTERNS: usize = 10_000;
/// Names in one list of a document.
const MAX_LIST: usize = 1_000;

/// All loaded documents, compiled. Immutable; share it by `Arc`.
#[derive(Debug, Clone)]
pub struct PolicySet {
    digest: Digest,
    bytes: Vec<u8>,
    authorities: BTreeMap<String, Arc<Authority>>,
    trust_roots: BTreeMap<String, Arc<TrustRoot>>,
    catalogs: BTreeMap<String, Arc<Catalog>>,
    revocations: Vec<Revocation>,
    policies: Vec<Policy>,
}

impl PolicySet {
    /// Reads and compiles a directory of documents, given as files. Order and file names mean nothing.
    ///
    /// Documents are read from files that end in `.yaml` or `.yml`; others are there for `TrustRoot` documents to
    /// name. Deep documents and conditions are refused before they are parsed, so 2 MiB of stack suffice.
    pub fn load(files: &[SourceFile]) -> Result<Self, PolicyErrors> {
        let mut errors = PolicyErrors::default();
        let raw = read::split_all(files, &mut errors);
        let mut documents = read::read_all(&raw, &mut errors);
        let contents = documents.inline_trust_roots(files, &mut errors);
        let mut compiler = Compiler { errors, patterns: 0, broken: std::mem::take(&mut documents.broken) };

        let trust_roots = compiler.trust_roots(&documents.trust_roots, contents);
        let authorities = compiler.authorities(&documents.authorities, &trust_roots);
        let catalogs = compiler.catalogs(&documents.catalogs);
        let revocations = compiler.revocations(&documents.revocations, &authorities);
        let policies = compiler.policies(&documents.policies, &authorities, &catalogs);
        compiler.errors.into_result()?;

        let bytes = documents.canonical_bytes();
        Ok(Self { digest: Digest::of(&bytes), bytes, authorities, trust_roots, catalogs, revocations, policies })
    }

    /// The digest that names the set: of [`PolicySet::to_bytes`], so formatting, comments, order and file names do
    /// not matter.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Every document in canonical JSON, ordered by kind and name, with trust roots written out: what is stored.
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads what [`PolicySet::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PolicyErrors> {
        Self::load(&[SourceFile::new("policy-set.yaml", bytes)])
    }

    /// The policies, ordered by name.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The authorities, by name.
    pub fn authorities(&self) -> &BTreeMap<String, Arc<Authority>> {
        &self.authorities
    }

    /// The trust roots, by name.
    pub fn trust_roots(&self) -> &BTreeMap<String, Arc<TrustRoot>> {
        &self.trust_roots
    }

    /// The base catalogs, by name.
    pub fn catalogs(&self) -> &BTreeMap<String, Arc<Catalog>> {
        &self.catalogs
    }

    /// Every revocation entry, ordered by its id.
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }
}

/// Where something is written, for messages about what was loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Kind and name of the document.
    pub document: String,
    /// The field.
    pub path: String,
}

impl Place {
    pub(crate) fn of(at: &At<'_>) -> Self {
        let problem = at.problem("");
        Self {
            file: problem.file,
            line: problem.line,
            column: problem.column,
            document: problem.document.unwrap_or_default(),
            path: problem.path,
        }
    }
}

/// The state of one compilation.
pub(crate) struct Compiler {
    errors: PolicyErrors,
    patterns: usize,
    /// Kind and name of documents that are there but wrong.
    broken: BTreeSet<(&'static str, String)>,
}

impl Compiler {
    fn push(&mut self, problem: Problem) {
        self.errors.push(problem);
    }

    /// Takes a value, or reports why there is none.
    fn take<T>(&mut self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.push(problem)).ok()
    }

    /// Counts a pattern against the bound of the set.
    fn count_pattern(&mut self, at: &At<'_>) -> bool {
        self.patterns += 1;
        if self.patterns == MAX_PATTERNS + 1 {
            self.push(at.problem(format!("the documents hold more than {MAX_PATTERNS} patterns")));
        }
        self.patterns <= MAX_PATTERNS
    }

    fn pattern(&mut self, spec: &crate::document::PatternSpec, at: &At<'_>) -> Option<crate::pattern::Pattern> {
        if !self.count_pattern(at) {
            return None;
        }
        self.take(crate::pattern::Pattern::compile(spec).map_err(|error| refused(at, &error)))
    }

    fn digest(&mut self, text: &str, at: &At<'_>) -> Option<Digest> {
        self.take(text.parse::<Digest>().map_err(|error| at.problem(error.to_string())))
    }

    fn time(&mut self, text: &str, at: &At<'_>) -> Option<attestry_core::Timestamp> {
        self.take(crate::duration::parse_time(text).ok_or_else(|| {
            at.problem(format!("{text:?} is no time")).hint("write RFC 3339, such as 2026-01-01T00:00:00Z")
        }))
    }

    fn optional_time(&mut self, text: Option<&String>, at: &At<'_>) -> Option<attestry_core::Timestamp> {
        text.and_then(|text| self.time(text, at))
    }

    fn duration(&mut self, text: Option<&String>, at: &At<'_>) -> Option<jiff::SignedDuration> {
        let text = text?;
        self.take(
            crate::duration::parse(text)
                .ok_or_else(|| at.problem(format!("{text:?} is no duration")).hint(crate::duration::DURATION_HINT)),
        )
    }

    /// Resolves a list of names, which is never empty, has no name twice and refers to nothing unknown.
    fn names<T>(
        &mut self,
        names: &[String],
        known: &BTreeMap<String, Arc<T>>,
        kind: &'static str,
        at: &At<'_>,
    ) -> Vec<Arc<T>> {
        if names.is_empty() {
            self.push(at.problem(format!("the list is empty: name at least one {kind}")));
        }
        if !self.bounded(names.len(), at) {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let at = at.index(index);
            if names.iter().take(index).any(|earlier| earlier == name) {
                self.push(at.problem(format!("{name:?} is named twice")));
            } else if let Some(value) = self.name(name, known, kind, &at) {
                found.push(value);
            }
        }
        found
    }

    /// Resolves one name.
    fn name<T>(
        &mut self,
        name: &str,
        known: &BTreeMap<String, Arc<T>>,
        kind: &'static str,
        at: &At<'_>,
    ) -> Option<Arc<T>> {
        if let Some(value) = known.get(name) {
            return Some(value.clone());
        }
        if self.broken.contains(&(kind, name.to_owned())) {
            return None;
        }
        let mut problem = at.problem(format!("there is no {kind} {name:?}"));
        problem.hint = suggest(name, known.keys().map(String::as_str))
            .or_else(|| Some(format!("add a document of kind {kind} with this name")));
        self.push(problem);
        None
    }

    /// Whether a list is within its bound.
    fn bounded(&mut self, length: usize, at: &At<'_>) -> bool {
        if length > MAX_LIST {
            self.push(at.problem(format!("the list holds more than {MAX_LIST} entries")));
        }
        length <= MAX_LIST
    }
}

/// A refused pattern as a problem.
fn refused(at: &At<'_>, error: &crate::pattern::PatternError) -> Problem {
    let mut problem = at.problem(error.to_string());
    problem.hint = error.hint();
    problem
}

#[cfg(test)]
mod tests;
