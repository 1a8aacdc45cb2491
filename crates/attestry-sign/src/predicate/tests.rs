//! What is attested, and what is refused with which words. The type rules themselves are tested in core.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::error::Error as _;

use super::*;

const SLSA_1: &str =
    r#"{"buildDefinition": {"buildType": "t"}, "runDetails": {"builder": {"id": "https://b.example"}}}"#;
const SLSA_02: &str = r#"{"builder": {"id": "https://b.example"}, "buildType": "t"}"#;
const SPDX: &str = r#"{"spdxVersion": "SPDX-2.3", "packages": [], "n": 1.50}"#;

#[test]
fn accepted() {
    let check = |bytes: &str, given: Option<&str>, expected: &str| {
        let predicate = Predicate::read(bytes.as_bytes(), given).unwrap();
        assert_eq!(predicate.predicate_type(), expected);
        assert_eq!(predicate.json().get(), bytes.trim());
    };
    check(SPDX, None, "https://spdx.dev/Document");
    check(SPDX, Some("spdx"), "https://spdx.dev/Document");
    check(SLSA_1, Some("slsaprovenance"), "https://slsa.dev/provenance/v1");
    check(SLSA_02, Some("slsaprovenance"), "https://slsa.dev/provenance/v0.2");
    check(SLSA_02, Some("https://example.org/own"), "https://example.org/own");
    check("{}\n", Some("https://example.org/own"), "https://example.org/own");
}

#[test]
fn refused() {
    let check = |bytes: &[u8], given: Option<&str>, expected: &str| {
        let error = Predicate::read(bytes, given).unwrap_err();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        assert!(text.contains(expected), "{text}");
    };
    check(b"", None, "not valid JSON (it is empty)");
    check(b"  <bom/>", Some("cyclonedx"), "XML");
    check(b"SPDXVersion: SPDX-2.3\n", Some("spdx"), "convert it to SPDX JSON");
    check(b"{\"a\":1,\"a\":2}", Some("https://example.org/own"), "stands twice");
    check(b"{\"a\":1}x", Some("https://example.org/own"), "line 1");
    check(b"[]", Some("https://example.org/own"), "an array");
    check(b"\"text\"", Some("spdx"), "a string");
    check(SPDX.as_bytes(), Some("cyclonedx"), "it looks like spdx");
    check(SLSA_02.as_bytes(), Some("https://slsa.dev/provenance/v1"), "shape of another version");
    check(b"{}", None, "give --type");
    check(b"{}", Some("sbom"), "\"sbom\" is no predicate type");
    check(
        br#"{"_type":"https://in-toto.io/Statement/v1"}"#,
        Some("https://example.org/own"),
        "whole in-toto statement",
    );
    check(&vec![b' '; MAX_PREDICATE_BYTES + 1], Some("spdx"), "larger than 16777216 bytes");
}
