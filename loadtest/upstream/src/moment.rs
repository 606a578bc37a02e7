//! Instants as microseconds since 1970, without a clock: "now" is a constant.
//!
//! Timestamps are printed with as many fractional digits as they need, none to six, because the
//! real service does and a consumer must cope. Time zones are the five that the demo can be asked
//! for; the United States left summer time on 2026-11-01, inside the data, so that hour is covered.
//!
//! Sources: days from civil date by the shifted-year method (Neri and Schneider, 2022).

use crate::draw::Draw;

pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const DAY_US: i64 = 86_400 * SECOND_US;
/// 2026-11-20T12:00:00Z.
pub(crate) const NOW_US: i64 = days_from_civil(2026, 11, 20) * DAY_US + DAY_US / 2;
/// 2026-11-01T06:00:00Z: 02:00 summer time in New York. Other zones follow within three hours.
const SUMMER_ENDS_US: i64 = days_from_civil(2026, 11, 1) * DAY_US + DAY_US / 4;
/// All rows lie in the sixty days before [`NOW_US`].
const SPREAD_DAYS: i64 = 60;

/// Standard offset from UTC in hours, and whether it has summer time.
const ZONES: &[(&str, i64, bool)] = &[
    ("UTC", 0, false),
    ("America/New_York", -5, true),
    ("America/Chicago", -6, true),
    ("America/Denver", -7, true),
    ("America/Los_Angeles", -8, true),
];

/// A time zone that filters and day boundaries are read in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: &'static str,
    offset_h: i64,
    summer: bool,
}

impl Zone {
    pub(crate) const UTC: Zone = Zone { name: "UTC", offset_h: 0, summer: false };

    pub(crate) fn named(name: &str) -> Option<Zone> {
        let &(name, offset_h, summer) = ZONES.iter().find(|(n, _, _)| *n == name)?;
        Some(Zone { name, offset_h, summer })
    }

    fn offset_us(self, at_us: i64) -> i64 {
        let summer = i64::from(self.summer && at_us < SUMMER_ENDS_US);
        (self.offset_h + summer) * 3_600 * SECOND_US
    }

    /// Microseconds of the local wall clock.
    pub(crate) fn local_us(self, at_us: i64) -> i64 {
        at_us + self.offset_us(at_us)
    }

    fn instant(self, local_us: i64) -> i64 {
        local_us - self.offset_us(local_us)
    }

    /// Local midnight that begins the day of `at_us`.
    pub(crate) fn day_start(self, at_us: i64) -> i64 {
        let local = self.local_us(at_us);
        self.instant(local - local.rem_euclid(DAY_US))
    }
}

/// The instant of row `index` of `count`, newest first, no two alike, fraction of 0 to 6 digits.
pub(crate) fn spread(draw: &mut Draw, index: u64, count: u64) -> i64 {
    let width = SPREAD_DAYS * DAY_US / count.max(1) as i64;
    // Two seconds stay free so that cutting the fraction cannot reach into the next row's place.
    let at = NOW_US
        - width * index as i64
        - SECOND_US
        - draw.below((width - 2 * SECOND_US).max(1) as u64) as i64;
    let unit = 10_i64.pow(draw.below(7) as u32);
    at - at.rem_euclid(unit)
}

/// RFC 3339 in UTC with the fraction cut behind its last digit that is not 0.
pub(crate) fn text(at_us: i64) -> String {
    let (y, m, d) = civil_from_days(at_us.div_euclid(DAY_US));
    let clock = clock_text(at_us);
    let fraction = at_us.rem_euclid(SECOND_US);
    if fraction == 0 {
        return format!("{y:04}-{m:02}-{d:02}T{clock}Z");
    }
    let fraction = format!("{fraction:06}");
    format!("{y:04}-{m:02}-{d:02}T{clock}.{}Z", fraction.trim_end_matches('0'))
}

/// `HH:MM:SS` of an instant.
pub(crate) fn clock_text(at_us: i64) -> String {
    let second = at_us.rem_euclid(DAY_US) / SECOND_US;
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// `YYYY-MM-DD` of an instant.
pub(crate) fn date_text(at_us: i64) -> String {
    let (y, m, d) = civil_from_days(at_us.div_euclid(DAY_US));
    format!("{y:04}-{m:02}-{d:02}")
}

/// Reads `YYYY-MM-DD` (midnight in `zone`) or RFC 3339 with `Z` or an offset.
pub(crate) fn parse(text: &str, zone: Zone) -> Option<i64> {
    let date = text.get(..10)?;
    let day_us = parse_date(date)? * DAY_US;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some(zone.instant(day_us));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let clock_us = parse_clock(rest.get(..8)?)?;
    let (fraction_us, rest) = parse_fraction(rest.get(8..)?)?;
    let local_us = day_us + clock_us + fraction_us;
    if rest.is_empty() {
        return Some(zone.instant(local_us));
    }
    Some(local_us - parse_offset(rest)?)
}

fn parse_date(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let (y, m, d) = (digits(&text[..4])?, digits(&text[5..7])?, digits(&text[8..])?);
    let days = days_from_civil(y, m, d);
    // A date that does not come back is none: month 13, 31 April.
    (civil_from_days(days) == (y, m, d)).then_some(days)
}

fn parse_clock(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() != 8 || bytes[2] != b':' || bytes[5] != b':' || !text.is_ascii() {
        return None;
    }
    let (h, m, s) = (digits(&text[..2])?, digits(&text[3..5])?, digits(&text[6..])?);
    (h < 24 && m < 60 && s < 61).then_some((h * 3_600 + m * 60 + s) * SECOND_US)
}

fn parse_fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let used = length.min(6);
    let value = digits(rest.get(..used)?)?;
    Some((value * 10_i64.pow(6 - used as u32), &rest[length..]))
}

fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    // A `+` that a client forgot to encode arrives as a blank.
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' | b' ' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (h, m) = rest.split_once(':')?;
    Some(sign * (digits(h)? * 3_600 + digits(m)? * 60) * SECOND_US)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

const fn days_from_civil(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let year_of_era = y - era * 400;
    let day_of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (m, d) = (
        if shifted < 10 { shifted + 3 } else { shifted - 9 },
        day_of_year - (153 * shifted + 2) / 5 + 1,
    );
    (year_of_era + era * 400 + i64::from(m <= 2), m, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_reads_back_as_it_was_printed() {
        for (at_us, printed) in [
            (NOW_US, "2026-11-20T12:00:00Z"),
            (NOW_US + 427_630, "2026-11-20T12:00:00.42763Z"),
            (NOW_US - 1, "2026-11-20T11:59:59.999999Z"),
            (0, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(text(at_us), printed);
            assert_eq!(parse(printed, Zone::UTC), Some(at_us), "{printed}");
        }
    }

    #[test]
    fn filters_read_dates_offsets_and_nothing_else() {
        let new_york = Zone::named("America/New_York").unwrap_or(Zone::UTC);
        let noon = |day: i64| days_from_civil(2026, 11, day) * DAY_US + DAY_US / 2;
        for (given, zone, expected) in [
            ("2026-11-20", Zone::UTC, Some(noon(20) - DAY_US / 2)),
            ("2026-11-20", new_york, Some(noon(20) - DAY_US / 2 + 5 * 3_600 * SECOND_US)),
            ("2026-11-20T07:00:00-05:00", Zone::UTC, Some(noon(20))),
            ("2026-11-20T17:30:00 05:30", Zone::UTC, Some(noon(20))),
            ("2026-13-01", Zone::UTC, None),
            ("2026-02-30", Zone::UTC, None),
            ("2026-11-20T25:00:00Z", Zone::UTC, None),
            ("2026-11-20T12:00:00.Z", Zone::UTC, None),
            ("yesterday", Zone::UTC, None),
            ("2026-1\u{e9}-20T\u{e9}", Zone::UTC, None),
            ("", Zone::UTC, None),
        ] {
            assert_eq!(parse(given, zone), expected, "{given}");
        }
    }

    #[test]
    fn rows_come_newest_first_and_no_two_at_once() {
        let at: Vec<i64> =
            (0..2_400).map(|i| spread(&mut Draw::new("spread", i), i, 2_400)).collect();
        assert!(at.windows(2).all(|pair| pair[0] > pair[1]));
        assert!(at[0] < NOW_US);
    }
}
