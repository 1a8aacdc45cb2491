//! `attestry verify`: resolve, collect what the policies need, review, answer. The same path as everywhere else.

use attestry_core::decision::{Answer, Use};
use attestry_core::{Evidence, Reference, Review, Timestamp};
use attestry_oci::Budget;
use attestry_policy::{Namespace, NoPolicy, PolicySet, ReviewRequest, Session, Strictness};
use serde::Serialize;

use super::Context;
use crate::cli::VerifyArgs;
use crate::exit::{Exit, Failure};
use crate::{explain, files, keys, policies, registry};

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
    let reference = registry::reference(&args.image)?;
    let policies = policy_set(args, context)?;
    let namespace = args.namespace.as_ref().map(|name| Namespace {
        name: name.clone(),
        // Without a label on the command line the labels are not known, rather than none.
        labels: (!args.namespace_labels.is_empty()).then(|| args.namespace_labels.iter().cloned().collect()),
    });
    let request = ReviewRequest { repository: reference.repository().clone(), namespace };
    let mut session = policies.session(&request, Timestamp::now());

    let evidence = match &args.evidence {
        Some(path) => saved(&reference, &files::read(path, MAX_EVIDENCE)?, path)?,
        None => collect(args, &reference, &mut session, context)?,
    };
    if let Some(path) = &args.save_evidence {
        files::write(path, &evidence.to_bytes())?;
    }
    let review = session.review(&evidence);
    let strictness = if args.strict { Strictness::Strict } else { Strictness::AsWritten };
    let answer = attestry_policy::answer(&review, &reference, Use::Advice, NoPolicy::Deny, strictness);

    let pinned = review.subject.as_ref().map(|subject| reference.pin(subject.digest).to_string());
    let result = Verification { image: reference.to_string(), pinned, answer: &answer, review: &review };
    context.output.result("Verification", &result, || {
        explain::verification(&reference, result.pinned.as_deref(), &answer, &review, context.output.paint)
    })?;
    Ok(exit(&answer))
}

/// The exit code follows the answer, which knows modes and strictness; the verdict does not.
fn exit(answer: &Answer) -> Exit {
    match (answer.allowed, answer.undeterminable) {
        (true, _) => Exit::Done,
        (false, true) => Exit::Undeterminable,
        (false, false) => Exit::Untrusted,
    }
}

/// What is demanded: a directory of policies, or the one policy that `--key` or `--identity` stands for.
fn policy_set(args: &VerifyArgs, context: Context<'_>) -> Result<PolicySet, Failure> {
    if let Some(directory) = &args.policy {
        return policies::load(directory, context.output.paint);
    }
    let predicate_type = args.predicate_type.as_deref();
    let set = match (&args.key, &args.identity, &args.issuer) {
        (Some(path), ..) => {
            let key = keys::public(path)?;
            if attestry_sign::example_keys::is_example_key(&key.id()) {
                context
                    .output
                    .warning("this is an example key, whose private half is public: anybody can sign with it");
            }
            attestry_policy::key_policy(&key, predicate_type)
        }
        (None, Some(subject), Some(issuer)) => policies::identity_policy(subject, issuer, predicate_type),
        _ => return Err(Failure::usage("say what is demanded: --policy DIR, --key FILE, or --identity with --issuer")),
    };
    set.map_err(|errors| {
        let problems: Vec<String> = errors.problems().iter().map(|problem| problem.message.clone()).collect();
        Failure::usage(problems.join("; "))
    })
}

fn collect(
    args: &VerifyArgs,
    reference: &Reference,
    session: &mut Session<&PolicySet>,
    context: Context<'_>,
) -> Result<Evidence, Failure> {
    let client = registry::client(&args.registry, context.environment, reference.repository())?;
    let progress = context.output.progress(format!("reading what is known of {reference}"));
    let evidence = registry::block_on(async {
        let budget = Budget::default();
        match client.resolve(reference, &budget).await {
            Ok(subject) => Ok(client.collect(&subject, &budget, |evidence| session.needs(evidence)).await),
            Err(gap) => Ok(Evidence::unresolved(reference.repository().clone(), gap)),
        }
    });
    drop(progress);
    context.output.detail(|| format!("registry requests: {}", client.stats()));
    evidence
}

/// Saved evidence, which must be about the image that was named.
pub(super) fn saved(reference: &Reference, bytes: &[u8], path: &std::path::Path) -> Result<Evidence, Failure> {
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
