//! Writing blobs and manifests.

use attestry_core::{Digest, Repository};
use bytes::Bytes;
use reqwest::{
    Method, StatusCode,
    header::{HeaderName, LOCATION},
};
use url::Url;

use crate::{
    Client,
    auth::Access,
    budget::Budget,
    error::{Fault, OciError},
    patience::{is_failure, patiently},
    registry::{Registry, authority},
    transport::{Answer, Call},
};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCTETS: &str = "application/octet-stream";
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What a registry said to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushOutcome {
    /// The digest of the bytes that were pushed.
    pub digest: Digest,
    /// Whether the registry answered `OCI-Subject`: it keeps the list of referrers itself.
    pub oci_subject: bool,
}

/// Under which circumstances a manifest is written.
#[derive(Debug, Default)]
pub(crate) struct Condition {
    /// Only over this version, where the registry honours it.
    pub(crate) if_match: Option<String>,
    /// Only if it is sent by then.
    pub(crate) not_after: Option<tokio::time::Instant>,
}

impl Client {
    /// Uploads a blob unless the repository has it. With `mount_from`, another repository of the same registry
    /// that may have it is asked to share it.
    pub async fn push_blob(
        &self,
        repository: &Repository,
        bytes: Bytes,
        mount_from: Option<&Repository>,
    ) -> Result<Digest, OciError> {
        let budget = Budget::of(self.transport.limits.push_time);
        self.upload(repository, bytes, mount_from, &budget).await.map(|(digest, _)| digest)
    }

    /// Uploads a manifest under a tag or under its own digest. What it names must be there already.
    pub async fn push_manifest(
        &self,
        repository: &Repository,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<PushOutcome, OciError> {
        let budget = Budget::of(self.transport.limits.push_time);
        self.store_manifest(repository, tag, media_type, bytes, &budget).await
    }

    /// The same within a budget. A blob that another upload is just linking looks damaged to the check of the
    /// registry, so refusals of the content are tried again as well.
    pub(crate) async fn store_manifest(
        &self,
        repository: &Repository,
        tag: Option<&str>,
        media_type: &str,
        bytes: Bytes,
        budget: &Budget,
    ) -> Result<PushOutcome, OciError> {
        let digest = Digest::of(&bytes);
        let name = tag.map_or_else(|| digest.to_string(), str::to_owned);
        let passes = |error: &OciError| is_failure(error) || matches!(error, OciError::Rejected { status: 400, .. });
        let put = || async {
            let answer =
                self.put_manifest(repository, &name, media_type, bytes.clone(), Condition::default(), budget).await?;
            self.accepted(repository, digest, answer, budget).await
        };
        patiently(passes, put).await
    }

    /// The digest, and whether the blob was there already.
    pub(crate) async fn upload(
        &self,
        repository: &Repository,
        bytes: Bytes,
        mount_from: Option<&Repository>,
        budget: &Budget,
    ) -> Result<(Digest, bool), OciError> {
        let digest = Digest::of(&bytes);
        let has_blob = || self.has_blob(repository, digest, budget);
        if patiently(is_failure, has_blob).await? {
            return Ok((digest, true));
        }
        match self.upload_once(repository, digest, bytes.clone(), mount_from, budget).await {
            // Two uploads of one blob at the same moment spoil each other on registries on plain files.
            Err(OciError::Rejected { status: 400 | 404 | 409 | 416, .. }) => {
                if !patiently(is_failure, has_blob).await? {
                    self.upload_once(repository, digest, bytes, None, budget).await?;
                }
            }
            other => other?,
        }
        Ok((digest, false))
    }

    async fn has_blob(&self, repository: &Repository, digest: Digest, budget: &Budget) -> Result<bool, OciError> {
        let host = repository.host();
        let registry = self.transport.registries.of(repository).map_err(|fault| fault.error(host))?;
        let url = registry.url(&format!("{}/blobs/{digest}", repository.path()));
        let call = Call::write(repository, Method::HEAD, url);
        let answer = self.transport.send(&registry, &call, budget).await.map_err(|fault| fault.error(host))?;
        match answer.status() {
            StatusCode::OK => Ok(true),
            // Where content is kept elsewhere, the registry says so only for what it has; the place itself is signed
            // for GET and would refuse a HEAD.
            status if status.is_redirection() => Ok(true),
            // Only GET is sure to be known; uploading what is there already harms nothing.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Ok(false),
            _ => Err(answer.fault().error(host)),
        }
    }

    async fn upload_once(
        &self,
        repository: &Repository,
        digest: Digest,
        bytes: Bytes,
        mount_from: Option<&Repository>,
        budget: &Budget,
    ) -> Result<(), OciError> {
        let host = repository.host();
        let registry = self.transport.registries.of(repository).map_err(|fault| fault.error(host))?;
        let send = async |call: Call<'_>| {
            self.transport.send(&registry, &call, budget).await.map_err(|fault| fault.error(host))
        };

        let mut start = registry.url(&format!("{}/blobs/uploads/", repository.path()));
        let mut call = Call::write(repository, Method::POST, start.clone());
        if let Some(from) = mount_from.filter(|from| from.host() == host && from.path() != repository.path()) {
            start.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from.path());
            call = Call { url: start, access: Access::Mount(from.path()), ..call };
        }
        call.body = Some((Bytes::new(), OCTETS.to_owned()));
        let answer = send(call).await?;
        match answer.status() {
            StatusCode::CREATED => return Ok(()),
            StatusCode::ACCEPTED => {}
            _ => return Err(self.rejected(host, answer, budget).await),
        }

        let mut place = upload_location(&registry, &answer).map_err(|fault| fault.error(host))?;
        place.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut call = Call::write(repository, Method::PUT, place);
        call.body = Some((bytes, OCTETS.to_owned()));
        let answer = send(call).await?;
        match answer.status() {
            StatusCode::CREATED => Ok(()),
            _ => Err(self.rejected(host, answer, budget).await),
        }
    }

    pub(crate) async fn put_manifest(
        &self,
        repository: &Repository,
        name: &str,
        media_type: &str,
        bytes: Bytes,
        condition: Condition,
        budget: &Budget,
    ) -> Result<Answer, OciError> {
        let host = repository.host();
        let limit = self.transport.limits.manifest;
        if bytes.len() as u64 > limit {
            return Err(OciError::TooLarge { what: "manifest", size: bytes.len() as u64, limit });
        }
        let registry = self.transport.registries.of(repository).map_err(|fault| fault.error(host))?;
        let url = registry.url(&format!("{}/manifests/{name}", repository.path()));
        let mut call = Call::write(repository, Method::PUT, url);
        call.body = Some((bytes, media_type.to_owned()));
        call.if_match = condition.if_match;
        call.not_after = condition.not_after;
        self.transport.send(&registry, &call, budget).await.map_err(|fault| fault.error(host))
    }

    /// Reads the answer to a pushed manifest.
    pub(crate) async fn accepted(
        &self,
        repository: &Repository,
        digest: Digest,
        answer: Answer,
        budget: &Budget,
    ) -> Result<PushOutcome, OciError> {
        let host = repository.host();
        if !answer.status().is_success() {
            return Err(self.rejected(host, answer, budget).await);
        }
        // A registry that stores other bytes than it was given would list something that nobody signed.
        if let Some(said) = answer.header(&CONTENT_DIGEST).filter(|said| *said != digest.to_string()) {
            let detail = format!("the registry stored the manifest as {said}, not as {digest}");
            return Err(Fault::malformed(detail).error(host));
        }
        Ok(PushOutcome { digest, oci_subject: answer.header(&OCI_SUBJECT).is_some() })
    }

    async fn rejected(&self, host: &str, answer: Answer, budget: &Budget) -> OciError {
        let status = answer.status();
        let fault = answer.fault();
        let message = answer.refusal(self.transport.limits.small, budget).await;
        match status.as_u16() {
            401 | 403 => OciError::Denied { host: host.to_owned(), detail: fault.detail },
            408 | 429 | 500..=599 => fault.error(host),
            status => OciError::Rejected { host: host.to_owned(), status, message },
        }
    }
}

/// Where an upload goes on. Registries behind a proxy name their own host with another scheme or port: the path
/// and query are kept then, and the origin stays ours, so that neither bytes nor credentials go elsewhere.
fn upload_location(registry: &Registry, answer: &Answer) -> Result<Url, Fault> {
    let malformed = || Fault::malformed(format!("{} starts an upload without a readable Location", registry.host));
    let location = answer.header(&LOCATION).ok_or_else(malformed)?;
    let target = answer.response.url().join(location).map_err(|_| malformed())?;
    if registry.is_same_origin(&target) || target.host_str() != registry.origin.host_str() {
        authority(&target)?;
        return Ok(target);
    }
    let mut place = registry.origin.clone();
    place.set_path(target.path());
    place.set_query(target.query());
    Ok(place)
}
