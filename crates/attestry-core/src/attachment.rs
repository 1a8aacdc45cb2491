//! The signatures and attestations found in the evidence, in one form for every layout.
//!
//! Interpretation only: which blobs are attachments of a subject, which documents are still to be read, and what
//! stands in the way. Annotations and index entries may order what is read next; they never filter it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    Digest, Evidence, Need, Needs, Reason, ReasonCode,
    evidence::{BlobRole, Layout, Listed},
    legacy::{
        CERTIFICATE_ANNOTATION, CHAIN_ANNOTATION, DSSE_LAYER, LOG_ANNOTATION, SIGNATURE_ANNOTATION, SIMPLE_SIGNING,
        TIMESTAMP_ANNOTATION,
    },
    manifest::{Descriptor, ImageManifest, Manifest},
};

/// How many attachments of one subject are read, those of its children included.
pub const MAX_ATTACHMENTS: usize = 128;
/// How many bytes of attachments one list may hold, each as often as it is listed: one blob under many names is read,
/// decoded and kept as often.
pub const MAX_ATTACHED: u64 = 256 << 20;
/// What every Sigstore bundle's layer type begins with.
const BUNDLE_PREFIX: &str = "application/vnd.dev.sigstore.bundle";

/// A stored bundle or legacy layer with its bytes. Nothing in it has been verified.
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Digest of the blob, which names the attachment.
    pub digest: Digest,
    /// Digest of the manifest that lists it.
    pub manifest: Digest,
    /// What the blob is.
    pub form: Form,
    /// The blob.
    pub bytes: Bytes,
}

/// What an attachment's blob is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A Sigstore bundle.
    Bundle,
    /// A simple-signing payload; the signature stands in the layer's annotation.
    SimpleSigning(LegacyMaterial),
    /// A DSSE envelope.
    Envelope(LegacyMaterial),
}

/// What a legacy layer's annotations carry, as they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LegacyMaterial {
    /// base64 signature over the payload; empty on envelopes.
    pub signature: String,
    /// PEM certificate of the signer.
    pub certificate: Option<String>,
    /// PEM certificates between it and a root, and often the root.
    pub chain: Option<String>,
    /// JSON of a Rekor v1 entry with its promise.
    pub log_entry: Option<String>,
    /// JSON around an RFC 3161 response.
    pub timestamp: Option<String>,
}

/// What the evidence holds of one subject's attachments.
#[derive(Debug, Default)]
pub struct Attachments {
    /// Ready to be verified, in the order of their digests.
    pub found: Vec<Attachment>,
    /// Documents to be read next.
    pub pending: Needs,
    /// Why the picture is incomplete: gaps and bounds. While it is, absence proves nothing.
    pub incomplete: Vec<Reason>,
    /// What was read and proves nothing, worth telling a person.
    pub ignored: Vec<Reason>,
}

impl Attachments {
    /// The attachments of `of` in one layout.
    pub fn of(evidence: &Evidence, of: Digest, layout: Layout) -> Self {
        let mut out = Self::default();
        let need = Need::Listing { of, layout };
        let gap = evidence.gap(&need);
        // A listing can have entries and a gap: one of its sources failed. What is there may prove something, but
        // what is not there is not missing (attack 42).
        out.incomplete.extend(gap.map(|gap| gap.reason()));
        let Some(entries) = evidence.listings.get(&(of, layout)) else {
            if gap.is_none() {
                out.pending.insert(need);
            }
            return out;
        };
        let mut allowance = Allowance {
            manifests: MAX_ATTACHMENTS.saturating_sub(read_so_far(evidence)),
            layers: 2 * MAX_ATTACHMENTS,
            bytes: MAX_ATTACHED,
        };
        let mut ordered: Vec<&Listed> = entries.iter().collect();
        ordered.sort_by_key(|entry| rank(entry));
        for entry in ordered {
            out.add_entry(evidence, of, layout, entry.digest, &mut allowance);
        }
        out.found.sort_by_key(|attachment| (attachment.digest, attachment.manifest));
        out
    }

    /// Whether everything that the layout can hold has been read.
    pub fn complete(&self) -> bool {
        self.pending.is_empty() && self.incomplete.is_empty()
    }

    fn add_entry(
        &mut self,
        evidence: &Evidence,
        of: Digest,
        layout: Layout,
        digest: Digest,
        allowance: &mut Allowance,
    ) {
        let need = Need::Manifest { digest };
        let Some(document) = evidence.document(&digest) else {
            match evidence.gap(&need) {
                Some(gap) => self.incomplete.push(gap.reason()),
                None if allowance.manifests == 0 => self.over_limit(of),
                None => {
                    allowance.manifests -= 1;
                    self.pending.insert(need);
                }
            }
            return;
        };
        let manifest = match Manifest::parse(&document.media_type, &document.bytes) {
            Ok(Manifest::Image(manifest)) => manifest,
            // An index can be a referrer of something, but it holds no signature.
            Ok(Manifest::Index(_)) => return,
            Err(error) => {
                let reason = Reason::new(ReasonCode::BundleMalformed, format!("attachment {digest}: {error}"));
                self.ignored.push(reason.with("attachment", digest));
                return;
            }
        };
        // A registry can list anything under our digest; the manifest itself must say so too (attack 44).
        if layout == Layout::Referrers && manifest.subject.as_ref().is_none_or(|s| s.digest != of) {
            let message = format!("attachment {digest} is listed for {of}, but its manifest names another subject");
            self.ignored.push(Reason::new(ReasonCode::SubjectMismatch, message).with("attachment", digest));
            return;
        }
        let forms = forms(&manifest);
        if forms.len() > MAX_ATTACHMENTS {
            // What is not read is not missing (attack 79).
            self.over_limit(of);
        }
        for (layer, form) in forms.into_iter().take(MAX_ATTACHMENTS) {
            let Some(left) = allowance.take(layer.size) else {
                self.over_limit(of);
                return;
            };
            *allowance = left;
            self.add_layer(evidence, digest, layer, form);
        }
    }

    fn add_layer(&mut self, evidence: &Evidence, manifest: Digest, layer: &Descriptor, form: Form) {
        let need = Need::Blob { digest: layer.digest, size: layer.size, role: BlobRole::Attachment };
        match (evidence.document(&layer.digest), evidence.gap(&need)) {
            (Some(document), _) => {
                let bytes = document.bytes.clone();
                self.found.push(Attachment { digest: layer.digest, manifest, form, bytes });
            }
            (None, Some(gap)) => self.incomplete.push(gap.reason()),
            (None, None) => {
                self.pending.insert(need);
            }
        }
    }

    fn over_limit(&mut self, of: Digest) {
        if !self.incomplete.iter().any(|reason| reason.code == ReasonCode::OverLimit) {
            let message = format!("{of} has more or larger attachments than are read; the rest was not looked at");
            self.incomplete.push(Reason::new(ReasonCode::OverLimit, message));
        }
    }
}

/// What may still be read of one list.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    manifests: usize,
    layers: usize,
    bytes: u64,
}

impl Allowance {
    /// What is left after one more layer.
    fn take(self, size: u64) -> Option<Self> {
        Some(Self { layers: self.layers.checked_sub(1)?, bytes: self.bytes.checked_sub(size)?, ..self })
    }
}

/// The layers of a manifest that can hold evidence, with what they are. Other artifacts have none.
fn forms(manifest: &ImageManifest) -> Vec<(&Descriptor, Form)> {
    if let [layer] = manifest.layers.as_slice()
        && layer.media_type.starts_with(BUNDLE_PREFIX)
    {
        return vec![(layer, Form::Bundle)];
    }
    let legacy = manifest.layers.iter().filter_map(|layer| match layer.media_type.as_str() {
        SIMPLE_SIGNING => Some((layer, Form::SimpleSigning(LegacyMaterial::read(layer)))),
        DSSE_LAYER => Some((layer, Form::Envelope(LegacyMaterial::read(layer)))),
        _ => None,
    });
    legacy.collect()
}

impl LegacyMaterial {
    fn read(layer: &Descriptor) -> Self {
        let empty = BTreeMap::new();
        let annotations = layer.annotations.as_ref().unwrap_or(&empty);
        let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty());
        Self {
            signature: get(SIGNATURE_ANNOTATION).cloned().unwrap_or_default(),
            certificate: get(CERTIFICATE_ANNOTATION).cloned(),
            chain: get(CHAIN_ANNOTATION).cloned(),
            log_entry: get(LOG_ANNOTATION).cloned(),
            timestamp: get(TIMESTAMP_ANNOTATION).cloned(),
        }
    }
}

/// Attachments whose manifest was read or could not be, over all listings: what counts against the bound.
fn read_so_far(evidence: &Evidence) -> usize {
    let entries = evidence.listings.values().flatten();
    entries.filter(|entry| evidence.settled(&Need::Manifest { digest: entry.digest })).count()
}

/// Likely bundles first, then what says nothing useful, then what claims to be something else.
fn rank(entry: &Listed) -> (u8, Digest) {
    let class = match entry.artifact_type.as_deref() {
        Some(kind) if kind.starts_with(BUNDLE_PREFIX) => 0,
        None | Some("" | "application/vnd.oci.empty.v1+json") => 1,
        Some(_) => 2,
    };
    (class, entry.digest)
}

#[cfg(test)]
mod tests;
