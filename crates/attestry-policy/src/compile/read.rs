//! From files to typed documents, each name once.

use std::collections::{BTreeMap, BTreeSet};

use attestry_core::{API_VERSION, canonical};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    document::{AuthoritySpec, BaseCatalogSpec, Document, ImagePolicySpec, Kind, RevocationSpec, TrustRootSpec},
    error::{PolicyErrors, Problem, suggest},
    source::{self, At, RawDocument, SourceFile},
};

/// Documents in one set.
const MAX_DOCUMENTS: usize = 2_000;
/// Bytes of one set.
const MAX_BYTES: usize = 32 << 20;
/// Characters of a name, as in Kubernetes.
const MAX_NAME: usize = 253;

/// A typed document with its place.
pub(super) struct Loaded<'a, S> {
    raw: &'a RawDocument<'a>,
    label: String,
    pub(super) document: Document<S>,
}

impl<S> Loaded<'_, S> {
    /// The place of `spec`.
    pub(super) fn at(&self) -> At<'_> {
        self.raw.at(Some(&self.label)).field("spec")
    }

    /// The name of the file.
    pub(super) fn file(&self) -> &str {
        self.raw.file()
    }
}

/// The documents of one kind, by name.
pub(super) type ByName<'a, S> = BTreeMap<String, Loaded<'a, S>>;

/// All documents.
#[derive(Default)]
pub(super) struct Documents<'a> {
    pub(super) authorities: ByName<'a, AuthoritySpec>,
    pub(super) trust_roots: ByName<'a, TrustRootSpec>,
    pub(super) catalogs: ByName<'a, BaseCatalogSpec>,
    pub(super) revocations: ByName<'a, RevocationSpec>,
    pub(super) policies: ByName<'a, ImagePolicySpec>,
    /// Kind and name of documents that could not be read: what refers to them is not reported as well.
    pub(super) broken: BTreeSet<(&'static str, String)>,
}

/// Splits every file that holds documents.
pub(super) fn split_all<'a>(files: &'a [SourceFile], errors: &mut PolicyErrors) -> Vec<RawDocument<'a>> {
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    if bytes > MAX_BYTES {
        errors.push(Problem::of_file(
            "the policy directory",
            format!("the files hold more than {} MiB", MAX_BYTES >> 20),
        ));
        return Vec::new();
    }
    let mut documents = Vec::new();
    for file in files.iter().filter(|file| file.holds_documents()) {
        documents.extend(source::split(file, errors));
        if documents.len() > MAX_DOCUMENTS {
            let message = format!("the set holds more than {MAX_DOCUMENTS} documents");
            errors.push(Problem::of_file(&file.name, message));
            return Vec::new();
        }
    }
    documents
}

/// Reads each document as its kind.
pub(super) fn read_all<'a>(raw: &'a [RawDocument<'a>], errors: &mut PolicyErrors) -> Documents<'a> {
    let mut documents = Documents::default();
    for raw in raw {
        let result = kind_of(raw).and_then(|kind| match kind {
            Kind::Authority => read(raw, kind, &mut documents.authorities),
            Kind::TrustRoot => read(raw, kind, &mut documents.trust_roots),
            Kind::BaseCatalog => read(raw, kind, &mut documents.catalogs),
            Kind::Revocation => read(raw, kind, &mut documents.revocations),
            Kind::ImagePolicy => read(raw, kind, &mut documents.policies),
        });
        if let Err(problem) = result {
            errors.push(*problem);
            let kind = raw.root.text("kind").and_then(Kind::from_name);
            let name = raw.root.child("metadata").and_then(|metadata| metadata.text("name"));
            documents.broken.extend(kind.map(Kind::as_str).zip(name.map(str::to_owned)));
        }
    }
    documents
}

/// `{apiVersion, kind}`, before anything else is looked at.
pub(crate) fn kind_of(raw: &RawDocument<'_>) -> Result<Kind, Box<Problem>> {
    let at = raw.at(None);
    let Some(version) = raw.root.text("apiVersion") else {
        return Err(Box::new(
            at.problem("the document has no apiVersion").hint(format!("begin with apiVersion: {API_VERSION}")),
        ));
    };
    let Some(kind) = raw.root.text("kind") else {
        return Err(Box::new(
            at.problem("the document has no kind").hint(format!("one of {}", kind_names().join(", "))),
        ));
    };
    if version != API_VERSION {
        let message = format!("apiVersion {version:?} is not understood");
        return Err(Box::new(at.field("apiVersion").problem(message).hint(format!("write {API_VERSION}"))));
    }
    Kind::from_name(kind).ok_or_else(|| {
        let mut problem = at.field("kind").problem(format!("kind {kind:?} is no policy document"));
        problem.hint = match kind {
            "Configuration" => Some("the service's configuration is given by --config; keep it elsewhere".to_owned()),
            _ => suggest(kind, kind_names()),
        };
        Box::new(problem)
    })
}

fn kind_names() -> [&'static str; Kind::ALL.len()] {
    Kind::ALL.map(Kind::as_str)
}

fn read<'a, S: DeserializeOwned>(
    raw: &'a RawDocument<'a>,
    kind: Kind,
    documents: &mut ByName<'a, S>,
) -> Result<(), Box<Problem>> {
    let name = raw.root.child("metadata").and_then(|metadata| metadata.text("name"));
    let label = name.map(|name| format!("{} {}", kind.as_str(), attestry_core::reason::clean(name, MAX_NAME)));
    let document: Document<S> = raw.read(label.as_deref().or(Some(kind.as_str())))?;
    let label = label.unwrap_or_default();
    let name = document.metadata.name.clone();
    let at = raw.at(Some(&label)).field("metadata").field("name");
    if !is_name(&name, MAX_NAME, true) {
        let message = format!("{name:?} is no name: lower-case letters, digits, - and . are allowed");
        return Err(Box::new(at.problem(message)));
    }
    if let Some(earlier) = documents.get(&name) {
        let message = format!("there is a second {} {name:?}: the other is in {}", kind.as_str(), earlier.file());
        return Err(Box::new(at.problem(message).hint("names are unique within a kind, over all files")));
    }
    documents.insert(name, Loaded { raw, label, document });
    Ok(())
}

/// Whether `name` is a DNS label, or with `dots` a DNS subdomain.
pub(super) fn is_name(name: &str, max: usize, dots: bool) -> bool {
    let label_ok = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= max && if dots { name.split('.').all(label_ok) } else { label_ok(name) }
}

impl Documents<'_> {
    /// Puts the content of each trust root's file into its document, so that the set stands alone, and returns
    /// the contents by name.
    pub(super) fn inline_trust_roots(
        &mut self,
        files: &[SourceFile],
        errors: &mut PolicyErrors,
    ) -> BTreeMap<String, String> {
        let mut contents = BTreeMap::new();
        for (name, loaded) in &mut self.trust_roots {
            let at = loaded.raw.at(Some(&loaded.label)).field("spec").field("file");
            let spec = &mut loaded.document.spec;
            if let (Some(file), None) = (&spec.file, &spec.inline) {
                let Some(found) = files.iter().find(|candidate| candidate.name == *file) else {
                    let mut problem = at.problem(format!("there is no file {file:?} in the policy directory"));
                    problem.hint =
                        suggest(file, files.iter().map(|file| file.name.as_str()).filter(|n| n.ends_with(".json")));
                    errors.push(problem);
                    continue;
                };
                match String::from_utf8(found.bytes.clone()) {
                    Ok(text) => (spec.file, spec.inline) = (None, Some(text)),
                    Err(_) => {
                        errors.push(at.problem(format!("{file:?} is not UTF-8 text")));
                        continue;
                    }
                }
            }
            if let Some(text) = &spec.inline {
                contents.insert(name.clone(), text.clone());
            }
        }
        contents
    }

    /// Every document in canonical JSON, ordered by kind and name, one a line, with `---` between.
    pub(super) fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, &self.authorities);
        append(&mut out, &self.trust_roots);
        append(&mut out, &self.catalogs);
        append(&mut out, &self.revocations);
        append(&mut out, &self.policies);
        out
    }
}

fn append<S: Serialize>(out: &mut Vec<u8>, documents: &ByName<'_, S>) {
    for loaded in documents.values() {
        if !out.is_empty() {
            out.extend_from_slice(b"---\n");
        }
        out.extend_from_slice(&canonical::to_vec(&loaded.document));
        out.push(b'\n');
    }
}
