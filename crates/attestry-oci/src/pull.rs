//! Tags to subjects, digests to bytes.

use attestry_core::{
    Digest, Gap, Need, Reference, Repository, Subject,
    evidence::{BlobRole, Document},
    manifest::{Manifest, ManifestError},
    strict_json,
};
use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderName},
};

use crate::{
    Client,
    budget::{Budget, Kind},
    error::Fault,
    transport::{Answer, Call},
};

/// Every manifest type, so that no registry converts or picks a platform; the last is ORAS' former artifact type,
/// which some referrers still have.
pub(crate) const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json";
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

impl Client {
    /// Turns a reference into a subject. A reference with a digest is one already and costs no request; its tag
    /// is not looked at. The digest of a tag is the registry's word: it counts only once the manifest was read by
    /// that digest.
    pub async fn resolve(&self, reference: &Reference, budget: &Budget) -> Result<Subject, Gap> {
        if let Some(subject) = reference.subject() {
            return Ok(subject);
        }
        let (repository, tag) = (reference.repository(), reference.effective_tag());
        match self.resolve_tag(repository, tag.as_str(), budget).await {
            Ok(digest) => Ok(Subject { repository: repository.clone(), digest }),
            Err(fault) => Err(fault.gap(Need::Resolve { tag: tag.to_string() })),
        }
    }

    /// What the tag beside a digest names by now; `None` where the reference has not both. The digest decides what is
    /// judged either way.
    pub async fn resolve_beside(&self, reference: &Reference, budget: &Budget) -> Option<Result<Digest, Gap>> {
        let tag = reference.tag().filter(|_| reference.digest().is_some())?;
        let named = self.resolve_tag(reference.repository(), tag.as_str(), budget).await;
        Some(named.map_err(|fault| fault.gap(Need::Resolve { tag: tag.to_string() })))
    }

    /// Reads a manifest or index by digest.
    pub async fn pull_manifest(
        &self,
        repository: &Repository,
        digest: Digest,
        budget: &Budget,
    ) -> Result<Document, Gap> {
        (self.manifest(repository, digest, budget).await).map_err(|fault| fault.gap(Need::Manifest { digest }))
    }

    /// Reads a blob of the size that its manifest says.
    pub async fn pull_blob(
        &self,
        repository: &Repository,
        digest: Digest,
        size: u64,
        role: BlobRole,
        budget: &Budget,
    ) -> Result<Document, Gap> {
        let blob = self.blob(repository, digest, size, role, budget).await;
        blob.map_err(|fault| fault.gap(Need::Blob { digest, size, role }))
    }

    async fn resolve_tag(&self, repository: &Repository, tag: &str, budget: &Budget) -> Result<Digest, Fault> {
        let registry = self.transport.registries.of(repository)?;
        let url = registry.url(&format!("{}/manifests/{tag}", repository.path()));
        let mut call = Call::get(repository, url, Kind::Manifest);
        call.accept = Some(ACCEPT_MANIFESTS);
        call.method = Method::HEAD;
        let answer = self.transport.send(&registry, &call, budget).await?;
        match answer.status() {
            StatusCode::OK => {
                if let Some(digest) = answer.header(&CONTENT_DIGEST).and_then(|text| text.parse().ok()) {
                    return Ok(digest);
                }
            }
            // Some registries know no HEAD; GET says what it is about.
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED | StatusCode::BAD_REQUEST => {}
            _ => return Err(answer.fault()),
        }
        call.method = Method::GET;
        let answer = self.transport.send(&registry, &call, budget).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.fault());
        }
        let body = budget.within(answer.body(self.transport.limits.manifest, Some(budget))).await?;
        Ok(Digest::of(&body))
    }

    pub(crate) async fn manifest(
        &self,
        repository: &Repository,
        digest: Digest,
        budget: &Budget,
    ) -> Result<Document, Fault> {
        let answer = self.get_manifest(repository, &digest.to_string(), Kind::Manifest, budget).await?;
        let document = self.document(answer, self.transport.limits.manifest, budget).await?;
        check_digest(digest, &document.bytes)?;
        Ok(document)
    }

    pub(crate) async fn blob(
        &self,
        repository: &Repository,
        digest: Digest,
        size: u64,
        role: BlobRole,
        budget: &Budget,
    ) -> Result<Document, Fault> {
        let limits = &self.transport.limits;
        let limit = match role {
            BlobRole::Config => limits.config,
            BlobRole::Attachment => limits.attachment,
            // It would be held in memory.
            BlobRole::Layer => return Err(Fault::over_limit(format!("{digest} is a layer, which is no document"))),
        };
        let answer = self.get_blob(repository, digest, size, limit, budget).await?;
        // One byte more than announced is read, so that a longer body shows as a wrong size.
        let bytes = budget.within(answer.body(size + 1, Some(budget))).await?;
        check_blob(digest, size, Digest::of(&bytes), bytes.len() as u64)?;
        Ok(Document { media_type: String::new(), bytes })
    }

    /// GET of a blob of at most `limit` bytes, with status 200 and no other length than `size`, or a fault.
    pub(crate) async fn get_blob(
        &self,
        repository: &Repository,
        digest: Digest,
        size: u64,
        limit: u64,
        budget: &Budget,
    ) -> Result<Answer, Fault> {
        if size > limit {
            return Err(Fault::over_limit(format!("{digest} has {size} bytes; at most {limit} are read")));
        }
        let registry = self.transport.registries.of(repository)?;
        let url = registry.url(&format!("{}/blobs/{digest}", repository.path()));
        let answer = self.transport.send(&registry, &Call::get(repository, url, Kind::Blob), budget).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.fault());
        }
        // The size is known, so a longer body is refused before it is read (attacks 30 and 36).
        match answer.response.content_length() {
            Some(length) if length != size => Err(wrong_size(digest, size, length)),
            _ => Ok(answer),
        }
    }

    /// GET of a manifest by tag or digest, with status 200 or a fault.
    pub(crate) async fn get_manifest(
        &self,
        repository: &Repository,
        name: &str,
        kind: Kind,
        budget: &Budget,
    ) -> Result<Answer, Fault> {
        let registry = self.transport.registries.of(repository)?;
        let url = registry.url(&format!("{}/manifests/{name}", repository.path()));
        let call = Call { accept: Some(ACCEPT_MANIFESTS), ..Call::get(repository, url, kind) };
        let answer = self.transport.send(&registry, &call, budget).await?;
        if answer.status() == StatusCode::OK { Ok(answer) } else { Err(answer.fault()) }
    }

    /// Reads a manifest's body and settles its media type. The digest is still the caller's to check.
    pub(crate) async fn document(&self, answer: Answer, limit: u64, budget: &Budget) -> Result<Document, Fault> {
        let served = answer.media_type();
        let bytes = budget.within(answer.body(limit, Some(budget))).await?;
        let media_type = media_type(served, &bytes)?;
        Ok(Document { media_type, bytes })
    }
}

pub(crate) fn check_digest(wanted: Digest, bytes: &Bytes) -> Result<(), Fault> {
    same_digest(wanted, Digest::of(bytes))
}

/// Compares a blob as it was read with what its descriptor says.
pub(crate) fn check_blob(digest: Digest, size: u64, found: Digest, length: u64) -> Result<(), Fault> {
    if length != size {
        return Err(wrong_size(digest, size, length));
    }
    same_digest(digest, found)
}

fn same_digest(wanted: Digest, found: Digest) -> Result<(), Fault> {
    if found == wanted {
        return Ok(());
    }
    Err(Fault::malformed(format!("the registry sent {found} where {wanted} was asked for")))
}

fn wrong_size(digest: Digest, size: u64, found: u64) -> Fault {
    Fault::malformed(format!("{digest} has {found} bytes at the registry and {size} in the manifest that names it"))
}

/// The type of a manifest: as served, and as the document says where it does. Two answers would be two meanings
/// (attack 29). A document that cannot be read at all keeps the served type and proves nothing later.
fn media_type(served: Option<String>, bytes: &[u8]) -> Result<String, Fault> {
    #[derive(serde::Deserialize)]
    struct Inside {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
    }
    let inside = || strict_json::read::<Inside>(bytes).ok().and_then(|inside| inside.media_type);
    let Some(media_type) = served.or_else(inside) else {
        return Err(Fault::malformed(format!("the registry sent a manifest without {CONTENT_TYPE} and mediaType")));
    };
    match Manifest::parse(&media_type, bytes) {
        Err(error @ (ManifestError::TypesDisagree { .. } | ManifestError::Polyglot)) => {
            Err(Fault::malformed(error.to_string()))
        }
        _ => Ok(media_type),
    }
}
