//! Each finding from the smallest set that has it, and none from a careful one.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::SourceFile;

const KEY: &str = include_str!("../../../../keys-example/release.pub");
const OTHER_KEY: &str = include_str!("../../../../keys-example/other.pub");
const NOW: &str = "2026-06-01T00:00:00Z";

fn document(kind: &str, name: &str, spec: &str) -> String {
    format!("apiVersion: attestry.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn key(name: &str, pem: &str, more: &str) -> String {
    document("Authority", name, &format!("{{key: {{pem: {pem:?}{more}}}}}"))
}

fn keyless(subject: &str, more: &str) -> String {
    let root = document("TrustRoot", "root", "{publicGood: {}}");
    let spec =
        format!("{{keyless: {{issuer: \"https://issuer.example\", subject: {subject}{more}, trustRoot: root}}}}");
    format!("{root}---\n{}", document("Authority", "id", &spec))
}

fn policy(name: &str, more: &str, require: &str) -> String {
    document(
        "ImagePolicy",
        name,
        &format!("{{match: {{images: [\"registry.example/**\"]}}{more}, require: [{require}]}}"),
    )
}

fn signed_by(names: &str) -> String {
    format!("{{name: s, signature: {{authorities: [{names}]}}}}")
}

/// The codes that linting gives, worst first.
fn codes(documents: &[String]) -> Vec<&'static str> {
    let set =
        crate::PolicySet::load(&[SourceFile::new("p.yaml", documents.join("---\n"))]).unwrap_or_else(|e| panic!("{e}"));
    let mut findings = lint(&set, NOW.parse().unwrap());
    findings.sort_by_key(|finding| (finding.level, finding.code));
    assert!(findings.iter().all(|finding| finding.place.line > 0 && !finding.hint.is_empty()));
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn a_careful_set_has_no_finding() {
    assert!(codes(&[key("a", KEY, ""), policy("p", "", &signed_by("a"))]).is_empty());
}

#[test]
fn keys() {
    let check = |more: &str, expected: &[&str]| {
        assert_eq!(codes(&[key("a", KEY, more), policy("p", "", &signed_by("a"))]), expected, "{more}");
    };
    check(", validUntil: 2027-01-01T00:00:00Z", &[]);
    check(", validUntil: 2026-06-30T00:00:00Z", &["key-expires-soon"]);
    check(", validUntil: 2026-06-30T23:59:59Z", &["key-expires-soon"]);
    check(", validUntil: 2026-07-01T00:00:00Z", &[]);
    check(", validUntil: 2026-06-01T00:00:01Z", &["key-expires-soon"]);
    check(", validFrom: 2026-06-01T00:00:00Z", &[]);
    check(", validUntil: 2026-06-01T00:00:00Z", &["requirement-unsatisfiable", "key-expired"]);
    check(", validFrom: 2026-07-01T00:00:00Z", &["key-not-yet-valid"]);
    assert_eq!(
        codes(&[key("a", KEY, ""), key("b", OTHER_KEY, ""), policy("p", "", &signed_by("a"))]),
        ["authority-unused"]
    );
    assert_eq!(
        codes(&[key("a", KEY, ""), key("b", KEY, ""), policy("p", "", &signed_by("a, b"))]),
        ["authority-twice"]
    );
    let revoked = document("Revocation", "r", "{entries: [{authority: a, reason: stolen}]}");
    assert_eq!(
        codes(&[key("a", KEY, ""), revoked.clone(), policy("p", "", &signed_by("a"))]),
        ["requirement-unsatisfiable", "authority-revoked"],
    );
    assert_eq!(
        codes(&[key("a", KEY, ""), key("b", OTHER_KEY, ""), revoked, policy("p", "", &signed_by("a, b"))]),
        ["authority-revoked"]
    );
}

#[test]
fn identities() {
    let check = |subject: &str, more: &str, expected: &[&str]| {
        let both = "{name: s, anyOf: [{name: one, signature: {authorities: [id, a]}}, {name: two, signature: {authorities: [a]}}]}";
        assert_eq!(codes(&[keyless(subject, more), key("a", KEY, ""), policy("p", "", both)]), expected, "{subject}");
    };
    check("{exact: \"https://github.com/acme/app\"}", "", &[]);
    check("{glob: \"https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*\"}", "", &[]);
    check("{regex: 'https://github\\.com/acme/app/.*'}", "", &[]);
    check("{glob: \"*@acme.example\"}", "", &[]);
    check("{glob: \"**\"}", "", &["identity-catch-all"]);
    check("{regex: \".*\"}", "", &["identity-catch-all"]);
    check("{regex: \"https://github.com/acme/.*\"}", "", &["identity-unanchored"]);
    check("{regex: \".*acme.*@refs.*\"}", "", &["identity-unanchored"]);
    check("{glob: \"https://github.com*/acme/app\"}", "", &["identity-unanchored"]);
    check("{glob: \"https://github.com/*/app/**\"}", "", &["identity-any-owner"]);
    check("{glob: \"https://github.com/acme*/app\"}", "", &["identity-any-owner"]);
    let claim = ", claims: {sourceRepositoryOwnerURI: {exact: \"https://github.com/acme\"}}";
    check("{glob: \"https://github.com/*/app/**\"}", claim, &[]);
}

#[test]
fn keyless_alone_is_as_good_as_a_key() {
    assert_eq!(codes(&[keyless("{exact: a}", ""), policy("p", "", &signed_by("id"))]), [""; 0]);
}

#[test]
fn policies() {
    let digests = "{name: d, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}";
    let check = |more: &str, matches: &str, expected: &[&str]| {
        let text = policy("p", more, digests).replace("images: [\"registry.example/**\"]", matches);
        assert_eq!(codes(&[text]), expected, "{more} {matches}");
    };
    let images = "images: [\"registry.example/**\"]";
    check("", images, &[]);
    check(", mode: Warn", images, &["mode-not-enforced"]);
    check(", onUndeterminable: DangerWarn", images, &["fail-open-undeterminable"]);
    check(", tags: DangerResolve", images, &["fail-open-tags"]);
    check("", "images: [\"**\"]", &["images-catch-all"]);
    check("", "images: [\"registry.example*/**\"]", &["images-open-host"]);
    check("", "images: [\"a.example/x\"], excludeImages: [\"a.example/x\"]", &["policy-matches-nothing"]);
    check("", &format!("{images}, namespaces: {{matchLabels: {{guarded: \"true\"}}}}"), &["namespace-opt-in"]);
    check("", &format!("{images}, namespaces: {{names: [shop]}}"), &["namespace-opt-in"]);
    check("", &format!("{images}, namespaces: {{excludeNames: [kube-system]}}"), &[]);
    assert_eq!(codes(&[policy("p", "", digests), policy("q", "", digests)]), ["policy-twice"]);
    assert_eq!(codes(&[policy("p", "", &format!("{{name: o, anyOf: [{digests}]}}"))]), ["any-of-single"]);
    let open = "{name: s, provenance: {authorities: [a], sources: [{glob: \"**\"}]}}";
    assert_eq!(codes(&[key("a", KEY, ""), policy("p", "", open)]), ["provenance-any-builder", "provenance-any-source"]);
}

#[test]
fn catalogs() {
    let layer = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let base = |until: &str, status: &str| {
        let platform =
            format!("{{platform: linux/amd64, digest: \"{layer}\", layers: [\"{layer}\"], diffIDs: [\"{layer}\"]}}");
        let build = format!("{{addedAt: 2026-01-01T00:00:00Z, status: {status}, platforms: [{platform}]}}");
        document(
            "BaseCatalog",
            "c",
            &format!(
                "{{bases: [{{name: b, owner: {{team: t}}, supportedUntil: {until}, status: Supported, builds: [{build}]}}]}}"
            ),
        )
    };
    let uses = policy("p", "", "{name: b, baseImage: {catalogs: [c]}}");
    assert_eq!(codes(&[base("2027-01-01", "Supported"), uses.clone()]), [""; 0]);
    assert_eq!(codes(&[base("2027-01-01", "Supported")]), ["catalog-unused"]);
    assert_eq!(codes(&[base("2027-01-01", "Revoked"), uses.clone()]), ["requirement-unsatisfiable"]);
    assert_eq!(
        codes(&[base("2026-05-31", "Supported"), uses.clone()]),
        ["requirement-unsatisfiable", "base-support-ended"]
    );
    assert_eq!(codes(&[base("2026-06-15", "Supported"), uses.clone()]), ["base-support-ends-soon"]);
    assert_eq!(codes(&[base("2026-06-29", "Supported"), uses.clone()]), ["base-support-ends-soon"]);
    assert_eq!(codes(&[base("2026-06-30", "Supported"), uses.clone()]), [""; 0]);
    let fresh = policy("p", "", "{name: b, baseImage: {catalogs: [c], maxBuildAge: 24h}}");
    assert_eq!(codes(&[base("2027-01-01", "Supported"), fresh]), ["requirement-unsatisfiable"]);
    // The build is 3624 hours old.
    for (age, expected) in [("3624h", &["requirement-unsatisfiable"][..]), ("3625h", &[])] {
        let aged = policy("p", "", &format!("{{name: b, baseImage: {{catalogs: [c], maxBuildAge: {age}}}}}"));
        assert_eq!(codes(&[base("2027-01-01", "Supported"), aged]), expected, "{age}");
    }
    // Nobody has to be told of the end of what is given up already.
    let given_up = base("2026-05-31", "Supported").replace("31, status: Supported", "31, status: Deprecated");
    assert_eq!(codes(&[given_up, uses]), ["requirement-unsatisfiable"]);
}

#[test]
fn a_key_with_a_trust_root_outlives_its_window() {
    let root = document("TrustRoot", "root", "{publicGood: {}}");
    let old = key("a", KEY, ", validUntil: 2026-05-01T00:00:00Z, trustRoot: root");
    assert_eq!(codes(&[root.clone(), old, policy("p", "", &signed_by("a"))]), ["key-expired"]);
    assert_eq!(codes(&[root, key("a", KEY, ""), policy("p", "", &signed_by("a"))]), ["trust-root-unused"]);
}

#[test]
fn an_identity_is_revoked_by_issuer_subject_and_claims() {
    let check = |claims: &str, entry: &str, revoked: bool| {
        let text = document("Revocation", "r", &format!("{{entries: [{{{entry}, reason: gone}}]}}"));
        let subject = "{exact: \"https://github.com/acme/app\"}";
        let found = codes(&[keyless(subject, claims), text, policy("p", "", &signed_by("id"))]);
        let expected: &[&str] = if revoked { &["requirement-unsatisfiable", "authority-revoked"] } else { &[] };
        assert_eq!(found, expected, "{claims} {entry}");
    };
    let identity = |issuer: &str, subject: &str| {
        format!("identity: {{issuer: \"https://{issuer}\", subject: {{exact: \"https://github.com/acme/{subject}\"}}}}")
    };
    check("", "authority: id", true);
    check("", &identity("issuer.example", "app"), true);
    check("", &identity("other.example", "app"), false);
    check("", &identity("issuer.example", "other"), false);
    let claims = ", claims: {buildTrigger: {exact: push}}";
    check(claims, "authority: id", true);
    check(claims, &identity("issuer.example", "app"), false);
    check("", &format!("keyId: \"sha256:{}\"", "0".repeat(64)), false);
}

#[test]
fn how_open_a_subject_is() {
    let check = |subject: &str, claims: &str, expected: &[&str]| {
        assert_eq!(
            codes(&[keyless(subject, claims), policy("p", "", &signed_by("id"))]),
            expected,
            "{subject} {claims}"
        );
    };
    check("{regex: '.*@acme\\.example'}", "", &["identity-unanchored"]);
    check("{glob: \"*@*.example\"}", "", &["identity-unanchored"]);
    check("{glob: \"*@acme\"}", "", &["identity-unanchored"]);
    check("{glob: \"https://*@acme.example\"}", "", &["identity-unanchored"]);
    check("{glob: \"https://github.com/acme/*\"}", "", &[]);
    let any = "{glob: \"https://github.com/*/app\"}";
    check(any, "", &["identity-any-owner"]);
    check(any, ", claims: {sourceRepositoryURI: {glob: \"https://github.com/acme/*\"}}", &[]);
    check(any, ", claims: {sourceRepositoryURI: {glob: \"https://github.com/*\"}}", &["identity-any-owner"]);
    check(any, ", claims: {sourceRepositoryOwnerIdentifier: {exact: \"7\"}}", &[]);
    check(any, ", claims: {buildTrigger: {exact: push}}", &["identity-any-owner"]);
}

#[test]
fn scopes() {
    let digests = "{name: d, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}";
    let check = |matches: &str, expected: &[&str]| {
        let text = policy("p", "", digests).replace("images: [\"registry.example/**\"]", matches);
        assert_eq!(codes(&[text]), expected, "{matches}");
    };
    check("images: [\"*/**\"]", &["images-catch-all"]);
    check("images: [\"**\"], namespaces: {}", &["images-catch-all"]);
    check("images: [\"**\"], excludeImages: [\"a.example/**\"]", &[]);
    check("images: [\"**\"], namespaces: {excludeNames: [kube-system]}", &[]);
    check("images: [\"a.example/**\"], excludeImages: [\"**\"]", &["policy-matches-nothing"]);
    check("images: [\"a.example/x\", \"a.example/y\"], excludeImages: [\"a.example/x\"]", &[]);
    check("images: [\"a.example/x\"], namespaces: {names: [\"*\"]}", &[]);
    check("images: [\"a.example/x\"], namespaces: {names: [\"**\"]}", &[]);
    check("images: [\"a.example/x\"], namespaces: {names: [shop, \"*\"]}", &[]);
    check("images: [\"*.a.example/x\"]", &[]);
}

#[test]
fn what_can_still_be_met() {
    let revoked = document("Revocation", "r", "{entries: [{authority: a, reason: stolen}]}");
    let check = |require: &str, met: bool| {
        let found = codes(&[key("a", KEY, ""), key("b", OTHER_KEY, ""), revoked.clone(), policy("p", "", require)]);
        assert_eq!(!found.contains(&"requirement-unsatisfiable"), met, "{require} {found:?}");
    };
    check("{name: s, signature: {authorities: [a, b]}}", true);
    check("{name: s, signature: {authorities: [a, b], threshold: 2}}", false);
    for kind in ["attestation: {types: [spdx], authorities", "provenance: {authorities"] {
        check(&format!("{{name: s, {kind}: [a]}}}}"), false);
        check(&format!("{{name: s, {kind}: [a, b]}}}}"), true);
    }
    let by = |name: &str, other: &str| format!("{{name: {name}, signature: {{authorities: [{other}]}}}}");
    check(&format!("{{name: any, anyOf: [{}, {}]}}", by("x", "a"), by("y", "b")), true);
    check(&format!("{{name: any, anyOf: [{}, {}]}}", by("x", "a"), by("y", "a")), false);
}

#[test]
fn only_policies_that_say_the_same_are_twice() {
    let set = |more: &str, require: &str| {
        let documents = [
            key("a", KEY, ""),
            key("b", OTHER_KEY, ""),
            policy("p", "", "{name: s, signature: {authorities: [a, b]}}"),
            policy("q", more, require),
        ];
        codes(&documents).contains(&"policy-twice")
    };
    let same = "{name: other, signature: {authorities: [b, a], threshold: 1}}";
    assert!(set("", same));
    for more in [", mode: Warn", ", tags: Deny", ", onUndeterminable: DangerWarn", ", platforms: Index"] {
        assert!(!set(more, same), "{more}");
    }
    for require in [
        "{name: s, signature: {authorities: [a, b], threshold: 2}}",
        "{name: s, signature: {authorities: [a]}}",
        "{name: s, provenance: {authorities: [a, b]}}",
        "{name: s, signature: {authorities: [a, b]}}, {name: t, provenance: {authorities: [a]}}",
    ] {
        assert!(!set("", require), "{require}");
    }
    let scoped = |matches: &str| {
        let require = signed_by("a");
        let other = policy("q", "", &require).replace("images: [\"registry.example/**\"]", matches);
        codes(&[key("a", KEY, ""), policy("p", "", &require), other]).contains(&"policy-twice")
    };
    let images = "images: [\"registry.example/**\"]";
    assert!(scoped(images));
    assert!(!scoped("images: [\"registry.example/shop/**\"]"));
    assert!(!scoped(&format!("{images}, excludeImages: [\"registry.example/x\"]")));
    assert!(!scoped(&format!("{images}, namespaces: {{names: [shop]}}")));
}

#[test]
fn a_finding_reads_alone() {
    let set = crate::PolicySet::load(&[SourceFile::new(
        "p.yaml",
        policy(
            "p",
            ", mode: Audit",
            "{name: d, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}",
        ),
    )])
    .unwrap();
    insta::assert_snapshot!(lint(&set, NOW.parse().unwrap())[0], @r"
    p.yaml:4:1: notice[mode-not-enforced]: ImagePolicy p: spec: its mode is Audit: it refuses nothing
      hint: set mode: Enforce when it is ready
    ");
}
