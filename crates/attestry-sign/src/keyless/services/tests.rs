//! The rules by which services are chosen, and what is no signing config.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-06-01T00:00:00Z";

fn service(url: &str, version: u32, start: &str, operator: &str) -> Value {
    json!({ "url": url, "majorApiVersion": version, "validFor": { "start": start }, "operator": operator })
}

fn config(logs: Vec<Value>, selector: Value) -> Value {
    json!({
        "mediaType": SIGNING_CONFIG,
        "caUrls": [service("https://ca.example", 1, "2020-01-01T00:00:00Z", "one")],
        "rekorTlogUrls": logs,
        "rekorTlogConfig": selector,
        "tsaUrls": [service("https://tsa.example/stamp", 1, "2020-01-01T00:00:00Z", "one")],
        "tsaConfig": { "selector": "ANY" },
    })
}

fn read(config: &Value) -> Result<SigningConfig, SigningConfigError> {
    SigningConfig::from_json(config.to_string().as_bytes())
}

fn logs(config: &Value) -> Result<Vec<String>, SigningConfigError> {
    let services = read(config)?.select(NOW.parse().unwrap())?;
    Ok(services.logs.iter().map(|log| log.url.host_str().unwrap().to_owned()).collect())
}

fn many() -> Vec<Value> {
    let mut ended = service("https://a-ended.example", 2, "2026-02-01T00:00:00Z", "a");
    ended["validFor"]["end"] = "2026-05-31T23:59:59Z".into();
    vec![
        service("https://a1.example", 1, "2026-03-01T00:00:00Z", "a"),
        service("https://a2-old.example", 2, "2025-01-01T00:00:00Z", "a"),
        service("https://a2-new.example", 2, "2026-01-01T00:00:00Z", "a"),
        service("https://a2-future.example", 2, "2026-06-02T00:00:00Z", "a"),
        service("https://a3.example", 3, "2026-01-01T00:00:00Z", "a"),
        ended,
        service("https://b1.example", 1, "2026-05-01T00:00:00Z", "b"),
    ]
}

#[test]
fn of_an_operator_the_highest_version_counts_and_then_the_newest() {
    let chosen = |selector| logs(&config(many(), selector)).unwrap();
    assert_eq!(chosen(json!({ "selector": "ANY" })), ["a2-new.example"]);
    assert_eq!(chosen(json!({ "selector": "EXACT", "count": 1 })), ["a2-new.example"]);
    assert_eq!(chosen(json!({ "selector": "EXACT", "count": 2 })), ["a2-new.example", "b1.example"]);
    assert_eq!(chosen(json!({ "selector": "ALL" })), ["a2-new.example", "b1.example"]);
}

#[test]
fn a_period_includes_both_its_ends() {
    let mut log = service("https://log.example", 1, NOW, "a");
    log["validFor"]["end"] = NOW.into();
    assert_eq!(logs(&config(vec![log], json!({ "selector": "ANY" }))).unwrap(), ["log.example"]);
}

#[test]
fn what_cannot_be_satisfied_is_refused() {
    let chosen = |logged, selector| logs(&config(logged, selector));
    let exact = chosen(many(), json!({ "selector": "EXACT", "count": 3 }));
    assert!(matches!(exact, Err(SigningConfigError::TooFew { usable: 2, wanted: 3, .. })));
    assert!(matches!(chosen(many(), json!({})), Err(SigningConfigError::NoSelector { .. })));
    assert!(matches!(chosen(many(), json!({ "selector": "EXACT" })), Err(SigningConfigError::Count { .. })));
    assert!(matches!(chosen(many(), json!({ "selector": "ANY", "count": 1 })), Err(SigningConfigError::Count { .. })));
    assert!(matches!(chosen(many(), json!({ "selector": "SOME" })), Err(SigningConfigError::Json(_))));
    let future = vec![service("https://log.example", 1, "2027-01-01T00:00:00Z", "a")];
    assert!(matches!(chosen(future, json!({ "selector": "ALL" })), Err(SigningConfigError::TooFew { .. })));
}

#[test]
fn an_instance_without_a_log_has_none_but_time_must_be_proven() {
    assert!(logs(&config(vec![], json!({}))).unwrap().is_empty());
    assert!(logs(&config(vec![], json!({ "selector": "ANY" }))).unwrap().is_empty());
    let without_time = |version| {
        let logged = vec![service("https://log.example", version, "2026-01-01T00:00:00Z", "a")];
        let mut config = config(logged, json!({ "selector": "ANY" }));
        config["tsaUrls"] = json!([]);
        logs(&config)
    };
    assert!(without_time(1).is_ok());
    assert!(matches!(without_time(2), Err(SigningConfigError::NoTime)));
}

#[test]
fn tokens_are_sent_to_secure_urls_only() {
    for (url, good) in [
        ("https://ca.example", true),
        ("https://ca.example/path", true),
        ("http://127.0.0.1:8080", true),
        ("http://[::1]:8080", true),
        ("http://localhost:8080", true),
        ("http://ca.example", false),
        ("http://localhost.example", false),
        ("https://user@ca.example", false),
        ("file:///etc/passwd", false),
        ("ca.example", false),
    ] {
        assert_eq!(secure_url(url).is_some(), good, "{url}");
        let mut config = config(vec![], json!({}));
        config["caUrls"][0]["url"] = url.into();
        assert_eq!(read(&config).is_ok(), good, "{url}");
    }
}

#[test]
fn other_shapes_are_refused() {
    for change in [
        |config: &mut Value| config["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.1+json".into(),
        |config: &mut Value| config["caUrl"] = "https://ca.example".into(),
        |config: &mut Value| config["caUrls"][0]["apiVersion"] = 1.into(),
        |config: &mut Value| config["caUrls"][0]["validFor"]["start"] = "yesterday".into(),
    ] {
        let mut config = config(many(), json!({ "selector": "ANY" }));
        assert!(read(&config).is_ok());
        change(&mut config);
        assert!(read(&config).is_err(), "{config}");
    }
}

#[test]
fn the_public_instance_is_built_in() {
    let services = SigningConfig::public_good().select(NOW.parse().unwrap()).unwrap();
    assert_eq!(services.certificate_authority.as_str(), "https://fulcio.sigstore.dev/");
    assert_eq!(services.logs.len(), 1);
    assert_eq!(services.timestamp_authorities.len(), 1);
}
