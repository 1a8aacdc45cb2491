//! `attestry tree`: what is stored beside an image and the images in it, who signed it, and whether that is proven.

mod judge;
mod repair;

use attestry_core::attachment::{Attachment, Attachments, Form};
use attestry_core::evidence::Layout;
use attestry_core::manifest::{DOCKER_INDEX, Descriptor, MAX_CHILDREN, MAX_DEPTH, Manifest, OCI_INDEX};
use attestry_core::verify::{Candidate, Reading, SubjectDigests};
use attestry_core::{Digest, Evidence, Need, Needs, Reason, ReasonCode, Timestamp};
use attestry_oci::Budget;
use serde::Serialize;
use std::collections::BTreeMap;

use self::judge::{Judge, Signer};
use super::Context;
use crate::cli::TreeArgs;
use crate::exit::{Exit, Failure};
use crate::output::Paint;
use crate::registry;

/// What BuildKit writes on an attestation manifest of an index, and on its layers (moby/buildkit, docs/attestations).
const BUILDKIT_ABOUT: &str = "vnd.docker.reference.digest";
const BUILDKIT_TYPE: &str = "in-toto.io/predicate-type";

const LAYOUTS: [Layout; 3] = [Layout::Referrers, Layout::LegacySignatures, Layout::LegacyAttestations];

#[derive(Serialize)]
struct Tree {
    image: String,
    images: Vec<Branch>,
    /// Why the list may be incomplete.
    gaps: Vec<Reason>,
}

/// One image: the subject, or one of an index.
#[derive(Serialize)]
struct Branch {
    digest: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    attachments: Vec<Leaf>,
    /// BuildKit's attestation manifests of the index, which nobody signed on their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unsigned: Vec<Unsigned>,
}

/// A statement that only the index vouches for, as it describes itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unsigned {
    manifest: Digest,
    unverified_predicate_types: Vec<String>,
}

/// One attachment, as it describes itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Leaf {
    layout: Layout,
    /// `bundle`, `payload` or `envelope`.
    form: &'static str,
    content: Digest,
    manifest: Digest,
    size: usize,
    /// SHA-256 of what it signs. One signature can be stored in many attachments; this stays the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Digest>,
    /// What its statement says it is. Unverified, unless `signer` is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified_predicate_type: Option<String>,
    /// Who signed it, where that was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Signer>,
    /// Why it is not verified, or can prove nothing about this image.
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified: Option<Reason>,
}

pub(super) fn run(args: &TreeArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(&args.image)?;
    let judge = Judge::new(args, context)?;
    let client = registry::client(&args.registry, context.environment, reference.repository())?;
    let progress = context.output.progress(format!("reading what lies beside {reference}"));
    if args.repair {
        return repair::run(args, &reference, &client, context);
    }
    let evidence = registry::block_on(async {
        let budget = Budget::default();
        let subject = client.resolve(&reference, &budget).await.map_err(|gap| {
            let reason = gap.reason();
            Failure::undeterminable(format!("cannot resolve {reference}: {reason}")).hint(reason.code.hint())
        })?;
        Ok((client.collect(&subject, &budget, |evidence| needs(evidence, subject.digest)).await, subject))
    });
    drop(progress);
    let (evidence, subject) = evidence?;
    let (images, unread) = images(&evidence, subject.digest);
    let mut gaps: Vec<Reason> = evidence.gaps.iter().map(attestry_core::Gap::reason).chain(unread).collect();
    for Found { digest, .. } in &images {
        // Bounds are no gaps of the collection, and yet the list ends there.
        let bounded = LAYOUTS.into_iter().flat_map(|layout| Attachments::of(&evidence, *digest, layout).incomplete);
        gaps.extend(bounded);
    }
    gaps.sort();
    gaps.dedup();
    let images = images.into_iter().map(|found| branch(&evidence, &judge, found)).collect();
    let tree = Tree { image: reference.pin(subject.digest).to_string(), images, gaps };
    context.output.result("AttachmentTree", &tree, || describe(&tree, context.output.paint))?;
    Ok(if tree.gaps.is_empty() { Exit::Done } else { Exit::Undeterminable })
}

/// Everything that lies beside the subject and the images in it.
fn needs(evidence: &Evidence, subject: Digest) -> Needs {
    let mut needs = Needs::from([Need::Manifest { digest: subject }]);
    for Found { digest, is_index, .. } in images(evidence, subject).0 {
        for layout in LAYOUTS {
            needs.extend(Attachments::of(evidence, digest, layout).pending);
        }
        needs.extend(is_index.then_some(Need::Manifest { digest }));
        needs.extend(attestation_manifests(evidence, digest).map(|(_, digest)| Need::Manifest { digest }));
    }
    needs
}

/// BuildKit's attestation manifests of an index, with the image that each says it is about.
fn attestation_manifests(evidence: &Evidence, index: Digest) -> impl Iterator<Item = (Option<Digest>, Digest)> {
    let marked = entries(evidence, index).into_iter().filter(Descriptor::is_attestation_manifest);
    let about = |annotations: &BTreeMap<String, String>| annotations.get(BUILDKIT_ABOUT)?.parse().ok();
    marked.take(MAX_CHILDREN).map(move |entry| (entry.annotations.as_ref().and_then(about), entry.digest))
}

/// The entries of an index that was read.
fn entries(evidence: &Evidence, index: Digest) -> Vec<Descriptor> {
    let document = evidence.document(&index);
    match document.map(|d| Manifest::parse(&d.media_type, &d.bytes)) {
        Some(Ok(Manifest::Index(index))) => index.manifests,
        _ => Vec::new(),
    }
}

/// The subject, or something in it that runs or holds what runs.
struct Found {
    digest: Digest,
    platform: Option<String>,
    /// The indexes that list it; the subject itself is listed by none.
    listed_by: Vec<Digest>,
    is_index: bool,
}

/// The subject and, once its index was read, what is in it: as deep and as much as a review looks at.
fn images(evidence: &Evidence, subject: Digest) -> (Vec<Found>, Option<Reason>) {
    let mut images = vec![Found { digest: subject, platform: None, listed_by: Vec::new(), is_index: true }];
    let mut unread = None;
    let mut level = 0..1;
    for depth in 1..=MAX_DEPTH {
        let indexes: Vec<Digest> = images[level.clone()].iter().filter(|i| i.is_index).map(|i| i.digest).collect();
        level.start = images.len();
        for index in indexes {
            for entry in entries(evidence, index).into_iter().filter(|entry| !entry.is_attestation_manifest()) {
                if let Some(known) = images.iter_mut().find(|known| known.digest == entry.digest) {
                    known.listed_by.push(index);
                    continue;
                }
                let is_index = [OCI_INDEX, DOCKER_INDEX].contains(&entry.media_type.as_str());
                let runnable = images.iter().filter(|image| !image.is_index).count();
                if runnable == MAX_CHILDREN || images.len() > 2 * MAX_CHILDREN || (is_index && depth == MAX_DEPTH) {
                    let message = format!(
                        "{subject} holds more than {MAX_CHILDREN} images or nests deeper than {MAX_DEPTH} levels; the rest was not looked at"
                    );
                    unread = Some(Reason::new(ReasonCode::OverLimit, message));
                    continue;
                }
                let platform = entry.platform.as_ref().map(ToString::to_string);
                images.push(Found { digest: entry.digest, platform, listed_by: vec![index], is_index });
            }
        }
        level.end = images.len();
    }
    (images, unread)
}

fn branch(evidence: &Evidence, judge: &Judge, found: Found) -> Branch {
    let Found { digest, platform, listed_by, is_index } = found;
    let subject = SubjectDigests::of(evidence, digest);
    let found = LAYOUTS.into_iter().flat_map(|layout| {
        let attachments = Attachments::of(evidence, digest, layout).found;
        attachments.into_iter().map(move |attachment| (layout, attachment))
    });
    let attachments = found.map(|(layout, attachment)| leaf(layout, &attachment, &subject, judge)).collect();
    // What BuildKit says of this image in the index that lists it; what it says of no image stands with the index.
    let of_image = listed_by.into_iter().flat_map(|index| attestation_manifests(evidence, index));
    let of_image = of_image.filter(|(about, _)| *about == Some(digest));
    let of_nothing = is_index.then_some(digest).into_iter().flat_map(|index| attestation_manifests(evidence, index));
    let of_nothing = of_nothing.filter(|(about, _)| about.is_none_or(|about| about == digest));
    let unsigned = of_image.chain(of_nothing).map(|(_, manifest)| unsigned(evidence, manifest)).collect();
    Branch { digest, platform, attachments, unsigned }
}

fn unsigned(evidence: &Evidence, manifest: Digest) -> Unsigned {
    let parsed = evidence.document(&manifest).map(|d| Manifest::parse(&d.media_type, &d.bytes));
    let layers = match parsed {
        Some(Ok(Manifest::Image(manifest))) => manifest.layers,
        _ => Vec::new(),
    };
    let named = layers.iter().filter_map(|layer| layer.annotations.as_ref()?.get(BUILDKIT_TYPE).cloned());
    Unsigned { manifest, unverified_predicate_types: named.collect() }
}

fn leaf(layout: Layout, attachment: &Attachment, subject: &SubjectDigests, judge: &Judge) -> Leaf {
    let candidate = Candidate::read(attachment, subject).and_then(|reading| match reading {
        Reading::Candidate(candidate) => Ok(candidate),
        Reading::Irrelevant => {
            Err(Reason::new(ReasonCode::SignatureMissing, "a signature over a file, which says nothing of images"))
        }
    });
    let about = candidate.as_ref().ok();
    let payload = about.map(|candidate| candidate.payload());
    let unverified_predicate_type = about.map(|candidate| candidate.unverified_predicate_type().to_owned());
    let (signer, unverified) = match candidate.and_then(|candidate| judge.signer(&candidate, Timestamp::now())) {
        Ok(signer) => (Some(signer), None),
        Err(reason) => (None, Some(reason)),
    };
    Leaf {
        layout,
        form: match attachment.form {
            Form::Bundle => "bundle",
            Form::SimpleSigning(_) => "payload",
            Form::Envelope(_) => "envelope",
        },
        content: attachment.digest,
        manifest: attachment.manifest,
        size: attachment.bytes.len(),
        payload,
        unverified_predicate_type,
        signer,
        unverified,
    }
}

fn describe(tree: &Tree, paint: Paint) -> String {
    let mut lines = vec![tree.image.clone()];
    for Branch { digest, platform, attachments, unsigned } in &tree.images {
        let indent = match platform {
            Some(platform) => {
                lines.push(format!("  {} {digest}", paint.strong(platform)));
                "    "
            }
            None => "  ",
        };
        if attachments.is_empty() && unsigned.is_empty() {
            lines.push(format!("{indent}nothing"));
        }
        for leaf in attachments {
            let claims = leaf.unverified_predicate_type.as_deref().map(|uri| attestry_core::reason::clean(uri, 200));
            let what = paint.strong(&claims.unwrap_or_else(|| "unreadable".to_owned()));
            lines.push(match (&leaf.signer, &leaf.unverified) {
                (Some(signer), _) => format!("{indent}{} {what} {}", paint.good("verified"), signer.describe()),
                (None, Some(reason)) => format!("{indent}{} {what} {reason}", paint.unsure("unverified")),
                (None, None) => format!("{indent}{what}"),
            });
            let place = match leaf.layout {
                Layout::Referrers => "referrer",
                Layout::LegacySignatures => "tag .sig",
                Layout::LegacyAttestations => "tag .att",
            };
            lines.push(format!("{indent}  {} {} ({place}, {} bytes)", leaf.form, leaf.content, leaf.size));
            lines.extend(leaf.payload.map(|payload| format!("{indent}  payload {payload}")));
        }
        for Unsigned { manifest, unverified_predicate_types } in unsigned {
            let types = unverified_predicate_types.iter().map(|uri| attestry_core::reason::clean(uri, 200));
            let types = types.collect::<Vec<_>>().join(", ");
            lines.push(format!("{indent}{} {}", paint.unsure("unsigned"), paint.strong(&types)));
            lines.push(format!("{indent}  BuildKit attestation manifest {manifest}, which only the index vouches for"));
        }
    }
    lines.extend(tree.gaps.iter().map(|gap| format!("{} {gap}", paint.unsure("not read:"))));
    lines
        .push(paint.faint("whoever can push to the repository can add to it; a verdict is what attestry verify gives"));
    lines.join("\n")
}
