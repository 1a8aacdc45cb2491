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

#[test]
fn attack_34_a_case_says_what_the_tag_beside_a_digest_names() {
    let (digest, other) = (Digest::of("x"), Digest::of("y"));
    let parse = |image: &str, tagged: &str| {
        let text = CASE.replace("registry.example/shop/app:1", image).replace("  now:", &format!("{tagged}  now:"));
        Case::parse(&SourceFile::new("deny-x.yaml", text)).map(|case| case.tagged)
    };
    let both = format!("registry.example/shop/app:1@{digest}");
    let tagged = format!("  tagged: \"{other}\"\n");
    assert_eq!(parse(&both, &tagged), Ok(Tagged::Names(other)));
    assert_eq!(parse(&both, ""), Ok(Tagged::NotAsked));
    assert!(parse(&both, "  tagged: latest\n").is_err());
    for one in ["registry.example/shop/app:1".to_owned(), format!("registry.example/shop/app@{digest}")] {
        assert!(parse(&one, &tagged).is_err_and(|error| error.to_string().contains("a tag beside a digest")), "{one}");
    }
}

#[test]
fn evidence_may_lie_one_folder_up() {
    let parse = |path: &str| {
        let text = CASE.replace("evidence/unsigned.json", path);
        Case::parse(&SourceFile::new("cases/deny-unsigned.yaml", text))
    };
    assert_eq!(parse("../evidence/x.json").unwrap().evidence, "../evidence/x.json");
    assert!(parse("../a/../x.json").is_err());
}

#[test]
fn what_differs_from_a_case_is_said() {
    let reference: attestry_core::Reference = "registry.example/shop/app:1".parse().unwrap();
    let set = crate::PolicySet::load(&[]).unwrap();
    let request = crate::ReviewRequest { repository: "registry.example/shop/app".parse().unwrap(), namespace: None };
    let subject =
        attestry_core::Subject { repository: request.repository.clone(), digest: attestry_core::Digest::of("x") };
    let evidence = attestry_core::Evidence::new(&subject);
    let review = set.session(&request, "2026-06-01T00:00:00Z".parse().unwrap()).review(&evidence);
    let answer = |no_policy| {
        let strictness = crate::answer::Strictness::AsWritten;
        crate::answer::answer(
            &review,
            &reference,
            &crate::answer::Tagged::NotAsked,
            attestry_core::decision::Use::Pod,
            no_policy,
            strictness,
        )
    };
    let refused = answer(crate::answer::NoPolicy::Deny);
    let admitted = answer(crate::answer::NoPolicy::Allow);

    let case = Case::parse(&SourceFile::new("deny-unsigned.yaml", CASE)).unwrap();
    assert_eq!(case.compare(&review, &refused), ["signature-missing is not among the reasons (no-policy)"]);
    let case = Case { reasons: vec![ReasonCode::NoPolicy], ..case };
    assert_eq!(case.compare(&review, &refused), [""; 0]);
    assert_eq!(case.compare(&review, &admitted), ["the image is admitted, not refused"]);
    let case = Case { verdict: Some(Verdict::Trusted), allowed: true, reasons: Vec::new(), ..case };
    assert_eq!(case.compare(&review, &admitted), ["the verdict is untrusted, not trusted"]);
    assert_eq!(
        case.compare(&review, &refused),
        ["the verdict is untrusted, not trusted", "the image is refused, not admitted"]
    );
    let indifferent = Case { verdict: None, ..case };
    assert_eq!(indifferent.compare(&review, &admitted), [""; 0]);
}

#[test]
fn a_case_without_any_reason_says_so() {
    let mut case = Case::parse(&SourceFile::new("deny-unsigned.yaml", CASE)).unwrap();
    case.allowed = true;
    case.verdict = None;
    let evidence = attestry_core::Evidence::new(&attestry_core::Subject {
        repository: "registry.example/shop/app".parse().unwrap(),
        digest: attestry_core::Digest::of("x"),
    });
    let set = crate::PolicySet::load(&[]).unwrap();
    let request = crate::ReviewRequest { repository: evidence.repository.clone(), namespace: None };
    let mut review = set.session(&request, "2026-06-01T00:00:00Z".parse().unwrap()).review(&evidence);
    review.findings.clear();
    let answer = Answer { allowed: true, undeterminable: false, denials: Vec::new(), warnings: Vec::new() };
    assert_eq!(case.compare(&review, &answer), ["signature-missing is not among the reasons (none)"]);
}
