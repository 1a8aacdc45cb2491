//! Changing a catalog file: `attestry base add` and `attestry base set-status`.
//!
//! Only the catalog's own document is written anew; other documents of the file stay as they are, byte for byte.
//! Comments inside that document are lost, those before its first field are kept. What is written is loaded again
//! before it is returned, so a command never leaves a catalog that cannot be read.

use attestry_core::API_VERSION;

use crate::{
    PolicyErrors, PolicySet, SourceFile,
    document::{BaseCatalogSpec, BaseSpec, BuildSpec, Document, Kind, Metadata, OwnerSpec, Status},
    error::nearest,
    source::{self, RawDocument},
};

/// A build to add.
#[derive(Debug, Clone)]
pub struct NewBuild {
    /// Name of the base; a new one is made where the catalog has none of this name.
    pub base: String,
    /// Who looks after it. Needed for a new base; replaces what an old one says.
    pub owner: Option<OwnerSpec>,
    /// The last day of support, `YYYY-MM-DD`. Needed for a new base; replaces what an old one says.
    pub supported_until: Option<String>,
    /// The build with every platform.
    pub build: BuildSpec,
}

/// Why a catalog file was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file, or what would have been written, has problems.
    #[error("the catalog cannot be used")]
    Invalid(#[from] PolicyErrors),
    /// The file holds no such catalog.
    #[error("the file holds no BaseCatalog{}", .0.as_ref().map(|name| format!(" named {name:?}")).unwrap_or_default())]
    NoCatalog(Option<String>),
    /// The file holds several catalogs and none was named.
    #[error("the file holds several catalogs: name one of {}", .0.join(", "))]
    SeveralCatalogs(Vec<String>),
    /// Every platform of the build is in the catalog already.
    #[error("this build is in the catalog already, as a build of {0:?}")]
    AlreadyListed(String),
    /// A new base without an owner or an end of support.
    #[error("{base:?} is new to the catalog: its {missing} must be given")]
    NewBaseNeeds {
        /// The base.
        base: String,
        /// What is missing.
        missing: &'static str,
    },
    /// No base, or no build of it, is named so.
    #[error("the catalog has no {what}{}", .near.as_ref().map(|near| format!("; did you mean {near:?}?")).unwrap_or_default())]
    NotFound {
        /// What was asked for.
        what: String,
        /// The nearest known name.
        near: Option<String>,
    },
    /// The document could not be written as YAML.
    #[error("the catalog could not be written as YAML: {0}")]
    Write(String),
}

/// Adds a build to a catalog file and gives its new text.
///
/// `file` may be empty: a catalog is made then, named `catalog` or `bases`. `catalog` is needed only where the file
/// holds several.
pub fn add_build(file: &SourceFile, catalog: Option<&str>, new: NewBuild) -> Result<String, EditError> {
    edit(file, catalog, true, |spec| {
        let listed = |build: &BuildSpec| {
            new.build.platforms.iter().all(|image| build.platforms.iter().any(|other| other.digest == image.digest))
        };
        if let Some(base) = spec.bases.iter().find(|base| base.builds.iter().any(listed)) {
            return Err(EditError::AlreadyListed(base.name.clone()));
        }
        match spec.bases.iter_mut().find(|base| base.name == new.base) {
            Some(base) => {
                base.owner = new.owner.unwrap_or_else(|| base.owner.clone());
                base.supported_until = new.supported_until.unwrap_or_else(|| base.supported_until.clone());
                base.builds.push(new.build);
            }
            None => {
                let needs = |missing| EditError::NewBaseNeeds { base: new.base.clone(), missing };
                let owner = new.owner.ok_or_else(|| needs("owner"))?;
                let supported_until = new.supported_until.ok_or_else(|| needs("end of support"))?;
                let (name, status, builds) = (new.base, Status::Supported, vec![new.build]);
                spec.bases.push(BaseSpec { name, owner, supported_until, status, replaced_by: None, builds });
            }
        }
        Ok(())
    })
}

/// Changes the status of a base or, with `build`, of one of its builds, and gives the file's new text.
///
/// `build` is the digest of the build's index or of one of its platforms.
pub fn set_status(
    file: &SourceFile,
    catalog: Option<&str>,
    base: &str,
    build: Option<&str>,
    status: Status,
) -> Result<String, EditError> {
    edit(file, catalog, false, |spec| {
        let near = nearest(base, spec.bases.iter().map(|base| base.name.as_str())).map(str::to_owned);
        let found = spec.bases.iter_mut().find(|candidate| candidate.name == base);
        let found = found.ok_or_else(|| EditError::NotFound { what: format!("base {base:?}"), near })?;
        let Some(digest) = build else {
            found.status = status;
            return Ok(());
        };
        let is_meant = |build: &&mut BuildSpec| {
            build.index.as_deref() == Some(digest) || build.platforms.iter().any(|image| image.digest == digest)
        };
        let build = found.builds.iter_mut().find(is_meant);
        let what = format!("build {digest} of {base:?}");
        build.ok_or(EditError::NotFound { what, near: None })?.status = status;
        Ok(())
    })
}

fn edit(
    file: &SourceFile,
    catalog: Option<&str>,
    create: bool,
    change: impl FnOnce(&mut BaseCatalogSpec) -> Result<(), EditError>,
) -> Result<String, EditError> {
    let mut errors = PolicyErrors::default();
    let documents = source::split(file, &mut errors);
    errors.into_result()?;
    let is_catalog = |raw: &&RawDocument<'_>| raw.root.text("kind") == Some(Kind::BaseCatalog.as_str());
    let catalogs: Vec<&RawDocument<'_>> = documents.iter().filter(is_catalog).collect();
    let name_of =
        |raw: &RawDocument<'_>| raw.root.child("metadata").and_then(|m| m.text("name")).unwrap_or_default().to_owned();
    let chosen = match (catalog, catalogs.as_slice()) {
        (None, []) => None,
        (None, [only]) => Some(*only),
        (None, several) => return Err(EditError::SeveralCatalogs(several.iter().map(|raw| name_of(raw)).collect())),
        (Some(name), all) => all.iter().copied().find(|raw| name_of(raw) == name),
    };
    let old = str::from_utf8(&file.bytes).unwrap_or_default();
    let text = match chosen {
        Some(raw) => {
            let mut document: Document<BaseCatalogSpec> = raw.read(None).map_err(|problem| {
                let mut errors = PolicyErrors::default();
                errors.push(*problem);
                errors
            })?;
            change(&mut document.spec)?;
            let range = raw.range();
            let (before, after) =
                (old.get(..range.start).unwrap_or_default(), old.get(range.end..).unwrap_or_default());
            [before, &raw.preamble(), &to_yaml(&document)?, after].concat()
        }
        None if create => {
            let mut document = Document {
                api_version: API_VERSION.to_owned(),
                kind: Kind::BaseCatalog.as_str().to_owned(),
                metadata: Metadata { name: catalog.unwrap_or("bases").to_owned(), annotations: Default::default() },
                spec: BaseCatalogSpec { bases: Vec::new() },
            };
            change(&mut document.spec)?;
            let line_feed = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
            let separator = if old.trim().is_empty() { "" } else { "---\n" };
            [old, line_feed, separator, &to_yaml(&document)?].concat()
        }
        None => return Err(EditError::NoCatalog(catalog.map(str::to_owned))),
    };
    check(&text, file)?;
    Ok(text)
}

/// Loads the catalogs of what would be written, alone: the file's other documents may refer to other files.
fn check(text: &str, file: &SourceFile) -> Result<(), EditError> {
    let written = SourceFile::new(file.name.clone(), text);
    let mut errors = PolicyErrors::default();
    let documents = source::split(&written, &mut errors);
    errors.into_result()?;
    let catalogs = documents.iter().filter(|raw| raw.root.text("kind") == Some(Kind::BaseCatalog.as_str()));
    let alone: Vec<&str> = catalogs.map(RawDocument::text).collect();
    let name = if file.holds_documents() { file.name.clone() } else { format!("{}.yaml", file.name) };
    PolicySet::load(&[SourceFile::new(name, alone.join("\n---\n"))])?;
    Ok(())
}

fn to_yaml(document: &Document<BaseCatalogSpec>) -> Result<String, EditError> {
    serde_saphyr::to_string(document).map_err(|error| EditError::Write(error.to_string()))
}
