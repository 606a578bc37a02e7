//! Times and durations as the API writes them: RFC 3339 in UTC, and a whole number with a unit.

use gateway_limits::UnixMs;
pub(crate) use gateway_policy::rfc3339;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// `None` for anything that is no RFC 3339 time from 1970 on.
pub(crate) fn parse_rfc3339(text: &str) -> Option<UnixMs> {
    // The library reads more forms than the RFC has.
    let bytes = text.as_bytes();
    let has_form = bytes.len() >= 20
        && bytes.len() <= 40
        && bytes.get(10).is_some_and(|b| matches!(b, b'T' | b't'))
        && (text.ends_with(['Z', 'z']) || bytes.get(bytes.len() - 3) == Some(&b':'));
    if !has_form {
        return None;
    }
    u64::try_from(gateway_policy::parse_rfc3339(text)?).ok().map(UnixMs)
}

/// Milliseconds of `250ms`, `5s`, `1m`, `24h`, `30d`.
pub(crate) fn parse_duration(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the largest unit that leaves a whole number.
pub(crate) fn duration(ms: u64) -> String {
    let fits = UNITS.iter().rev().find(|(_, factor)| ms.is_multiple_of(*factor) && ms > 0);
    let (unit, factor) = fits.unwrap_or(&UNITS[1]);
    format!("{}{unit}", ms / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_it_was_read_and_in_utc() {
        for (text, written) in [
            ("2027-01-01T00:00:00Z", Some("2027-01-01T00:00:00Z")),
            ("2027-01-01T02:00:00+02:00", Some("2027-01-01T00:00:00Z")),
            ("2027-01-01T00:00:00.25Z", Some("2027-01-01T00:00:00.25Z")),
            ("2027-01-01t00:00:00z", Some("2027-01-01T00:00:00Z")),
            ("9999-12-31T23:59:59Z", Some("9999-12-31T23:59:59Z")),
            ("9999-12-31T23:59:59+23:59", Some("9999-12-31T00:00:59Z")),
            ("2027-01-01 00:00:00Z", None),
            ("2027-01-01T00:00:00", None),
            ("2027-01-01", None),
            ("1969-12-31T23:59:59Z", None),
            ("2027-13-01T00:00:00Z", None),
            ("2027-01-01T00:00:00+02:00[Europe/Berlin]", None),
            ("", None),
        ] {
            assert_eq!(parse_rfc3339(text).map(rfc3339).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn a_duration_has_a_whole_number_and_a_unit() {
        for (text, ms) in [
            ("250ms", Some(250)),
            ("1m", Some(60_000)),
            ("24h", Some(86_400_000)),
            ("0s", Some(0)),
            ("5", None),
            ("s", None),
            ("-5s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_duration(text), ms, "{text}");
        }
        let written = [0, 250, 60_000, 90_000, 86_400_000].map(duration);
        assert_eq!(written, ["0s", "250ms", "1m", "90s", "1d"]);
    }
}
