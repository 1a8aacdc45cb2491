//! What was read about one subject, what is still wanted, and what could not be read.
//!
//! [`Evidence`] is a plain value. It is gathered with I/O elsewhere, judged here and in the policy crate, and can
//! be saved and replayed on another machine without a registry.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{API_VERSION, Digest, Reason, ReasonCode, Repository, Subject, canonical};

/// Where attachments of a subject can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Layout {
    /// The OCI 1.1 referrers API and the fallback tag `sha256-<hex>`, merged.
    Referrers,
    /// cosign's tag `sha256-<hex>.sig`.
    LegacySignatures,
    /// cosign's tag `sha256-<hex>.att`.
    LegacyAttestations,
}

/// Which bound a blob is read under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BlobRole {
    /// An image configuration.
    Config,
    /// A bundle or the payload of a legacy layer.
    Attachment,
    /// A layer of an image; never asked for by policy and never kept as evidence, only the place of a gap of
    /// `oci::pull_layer`.
    Layer,
}

/// One document that is still wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Need {
    /// The digest that a tag points at; never asked for by policy, only the place of a gap of `oci::resolve`.
    Resolve {
        /// The tag.
        tag: String,
    },
    /// A manifest or index: the subject, a child of an index, or the manifest of an attachment.
    Manifest {
        /// Its digest.
        digest: Digest,
    },
    /// A blob that a manifest names.
    Blob {
        /// Its digest.
        digest: Digest,
        /// Its size in bytes as the manifest says; another size is `registry-malformed`.
        size: u64,
        /// What it is read as.
        role: BlobRole,
    },
    /// The list of attachments of `of` in one layout.
    Listing {
        /// Digest of the subject or of one of its children.
        of: Digest,
        /// Where to look.
        layout: Layout,
    },
}

/// The documents wanted next. Empty means done.
pub type Needs = BTreeSet<Need>;

/// A manifest, index or blob with exactly the bytes that its digest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Media type as served, checked against the document's own `mediaType`; empty for blobs.
    pub media_type: String,
    /// The raw bytes.
    pub bytes: Bytes,
}

/// One entry of a listing. All but the digest is a hint: it may order what is read next, never filter it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Digest of the attachment's manifest.
    pub digest: Digest,
    /// The entry's `artifactType`, often wrong in fallback indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The entry's `dev.sigstore.bundle.predicateType` annotation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
}

/// Why something could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GapCause {
    /// No connection, or the registry failed (5xx).
    Unreachable,
    /// No answer in time.
    Timeout,
    /// 429.
    Throttled,
    /// 401 or 403, or a token realm that gets no credentials.
    Denied,
    /// Wrong digest, size, type or protocol.
    Malformed,
    /// A document that was named does not exist (404).
    NotFound,
    /// Configuration or address rules forbid the connection.
    NotAllowed,
    /// A bound on size or count.
    OverLimit,
    /// The budget of the whole collection ran out.
    BudgetSpent,
}

impl GapCause {
    /// The reason code that stands for this cause.
    pub const fn code(self) -> ReasonCode {
        match self {
            Self::Unreachable => ReasonCode::RegistryUnreachable,
            Self::Timeout => ReasonCode::RegistryTimeout,
            Self::Throttled => ReasonCode::RegistryThrottled,
            Self::Denied => ReasonCode::RegistryDenied,
            Self::Malformed => ReasonCode::RegistryMalformed,
            Self::NotFound => ReasonCode::NotFound,
            Self::NotAllowed => ReasonCode::RegistryNotAllowed,
            Self::OverLimit => ReasonCode::OverLimit,
            Self::BudgetSpent => ReasonCode::BudgetSpent,
        }
    }

    /// Whether the cause lies with a registry that may recover: the only gaps that `DangerWarn` lets pass.
    pub const fn is_outage(self) -> bool {
        matches!(self, Self::Unreachable | Self::Timeout | Self::Throttled)
    }
}

/// Something that was wanted and could not be read. A gap proves nothing, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// What was wanted.
    pub need: Need,
    /// Why it could not be read.
    pub cause: GapCause,
    /// One sentence for a person: what the registry did. No credentials, no query strings.
    pub detail: String,
}

impl Gap {
    /// The gap as a reason.
    pub fn reason(&self) -> Reason {
        Reason::new(self.cause.code(), &self.detail)
    }
}

/// Everything that was fetched about one subject, with its gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The repository that was asked.
    pub repository: Repository,
    /// The subject's digest; `None` where a tag could not be resolved, with a gap that says why.
    pub digest: Option<Digest>,
    /// Raw documents by digest. Only [`Evidence::insert`] adds one, so key and bytes always agree.
    documents: BTreeMap<Digest, Document>,
    /// Listings by subject (or child) and layout. An empty listing was read and holds nothing.
    pub listings: BTreeMap<(Digest, Layout), Vec<Listed>>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// Bytes that do not have the digest under which they were to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes have digest {found}, not {wanted}")]
pub struct WrongDigest {
    /// What was asked for.
    pub wanted: Digest,
    /// What the bytes hash to.
    pub found: Digest,
}

impl Evidence {
    /// Evidence about a subject, with nothing read yet.
    pub fn new(subject: &Subject) -> Self {
        Self::about(subject.repository.clone(), Some(subject.digest))
    }

    /// Evidence for a tag that could not be resolved.
    pub fn unresolved(repository: Repository, gap: Gap) -> Self {
        let mut evidence = Self::about(repository, None);
        evidence.gaps.push(gap);
        evidence
    }

    fn about(repository: Repository, digest: Option<Digest>) -> Self {
        Self { repository, digest, documents: BTreeMap::new(), listings: BTreeMap::new(), gaps: Vec::new() }
    }

    /// The subject, unless its tag could not be resolved.
    pub fn subject(&self) -> Option<Subject> {
        self.digest.map(|digest| Subject { repository: self.repository.clone(), digest })
    }

    /// Adds a document under the digest of its bytes.
    pub fn insert(&mut self, wanted: Digest, document: Document) -> Result<(), WrongDigest> {
        let found = Digest::of(&document.bytes);
        if found != wanted {
            return Err(WrongDigest { wanted, found });
        }
        self.documents.insert(wanted, document);
        Ok(())
    }

    /// The document with this digest.
    pub fn document(&self, digest: &Digest) -> Option<&Document> {
        self.documents.get(digest)
    }

    /// All documents, ordered by digest.
    pub fn documents(&self) -> impl Iterator<Item = (&Digest, &Document)> {
        self.documents.iter()
    }

    /// The gap that stands where this was wanted.
    pub fn gap(&self, need: &Need) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.need == *need)
    }

    /// Whether this has been read or has failed: asking again would not help.
    pub fn settled(&self, need: &Need) -> bool {
        let read = match need {
            Need::Resolve { .. } => self.digest.is_some(),
            Need::Manifest { digest } | Need::Blob { digest, .. } => self.documents.contains_key(digest),
            Need::Listing { of, layout } => self.listings.contains_key(&(*of, *layout)),
        };
        read || self.gap(need).is_some()
    }

    /// The digest that names this evidence: over its index, in which documents stand by digest.
    pub fn name(&self) -> Digest {
        canonical::digest(&self.wire(false))
    }

    /// The index as canonical JSON: everything but the bytes of the documents, which lie content-addressed.
    pub fn index_bytes(&self) -> Vec<u8> {
        canonical::to_vec(&self.wire(false))
    }

    /// The whole evidence as canonical JSON, for `--save-evidence`.
    pub fn to_bytes(&self) -> Vec<u8> {
        canonical::to_vec(&self.wire(true))
    }

    /// Reads what [`Evidence::to_bytes`] wrote. Each document's digest is checked again.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let wire: EvidenceWire = serde_json::from_slice(bytes)?;
        if wire.api_version != API_VERSION || wire.kind != KIND {
            return Err(EvidenceError::Kind { api_version: wire.api_version, kind: wire.kind });
        }
        let mut evidence = Self::about(wire.repository, wire.digest);
        for document in wire.documents {
            let content = document.content.ok_or(EvidenceError::NoContent(document.digest))?;
            let bytes = BASE64.decode(content).map_err(|_| EvidenceError::Base64(document.digest))?;
            evidence.insert(document.digest, Document { media_type: document.media_type, bytes: bytes.into() })?;
        }
        for listing in wire.listings {
            evidence.listings.insert((listing.of, listing.layout), listing.entries);
        }
        evidence.gaps = wire.gaps;
        Ok(evidence)
    }

    fn wire(&self, with_content: bool) -> EvidenceWire {
        let mut gaps = self.gaps.clone();
        gaps.sort();
        EvidenceWire {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            repository: self.repository.clone(),
            digest: self.digest,
            documents: (self.documents.iter())
                .map(|(digest, document)| DocumentWire {
                    digest: *digest,
                    media_type: document.media_type.clone(),
                    size: document.bytes.len() as u64,
                    content: with_content.then(|| BASE64.encode(&document.bytes)),
                })
                .collect(),
            listings: (self.listings.iter())
                .map(|((of, layout), entries)| ListingWire { of: *of, layout: *layout, entries: entries.clone() })
                .collect(),
            gaps,
        }
    }
}

/// Why saved evidence cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Not the JSON that attestry writes.
    #[error("saved evidence cannot be read")]
    Json(#[from] serde_json::Error),
    /// A document of another kind or version.
    #[error("this is {api_version:?} {kind:?}, not {API_VERSION} {KIND}")]
    Kind {
        /// The `apiVersion` found.
        api_version: String,
        /// The `kind` found.
        kind: String,
    },
    /// An index without content, as the decision log keeps it, cannot be replayed alone.
    #[error("document {0} has no content here: this is an index, not saved evidence")]
    NoContent(Digest),
    /// Content that is no base64.
    #[error("the content of document {0} is no base64")]
    Base64(Digest),
    /// Content that was changed.
    #[error("a saved document was changed")]
    WrongDigest(#[from] WrongDigest),
}

const KIND: &str = "Evidence";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EvidenceWire {
    api_version: String,
    kind: String,
    repository: Repository,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Digest>,
    documents: Vec<DocumentWire>,
    listings: Vec<ListingWire>,
    gaps: Vec<Gap>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DocumentWire {
    digest: Digest,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    media_type: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListingWire {
    of: Digest,
    layout: Layout,
    entries: Vec<Listed>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn sample() -> Evidence {
        let bytes = Bytes::from_static(b"{}");
        let digest = Digest::of(&bytes);
        let repository: Repository = "registry.example/app".parse().unwrap();
        let mut evidence = Evidence::new(&Subject { repository, digest });
        evidence.insert(digest, Document { media_type: "application/json".into(), bytes }).unwrap();
        evidence.listings.insert((digest, Layout::Referrers), Vec::new());
        evidence.gaps.push(Gap {
            need: Need::Listing { of: digest, layout: Layout::LegacySignatures },
            cause: GapCause::Throttled,
            detail: "429".into(),
        });
        evidence
    }

    #[test]
    fn saved_evidence_reads_back_and_keeps_its_name() {
        let evidence = sample();
        let again = Evidence::from_bytes(&evidence.to_bytes()).unwrap();
        assert_eq!(again, evidence);
        assert_eq!(again.name(), evidence.name());
        assert_eq!(Digest::of(evidence.index_bytes()), evidence.name());
    }

    #[test]
    fn attack_40_changed_bytes_are_refused() {
        let text = String::from_utf8(sample().to_bytes()).unwrap();
        let changed = text.replace(&BASE64.encode("{}"), &BASE64.encode("[]"));
        assert!(matches!(Evidence::from_bytes(changed.as_bytes()), Err(EvidenceError::WrongDigest(_))));
        assert!(matches!(Evidence::from_bytes(&sample().index_bytes()), Err(EvidenceError::NoContent(_))));
        assert!(Evidence::from_bytes(&text.as_bytes()[..text.len() - 1]).is_err());
    }

    #[test]
    fn documents_of_another_kind_or_version_are_no_evidence() {
        let text = String::from_utf8(sample().to_bytes()).unwrap();
        for (from, to) in [(API_VERSION, "attestry.dev/v9"), (KIND, "Policy")] {
            let changed = text.replacen(&format!("\"{from}\""), &format!("\"{to}\""), 1);
            assert_ne!(changed, text);
            assert!(matches!(Evidence::from_bytes(changed.as_bytes()), Err(EvidenceError::Kind { .. })), "{from}");
        }
    }
}
