//! Scalars with a form of their own, as types: each newtype reads and names one row of `format`.

use std::fmt;
use std::net::SocketAddr;

use gateway_policy::{Digest, UnixMs};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::format::{
    DURATION_UNITS, SIZE_UNITS, ScalarError, check_collector, check_server_address, parse_digest,
    parse_duration, parse_header_name, parse_network, parse_size, parse_socket_address, parse_time,
    print_with_unit,
};

/// A newtype over one row of [`FORMATS`].
macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal, $example:literal, $parse:expr, $print:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub(crate) struct $name(pub(crate) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let parse: fn(&str) -> Result<$inner, ScalarError> = $parse;
                parse(&text).map($name).map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let print: fn(&$inner) -> String = $print;
                serializer.serialize_str(&print(&self.0))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format, "examples": [$example] })
            }
        }
    };
}

scalar!(
    /// A span of time in milliseconds; written `250ms 5s 1m 24h 30d`.
    Duration(u64), "duration", "5s", parse_duration, |ms| print_with_unit(*ms, &DURATION_UNITS)
);
scalar!(
    /// A number of bytes; written `512B 64KiB 1MiB 1GiB`.
    Size(u64), "size", "64KiB", parse_size, |bytes| print_with_unit(*bytes, &SIZE_UNITS)
);
scalar!(
    /// Where a listener listens.
    ListenAddress(SocketAddr), "socket-address", "127.0.0.1:8080", parse_socket_address, SocketAddr::to_string
);
scalar!(
    /// A network; a bare address is a network of one.
    Network(IpNet), "network", "10.0.0.0/8", parse_network, IpNet::to_string
);
scalar!(
    /// Host and port of an upstream's server.
    ServerAddress(String), "server-address", "127.0.0.1:9101",
    |text| check_server_address(text).map(|()| text.to_owned()), String::clone
);
scalar!(
    /// Base address of a collector of spans.
    CollectorAddress(String), "collector-address", "http://127.0.0.1:4318",
    |text| check_collector(text).map(|()| text.to_owned()), String::clone
);
scalar!(
    /// The name of a header.
    HeaderText(http::HeaderName), "header-name", "x-team-id", parse_header_name, |name| name.to_string()
);
scalar!(
    /// A point in time, in milliseconds since 1970; written as RFC 3339.
    Time(u64), "time", "2027-01-01T00:00:00Z", parse_time,
    |ms| gateway_policy::rfc3339(UnixMs(*ms))
);
scalar!(
    /// A digest of a key or token.
    DigestText(Digest), "digest", "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    parse_digest, Digest::to_string
);

/// An id: text, or a number that is taken by its digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Id(pub(crate) String);

impl JsonSchema for Id {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"], "format": "id" })
    }
}

/// What people read in an id's place: any text, the empty one too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DisplayName(pub(crate) String);

impl JsonSchema for DisplayName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DisplayName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number"], "format": "display-name" })
    }
}

/// Text that no log, fault or `Debug` shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The text. Whoever asks sees to it that it goes no further.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        secret_schema(generator)
    }
}

/// Makes [`Secret`] a `format` of its own in the schema, by what it opens.
macro_rules! secret_schema {
    ($name:ident, $format:literal) => {
        pub(crate) fn $name(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "format": $format })
        }
    };
}

secret_schema!(secret_schema, "secret");
secret_schema!(postgres_schema, "postgres-address");
secret_schema!(redis_schema, "redis-address");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_its_debug_text() {
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "Secret(…)");
    }
}
