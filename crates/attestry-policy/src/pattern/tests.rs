//! Patterns speak of whole texts, and image globs of normal forms.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn pattern(kind: &str, source: &str) -> Result<Pattern, PatternError> {
    let mut spec = PatternSpec::default();
    match kind {
        "exact" => spec.exact = Some(source.to_owned()),
        "glob" => spec.glob = Some(source.to_owned()),
        _ => spec.regex = Some(source.to_owned()),
    }
    Pattern::compile(&spec)
}

#[test]
fn attack_22_and_23_patterns_match_whole_texts() {
    let check = |kind: &str, source: &str, text: &str, expected: bool| {
        assert_eq!(pattern(kind, source).unwrap().matches(text), expected, "{kind} {source} {text:?}");
    };
    let repo = "https://github.com/org/repo";
    for kind in ["exact", "glob", "regex"] {
        check(kind, repo, repo, true);
        for other in [
            "https://github.com/org/repo-evil",
            "https://evil.example/https://github.com/org/repo",
            "https://github.com/org/repo\n",
            "\nhttps://github.com/org/repo",
            "https://github.com/org/REPO",
            "https://github.com./org/repo",
            "https://github.com/org/rep%6f",
            "https://github.com/org/rерo",
            "https://github.com/org/./repo",
            "",
        ] {
            check(kind, repo, other, false);
        }
    }
    let workflow = "https://github.com/acme/*/.github/workflows/release.yml@refs/tags/*";
    check("glob", workflow, "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1.2", true);
    check("glob", workflow, "https://github.com/acme/a/b/.github/workflows/release.yml@refs/tags/v1", false);
    check("glob", workflow, "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/a/b", false);
    check("glob", workflow, "https://github.com/acme/../.github/workflows/release.yml@refs/tags/v1", false);
    check("glob", workflow, "https://github.com/acme/a%2fb/.github/workflows/release.yml@refs/tags/v1", false);
    check("glob", workflow, "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1\nx", false);
    check("glob", workflow, "https://github.com/acme/app/xgithub/workflows/release.yml@refs/tags/v1", false);
    check("glob", "a/**", "a/b/c", true);
    check("glob", "a/**/d", "a/b/c/d", true);
    check("glob", "a/**", "b/a/c", false);
    check("glob", "*", "ü", false);
    check("glob", "*", "a b", false);
    check("regex", "a|b", "ab", false);
    check("regex", "a|b", "b", true);
    check("regex", "(?m)^a$", "a\nb", false);
    check("regex", ".*", "line\nline", false);
    check("exact", "a*", "ab", false);
}

#[test]
fn attack_24_and_26_bad_patterns_are_refused() {
    for (kind, source) in [
        ("exact", ""),
        ("glob", " "),
        ("regex", ""),
        ("glob", "a?"),
        ("glob", "{a,b}"),
        ("glob", "[ab]"),
        ("glob", "a\\*"),
        ("glob", "***"),
        ("regex", "("),
        ("regex", "a)(b"),
        ("regex", "(?=a)b"),
        ("regex", r"(a)\1"),
        ("regex", "(a{1000}){1000}"),
        ("regex", "((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))"),
    ] {
        assert!(pattern(kind, source).is_err(), "{kind} {source}");
    }
    for kind in ["exact", "glob", "regex"] {
        assert!(pattern(kind, &"a".repeat(1024)).is_ok(), "{kind}");
        assert_eq!(pattern(kind, &"a".repeat(1025)).unwrap_err(), PatternError::TooLong, "{kind}");
    }
    assert!(Pattern::compile(&PatternSpec::default()).is_err());
    let both = PatternSpec { exact: Some("a".into()), glob: Some("a".into()), regex: None };
    assert_eq!(Pattern::compile(&both).unwrap_err(), PatternError::NotOne);
}

#[test]
fn attack_26_what_explodes_elsewhere_is_linear_here() {
    let text = "a".repeat(20_000) + "!";
    for (kind, source) in
        [("regex", "(a+)+b"), ("regex", "(a|aa)+$"), ("glob", "*a*a*a*a*a*a*a*b"), ("glob", "**a**a**a**a**b")]
    {
        assert!(!pattern(kind, source).unwrap().matches(&text), "{source}");
    }
}

#[test]
fn attack_80_image_globs_are_in_normal_form() {
    let check = |source: &str, expected: Result<(), Option<&str>>| {
        let result = Glob::compile_image(source).map(drop).map_err(|error| match error {
            PatternError::NotNormal { normal } => normal,
            other => Some(other.to_string()),
        });
        assert_eq!(result, expected.map_err(|text| text.map(str::to_owned)), "{source}");
    };
    for good in [
        "**",
        "*/**",
        "registry.example/**",
        "registry.example/shop/*",
        "127.0.0.1:5000/app",
        "*.example.com/**",
        "docker.io/library/nginx",
        "docker.io/**",
        "localhost/app",
        "[::1]:5000/a",
        "**/app",
        "registry-*.example/x",
    ] {
        check(good, Ok(()));
    }
    check("nginx", Err(Some("docker.io/library/nginx")));
    check("acme/app", Err(Some("docker.io/acme/app")));
    check("docker.io/nginx", Err(Some("docker.io/library/nginx")));
    check("index.docker.io/acme/*", Err(Some("docker.io/acme/*")));
    check("registry.example:443/x", Err(Some("registry.example/x")));
    check("registry.example./x", Err(Some("registry.example/x")));
    check("Registry.Example/x", Err(Some("registry.example/x")));
    check("registry.example/Shop", Err(None));
    check("registry.example", Err(Some("registry.example/**")));
    check("*", Err(Some("*/**")));
    check("registry.example/", Err(None));
    check("https://registry.example/x", Err(None));
    check("*.example./x", Err(None));
    check("*.example:443/x", Err(None));
    check("*.Example/x", Err(None));
    check("*.example/a//b", Err(None));
    check("registry.example/a b", Err(None));
    check("localhost", Err(Some("localhost/**")));
    check("registry:5000", Err(Some("registry:5000/**")));
    check("registry*", Err(Some("registry*/**")));
    check("docker.io/*", Err(Some("docker.io/library/*")));
    check("LOCALHOST/app", Err(Some("localhost/app")));
    check("*.example:5000/a_b-c.d/0", Ok(()));
    check("[::1]/a", Ok(()));
    for with_tag in ["registry.example/x:latest", "registry.example/x@sha256:*"] {
        check(with_tag, Err(Some(&PatternError::TagOrDigest.to_string())));
    }
}

#[test]
fn what_an_accepted_text_begins_with() {
    let check = |kind: &str, source: &str, expected: &str| {
        assert_eq!(pattern(kind, source).unwrap().fixed_start(), expected, "{source}")
    };
    check("glob", "https://github.com/acme/*", "https://github.com/acme/");
    check("regex", r"https://github\.com/acme/.*", "https://github.com/acme/");
    check("regex", r"https://github.com/acme/", "https://github");
    check("regex", "https?://a", "http");
    check("regex", "https://a/|b", "");
    check("exact", "a*", "a*");
}

/// Revocations and distinct authorities are told apart by these.
#[test]
fn patterns_are_equal_by_kind_and_source_and_are_written_with_both() {
    let texts = [("exact", "a"), ("glob", "a"), ("regex", "a"), ("exact", "b"), ("glob", "b"), ("regex", "b")];
    let all = texts.map(|(kind, source)| pattern(kind, source).unwrap());
    for (at, one) in all.iter().enumerate() {
        for (other_at, other) in all.iter().enumerate() {
            assert_eq!(one == other, at == other_at, "{one} {other}");
        }
        let (kind, source) = texts[at];
        assert_eq!((one.to_string(), format!("{one:?}")), (format!("{{{kind}: \"{source}\"}}"), one.to_string()));
        assert_eq!((one.is_regex(), one.is_exact()), (kind == "regex", kind == "exact"));
    }
    let globs = ["a/*", "a/**"].map(|source| Glob::compile(source).unwrap());
    assert!(globs[0] != globs[1] && globs[0] == globs[0].clone());
    assert_eq!(format!("{:?}", globs[0]), "\"a/*\"");
}

#[test]
fn an_image_glob_without_a_clear_normal_form_is_explained() {
    let hint = |normal: Option<&str>| PatternError::NotNormal { normal: normal.map(str::to_owned) }.hint().unwrap();
    assert_eq!(hint(Some("a.example/b")), "write \"a.example/b\"");
    assert!(hint(None).contains("lower case"));
}
