//! Points in time as people write them: RFC 3339, up to the end of the year 9999.
//!
//! Date, time and offset are put together here, for `jiff::Timestamp` ends a day before RFC 3339 does,
//! and `9999-12-31T23:59:59Z` is how many write "never".

use gateway_limits::UnixMs;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// The last that can be written in UTC.
const LAST_MS: i64 = 253_402_300_799_999;

/// Milliseconds since 1970, fewer than none before; `None` for what is no time with an offset. The last
/// hours of 9999 west of Greenwich are in the year 10000 of UTC: they are taken as the end of 9999.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let (time, offset): (Time, _) = (pieces.time()?, pieces.to_numeric_offset()?);
    let local = DateTime::from_parts(pieces.date(), time).duration_since(EPOCH).as_millis();
    let ms = i64::try_from(local).ok()? - i64::from(offset.seconds()) * 1_000;
    Some(ms.min(LAST_MS))
}

/// `2027-01-01T00:00:00Z`, with as many decimals as it takes. Beyond the year 9999, its end.
pub fn rfc3339(at: UnixMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(LAST_MS).min(LAST_MS);
    let time = EPOCH.checked_add(jiff::SignedDuration::from_millis(ms)).unwrap_or(DateTime::MAX);
    format!("{time}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_up_to_the_end_of_9999_is_shown_as_it_was_written_and_in_utc() {
        for (text, shown) in [
            ("1970-01-01T00:00:00Z", Some("1970-01-01T00:00:00Z")),
            ("2027-01-01T02:00:00.25+02:00", Some("2027-01-01T00:00:00.25Z")),
            ("2038-01-19T03:14:08Z", Some("2038-01-19T03:14:08Z")),
            ("9999-12-30T22:00:00Z", Some("9999-12-30T22:00:00Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z")),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:59+23:59", Some("9999-12-31T00:00:59Z")),
            ("9999-12-31T23:59:59-00:01", Some("9999-12-31T23:59:59.999Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59Z")),
            ("10000-01-01T00:00:00Z", None),
            ("9999-12-31T23:59:59", None),
            ("9999-12-31", None),
            ("9999-13-31T23:59:59Z", None),
            ("never", None),
        ] {
            let at = parse_rfc3339(text).and_then(|ms| u64::try_from(ms).ok()).map(UnixMs);
            assert_eq!(at.map(rfc3339).as_deref(), shown, "{text}");
        }
        assert_eq!(parse_rfc3339("1969-12-31T23:59:59Z"), Some(-1_000));
        assert_eq!(rfc3339(UnixMs(u64::MAX)), "9999-12-31T23:59:59.999Z");
    }
}
