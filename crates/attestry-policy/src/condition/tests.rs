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

fn compile(source: &str) -> Result<Condition, ConditionError> {
    Condition::compile(source, Scope::Statement)
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
    let condition = compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    told(condition.check(statement, &facts()))
}

/// As [`outcome`], over a configuration.
fn config_outcome(source: &str, config: &str) -> String {
    let condition = Condition::compile(source, Scope::Config).unwrap_or_else(|error| panic!("{source}: {error}"));
    told(condition.check_config(&ImageConfig::parse(config.as_bytes()).unwrap(), &facts()))
}

fn told(answer: Result<(), Reason>) -> String {
    match answer {
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
        (&spdx, "2.5 * 4.0 == 10.0 && 2.5 + 4.0 == 6.5", "pass"),
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
        let error = compile(source).expect_err(source);
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
            match compile(&source) {
                Ok(condition) => {
                    accepted = times;
                    let _ = condition.check(&statement, &facts());
                }
                Err(error) => assert!(times > 10, "{error}: {source}"),
            }
        }
        assert!(accepted < 1000, "{start}{middle}");
    }
    let complex = compile(&vec!["1"; 1350].join("+")).unwrap_err();
    assert!(matches!(complex, ConditionError::TooComplex(_)));
    let long = compile(&"x".repeat(5000)).unwrap_err();
    assert_eq!(long, ConditionError::TooLong);
    for error in [complex, long] {
        assert_eq!(error.hint().as_deref(), Some("split it over several requirements"));
    }
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
        "(1 / 0 == 1 && predicate.items.all(a, predicate == predicate)) || true",
        "(predicate.items.all(a, predicate == predicate) && false) || true",
        "[1].exists(a, predicate.items.all(b, predicate == predicate)) || true",
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
fn operators_compute_and_compare() {
    let predicate = format!(
        r#"{{"list": [1, 2], "map": {{"a": 1}}, "empty": {{}}, "t": "{}", "many": [{}], "big": 18446744073709551615, "half": 0.5}}"#,
        "x".repeat(20_000),
        vec!["0"; 400].join(",")
    );
    let statement = statement("https://a.example", &predicate);
    let overflow = "a whole number is too large, or divided by zero";
    let cases: &[(&str, &str)] = &[
        // Whole numbers.
        ("7 + 2 == 9 && 7 - 2 == 5 && 7 * 2 == 14 && 7 / 2 == 3 && 7 % 2 == 1", "pass"),
        ("7u + 2u == 9u && 7u - 2u == 5u && 7u * 2u == 14u && 7u / 2u == 3u && 7u % 2u == 1u", "pass"),
        // Beyond what a double holds exactly.
        ("9007199254740993 > 9007199254740992 && 9007199254740993u > 9007199254740992u", "pass"),
        ("9007199254740993u > 9007199254740992 && 9007199254740993 > 9007199254740992u", "pass"),
        ("predicate.big + 1u > 0u", overflow),
        ("1u - 2u < 0u", overflow),
        ("1u / 0u == 0u", overflow),
        ("-int('5') == 0 - 5 && -double('1.5') == 0.0 - 1.5", "pass"),
        ("-(-9223372036854775807 - 1) > 0", overflow),
        ("-predicate.big < 0", "a uint has no negative"),
        ("-predicate.t == 'x'", "a string has no negative"),
        // Others.
        ("1.5 + 0.25 == 1.75 && 1.5 - 0.25 == 1.25 && 1.5 * 3.0 == 4.5 && 1.5 / 0.5 == 3.0", "pass"),
        ("1.5 % 0.5 == 0.0", "double and double cannot be computed with each other"),
        ("1 + 1.0 == 2.0", "int and double cannot be computed with each other"),
        ("1 + 1u == 2", "int and uint cannot be computed with each other"),
        ("timestamp('2026-01-01T00:00:00Z') + duration('1h') == timestamp('2026-01-01T01:00:00Z')", "pass"),
        ("timestamp('2026-01-01T00:00:00Z') - duration('1h') == timestamp('2025-12-31T23:00:00Z')", "pass"),
        (
            "timestamp('2026-01-01T00:00:00Z') + timestamp('2026-01-01T00:00:00Z') == 1",
            "timestamp and timestamp cannot be computed with each other",
        ),
        (
            "timestamp('2026-01-01T00:00:00Z') * duration('1h') == 1",
            "timestamp and duration cannot be computed with each other",
        ),
        (
            "duration('1h') + duration('1h') == duration('2h')",
            "duration and duration cannot be computed with each other",
        ),
        ("'a' + 'bc' == 'abc' && [1] + [2, 3] == [1, 2, 3]", "pass"),
        ("'a' - 'a' == ''", "string and string cannot be computed with each other"),
        ("[1] - [1] == []", "list and list cannot be computed with each other"),
        ("[1] + 1 == [1, 1]", "list and int cannot be computed with each other"),
        ("1 + [1] == [1, 1]", "int and list cannot be computed with each other"),
        // What little text and few items cost.
        ("predicate.t + predicate.t != ''", "pass"),
        ("predicate.t == predicate.t && predicate.t.matches('^x+$')", "pass"),
        ("size(predicate.many + predicate.many) == 800", "pass"),
        // Equality.
        ("null == null && null != 1 && true == true && true != false && !(1 != 1)", "pass"),
        ("timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T01:00:00+01:00')", "pass"),
        ("timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-01T00:00:01Z')", "false"),
        ("duration('1h') == duration('60m') && duration('1h') != duration('1m')", "pass"),
        ("predicate.list == [1, 2] && [1, 2] == predicate.list && predicate.map == {'a': 1}", "pass"),
        ("[1, 2] == [1] || [1] == [1, 2] || [1, 2] == [1, 3] || [] == [1]", "false"),
        ("{'a': 1} == {'b': 1} || {'a': 1} == {'a': 2} || {'a': 1} == {} || {} == predicate.map", "false"),
        ("[1] == {'a': 1} || predicate.list == predicate.map || [] == {} || 'a' == ['a'] || 1 == true", "false"),
        ("predicate.big == 18446744073709551615u && predicate.half == 0.5 && 2u == 2.0", "pass"),
        ("1 == 2 || 1u == 2u || 1.0 == 2.0 || 1 == 1.5 || 'a' == 'b'", "false"),
        // Order.
        ("1 < 2 && !(1 < 1) && !(2 < 1) && 1 <= 1 && 1 <= 2 && !(2 <= 1)", "pass"),
        ("2 > 1 && !(1 > 1) && !(1 > 2) && 1 >= 1 && 2 >= 1 && !(1 >= 2)", "pass"),
        ("false < true && 1u < 1.5 && 1 < 1.5 && 1.5 < 2u && 2.5 > 2 && 1.25 < 1.5", "pass"),
        ("predicate.big > 9223372036854775807 && -1 < 0u && predicate.big > 1.0", "pass"),
        (
            "timestamp('2026-01-01T00:00:00Z') < timestamp('2026-01-01T00:00:01Z') && duration('1h') < duration('2h')",
            "pass",
        ),
        ("null < null", "null and null have no order"),
        ("[1] < [2]", "list and list have no order"),
        // Choice, items and fields.
        ("(1 == 1 ? 2 : 3) == 2 && (1 == 2 ? 2 : 3) == 3", "pass"),
        ("[1, 2][1u] == 2 && predicate.list[1u] == 2 && predicate.list[0] == 1", "pass"),
        ("[1, 2][0 - 1] == 2", "there is no item \"-1\""),
        ("[1, 2][2u] == 2", "there is no item \"2\""),
        ("[1][0.0] == 1", "a list has no index of type double"),
        ("['a']['a'] == 1", "a list has no index of type string"),
        ("predicate.t[0] == 'x'", "a string has no index of type int"),
        ("{'a': 1}['a'] == 1 && predicate.map['a'] == 1", "pass"),
        ("{'a': 1}['b'] == 1", "there is no item \"b\""),
        ("{'a': 1}[true] == 1", "there is no item \"true\""),
        ("{'a': 1}[1.5] == 1", "there is no item \"1.5\""),
        ("{'a': 1}[null] == 1", "there is no such item"),
        ("{1: 1} == {}", "the key of a map must be a string"),
        ("has(predicate.t.x)", "a string has no field \"x\""),
        ("2 in [1, 2] && 1 in predicate.list && !(3 in [1, 2]) && !(1 in {'a': 1}) && 'a' in {'a': 1}", "pass"),
        ("'x' in predicate.t", "in cannot be used on a string"),
        // Macros.
        ("[1, 2].all(x, x / 0 == 1)", overflow),
        ("[1, 2].exists(x, x / 0 == 1)", overflow),
        ("[1, 2].all(x, x / 0 == 1 && x == 3)", "false"),
        ("[1, 2].exists(x, x == 3) || [].exists(x, true)", "false"),
        ("[1, 2].all(x, x < 2)", "false"),
        ("[1, 2].exists_one(x, x == 2)", "pass"),
        ("[1, 2].exists_one(x, x > 0) || [1, 2].exists_one(x, x > 2)", "false"),
        ("[1, 2].exists_one(x, x / 0 == 1)", overflow),
        ("{'a': 1, 'b': 2}.all(k, k in ['a', 'b']) && {'a': 1, 'b': 2}.exists(k, k == 'b')", "pass"),
        ("predicate.t.all(c, true)", "a macro cannot be used on a string"),
        ("[1].all(x, x)", "a int stands where true or false is needed"),
    ];
    for (source, expected) in cases {
        assert_eq!(outcome(source, &statement), *expected, "{source}");
    }
}

#[test]
fn functions_give_what_they_say() {
    let statement = statement(
        "https://a.example",
        r#"{"t": " Ab ", "map": {"a": 1}, "list": [1, 2], "d": 1.5, "big": 18446744073709551615}"#,
    );
    let zeros = |count: usize| format!("{}42", "0".repeat(count - 2));
    let whole = "int() needs a whole number";
    let cases: &[(&str, &str)] = &[
        (
            "size(predicate.map) == 1 && size(predicate.list) == 2 && size({'a': 1, 'b': 2}) == 2 && size([1]) == 1",
            "pass",
        ),
        ("size(predicate.t) == 4 && size([]) == 0 && predicate.t.trim().size() == 2", "pass"),
        ("size(1) == 1", "size() cannot be used on a int"),
        ("'abc'.contains('b') && !'abc'.contains('d')", "pass"),
        ("'abc'.startsWith('ab') && !'abc'.startsWith('b')", "pass"),
        ("'abc'.endsWith('bc') && !'abc'.endsWith('b')", "pass"),
        ("'abc'.contains(1)", "contains() cannot be used on a int"),
        ("predicate.list.contains('a')", "contains() cannot be used on a list"),
        ("predicate.t.lowerAscii() == ' ab ' && predicate.t.upperAscii() == ' AB '", "pass"),
        ("'a,b'.split(',') == ['a', 'b'] && 'a'.split(',') == ['a']", "pass"),
        ("'a,b'.split('') == []", "split() needs a separator"),
        ("predicate.d.matches('1')", "matches() cannot be used on a double"),
        ("'a'.matches('b')", "false"),
        ("int(1.9) == 1 && int(5u) == 5 && int(7) == 7 && int('-3') == -3", "pass"),
        ("int(timestamp('1970-01-01T00:01:00Z')) == 60", "pass"),
        ("int(9007199254740992.0) == 9007199254740992 && int(-9007199254740992.0) == -9007199254740992", "pass"),
        ("int(9007199254740994.0) > 0", whole),
        ("int(predicate.big) > 0", whole),
        ("int(true) == 1", whole),
        ("double(5u) == 5.0 && double(7) == 7.0 && double(1.5) == 1.5 && double('-2.5') == -2.5", "pass"),
        ("double(true) == 1.0", "double() needs a number"),
        ("double('x') == 1.0", "double() needs a number"),
        ("string(true) == 'true' && string(-7) == '-7' && string(7u) == '7' && string(1.5) == '1.5'", "pass"),
        ("string(predicate.t) == ' Ab ' && string('a' + 'b') == 'ab'", "pass"),
        ("string(timestamp('2026-01-01T01:00:00+01:00')) == '2026-01-01T00:00:00Z'", "pass"),
        ("string(null) == ''", "string() cannot be used on a null"),
        ("string([1]) == ''", "string() cannot be used on a list"),
        ("timestamp(timestamp('2026-01-01T00:00:00Z')) == timestamp('2026-01-01T00:00:00Z')", "pass"),
        ("timestamp(1) == timestamp('2026-01-01T00:00:00Z')", "timestamp() cannot be used on a int"),
        ("timestamp('yesterday') == timestamp('2026-01-01T00:00:00Z')", "timestamp() needs RFC 3339"),
        ("duration('3d') == duration('72h')", "duration() needs hours, minutes and seconds, such as 72h"),
    ];
    for (source, expected) in cases {
        assert_eq!(outcome(source, &statement), *expected, "{source}");
    }
    // Long texts are no numbers.
    for (source, expected) in [
        (format!("int('{}') == 42", zeros(20)), "pass"),
        (format!("int('{}') == 42", zeros(21)), whole),
        (format!("double('{}') == 42.0", zeros(64)), "pass"),
        (format!("double('{}') == 42.0", zeros(65)), "double() needs a number"),
    ] {
        assert_eq!(outcome(&source, &statement), expected, "{source}");
    }
}

#[test]
fn every_form_of_sbom_gives_packages() {
    let spdx = statement(
        "https://spdx.dev/Document/v2.3",
        r#"{"packages": [
            {"name": "a", "versionInfo": "", "licenseConcluded": "NONE", "licenseDeclared": "MIT", "externalRefs": [
                {"referenceType": "cpe23Type", "referenceLocator": "cpe:/a"},
                {"referenceType": "purl", "referenceLocator": "pkg:generic/a"}]},
            {"name": "NOASSERTION", "externalRefs": [{"referenceType": "cpe23Type", "referenceLocator": "cpe:/b"}]}]}"#,
    );
    let spdx_3 = statement(
        "https://spdx.dev/Document",
        r#"{"@graph": [{"type": "software_File", "name": "f"},
            {"type": "software_Package", "name": "a", "software_packageVersion": "1", "software_packageUrl": "pkg:generic/a"},
            {"@type": "software_Package", "name": "b"}]}"#,
    );
    let cyclonedx = statement(
        "https://cyclonedx.org/bom",
        r#"{"metadata": {"component": {"name": "app", "components": [{"name": "part"}]}},
            "components": [{"name": "a", "licenses": [{"expression": "MIT OR ISC"}]},
                {"name": "b", "licenses": [{"license": {"name": "Own"}}]}]}"#,
    );
    for (statement, packages) in [
        (&spdx, "[{'name': 'a', 'purl': 'pkg:generic/a', 'licence': 'MIT'}, {}]"),
        (&spdx_3, "[{'name': 'a', 'version': '1', 'purl': 'pkg:generic/a'}, {'name': 'b'}]"),
        (&cyclonedx, "[{'name': 'part'}, {'name': 'a', 'licence': 'MIT OR ISC'}, {'name': 'b', 'licence': 'Own'}]"),
    ] {
        assert_eq!(outcome(&format!("sbom.packages == {packages}"), statement), "pass", "{packages}");
    }
}

#[test]
fn what_is_certainly_no_question_is_refused() {
    for (source, what) in [
        ("null", "null"),
        ("1", "a number"),
        ("1.5", "a number"),
        ("-predicate.a", "a number"),
        ("predicate", "a map"),
        ("{'a': 1}", "a map"),
        ("[1]", "a list"),
        ("[1].filter(x, x == 1)", "a list"),
        ("'a' + 'b'", "a number or text"),
        ("5 - predicate.a", "a number or text"),
        ("5 * predicate.a", "a number or text"),
        ("5 / predicate.a", "a number or text"),
        ("5 % predicate.a", "a number or text"),
        ("int('1')", "a number"),
        ("double('1')", "a number"),
        ("'a'.trim()", "a text"),
        ("'a'.lowerAscii()", "a text"),
        ("'a'.upperAscii()", "a text"),
        ("string(1)", "a text"),
        ("'a'.split(',')", "a list"),
        ("timestamp('2026-01-01T00:00:00Z')", "a time"),
        ("duration('1h')", "a time"),
        ("predicate == 1 ? 1 : 'a'", "a text"),
    ] {
        assert_eq!(compile(source).unwrap_err(), ConditionError::NotBool(what), "{source}");
    }
    for source in [
        "true",
        "predicate.a",
        "predicate[0]",
        "!predicate.a",
        "predicate == 1 ? true : 'a'",
        "predicate == 1 ? 'a' : predicate.b",
        "'a'.contains('b')",
        "'a'.startsWith('b')",
        "'a'.endsWith('b')",
        "'a'.matches('b')",
        "[true].exists(x, x)",
        "[true].exists_one(x, x)",
        "1 in [1]",
    ] {
        assert!(compile(source).is_ok(), "{source}");
    }
    for source in
        ["[?predicate.a] == [1]", "{?'a': 1} == {}", "matches('a') == true", "'a'.int() == 1", "trim('a') == 'a'"]
    {
        assert!(compile(source).is_err(), "{source}");
    }
}

#[test]
fn attack_39_sources_at_the_bounds() {
    let check = |source: String, refused: Option<&ConditionError>| {
        assert_eq!(compile(&source).as_ref().err(), refused, "{source}");
    };
    let text = |length: usize| format!("'{}' == ''", "x".repeat(length - 8));
    check(text(MAX_SOURCE), None);
    check(text(MAX_SOURCE + 1), Some(&ConditionError::TooLong));
    let operators = ConditionError::TooComplex("it holds more than 400 operators and brackets");
    let signs = |count: usize| format!("[{}] == []", vec!["-1"; count - 4].join(","));
    check(signs(400), None);
    check(signs(401), Some(&operators));
    // Inside texts as well.
    let words = |count: usize| format!("'{}' == ''", "in".repeat(count - 2));
    check(words(400), None);
    check(words(401), Some(&operators));
    let deep = |depth: usize| format!("1{} == 1", "+1".repeat(depth - 2));
    check(deep(64), None);
    check(deep(65), Some(&ConditionError::TooComplex("expressions are nested more than 64 deep")));
    // What stands side by side is not deep.
    check(format!("[{}] == []", vec!["[1]"; 100].join(",")), None);
    let lists = |count: usize| compile(&format!("{}1{} == []", "[".repeat(count), "]".repeat(count)));
    let calls = |count: usize| compile(&format!("{}'1'{} == 1", "int(".repeat(count), ")".repeat(count)));
    let nested = ConditionError::TooComplex("lists, maps and calls are nested more than 24 deep");
    assert!(lists(24).is_ok() && calls(24).is_ok());
    assert_eq!((lists(25).unwrap_err(), calls(25).unwrap_err()), (nested.clone(), nested));
}

#[test]
fn predicates_within_the_bounds_are_looked_at() {
    let of_size = |size: usize| statement("https://a.example", &format!("\"{}\"", "x".repeat(size - 2)));
    assert_eq!(outcome("true", &of_size(MAX_PREDICATE)), "pass");
    assert_eq!(outcome("true", &of_size(MAX_PREDICATE + 1)), "the predicate is larger than 2 MiB");
    // The list or map itself is a value as well.
    let list = |items: usize| format!("[{}]", vec!["0"; items].join(","));
    let map = |members: usize| {
        let members: Vec<String> = (0..members).map(|n| format!("\"{n}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    let too_many = "the predicate holds more than 100000 values";
    for (predicate, expected) in [
        (list(MAX_NODES - 1), "pass"),
        (list(MAX_NODES), too_many),
        (map(MAX_NODES - 1), "pass"),
        (map(MAX_NODES), too_many),
    ] {
        assert_eq!(outcome("true", &statement("https://a.example", &predicate)), expected);
    }
}

#[test]
fn conditions_are_equal_by_their_source() {
    let compile = |source: &str| compile(source).unwrap();
    assert_eq!(compile("1 == 1"), compile("1 == 1"));
    assert_ne!(compile("1 == 1"), compile("1 == 2"));
    assert_eq!(format!("{:?}", compile("'a' == 'a'")), "\"'a' == 'a'\"");
    assert_eq!(compile("1 == 1").source(), "1 == 1");
}

#[test]
fn which_variables_it_reads_is_known() {
    assert!(compile("image.digest != ''").unwrap().reads_image());
    assert!(!compile("predicate.image != 'image'").unwrap().reads_image());
}

proptest::proptest! {
    /// Whatever is written, compiling and evaluating end without a panic.
    #[test]
    fn any_source_ends(source in r#"(predicate|sbom|image|x|[0-9]{1,3}|'[a-z]'|[-+*/%<>=!?:.,&|()\[\]{} ]|\.all\(x,|\.map\(x,|has\(|size\(|true|in ){0,40}"#) {
        if let Ok(condition) = compile(&source) {
            let _ = condition.check(&statement("https://spdx.dev/Document", SPDX), &facts());
        }
    }
}

#[test]
fn the_examples_of_the_reference_compile() {
    let page = include_str!("../../../../docs/reference/conditions.md");
    for (scope, before, after) in
        [(Scope::Statement, "condition: '", "'"), (Scope::Config, "config: {condition: '", "'}")]
    {
        let examples: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(before)).collect();
        assert!(examples.len() > 1, "{scope:?}");
        for example in examples {
            let source = example.strip_suffix(after).unwrap();
            assert!(Condition::compile(source, scope).is_ok(), "{source}");
        }
    }
}

#[test]
fn attack_70_what_conditions_give_over_a_configuration() {
    let config = r#"{"os": "linux", "config": {"User": "1000:1000", "Env": ["PATH=/bin", "LD_PRELOAD=/x.so"],
        "Entrypoint": ["/app", "serve"], "ExposedPorts": {"8080/tcp": {}}, "Labels": {"team": "shop"}}}"#;
    for (source, expected) in [
        ("config.User.matches('^[1-9][0-9]{0,8}(:[0-9]{1,9})?$')", "pass"),
        ("config.User == '1000:1000' && config.Entrypoint == ['/app', 'serve']", "pass"),
        ("!config.Env.exists(e, e.startsWith('LD_PRELOAD='))", "false"),
        ("config.ExposedPorts.all(port, port == '8080/tcp')", "pass"),
        ("!('22/tcp' in config.ExposedPorts)", "pass"),
        // What the document leaves out is empty, so that nobody has to guard it.
        (
            "config.Cmd == [] && config.Volumes.size() == 0 && config.WorkingDir == '' && config.StopSignal == ''",
            "pass",
        ),
        ("config.Labels['team'] == 'shop' && image.labels['team'] == 'shop'", "pass"),
        ("image.reference == 'registry.example/app'", "pass"),
        ("config.Healthcheck == ''", "there is no field \"Healthcheck\""),
        ("!has(config.Healthcheck)", "pass"),
        ("config.User", "it gives a string, not true or false"),
    ] {
        assert_eq!(config_outcome(source, config), expected, "{source}");
    }
    assert_eq!(config_outcome("config.User != ''", "{}"), "false");
    assert_eq!(config_outcome("config.User == ''", "{}"), "pass");
    let wrong = config_outcome("true", r#"{"config": {"User": 0}}"#);
    assert!(wrong.contains("config.User is of another type"), "{wrong}");
}

#[test]
fn attack_39_a_configuration_is_counted_and_paid_for() {
    let ports = |count: usize| {
        let ports: Vec<String> = (0..count).map(|port| format!(r#""{port}":{{}}"#)).collect();
        format!(r#"{{"config":{{"ExposedPorts":{{{}}}}}}}"#, ports.join(","))
    };
    // The configuration itself and its nine parts are values too.
    assert_eq!(config_outcome("true", &ports(MAX_NODES - 10)), "pass");
    assert_eq!(config_outcome("true", &ports(MAX_NODES - 9)), "the configuration holds more than 100000 values");
    let nested = "config.ExposedPorts.all(a, config.ExposedPorts.all(b, a != b || a == b))";
    let costly = config_outcome(nested, &ports(2000));
    assert!(costly.contains("budget") || costly.contains("steps"), "{costly}");
}

#[test]
fn each_scope_knows_its_own_variables_only() {
    for source in ["predicate == 1", "statement == 1", "sbom == 1"] {
        assert!(compile(source).is_ok(), "{source}");
        let refused = Condition::compile(source, Scope::Config);
        assert!(matches!(refused, Err(ConditionError::UnknownVariable { .. })), "{source}: {refused:?}");
    }
    assert!(matches!(compile("config.User == ''"), Err(ConditionError::UnknownVariable { .. })));
    assert!(Condition::compile("image.digest != ''", Scope::Config).is_ok_and(|condition| condition.reads_image()));
}
