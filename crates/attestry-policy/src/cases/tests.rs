//! Case files are read strictly.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const CASE: &str = r#"apiVersion: attestry.dev/v1alpha1
kind: PolicyCase
metadata: {name: deny-unsigned}
spec:
  image: registry.example/shop/app:1
  namespace: shop-1
  namespaceLabels: {env: production}
  now: 2026-06-01T00:00:00Z
  evidence: evidence/unsigned.json
  expect: {verdict: untrusted, allowed: false, reasons: [signature-missing]}
"#;

#[test]
fn a_case_reads() {
    let case = Case::parse(&SourceFile::new("cases/deny-unsigned.yaml", CASE)).unwrap();
    assert_eq!(case.image.to_string(), "registry.example/shop/app:1");
    assert_eq!(case.namespace.unwrap().labels.unwrap()["env"], "production");
    assert_eq!((case.verdict, case.allowed), (Some(Verdict::Untrusted), false));
    assert_eq!(case.reasons, [ReasonCode::SignatureMissing]);
    let least = CASE
        .replace("  namespace: shop-1\n  namespaceLabels: {env: production}\n", "")
        .replace("verdict: untrusted, ", "");
    let case = Case::parse(&SourceFile::new("deny-x.yaml", least)).unwrap();
    assert_eq!((case.namespace, case.verdict), (None, None));
}

#[test]
fn what_is_wrong_with_a_case_is_said() {
    let mut report = String::new();
    for (from, to) in [
        ("kind: PolicyCase", "kind: ImagePolicy"),
        ("image: registry", "image: https://registry"),
        ("now: 2026-06-01T00:00:00Z", "now: yesterday"),
        ("signature-missing", "signature-mising"),
        ("verdict: untrusted", "verdict: denied"),
        ("allowed: false", "allowed: true"),
        ("allowed: false, ", ""),
        ("  namespace: shop-1\n", ""),
        ("evidence/unsigned.json", "/etc/passwd"),
        ("evidence/unsigned.json", "../../../x"),
        ("evidence: ", "evidences: "),
        ("spec:\n", "---\nspec:\n"),
    ] {
        assert!(CASE.contains(from), "{from}");
        let text = CASE.replacen(from, to, 1);
        let errors = Case::parse(&SourceFile::new("cases/deny-unsigned.yaml", text)).expect_err(to);
        report.push_str(&format!("{errors}\n"));
    }
    insta::assert_snapshot!(report);
}
