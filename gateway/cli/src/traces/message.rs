//! Facts of exchanges as OpenTelemetry's messages, with the names of its conventions.
//!
//! Every attribute stands here: what is not here is in no span. Left out on purpose are `url.path`, `url.query`,
//! `url.full`, `client.address` and `user_agent.original`, which hold ids, personal data or keys.
//!
//! Source: OpenTelemetry's semantic conventions for HTTP spans, 1.37.

use std::time::Duration;

use gateway_proxy::{CallFacts, SpanFacts};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// The W3C flag, whether it is known that the parent is another process's, and that it is.
const SAMPLED: u32 = 1;
const REMOTE_IS_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

/// The spans of exchanges as one call to a collector.
pub(super) fn request(
    batch: &[SpanFacts],
    resource: &[(String, String)],
) -> ExportTraceServiceRequest {
    let spans = batch.iter().flat_map(|facts| {
        let call = facts.call.as_ref().map(|call| client(facts, call));
        [Some(server(facts)), call].into_iter().flatten()
    });
    let scope = InstrumentationScope {
        name: "colonnade".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    let attributes = resource.iter().map(|(name, value)| text(name, value)).collect();
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The exchange with the client.
fn server(facts: &SpanFacts) -> Span {
    let mut attributes = vec![
        text("http.request.method", facts.method),
        text("url.scheme", facts.scheme),
        text("network.protocol.version", facts.protocol_version),
        text("colonnade.fault", facts.fault),
        number("colonnade.revision", facts.revision),
    ];
    attributes.extend(facts.route.as_deref().map(|route| text("http.route", route)));
    attributes.extend(facts.status.map(|status| number("http.response.status_code", status)));
    attributes.extend(facts.error.map(|error| text("error.type", error)));
    attributes.extend(facts.account.as_deref().map(|account| text("colonnade.account", account)));
    attributes.extend(facts.key_id.as_deref().map(|key| text("colonnade.key_id", key)));
    attributes.extend(facts.call.as_ref().map(|call| text("colonnade.upstream", &call.upstream)));
    let hidden = [
        ("colonnade.columns_hidden", facts.columns_hidden),
        ("colonnade.rows_hidden", facts.rows_hidden),
    ];
    let counts = hidden.into_iter().filter_map(|(name, count)| Some(number(name, count?)));
    attributes.extend(counts);
    let remote = if facts.parent_id.is_some() { REMOTE } else { 0 };
    // A refusal is the client's error, not the server's (conventions); a cut answer is.
    let failed = facts.status.is_some_and(|status| status >= 500) || facts.error == Some("cut");
    Span {
        span_id: facts.span_id.to_be_bytes().into(),
        parent_span_id: facts.parent_id.map(|id| id.to_be_bytes().into()).unwrap_or_default(),
        flags: SAMPLED | REMOTE_IS_KNOWN | remote,
        kind: SpanKind::Server.into(),
        attributes,
        status: Some(status(failed)),
        ..span(facts, facts.method, Duration::ZERO, facts.duration)
    }
}

/// What was asked of the upstream, all tries together.
fn client(facts: &SpanFacts, call: &CallFacts) -> Span {
    let mut attributes = vec![
        text("http.request.method", call.method),
        text("server.address", &call.server.ip().to_string()),
        number("server.port", call.server.port()),
        text("colonnade.upstream", &call.upstream),
    ];
    attributes.extend(facts.route.as_deref().map(|route| text("url.template", route)));
    attributes.extend(call.status.map(|status| number("http.response.status_code", status)));
    if call.repeats > 0 {
        attributes.push(number("http.request.resend_count", call.repeats));
    }
    let failed = call.status.is_none_or(|status| status >= 400);
    if failed {
        let of_status = call.status.map(|status| status.to_string());
        let why = of_status.as_deref().or(facts.error).unwrap_or("client_gone");
        attributes.push(text("error.type", why));
    }
    Span {
        span_id: call.span_id.to_be_bytes().into(),
        parent_span_id: facts.span_id.to_be_bytes().into(),
        flags: SAMPLED | REMOTE_IS_KNOWN,
        kind: SpanKind::Client.into(),
        attributes,
        status: Some(status(failed)),
        ..span(facts, call.method, call.began, call.ended)
    }
}

/// Name, trace and times, which are spans of time since the exchange began.
fn span(facts: &SpanFacts, method: &str, began: Duration, ended: Duration) -> Span {
    let method = if method == "_OTHER" { "HTTP" } else { method };
    let origin = Duration::from_micros(facts.began_us);
    let at = |after: Duration| u64::try_from((origin + after).as_nanos()).unwrap_or(u64::MAX);
    Span {
        trace_id: facts.trace_id.to_be_bytes().into(),
        name: match &facts.route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        },
        start_time_unix_nano: at(began),
        end_time_unix_nano: at(ended),
        ..Span::default()
    }
}

/// Without a message: the conventions want none where the status says it.
fn status(failed: bool) -> Status {
    let code = if failed { StatusCode::Error } else { StatusCode::Unset };
    Status { code: code.into(), ..Status::default() }
}

fn text(name: &str, value: &str) -> KeyValue {
    attribute(name, Value::StringValue(value.to_owned()))
}

fn number(name: &str, value: impl Into<u64>) -> KeyValue {
    attribute(name, Value::IntValue(i64::try_from(value.into()).unwrap_or(i64::MAX)))
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests;
