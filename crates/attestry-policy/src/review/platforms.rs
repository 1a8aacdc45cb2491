//! What of an image runs: the subject itself, or the runnable children of an index.

use attestry_core::{
    Digest, Evidence, Need, Needs, Reason, ReasonCode,
    manifest::{Index, MAX_CHILDREN, MAX_DEPTH, Manifest},
};

use super::judgement::Judgement;

/// One thing that a node can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runnable {
    /// Digest of its manifest.
    pub(super) digest: Digest,
    /// `os/architecture[/variant]` as the index says, or empty for an image that is no index.
    pub(super) platform: String,
}

/// The shape of a subject, as far as it is known.
#[derive(Debug)]
pub(super) enum Shape {
    /// One image.
    Image,
    /// An index with these runnable children, each once.
    Index(Vec<Runnable>),
    /// Not known, or not judged.
    Unknown(Judgement),
}

/// Reads the shape of `digest` from the evidence.
pub(super) fn shape(evidence: &Evidence, digest: Digest) -> Shape {
    match manifest(evidence, digest) {
        Err(judgement) => Shape::Unknown(judgement),
        Ok(Manifest::Image(_)) => Shape::Image,
        Ok(Manifest::Index(index)) => {
            let mut children = Vec::new();
            match runnables(evidence, &index, 1, &mut children) {
                Ok(()) => Shape::Index(children),
                Err(judgement) => Shape::Unknown(judgement),
            }
        }
    }
}

/// Every child that may run, as far as it is known, with what hides others: for revocations, which hold for a child
/// however well the index itself is proven.
#[derive(Debug, Default)]
pub(super) struct Children {
    /// Digests of runnable children and of the indexes between.
    pub(super) digests: Vec<Digest>,
    /// Nested indexes that were not read.
    pub(super) needs: Needs,
    /// Why others are not known.
    pub(super) gaps: Vec<Reason>,
}

impl Children {
    /// The children of `digest`.
    pub(super) fn of(evidence: &Evidence, digest: Digest) -> Self {
        let mut children = Self::default();
        children.add(evidence, digest, 0);
        children
    }

    fn add(&mut self, evidence: &Evidence, digest: Digest, depth: usize) {
        match manifest(evidence, digest) {
            Ok(Manifest::Image(_)) => {}
            Ok(Manifest::Index(_)) if depth == MAX_DEPTH => {
                let message = format!("indexes nest deeper than {MAX_DEPTH} levels");
                self.gaps.push(Reason::new(ReasonCode::OverLimit, message));
            }
            Ok(Manifest::Index(index)) => {
                for child in index.manifests.iter().filter(|child| !child.is_attestation_manifest()) {
                    if self.digests.contains(&child.digest) {
                        continue;
                    }
                    self.digests.push(child.digest);
                    if is_index(child) {
                        self.add(evidence, child.digest, depth + 1);
                    }
                }
            }
            Err(unknown) => {
                if unknown.needs.is_empty() {
                    self.gaps.extend(unknown.reasons);
                }
                self.needs.extend(unknown.needs);
            }
        }
    }
}

/// Whether an entry says that it is an index. What does not is a runnable child, whatever it turns out to be.
fn is_index(child: &attestry_core::manifest::Descriptor) -> bool {
    matches!(child.media_type.as_str(), attestry_core::manifest::OCI_INDEX | attestry_core::manifest::DOCKER_INDEX)
}

/// The manifest with this digest, or why it is not known.
pub(super) fn manifest(evidence: &Evidence, digest: Digest) -> Result<Manifest, Judgement> {
    let need = Need::Manifest { digest };
    let document = document(evidence, digest, need)?;
    Manifest::parse(&document.media_type, &document.bytes).map_err(|error| {
        let reason = Reason::new(ReasonCode::RegistryMalformed, format!("{digest}: {error}"));
        Judgement::undeterminable(vec![reason], Needs::new())
    })
}

/// A document of the evidence, or the need or gap in its place.
pub(super) fn document(
    evidence: &Evidence,
    digest: Digest,
    need: Need,
) -> Result<&attestry_core::evidence::Document, Judgement> {
    match (evidence.document(&digest), evidence.gap(&need)) {
        (Some(document), _) => Ok(document),
        (None, Some(gap)) => Err(Judgement::undeterminable(vec![gap.reason()], Needs::new())),
        (None, None) => Err(Judgement::undeterminable(Vec::new(), [need].into())),
    }
}

fn runnables(evidence: &Evidence, index: &Index, depth: usize, out: &mut Vec<Runnable>) -> Result<(), Judgement> {
    // BuildKit's attestation manifests never run. Anything else does, whatever platform it claims (attack 84).
    for child in index.manifests.iter().filter(|child| !child.is_attestation_manifest()) {
        let nested = is_index(child);
        if nested {
            if depth == MAX_DEPTH {
                return Err(over_limit(format!("indexes nest deeper than {MAX_DEPTH} levels")));
            }
            match manifest(evidence, child.digest)? {
                Manifest::Index(inner) => runnables(evidence, &inner, depth + 1, out)?,
                // The entry's type is a claim; the document decides what it is.
                Manifest::Image(_) => push(out, child)?,
            }
        } else {
            push(out, child)?;
        }
    }
    Ok(())
}

fn push(out: &mut Vec<Runnable>, child: &attestry_core::manifest::Descriptor) -> Result<(), Judgement> {
    if out.iter().any(|known| known.digest == child.digest) {
        return Ok(());
    }
    if out.len() == MAX_CHILDREN {
        return Err(over_limit(format!("the index has more than {MAX_CHILDREN} runnable children")));
    }
    let platform = child.platform.as_ref().map(ToString::to_string).unwrap_or_default();
    let platform = if platform.is_empty() { "without platform".to_owned() } else { platform };
    out.push(Runnable { digest: child.digest, platform: attestry_core::reason::clean(&platform, 64) });
    Ok(())
}

fn over_limit(message: String) -> Judgement {
    Judgement::undeterminable(vec![Reason::new(ReasonCode::OverLimit, message)], Needs::new())
}
