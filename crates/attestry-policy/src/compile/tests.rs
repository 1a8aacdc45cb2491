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
    assert_eq!(kinds, ["signature", "provenance", "attestation", "baseImage", "config", "anyOf"]);
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

/// What is stored must not ask for less than what was written.
#[test]
fn every_setting_is_part_of_the_stored_set() {
    let text = |spec: &str, signature: &str, base: &str| {
        let require = format!(
            "[{{name: s, signature: {{authorities: [a, b]{signature}}}}}, {{name: b, baseImage: {{catalogs: [c]{base}}}}}, {{name: r, config: {{condition: \"config.User != ''\"}}}}]"
        );
        let layer = format!("{{platform: a/b, digest: \"{DIGEST}\", layers: [\"{DIGEST}\"], diffIDs: [\"{DIGEST}\"]}}");
        let policy = policy("p", &require).replace("  require:", &format!("{spec}  require:"));
        load(&[authority("a", KEY), authority("b", OTHER_KEY), catalog(&layer), policy]).unwrap()
    };
    let plain = text("", "", "");
    let written = String::from_utf8_lossy(plain.to_bytes());
    assert!(
        !written.contains("repository") && !written.contains("tagBesideDigest"),
        "what is not asked is not written"
    );
    let mut digests = std::collections::BTreeSet::from([plain.digest()]);
    for (spec, signature, base) in [
        ("  mode: Warn\n", "", ""),
        ("  onUndeterminable: DangerWarn\n", "", ""),
        ("  tags: Deny\n", "", ""),
        ("  tagBesideDigest: Same\n", "", ""),
        ("  platforms: EveryPlatform\n", "", ""),
        ("", ", repository: Same", ""),
        ("", ", threshold: 2", ""),
        ("", "", ", proof: DiffIDs"),
        ("", "", ", allow: [Supported, Deprecated]"),
        ("", "", ", maxBuildAge: 72h"),
    ] {
        let set = text(spec, signature, base);
        assert!(digests.insert(set.digest()), "{spec}{signature}{base}");
        let again = PolicySet::from_bytes(set.to_bytes()).unwrap();
        let settings = |set: &PolicySet| {
            let policy = &set.policies()[0];
            let kinds: Vec<String> = (policy.require.iter())
                .map(|requirement| match &requirement.kind {
                    RequirementKind::Signature(one) => format!("{} {:?}", one.threshold, one.repository),
                    RequirementKind::BaseImage(one) => {
                        format!("{:?} {:?} {:?}", one.proof, one.allow, one.max_build_age)
                    }
                    RequirementKind::Config(condition) => condition.source().to_owned(),
                    other => panic!("{other:?}"),
                })
                .collect();
            let rules = (policy.mode, policy.on_undeterminable, policy.tags, policy.tag_beside_digest);
            format!("{rules:?} {:?} {kinds:?}", policy.platforms)
        };
        assert_eq!(settings(&again), settings(&set), "{spec}{signature}{base}");
    }
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
    let said = |second: &str, threshold: u32, names: &str| {
        let require = format!("[{{name: s, signature: {{authorities: [{names}], threshold: {threshold}}}}}]");
        let errors = load(&[authority("a", KEY), authority("b", second), policy("p", &require)]).unwrap_err();
        assert_eq!(errors.problems().len(), 1, "{errors}");
        errors.problems()[0].message.clone()
    };
    assert_eq!(said(KEY, 2, "a, b"), "the threshold is 2, but only 1 distinct key or identity is named");
    assert_eq!(said(OTHER_KEY, 3, "a, b"), "the threshold is 3, but only 2 distinct keys or identities are named");
    // Who is meant by an unknown name is not known, so nothing is said of the threshold.
    assert_eq!(said(KEY, 2, "a, x"), "there is no Authority \"x\"");
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
    let exclude = ", namespaces: {excludeNames: [shop-test]}";
    check(exclude, "registry.example/shop/app", None, NamespaceUnknown);
    check(exclude, "registry.example/shop/app", Some(("web", None)), Yes);
    check(exclude, "registry.example/shop/app", Some(("shop-test", None)), No);
    let label = ", namespaces: {matchLabels: {env: production}}";
    check(label, "registry.example/shop/app", None, NamespaceUnknown);
    check(label, "registry.example/shop/app", Some(("web", Some("production"))), Yes);
    check(", namespaces: {names: [shop]}", "registry.example/shop/app", None, NamespaceUnknown);
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

/// Exactly as many patterns in one list, and as many patterns in one set, as are allowed.
#[test]
fn attack_39_patterns_are_counted_over_the_whole_set() {
    let built = |index: usize, count: usize| {
        let patterns = vec!["{exact: a}"; count].join(", ");
        format!("{{name: r{index}, provenance: {{authorities: [a], builders: [{patterns}]}}}}")
    };
    // The glob of the policy itself is one more.
    let load = |last: usize| {
        let full: Vec<String> = (0..9).map(|index| built(index, MAX_LIST)).chain([built(9, last)]).collect();
        load(&[authority("a", KEY), policy("p", &format!("[{}]", full.join(", ")))])
    };
    assert_eq!(load(MAX_LIST - 1).unwrap().policies()[0].require.len(), 10);
    let errors = load(MAX_LIST).unwrap_err();
    assert_eq!(errors.problems().len(), 1, "{errors}");
    assert_eq!(errors.problems()[0].message, "the documents hold more than 10000 patterns");
}

#[test]
fn of_many_problems_a_hundred_are_told_and_the_rest_is_counted() {
    let load = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!("n{index}")).collect();
        let require = format!("[{{name: s, signature: {{authorities: [{}]}}}}]", names.join(", "));
        load(&[policy("p", &require)]).unwrap_err()
    };
    for (count, told, more) in [(1, 1, 0), (99, 99, 0), (100, 100, 0), (101, 100, 1), (103, 100, 3)] {
        let errors = load(count);
        assert_eq!((errors.problems().len(), errors.more()), (told, more), "{count}");
        let end = format!("\nand {more} more");
        let text = errors.to_string();
        assert_eq!((text.ends_with(&end), text.contains("more")), (more > 0, more > 0), "{text}");
        assert!(!text.starts_with('\n') && !text.contains("\n\n"), "{text}");
    }
}

#[test]
fn lists_hold_as_much_as_is_allowed_and_no_more() {
    let digests =
        |count: usize| format!("[{{name: d, digests: [{}]}}]", vec![format!("\"{DIGEST}\""); count].join(", "));
    assert!(load(&[policy("p", &digests(10_000))]).is_ok());
    let said = load(&[policy("p", &digests(10_001))]).unwrap_err().to_string();
    assert!(said.contains("more than 10000 digests"), "{said}");

    // Alternatives count as well.
    let requirements = |count: usize| {
        let one = |index: usize| format!("{{name: r{index}, digests: [\"{DIGEST}\"]}}");
        let plain: Vec<String> = (0..count - 3).map(one).collect();
        let any = format!("{{name: any, anyOf: [{}, {}]}}", one(count), one(count + 1));
        load(&[policy("p", &format!("[{}, {any}]", plain.join(", ")))])
    };
    assert!(requirements(100).is_ok());
    let said = requirements(101).unwrap_err().to_string();
    assert!(said.contains("more than 100 requirements"), "{said}");

    let layers = |count: usize| {
        let digests = vec![format!("\"{DIGEST}\""); count].join(", ");
        load(&[catalog(&format!(
            "{{platform: linux/amd64, digest: \"{DIGEST}\", layers: [{digests}], diffIDs: [{digests}]}}"
        ))])
    };
    assert!(layers(256).is_ok());
    let said = layers(257).unwrap_err().to_string();
    assert!(said.contains("more than 256 layers"), "{said}");
}

/// A `BaseCatalog` with one build of these platforms.
fn catalog(platforms: &str) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: BaseCatalog\nmetadata: {{name: c}}\nspec: {{bases: [{{name: b, owner: {{team: t}}, supportedUntil: 2030-01-01, status: Supported, builds: [{{addedAt: 2026-01-01T00:00:00Z, status: Supported, platforms: [{platforms}]}}]}}]}}\n"
    )
}

#[test]
fn a_platform_is_an_os_and_an_architecture() {
    let load = |platform: &str| {
        load(&[catalog(&format!(
            "{{platform: {platform}, digest: \"{DIGEST}\", layers: [\"{DIGEST}\"], diffIDs: [\"{DIGEST}\"]}}"
        ))])
    };
    for good in ["linux/amd64", "linux/arm64/v8"] {
        assert!(load(good).is_ok(), "{good}");
    }
    for bad in ["linux", "linux/", "/amd64", "linux//v8"] {
        let said = load(bad).unwrap_err().to_string();
        assert!(said.contains("is no platform"), "{said}");
    }
}

#[test]
fn names_are_those_of_kubernetes() {
    for (name, label, subdomain) in [
        ("a", true, true),
        ("a-1", true, true),
        ("1a", true, true),
        ("a.b-c.d", false, true),
        ("", false, false),
        ("-a", false, false),
        ("a-", false, false),
        ("a.-b", false, false),
        ("a..b", false, false),
        ("a.", false, false),
        ("A", false, false),
        ("a_b", false, false),
        ("ä", false, false),
    ] {
        assert_eq!((read::is_name(name, 63, false), read::is_name(name, 63, true)), (label, subdomain), "{name:?}");
    }
    for dots in [false, true] {
        assert!(read::is_name(&"a".repeat(63), 63, dots) && !read::is_name(&"a".repeat(64), 63, dots));
    }
    let policy =
        |length: usize| load(&[policy(&"a".repeat(length), &format!("[{{name: d, digests: [\"{DIGEST}\"]}}]"))]);
    assert!(policy(253).is_ok() && policy(254).is_err());
}

#[test]
fn a_set_holds_as_much_as_is_allowed_and_no_more() {
    let empty = |index: usize| {
        format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {{name: r{index}}}\nspec: {{entries: []}}\n"
        )
    };
    let file = |name: &str, range: std::ops::Range<usize>| {
        SourceFile::new(name, range.map(empty).collect::<Vec<_>>().join("---\n"))
    };
    let said = |files: &[SourceFile]| PolicySet::load(files).unwrap_err().to_string();
    assert!(said(&[file("a.yaml", 0..1001)]).contains("the file holds more than 1000 documents"));
    let full = [file("a.yaml", 0..1000), file("b.yaml", 1000..2000)];
    assert!(PolicySet::load(&full).is_ok());
    let [a, b] = full;
    assert!(said(&[a, b, file("c.yaml", 2000..2001)]).contains("the set holds more than 2000 documents"));

    let bytes = |name: &str, length: usize| SourceFile::new(name, vec![b'#'; length]);
    assert!(PolicySet::load(&[bytes("a.yaml", 8 << 20)]).is_ok());
    assert!(said(&[bytes("a.yaml", (8 << 20) + 1)]).contains("the file is larger than 8 MiB"));
    assert!(PolicySet::load(&[bytes("a.json", 16 << 20), bytes("b.json", 16 << 20)]).is_ok());
    assert!(said(&[bytes("a.json", 16 << 20), bytes("b.json", (16 << 20) + 1)]).contains("more than 32 MiB"));
}

#[test]
fn a_requirement_is_of_one_kind() {
    let one = format!("{{name: d, digests: [\"{DIGEST}\"]}}");
    let said = load(&[
        authority("a", KEY),
        policy("p", &format!("[{{name: r, signature: {{authorities: [a]}}, anyOf: [{one}]}}]")),
    ]);
    let said = said.unwrap_err().to_string();
    assert!(said.contains("exactly one of signature"), "{said}");
    let said =
        load(&[policy("p", &format!("[{{name: r, config: {{condition: \"true\"}}, digests: [\"{DIGEST}\"]}}]"))]);
    assert!(said.unwrap_err().to_string().contains("exactly one of signature"));
    let said = load(&[policy("p", &format!("[{{name: r, anyOf: [{{name: s, anyOf: [{one}]}}]}}]"))]);
    assert!(said.unwrap_err().to_string().contains("anyOf cannot hold another anyOf"));
}

#[test]
fn a_condition_over_the_configuration_is_compiled_when_the_policy_is_loaded() {
    let config = |text: &str| load(&[policy("p", &format!("[{{name: r, config: {text}}}]"))]);
    let set = config("{condition: \"config.User != ''\"}").unwrap();
    let RequirementKind::Config(condition) = &set.policies()[0].require[0].kind else { panic!("a config") };
    assert_eq!(condition.source(), "config.User != ''");
    assert_eq!(set.policies()[0].require[0].kind.as_str(), "config");
    let said = config("{condition: \"predicate.User != ''\"}").unwrap_err().to_string();
    assert!(said.contains("there is no variable \"predicate\""), "{said}");
    assert!(config("{condition: \"\"}").is_err() && config("{}").is_err());
}

#[test]
fn predicate_types_are_exact_uris_or_whole_formats() {
    let types = |text: &str| {
        let require = format!("[{{name: s, attestation: {{authorities: [a], {text}}}}}]");
        load(&[authority("a", KEY), policy("p", &require)]).map(|set| match &set.policies()[0].require[0].kind {
            RequirementKind::Attestation(attestation) => attestation.types.clone(),
            other => panic!("{other:?}"),
        })
    };
    let (spdx, own) = ("https://spdx.dev/Document/v2.3", "https://a.example/own");
    for (text, covered) in [
        ("types: [spdx]", [true, false]),
        ("predicateTypes: [\"https://a.example/own\"]", [false, true]),
        ("types: [spdx], predicateTypes: [\"https://a.example/own\"]", [true, true]),
    ] {
        let types = types(text).unwrap();
        assert_eq!([spdx, own].map(|uri| types.covers(uri)), covered, "{text}");
        assert!(!types.covers("https://a.example/own/v1") && !types.covers("https://a.example"), "{text}");
    }
    for bad in ["a.example/own", "https://a.example/o wn", "https://a.example/ö"] {
        let said = types(&format!("predicateTypes: [\"{bad}\"]")).unwrap_err().to_string();
        assert!(said.contains("is no absolute URI"), "{said}");
    }
}

#[test]
fn a_key_is_good_from_its_first_moment_to_before_its_last() {
    let window = |more: &str| {
        let text = authority("a", KEY).replace("  key:\n", &format!("  key:\n{more}"));
        let set = load(&[text]).unwrap();
        let key = set.authorities()["a"].key().unwrap().clone();
        ["2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"]
            .map(|time| key.valid_at(time.parse().unwrap()))
    };
    let (from, until) = ("    validFrom: 2026-01-01T00:00:00Z\n", "    validUntil: 2027-01-01T00:00:00Z\n");
    assert_eq!(window(""), [true; 4]);
    assert_eq!(window(from), [false, true, true, true]);
    assert_eq!(window(until), [true, true, true, false]);
    assert_eq!(window(&format!("{from}{until}")), [false, true, true, false]);
    let never = authority("a", KEY).replace("  key:\n", &format!("  key:\n{from}{}", until.replace("2027", "2026")));
    assert!(load(&[never]).unwrap_err().to_string().contains("validUntil does not lie after validFrom"));
}

#[test]
fn what_is_demanded_of_a_log_is_what_is_written() {
    use attestry_core::trust_root::LogProof;
    let root = |more: &str| {
        format!(
            "apiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: root}}\nspec: {{publicGood: {{}}{more}}}\n"
        )
    };
    for (text, log) in [
        ("", LogProof::None),
        ("    transparencyLog: optional\n", LogProof::None),
        ("    transparencyLog: promise\n", LogProof::Promise),
        ("    transparencyLog: required\n", LogProof::Inclusion),
    ] {
        let key = authority("a", KEY).replace("  key:\n", &format!("  key:\n    trustRoot: root\n{text}"));
        let set = load(&[key, root("")]).unwrap();
        let trusted = set.authorities()["a"].key().unwrap().trusted();
        assert_eq!((trusted.log, trusted.trust_root.is_some()), (log, true), "{text}");
    }
    for (text, sct, log) in [
        ("", true, true),
        (", sct: NotOffered", false, true),
        (", log: NotOffered", true, false),
        (", sct: NotOffered, log: NotOffered", false, false),
    ] {
        let demands = load(&[root(text)]).unwrap().trust_roots()["root"].root.demands();
        assert_eq!((demands.sct, demands.log), (sct, log), "{text}");
    }
}

/// An `Authority` for an identity, and the public trust root.
fn identity(spec: &str) -> String {
    format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: TrustRoot\nmetadata: {{name: root}}\nspec: {{publicGood: {{}}}}\n---\napiVersion: attestry.dev/v1alpha1\nkind: Authority\nmetadata: {{name: id}}\nspec: {{keyless: {{{spec}, trustRoot: root}}}}\n"
    )
}

#[test]
fn attack_22_an_identity_fits_by_issuer_subject_and_every_claim() {
    let set = load(&[identity(
        "issuer: \"https://a.example\", subject: {exact: me}, claims: {sourceRepositoryURI: {exact: x}, buildTrigger: {glob: \"push*\"}}",
    )])
    .unwrap();
    let keyless = set.authorities()["id"].keyless().unwrap();
    assert!(set.authorities()["id"].key().is_none() && set.authorities()["id"].trust_root().is_some());
    let names = |issuer: &str, subject: &str, claims: &[(&'static str, &str)]| {
        keyless.names(&attestry_core::identity::Identity {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            claims: claims.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        })
    };
    let (source, trigger) = (("sourceRepositoryURI", "x"), ("buildTrigger", "push"));
    let issuer = "https://a.example";
    assert!(names(issuer, "me", &[source, trigger]));
    assert!(names(issuer, "me", &[source, trigger, ("buildConfigURI", "y")]), "more claims say nothing");
    for (what, claims) in [
        ("one claim", &[source][..]),
        ("no claim", &[]),
        ("another value", &[source, ("buildTrigger", "pull")]),
        ("another claim", &[("buildConfigURI", "x"), trigger]),
    ] {
        assert!(!names(issuer, "me", claims), "{what}");
    }
    for other in ["https://b.example", "https://a.example/", "https://A.example", ""] {
        assert!(!names(other, "me", &[source, trigger]), "{other}");
    }
    assert!(!names(issuer, "me2", &[source, trigger]) && !names(issuer, "", &[source, trigger]));
}

#[test]
fn attack_24_an_issuer_is_a_url_without_a_second_reading() {
    let load = |issuer: &str| load(&[identity(&format!("issuer: \"{issuer}\", subject: {{exact: me}}"))]);
    let of_length = |length: usize| format!("https://{}", "a".repeat(length - 8));
    for good in ["https://a", &of_length(512)] {
        assert_eq!(load(good).unwrap().authorities()["id"].keyless().unwrap().issuer, good);
    }
    for bad in
        ["", "https://", "http://a.example", "a.example", "https://a b", "https://ä", "https://a\\n", &of_length(513)]
    {
        assert_eq!(load(bad).unwrap_err().problems().len(), 1, "{bad}");
    }
}
