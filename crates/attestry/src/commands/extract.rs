//! `attestry extract`: a predicate on standard output, if a requirement about its type is met.
//!
//! The review is the one of `verify`; what is printed is the statement that its proof names.

use attestry_core::attachment::Attachments;
use attestry_core::evidence::Layout;
use attestry_core::predicate::PredicateFormat;
use attestry_core::review::{Outcome, Proof, RequirementReview};
use attestry_core::verify::{Candidate, Reading, SubjectDigests};
use attestry_core::{Evidence, Review, Verdict};
use attestry_policy::PolicySet;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Context, demand, verify};
use crate::cli::ExtractArgs;
use crate::exit::{Exit, Failure};
use crate::{explain, registry};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extract<'a> {
    image: String,
    proof: &'a Proof,
    predicate: &'a RawValue,
}

pub(super) fn run(args: &ExtractArgs, context: Context<'_>) -> Result<Exit, Failure> {
    let reference = registry::reference(&args.image)?;
    let policies = demand::policy_set(&args.demand, Some(&args.predicate_type), context)?;
    let verify::Judged { review, evidence, .. } =
        verify::judge(&reference, &policies, &args.demand, args.evidence.as_deref(), &args.registry, context)?;
    let wanted = Wanted::new(&args.predicate_type);
    if let Some(finding) = review.findings.first() {
        return Err(Failure::untrusted(finding.to_string()).hint(finding.code.hint()));
    }
    let Some(proof) = wanted.proof(&review) else { return Err(wanted.missing(&review)) };
    // The proof names an attachment of the evidence that was just judged.
    let predicate = predicate(&policies, &evidence, &review, proof)
        .ok_or_else(|| Failure::failed("the evidence no longer holds what the review proved"))?;
    for line in explain::proofs(&review) {
        context.output.detail(|| line.clone());
    }
    let pinned = review.subject.as_ref().map_or_else(|| reference.to_string(), |s| reference.pin(s.digest).to_string());
    let extract = Extract { image: pinned, proof, predicate: &predicate };
    context.output.result("Extract", &extract, || predicate.get().to_owned())?;
    Ok(Exit::Done)
}

/// The type that was asked for.
struct Wanted<'a> {
    text: &'a str,
    format: Option<PredicateFormat>,
}

impl<'a> Wanted<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, format: PredicateFormat::from_short_name(text) }
    }

    fn covers(&self, predicate_type: &str) -> bool {
        self.format.map_or(predicate_type == self.text, |format| format.covers(predicate_type))
    }

    /// A proof of that type in a requirement that is met.
    fn proof<'r>(&self, review: &'r Review) -> Option<&'r Proof> {
        let met = requirements(review).into_iter().filter(|requirement| requirement.outcome == Outcome::Met);
        let mut proofs = met.flat_map(|requirement| &requirement.proofs);
        proofs.find(|proof| proof.predicate_type.as_deref().is_some_and(|uri| self.covers(uri)))
    }

    /// Why there is none: what the unmet requirements say, or that none is about the type.
    fn missing(&self, review: &Review) -> Failure {
        let reasons = requirements(review).into_iter().filter(|r| r.outcome != Outcome::Met).flat_map(|r| &r.reasons);
        let told: Vec<String> = reasons.take(3).map(ToString::to_string).collect();
        if told.is_empty() {
            let message = format!("no requirement of the matching policies is about {}", self.text);
            return Failure::untrusted(message).hint("name a policy with an attestation requirement of that type");
        }
        let message = format!("no verified {}: {}", self.text, told.join("; "));
        match review.verdict {
            Verdict::Undeterminable => Failure::undeterminable(message),
            _ => Failure::untrusted(message),
        }
    }
}

/// All requirements, alternatives included.
fn requirements(review: &Review) -> Vec<&RequirementReview> {
    let top = review.policies.iter().flat_map(|policy| &policy.requirements);
    top.flat_map(|requirement| std::iter::once(requirement).chain(&requirement.alternatives)).collect()
}

/// The predicate of the statement that a proof names, as it was signed.
///
/// A blob's digest does not say how it is read: one that is a bundle to one manifest can be a legacy envelope to another,
/// with other words in it. So only what the proof's authority verifies again, under the same key, is printed.
fn predicate(policies: &PolicySet, evidence: &Evidence, review: &Review, proof: &Proof) -> Option<Box<RawValue>> {
    let (attachment, about) = (proof.attachment?, proof.subject?);
    let authority = policies.authorities().get(proof.authority.as_ref()?)?;
    let subject = SubjectDigests::of(evidence, about);
    let layouts = [Layout::Referrers, Layout::LegacyAttestations, Layout::LegacySignatures];
    let found = layouts.into_iter().flat_map(|layout| Attachments::of(evidence, about, layout).found);
    found.filter(|found| found.digest == attachment).find_map(|found| {
        let Ok(Reading::Candidate(candidate)) = Candidate::read(&found, &subject) else { return None };
        let verified = authority.verify(&candidate, review.evaluated_at).ok()?;
        let same = Some(verified.key_id()) == proof.key_id
            && proof.predicate_type.as_deref() == Some(verified.get().predicate_type.as_str());
        same.then(|| verified.get().predicate.clone())
    })
}
