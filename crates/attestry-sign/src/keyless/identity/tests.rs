//! Tokens are read, refused where they lead nowhere, found where CI systems leave them, and never shown.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn token(claims: &str) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn the_name_is_the_verified_email_address_or_the_subject() {
    let check = |claims: &str, expected: Option<&str>| {
        let read = IdentityToken::parse(&token(claims), at(0));
        assert_eq!(read.ok().map(|token| token.unverified.name).as_deref(), expected, "{claims}");
    };
    check(r#"{"iss":"https://i","sub":"repo:o/r","exp":9}"#, Some("repo:o/r"));
    check(r#"{"iss":"https://i","sub":"1","exp":9,"email":"a@b","email_verified":true}"#, Some("a@b"));
    check(r#"{"iss":"https://i","sub":"1","exp":9,"email":"a@b","email_verified":"true"}"#, Some("a@b"));
    check(r#"{"iss":"https://i","sub":"1","exp":9,"email":"a@b","email_verified":false}"#, None);
    check(r#"{"iss":"https://i","sub":"1","exp":9,"email":"a@b"}"#, None);
    check(r#"{"iss":"https://i","sub":"1"}"#, None);
    check(r#"{"iss":"https://i","sub":"1","sub":"2","exp":9}"#, None);
}

#[test]
fn a_token_that_ended_is_refused_before_anybody_is_asked() {
    let text = token(r#"{"iss":"https://i","sub":"s","exp":100}"#);
    assert!(IdentityToken::parse(&text, at(99)).is_ok());
    let error = IdentityToken::parse(&text, at(100)).unwrap_err();
    assert!(matches!(error, Error::TokenExpired { since } if since == at(100)));
}

#[test]
fn what_is_no_token_is_refused() {
    for text in ["", "a.b", "a.b.c.d", "e30.!.c", "e30.e30.c2ln\nX-Header: 1", &"a".repeat(MAX_TOKEN + 1)] {
        assert!(matches!(IdentityToken::parse(text, at(0)), Err(Error::Token { .. })), "{text:?}");
    }
}

#[test]
fn a_token_is_never_shown() {
    let text = token(r#"{"iss":"https://i","sub":"s","exp":100}"#);
    let shown = format!("{:?}", IdentityToken::parse(&text, at(0)).unwrap());
    assert!(!shown.contains(&text) && shown.contains("https://i"), "{shown}");
    assert_eq!(format!("{:?}", Ambient::Token(Zeroizing::new(text))), "Token(..)");
}

#[test]
fn ambient_tokens_are_found_in_the_order_of_how_deliberate_they_are() {
    let find = |variables: &[(&str, &str)], file: bool| {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Ambient::find(lookup, |path| file && path == Path::new(TOKEN_FILE))
    };
    let github = [(REQUEST_URL, "https://ci.example/?a=1"), (REQUEST_TOKEN, "secret")];
    assert_eq!(find(&[], false).unwrap(), None);
    assert_eq!(find(&[(TOKEN, "")], false).unwrap(), None);
    assert_eq!(find(&github[..1], false).unwrap(), None);
    assert_eq!(find(&[], true).unwrap(), Some(Ambient::File(Path::new(TOKEN_FILE))));
    assert!(matches!(find(&github, true).unwrap(), Some(Ambient::GitHub { .. })));
    let all = [github[0], github[1], (TOKEN, "t")];
    assert_eq!(find(&all, true).unwrap(), Some(Ambient::Token(Zeroizing::new("t".into()))));
    let plain = [(REQUEST_URL, "http://ci.example/"), (REQUEST_TOKEN, "secret")];
    assert!(matches!(find(&plain, false), Err(Error::TokenUrl)));
}
