//! What a registry says where it refuses (OCI distribution-spec v1.1.1, "Error Codes").

use serde::Deserialize;

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
    #[serde(default)]
    message: String,
}

/// The first error of an error body: one line of at most 512 bytes. `None` for any other body.
pub(crate) fn text(body: &[u8]) -> Option<String> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let first = errors.errors.into_iter().next()?;
    Some(attestry_core::reason::clean(&format!("{}: {}", first.code, first.message), 512))
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn refusals_are_quoted_on_one_line() {
        let body = br#"{"errors":[{"code":"MANIFEST_INVALID","message":"no\nsubject"}]}"#;
        assert_eq!(text(body).as_deref(), Some("MANIFEST_INVALID: no subject"));
        assert_eq!(text(b"<html>"), None);
        assert_eq!(text(br#"{"errors":[]}"#), None);
    }
}
