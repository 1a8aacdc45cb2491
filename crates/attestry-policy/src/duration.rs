//! Durations as Kubernetes writes them, `72h`, `1h30m`, `45s`, and days, `2028-06-30`.

use attestry_core::Timestamp;
use jiff::{SignedDuration, civil::Date, tz::Offset};

/// Why a text is no duration.
pub(crate) const DURATION_HINT: &str = "write hours, minutes and seconds in this order, such as 72h or 1h30m";

/// The longest duration: a hundred years, far from where adding to a time overflows.
const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// Reads a duration above zero. Days and fractions are refused, as by `metav1.Duration` in practice.
pub(crate) fn parse(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
    let (mut total, mut last) = (0i64, i64::MAX);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest.get(..digits).filter(|d| (1..=9).contains(&d.len()))?.parse().ok()?;
        let unit = match rest.as_bytes().get(digits)? {
            b'h' => 3600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        // Each unit once, from large to small.
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(digits + 1..)?;
    }
    (1..=MAX_SECONDS).contains(&total).then(|| SignedDuration::from_secs(total))
}

/// Reads an RFC 3339 time with an offset, of which `Z` is one.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    // jiff reads a family of formats; a document has one, with a T and a full time.
    let plain = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && !text.contains('[');
    text.parse().ok().filter(|_| plain)
}

/// Reads `YYYY-MM-DD` and returns the first moment after that day in UTC.
pub(crate) fn parse_end_of_day(text: &str) -> Option<Timestamp> {
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let day: Date = text.parse().ok().filter(|_| plain)?;
    Offset::UTC.to_timestamp(day.tomorrow().ok()?.to_datetime(jiff::civil::Time::midnight())).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn durations() {
        let check =
            |text: &str, seconds: Option<i64>| assert_eq!(parse(text).map(|d| d.as_secs()), seconds, "{text:?}");
        check("72h", Some(259_200));
        check("1h30m", Some(5400));
        check("45s", Some(45));
        check("1h0m1s", Some(3601));
        for bad in
            ["", "h", "3", "1.5h", "3d", "-1h", "1m1h", "1h1h", "1 h", "0s", "9999999999h", "999999999h", "1H", "١h"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn times_and_days() {
        assert!(parse_time("2026-01-01T00:00:00Z").is_some());
        assert!(parse_time("2026-01-01T01:00:00+01:00").is_some());
        for bad in [
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "20260101T000000Z",
            "2026-01-01T00:00:00Z[UTC]",
        ] {
            assert!(parse_time(bad).is_none(), "{bad}");
        }
        assert_eq!(parse_end_of_day("2028-06-30").unwrap().to_string(), "2028-07-01T00:00:00Z");
        for bad in ["2028-6-30", "2028-02-30", "20280630", "2028-06-30T00:00:00Z", ""] {
            assert!(parse_end_of_day(bad).is_none(), "{bad}");
        }
    }
}
