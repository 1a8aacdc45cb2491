//! Cases beside a policy: an image, saved evidence and a time, with the verdict that is expected.
//!
//! A case is one YAML file `cases/admit-….yaml` or `cases/deny-….yaml`. It is judged by the same code as
//! everything else, over evidence that `attestry verify --save-evidence` wrote, so a change of policy shows what it
//! changes before it reaches a cluster.

use std::collections::BTreeMap;

use attestry_core::{Digest, Reason, ReasonCode, Reference, Review, Timestamp, Verdict, decision::Answer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    answer::Tagged,
    compile::Namespace,
    document::Document,
    error::{PolicyErrors, Problem},
    source::{self, SourceFile},
};

/// `kind` of a case.
pub const KIND: &str = "PolicyCase";

/// What a case says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CaseSpec {
    /// The image reference as somebody would write it.
    pub image: String,
    /// What the tag beside its digest names. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tagged: Option<String>,
    /// The namespace it is to run in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The namespace's labels. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_labels: Option<BTreeMap<String, String>>,
    /// When it is judged, RFC 3339.
    pub now: String,
    /// Path of saved evidence, relative to the case.
    pub evidence: String,
    /// What must come out.
    pub expect: ExpectSpec,
}

/// What a case expects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectSpec {
    /// `trusted`, `untrusted` or `undeterminable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub verdict: Option<Verdict>,
    /// Whether the image may run.
    pub allowed: bool,
    /// Reason codes that must be among those of review and answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// A case that was read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// `metadata.name`.
    pub name: String,
    /// The image.
    pub image: Reference,
    /// What the tag beside its digest names, as far as the case says it.
    pub tagged: Tagged,
    /// The namespace, if one is given.
    pub namespace: Option<Namespace>,
    /// When it is judged.
    pub now: Timestamp,
    /// Path of saved evidence, relative to the case; never absolute, never above its policy.
    pub evidence: String,
    /// The verdict, if one is expected.
    pub verdict: Option<Verdict>,
    /// Whether the image may run.
    pub allowed: bool,
    /// Codes that must be among the reasons.
    pub reasons: Vec<ReasonCode>,
}

impl Case {
    /// Reads a case file, which holds one case. Its name says what it expects: `admit-…` or `deny-…`.
    pub fn parse(file: &SourceFile) -> Result<Self, PolicyErrors> {
        let mut errors = PolicyErrors::default();
        let documents = source::split(file, &mut errors);
        errors.clone().into_result()?;
        let [raw] = documents.as_slice() else {
            errors
                .push(Problem::of_file(&file.name, format!("a case file holds one document, not {}", documents.len())));
            return Err(errors);
        };
        let case = read(raw, &file.name, &mut errors);
        errors.clone().into_result()?;
        case.ok_or(errors)
    }

    /// What differs from the expectation, one sentence each; empty when the case holds.
    pub fn compare(&self, review: &Review, answer: &Answer) -> Vec<String> {
        let mut differences = Vec::new();
        if let Some(wanted) = self.verdict.filter(|wanted| *wanted != review.verdict) {
            differences.push(format!("the verdict is {}, not {}", review.verdict.as_str(), wanted.as_str()));
        }
        if answer.allowed != self.allowed {
            let word = |allowed| if allowed { "admitted" } else { "refused" };
            differences.push(format!("the image is {}, not {}", word(answer.allowed), word(self.allowed)));
        }
        let objections = answer.denials.iter().chain(&answer.warnings).map(|objection| &objection.reason);
        let found: Vec<ReasonCode> = review.reasons().chain(objections).map(|reason: &Reason| reason.code).collect();
        for wanted in self.reasons.iter().filter(|wanted| !found.contains(wanted)) {
            let mut names: Vec<&str> = found.iter().map(|code| code.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let instead = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            differences.push(format!("{wanted} is not among the reasons ({instead})"));
        }
        differences
    }
}

fn read(raw: &source::RawDocument<'_>, file: &str, errors: &mut PolicyErrors) -> Option<Case> {
    let at = raw.at(Some(KIND));
    if raw.root.text("apiVersion") != Some(attestry_core::API_VERSION) || raw.root.text("kind") != Some(KIND) {
        let hint = format!("begin with apiVersion: {} and kind: {KIND}", attestry_core::API_VERSION);
        errors.push(at.problem("this is no policy case").hint(hint));
        return None;
    }
    let document: Document<CaseSpec> = match raw.read(Some(KIND)) {
        Ok(document) => document,
        Err(problem) => {
            errors.push(*problem);
            return None;
        }
    };
    let (spec, at) = (document.spec, at.field("spec"));
    let image = match spec.image.parse::<Reference>() {
        Ok(image) => Some(image),
        Err(error) => {
            errors.push(at.field("image").problem(error.to_string()));
            None
        }
    };
    let tagged = match spec.tagged.as_deref().map(str::parse::<Digest>) {
        None => Tagged::NotAsked,
        Some(Ok(digest)) => Tagged::Names(digest),
        Some(Err(error)) => {
            errors.push(at.field("tagged").problem(error.to_string()));
            Tagged::NotAsked
        }
    };
    if tagged != Tagged::NotAsked
        && !image.as_ref().is_none_or(|image| image.tag().is_some() && image.digest().is_some())
    {
        errors.push(at.field("tagged").problem("the image is not named by a tag beside a digest"));
    }
    let now = crate::duration::parse_time(&spec.now);
    if now.is_none() {
        let problem = at.field("now").problem(format!("{:?} is no time", spec.now));
        errors.push(problem.hint("write RFC 3339, such as 2026-01-01T00:00:00Z"));
    }
    let mut reasons = Vec::new();
    for (index, text) in spec.expect.reasons.iter().enumerate() {
        match text.parse::<ReasonCode>() {
            Ok(code) => reasons.push(code),
            Err(error) => {
                let mut problem = at.field("expect").field("reasons").index(index).problem(error.to_string());
                problem.hint = crate::error::suggest(text, ReasonCode::ALL.iter().map(|code| code.as_str()));
                errors.push(problem);
            }
        }
    }
    if spec.namespace_labels.is_some() && spec.namespace.is_none() {
        errors.push(at.field("namespaceLabels").problem("labels are given without a namespace"));
    }
    if spec.evidence.is_empty()
        || spec.evidence.starts_with('/')
        || spec.evidence.split('/').filter(|part| *part == "..").count() > 1
    {
        let hint = "write a path relative to the case, inside its policy's folder";
        errors.push(at.field("evidence").problem(format!("{:?} is no path of evidence", spec.evidence)).hint(hint));
    }
    // The name is the verdict: a reader of the folder must not be misled.
    let base = file.rsplit('/').next().unwrap_or(file);
    for (prefix, allowed) in [("admit-", true), ("deny-", false)] {
        if base.starts_with(prefix) && spec.expect.allowed != allowed {
            let message = format!("the file's name begins with {prefix}, but allowed is {}", spec.expect.allowed);
            errors.push(at.field("expect").field("allowed").problem(message));
        }
    }
    Some(Case {
        name: document.metadata.name,
        image: image?,
        tagged,
        namespace: spec.namespace.map(|name| Namespace { name, labels: spec.namespace_labels }),
        now: now?,
        evidence: spec.evidence,
        verdict: spec.expect.verdict,
        allowed: spec.expect.allowed,
        reasons,
    })
}

#[cfg(test)]
mod tests;
