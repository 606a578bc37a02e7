//! The only place that records what happened: metrics, one access-log line an exchange, and spans of some.

use std::net::IpAddr;
use std::time::Duration;

use gateway_policy::ProblemCode;
use http::Version;
use pingora::protocols::http::ServerSession;

use crate::access_log::AccessRecord;
use crate::arrival::Arrival;
use crate::exchange::{AuthResult, Exchange};
use crate::gateway::Gateway;
use crate::metrics::ProxyMetrics;
use crate::spans::{CallFacts, OTHER_METHOD, Recording, SpanFacts, method_name};

/// Label of requests that matched no route.
const NO_ROUTE: &str = "none";

/// Records one finished exchange.
pub(crate) fn account(
    gateway: &Gateway,
    exchange: &Exchange,
    arrival: &Arrival<'_>,
    session: &ServerSession,
) {
    let metrics = &gateway.parts.metrics;
    let duration = exchange.began.elapsed();
    let upstream = exchange.upstream.as_ref().map(|_| Duration::from_micros(exchange.upstream_us));
    count_request(metrics, exchange, arrival.head.method.as_str(), duration, upstream);
    count_decision(metrics, exchange);
    count_filtering(metrics, exchange);
    metrics
        .access_log_dropped
        .set(i64::try_from(gateway.parts.access_log.dropped()).unwrap_or(i64::MAX));
    if exchange.logged {
        log(gateway, exchange, arrival, session, duration, upstream);
        if let (Some(recording), Some(traces)) = (&exchange.recording, &gateway.parts.traces) {
            let began_us = gateway.parts.clock.began_us(exchange.began);
            traces.take(facts(exchange, recording, arrival, Span { began_us, duration }));
        }
    }
}

fn count_request(
    metrics: &ProxyMetrics,
    exchange: &Exchange,
    method: &str,
    duration: Duration,
    upstream: Option<Duration>,
) {
    let route = exchange.route.as_ref().map_or(NO_ROUTE, |route| &route.label);
    let status = status_label(exchange.status);
    let code = code_of(exchange).unwrap_or("none");
    metrics
        .requests
        .with_label_values(&[route, method_label(method), status, code, exchange.fault.label()])
        .inc();
    metrics.request_seconds.with_label_values(&[route]).observe(duration.as_secs_f64());
    if let (Some(spent), Some(name)) = (upstream, exchange.upstream.as_deref()) {
        metrics.upstream_seconds.with_label_values(&[name]).observe(spent.as_secs_f64());
        metrics.overhead_seconds.observe(duration.saturating_sub(spent).as_secs_f64());
    }
}

fn count_decision(metrics: &ProxyMetrics, exchange: &Exchange) {
    match exchange.auth {
        AuthResult::NotJudged => {}
        AuthResult::Accepted => metrics.auth.with_label_values(&["accepted", "none"]).inc(),
        AuthResult::Refused(reason) => metrics.auth.with_label_values(&["refused", reason]).inc(),
    }
    let (Some(paid), Some(principal)) = (&exchange.paid, &exchange.principal) else { return };
    let over = exchange.code == Some(ProblemCode::RateLimited.as_str());
    let near = paid.allowance.states().iter().any(|state| state.remaining < state.limit / 10);
    let result = if over {
        "over"
    } else if near {
        "near"
    } else {
        "within"
    };
    metrics.ratelimit.with_label_values(&[&principal.key().account.plan, result]).inc();
}

fn count_filtering(metrics: &ProxyMetrics, exchange: &Exchange) {
    if let Some(reason) = exchange.filter_failure {
        metrics.filter_failures.with_label_values(&[reason]).inc();
    }
    let Some(route) = &exchange.route else { return };
    let resources = &exchange.serving.snapshot.rules.resources;
    let Some(resource) = resources.get(route.resource.index()) else { return };
    let totals = exchange.totals.unwrap_or_default();
    for (action, count) in [
        ("hidden", totals.columns_hidden),
        ("mapped", totals.columns_mapped),
        ("fallback", totals.columns_fallback),
        ("unlisted", totals.columns_unlisted),
    ] {
        if count > 0 {
            metrics.columns.with_label_values(&[&resource.name, action]).inc_by(count);
        }
    }
    if totals.rows_hidden > 0 {
        metrics.rows_hidden.with_label_values(&[&resource.name]).inc_by(totals.rows_hidden);
    }
}

fn log(
    gateway: &Gateway,
    exchange: &Exchange,
    arrival: &Arrival<'_>,
    session: &ServerSession,
    duration: Duration,
    upstream: Option<Duration>,
) {
    let head = arrival.head;
    gateway.parts.access_log.write(&AccessRecord {
        at_ms: exchange.began_at.0,
        request_id: &exchange.request_id,
        method: head.method.as_str(),
        path: arrival.target,
        route: exchange.route.as_ref().map(|route| &*route.label),
        status: (exchange.status != 0).then_some(exchange.status),
        code: code_of(exchange),
        key_id: key_id_of(exchange),
        account: account_of(exchange),
        team: exchange.team.as_ref().map(|team| team.as_str()),
        upstream: exchange.upstream.as_deref(),
        duration,
        upstream_duration: upstream,
        overhead: Some(duration.saturating_sub(upstream.unwrap_or_default())),
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
        columns_hidden: columns_hidden(exchange),
        rows_hidden: exchange.totals.map(|totals| totals.rows_hidden),
        revision: Some(exchange.serving.snapshot.revision),
        client_ip: Some(exchange.client),
        user_agent: head.headers.get(http::header::USER_AGENT).map(|value| value.as_bytes()),
        trace_id: Some(exchange.trace.trace_id()),
    });
}

struct Span {
    began_us: u64,
    duration: Duration,
}

/// What a sampled exchange's spans are made of: no text of the request.
fn facts(
    exchange: &Exchange,
    recording: &Recording,
    arrival: &Arrival<'_>,
    Span { began_us, duration }: Span,
) -> SpanFacts {
    let ids = recording.ids;
    SpanFacts {
        trace_id: ids.trace_id,
        span_id: ids.server,
        parent_id: ids.parent,
        began_us,
        duration,
        method: method_name(arrival.head.method.as_str()),
        route: exchange.route.as_ref().map(|route| route.pattern.as_str().to_owned()),
        scheme: if arrival.listener.tls { "https" } else { "http" },
        protocol_version: match arrival.head.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        },
        status: (exchange.status != 0).then_some(exchange.status),
        error: code_of(exchange),
        fault: exchange.fault.label(),
        key_id: key_id_of(exchange).map(str::to_owned),
        account: account_of(exchange).map(str::to_owned),
        columns_hidden: columns_hidden(exchange),
        rows_hidden: exchange.totals.map(|totals| totals.rows_hidden),
        revision: exchange.serving.snapshot.revision,
        call: recording.call.as_ref().map(|call| CallFacts {
            span_id: ids.client,
            upstream: exchange.upstream.as_deref().unwrap_or_default().to_owned(),
            method: call.method,
            server: call.server,
            status: call.status,
            repeats: call.repeats,
            began: call.began,
            ended: call.ended.unwrap_or(duration),
        }),
    }
}

fn key_id_of(exchange: &Exchange) -> Option<&str> {
    let known = exchange.principal.as_ref().map(|principal| principal.key().id.as_str());
    known.or(exchange.presented_key.as_ref().map(|id| id.as_str()))
}

fn account_of(exchange: &Exchange) -> Option<&str> {
    exchange.principal.as_ref().map(|principal| principal.key().account.id.as_str())
}

fn columns_hidden(exchange: &Exchange) -> Option<u64> {
    exchange.totals.map(|totals| totals.columns_hidden + totals.columns_unlisted)
}

/// The problem that was told, or that the answer was cut: its status alone says that all went well.
fn code_of(exchange: &Exchange) -> Option<&'static str> {
    exchange.code.or(exchange.cut.then_some("cut"))
}

/// A method as a label: the routable ones by name, anything else as one.
fn method_label(method: &str) -> &'static str {
    match method_name(method) {
        OTHER_METHOD => "other",
        known => known,
    }
}

/// A status as a label: what an upstream may invent is folded by class.
fn status_label(status: u16) -> &'static str {
    macro_rules! labels {
        ($($code:literal)*) => {
            match status {
                $($code => stringify!($code),)*
                0 => "none",
                200..=299 => "2xx",
                300..=399 => "3xx",
                400..=499 => "4xx",
                _ => "5xx",
            }
        };
    }
    labels!(200 201 202 204 400 401 403 404 405 408 409 413 414 422 429 431 500 502 503 504 505)
}

impl Gateway {
    /// Records bytes that never became a request.
    pub(crate) fn account_unread(&self, code: ProblemCode, request_id: &str, peer: Option<IpAddr>) {
        let labels = [NO_ROUTE, "other", status_label(code.status()), code.as_str(), "client"];
        self.parts.metrics.requests.with_label_values(&labels).inc();
        self.parts.access_log.write(&AccessRecord {
            at_ms: self.parts.clock.wall().0,
            request_id,
            status: Some(code.status()),
            code: Some(code.as_str()),
            revision: Some(self.serving().snapshot.revision),
            client_ip: peer.map(|peer| peer.to_canonical()),
            ..AccessRecord::default()
        });
    }
}
