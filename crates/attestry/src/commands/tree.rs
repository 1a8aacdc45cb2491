//! `attestry tree`: what is stored beside an image, verified or not.

use attestry_core::attachment::{Attachment, Attachments, Form};
use attestry_core::evidence::Layout;
use attestry_core::manifest::Manifest;
use attestry_core::verify::{Candidate, Reading, SubjectDigests};
use attestry_core::{Digest, Evidence, Need, Needs, Reason};
use attestry_oci::Budget;
use serde::Serialize;

use super::Context;
use crate::cli::TreeArgs;
use crate::exit::{Exit, Failure};
use crate::output::Paint;
use crate::registry;

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
    /// What its statement says it is. Unverified.
    #[serde(skip_serializing_if = "Option::is_none")]
    unverified_predicate_type: Option<String>,
    /// Why it can prove nothing about this image.
    #[serde(skip_serializing_if = "Option::is_none")]
    unusable: Option<Reason>,
}

pub(super) fn run(args: &TreeArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(&args.image)?;
    let client = registry::client(&args.registry, context.environment, reference.repository())?;
    let progress = context.output.progress(format!("reading what lies beside {reference}"));
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
    let images = images(&evidence, subject.digest);
    let mut gaps: Vec<Reason> = evidence.gaps.iter().map(attestry_core::Gap::reason).collect();
    for (digest, _) in &images {
        // Bounds are no gaps of the collection, and yet the list ends there.
        let bounded = LAYOUTS.into_iter().flat_map(|layout| Attachments::of(&evidence, *digest, layout).incomplete);
        gaps.extend(bounded);
    }
    gaps.sort();
    gaps.dedup();
    let images = images.into_iter().map(|(digest, platform)| branch(&evidence, digest, platform)).collect();
    let tree = Tree { image: reference.pin(subject.digest).to_string(), images, gaps };
    context.output.result("AttachmentTree", &tree, || describe(&tree, context.output.paint))?;
    Ok(if tree.gaps.is_empty() { Exit::Done } else { Exit::Undeterminable })
}

/// Everything that lies beside the subject and the images in it.
fn needs(evidence: &Evidence, subject: Digest) -> Needs {
    let mut needs = Needs::from([Need::Manifest { digest: subject }]);
    for (digest, _) in images(evidence, subject) {
        for layout in LAYOUTS {
            needs.extend(Attachments::of(evidence, digest, layout).pending);
        }
    }
    needs
}

/// The subject and, once its index was read, the runnable images in it.
fn images(evidence: &Evidence, subject: Digest) -> Vec<(Digest, Option<String>)> {
    let mut images = vec![(subject, None)];
    let document = evidence.document(&subject);
    if let Some(Ok(Manifest::Index(index))) = document.map(|d| Manifest::parse(&d.media_type, &d.bytes)) {
        let runnable = index.manifests.iter().filter(|entry| !entry.is_attestation_manifest());
        let named = runnable.map(|entry| (entry.digest, entry.platform.as_ref().map(ToString::to_string)));
        images.extend(named.take(attestry_core::manifest::MAX_CHILDREN));
    }
    images
}

fn branch(evidence: &Evidence, digest: Digest, platform: Option<String>) -> Branch {
    let subject = SubjectDigests::of(evidence, digest);
    let found = LAYOUTS.into_iter().flat_map(|layout| {
        let attachments = Attachments::of(evidence, digest, layout).found;
        attachments.into_iter().map(move |attachment| (layout, attachment))
    });
    let attachments = found.map(|(layout, attachment)| leaf(layout, &attachment, &subject)).collect();
    Branch { digest, platform, attachments }
}

fn leaf(layout: Layout, attachment: &Attachment, subject: &SubjectDigests) -> Leaf {
    let (unverified_predicate_type, unusable) = match Candidate::read(attachment, subject) {
        Ok(Reading::Candidate(candidate)) => (Some(candidate.unverified_predicate_type().to_owned()), None),
        Ok(Reading::Irrelevant) => (None, None),
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
        unverified_predicate_type,
        unusable,
    }
}

fn describe(tree: &Tree, paint: Paint) -> String {
    let mut lines = vec![tree.image.clone()];
    for Branch { digest, platform, attachments } in &tree.images {
        let indent = match platform {
            Some(platform) => {
                lines.push(format!("  {} {digest}", paint.strong(platform)));
                "    "
            }
            None => "  ",
        };
        if attachments.is_empty() {
            lines.push(format!("{indent}nothing"));
        }
        for leaf in attachments {
            let claims = leaf.unverified_predicate_type.as_deref().map(|uri| attestry_core::reason::clean(uri, 200));
            let what = match (&leaf.unusable, claims) {
                (Some(reason), _) => paint.bad(&reason.to_string()),
                (None, claims) => {
                    paint.strong(&claims.unwrap_or_else(|| "about something else than an image".to_owned()))
                }
            };
            let place = match leaf.layout {
                Layout::Referrers => "referrer",
                Layout::LegacySignatures => "tag .sig",
                Layout::LegacyAttestations => "tag .att",
            };
            lines.push(format!("{indent}{what}"));
            lines.push(format!("{indent}  {} {} ({place}, {} bytes)", leaf.form, leaf.content, leaf.size));
        }
    }
    lines.extend(tree.gaps.iter().map(|gap| format!("{} {gap}", paint.unsure("not read:"))));
    lines.push(paint.faint("nothing of this was verified: whoever can push to the repository can add to it"));
    lines.join("\n")
}
