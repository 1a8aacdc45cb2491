//! Policies and their requirements.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use attestry_core::{
    Digest, Repository,
    predicate::PredicateFormat,
    review::{Mode, OnUndeterminable, TagBesideDigest, TagRule},
};
use jiff::SignedDuration;

use super::{
    Authority, Compiler, Place,
    read::{ByName, is_name},
    refused,
};
use crate::{
    base::Catalog,
    condition::{Condition, Scope},
    document::{
        AttestationSpec, BaseImageSpec, BaseProof, ConfigSpec, ImagePolicySpec, MatchSpec, PatternSpec, PlatformRule,
        ProvenanceSpec, RepositoryRule, RequirementSpec, SignatureSpec, Status,
    },
    error::suggest,
    pattern::{Glob, Pattern},
    source::At,
};

/// Requirements and alternatives of one policy.
const MAX_REQUIREMENTS: usize = 100;
/// Digests in one list.
const MAX_DIGESTS: usize = 10_000;

/// What images must prove.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `metadata.name`.
    pub name: String,
    /// Which images, by normal form; one must fit.
    pub images: Vec<Glob>,
    /// Which images not after all.
    pub exclude_images: Vec<Glob>,
    /// Which namespaces; `None` is everywhere.
    pub namespaces: Option<NamespaceSelector>,
    /// What it does with its verdict.
    pub mode: Mode,
    /// What it does when the answer cannot be known.
    pub on_undeterminable: OnUndeterminable,
    /// What it says of references without digest.
    pub tags: TagRule,
    /// What it says of a tag beside a digest.
    pub tag_beside_digest: TagBesideDigest,
    /// What must be proven where an image has several platforms.
    pub platforms: PlatformRule,
    /// All must be met. Never empty.
    pub require: Vec<Requirement>,
    /// Where it is written.
    pub place: Place,
}

/// Which namespaces a policy is about. All that is given must hold.
#[derive(Debug, Clone)]
pub struct NamespaceSelector {
    /// Globs over the name; empty accepts every name.
    pub names: Vec<Glob>,
    /// Globs over the name of which none may fit.
    pub exclude_names: Vec<Glob>,
    /// Labels that must be there with these values.
    pub match_labels: BTreeMap<String, String>,
}

/// The namespace that an image is to run in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its labels; `None` where they are not known.
    pub labels: Option<BTreeMap<String, String>>,
}

/// Whether a policy is about an image in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matches {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// It depends on something about the namespace that is not known: `namespace-unknown`.
    NamespaceUnknown,
}

impl Policy {
    /// Whether the policy is about `repository` in `namespace`.
    pub fn matches(&self, repository: &Repository, namespace: Option<&Namespace>) -> Matches {
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches_repository(repository));
        if !fits(&self.images) || fits(&self.exclude_images) {
            return Matches::No;
        }
        match &self.namespaces {
            None => Matches::Yes,
            Some(selector) => selector.matches(namespace),
        }
    }
}

impl NamespaceSelector {
    fn matches(&self, namespace: Option<&Namespace>) -> Matches {
        let Some(namespace) = namespace else {
            return if self.is_everywhere() { Matches::Yes } else { Matches::NamespaceUnknown };
        };
        let fits = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(&namespace.name));
        if (!self.names.is_empty() && !fits(&self.names)) || fits(&self.exclude_names) {
            return Matches::No;
        }
        if self.match_labels.is_empty() {
            return Matches::Yes;
        }
        match &namespace.labels {
            None => Matches::NamespaceUnknown,
            Some(labels) if self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value)) => Matches::Yes,
            Some(_) => Matches::No,
        }
    }

    /// Whether nothing is asked of the namespace.
    pub fn is_everywhere(&self) -> bool {
        self.names.is_empty() && self.exclude_names.is_empty() && self.match_labels.is_empty()
    }
}

/// One named demand.
#[derive(Debug, Clone)]
pub struct Requirement {
    /// Unique within the policy.
    pub name: String,
    /// What is demanded.
    pub kind: RequirementKind,
    /// Where it is written.
    pub place: Place,
}

/// The closed set of demands.
#[derive(Debug, Clone)]
pub enum RequirementKind {
    /// Somebody signed the image.
    Signature(Signature),
    /// Somebody attested something about it.
    Attestation(Attestation),
    /// SLSA provenance says how it was built.
    Provenance(Provenance),
    /// It stands on a trusted base.
    BaseImage(BaseImage),
    /// Its configuration meets a condition.
    Config(Condition),
    /// Its digest is listed. Never empty.
    Digests(BTreeSet<Digest>),
    /// At least one must be met. Never empty, and never holds another `AnyOf`.
    AnyOf(Vec<Requirement>),
}

impl RequirementKind {
    /// The kind as documents and reviews write it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Signature(_) => "signature",
            Self::Attestation(_) => "attestation",
            Self::Provenance(_) => "provenance",
            Self::BaseImage(_) => "baseImage",
            Self::Config(_) => "config",
            Self::Digests(_) => "digests",
            Self::AnyOf(_) => "anyOf",
        }
    }

    /// The authorities that it names itself; those of alternatives not included.
    pub fn authorities(&self) -> &[Arc<Authority>] {
        match self {
            Self::Signature(signature) => &signature.authorities,
            Self::Attestation(attestation) => &attestation.authorities,
            Self::Provenance(provenance) => &provenance.authorities,
            Self::BaseImage(_) | Self::Config(_) | Self::Digests(_) | Self::AnyOf(_) => &[],
        }
    }
}

/// A signature by enough of the authorities.
#[derive(Debug, Clone)]
pub struct Signature {
    /// Never empty.
    pub authorities: Vec<Arc<Authority>>,
    /// How many distinct ones: from 1 to the number of distinct keys and identities among them.
    pub threshold: usize,
    /// Whether the statement must name the image's repository.
    pub repository: RepositoryRule,
}

/// An attestation of a wanted type by one of the authorities.
#[derive(Debug, Clone)]
pub struct Attestation {
    /// Which predicate types.
    pub types: PredicateTypes,
    /// Never empty.
    pub authorities: Vec<Arc<Authority>>,
    /// The oldest it may be.
    pub max_age: Option<SignedDuration>,
    /// What must hold of the statement.
    pub condition: Option<Condition>,
}

/// Predicate types that are asked for. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PredicateTypes {
    /// Every URI of these formats.
    pub formats: Vec<PredicateFormat>,
    /// These URIs exactly.
    pub uris: Vec<String>,
}

impl PredicateTypes {
    /// Whether a predicate type is asked for.
    pub fn covers(&self, predicate_type: &str) -> bool {
        self.formats.iter().any(|format| format.covers(predicate_type))
            || self.uris.iter().any(|uri| uri == predicate_type)
    }
}

/// SLSA provenance by one of the authorities.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// Never empty.
    pub authorities: Vec<Arc<Authority>>,
    /// Empty accepts any builder.
    pub builders: Vec<Pattern>,
    /// Empty accepts any source.
    pub sources: Vec<Pattern>,
    /// The oldest it may be.
    pub max_age: Option<SignedDuration>,
}

/// The image stands on a build of a catalog.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// Never empty.
    pub catalogs: Vec<Arc<Catalog>>,
    /// What must agree.
    pub proof: BaseProof,
    /// Statuses that base and build may have. Never holds `Revoked`.
    pub allow: BTreeSet<Status>,
    /// The oldest a build may be, from its `addedAt`.
    pub max_build_age: Option<SignedDuration>,
}

/// What requirements can refer to.
struct Known<'a> {
    authorities: &'a BTreeMap<String, Arc<Authority>>,
    catalogs: &'a BTreeMap<String, Arc<Catalog>>,
}

impl Compiler {
    pub(super) fn policies(
        &mut self,
        documents: &ByName<'_, ImagePolicySpec>,
        authorities: &BTreeMap<String, Arc<Authority>>,
        catalogs: &BTreeMap<String, Arc<Catalog>>,
    ) -> Vec<Policy> {
        let known = Known { authorities, catalogs };
        let mut policies = Vec::with_capacity(documents.len());
        for (name, loaded) in documents {
            let (at, spec) = (loaded.at(), &loaded.document.spec);
            let (images, exclude_images, namespaces) = self.match_spec(&spec.matches, &at.field("match"));
            policies.push(Policy {
                name: name.clone(),
                images,
                exclude_images,
                namespaces,
                mode: spec.mode,
                on_undeterminable: spec.on_undeterminable,
                tags: spec.tags,
                tag_beside_digest: spec.tag_beside_digest,
                platforms: spec.platforms,
                require: self.require(&spec.require, &known, &at.field("require")),
                place: Place::of(&at),
            });
        }
        policies
    }

    fn match_spec(&mut self, spec: &MatchSpec, at: &At<'_>) -> (Vec<Glob>, Vec<Glob>, Option<NamespaceSelector>) {
        if spec.images.is_empty() {
            let hint = "name at least one glob over host/repository; \"**\" is every image";
            self.push(at.field("images").problem("the list of images is empty").hint(hint));
        }
        let images = self.globs(&spec.images, Glob::compile_image, &at.field("images"));
        let exclude_images = self.globs(&spec.exclude_images, Glob::compile_image, &at.field("excludeImages"));
        let namespaces = spec.namespaces.as_ref().map(|namespaces| {
            let at = at.field("namespaces");
            NamespaceSelector {
                names: self.globs(&namespaces.names, Glob::compile, &at.field("names")),
                exclude_names: self.globs(&namespaces.exclude_names, Glob::compile, &at.field("excludeNames")),
                match_labels: namespaces.match_labels.clone(),
            }
        });
        (images, exclude_images, namespaces)
    }

    fn globs(
        &mut self,
        sources: &[String],
        compile: fn(&str) -> Result<Glob, crate::pattern::PatternError>,
        at: &At<'_>,
    ) -> Vec<Glob> {
        if !self.bounded(sources.len(), at) {
            return Vec::new();
        }
        let mut globs = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let at = at.index(index);
            if self.count_pattern(&at) {
                globs.extend(self.take(compile(source).map_err(|error| refused(&at, &error))));
            }
        }
        globs
    }

    /// A list of requirements that is never empty (attack 81), with each name once.
    fn require(&mut self, specs: &[RequirementSpec], known: &Known<'_>, at: &At<'_>) -> Vec<Requirement> {
        if specs.is_empty() {
            let hint = "a policy that demands nothing would admit everything that no other policy matches";
            self.push(at.problem("require is empty").hint(hint));
        }
        let mut names = BTreeSet::new();
        let mut requirements = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let at = at.index(index);
            let compiled = match &spec.any_of {
                Some(alternatives) if count_kinds(spec) == 1 => {
                    self.requirement_name(&spec.name, &mut names, &at);
                    self.alternatives(alternatives, known, &mut names, &at.field("anyOf")).map(RequirementKind::AnyOf)
                }
                _ => {
                    self.requirement_name(&spec.name, &mut names, &at);
                    self.requirement(spec, known, &at)
                }
            };
            if let Some(kind) = compiled {
                requirements.push(Requirement { name: spec.name.clone(), kind, place: Place::of(&at) });
            }
        }
        if names.len() > MAX_REQUIREMENTS {
            self.push(at.problem(format!("the policy holds more than {MAX_REQUIREMENTS} requirements")));
        }
        requirements
    }

    fn alternatives(
        &mut self,
        specs: &[RequirementSpec],
        known: &Known<'_>,
        names: &mut BTreeSet<String>,
        at: &At<'_>,
    ) -> Option<Vec<Requirement>> {
        if specs.is_empty() {
            self.push(at.problem("anyOf is empty: no alternative could be met"));
        }
        let mut alternatives = Vec::with_capacity(specs.len());
        for (index, spec) in specs.iter().enumerate() {
            let at = at.index(index);
            self.requirement_name(&spec.name, names, &at);
            if spec.any_of.is_some() {
                let hint = "write its alternatives here, one beside the other";
                self.push(at.field("anyOf").problem("anyOf cannot hold another anyOf").hint(hint));
            } else if let Some(kind) = self.requirement(spec, known, &at) {
                alternatives.push(Requirement { name: spec.name.clone(), kind, place: Place::of(&at) });
            }
        }
        Some(alternatives)
    }

    fn requirement_name(&mut self, name: &str, names: &mut BTreeSet<String>, at: &At<'_>) {
        let at = at.field("name");
        if !is_name(name, 63, false) {
            self.push(at.problem(format!("{name:?} is no name: lower-case letters, digits and - are allowed")));
        } else if !names.insert(name.to_owned()) {
            self.push(at.problem(format!("there is a second requirement {name:?} in this policy")));
        }
    }

    fn requirement(&mut self, spec: &RequirementSpec, known: &Known<'_>, at: &At<'_>) -> Option<RequirementKind> {
        if count_kinds(spec) != 1 {
            let kinds = "signature, attestation, provenance, baseImage, config, digests and anyOf";
            self.push(at.problem(format!("exactly one of {kinds} is needed")));
            return None;
        }
        if let Some(spec) = &spec.signature {
            return self.signature(spec, known, &at.field("signature"));
        }
        if let Some(spec) = &spec.attestation {
            return self.attestation(spec, known, &at.field("attestation"));
        }
        if let Some(spec) = &spec.provenance {
            return self.provenance(spec, known, &at.field("provenance"));
        }
        if let Some(spec) = &spec.base_image {
            return self.base_image(spec, known, &at.field("baseImage"));
        }
        if let Some(ConfigSpec { condition }) = &spec.config {
            let at = at.field("config").field("condition");
            return self.condition(condition, Scope::Config, &at).map(RequirementKind::Config);
        }
        spec.digests.as_ref().map(|digests| self.digests(digests, &at.field("digests")))
    }

    fn signature(&mut self, spec: &SignatureSpec, known: &Known<'_>, at: &At<'_>) -> Option<RequirementKind> {
        let authorities = self.names(&spec.authorities, known.authorities, "Authority", &at.field("authorities"));
        let threshold = spec.threshold as usize;
        let distinct = authorities.iter().map(|authority| authority.id()).collect::<BTreeSet<_>>().len();
        let at = at.field("threshold");
        if threshold == 0 {
            self.push(at.problem("the threshold is 0: nobody would have to sign").hint("write 1 or more"));
        } else if distinct > 0 && authorities.len() == spec.authorities.len() && threshold > distinct {
            let message = format!("the threshold is {threshold}, but only {} named", count_distinct(distinct));
            let hint = "the same key or identity under two names counts once";
            self.push(at.problem(message).hint(hint));
        }
        Some(RequirementKind::Signature(Signature { authorities, threshold, repository: spec.repository }))
    }

    fn attestation(&mut self, spec: &AttestationSpec, known: &Known<'_>, at: &At<'_>) -> Option<RequirementKind> {
        let mut formats = Vec::new();
        for (index, name) in spec.types.iter().enumerate() {
            let at = at.field("types").index(index);
            match PredicateFormat::from_short_name(name) {
                Some(format) => formats.push(format),
                None => {
                    let mut problem = at.problem(format!("{name:?} is no short name of a predicate type"));
                    problem.hint = match name.contains("://") {
                        true => Some("exact URIs go in predicateTypes".to_owned()),
                        false => suggest(name, PredicateFormat::ALL.map(PredicateFormat::short_name)),
                    };
                    self.push(problem);
                }
            }
        }
        for (index, uri) in spec.predicate_types.iter().enumerate() {
            if !uri.contains("://") || !uri.bytes().all(|b| b.is_ascii_graphic()) {
                let at = at.field("predicateTypes").index(index);
                self.push(at.problem(format!("{uri:?} is no absolute URI")).hint("short names go in types"));
            }
        }
        if spec.types.is_empty() && spec.predicate_types.is_empty() {
            self.push(at.problem("no predicate type is named").hint("add types: [spdx, cyclonedx], or predicateTypes"));
        }
        let condition = (spec.condition.as_ref())
            .and_then(|source| self.condition(source, Scope::Statement, &at.field("condition")));
        Some(RequirementKind::Attestation(Attestation {
            types: PredicateTypes { formats, uris: spec.predicate_types.clone() },
            authorities: self.names(&spec.authorities, known.authorities, "Authority", &at.field("authorities")),
            max_age: self.duration(spec.max_age.as_ref(), &at.field("maxAge")),
            condition,
        }))
    }

    fn condition(&mut self, source: &str, scope: Scope, at: &At<'_>) -> Option<Condition> {
        let compiled = Condition::compile(source, scope).map_err(|error| {
            let mut problem = at.problem(error.to_string());
            problem.hint = error.hint();
            problem
        });
        self.take(compiled)
    }

    fn provenance(&mut self, spec: &ProvenanceSpec, known: &Known<'_>, at: &At<'_>) -> Option<RequirementKind> {
        Some(RequirementKind::Provenance(Provenance {
            authorities: self.names(&spec.authorities, known.authorities, "Authority", &at.field("authorities")),
            builders: self.patterns(&spec.builders, &at.field("builders")),
            sources: self.patterns(&spec.sources, &at.field("sources")),
            max_age: self.duration(spec.max_age.as_ref(), &at.field("maxAge")),
        }))
    }

    fn patterns(&mut self, specs: &[PatternSpec], at: &At<'_>) -> Vec<Pattern> {
        if !self.bounded(specs.len(), at) {
            return Vec::new();
        }
        specs.iter().enumerate().filter_map(|(index, spec)| self.pattern(spec, &at.index(index))).collect()
    }

    fn base_image(&mut self, spec: &BaseImageSpec, known: &Known<'_>, at: &At<'_>) -> Option<RequirementKind> {
        let allow: BTreeSet<Status> = spec.allow.iter().copied().collect();
        if allow.is_empty() {
            self.push(at.field("allow").problem("allow is empty: no base could be used").hint("write [Supported]"));
        }
        if allow.contains(&Status::Revoked) {
            let message = "a revoked base cannot be allowed";
            self.push(
                at.field("allow").problem(message).hint("set its status back in the catalog, or list the digest"),
            );
        }
        Some(RequirementKind::BaseImage(BaseImage {
            catalogs: self.names(&spec.catalogs, known.catalogs, "BaseCatalog", &at.field("catalogs")),
            proof: spec.proof,
            allow,
            max_build_age: self.duration(spec.max_build_age.as_ref(), &at.field("maxBuildAge")),
        }))
    }

    fn digests(&mut self, texts: &[String], at: &At<'_>) -> RequirementKind {
        if texts.is_empty() {
            self.push(at.problem("the list of digests is empty: no image could be used"));
        }
        if texts.len() > MAX_DIGESTS {
            self.push(at.problem(format!("the list holds more than {MAX_DIGESTS} digests")));
            return RequirementKind::Digests(BTreeSet::new());
        }
        let digests = texts.iter().enumerate().filter_map(|(index, text)| self.digest(text, &at.index(index)));
        RequirementKind::Digests(digests.collect())
    }
}

fn count_distinct(distinct: usize) -> String {
    match distinct {
        1 => "1 distinct key or identity is".to_owned(),
        _ => format!("{distinct} distinct keys or identities are"),
    }
}

/// How many kinds one requirement is written as.
fn count_kinds(spec: &RequirementSpec) -> usize {
    [
        spec.signature.is_some(),
        spec.attestation.is_some(),
        spec.provenance.is_some(),
        spec.base_image.is_some(),
        spec.config.is_some(),
        spec.digests.is_some(),
        spec.any_of.is_some(),
    ]
    .into_iter()
    .filter(|given| *given)
    .count()
}
