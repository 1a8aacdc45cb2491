//! in-toto statements (in-toto/attestation v1.2.0, spec/v1/statement.md; v0.1 is read as well).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Digest, Repository, strict_json, strict_json::StrictJsonError};

/// `_type` that is written.
pub const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";
/// `_type` of older tools, read only.
pub const STATEMENT_V01: &str = "https://in-toto.io/Statement/v0.1";
/// How many subjects one statement may name.
pub const MAX_SUBJECTS: usize = 1024;

/// A statement: who it is about, and what is said of it.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it is about. Never empty.
    pub subjects: Vec<StatementSubject>,
    /// The type of the predicate, compared as an exact string.
    pub predicate_type: String,
    /// The predicate's raw JSON, read only when a condition asks. Absent is `null`.
    pub predicate: Box<RawValue>,
}

/// One subject of a statement. Only its digests count; the name is informational.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSubject {
    /// Informational.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Algorithm to lower-case hex.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// What cosign's `sign -a` writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, serde_json::Value>>,
}

/// Why a payload is no statement. The reason code is `statement-malformed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not strict JSON, or not of the statement's shape.
    #[error("the payload is no in-toto statement: {0}")]
    Json(#[from] StrictJsonError),
    /// Another `_type`.
    #[error("the statement's _type {0:?} is not in-toto Statement v1 or v0.1")]
    Type(String),
    /// More than [`MAX_SUBJECTS`].
    #[error("the statement names more than {MAX_SUBJECTS} subjects")]
    TooManySubjects,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(rename = "_type")]
    type_: String,
    #[serde(default)]
    subject: Vec<StatementSubject>,
    predicate_type: String,
    #[serde(borrow, default)]
    predicate: Option<&'a RawValue>,
}

impl Statement {
    /// Reads the bytes of a payload: the same bytes whose signature was checked.
    pub fn parse(payload: &[u8]) -> Result<Self, StatementError> {
        let wire: Wire<'_> = strict_json::read(payload)?;
        if wire.type_ != STATEMENT_V1 && wire.type_ != STATEMENT_V01 {
            return Err(StatementError::Type(crate::reason::clean(&wire.type_, 128)));
        }
        if wire.subject.len() > MAX_SUBJECTS {
            return Err(StatementError::TooManySubjects);
        }
        let predicate = wire.predicate.map_or_else(null, RawValue::to_owned);
        Ok(Self { subjects: wire.subject, predicate_type: wire.predicate_type, predicate })
    }

    /// A v1 statement about one image, with name and digest so that every verifier in the field reads it.
    pub fn about(
        repository: &Repository,
        digest: Digest,
        annotations: Option<BTreeMap<String, String>>,
        predicate_type: &str,
        predicate: Box<RawValue>,
    ) -> Self {
        let subject = StatementSubject {
            name: Some(repository.to_string()),
            digest: [("sha256".to_owned(), digest.hex())].into(),
            annotations: annotations.map(|a| a.into_iter().map(|(k, v)| (k, v.into())).collect()),
        };
        Self { subjects: vec![subject], predicate_type: predicate_type.to_owned(), predicate }
    }

    /// The bytes to sign: compact JSON, members in the order of the specification, the predicate as it was given.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wire = Wire {
            type_: STATEMENT_V1.to_owned(),
            subject: self.subjects.clone(),
            predicate_type: self.predicate_type.clone(),
            predicate: Some(&self.predicate),
        };
        // Plain strings, maps with string keys and JSON that was parsed before: writing into memory cannot fail.
        serde_json::to_vec(&wire).expect("a statement is plain JSON")
    }

    /// Whether a subject is the document with these bytes and this SHA-256 (attack 2).
    ///
    /// A subject without sha256 never matches. One whose sha256 fits but whose sha512 or sha384 does not is a
    /// forgery or a mistake, and does not match either.
    pub fn names(&self, digest: &Digest, strong: &StrongDigests) -> bool {
        self.subjects.iter().any(|subject| {
            subject.digest.get("sha256").is_some_and(|hex| *hex == digest.hex())
                && strong.agrees("sha384", subject)
                && strong.agrees("sha512", subject)
        })
    }
}

/// Digests of the subject's bytes under the other strong algorithms, for comparison with what a statement claims.
#[derive(Debug, Clone, Default)]
pub struct StrongDigests(BTreeMap<&'static str, String>);

impl StrongDigests {
    /// Computed from the subject's manifest bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(
            [
                ("sha384", hex::encode(sha2::Sha384::digest(bytes))),
                ("sha512", hex::encode(sha2::Sha512::digest(bytes))),
            ]
            .into(),
        )
    }

    /// For a subject whose bytes were not read: a claimed sha384 or sha512 then cannot be confirmed.
    pub fn unknown() -> Self {
        Self::default()
    }

    fn agrees(&self, algorithm: &str, subject: &StatementSubject) -> bool {
        match (subject.digest.get(algorithm), self.0.get(algorithm)) {
            (None, _) => true,
            (Some(claimed), Some(true_one)) => claimed == true_one,
            (Some(_), None) => false,
        }
    }
}

fn null() -> Box<RawValue> {
    // `null` is valid JSON.
    RawValue::from_string("null".to_owned()).expect("null is JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn statement(subject: &str) -> Vec<u8> {
        format!(r#"{{"_type":"{STATEMENT_V1}","subject":{subject},"predicateType":"t","predicate":{{"a":1.50}}}}"#)
            .into_bytes()
    }

    #[test]
    fn attack_02_which_subjects_count() {
        let bytes = b"manifest";
        let strong = StrongDigests::of(bytes);
        let ours = Digest::of(bytes);
        let (hex, other) = (ours.hex(), Digest::of("other").hex());
        let sha512 = strong.0["sha512"].clone();
        for (subject, matches) in [
            ("[]".to_owned(), false),
            (format!(r#"[{{"digest":{{"sha256":"{hex}"}}}}]"#), true),
            (format!(r#"[{{"digest":{{"sha256":"{other}"}}}},{{"name":"x","digest":{{"sha256":"{hex}"}}}}]"#), true),
            (format!(r#"[{{"digest":{{"sha256":"{}"}}}}]"#, hex.to_uppercase()), false),
            (format!(r#"[{{"digest":{{"sha512":"{sha512}"}}}}]"#), false),
            (format!(r#"[{{"digest":{{"sha256":"{hex}","sha512":"{sha512}"}}}}]"#), true),
            (format!(r#"[{{"digest":{{"sha256":"{hex}","sha512":"{other}"}}}}]"#), false),
            (format!(r#"[{{"digest":{{"sha1":"00","sha256":"{hex}"}}}}]"#), true),
            (r#"[{"digest":{}}]"#.to_owned(), false),
            (r#"[{"name":"x"}]"#.to_owned(), false),
        ] {
            let parsed = Statement::parse(&statement(&subject)).unwrap();
            assert_eq!(parsed.names(&ours, &strong), matches, "{subject}");
        }
        let both = Statement::parse(&statement(&format!(r#"[{{"digest":{{"sha256":"{hex}","sha512":"{sha512}"}}}}]"#)));
        assert!(!both.unwrap().names(&ours, &StrongDigests::unknown()));
    }

    #[test]
    fn attack_11_payloads_that_are_no_statement() {
        for payload in [
            "",
            "null",
            "[]",
            r#"{"_type":"https://in-toto.io/Statement/v2","subject":[],"predicateType":"t"}"#,
            r#"{"_type":"https://in-toto.io/Statement/v1","_type":"x","subject":[],"predicateType":"t"}"#,
            r#"{"_type":"https://in-toto.io/Statement/v1","subject":{},"predicateType":"t"}"#,
            r#"{"_type":"https://in-toto.io/Statement/v1","subject":[]}"#,
        ] {
            assert!(Statement::parse(payload.as_bytes()).is_err(), "{payload}");
        }
        let many = format!("[{}]", vec!["{}"; MAX_SUBJECTS + 1].join(","));
        assert!(matches!(Statement::parse(&statement(&many)), Err(StatementError::TooManySubjects)));
    }

    #[test]
    fn the_predicate_keeps_its_bytes() {
        let parsed = Statement::parse(&statement(r#"[{"digest":{}}]"#)).unwrap();
        assert_eq!(parsed.predicate.get(), r#"{"a":1.50}"#);
        let repository = "registry.example/app".parse().unwrap();
        let ours = Statement::about(&repository, Digest::of("x"), None, "t", parsed.predicate.clone());
        let again = Statement::parse(&ours.to_bytes()).unwrap();
        assert_eq!(again.predicate.get(), r#"{"a":1.50}"#);
        assert!(again.names(&Digest::of("x"), &StrongDigests::of(b"x")));
        assert_eq!(again.subjects[0].name.as_deref(), Some("registry.example/app"));
    }

    #[test]
    fn as_many_subjects_as_are_allowed_are_read() {
        let many = format!("[{}]", vec![r#"{"digest":{}}"#; MAX_SUBJECTS].join(","));
        assert_eq!(Statement::parse(&statement(&many)).map(|statement| statement.subjects.len()), Ok(MAX_SUBJECTS));
    }
}
