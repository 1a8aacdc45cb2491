//! The lists of attachments: the referrers API merged with its fallback tag, and cosign's tags.

mod page;

use std::collections::{BTreeMap, HashSet};

use attestry_core::{
    Digest, GapCause, Repository,
    evidence::{Document, Layout, Listed},
    manifest::OCI_INDEX,
};
pub(crate) use page::PREDICATE_TYPE;
use reqwest::{StatusCode, header::LINK};
use url::Url;

use crate::{
    Client,
    budget::{Budget, Kind},
    error::Fault,
    link,
    pull::check_digest,
    registry::Registry,
    transport::{Answer, Call},
};

/// What was found in one layout. Entries that were read count even beside a fault: a met requirement stays met.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Listed>,
    /// Manifests that were read on the way.
    pub(crate) documents: Vec<(Digest, Document)>,
    /// Why the list may be incomplete.
    pub(crate) fault: Option<Fault>,
}

impl Listing {
    fn failed(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }
}

/// The tag of a layout, as cosign and the distribution specification name it.
pub(crate) fn tag(of: Digest, layout: Layout) -> String {
    let suffix = match layout {
        Layout::Referrers => "",
        Layout::LegacySignatures => ".sig",
        Layout::LegacyAttestations => ".att",
    };
    format!("sha256-{}{suffix}", of.hex())
}

impl Client {
    /// Lists the attachments of `of` in one layout. A true 404 is an empty list.
    pub(crate) async fn listing(
        &self,
        repository: &Repository,
        of: Digest,
        layout: Layout,
        budget: &Budget,
    ) -> Listing {
        match layout {
            Layout::Referrers => {
                // Both always: a registry that gained the API may hold older entries in the tag only.
                let (api, fallback) =
                    tokio::join!(self.referrers(repository, of, budget), self.fallback(repository, of, budget));
                merge(api, fallback, self.transport.limits.listing_entries)
            }
            Layout::LegacySignatures | Layout::LegacyAttestations => {
                match self.legacy(repository, &tag(of, layout), budget).await {
                    Ok(None) => Listing::default(),
                    Ok(Some(document)) => {
                        let digest = Digest::of(&document.bytes);
                        let entry = Listed { digest, artifact_type: None, predicate_type: None };
                        Listing { entries: vec![entry], documents: vec![(digest, document)], fault: None }
                    }
                    Err(fault) => Listing::failed(fault),
                }
            }
        }
    }

    /// The referrers API. Where it does not exist the list is empty: the fallback tag then holds everything.
    pub(crate) async fn referrers(&self, repository: &Repository, of: Digest, budget: &Budget) -> Listing {
        let registry = match self.transport.registries.of(repository) {
            Ok(registry) => registry,
            Err(fault) => return Listing::failed(fault),
        };
        let mut pages = Pages::new(&registry, repository, of);
        let mut listing = Listing::default();
        let mut read = 0;
        while let Some(url) = pages.next.take() {
            match self.page(&registry, repository, &mut pages, url, &mut read, &mut listing, budget).await {
                Ok(()) => {}
                Err(fault) => {
                    listing.fault = Some(fault);
                    break;
                }
            }
        }
        listing
    }

    #[expect(clippy::too_many_arguments, reason = "one page of the loop above, which owns all of it")]
    async fn page(
        &self,
        registry: &Registry,
        repository: &Repository,
        pages: &mut Pages,
        url: Url,
        read: &mut u64,
        listing: &mut Listing,
        budget: &Budget,
    ) -> Result<(), Fault> {
        let limits = &self.transport.limits;
        if pages.seen.len() >= limits.listing_pages {
            return Err(Fault::over_limit(format!("the listing has more than {} pages", limits.listing_pages)));
        }
        // Attack 35: pages in a circle.
        if !pages.seen.insert(url.to_string()) {
            return Err(Fault::malformed("the pages of the listing lead back to one that was read"));
        }
        let first = pages.seen.len() == 1;
        let call = Call { accept: Some(OCI_INDEX), ..Call::get(repository, url, Kind::Listing) };
        let answer = self.transport.send(registry, &call, budget).await?;
        match answer.status().as_u16() {
            200 => {}
            // The answers of registries without the API. Throttling, refusals and failures are not among them:
            // an unreadable list is not an empty one.
            303 | 400 | 404 | 405 | 406 | 501 if first => return Ok(()),
            _ => return Err(answer.fault()),
        }
        if answer.media_type().as_deref() != Some(OCI_INDEX) {
            if answer.redirected && first {
                // Sent to a web page: the same as "no such API".
                return Ok(());
            }
            return Err(Fault::malformed(format!("{} does not answer a listing with an OCI index", registry.host)));
        }
        pages.next = next_page(registry, repository, &answer)?;
        let body = budget.within(answer.body(limits.listing.saturating_sub(*read), Some(budget))).await?;
        *read += body.len() as u64;
        let page = page::read(&body).map_err(Fault::malformed)?;
        listing.entries.extend(page.entries);
        if listing.entries.len() > limits.listing_entries {
            return Err(too_many(limits.listing_entries));
        }
        if page.unreadable > 0 {
            // The pages behind it are read all the same: one bad entry must not hide a good one.
            listing.fault.get_or_insert(unreadable(page.unreadable));
        }
        Ok(())
    }

    /// The fallback tag `sha256-<hex>`.
    async fn fallback(&self, repository: &Repository, of: Digest, budget: &Budget) -> Listing {
        let found = match self.fallback_index(repository, of, budget).await {
            Ok(found) => found,
            Err(fault) => return Listing::failed(fault),
        };
        let FallbackIndex::Index { body, .. } = found else { return Listing::default() };
        match page::read(&body).map_err(Fault::malformed) {
            Err(fault) => Listing::failed(fault),
            Ok(page) => {
                let fault = (page.unreadable > 0).then(|| unreadable(page.unreadable));
                Listing { entries: page.entries, documents: Vec::new(), fault }
            }
        }
    }

    /// Reads the fallback tag without judging its entries.
    pub(crate) async fn fallback_index(
        &self,
        repository: &Repository,
        of: Digest,
        budget: &Budget,
    ) -> Result<FallbackIndex, Fault> {
        let answer = match self.get_manifest(repository, &tag(of, Layout::Referrers), Kind::Listing, budget).await {
            Ok(answer) => answer,
            Err(fault) if fault.cause == GapCause::NotFound => return Ok(FallbackIndex::Absent),
            Err(fault) => return Err(fault),
        };
        let etag = answer.header(&reqwest::header::ETAG).map(str::to_owned);
        let document = self.document(answer, self.transport.limits.listing, budget).await?;
        // GitLab finds the manifest itself under this tag; a tag may also be an ordinary image's (attack 33).
        if check_digest(of, &document.bytes).is_ok() {
            return Ok(FallbackIndex::Absent);
        }
        if document.media_type != OCI_INDEX {
            return Ok(FallbackIndex::Other(document.media_type));
        }
        Ok(FallbackIndex::Index { body: document.bytes, etag })
    }

    /// cosign's tag, or `None` on a true 404.
    async fn legacy(&self, repository: &Repository, tag: &str, budget: &Budget) -> Result<Option<Document>, Fault> {
        match self.get_manifest(repository, tag, Kind::Listing, budget).await {
            Ok(answer) => self.document(answer, self.transport.limits.manifest, budget).await.map(Some),
            Err(fault) if fault.cause == GapCause::NotFound && fault.status == Some(StatusCode::NOT_FOUND.as_u16()) => {
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }
}

/// What the fallback tag holds.
#[derive(Debug)]
pub(crate) enum FallbackIndex {
    /// Nothing, or the subject itself.
    Absent,
    /// Something of another type than an OCI index.
    Other(String),
    /// An index, as raw bytes.
    Index { body: bytes::Bytes, etag: Option<String> },
}

/// The walk over pages.
struct Pages {
    next: Option<Url>,
    seen: HashSet<String>,
}

impl Pages {
    fn new(registry: &Registry, repository: &Repository, of: Digest) -> Self {
        let first = registry.url(&format!("{}/referrers/{of}", repository.path()));
        Self { next: Some(first), seen: HashSet::new() }
    }
}

/// The next page. Registries behind proxies name hosts that only they know, and a hostile one names any (attack
/// 35): path and query are kept, and the origin stays ours.
pub(crate) fn next_page(registry: &Registry, repository: &Repository, answer: &Answer) -> Result<Option<Url>, Fault> {
    let values = answer.response.headers().get_all(LINK);
    let Some(target) = values.iter().filter_map(|value| value.to_str().ok()).find_map(link::next) else {
        return Ok(None);
    };
    let malformed = || Fault::malformed(format!("{} names a next page outside of the repository", registry.host));
    let target = answer.response.url().join(target).map_err(|_| malformed())?;
    // `Url` has resolved `..` by now.
    if !target.path().starts_with(&format!("/v2/{}/", repository.path())) {
        return Err(malformed());
    }
    let mut next = registry.origin.clone();
    next.set_path(target.path());
    next.set_query(target.query());
    Ok(Some(next))
}

/// One entry per digest, in the order in which they were listed; hints are taken from whoever has them.
fn merge(api: Listing, fallback: Listing, limit: usize) -> Listing {
    let mut entries: Vec<Listed> = Vec::new();
    let mut places: BTreeMap<Digest, usize> = BTreeMap::new();
    for entry in api.entries.into_iter().chain(fallback.entries) {
        match places.get(&entry.digest) {
            Some(place) => {
                let known = &mut entries[*place];
                known.artifact_type = known.artifact_type.take().or(entry.artifact_type);
                known.predicate_type = known.predicate_type.take().or(entry.predicate_type);
            }
            None => {
                places.insert(entry.digest, entries.len());
                entries.push(entry);
            }
        }
    }
    let mut fault = api.fault.or(fallback.fault);
    if entries.len() > limit {
        // What was read first is kept and may suffice (attack 79).
        entries.truncate(limit);
        fault = fault.or_else(|| Some(too_many(limit)));
    }
    Listing { entries, documents: Vec::new(), fault }
}

fn too_many(limit: usize) -> Fault {
    Fault::over_limit(format!("the listing has more than {limit} entries"))
}

fn unreadable(count: usize) -> Fault {
    Fault::malformed(format!("{count} entries of the listing are no descriptors with a sha256 digest"))
}

#[cfg(test)]
mod tests;
