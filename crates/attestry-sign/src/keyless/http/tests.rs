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
