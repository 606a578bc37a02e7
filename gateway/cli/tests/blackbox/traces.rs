//! Spans as a collector gets them: names, ids, attributes and nothing else; a collector that is away harms nobody.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::upstream::nobody;
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const TOKEN: &str = "collector-token-of-nobody";

fn taken() -> Reply {
    Reply::with_headers(200, &[("Content-Type", "application/x-protobuf")], "")
}

fn traces(endpoint: &str, members: &str) -> String {
    format!(
        "{{ address: 127.0.0.1:0, access_log: stdout, traces: {{ endpoint: \"http://{endpoint}\", {members} }} }}"
    )
}

fn key() -> Key {
    Key::new("k", &["calls:read"])
}

fn serving(upstream: &Upstream, endpoint: &str, members: &str) -> (Gateway, Key) {
    let config = Config::with_upstream(upstream).section("telemetry", &traces(endpoint, members));
    let mut gateway = Gateway::start(&config, &Directory::of([key()]));
    gateway.keep_key_secret(TOKEN);
    (gateway, key())
}

/// All that a collector was sent, resource by resource.
fn received(collector: &Upstream) -> Vec<ExportTraceServiceRequest> {
    let all = collector.requests().into_iter();
    all.map(|seen| ExportTraceServiceRequest::decode(&seen.body[..]).unwrap()).collect()
}

fn spans(collector: &Upstream) -> Vec<Span> {
    let resources = received(collector).into_iter().flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn await_spans(collector: &Upstream, count: usize) -> Vec<Span> {
    waiting::until("spans at the collector", || {
        Some(spans(collector)).filter(|spans| spans.len() >= count)
    })
}

fn of_kind(spans: &[Span], kind: SpanKind) -> &Span {
    spans.iter().find(|span| span.kind() == kind).expect("a span of that kind")
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        other => panic!("{name}: {other:?}"),
    }
}

/// One trace over three processes: the caller's span, ours, and what the upstream was told is its parent.
#[test]
fn a_request_is_a_server_span_with_a_client_span_below_it() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(taken());
    let members = format!(
        "sample_ratio: 1, service_name: edge, headers: {{ authorization: \"Bearer {TOKEN}\" }}"
    );
    let (gateway, key) = serving(&upstream, &collector.address().to_string(), &members);
    let answer = gateway
        .get("/api/calls?limit=5&note=private-words")
        .header("traceparent", &format!("00-{TRACE}-{PARENT}-01"))
        .header("User-Agent", "private-agent")
        .bearer(&key)
        .send();
    assert_eq!(answer.status, 200);
    let all = await_spans(&collector, 2);
    let (server, client) = (of_kind(&all, SpanKind::Server), of_kind(&all, SpanKind::Client));
    assert_eq!(all.len(), 2);
    assert_eq!((server.name.as_str(), client.name.as_str()), ("GET /api/calls", "GET /api/calls"));
    assert_eq!(
        (hex(&server.trace_id).as_str(), hex(&server.parent_span_id).as_str()),
        (TRACE, PARENT)
    );
    assert_eq!((hex(&client.trace_id).as_str(), &client.parent_span_id), (TRACE, &server.span_id));
    let told = upstream.last().header("traceparent").unwrap();
    assert_eq!(told, format!("00-{TRACE}-{}-01", hex(&client.span_id)));
    assert!(server.start_time_unix_nano <= client.start_time_unix_nano);
    assert!(client.start_time_unix_nano <= client.end_time_unix_nano);
    assert!(client.end_time_unix_nano <= server.end_time_unix_nano);
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/api/calls"),
        ("http.response.status_code", "200"),
        ("url.scheme", "http"),
        ("network.protocol.version", "1.1"),
        ("colonnade.key_id", "k"),
        ("colonnade.account", "acme"),
        ("colonnade.upstream", "calls"),
    ] {
        assert_eq!(text(&server.attributes, name).as_deref(), Some(value), "{name}");
    }
    let port = upstream.address().port().to_string();
    assert_eq!(text(&client.attributes, "server.port"), Some(port));
    assert_eq!(text(&client.attributes, "http.response.status_code").as_deref(), Some("200"));

    let call = collector.last();
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/v1/traces"));
    assert_eq!(call.header("authorization"), Some(format!("Bearer {TOKEN}")));
    assert_eq!(call.header("content-type").as_deref(), Some("application/x-protobuf"));
    let resource = received(&collector)[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("edge"));
    let sent = String::from_utf8_lossy(&call.body).into_owned();
    for secret in [key.text.as_str(), TOKEN, "private-words", "private-agent", "limit=5"] {
        assert!(!sent.contains(secret), "{secret} is in a span");
    }
    waiting::until("the count of exported spans", || {
        (gateway.metric("colonnade_spans_exported_total", &[]) >= 2.0).then_some(())
    });
}

/// Ids of a path, and a path that is no route, are in no span; a refusal says its code.
#[test]
fn a_refusal_has_a_span_with_its_code_and_no_path() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(taken());
    let (gateway, key) = serving(&upstream, &collector.address().to_string(), "sample_ratio: 1");
    for (target, bearer, name, code) in [
        ("/api/private-path", true, "GET", "not_found"),
        ("/api/calls/private-id", false, "GET", "missing_api_key"),
        (
            "/api/calls/private-id/transcript",
            true,
            "GET /api/calls/{id}/transcript",
            "insufficient_scope",
        ),
    ] {
        collector.forget();
        let asked = gateway.get(target);
        let answer = if bearer { asked.bearer(&key).send() } else { asked.send() };
        let all = await_spans(&collector, 1);
        assert_eq!(all.len(), 1, "nobody was asked: {all:?}");
        assert_eq!(all[0].name, name, "{target}");
        assert_eq!(text(&all[0].attributes, "error.type").as_deref(), Some(code), "{target}");
        let status = answer.status.to_string();
        assert_eq!(text(&all[0].attributes, "http.response.status_code"), Some(status), "{target}");
        assert!(!String::from_utf8_lossy(&collector.last().body).contains("private"), "{target}");
    }
}

/// The flag that goes up is the gateway's decision: a stranger cannot ask for spans, a trusted proxy can.
#[test]
fn the_ratio_decides_and_a_trusted_proxy() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(taken());
    for (ratio, trusted, offered, told) in [
        ("0", "", "01", "00"),
        ("1", "", "00", "01"),
        ("0", ", trusted_proxies: [127.0.0.1]", "01", "01"),
        ("1", ", trusted_proxies: [127.0.0.1]", "00", "00"),
    ] {
        let telemetry = traces(&collector.address().to_string(), &format!("sample_ratio: {ratio}"));
        let config = Config::with_upstream(&upstream)
            .section("listeners", &format!("\n  - {{ address: 127.0.0.1:0{trusted} }}"))
            .section("telemetry", &telemetry);
        collector.forget();
        let mut gateway = Gateway::start(&config, &Directory::of([key()]));
        let parent = format!("00-{TRACE}-{PARENT}-{offered}");
        let asked = gateway.get("/api/calls").header("traceparent", &parent).bearer(&key());
        assert_eq!(asked.send().status, 200);
        let up = upstream.last().header("traceparent").unwrap();
        assert!(
            up.starts_with(&format!("00-{TRACE}-")) && up.ends_with(told),
            "{ratio}{trusted}: {up}"
        );
        gateway.signal("TERM");
        gateway.await_end();
        assert_eq!(spans(&collector).len(), if told == "01" { 2 } else { 0 }, "{ratio}{trusted}");
    }
}

/// What OpenTelemetry's variables say holds where the file is silent.
#[test]
fn variables_of_the_environment_start_traces_too() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(taken());
    let config = Config::with_upstream(&upstream)
        .section("telemetry", "{ address: 127.0.0.1:0, traces: { sample_ratio: 1 } }");
    let gateway = Launch::files(&config.text(), &Directory::of([key()]).text())
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}/", collector.address()))
        .variable("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b")
        .variable("OTEL_SERVICE_NAME", "from-outside")
        .start();
    assert_eq!(gateway.get("/api/calls").bearer(&key()).send().status, 200);
    await_spans(&collector, 2);
    assert_eq!(collector.last().target, "/v1/traces");
    assert_eq!(collector.last().header("x-tenant").as_deref(), Some("a b"));
    let resource = received(&collector)[0].resource_spans[0].resource.clone().unwrap();
    assert_eq!(text(&resource.attributes, "service.name").as_deref(), Some("from-outside"));
}

/// What gathered when SIGTERM comes is sent before the process ends.
#[test]
fn the_last_spans_are_sent_before_the_end() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(taken());
    let (mut gateway, key) =
        serving(&upstream, &collector.address().to_string(), "sample_ratio: 1");
    for _ in 0..20 {
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    }
    gateway.signal("TERM");
    assert_eq!(gateway.await_end().code(), Some(0));
    assert_eq!(spans(&collector).len(), 40);
}

/// A collector that is busy is asked again; one that refuses costs spans, which are counted.
#[test]
fn a_busy_collector_gets_the_spans_later_and_a_refusing_one_never() {
    let upstream = Upstream::answering(200, CALLS);
    let collector = Upstream::replying(Reply::status(503, "{}"));
    let (gateway, key) = serving(&upstream, &collector.address().to_string(), "sample_ratio: 1");
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    waiting::until("a first try", || (collector.requests_seen() > 0).then_some(()));
    collector.now_replies(taken());
    waiting::until("spans to be exported", || {
        (gateway.metric("colonnade_spans_exported_total", &[]) >= 2.0).then_some(())
    });
    assert_eq!(gateway.metric("colonnade_spans_dropped_total", &[]), 0.0);
    collector.now_replies(Reply::status(401, "{}"));
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    waiting::until("spans to be dropped", || {
        (gateway.metric("colonnade_spans_dropped_total", &[]) >= 2.0).then_some(())
    });
    gateway.log.await_json("a word about it", |line| {
        line["fields"]["message"] == "the collector does not take spans"
    });
}

/// Away or hanging, it holds up neither a request nor the end of the process.
#[test]
fn a_collector_that_is_away_or_hangs_harms_nobody() {
    const LONGEST: Duration = Duration::from_secs(10);
    let upstream = Upstream::answering(200, CALLS);
    let gate = Gate::new();
    let hanging = Upstream::replying(taken().behind(&gate));
    for endpoint in [nobody(), hanging.address()] {
        let (mut gateway, key) = serving(&upstream, &endpoint.to_string(), "sample_ratio: 1");
        for _ in 0..20 {
            assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
        }
        if endpoint == hanging.address() {
            gate.await_reached(1);
        }
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
        let began = Instant::now();
        gateway.signal("TERM");
        assert_eq!(gateway.await_end().code(), Some(0));
        assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
    }
    gate.open();
}
