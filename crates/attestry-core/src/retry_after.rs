//! When a server asks to be asked again (RFC 9110 §10.2.3), by its own clock.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;

/// Reads `Retry-After`: seconds, or a date, which is compared with the answer's own `Date`. A date that has passed is no
/// wait at all; what cannot be read is `None`.
pub fn read(retry_after: &str, date: Option<&str>) -> Option<Duration> {
    let retry_after = retry_after.trim();
    if let Ok(seconds) = retry_after.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let time = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let seconds = time(retry_after)?.as_second() - time(date?)?.as_second();
    Some(Duration::from_secs(seconds.max(0).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_seconds_or_a_date_by_the_servers_clock() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (text, date, expected) in [
            ("3", None, Some(3)),
            (" 3 ", date, Some(3)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", date, Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", date, Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", None, None),
            ("soon", date, None),
            ("-1", date, None),
        ] {
            assert_eq!(read(text, date), expected.map(Duration::from_secs), "{text}");
        }
    }
}
