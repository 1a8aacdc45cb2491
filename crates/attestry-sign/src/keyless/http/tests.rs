//! What services say, and what is asked again.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn only_what_may_pass_is_asked_again() {
    let refused = |status| ServiceFault::Refused { status, said: String::new() }.may_pass();
    assert!([408, 429, 500, 502, 503, 504].into_iter().all(refused));
    assert!(![301, 302, 400, 401, 403, 404, 409, 501].into_iter().any(refused));
    assert!(ServiceFault::TimedOut.may_pass());
    assert!(!ServiceFault::TooLarge { limit: 1 }.may_pass() && !ServiceFault::Malformed("").may_pass());
}

#[test]
fn retry_after_is_seconds_or_a_date_by_the_services_clock() {
    let check = |retry: &str, date: Option<&str>, expected: Option<u64>| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{retry}");
    };
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    check("3", None, Some(3));
    check("Sun, 06 Nov 1994 08:49:47 GMT", date, Some(10));
    check("Sun, 06 Nov 1994 08:49:27 GMT", date, Some(0));
    check("soon", date, None);
}

#[test]
fn what_a_service_says_is_quoted_short_and_on_one_line() {
    assert_eq!(said(br#"{"code":3,"message":"bad\ntoken","details":[]}"#), ": bad token");
    assert_eq!(said(b""), "");
    assert!(said(&[b'x'; 5000]).len() <= 300);
}

#[test]
fn pauses_are_at_most_as_long_as_was_said() {
    let pause = Duration::from_secs(2);
    assert!((0..50).map(|_| jitter(pause)).all(|one| one >= pause / 2 && one <= pause));
}
