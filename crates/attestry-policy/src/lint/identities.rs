//! Findings about authorities, trust roots and the patterns of identities.

use std::collections::{BTreeMap, BTreeSet};

use attestry_core::Timestamp;

use super::{Finding, Level, ends_soon, finding};
use crate::{
    compile::{
        Authority, AuthorityKind, KeyAuthority, KeylessAuthority, PolicySet, Requirement, RequirementKind, Revoked,
    },
    pattern::Pattern,
};

pub(super) fn authorities(set: &PolicySet, now: Timestamp, findings: &mut Vec<Finding>) {
    let used = used_authorities(set);
    let mut by_id = BTreeMap::new();
    for authority in set.authorities().values() {
        let Authority { name, place, .. } = &**authority;
        if !used.contains(name.as_str()) {
            let message = format!("no policy names the authority {name:?}");
            findings.push(finding(
                Level::Warning,
                "authority-unused",
                place,
                message,
                "remove it, or name it in a requirement",
            ));
        }
        if let Some(first) = by_id.insert(authority.id(), name) {
            let message = format!("{first:?} and {name:?} are the same key or identity");
            let hint = "they count once in a threshold; keep one";
            findings.push(finding(Level::Warning, "authority-twice", place, message, hint));
        }
        match &authority.kind {
            AuthorityKind::Key(key) => of_key(authority, key, now, findings),
            AuthorityKind::Keyless(keyless) => of_identity(authority, keyless, findings),
        }
        if used.contains(name.as_str()) && is_revoked(set, authority) {
            let message = format!("{name:?} is revoked, so nothing that it signs counts");
            let hint = "name another authority; keep the revocation";
            findings.push(finding(Level::Warning, "authority-revoked", place, message, hint));
        }
    }
    let named: BTreeSet<&str> = (set.authorities().values())
        .filter_map(|authority| match &authority.kind {
            AuthorityKind::Key(key) => key.trust_root.as_ref().map(|root| root.name.as_str()),
            AuthorityKind::Keyless(keyless) => Some(keyless.trust_root.name.as_str()),
        })
        .collect();
    for root in set.trust_roots().values().filter(|root| !named.contains(root.name.as_str())) {
        let message = format!("no authority names the trust root {:?}", root.name);
        findings.push(finding(Level::Notice, "trust-root-unused", &root.place, message, "remove it, or name it"));
    }
}

/// Whether a revocation takes everything that this authority signs from now on.
pub(super) fn is_revoked(set: &PolicySet, authority: &Authority) -> bool {
    set.revocations().iter().any(|entry| match (&entry.revoked, &authority.kind) {
        (Revoked::Key(key_id), AuthorityKind::Key(key)) => *key_id == key.key_id,
        (Revoked::Identity { issuer, subject, claims }, AuthorityKind::Keyless(keyless)) => {
            *issuer == keyless.issuer && *subject == keyless.subject && *claims == keyless.claims
        }
        _ => false,
    })
}

/// Whether something signed by this authority can still be believed at `now`.
pub(super) fn is_usable(set: &PolicySet, authority: &Authority, now: Timestamp) -> bool {
    // With a trust root, signatures proven to lie in the window go on counting.
    let expired =
        authority.key().is_some_and(|key| key.trust_root.is_none() && key.valid_until.is_some_and(|end| end <= now));
    !expired && !is_revoked(set, authority)
}

fn of_key(authority: &Authority, key: &KeyAuthority, now: Timestamp, findings: &mut Vec<Finding>) {
    let (name, place) = (&authority.name, &authority.place);
    if let Some(end) = key.valid_until.filter(|end| *end <= now) {
        let hint = match key.trust_root {
            Some(_) => "only signatures with a proven earlier time count; add the next key",
            None => "no signature of it counts any more; add the next key",
        };
        findings.push(finding(
            Level::Warning,
            "key-expired",
            place,
            format!("the key of {name:?} expired at {end}"),
            hint,
        ));
    }
    if let Some(end) = key.valid_until.filter(|end| ends_soon(*end, now)) {
        let message = format!("the key of {name:?} expires at {end}");
        findings.push(finding(Level::Notice, "key-expires-soon", place, message, "add the next key beside it"));
    }
    if let Some(start) = key.valid_from.filter(|start| *start > now) {
        let message = format!("the key of {name:?} is not valid before {start}");
        findings.push(finding(Level::Notice, "key-not-yet-valid", place, message, "signatures count from then on"));
    }
}

fn of_identity(authority: &Authority, keyless: &KeylessAuthority, findings: &mut Vec<Finding>) {
    let (name, place) = (&authority.name, &authority.place);
    // A claim about the owner ties an open subject down.
    let bound_by_claim = [
        "sourceRepositoryOwnerURI",
        "sourceRepositoryURI",
        "sourceRepositoryOwnerIdentifier",
        "sourceRepositoryIdentifier",
    ]
    .iter()
    .any(|claim| {
        keyless.claims.get(*claim).is_some_and(|pattern| width(pattern) == Width::Bound || pattern.is_exact())
    });
    let (code, message) = match width(&keyless.subject) {
        Width::CatchAll => ("identity-catch-all", format!("the subject of {name:?} accepts anybody at its issuer")),
        Width::Open => ("identity-unanchored", format!("the subject of {name:?} does not begin with a whole host")),
        Width::AnyOwner if !bound_by_claim => {
            ("identity-any-owner", format!("the subject of {name:?} accepts every owner at its host"))
        }
        Width::AnyOwner | Width::Bound => return,
    };
    let hint = "begin the pattern with the full host and owner, such as https://github.com/acme/";
    findings.push(finding(Level::Warning, code, place, message, hint));
}

/// How much of a URI or address a pattern leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Everything.
    CatchAll,
    /// Not even the host is fixed.
    Open,
    /// The host is fixed, the first part of the path is not.
    AnyOwner,
    /// Host and owner, an exact text, or one mail domain.
    Bound,
}

/// Where a pattern stands between everything and one text.
pub(super) fn width(pattern: &Pattern) -> Width {
    if pattern.is_exact() {
        return Width::Bound;
    }
    if pattern.is_catch_all() {
        return Width::CatchAll;
    }
    // `*@acme.example` is one mail domain.
    let mail = pattern.source().rsplit_once('@').map(|(_, domain)| domain);
    if !pattern.is_regex()
        && mail.is_some_and(|domain| !domain.contains(['*', '/']) && domain.contains('.'))
        && !pattern.source().contains("://")
    {
        return Width::Bound;
    }
    let start = pattern.fixed_start();
    let Some((_, rest)) = start.split_once("://") else { return Width::Open };
    match rest.split_once('/') {
        None => Width::Open,
        // Something, then a slash: a whole owner stands there.
        Some((_, path)) if path.contains('/') => Width::Bound,
        Some(_) => Width::AnyOwner,
    }
}

/// Authorities that a requirement or a revocation names. A revocation keeps what it speaks of in the set.
fn used_authorities(set: &PolicySet) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    for policy in set.policies() {
        each(&policy.require, &mut |requirement| {
            used.extend(requirement.kind.authorities().iter().map(|authority| authority.name.as_str()));
        });
    }
    for authority in set.authorities().values().filter(|authority| is_revoked(set, authority)) {
        used.insert(&authority.name);
    }
    used
}

/// Calls `f` for each requirement and each alternative.
pub(super) fn each<'a>(requirements: &'a [Requirement], f: &mut dyn FnMut(&'a Requirement)) {
    for requirement in requirements {
        f(requirement);
        if let RequirementKind::AnyOf(alternatives) = &requirement.kind {
            each(alternatives, f);
        }
    }
}
