//! Headers that no configuration may let through, in either direction.
//!
//! Sources: RFC 9110 §7.6.1 (connection-specific fields), RFC 9112 §6 (framing), CONTRACT section 4.

/// Belong to one connection, so they are never passed on.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Say where a message ends or how it is coded; the gateway sets them for what it sends.
const FRAMING: [&str; 3] = ["content-length", "content-encoding", "expect"];

/// Carry the caller's key.
const CREDENTIALS: [&str; 2] = ["authorization", "x-api-key"];

/// The gateway's own words towards the upstream.
const SET_UPWARDS: [&str; 9] = [
    "host",
    "forwarded",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "accept-encoding",
    "http2-settings",
];

/// Would make an upstream answer a part of a body, or none, for another caller's columns.
const PARTIAL: [&str; 6] = [
    "range",
    "if-range",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "content-range",
];

/// The gateway's own words towards the client, and what no longer holds once a body was filtered.
const SET_DOWNWARDS: [&str; 14] = [
    "accept-ranges",
    "content-md5",
    "content-range",
    "digest",
    "content-digest",
    "repr-digest",
    "etag",
    "last-modified",
    "ratelimit",
    "ratelimit-policy",
    "x-content-type-options",
    "x-request-id",
    "www-authenticate",
    "http2-settings",
];

/// Why a header may not go up, if so: the end of a sentence about it.
pub(super) fn refused_upwards(name: &str) -> Option<&'static str> {
    refused_always(name).or_else(|| {
        if SET_UPWARDS.contains(&name) {
            Some("is set by the gateway itself")
        } else if PARTIAL.contains(&name) {
            Some("asks for a part of a body, which cannot be filtered")
        } else {
            None
        }
    })
}

/// Why a header may not come back, if so.
pub(super) fn refused_downwards(name: &str) -> Option<&'static str> {
    refused_always(name).or_else(|| {
        let set = SET_DOWNWARDS.contains(&name) || name.starts_with("x-ratelimit-");
        set.then_some("is set by the gateway itself, or no longer holds once a body was filtered")
    })
}

fn refused_always(name: &str) -> Option<&'static str> {
    if HOP_BY_HOP.contains(&name) {
        Some("belongs to one connection and is never passed on")
    } else if FRAMING.contains(&name) {
        Some("says where a message ends, which the gateway does itself")
    } else if CREDENTIALS.contains(&name) {
        Some("carries a credential and is never passed on")
    } else if name.starts_with("x-colonnade-") {
        Some("is the gateway's own word to the upstream")
    } else {
        None
    }
}
