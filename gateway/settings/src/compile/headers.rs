//! Headers that no configuration may let through, in either direction, and those that none may on a
//! route whose bodies are filtered: validators and codings of a body that the client never gets.
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
const SET_UPWARDS: [&str; 8] = [
    "host",
    "forwarded",
    "traceparent",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
    "http2-settings",
];

/// Would make an upstream answer a part of a body.
const PARTIAL: [&str; 3] = ["range", "if-range", "content-range"];

/// Would make an upstream answer none, for another caller's columns, or in another coding.
const CONDITIONS: [&str; 4] =
    ["if-none-match", "if-modified-since", "if-unmodified-since", "accept-encoding"];

/// What no longer holds once a body was filtered.
const OF_THE_WHOLE: [&str; 7] = [
    "accept-ranges",
    "content-md5",
    "digest",
    "content-digest",
    "repr-digest",
    "etag",
    "last-modified",
];

/// The gateway's own words towards the client.
const SET_DOWNWARDS: [&str; 7] = [
    "content-range",
    "ratelimit",
    "ratelimit-policy",
    "x-content-type-options",
    "x-request-id",
    "www-authenticate",
    "http2-settings",
];

/// Why a header may not go up, if so: the end of a sentence about it. `filtered`: the route's bodies
/// are.
pub(super) fn refused_upwards(name: &str, filtered: bool) -> Option<&'static str> {
    refused_always(name).or_else(|| {
        if SET_UPWARDS.contains(&name) {
            Some("is set by the gateway itself")
        } else if PARTIAL.contains(&name) {
            Some("asks for a part of a body, which is never passed on")
        } else if filtered && CONDITIONS.contains(&name) {
            Some("speaks of the upstream's own body, and this route's bodies are filtered")
        } else {
            None
        }
    })
}

/// Why a header may not come back, if so.
pub(super) fn refused_downwards(name: &str, filtered: bool) -> Option<&'static str> {
    refused_always(name).or_else(|| {
        if SET_DOWNWARDS.contains(&name) || name.starts_with("x-ratelimit-") {
            Some("is set by the gateway itself")
        } else if filtered && OF_THE_WHOLE.contains(&name) {
            Some("speaks of the upstream's own body, and this route's bodies are filtered")
        } else {
            None
        }
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
