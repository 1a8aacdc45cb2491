//! Findings about policies, their requirements and the catalogs that they name.

use std::collections::BTreeSet;

use attestry_core::{
    Timestamp,
    review::{Mode, OnUndeterminable, TagRule},
};

use super::{
    Finding, Level, ends_soon, finding,
    identities::{Width, each, is_usable, width},
};
use crate::{
    base::Base,
    compile::{BaseImage, Policy, PolicySet, Provenance, Requirement, RequirementKind},
    document::Status,
    pattern::Pattern,
};

pub(super) fn policies(set: &PolicySet, now: Timestamp, findings: &mut Vec<Finding>) {
    for (index, policy) in set.policies().iter().enumerate() {
        scope(policy, findings);
        fail_open(policy, findings);
        for requirement in &policy.require {
            if !can_be_met(set, requirement, now) {
                let message = format!("no image can meet {:?} as things stand", requirement.name);
                let hint = "too few of its authorities, builds or digests are still good: see the other findings";
                findings.push(finding(Level::Error, "requirement-unsatisfiable", &requirement.place, message, hint));
            }
        }
        each(&policy.require, &mut |requirement| of_requirement(requirement, findings));
        for other in set.policies().iter().take(index) {
            if same_scope(policy, other) && same_requirements(policy, other) {
                let message = format!("it says the same as the policy {:?}", other.name);
                findings.push(finding(Level::Notice, "policy-twice", &policy.place, message, "keep one of them"));
            }
        }
    }
}

fn scope(policy: &Policy, findings: &mut Vec<Finding>) {
    let place = &policy.place;
    let catch_all = policy.images.iter().find(|glob| matches!(glob.source(), "**" | "*/**"));
    if catch_all.is_some()
        && policy.exclude_images.is_empty()
        && policy.namespaces.as_ref().is_none_or(|n| n.is_everywhere())
    {
        let message = "it is about every image everywhere, so no image is ever without a policy";
        let hint = "make sure that what it requires is enough to admit an image that nothing else matches";
        findings.push(finding(Level::Notice, "images-catch-all", place, message, hint));
    }
    for glob in policy.images.iter().filter(|glob| !matches!(glob.source(), "**" | "*/**")) {
        let host = glob.source().split('/').next().unwrap_or_default();
        if host.ends_with('*') {
            let message =
                format!("the host of {:?} ends in a wildcard, so it fits hosts of other people", glob.source());
            findings.push(finding(Level::Warning, "images-open-host", place, message, "write the whole host"));
        }
    }
    let excluded =
        |source: &str| policy.exclude_images.iter().any(|glob| glob.source() == source || glob.source() == "**");
    if policy.images.iter().all(|glob| excluded(glob.source())) {
        let message = "excludeImages takes out everything that images names";
        findings.push(finding(Level::Error, "policy-matches-nothing", place, message, "narrow excludeImages"));
    }
    let Some(namespaces) = &policy.namespaces else { return };
    if !namespaces.match_labels.is_empty() {
        let message = "it guards only namespaces with certain labels: without the label nothing is asked";
        let hint = "guard all namespaces and exclude some by name; whoever may edit a namespace may drop its label";
        findings.push(finding(Level::Warning, "namespace-opt-in", place, message, hint));
    } else if !namespaces.names.is_empty()
        && namespaces.names.iter().all(|glob| glob.source() != "*" && glob.source() != "**")
    {
        let message = "it guards only namespaces with certain names: a new one with another name is not guarded";
        let hint = "guard all namespaces and exclude some with excludeNames";
        findings.push(finding(Level::Notice, "namespace-opt-in", place, message, hint));
    }
}

fn fail_open(policy: &Policy, findings: &mut Vec<Finding>) {
    let place = &policy.place;
    if policy.mode != Mode::Enforce {
        let message = format!("its mode is {:?}: it refuses nothing", policy.mode);
        findings.push(finding(
            Level::Notice,
            "mode-not-enforced",
            place,
            message,
            "set mode: Enforce when it is ready",
        ));
    }
    if policy.on_undeterminable == OnUndeterminable::DangerWarn {
        let message = "while a registry cannot be reached it admits images of which nothing is known";
        let hint = "whoever can cut the registry off can admit anything; set onUndeterminable: Deny";
        findings.push(finding(Level::Warning, "fail-open-undeterminable", place, message, hint));
    }
    if policy.tags == TagRule::DangerResolve {
        let message = "a tag is judged as it points now, but a node may pull something else later";
        findings.push(finding(Level::Warning, "fail-open-tags", place, message, "set tags: Pin or Deny"));
    }
}

fn of_requirement(requirement: &Requirement, findings: &mut Vec<Finding>) {
    let place = &requirement.place;
    match &requirement.kind {
        RequirementKind::Provenance(provenance) => of_provenance(provenance, requirement, findings),
        RequirementKind::AnyOf(alternatives) if alternatives.len() == 1 => {
            let message = format!("{:?} has one alternative only", requirement.name);
            findings.push(finding(Level::Notice, "any-of-single", place, message, "write it without anyOf"));
        }
        RequirementKind::Attestation(_)
        | RequirementKind::Signature(_)
        | RequirementKind::AnyOf(_)
        | RequirementKind::BaseImage(_)
        | RequirementKind::Config(_)
        | RequirementKind::Digests(_) => {}
    }
}

fn of_provenance(provenance: &Provenance, requirement: &Requirement, findings: &mut Vec<Finding>) {
    let place = &requirement.place;
    let open = |patterns: &[Pattern]| {
        patterns.is_empty() || patterns.iter().any(|pattern| matches!(width(pattern), Width::CatchAll | Width::Open))
    };
    if open(&provenance.builders) {
        let message = format!("{:?} accepts any builder", requirement.name);
        findings.push(finding(
            Level::Warning,
            "provenance-any-builder",
            place,
            message,
            "list the builders that you trust",
        ));
    }
    if open(&provenance.sources) {
        let message = format!("{:?} accepts any source repository", requirement.name);
        findings.push(finding(Level::Warning, "provenance-any-source", place, message, "list your repositories"));
    }
}

/// Whether some image could meet a requirement at `now`.
fn can_be_met(set: &PolicySet, requirement: &Requirement, now: Timestamp) -> bool {
    let usable = |kind: &RequirementKind| {
        let good = kind.authorities().iter().filter(|authority| is_usable(set, authority, now));
        good.map(|authority| authority.id()).collect::<BTreeSet<_>>().len()
    };
    match &requirement.kind {
        RequirementKind::Signature(signature) => usable(&requirement.kind) >= signature.threshold,
        RequirementKind::Attestation(_) | RequirementKind::Provenance(_) => usable(&requirement.kind) > 0,
        RequirementKind::BaseImage(base) => has_good_build(base, now),
        RequirementKind::Config(_) => true,
        RequirementKind::Digests(digests) => !digests.is_empty(),
        RequirementKind::AnyOf(alternatives) => alternatives.iter().any(|one| can_be_met(set, one, now)),
    }
}

fn has_good_build(requirement: &BaseImage, now: Timestamp) -> bool {
    requirement.catalogs.iter().flat_map(|catalog| &catalog.bases).any(|base| {
        now < base.supported_until
            && base.builds.iter().any(|build| {
                let too_old = requirement.max_build_age.is_some_and(|age| now.duration_since(build.added_at) >= age);
                !too_old && requirement.allow.contains(&base.status.max(build.status))
            })
    })
}

fn same_scope(a: &Policy, b: &Policy) -> bool {
    let namespaces = |policy: &Policy| {
        policy.namespaces.as_ref().map(|n| (n.names.clone(), n.exclude_names.clone(), n.match_labels.clone()))
    };
    a.images == b.images && a.exclude_images == b.exclude_images && namespaces(a) == namespaces(b)
}

/// Whether two policies demand the same, apart from the names of their requirements.
fn same_requirements(a: &Policy, b: &Policy) -> bool {
    fn text(requirement: &Requirement) -> String {
        match &requirement.kind {
            RequirementKind::AnyOf(alternatives) => alternatives.iter().map(text).collect::<Vec<_>>().join("|"),
            RequirementKind::Signature(signature) => format!("{:?} {}", names(requirement), signature.threshold),
            RequirementKind::Attestation(attestation) => {
                let (types, age) = (&attestation.types, attestation.max_age);
                format!("{:?} {types:?} {age:?} {:?}", names(requirement), attestation.condition)
            }
            RequirementKind::Provenance(provenance) => {
                let Provenance { builders, sources, max_age, .. } = provenance;
                format!("{:?} {builders:?} {sources:?} {max_age:?}", names(requirement))
            }
            RequirementKind::BaseImage(base) => {
                let catalogs: Vec<&str> = base.catalogs.iter().map(|catalog| catalog.name.as_str()).collect();
                format!("{catalogs:?} {:?} {:?} {:?}", base.proof, base.allow, base.max_build_age)
            }
            RequirementKind::Config(condition) => condition.source().to_owned(),
            RequirementKind::Digests(digests) => format!("{digests:?}"),
        }
    }
    fn names(requirement: &Requirement) -> BTreeSet<&str> {
        requirement.kind.authorities().iter().map(|authority| authority.name.as_str()).collect()
    }
    let texts = |policy: &Policy| policy.require.iter().map(|r| (r.kind.as_str(), text(r))).collect::<BTreeSet<_>>();
    let rules = |p: &Policy| (p.mode, p.tags, p.tag_beside_digest, p.on_undeterminable, p.platforms);
    rules(a) == rules(b) && texts(a) == texts(b)
}

pub(super) fn catalogs(set: &PolicySet, now: Timestamp, findings: &mut Vec<Finding>) {
    let mut named = BTreeSet::new();
    for policy in set.policies() {
        each(&policy.require, &mut |requirement| {
            if let RequirementKind::BaseImage(base) = &requirement.kind {
                named.extend(base.catalogs.iter().map(|catalog| catalog.name.as_str()));
            }
        });
    }
    for catalog in set.catalogs().values() {
        if !named.contains(catalog.name.as_str()) {
            let message = format!("no policy names the catalog {:?}", catalog.name);
            findings.push(finding(Level::Notice, "catalog-unused", &catalog.place, message, "remove it, or name it"));
        }
        for base in catalog.bases.iter().filter(|base| base.status == Status::Supported) {
            let Base { name, supported_until: end, .. } = base;
            let hint = "move its users to another base, or change supportedUntil";
            if *end <= now {
                let message = format!("the support of {name:?} ended at {end}, but its status is Supported");
                findings.push(finding(Level::Warning, "base-support-ended", &catalog.place, message, hint));
            } else if ends_soon(*end, now) {
                let message = format!("the support of {name:?} ends at {end}");
                findings.push(finding(Level::Notice, "base-support-ends-soon", &catalog.place, message, hint));
            }
        }
    }
}
