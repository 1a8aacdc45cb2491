//! `attestry verify`: resolve, collect what the policies need, review, answer. The same path as everywhere else.

use attestry_core::decision::{Answer, Use};
use attestry_core::{Evidence, Reference, Review, Timestamp};
use attestry_oci::Budget;
use attestry_policy::{Namespace, NoPolicy, PolicySet, ReviewRequest, Session, Strictness, Tagged};
use serde::Serialize;
use std::path::Path;

use super::{Context, demand};
use crate::cli::{DemandArgs, RegistryArgs, VerifyArgs};
use crate::exit::{Exit, Failure};
use crate::{explain, files, registry};

/// Saved evidence holds its documents in base64: the default byte budget of a collection, a third more.
pub(super) const MAX_EVIDENCE: u64 = 384 << 20;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verification<'a> {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    answer: &'a Answer,
    review: &'a Review,
}

pub(super) fn run(args: &VerifyArgs, context: Context<'_>) -> Result<Exit, Failure> {
    if let (Some(file), Some(bundle)) = (&args.file, &args.bundle) {
        return super::verify_file::run(file, bundle, &args.demand, context);
    }
    let image = args.image.as_deref().ok_or_else(|| Failure::usage("name an image, or a file with --file"))?;
    let reference = registry::reference(image)?;
    let policies = demand::policy_set(&args.demand, args.predicate_type.as_deref(), context)?;
    let Judged { review, evidence, tagged } =
        judge(&reference, &policies, &args.demand, args.evidence.as_deref(), &args.registry, context)?;
    if let Some(path) = &args.save_evidence {
        files::write(path, &evidence.to_bytes())?;
    }
    let strictness = if args.strict { Strictness::Strict } else { Strictness::AsWritten };
    let answer = attestry_policy::answer(&review, &reference, &tagged, Use::Advice, NoPolicy::Deny, strictness);

    let pinned = review.subject.as_ref().map(|subject| reference.pin(subject.digest).to_string());
    let result = Verification { image: reference.to_string(), pinned, answer: &answer, review: &review };
    context.output.result("Verification", &result, || {
        explain::verification(&reference, result.pinned.as_deref(), &answer, &review, context.output.paint)
    })?;
    Ok(exit(&answer))
}

/// A review and what it stands on.
pub(super) struct Judged {
    pub(super) review: Review,
    pub(super) evidence: Evidence,
    /// What the tag beside the reference's digest names.
    pub(super) tagged: Tagged,
}

/// The review of an image, over saved evidence or over what its registry has.
pub(super) fn judge(
    reference: &Reference,
    policies: &PolicySet,
    demand: &DemandArgs,
    saved_evidence: Option<&Path>,
    registry: &RegistryArgs,
    context: Context<'_>,
) -> Result<Judged, Failure> {
    let namespace = demand.namespace.as_ref().map(|name| Namespace {
        name: name.clone(),
        // Without a label on the command line the labels are not known, rather than none.
        labels: (!demand.namespace_labels.is_empty()).then(|| demand.namespace_labels.iter().cloned().collect()),
    });
    let request = ReviewRequest { repository: reference.repository().clone(), namespace };
    let mut session = policies.session(&request, Timestamp::now());
    let (evidence, tagged) = match saved_evidence {
        Some(path) => (saved(reference, &files::read(path, MAX_EVIDENCE)?, path)?, Tagged::NotAsked),
        None => collect(registry, reference, &mut session, context)?,
    };
    Ok(Judged { review: session.review(&evidence), evidence, tagged })
}

/// The exit code follows the answer, which knows modes and strictness; the verdict does not.
fn exit(answer: &Answer) -> Exit {
    match (answer.allowed, answer.undeterminable) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Undeterminable,
        (false, false) => Exit::Untrusted,
    }
}

fn collect(
    args: &RegistryArgs,
    reference: &Reference,
    session: &mut Session<&PolicySet>,
    context: Context<'_>,
) -> Result<(Evidence, Tagged), Failure> {
    let client = registry::client(args, context.environment, reference.repository())?;
    let progress = context.output.progress(format!("reading what is known of {reference}"));
    let evidence = registry::block_on(async {
        let budget = Budget::default();
        match client.resolve(reference, &budget).await {
            Ok(subject) => {
                let evidence = client.collect(&subject, &budget, |evidence| session.needs(evidence)).await;
                Ok((evidence, Tagged::of(client.resolve_beside(reference, &budget).await)))
            }
            Err(gap) => Ok((Evidence::unresolved(reference.repository().clone(), gap), Tagged::NotAsked)),
        }
    });
    drop(progress);
    context.output.detail(|| format!("registry requests: {}", client.stats()));
    evidence
}

/// Saved evidence, which must be about the image that was named.
pub(super) fn saved(reference: &Reference, bytes: &[u8], path: &Path) -> Result<Evidence, Failure> {
    let evidence = Evidence::from_bytes(bytes)
        .map_err(|error| anyhow::Error::from(error).context(format!("{} is no saved evidence", path.display())))?;
    let repository_fits = evidence.repository == *reference.repository();
    let digest_fits = reference.digest().is_none_or(|digest| evidence.digest == Some(digest));
    if !repository_fits || !digest_fits {
        let about = match evidence.subject() {
            Some(subject) => subject.to_string(),
            None => format!("{}, whose tag could not be resolved", evidence.repository),
        };
        return Err(Failure::failed(format!("{} is evidence about {about}, not about {reference}", path.display())));
    }
    Ok(evidence)
}
