//! Rebuilding the fallback index of a subject from the manifests that the registry still has.
//!
//! Entries of other writers often have a wrong type or no annotations (cosign issue 4641), and lost ones are lost from
//! the index only: the manifest stays. What is found again: every manifest that the index still names, that a tag of
//! the repository names, or whose digest is given. A registry without the referrers API names no others.

use std::collections::{BTreeMap, BTreeSet};

use attestry_core::{
    Digest, Subject,
    evidence::{Document, GapCause, Layout},
    manifest::{ImageManifest, Manifest},
    strict_json,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    Client,
    attach::FallbackList,
    budget::{Budget, Kind},
    error::{Fault, OciError},
    listing::{FallbackIndex, next_page, tag},
    tag_list::{TagContent, TagList},
    transport::Call,
};

/// How many tags are looked through.
const MAX_TAGS: usize = 1_000;
/// Requests of one repair: each tag is one, each entry of the index another, and the index is read and written again.
const REQUESTS: u32 = 4_000;

/// What was done to a fallback index, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// The tag of the index.
    pub tag: String,
    /// Entries that are in it now.
    pub listed: usize,
    /// Manifests that were missing.
    pub added: Vec<Digest>,
    /// Entries that said something else than their manifest.
    pub corrected: Vec<Digest>,
    /// Entries whose manifest is gone or cannot be read; they stay as they are.
    pub unreadable: Vec<Digest>,
}

impl Client {
    /// Rebuilds the fallback index of `subject`; `known` are manifests that are said to be attached to it.
    pub async fn repair_listing(&self, subject: &Subject, known: &[Digest]) -> Result<Repaired, OciError> {
        let budget = Budget::new(Instant::now() + self.transport.limits.push_time, REQUESTS);
        let (repository, host) = (&subject.repository, subject.repository.host());
        let _turn = self.turns.of(subject).await;
        let listed = self.listed_entries(subject, &budget).await?;
        let tagged = self.tagged(subject, &budget).await.map_err(|fault| fault.error(host))?;
        // What the referrers API lists needs no index.
        let api = self.referrers(repository, subject.digest, &budget).await;
        let served: BTreeSet<Digest> = api.entries.iter().map(|entry| entry.digest).collect();

        let mut repaired = Repaired {
            tag: tag(subject.digest, Layout::Referrers),
            listed: listed.len(),
            added: Vec::new(),
            corrected: Vec::new(),
            unreadable: Vec::new(),
        };
        let mut right = BTreeMap::new();
        let digests: BTreeSet<Digest> = listed.keys().chain(&tagged).chain(known).copied().collect();
        for digest in digests.into_iter().filter(|digest| !served.contains(digest)) {
            match (self.entry(subject, digest, &budget).await, listed.get(&digest)) {
                (Ok(Some(entry)), Some(found)) if entry != *found => {
                    repaired.corrected.push(digest);
                    right.insert(digest.to_string(), entry);
                }
                (Ok(Some(entry)), None) => {
                    repaired.added.push(digest);
                    right.insert(digest.to_string(), entry);
                }
                (Ok(_), _) => {}
                (Err(_), Some(_)) => repaired.unreadable.push(digest),
                (Err(fault), None) => return Err(fault.error(host)),
            }
        }
        if let Some(first) = right.values().next().cloned() {
            let list = FallbackList { client: self, subject, tag: repaired.tag.clone() };
            let list = RightList { list, right: &right };
            self.add_to_tag(&list, first, &budget).await?;
            let now = self.listed_entries(subject, &budget).await?;
            // Another writer may have put a wrong entry back meanwhile.
            let told = |entry: Option<&Value>, name: &str| entry.and_then(|entry| entry.get(name)).cloned();
            let wrong = |digest: &&Digest| {
                let (found, right) = (now.get(*digest), right.get(&digest.to_string()));
                found.is_none()
                    || ["mediaType", "artifactType", "size"].iter().any(|n| told(found, n) != told(right, n))
            };
            if let Some(wrong) = repaired.added.iter().chain(&repaired.corrected).find(wrong) {
                return Err(OciError::NotListed { host: host.to_owned(), manifest: *wrong, of: subject.digest });
            }
            repaired.listed = now.len();
        }
        Ok(repaired)
    }

    /// The entries of the index as they are written.
    async fn listed_entries(&self, subject: &Subject, budget: &Budget) -> Result<BTreeMap<Digest, Value>, OciError> {
        let host = subject.repository.host();
        let found = self.fallback_index(&subject.repository, subject.digest, budget).await;
        let FallbackIndex::Index { body, .. } = found.map_err(|fault| fault.error(host))? else {
            return Ok(BTreeMap::new());
        };
        let malformed = || Fault::malformed("the fallback index cannot be read").error(host);
        let index = strict_json::parse(&body).map_err(|_| malformed())?;
        let entries = index.get("manifests").and_then(Value::as_array).ok_or_else(malformed)?;
        let named = |entry: &Value| Some((entry.get("digest")?.as_str()?.parse().ok()?, entry.clone()));
        Ok(entries.iter().filter_map(named).collect())
    }

    /// The entry that a manifest's own words make, or `None` if it is attached to something else.
    async fn entry(&self, subject: &Subject, digest: Digest, budget: &Budget) -> Result<Option<Value>, Fault> {
        let document = self.manifest(&subject.repository, digest, budget).await?;
        let parsed = Manifest::parse(&document.media_type, &document.bytes);
        let Ok(Manifest::Image(manifest)) = parsed else { return Ok(None) };
        if manifest.subject.as_ref().is_none_or(|of| of.digest != subject.digest) {
            return Ok(None);
        }
        Ok(Some(descriptor(&document.media_type, digest, document.bytes.len(), &manifest)))
    }

    /// Manifests that tags name and that say they are attached to the subject.
    async fn tagged(&self, subject: &Subject, budget: &Budget) -> Result<Vec<Digest>, Fault> {
        let own = format!("sha256-{}", subject.digest.hex());
        let mut found = Vec::new();
        for name in self.tags(subject, budget).await?.into_iter().filter(|name| !name.starts_with(&own)) {
            let document = match self.tag_manifest(subject, &name, budget).await {
                Ok(document) => document,
                // Deleted since it was listed, or nothing that could be listed as an attachment.
                Err(fault) if matches!(fault.cause, GapCause::NotFound | GapCause::Malformed | GapCause::OverLimit) => {
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let parsed = Manifest::parse(&document.media_type, &document.bytes);
            if let Ok(Manifest::Image(manifest)) = parsed
                && manifest.subject.is_some_and(|of| of.digest == subject.digest)
            {
                found.push(Digest::of(&document.bytes));
            }
        }
        Ok(found)
    }

    async fn tag_manifest(&self, subject: &Subject, name: &str, budget: &Budget) -> Result<Document, Fault> {
        let answer = self.get_manifest(&subject.repository, name, Kind::Manifest, budget).await?;
        self.document(answer, self.transport.limits.manifest, budget).await
    }

    /// `GET /v2/<name>/tags/list`, all pages.
    async fn tags(&self, subject: &Subject, budget: &Budget) -> Result<Vec<String>, Fault> {
        let repository = &subject.repository;
        let registry = self.transport.registries.of(repository)?;
        let limits = &self.transport.limits;
        let mut next = Some(registry.url(&format!("{}/tags/list", repository.path())));
        let mut tags = Vec::new();
        for _ in 0..limits.listing_pages {
            let Some(url) = next.take() else { break };
            let answer = self.transport.send(&registry, &Call::get(repository, url, Kind::Listing), budget).await?;
            if answer.status() != reqwest::StatusCode::OK {
                return Err(answer.fault());
            }
            next = next_page(&registry, repository, &answer)?;
            let body = budget.within(answer.body(limits.listing, Some(budget))).await?;
            let page = strict_json::parse(&body).map_err(|_| Fault::malformed("the list of tags cannot be read"))?;
            let names = page.get("tags").and_then(Value::as_array).into_iter().flatten();
            tags.extend(names.filter_map(Value::as_str).map(str::to_owned));
        }
        if next.is_some() || tags.len() > MAX_TAGS {
            return Err(Fault::over_limit(format!(
                "the repository has more than {MAX_TAGS} tags, or more pages of them than are read"
            )));
        }
        Ok(tags)
    }
}

/// As the distribution specification describes an entry (§ referrers tag schema).
fn descriptor(media_type: &str, digest: Digest, size: usize, manifest: &ImageManifest) -> Value {
    let artifact_type = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
    let mut entry = json!({
        "mediaType": media_type, "digest": digest, "size": size, "artifactType": artifact_type,
    });
    if !manifest.annotations.is_empty() {
        entry["annotations"] = json!(manifest.annotations);
    }
    entry
}

/// The fallback index with the entries that are to be as `right` says, by digest.
struct RightList<'a> {
    list: FallbackList<'a>,
    right: &'a BTreeMap<String, Value>,
}

impl RightList<'_> {
    fn right_for(&self, entry: &Value) -> Option<&Value> {
        self.right.get(entry.get("digest")?.as_str()?)
    }
}

impl TagList for RightList<'_> {
    fn subject(&self) -> &Subject {
        self.list.subject()
    }

    fn tag(&self) -> &str {
        self.list.tag()
    }

    fn member(&self) -> &'static str {
        self.list.member()
    }

    /// An entry that is to be right is there only if it is right.
    fn same(&self, known: &Value, wanted: &Value) -> bool {
        self.list.same(known, wanted) && (self.right_for(wanted) != Some(wanted) || known == wanted)
    }

    async fn read(&self, budget: &Budget) -> Result<TagContent, OciError> {
        self.list.read(budget).await
    }

    async fn prepare(
        &self,
        document: Option<Value>,
        entries: Vec<Value>,
        budget: &Budget,
    ) -> Result<(String, Value), OciError> {
        let mut seen = BTreeSet::new();
        let entries = entries.iter().chain(self.right.values());
        let entries = entries.map(|entry| self.right_for(entry).unwrap_or(entry));
        let once = entries.filter(|entry| seen.insert(entry.get("digest").map(ToString::to_string))).cloned().collect();
        self.list.prepare(document, once, budget).await
    }
}
