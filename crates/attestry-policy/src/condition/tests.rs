//! What conditions give, what is refused when they are loaded, and that no condition runs for long.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const SPDX: &str = r#"{"spdxVersion": "SPDX-2.3", "packages": [
    {"name": "serde", "versionInfo": "1.0.0", "licenseConcluded": "MIT OR Apache-2.0",
     "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:cargo/serde@1.0.0"}]},
    {"name": "app", "versionInfo": "2.1", "licenseConcluded": "NOASSERTION"}]}"#;
const CYCLONEDX: &str = r#"{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [
    {"name": "serde", "version": "1.0.0", "purl": "pkg:cargo/serde@1.0.0",
     "licenses": [{"license": {"id": "MIT"}}], "components": [{"name": "inner"}]}]}"#;
const VULN: &str = r#"{"scanner": {"result": [{"id": "CVE-1", "severity": 9.8}, {"id": "CVE-2", "severity": 3}]},
    "metadata": {"scanFinishedOn": "2026-06-01T00:00:00Z"}, "count": 18446744073709551615, "none": null}"#;

fn statement(predicate_type: &str, predicate: &str) -> Statement {
    let payload = format!(
        r#"{{"_type": "https://in-toto.io/Statement/v1", "subject": [{{"name": "a", "digest": {{"sha256": "00"}}}}],
            "predicateType": "{predicate_type}", "predicate": {predicate}}}"#
    );
    Statement::parse(payload.as_bytes()).unwrap()
}

fn facts() -> ImageFacts {
    ImageFacts {
        reference: "registry.example/app".to_owned(),
        digest: "sha256:00".to_owned(),
        annotations: BTreeMap::from([("org.opencontainers.image.version".to_owned(), "1.2".to_owned())]),
        labels: BTreeMap::from([("team".to_owned(), "shop".to_owned())]),
    }
}

/// `pass`, `false`, or what `condition-failed` says.
fn outcome(source: &str, statement: &Statement) -> String {
    let condition = Condition::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    match condition.check(statement, &facts()) {
        Ok(()) => "pass".to_owned(),
        Err(reason) if reason.code == ReasonCode::ConditionFalse => "false".to_owned(),
        Err(reason) => {
            assert_eq!(reason.code, ReasonCode::ConditionFailed);
            reason.message.trim_start_matches("the condition could not be computed: ").to_owned()
        }
    }
}

#[test]
fn what_conditions_give() {
    let spdx = statement("https://spdx.dev/Document/v2.3", SPDX);
    let cyclonedx = statement("https://cyclonedx.org/bom", CYCLONEDX);
    let vuln = statement("https://cosign.sigstore.dev/attestation/vuln/v1", VULN);
    let cases: &[(&Statement, &str, &str)] = &[
        (&spdx, "size(sbom.packages) > 0", "pass"),
        (&spdx, "sbom.packages.size() == 2", "pass"),
        (&spdx, "sbom.packages.exists(p, p.purl == 'pkg:cargo/serde@1.0.0')", "pass"),
        (&spdx, "sbom.packages.all(p, has(p.licence))", "false"),
        (&spdx, "sbom.packages.all(p, p.licence != 'AGPL-3.0')", "there is no field \"licence\""),
        (&spdx, "sbom.packages.exists(p, p.licence == 'MIT OR Apache-2.0')", "pass"),
        (&spdx, "sbom.packages.filter(p, p.name == 'app').size() == 1", "pass"),
        (&spdx, "sbom.packages.map(p, p.name) == ['serde', 'app']", "pass"),
        (&spdx, "sbom.packages.map(p, p.name == 'app', p.version)[0] == '2.1'", "pass"),
        (&spdx, "sbom.packages.exists_one(p, p.name.startsWith('s'))", "pass"),
        (&spdx, "!sbom.packages.exists(p, p.name in ['log4j', 'xz'])", "pass"),
        (&spdx, "sbom.packages.all(p, sbom.packages.exists(q, q.name == p.name))", "pass"),
        (&cyclonedx, "sbom.packages.map(p, p.name) == ['serde', 'inner']", "pass"),
        (&cyclonedx, "sbom.packages[0].licence == 'MIT'", "pass"),
        (&vuln, "sbom.packages.all(p, false)", "sbom needs a predicate that is SPDX or CycloneDX"),
        (&vuln, "predicate.scanner.result.all(r, r.severity < 9.0)", "false"),
        (&vuln, "predicate.scanner.result.all(r, r.severity < 10)", "pass"),
        (&vuln, "predicate.scanner.result[1].severity == 3.0", "pass"),
        (&vuln, "predicate.scanner.result[2].id == ''", "there is no item \"2\""),
        (&vuln, "predicate['scanner']['result'].size() == 2", "pass"),
        (&vuln, "predicate.none == null && !has(predicate.other)", "pass"),
        (&vuln, "predicate.other == null", "there is no field \"other\""),
        (&vuln, "has(predicate.other) && predicate.other.deeper == 1", "false"),
        (&vuln, "predicate.count == 18446744073709551615u", "pass"),
        (&vuln, "timestamp(predicate.metadata.scanFinishedOn) > timestamp('2026-05-01T00:00:00Z')", "pass"),
        (
            &vuln,
            "timestamp(predicate.metadata.scanFinishedOn) - timestamp('2026-05-31T00:00:00Z') == duration('24h')",
            "pass",
        ),
        (&vuln, "predicate.scanner.result.exists(r, r.id.matches('^CVE-[0-9]+$'))", "pass"),
        (&vuln, "matches(predicate.metadata.scanFinishedOn, '2026')", "pass"),
        (&vuln, "statement.predicateType.contains('vuln') && statement.subject[0].name == 'a'", "pass"),
        (&vuln, "statement.predicate.metadata == predicate.metadata", "pass"),
        (
            &vuln,
            "image.labels.team == 'shop' && image.annotations['org.opencontainers.image.version'] == '1.2'",
            "pass",
        ),
        (&vuln, "image.reference.startsWith('registry.example/') && image.digest.endsWith('00')", "pass"),
        (&vuln, "'team' in image.labels && !('owner' in image.labels)", "pass"),
        (&vuln, "predicate.metadata ? true : false", "a map stands where true or false is needed"),
        (&vuln, "predicate.none", "it gives a null, not true or false"),
        (&vuln, "1 / 0 == 1", "a whole number is too large, or divided by zero"),
        (&vuln, "1 / 0 == 1 || true", "pass"),
        (&vuln, "1 / 0 == 1 && false", "false"),
        (&vuln, "1 / 0 == 1 && true", "a whole number is too large, or divided by zero"),
        (&vuln, "[1, 2].exists(x, x / 0 == 1 || x == 2)", "pass"),
        (&vuln, "[].all(x, false)", "pass"),
        (&vuln, "9223372036854775807 + 1 > 0", "a whole number is too large, or divided by zero"),
        (&vuln, "-9223372036854775807 - 1 < 0", "pass"),
        (&vuln, "-9223372036854775808 / -1 > 0", "a whole number is too large, or divided by zero"),
        (&vuln, "1 == 1.0 && 1u == 1 && 2 > 1.5 && 'b' > 'a' && 5 % 3 == 2", "pass"),
        (&vuln, "1 == '1'", "false"),
        (&vuln, "1 < '1'", "int and string have no order"),
        (&vuln, "'a' + 'b' == 'ab' && [1] + [2] == [1, 2] && {'a': 1}.a == 1", "pass"),
        (&vuln, "{'a': [1, {'b': 2}]} == {'a': [1.0, {'b': 2u}]}", "pass"),
        (&vuln, "{'a': 1, 'a': 2}.a == 1", "a map has the same key twice"),
        (
            &vuln,
            "'Ä,B'.lowerAscii().split(',') == ['Ä', 'b'] && ' x '.trim() == 'x' && 'x'.upperAscii() == 'X'",
            "pass",
        ),
        (&vuln, "size('äb') == 2 && int('42') == 42 && double('1.5') == 1.5 && string(7) == '7'", "pass"),
        (&vuln, "int('4x') == 4", "int() needs a whole number"),
        (&vuln, "1.0 / 0.0 > 1000.0", "pass"),
        (&vuln, "[1, 2].map(x, [3].map(y, x + y)) == [[4], [5]]", "pass"),
        (&vuln, "predicate.scanner.all(k, k == 'result')", "pass"),
    ];
    for (statement, source, expected) in cases {
        assert_eq!(outcome(source, statement), *expected, "{source}");
    }
}

#[test]
fn what_is_refused_when_it_is_loaded() {
    let sources = [
        "",
        "  \n ",
        "1 +",
        "size(sbom.packages) > ",
        "sboms.packages == 1",
        "p.name == ''",
        "sbom.packages.all(p, q.name == '')",
        "sbom.packages.every(p, true)",
        "sbom.packages.all(p)",
        "sizeof(sbom) > 0",
        "size(sbom, sbom) > 0",
        "now() > 1",
        "predicate.name.matches(predicate.pattern)",
        "'a'.matches('(')",
        "'a'.matches('(a{1000}){1000}')",
        "size(predicate)",
        "'text'",
        "1 + 1",
        "[true]",
        "sbom.packages.map(p, p)",
        "b'bytes' == b'bytes'",
        "Message{a: 1} == 1",
        "predicate.?a == 1",
        "@result",
        "true; false",
        "'unclosed",
    ];
    let mut report = String::new();
    for source in sources {
        let error = Condition::compile(source).expect_err(source);
        let hint = error.hint().map(|hint| format!("  hint: {hint}\n")).unwrap_or_default();
        report.push_str(&format!("{source:?}\n  {error}\n{hint}"));
    }
    insta::assert_snapshot!(report);
}

/// On as little stack as a test has: refused, or evaluated all the same.
#[test]
fn attack_39_no_source_exhausts_the_stack() {
    let shapes: [(&str, &str, &str); 14] = [
        ("1", "+1", " == 1"),
        ("predicate", ".a", " == 1"),
        ("predicate", "[0]", " == 1"),
        ("true", "?true:true", ""),
        ("true", "?true:false", ""),
        ("true", "||true", ""),
        ("true", "&&true", ""),
        ("true", " in true", ""),
        ("1", "==1", ""),
        ("'a'", ".trim()", " == 'a'"),
        ("r'\\' == '1", "+1", "'"),
        ("(", "(", ")"),
        ("[", "[", "]"),
        ("!", "!", "true"),
    ];
    let statement = statement("https://a.example", "[]");
    for (start, middle, end) in shapes {
        let mut accepted = 0;
        for times in [5, 10, 20, 50, 100, 130, 190, 195, 390, 398, 1000, 1350] {
            let source = match middle {
                "(" | "[" => format!("{}1{} == 1", start.repeat(times), end.repeat(times)),
                _ => format!("{start}{}{end}", middle.repeat(times)),
            };
            match Condition::compile(&source) {
                Ok(condition) => {
                    accepted = times;
                    let _ = condition.check(&statement, &facts());
                }
                Err(error) => assert!(times > 10, "{error}: {source}"),
            }
        }
        assert!(accepted < 1000, "{start}{middle}");
    }
    assert!(matches!(Condition::compile(&vec!["1"; 1350].join("+")), Err(ConditionError::TooComplex(_))));
    assert!(matches!(Condition::compile(&"x".repeat(5000)), Err(ConditionError::TooLong)));
}

#[test]
fn attack_39_what_runs_for_long_is_stopped_and_never_passes() {
    let items: Vec<String> = (0..2000).map(|n| format!("{{\"n\": {n}, \"t\": \"{}\"}}", "x".repeat(200))).collect();
    let big = statement(
        "https://a.example",
        &format!("{{\"items\": [{}], \"text\": \"{}\"}}", items.join(","), "y".repeat(1_000_000)),
    );
    for source in [
        "predicate.items.all(a, predicate.items.all(b, predicate.items.all(c, a.n + b.n + c.n >= 0)))",
        "predicate.items.exists(a, predicate.items.exists(b, a.n + b.n < 0)) || true",
        "predicate.items.all(a, predicate == predicate)",
        "predicate.items.all(a, (predicate.text + 'a') != '')",
        "predicate.items.all(a, predicate.text.matches('(y+)+z') == false)",
        "predicate.items.all(a, predicate.text.contains('z') == false)",
        "predicate.items.all(a, a in predicate.items)",
        "predicate.items.map(a, predicate.items.map(b, predicate.items)).size() > 0",
        "predicate.items.all(a, size(predicate.text.split('y')) > 0)",
        "predicate.items.all(a, size(predicate.text) > 0)",
        "predicate.items.all(a, size(predicate.items + predicate.items) > 0)",
        "predicate.items.all(a, predicate.text < predicate.text + 'a')",
    ] {
        assert_eq!(outcome(source, &big), "it took more than 100000 steps", "{source}");
    }
    assert_eq!(outcome("predicate.items.all(a, a.n >= 0)", &big), "pass");
}

#[test]
fn attack_39_predicates_above_the_bounds_fail() {
    let large = statement("https://a.example", &format!("\"{}\"", "x".repeat(MAX_PREDICATE)));
    assert_eq!(outcome("true", &large), "the predicate is larger than 2 MiB");
    let many = statement("https://a.example", &format!("[{}]", vec!["0"; MAX_NODES].join(",")));
    assert_eq!(outcome("true", &many), "the predicate holds more than 100000 values");
    let ten_thousand: Vec<String> = (0..10_000).map(|n| format!("{{\"name\": \"p{n}\"}}")).collect();
    let sbom = format!("{{\"spdxVersion\": \"SPDX-2.3\", \"packages\": [{}]}}", ten_thousand.join(","));
    let sbom = statement("https://spdx.dev/Document", &sbom);
    assert_eq!(outcome("sbom.packages.all(p, p.name != 'log4j-core' && p.name != 'xz')", &sbom), "pass");
}

#[test]
fn which_variables_it_reads_is_known() {
    assert!(Condition::compile("image.digest != ''").unwrap().reads_image());
    assert!(!Condition::compile("predicate.image != 'image'").unwrap().reads_image());
}

proptest::proptest! {
    /// Whatever is written, compiling and evaluating end without a panic.
    #[test]
    fn any_source_ends(source in r#"(predicate|sbom|image|x|[0-9]{1,3}|'[a-z]'|[-+*/%<>=!?:.,&|()\[\]{} ]|\.all\(x,|\.map\(x,|has\(|size\(|true|in ){0,40}"#) {
        if let Ok(condition) = Condition::compile(&source) {
            let _ = condition.check(&statement("https://spdx.dev/Document", SPDX), &facts());
        }
    }
}

#[test]
fn the_examples_of_the_reference_compile() {
    let page = include_str!("../../../../docs/reference/conditions.md");
    let examples: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("condition: '")).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let source = example.strip_suffix('\'').unwrap();
        assert!(Condition::compile(source).is_ok(), "{source}");
    }
}
