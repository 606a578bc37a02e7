//! The forms that scalars have: durations, sizes, addresses, digests, times, secrets.
//!
//! Each is one row of [`FORMATS`]: the schema names the row, the checker runs it, serde reads by
//! the same function. So what an editor marks, what `check` refuses and what is read are one thing.

use std::net::{IpAddr, SocketAddr};

use gateway_policy::{Digest, DigestError};
use ipnet::IpNet;

/// Why a scalar does not have the form that its place asks for. Never repeats a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScalarError {
    #[error("`{text}` is no duration")]
    Duration { text: Box<str> },
    #[error("`{text}` is no size")]
    Size { text: Box<str> },
    #[error("`{text}` is too large")]
    TooLarge { text: Box<str> },
    #[error("`{text}` is no IP address and port")]
    SocketAddress { text: Box<str> },
    #[error("`{text}` is no IP address or network")]
    Network { text: Box<str> },
    #[error("`{text}` is no host and port")]
    ServerAddress { text: Box<str> },
    #[error("{0}")]
    Digest(DigestError),
    #[error("`{text}` is no point in time")]
    Time { text: Box<str> },
    #[error("`{text}` lies before 1970")]
    TimeTooEarly { text: Box<str> },
    #[error("`{text}` is no name of a header")]
    HeaderName { text: Box<str> },
    #[error("this is no address of a {what}")]
    StoreAddress { what: &'static str },
    #[error("`{text}` is no address of a collector")]
    Collector { text: Box<str> },
    #[error("must not be empty")]
    Empty,
}

impl ScalarError {
    pub(crate) fn help(&self) -> &'static str {
        match self {
            ScalarError::Duration { .. } => {
                "a whole number and a unit: `250ms`, `5s`, `1m`, `24h`, `30d`"
            }
            ScalarError::Size { .. } => {
                "a whole number and a unit: `512B`, `64KiB`, `1MiB`, `1GiB`"
            }
            ScalarError::SocketAddress { .. } => {
                "for example `127.0.0.1:8080`, `0.0.0.0:8080` or `[::1]:8080`"
            }
            ScalarError::Network { .. } => {
                "for example `203.0.113.0/24`, `203.0.113.7` or `2001:db8::/32`"
            }
            ScalarError::ServerAddress { .. } => {
                "for example `10.0.0.7:9101`, `calls.internal:443` or `[::1]:9101`"
            }
            ScalarError::Digest(DigestError::Unprefixed) => {
                "put `sha256:` and the output of `printf %s \"$KEY\" | sha256sum` here"
            }
            ScalarError::Time { .. } => {
                "RFC 3339 with an offset, for example `2027-01-01T00:00:00Z`"
            }
            ScalarError::StoreAddress { what: "Redis server" } => {
                "for example `redis://127.0.0.1:6379`"
            }
            ScalarError::StoreAddress { .. } => "for example `postgres://127.0.0.1:5432/colonnade`",
            ScalarError::Collector { .. } => "for example `http://127.0.0.1:4318`",
            ScalarError::Digest(_) => "`sha256:` and 64 hex digits, as `sha256sum` prints them",
            ScalarError::TooLarge { .. } => "write a smaller number",
            ScalarError::TimeTooEarly { .. } => "write a time from 1970 on",
            ScalarError::HeaderName { .. } => "letters, digits and `-`, for example `x-team-id`",
            ScalarError::Empty => "write a value, or remove the key",
        }
    }
}

/// Turns a scalar into the number that its bounds are compared with.
pub(crate) type Measure = fn(&str) -> Result<u64, ScalarError>;

/// One form of a scalar.
pub(crate) struct Format {
    /// The word of the schema's `format`.
    pub(crate) name: &'static str,
    /// How a fault calls it: "expected …".
    pub(crate) noun: &'static str,
    pub(crate) check: fn(&str) -> Result<(), ScalarError>,
    /// What `x-minimum` and `x-maximum` are compared by.
    pub(crate) measure: Option<Measure>,
    /// The text is never shown.
    pub(crate) secret: bool,
}

const fn format(
    name: &'static str,
    noun: &'static str,
    check: fn(&str) -> Result<(), ScalarError>,
) -> Format {
    Format { name, noun, check, measure: None, secret: false }
}

pub(crate) static FORMATS: [Format; 14] = [
    Format {
        measure: Some(parse_duration),
        ..format("duration", "a duration such as `5s`", |text| parse_duration(text).map(drop))
    },
    Format {
        measure: Some(parse_size),
        ..format("size", "a size such as `64KiB`", |text| parse_size(text).map(drop))
    },
    format("socket-address", "an address such as `127.0.0.1:8080`", |text| {
        parse_socket_address(text).map(drop)
    }),
    format("network", "a network such as `10.0.0.0/8`", |text| parse_network(text).map(drop)),
    format("server-address", "a server such as `127.0.0.1:9101`", check_server_address),
    format("collector-address", "an address such as `http://127.0.0.1:4318`", check_collector),
    format("header-name", "the name of a header", |text| parse_header_name(text).map(drop)),
    format("time", "a time such as `2027-01-01T00:00:00Z`", |text| parse_time(text).map(drop)),
    format("id", "an id", check_filled),
    format("display-name", "a name", |_| Ok(())),
    Format {
        secret: true,
        ..format("digest", "a digest such as `sha256:…`", |text| parse_digest(text).map(drop))
    },
    Format { secret: true, ..format("secret", "a secret", check_filled) },
    Format {
        secret: true,
        ..format("postgres-address", "the address of a PostgreSQL database", check_postgres)
    },
    Format {
        secret: true,
        ..format("redis-address", "the address of a Redis server", check_redis)
    },
];

pub(crate) fn find_format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

pub(super) const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
pub(super) const SIZE_UNITS: [(&str, u64); 4] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<u64, ScalarError> {
    parse_with_unit(text, &DURATION_UNITS, || ScalarError::Duration { text: text.into() })
}

/// Bytes.
pub(crate) fn parse_size(text: &str) -> Result<u64, ScalarError> {
    parse_with_unit(text, &SIZE_UNITS, || ScalarError::Size { text: text.into() })
}

fn parse_with_unit(
    text: &str,
    units: &[(&str, u64)],
    malformed: impl Fn() -> ScalarError,
) -> Result<u64, ScalarError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(&malformed)?;
    if number.is_empty() {
        return Err(malformed());
    }
    let number: u64 = number.parse().map_err(|_| ScalarError::TooLarge { text: text.into() })?;
    number.checked_mul(*factor).ok_or_else(|| ScalarError::TooLarge { text: text.into() })
}

pub(super) fn print_with_unit(number: u64, units: &[(&str, u64)]) -> String {
    let fits = |(_, factor): &&(&str, u64)| number.is_multiple_of(*factor);
    let (unit, factor) = units.iter().rev().find(fits).unwrap_or(&units[0]);
    if number == 0 { format!("0{}", units[0].0) } else { format!("{}{unit}", number / factor) }
}

pub(super) fn parse_socket_address(text: &str) -> Result<SocketAddr, ScalarError> {
    text.parse().map_err(|_| ScalarError::SocketAddress { text: text.into() })
}

/// A bare address is a network of one.
pub(super) fn parse_network(text: &str) -> Result<IpNet, ScalarError> {
    let bare = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| bare())
        .map_err(|_| ScalarError::Network { text: text.into() })
}

pub(super) fn parse_header_name(text: &str) -> Result<http::HeaderName, ScalarError> {
    http::HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| ScalarError::HeaderName { text: text.into() })
}

pub(super) fn parse_digest(text: &str) -> Result<Digest, ScalarError> {
    Digest::parse(text).map_err(ScalarError::Digest)
}

/// Milliseconds since 1970.
pub(super) fn parse_time(text: &str) -> Result<u64, ScalarError> {
    let ms = gateway_policy::parse_rfc3339(text)
        .ok_or_else(|| ScalarError::Time { text: text.into() })?;
    u64::try_from(ms).map_err(|_| ScalarError::TimeTooEarly { text: text.into() })
}

fn check_filled(text: &str) -> Result<(), ScalarError> {
    if text.trim().is_empty() { Err(ScalarError::Empty) } else { Ok(()) }
}

pub(super) fn check_server_address(text: &str) -> Result<(), ScalarError> {
    let malformed = || ScalarError::ServerAddress { text: text.into() };
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() != 0) {
        return Ok(());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let port_is_good = port.parse::<u16>().is_ok_and(|port| port != 0) && !port.starts_with('+');
    if port_is_good && is_host_name(host) { Ok(()) } else { Err(malformed()) }
}

/// Letters, digits, hyphens and underscores in labels of 1 to 63, at most 253 together (RFC 1123,
/// and the underscores that service names of containers have).
pub(crate) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would make it a broken IPv4 address.
    let last_is_number =
        host.rsplit('.').next().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253 && !last_is_number && host.split('.').all(is_label)
}

fn check_postgres(text: &str) -> Result<(), ScalarError> {
    check_scheme(text, &["postgres://", "postgresql://"], "PostgreSQL database")
}

fn check_redis(text: &str) -> Result<(), ScalarError> {
    check_scheme(text, &["redis://", "rediss://"], "Redis server")
}

fn check_scheme(text: &str, schemes: &[&str], what: &'static str) -> Result<(), ScalarError> {
    let named =
        schemes.iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if named { Ok(()) } else { Err(ScalarError::StoreAddress { what }) }
}

/// A scheme, a host and perhaps a path; credentials belong into headers.
pub(super) fn check_collector(text: &str) -> Result<(), ScalarError> {
    let address = text.parse::<http::Uri>().ok().filter(|address| {
        matches!(address.scheme_str(), Some("http" | "https"))
            && address.authority().is_some_and(|host| !host.as_str().contains('@'))
            && address.query().is_none()
    });
    address.map(drop).ok_or_else(|| ScalarError::Collector { text: text.into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_and_sizes_have_a_whole_number_and_a_unit() {
        for (text, ms) in [
            ("0s", Some(0)),
            ("250ms", Some(250)),
            ("5s", Some(5_000)),
            ("1m", Some(60_000)),
            ("24h", Some(86_400_000)),
            ("30d", Some(2_592_000_000)),
            ("5", None),
            ("s", None),
            ("5 s", None),
            ("1.5s", None),
            ("-5s", None),
            ("5S", None),
            ("", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(parse_duration(text).ok(), ms, "{text}");
        }
        for (text, bytes) in [
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("1MiB", Some(1 << 20)),
            ("2GiB", Some(2 << 30)),
            ("64KB", None),
            ("64k", None),
        ] {
            assert_eq!(parse_size(text).ok(), bytes, "{text}");
        }
        assert_eq!(print_with_unit(90_000, &DURATION_UNITS), "90s");
        assert_eq!(print_with_unit(0, &DURATION_UNITS), "0ms");
        assert_eq!(print_with_unit(1 << 20, &SIZE_UNITS), "1MiB");
    }

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for (text, good) in [
            ("127.0.0.1:9101", true),
            ("[::1]:9101", true),
            ("calls.internal:443", true),
            ("calls_service:80", true),
            ("localhost:1", true),
            ("localhost", false),
            ("localhost:0", false),
            ("localhost:65536", false),
            ("localhost:+80", false),
            ("http://localhost:80", false),
            ("::1:80", false),
            ("256.0.0.1:80", false),
            ("-a:80", false),
            (":80", false),
            ("a..b:80", false),
        ] {
            assert_eq!(check_server_address(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_collector_is_an_http_address_without_credentials_or_query() {
        for (text, good) in [
            ("http://127.0.0.1:4318", true),
            ("https://collector.internal/otlp", true),
            ("http://127.0.0.1:4318/", true),
            ("127.0.0.1:4318", false),
            ("grpc://127.0.0.1:4317", false),
            ("http://user:hunter2@collector:4318", false),
            ("http://collector:4318/?key=hunter2", false),
            ("http://", false),
            ("", false),
        ] {
            assert_eq!(check_collector(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_bare_address_is_a_network_of_one() {
        assert_eq!(parse_network("203.0.113.7").unwrap(), "203.0.113.7/32".parse().unwrap());
        assert_eq!(parse_network("2001:db8::1").unwrap(), "2001:db8::1/128".parse().unwrap());
        assert!(parse_network("203.0.113.0/33").is_err());
    }

    #[test]
    fn a_time_has_an_offset_and_is_not_before_1970() {
        assert_eq!(parse_time("1970-01-01T00:00:01Z").unwrap(), 1_000);
        assert_eq!(parse_time("1970-01-01T02:00:00+02:00").unwrap(), 0);
        assert_eq!(parse_time("9999-12-31T23:59:59Z").unwrap(), 253_402_300_799_000);
        for text in [
            "2027-01-01",
            "2027-01-01T00:00:00",
            "tomorrow",
            "1969-12-31T23:59:59Z",
            "2027-13-01T00:00:00Z",
        ] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
