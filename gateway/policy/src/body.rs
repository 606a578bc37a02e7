//! May the upstream's answer pass, must it be rewritten, or is it refused? Known from its head.
//!
//! Refusal is the default: an answer passes for a reason, never for the lack of one.
//! Sources: RFC 9110 §8 (representation), §15 (status); RFC 8259 §8.1 (UTF-8); RFC 9112 §6.3 (a body
//! that ends with its connection may lack its end).

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::admit::Admission;

/// What is known of an upstream's answer before its body.
#[derive(Debug, Clone, Copy)]
pub struct ResponseFacts<'a> {
    pub status: StatusCode,
    pub headers: &'a HeaderMap,
}

/// What to do with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPlan {
    /// Every byte as it is.
    Pass,
    /// Through the rewriter; the answer's content type from now on.
    Rewrite { content_type: HeaderValue },
    /// The head alone; whatever body follows is dropped.
    HeadOnly { content_type: Option<HeaderValue> },
    /// The gateway's own error for this status; none of the upstream's bytes.
    Replace,
    /// Not one byte of it.
    Refuse(UnfilterableHead),
}

/// Why an answer's head alone makes it unfilterable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnfilterableHead {
    #[error("a status that carries something else than the resource")]
    Status,
    #[error("a content type that is not JSON in UTF-8, or not the route's form of it")]
    Type,
    #[error("a part of a representation")]
    Partial,
    #[error("a transfer coding other than chunked")]
    TransferCoding,
    #[error("lines of which nothing says where they end")]
    Unframed,
}

impl UnfilterableHead {
    /// Metric label.
    pub fn label(self) -> &'static str {
        match self {
            UnfilterableHead::Status => "status",
            UnfilterableHead::Type => "content_type",
            UnfilterableHead::Partial => "partial",
            UnfilterableHead::TransferCoding => "transfer_coding",
            UnfilterableHead::Unframed => "framing",
        }
    }
}

/// Plans the body of an admitted request's answer.
pub fn plan_body(admission: &Admission, method: &Method, facts: &ResponseFacts<'_>) -> BodyPlan {
    let grant = admission.grant();
    let status = facts.status;
    if status.is_informational() {
        return BodyPlan::Refuse(UnfilterableHead::Status);
    }
    // Beyond 599 as well: what no RFC defines is no success.
    if status.as_u16() >= 400 && !grant.route().errors_pass {
        return BodyPlan::Replace;
    }
    if !plainly_framed(facts.headers) {
        return BodyPlan::Refuse(UnfilterableHead::TransferCoding);
    }
    if status.as_u16() >= 400 {
        return BodyPlan::Pass;
    }
    if grant.job().is_identity() {
        return BodyPlan::Pass;
    }
    if status == StatusCode::NO_CONTENT {
        return BodyPlan::HeadOnly { content_type: None };
    }
    if status == StatusCode::PARTIAL_CONTENT || facts.headers.contains_key(header::CONTENT_RANGE) {
        return BodyPlan::Refuse(UnfilterableHead::Partial);
    }
    if !status.is_success() || status == StatusCode::RESET_CONTENT {
        return BodyPlan::Refuse(UnfilterableHead::Status);
    }
    let is_lines = grant.job().shape.is_lines();
    match json_type(facts.headers, is_lines) {
        None => BodyPlan::Refuse(UnfilterableHead::Type),
        Some(content_type) if *method == Method::HEAD => {
            BodyPlan::HeadOnly { content_type: Some(content_type) }
        }
        // A document says itself whether it is whole. Lines that were cut behind one of them do not.
        Some(_) if is_lines && !has_length(facts.headers) => {
            BodyPlan::Refuse(UnfilterableHead::Unframed)
        }
        Some(content_type) => BodyPlan::Rewrite { content_type },
    }
}

/// No transfer coding, or `chunked` once. Any other is a coding that nobody here undoes
/// (RFC 9112 §7).
fn plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let plain =
        codings.next().is_none_or(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    plain && codings.next().is_none()
}

/// Whether the head tells where the body ends, or its chunks do; else it ends with the connection.
fn has_length(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// The types of JSON Lines. Neither is registered; these two are what is written.
const LINES: [&str; 2] = ["application/x-ndjson", "application/jsonl"];

/// `type/subtype` in lower case when it is the route's form of JSON in UTF-8: one of [`LINES`] where
/// `is_lines`, else `application/json` or any type's `…+json`; no other charset, one header.
/// Parameters do not come back: they are the upstream's bytes.
fn json_type(headers: &HeaderMap, is_lines: bool) -> Option<HeaderValue> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    let mut parts = value.split(';');
    let essence = parts.next()?.trim().to_ascii_lowercase();
    let json = if is_lines {
        LINES.contains(&essence.as_str())
    } else {
        essence == "application/json" || is_json_by_suffix(&essence)
    };
    let utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("utf8")
    });
    if json && utf8 { HeaderValue::from_str(&essence).ok() } else { None }
}

/// Whether a type ends in `+json`, the suffix of what can be read as JSON whatever else it is, under
/// any top-level type (RFC 6839 §3.1). A multipart body never is: its parts have types of their own.
fn is_json_by_suffix(essence: &str) -> bool {
    let named = essence.strip_suffix("+json").and_then(|name| name.split_once('/'));
    named.is_some_and(|(top, name)| top != "multipart" && is_type_name(top) && is_type_name(name))
}

/// RFC 6838 §4.2, in lower case; without the `+` of a second suffix.
fn is_type_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.".contains(&b);
    name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(values: &[&'static str], is_lines: bool) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, HeaderValue::from_static(value));
        }
        json_type(&headers, is_lines).and_then(|value| value.to_str().map(str::to_owned).ok())
    }

    /// C7: only JSON in UTF-8, said once, is filtered.
    #[test]
    fn only_json_in_utf8_is_json() {
        for (values, expected) in [
            (&["application/json"][..], Some("application/json")),
            (&["Application/JSON; charset=UTF-8"], Some("application/json")),
            (&["application/json;charset=\"utf-8\""], Some("application/json")),
            (&["application/vnd.api+json"], Some("application/vnd.api+json")),
            (&["model/gltf+json"], Some("model/gltf+json")),
            (&["Text/X.Calls+JSON; charset=utf-8"], Some("text/x.calls+json")),
            (&["text/x.calls+json; charset=utf-16"], None),
            (&["multipart/x+json"], None),
            (&["multipart/related; type=\"application/json\""], None),
            (&["text/+json"], None),
            (&["/x+json"], None),
            (&["+json"], None),
            (&["text/html, text/x+json"], None),
            (&["text/a/b+json"], None),
            (&["text/x+json+zip"], None),
            (&["application/json; charset=utf-16"], None),
            (&["application/json; charset=latin1"], None),
            (&["application/json; charset=utf-8; charset=utf-16"], None),
            (&["application/json", "application/json"], None),
            (&["application/json, text/html"], None),
            (&["application/jsonp"], None),
            (&["application/x-ndjson"], None),
            (&["application/+json"], None),
            (&["text/json"], None),
            (&["text/html"], None),
            (&[""], None),
            (&[], None),
        ] {
            assert_eq!(typed(values, false).as_deref(), expected, "{values:?}");
            // No form of it is JSON Lines.
            assert_eq!(typed(values, true).is_some(), *values == ["application/x-ndjson"]);
        }
    }

    /// C7: where rows are lines, only the two types that say so.
    #[test]
    fn only_json_lines_are_lines() {
        for (values, expected) in [
            (&["application/x-ndjson"][..], Some("application/x-ndjson")),
            (&["application/jsonl"], Some("application/jsonl")),
            (&["Application/X-NDJSON; charset=UTF-8"], Some("application/x-ndjson")),
            (&["application/jsonl;charset=\"utf-8\"; x=y"], Some("application/jsonl")),
            (&["application/jsonl; charset=utf-16"], None),
            (&["application/jsonl", "application/jsonl"], None),
            (&["application/jsonl, application/json"], None),
            (&["application/ndjson"], None),
            (&["application/jsonlines"], None),
            (&["application/x-jsonlines"], None),
            (&["application/json-seq"], None),
            (&["application/x-ndjson+json"], None),
            (&["text/x-ndjson"], None),
            (&["text/plain"], None),
            (&[], None),
        ] {
            assert_eq!(typed(values, true).as_deref(), expected, "{values:?}");
            let suffixed = *values == ["application/x-ndjson+json"];
            assert_eq!(typed(values, false).is_some(), suffixed, "{values:?}");
        }
    }

    /// C7: a body that ends with its connection tells no length.
    #[test]
    fn a_length_or_chunks_tell_where_a_body_ends() {
        for (name, expected) in [
            (Some(header::CONTENT_LENGTH), true),
            (Some(header::TRANSFER_ENCODING), true),
            (Some(header::CONNECTION), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(name.clone().map(|name| (name, HeaderValue::from_static("0"))));
            assert_eq!(has_length(&headers), expected, "{name:?}");
        }
    }
}
