//! What a token service answers (distribution's token specification, and its OAuth2 form).

use serde::Deserialize;

/// The specification's default.
const DEFAULT_LIFE: u64 = 60;
/// Seconds that a token is used at most.
pub(super) const MAX_LIFE: u64 = 3600;
/// A token is not used in its last seconds, so that it does not expire under way.
const MARGIN: u64 = 5;

#[derive(Deserialize)]
struct Wire {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// A token.
pub(super) struct Issued {
    /// Never empty.
    pub(super) token: String,
    /// For how many seconds it can be used: an hour at most.
    pub(super) life: u64,
}

/// Reads an answer; `None` where it holds no token.
pub(super) fn read(body: &[u8]) -> Option<Issued> {
    let Wire { token, access_token, expires_in } = serde_json::from_slice(body).ok()?;
    let token = token.or(access_token).filter(|token| !token.is_empty())?;
    Some(Issued { token, life: expires_in.unwrap_or(DEFAULT_LIFE).min(MAX_LIFE).saturating_sub(MARGIN) })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn tokens_have_two_names_and_a_bounded_life() {
        for (body, expected) in [
            (r#"{"token":"a"}"#, Some(("a", 55))),
            (r#"{"access_token":"b","expires_in":300}"#, Some(("b", 295))),
            (r#"{"token":"a","access_token":"b","expires_in":99999}"#, Some(("a", 3595))),
            (r#"{"token":"a","expires_in":3}"#, Some(("a", 0))),
            (r#"{"token":""}"#, None),
            (r#"{"expires_in":300}"#, None),
            (r#"{"token":"a","expires_in":-1}"#, None),
            ("", None),
        ] {
            let found = read(body.as_bytes()).map(|issued| (issued.token, issued.life));
            assert_eq!(found, expected.map(|(token, life)| (token.to_owned(), life)), "{body}");
        }
    }
}
