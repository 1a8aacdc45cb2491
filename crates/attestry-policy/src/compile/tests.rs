//! The reference example loads, and everything else that could be written says where and why it does not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use attestry_core::{Repository, review::Mode};

use super::*;

const REFERENCE: &str = include_str!("../../testdata/reference.yaml");
const TRUSTED_ROOT: &str = include_str!("../../testdata/trusted_root.json");
const KEY: &str = include_str!("../../../../keys-example/release.pub");
const OTHER_KEY: &str = include_str!("../../../../keys-example/other.pub");
const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn reference_files() -> Vec<SourceFile> {
    vec![SourceFile::new("reference.yaml", REFERENCE), SourceFile::new("trusted_root.json", TRUSTED_ROOT)]
}

/// An `Authority` with a key.
fn authority(name: &str, pem: &str) -> String {
    let pem: String = pem.lines().map(|line| format!("      {line}\n")).collect();
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: {name}}}\nspec:\n  key:\n    pem: |\n{pem}"
    )
}

/// An `ImagePolicy` with these requirements in flow style.
fn policy(name: &str, require: &str) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: {name}}}\nspec:\n  match: {{images: [\"**\"]}}\n  require: {require}\n"
    )
}

fn load(documents: &[String]) -> Result<PolicySet, PolicyErrors> {
    PolicySet::load(&[SourceFile::new("p.yaml", documents.join("---\n"))])
}

#[test]
fn the_reference_example_loads() {
    let set = PolicySet::load(&reference_files()).unwrap();
    assert_eq!(set.authorities().len(), 2);
    assert_eq!(set.trust_roots().len(), 2);
    assert_eq!(set.revocations().len(), 4);
    let [production] = set.policies() else { panic!("one policy") };
    assert_eq!(production.mode, Mode::Enforce);
    let kinds: Vec<&str> = production.require.iter().map(|requirement| requirement.kind.as_str()).collect();
    assert_eq!(kinds, ["signature", "provenance", "attestation", "baseImage", "anyOf"]);
    let key = set.authorities()["release-ci"].key().unwrap();
    assert_eq!(key.key_id.to_string(), "sha256:8443695a19a0505fe7e86fdc7b21a86d23e1aa2f112cc78d1ff830b7f106de5f");
    assert_eq!(key.trust_root.as_ref().unwrap().name, "internal");
}

#[test]
fn the_digest_is_blind_to_order_files_and_formatting() {
    let digest = PolicySet::load(&reference_files()).unwrap().digest();
    let documents: Vec<&str> = REFERENCE.split("\n---\n").collect();
    let mut files: Vec<SourceFile> = (documents.iter().rev().enumerate())
        .map(|(index, text)| SourceFile::new(format!("{index}.yml"), format!("# another comment\n\n{text}\n")))
        .collect();
    files.push(SourceFile::new("trusted_root.json", TRUSTED_ROOT));
    assert_eq!(PolicySet::load(&files).unwrap().digest(), digest);

    let changed = REFERENCE.replace("maxAge: 720h", "maxAge: 721h");
    let files = [SourceFile::new("reference.yaml", changed), SourceFile::new("trusted_root.json", TRUSTED_ROOT)];
    assert_ne!(PolicySet::load(&files).unwrap().digest(), digest);
    let files = [
        SourceFile::new("reference.yaml", REFERENCE),
        SourceFile::new("trusted_root.json", TRUSTED_ROOT.replace('{', r#"{"tlogs": [], "#)),
    ];
    assert_ne!(PolicySet::load(&files).unwrap().digest(), digest, "a trust root is part of the set");
}

#[test]
fn a_stored_set_reads_back_under_the_same_name() {
    let set = PolicySet::load(&reference_files()).unwrap();
    let again = PolicySet::from_bytes(set.to_bytes()).unwrap();
    assert_eq!(again.digest(), set.digest());
    assert_eq!(again.to_bytes(), set.to_bytes());
    assert_eq!(attestry_core::Digest::of(set.to_bytes()), set.digest());
}

#[test]
fn defaults_are_those_of_the_reference() {
    let set = load(&[authority("a", KEY), policy("p", "[{name: s, signature: {authorities: [a]}}, {name: d, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}]")]).unwrap();
    let policy = &set.policies()[0];
    insta::assert_debug_snapshot!((policy.mode, policy.on_undeterminable, policy.tags, policy.platforms), @"
    (
        Enforce,
        Deny,
        Pin,
        IndexOrEveryPlatform,
    )
    ");
    let RequirementKind::Signature(signature) = &policy.require[0].kind else { panic!("a signature") };
    assert_eq!(signature.threshold, 1);
}

#[test]
fn thresholds_count_distinct_keys() {
    let check = |threshold: u32, second: &str, ok: bool| {
        let require = format!("[{{name: s, signature: {{authorities: [a, b], threshold: {threshold}}}}}]");
        let result = load(&[authority("a", KEY), authority("b", second), policy("p", &require)]);
        assert_eq!(result.is_ok(), ok, "{threshold}: {result:?}");
    };
    check(0, OTHER_KEY, false);
    check(1, OTHER_KEY, true);
    check(2, OTHER_KEY, true);
    check(3, OTHER_KEY, false);
    check(1, KEY, true);
    check(2, KEY, false);
}

#[test]
fn a_whole_authority_is_revoked_by_its_key() {
    let revocation = "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {name: r}\nspec: {entries: [{authority: a, reason: stolen}]}\n".to_owned();
    let set = load(&[authority("a", KEY), authority("b", KEY), revocation.clone()]).unwrap();
    let key_id = set.authorities()["b"].key().unwrap().key_id;
    assert_eq!(set.revocations()[0].revoked, Revoked::Key(key_id), "attack 82: whatever name it comes back under");
    let id = set.revocations()[0].id;
    let reworded = load(&[authority("a", KEY), revocation.replace("stolen", "lost")]).unwrap();
    assert_eq!(reworded.revocations()[0].id, id, "a new wording takes nothing back");
    let weaker =
        load(&[authority("a", KEY), revocation.replace("reason", "since: 2026-01-01T00:00:00Z, reason")]).unwrap();
    assert_ne!(weaker.revocations()[0].id, id, "a revocation that spares more is another one");
    // What revokes another identity, or the same text in another sense, is another entry.
    let identity = |issuer: &str, subject: &str| {
        let what = format!("identity: {{issuer: \"https://{issuer}\", subject: {{{subject}}}}}");
        load(&[revocation.replace("authority: a", &what)]).unwrap().revocations()[0].id
    };
    let ids = [
        identity("a", "exact: x"),
        identity("b", "exact: x"),
        identity("a", "exact: y"),
        identity("a", "glob: x"),
        identity("a", "regex: x"),
        id,
    ];
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
}

#[test]
fn attack_82_since_spares_only_what_is_proven_to_be_older() {
    let revocation = "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {name: r}\nspec: {entries: [{authority: a, since: 2026-06-01T00:00:00Z, reason: stolen}]}\n".to_owned();
    let set = load(&[authority("a", KEY), revocation]).unwrap();
    let covers = |time: Option<&str>| set.revocations()[0].covers_time(time.map(|text| text.parse().unwrap()));
    assert!(covers(None));
    assert!(!covers(Some("2026-05-31T23:59:59Z")));
    assert!(covers(Some("2026-06-01T00:00:00Z")));
}

#[test]
fn which_policies_match() {
    let check = |namespaces: &str, image: &str, namespace: Option<(&str, Option<&str>)>, expected: Matches| {
        let text = policy("p", &format!("[{{name: d, digests: [\"{DIGEST}\"]}}]")).replace(
            "{images: [\"**\"]}",
            &format!("{{images: [\"registry.example/shop/**\"], excludeImages: [\"registry.example/shop/sandbox/**\"]{namespaces}}}"),
        );
        let set = load(&[text]).unwrap();
        let repository: Repository = image.parse().unwrap();
        let namespace = namespace.map(|(name, label)| Namespace {
            name: name.to_owned(),
            labels: label.map(|value| BTreeMap::from([("env".to_owned(), value.to_owned())])),
        });
        assert_eq!(
            set.policies()[0].matches(&repository, namespace.as_ref()),
            expected,
            "{namespaces} {image} {namespace:?}"
        );
    };
    use Matches::{NamespaceUnknown, No, Yes};
    check("", "registry.example/shop/app", None, Yes);
    check("", "registry.example/shop/team/app", None, Yes);
    check("", "registry.example/shop/sandbox/app", None, No);
    check("", "registry.example/shopping/app", None, No);
    // Attack 80: other spellings are the same repository.
    check("", "REGISTRY.example.:443/shop/app", None, Yes);
    let names = ", namespaces: {names: [\"shop-*\"], excludeNames: [shop-test]}";
    check(names, "registry.example/shop/app", Some(("shop-1", None)), Yes);
    check(names, "registry.example/shop/app", Some(("shop-test", None)), No);
    check(names, "registry.example/shop/app", Some(("web", None)), No);
    check(names, "registry.example/shop/app", None, NamespaceUnknown);
    check(names, "other.example/app", None, No);
    let labels = ", namespaces: {names: [\"shop-*\"], matchLabels: {env: production}}";
    check(labels, "registry.example/shop/app", Some(("shop-1", Some("production"))), Yes);
    check(labels, "registry.example/shop/app", Some(("shop-1", Some("test"))), No);
    check(labels, "registry.example/shop/app", Some(("shop-1", None)), NamespaceUnknown);
    check(labels, "registry.example/shop/app", Some(("web", None)), No);
    check(", namespaces: {}", "registry.example/shop/app", None, Yes);
}

/// Each bad edit of the reference example with the message that it gives.
#[test]
fn what_is_wrong_is_said_with_its_place() {
    let edits: &[(&str, &str)] = &[
        ("    validFrom: 2026-01-01T00:00:00Z", "    validFromm: 2026-01-01T00:00:00Z"),
        ("    validFrom: 2026-01-01T00:00:00Z", "    validFrom: 2026-01-01"),
        ("    validFrom: 2026-01-01T00:00:00Z", "    validFrom: 2028-01-01T00:00:00Z"),
        ("    trustRoot: internal", "    trustRoot: intern"),
        ("    trustRoot: internal\n    transparencyLog: optional", "    transparencyLog: required"),
        ("transparencyLog: optional", "transparencyLog: always"),
        ("apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy", "apiVersion: attestry.dev/v1\nkind: ImagePolicy"),
        ("apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy", "kind: ImagePolicy"),
        ("kind: ImagePolicy", "kind: ImagePolice"),
        ("kind: ImagePolicy", "kind: Configuration"),
        ("metadata: {name: production}", "metadata: {name: Production}"),
        ("metadata: {name: internal}", "metadata: {name: public-good}"),
        ("  keyless:\n", "  key: {pem: x}\n  keyless:\n"),
        ("issuer: https://token.actions.githubusercontent.com", "issuer: \"\""),
        ("issuer: https://token.actions.githubusercontent.com", "issuer: https://*.githubusercontent.com/ x"),
        ("{exact: https://github.com/acme}", "{exact: \"\"}"),
        ("{exact: https://github.com/acme}", "{exact: a, glob: b}"),
        ("{exact: https://github.com/acme}", "{regex: \"(\"}"),
        ("{exact: https://github.com/acme}", "{regex: \"(a{1000}){1000}\"}"),
        ("sourceRepositoryOwnerURI:", "sourceRepositoryOwnerUri:"),
        ("  publicGood: {}\n", ""),
        ("file: trusted_root.json", "file: trusted_roots.json"),
        ("supportedUntil: 2028-06-30", "supportedUntil: 30 June 2028"),
        ("replacedBy: debian-13-slim", "replacedBy: debian-13"),
        ("name: debian-13-slim\n", "name: debian-12-slim\n"),
        ("status: Supported\n      replacedBy", "status: supported\n      replacedBy"),
        (", diffIDs: [", ", diffIDs: [\"sha256:00\", "),
        ("{platform: linux/amd64,", "{platform: amd64,"),
        ("      owner: {team: platform-images}\n", ""),
        ("reason: \"leaked build host\"", "reason: \"\""),
        ("{authority: release-ci, since", "{authority: release, since"),
        ("{authority: release-ci, since", "{authority: release-ci, keyId: x, since"),
        ("images: [\"registry.example/shop/**\"]", "images: []"),
        ("images: [\"registry.example/shop/**\"]", "images: [\"Registry.example/shop/**\"]"),
        (
            "images: [\"registry.example/shop/**\"]",
            "images: [nginx, \"index.docker.io/acme/*\", \"a.example/x:tag\", \"{a,b}.example/x\"]",
        ),
        ("mode: Enforce", "mode: enforce"),
        ("threshold: 1", "threshold: 0"),
        ("threshold: 1", "threshold: 3"),
        ("threshold: 1", "threshold: many"),
        ("authorities: [release-ci, github-release]", "authorities: []"),
        ("authorities: [release-ci, github-release]", "authorities: [release-ci, release-ci, relase-ci]"),
        ("types: [spdx, cyclonedx]", "types: [spdx, cyclonDX]"),
        ("types: [spdx, cyclonedx]", "types: [\"https://spdx.dev/Document\"]"),
        ("types: [spdx, cyclonedx]", "types: []"),
        ("maxAge: 720h", "maxAge: 30d"),
        ("size(sbom.packages) > 0", "size(sbom.packages)"),
        ("size(sbom.packages) > 0", "size(sboms.packages) > 0"),
        ("size(sbom.packages) > 0", "size(sbom.packages) >"),
        ("allow: [Supported]", "allow: [Supported, Revoked]"),
        ("allow: [Supported]", "allow: []"),
        ("proof: Exact", "proof: exact"),
        (
            "{name: ours, signature: {authorities: [release-ci]}}",
            "{name: signed, signature: {authorities: [release-ci]}}",
        ),
        ("{name: ours, signature: {authorities: [release-ci]}}", "{name: ours, anyOf: []}"),
        ("{name: ours, signature: {authorities: [release-ci]}}", "{name: ours}"),
        (
            "{name: ours, signature: {authorities: [release-ci]}}",
            "{name: ours, signature: {authorities: [release-ci]}, digests: []}",
        ),
        ("metadata: {name: production}", "metadata: &a {name: production}"),
        ("metadata: {name: production}", "metadata: *a"),
        ("metadata: {name: production}", "metadata: {<<: {name: production}}"),
        ("metadata: {name: production}", "metadata: {name: !x production}"),
        ("metadata: {name: production}", "metadata: {name: production, name: production}"),
        ("metadata: {name: production}", "metadata: [production]"),
        ("metadata: {name: production}", "metadata: {name: production"),
    ];
    let mut report = String::new();
    for (from, to) in edits {
        assert!(REFERENCE.contains(from), "{from}");
        let text = REFERENCE.replacen(from, to, 1);
        let files = [SourceFile::new("p.yaml", text), SourceFile::new("trusted_root.json", TRUSTED_ROOT)];
        let errors = PolicySet::load(&files).expect_err(to);
        let edited_line = u32::try_from(REFERENCE[..REFERENCE.find(from).unwrap()].lines().count()).unwrap();
        let near = |problem: &Problem| problem.line.abs_diff(edited_line) <= 2;
        assert!(
            errors.problems().iter().any(near) || to.is_empty() || errors.to_string().contains("is needed"),
            "{to}: line {edited_line}: {errors}"
        );
        report.push_str(&format!("## {}\n{errors}\n\n", to.trim()));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn every_problem_is_reported_not_only_the_first() {
    let errors = load(&[policy("p", "[{name: s, signature: {authorities: [a]}}]"), policy("q", "[]")]).unwrap_err();
    assert_eq!(errors.problems().len(), 2, "{errors}");
}

#[test]
fn attack_39_a_million_identities_are_refused() {
    let many: Vec<String> = (0..3000).map(|index| authority(&format!("a{index}"), KEY)).collect();
    assert!(load(&many).is_err());
    let patterns = vec!["{exact: a}"; 1001].join(", ");
    let require = format!("[{{name: p, provenance: {{authorities: [a], builders: [{patterns}]}}}}]");
    assert!(load(&[authority("a", KEY), policy("p", &require)]).unwrap_err().to_string().contains("more than 1000"));
    let big = SourceFile::new("p.yaml", vec![b'#'; 9 << 20]);
    assert!(PolicySet::load(&[big]).is_err());
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let message = load(&[deep]).unwrap_err().to_string();
    assert!(message.contains("p.yaml:1") && message.len() < 500, "{message}");
    let deep: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(load(&[deep]).is_err());
}

#[test]
fn a_folder_without_documents_is_an_empty_set() {
    assert!(PolicySet::load(&[]).unwrap().policies().is_empty());
    let comments = SourceFile::new("a.yaml", "# nothing here\n---\n# and nothing here\n");
    assert!(
        PolicySet::load(&[comments, SourceFile::new("README.md", "---\nkind: x\n")]).unwrap().policies().is_empty()
    );
}

#[test]
fn files_that_are_no_text_are_named() {
    for (bytes, word) in [
        (&b"\xff\xfe"[..], "UTF-8"),
        (b"a: \"\0", "p.yaml"),
        (b"\tkey: x", "p.yaml:1"),
        (b"- a\n- b\n", "apiVersion"),
        (b"just text", "apiVersion"),
    ] {
        let message = PolicySet::load(&[SourceFile::new("p.yaml", bytes)]).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    }
}
