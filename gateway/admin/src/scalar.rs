//! The forms that scalars of a body have. Each is one row of [`FORMATS`]: the document names the row,
//! the checker runs it, and the type reads by the same function.

use std::net::IpAddr;

use gateway_limits::UnixMs;
use gateway_policy::Digest;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::time::{parse_duration, parse_rfc3339, rfc3339};

/// Most characters of a name.
pub(crate) const NAME_CHARS_MAX: usize = 1_000;
const ID_BYTES_MAX: usize = 128;
const EMAIL_CHARS_MAX: usize = 320;

/// One form of a scalar.
pub(crate) struct Format {
    /// The word of the schema's `format`.
    pub(crate) name: &'static str,
    /// What is expected.
    pub(crate) noun: &'static str,
    pub(crate) is: fn(&str) -> bool,
}

pub(crate) static FORMATS: [Format; 7] = [
    Format {
        name: "name",
        noun: "a name: 1 to 1,000 characters, no control characters",
        is: is_name,
    },
    Format {
        name: "id",
        noun: "an id: letters, digits and `._:@+~-`, beginning with a letter, a digit or `_`, at most 128",
        is: is_id,
    },
    Format {
        name: "date-time",
        noun: "a time of RFC 3339 with its offset, such as `2027-01-01T00:00:00Z`",
        is: |text| parse_rfc3339(text).is_some(),
    },
    Format {
        name: "duration-text",
        noun: "a whole number and a unit: `250ms`, `5s`, `1m`, `24h`, `30d`",
        is: |text| parse_duration(text).is_some(),
    },
    Format {
        name: "network",
        noun: "an address or network, such as `203.0.113.0/24` or `2001:db8::/32`",
        is: |text| parse_network(text).is_some(),
    },
    Format {
        name: "digest",
        noun: "`sha256:` (or `hmac-sha256:` under a pepper) and 64 hex digits; never the key itself",
        is: |text| Digest::parse(text).is_ok(),
    },
    Format {
        name: "email",
        noun: "an address of at most 320 characters with an `@`",
        is: is_email,
    },
];

fn is_name(text: &str) -> bool {
    let count = text.chars().take(NAME_CHARS_MAX + 1).count();
    (1..=NAME_CHARS_MAX).contains(&count)
        && !text.trim().is_empty()
        && !text.chars().any(char::is_control)
}

pub(crate) fn is_id(text: &str) -> bool {
    let follows = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'@' | b'+' | b'~' | b'-')
    };
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text.bytes().all(follows)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
}

fn is_email(text: &str) -> bool {
    let count = text.chars().take(EMAIL_CHARS_MAX + 1).count();
    let parts = text.rsplit_once('@');
    count <= EMAIL_CHARS_MAX
        && parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty())
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

/// A bare address is a network of one.
fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn schema(format: &str, description: &str, pattern: Option<&str>) -> RefOr<Schema> {
    let format = match format {
        "date-time" => SchemaFormat::KnownFormat(KnownFormat::DateTime),
        other => SchemaFormat::Custom(other.to_owned()),
    };
    let object = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(format))
        .description(Some(description))
        .pattern(pattern);
    RefOr::T(Schema::Object(object.build()))
}

macro_rules! text_scalar {
    ($name:ident, $value:ty, $read:expr, $format:literal, $pattern:expr, $description:literal) => {
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name(pub(crate) $value);

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<$name, &'static str> {
                let read: fn(String) -> Option<$value> = $read;
                // The text is not repeated: it may be a secret.
                read(text).map($name).ok_or(concat!("is no ", $format))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                schema($format, $description, $pattern)
            }
        }

        impl ToSchema for $name {}
    };
}

text_scalar!(
    Name,
    String,
    |text| is_name(&text).then_some(text),
    "name",
    Some(r"^[^\x00-\x1f\x7f-\x9f]{1,1000}$"),
    "What people call it: any characters but control characters, and not the text of a key."
);
text_scalar!(
    Id,
    String,
    |text| is_id(&text).then_some(text),
    "id",
    Some("^[A-Za-z0-9_][A-Za-z0-9_.:@+~-]{0,127}$"),
    "An id. It stays what it is."
);
text_scalar!(
    Time,
    UnixMs,
    |text| parse_rfc3339(&text),
    "date-time",
    None,
    "A time of RFC 3339 with its offset."
);
text_scalar!(
    Span,
    u64,
    |text| parse_duration(&text),
    "duration-text",
    Some("^[0-9]{1,12}(ms|s|m|h|d)$"),
    "A whole number and a unit."
);
text_scalar!(
    Wait,
    u64,
    |text| parse_duration(&text),
    "duration-text",
    Some("^([0-9]{1,4}ms|[12]?[0-9]s|30s)$"),
    "How long to wait: up to `30s`."
);
text_scalar!(
    Network,
    IpNet,
    |text| parse_network(&text),
    "network",
    None,
    "An address or a network."
);
text_scalar!(
    DigestText,
    Digest,
    |text| Digest::parse(&text).ok(),
    "digest",
    Some("^(hmac-)?sha256:[0-9a-fA-F]{64}$"),
    "A digest of a whole key: `sha256:`, or `hmac-sha256:` where a pepper is configured."
);
text_scalar!(
    Email,
    String,
    |text| is_email(&text).then_some(text),
    "email",
    None,
    "What an owner column may hold beside the user's id."
);

/// A time as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Instant(String);

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        schema("date-time", "A time of RFC 3339 in UTC.", None)
    }
}

impl ToSchema for Instant {}

impl From<UnixMs> for Instant {
    fn from(at: UnixMs) -> Instant {
        Instant(rfc3339(at))
    }
}

/// A team's id; a number is read as its digits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Team {
    Text(Id),
    Number(u64),
}

impl Team {
    pub(crate) fn into_text(self) -> String {
        match self {
            Team::Text(Id(text)) => text,
            Team::Number(number) => number.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_takes_what_it_should_and_nothing_else() {
        let long = "x".repeat(NAME_CHARS_MAX);
        for (name, text, good) in [
            ("name", "Zapier – CS Team", true),
            ("name", long.as_str(), true),
            ("name", &format!("{long}x"), false),
            ("name", "", false),
            ("name", "  ", false),
            ("name", "a\nb", false),
            ("name", "a\u{9b}b", false),
            ("id", "acme", true),
            ("id", "ann@acme.test", true),
            ("id", "_x", true),
            ("id", "..", false),
            ("id", "a/b", false),
            ("id", "ä", false),
            ("id", "", false),
            ("id", &"x".repeat(129), false),
            ("network", "203.0.113.7", true),
            ("network", "2001:db8::/32", true),
            ("network", "203.0.113.0/33", false),
            ("digest", "avoca_0123", false),
            ("email", "ann@acme.test", true),
            ("email", "@", false),
            ("email", "ann", false),
            ("email", "a b@c", false),
        ] {
            let format = FORMATS.iter().find(|format| format.name == name);
            assert_eq!(format.map(|format| (format.is)(text)), Some(good), "{name}: {text}");
        }
    }
}
