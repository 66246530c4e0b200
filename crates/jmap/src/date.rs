//! Dates as RFC 8620 1.4 writes them.

use tern_base::Timestamp;

/// A `UTCDate`; fractions of a second are left out.
pub(crate) fn utc(at: Timestamp) -> String {
    let second = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    at.to_string()
}

/// Reads a `UTCDate`: a date and time of RFC 3339 in UTC, letters in upper case.
pub(crate) fn parse_utc(text: &str) -> Option<Timestamp> {
    // RFC 3339 5.6: all of its parts are there, seconds too.
    let stands =
        |at: usize, these: &[u8]| text.as_bytes().get(at).is_some_and(|c| these.contains(c));
    let is_whole = stands(10, b"T") && stands(13, b":") && stands(16, b":") && stands(19, b".Z");
    let is_utc = text.ends_with('Z') && is_whole;
    let at: jiff::Timestamp = text.parse().ok().filter(|_| is_utc)?;
    u64::try_from(at.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_dates_round_trip_and_nothing_else_is_one() {
        assert_eq!(utc(Timestamp(1_414_649_520_999)), "2014-10-30T06:12:00Z");
        assert_eq!(
            parse_utc("2014-10-30T06:12:00Z"),
            Some(Timestamp(1_414_649_520_000))
        );
        for text in [
            "2014-10-30",
            "2014-10-30T06:12:00+01:00",
            "2014-10-30T06:12Z",
            "2014-10-30T061200Z",
            "2014-10-30T06:12:00,5Z",
            "20141030T06:12:00Z",
            "2014-10-30t06:12:00z",
            "1914-10-30T06:12:00Z",
            "",
        ] {
            assert_eq!(parse_utc(text), None, "{text}");
        }
    }
}
