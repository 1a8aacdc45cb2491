//! A predicate file: what somebody wants to attest, checked before anything is signed or pushed.
//!
//! What is signed is believed by machines later. A scanner's error page, XML, or provenance under an SBOM's name is
//! therefore refused here, where a person still reads the message.

#[cfg(test)]
mod tests;

use attestry_core::predicate::resolve_type;
use attestry_core::strict_json;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::Error;

/// The largest predicate that is read. The bundle around it has a bound of its own, which SBOMs beyond 11 MiB meet.
pub const MAX_PREDICATE_BYTES: usize = 16 * 1024 * 1024;

/// A predicate and the type under which it is attested.
#[derive(Debug, Clone)]
pub struct Predicate {
    predicate_type: String,
    json: Box<RawValue>,
}

impl Predicate {
    /// Reads a predicate: strict JSON, an object, and of the type that it is said to be.
    ///
    /// `given` is a short name (`spdx`, `cyclonedx`, `slsaprovenance`, `vuln`, `openvex`) or a URI; without it the
    /// type is found from the content. At most [`MAX_PREDICATE_BYTES`].
    pub fn read(bytes: &[u8], given: Option<&str>) -> Result<Self, Error> {
        if bytes.len() > MAX_PREDICATE_BYTES {
            return Err(Error::PredicateTooLarge { limit: MAX_PREDICATE_BYTES });
        }
        let value =
            strict_json::parse(bytes).map_err(|source| Error::PredicateNotJson { seen: what_it_is(bytes), source })?;
        let members = value.as_object().ok_or(Error::PredicateNotObject { seen: kind(&value) })?;
        // A statement inside a statement verifies, and no reader finds the predicate in it.
        if members.get("_type").and_then(Value::as_str).is_some_and(|t| t.starts_with("https://in-toto.io/Statement/"))
        {
            return Err(Error::PredicateIsStatement);
        }
        let predicate_type = resolve_type(given, &value)?;
        let json =
            serde_json::from_slice::<&RawValue>(bytes).map_err(|_| Error::PredicateNotObject { seen: "text" })?;
        Ok(Self { predicate_type, json: json.to_owned() })
    }

    /// The predicate type's URI.
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The JSON as it was given: numbers and spelling unchanged.
    pub fn json(&self) -> &RawValue {
        &self.json
    }
}

/// What people give instead of JSON, recognised by how it begins.
fn what_it_is(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    if start.is_empty() {
        " (it is empty)"
    } else if start.starts_with(b"<") {
        " (it looks like XML or HTML)"
    } else if start.starts_with(b"SPDXVersion:") {
        " (it looks like SPDX tag-value: convert it to SPDX JSON)"
    } else if start.starts_with(b"\x1f\x8b") {
        " (it looks like gzip)"
    } else {
        ""
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
