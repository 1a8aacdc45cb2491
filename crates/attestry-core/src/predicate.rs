//! Predicate types: their names, how to tell one from its content, and the time that a predicate states.

use serde_json::Value;

use crate::Timestamp;

/// cosign's type for "this image is signed".
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// A predicate format that has a short name. Anything else is named by its exact URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PredicateFormat {
    /// SPDX 2.x or 3, JSON.
    Spdx,
    /// CycloneDX, JSON.
    CycloneDx,
    /// SLSA provenance v0.2 or v1.
    SlsaProvenance,
    /// A vulnerability scan: cosign's, or in-toto's.
    Vuln,
    /// OpenVEX.
    OpenVex,
}

/// A predicate that is not what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PredicateError {
    /// Neither a short name nor an absolute URI.
    #[error("{0:?} is no predicate type: use spdx, cyclonedx, slsaprovenance, vuln, openvex or an absolute URI")]
    UnknownType(String),
    /// The content fits none of the known formats and no type was given.
    #[error("the predicate's type cannot be told from its content: give --type")]
    NotRecognised,
    /// The content does not look like the type it is said to be.
    #[error("the predicate does not look like {wanted}: {missing}{}", .found.map(|f| format!(" (it looks like {f})")).unwrap_or_default())]
    DoesNotFit {
        /// The type that was given.
        wanted: String,
        /// What is absent.
        missing: &'static str,
        /// What it looks like instead.
        found: Option<&'static str>,
    },
}

impl PredicateFormat {
    /// Every format, in the order of the reference.
    pub const ALL: [Self; 5] = [Self::Spdx, Self::CycloneDx, Self::SlsaProvenance, Self::Vuln, Self::OpenVex];

    /// The short name of commands and policies.
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Spdx => "spdx",
            Self::CycloneDx => "cyclonedx",
            Self::SlsaProvenance => "slsaprovenance",
            Self::Vuln => "vuln",
            Self::OpenVex => "openvex",
        }
    }

    /// The format with this short name.
    pub fn from_short_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.short_name() == name)
    }

    /// Whether `uri` is one of the URIs of this format: a base, or a base and a version (`/v2.3`, `/v0.2.0`).
    pub fn covers(self, uri: &str) -> bool {
        self.bases().iter().any(|base| match uri.strip_prefix(base) {
            Some("") => true,
            Some(rest) => rest.strip_prefix("/v").is_some_and(is_version),
            None => false,
        })
    }

    /// The format that covers `uri`.
    pub fn of_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.covers(uri))
    }

    const fn bases(self) -> &'static [&'static str] {
        match self {
            Self::Spdx => &["https://spdx.dev/Document"],
            Self::CycloneDx => &["https://cyclonedx.org/bom"],
            Self::SlsaProvenance => &["https://slsa.dev/provenance"],
            Self::Vuln => &["https://cosign.sigstore.dev/attestation/vuln", "https://in-toto.io/attestation/vulns"],
            Self::OpenVex => &["https://openvex.dev/ns"],
        }
    }

    /// The format that `predicate` looks like.
    pub fn detect(predicate: &Value) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.missing(predicate).is_none())
    }

    /// What `predicate` lacks to look like this format; `None` when it does look like it.
    fn missing(self, predicate: &Value) -> Option<&'static str> {
        let text = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_str);
        let object = |pointer: &str| predicate.pointer(pointer).is_some_and(Value::is_object);
        let (fits, missing) = match self {
            Self::Spdx => (
                text("/spdxVersion").is_some_and(|v| v.starts_with("SPDX-2."))
                    || (text("/@context").is_some_and(|c| c.contains("spdx.org/rdf/3"))
                        && predicate.get("@graph").is_some_and(Value::is_array)),
                "no spdxVersion \"SPDX-2.x\" and no SPDX 3 @context with @graph",
            ),
            Self::CycloneDx => (
                text("/bomFormat") == Some("CycloneDX") && text("/specVersion").is_some(),
                "no bomFormat \"CycloneDX\" with a specVersion",
            ),
            Self::SlsaProvenance => (
                slsa_version(predicate).is_some(),
                "neither buildDefinition and runDetails.builder.id (v1) nor buildType and builder.id (v0.2)",
            ),
            Self::Vuln => (
                object("/scanner") && object("/metadata") && text("/metadata/scanFinishedOn").is_some(),
                "no scanner and metadata.scanFinishedOn",
            ),
            Self::OpenVex => (
                text("/@context").is_some_and(|c| c.starts_with("https://openvex.dev/ns"))
                    && predicate.get("statements").is_some_and(Value::is_array),
                "no OpenVEX @context with statements",
            ),
        };
        (!fits).then_some(missing)
    }

    /// The predicate type URI that is written for `predicate`, which must look like this format.
    pub fn uri_for(self, predicate: &Value) -> Result<&'static str, PredicateError> {
        if let Some(missing) = self.missing(predicate) {
            let found = Self::detect(predicate).map(Self::short_name);
            return Err(PredicateError::DoesNotFit { wanted: self.short_name().to_owned(), missing, found });
        }
        Ok(match self {
            Self::Spdx => "https://spdx.dev/Document",
            Self::CycloneDx => "https://cyclonedx.org/bom",
            Self::SlsaProvenance if slsa_version(predicate) == Some(1) => "https://slsa.dev/provenance/v1",
            Self::SlsaProvenance => "https://slsa.dev/provenance/v0.2",
            Self::Vuln if predicate.get("invocation").is_some() => "https://cosign.sigstore.dev/attestation/vuln/v1",
            Self::Vuln => "https://in-toto.io/attestation/vulns/v0.2",
            Self::OpenVex => "https://openvex.dev/ns",
        })
    }
}

/// The predicate type URI to write: from `given` (a short name or URI) or, without it, from the content.
///
/// A known format whose content does not look like it is refused, whether it was named shortly or by its URI.
pub fn resolve_type(given: Option<&str>, predicate: &Value) -> Result<String, PredicateError> {
    let Some(given) = given else {
        let format = PredicateFormat::detect(predicate).ok_or(PredicateError::NotRecognised)?;
        return format.uri_for(predicate).map(str::to_owned);
    };
    if let Some(format) = PredicateFormat::from_short_name(given) {
        return format.uri_for(predicate).map(str::to_owned);
    }
    let absolute = given.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    });
    if !absolute || given.len() > 512 || given.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(PredicateError::UnknownType(crate::reason::clean(given, 64)));
    }
    if let Some(format) = PredicateFormat::of_uri(given) {
        let natural = format.uri_for(predicate)?;
        // `slsa.dev/provenance/v1` over a v0.2 document would be read by nobody.
        if format == PredicateFormat::SlsaProvenance && natural != given {
            return Err(PredicateError::DoesNotFit {
                wanted: given.to_owned(),
                missing: "the document has the shape of another version",
                found: Some(natural),
            });
        }
    }
    Ok(given.to_owned())
}

/// The time that a predicate itself states, where its format defines one: SPDX `creationInfo.created`, CycloneDX
/// `metadata.timestamp`, SLSA `finishedOn`, a scan's `scanFinishedOn`. It is a claim of the signer, no proof.
pub fn stated_time(predicate_type: &str, predicate: &Value) -> Option<Timestamp> {
    let text = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_str);
    let stated = match PredicateFormat::of_uri(predicate_type)? {
        PredicateFormat::Spdx => text("/creationInfo/created").or_else(|| spdx3_created(predicate)),
        PredicateFormat::CycloneDx => text("/metadata/timestamp"),
        PredicateFormat::SlsaProvenance => {
            text("/runDetails/metadata/finishedOn").or_else(|| text("/metadata/buildFinishedOn"))
        }
        PredicateFormat::Vuln => text("/metadata/scanFinishedOn"),
        PredicateFormat::OpenVex => None,
    };
    stated?.parse().ok()
}

/// SPDX 3: the earliest `created` of the graph's CreationInfo elements.
fn spdx3_created(predicate: &Value) -> Option<&str> {
    let graph = predicate.get("@graph")?.as_array()?;
    let created = |element: &'_ Value| -> Option<String> {
        (element.get("type")?.as_str()? == "CreationInfo")
            .then(|| element.get("created")?.as_str().map(str::to_owned))?
    };
    let earliest = graph.iter().filter_map(created).min()?;
    graph.iter().filter_map(|e| e.get("created")?.as_str()).find(|text| *text == earliest)
}

fn slsa_version(predicate: &Value) -> Option<u8> {
    let text = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_str).is_some();
    if predicate.get("buildDefinition").is_some_and(Value::is_object) && text("/runDetails/builder/id") {
        Some(1)
    } else if text("/buildType") && text("/builder/id") {
        Some(0)
    } else {
        None
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn samples() -> Vec<(PredicateFormat, &'static str, Value, Option<&'static str>)> {
        let created = "2026-01-01T00:00:00Z";
        vec![
            (
                PredicateFormat::Spdx,
                "https://spdx.dev/Document",
                json!({"spdxVersion": "SPDX-2.3", "creationInfo": {"created": created}}),
                Some(created),
            ),
            (
                PredicateFormat::Spdx,
                "https://spdx.dev/Document",
                json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [{"type": "CreationInfo", "created": created}]}),
                Some(created),
            ),
            (
                PredicateFormat::CycloneDx,
                "https://cyclonedx.org/bom",
                json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "metadata": {"timestamp": created}}),
                Some(created),
            ),
            (
                PredicateFormat::SlsaProvenance,
                "https://slsa.dev/provenance/v1",
                json!({"buildDefinition": {}, "runDetails": {"builder": {"id": "x"}, "metadata": {"finishedOn": created}}}),
                Some(created),
            ),
            (
                PredicateFormat::SlsaProvenance,
                "https://slsa.dev/provenance/v0.2",
                json!({"buildType": "t", "builder": {"id": "x"}}),
                None,
            ),
            (
                PredicateFormat::Vuln,
                "https://cosign.sigstore.dev/attestation/vuln/v1",
                json!({"invocation": {}, "scanner": {}, "metadata": {"scanFinishedOn": created}}),
                Some(created),
            ),
            (
                PredicateFormat::OpenVex,
                "https://openvex.dev/ns",
                json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": []}),
                None,
            ),
        ]
    }

    #[test]
    fn types_are_found_from_content() {
        for (format, uri, value, time) in samples() {
            assert_eq!(PredicateFormat::detect(&value), Some(format), "{value}");
            assert_eq!(resolve_type(None, &value).as_deref(), Ok(uri));
            assert_eq!(resolve_type(Some(format.short_name()), &value).as_deref(), Ok(uri));
            assert_eq!(resolve_type(Some(uri), &value).as_deref(), Ok(uri));
            assert!(format.covers(uri));
            assert_eq!(stated_time(uri, &value), time.map(|t| t.parse().unwrap()), "{uri}");
        }
    }

    #[test]
    fn a_predicate_that_is_not_what_it_claims_is_refused() {
        for (format, _, value, _) in samples() {
            for other in PredicateFormat::ALL.into_iter().filter(|other| *other != format) {
                assert!(matches!(
                    resolve_type(Some(other.short_name()), &value),
                    Err(PredicateError::DoesNotFit { .. })
                ));
            }
        }
        let v02 = json!({"buildType": "t", "builder": {"id": "x"}});
        assert!(resolve_type(Some("https://slsa.dev/provenance/v1"), &v02).is_err());
        assert_eq!(resolve_type(None, &json!({"a": 1})), Err(PredicateError::NotRecognised));
        assert_eq!(
            resolve_type(Some("https://example.org/own/v1"), &json!({"a": 1})).unwrap(),
            "https://example.org/own/v1"
        );
        for bad in ["sbom", "", "https://a b", "x:"] {
            assert!(matches!(resolve_type(Some(bad), &json!({})), Err(PredicateError::UnknownType(_))), "{bad}");
        }
    }

    #[test]
    fn short_names_cover_versions_and_nothing_else() {
        for (uri, format) in [
            ("https://spdx.dev/Document/v2.3", Some(PredicateFormat::Spdx)),
            ("https://cyclonedx.org/bom/v1.4", Some(PredicateFormat::CycloneDx)),
            ("https://openvex.dev/ns/v0.2.0", Some(PredicateFormat::OpenVex)),
            ("https://in-toto.io/attestation/vulns/v0.1", Some(PredicateFormat::Vuln)),
            ("https://spdx.dev/DocumentX", None),
            ("https://spdx.dev/Document/v", None),
            ("https://spdx.dev/Document/v2.3/evil", None),
            (COSIGN_SIGN, None),
        ] {
            assert_eq!(PredicateFormat::of_uri(uri), format, "{uri}");
        }
    }

    #[test]
    fn half_of_what_tells_a_format_is_not_enough() {
        for half in [
            json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}),
            json!({"@context": "https://example.org", "@graph": []}),
            json!({"bomFormat": "CycloneDX"}),
            json!({"specVersion": "1.6"}),
            json!({"buildDefinition": {}}),
            json!({"runDetails": {"builder": {"id": "x"}}}),
            json!({"buildType": "t"}),
            json!({"builder": {"id": "x"}}),
            json!({"scanner": {}, "metadata": {}}),
            json!({"scanner": {}}),
            json!({"metadata": {"scanFinishedOn": "2026-01-01T00:00:00Z"}}),
            json!({"@context": "https://openvex.dev/ns/v0.2.0"}),
            json!({"statements": []}),
        ] {
            assert_eq!(PredicateFormat::detect(&half), None, "{half}");
        }
        let scan = json!({"scanner": {}, "metadata": {"scanFinishedOn": "2026-01-01T00:00:00Z"}});
        assert_eq!(resolve_type(None, &scan).as_deref(), Ok("https://in-toto.io/attestation/vulns/v0.2"));
    }

    #[test]
    fn a_type_of_ones_own_is_a_uri_of_bounded_length() {
        let uri = |length: usize| format!("a:{}", "b".repeat(length - 2));
        assert_eq!(resolve_type(Some(&uri(512)), &json!({})), Ok(uri(512)));
        for bad in [&uri(513), "a:", "ab", "a:b c", "a/b:c"] {
            assert!(matches!(resolve_type(Some(bad), &json!({})), Err(PredicateError::UnknownType(_))), "{bad}");
        }
    }
}
