#![allow(clippy::unwrap_used)]
use super::*;

fn facts() -> SpanFacts {
    SpanFacts {
        trace_id: 0x0af7,
        span_id: 0x51,
        parent_id: Some(0x50),
        began_us: 1_000_000,
        duration: Duration::from_millis(9),
        method: "HEAD",
        route: Some("/api/calls/{id}".into()),
        scheme: "https",
        protocol_version: "2",
        status: Some(200),
        error: None,
        fault: "none",
        key_id: Some("k1".into()),
        account: Some("acme".into()),
        columns_hidden: Some(3),
        rows_hidden: Some(0),
        revision: 7,
        call: Some(CallFacts {
            span_id: 0x52,
            upstream: "calls".into(),
            method: "GET",
            server: "127.0.0.1:9101".parse().unwrap(),
            status: Some(200),
            repeats: 1,
            began: Duration::from_millis(1),
            ended: Duration::from_millis(8),
        }),
    }
}

fn spans(facts: &SpanFacts) -> Vec<Span> {
    let request = request(std::slice::from_ref(facts), &[]);
    request.resource_spans[0].scope_spans[0].spans.clone()
}

fn shown(span: &Span) -> String {
    let value = |value: &Option<AnyValue>| match value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let mut all: Vec<String> =
        span.attributes.iter().map(|one| format!("{}={}", one.key, value(&one.value))).collect();
    all.sort();
    all.join(" ")
}

#[test]
fn an_exchange_is_a_server_span_and_a_client_span_below_it() {
    let all = spans(&facts());
    let [server, client] = &all[..] else { panic!("{all:?}") };
    assert_eq!(server.name, "HEAD /api/calls/{id}");
    assert_eq!(client.name, "GET /api/calls/{id}");
    assert_eq!(server.trace_id, 0x0af7_u128.to_be_bytes());
    assert_eq!(server.parent_span_id, 0x50_u64.to_be_bytes());
    assert_eq!(client.parent_span_id, server.span_id);
    assert_eq!((server.flags, client.flags), (0x301, 0x101));
    assert_eq!(client.start_time_unix_nano - server.start_time_unix_nano, 1_000_000);
    assert_eq!(server.end_time_unix_nano - client.end_time_unix_nano, 1_000_000);
    assert_eq!(
        shown(server),
        "colonnade.account=acme colonnade.columns_hidden=3 colonnade.fault=none colonnade.key_id=k1 \
         colonnade.revision=7 colonnade.rows_hidden=0 colonnade.upstream=calls http.request.method=HEAD \
         http.response.status_code=200 http.route=/api/calls/{id} network.protocol.version=2 url.scheme=https"
    );
    assert_eq!(
        shown(client),
        "colonnade.upstream=calls http.request.method=GET http.request.resend_count=1 \
         http.response.status_code=200 server.address=127.0.0.1 server.port=9101 url.template=/api/calls/{id}"
    );
}

#[test]
fn a_refusal_is_no_error_of_the_server_and_a_broken_answer_is_one() {
    for (status, error, failed) in [
        (Some(200), None, false),
        (Some(401), Some("invalid_api_key"), false),
        (Some(503), Some("overloaded"), true),
        (Some(200), Some("cut"), true),
        (None, None, false),
    ] {
        let span =
            spans(&SpanFacts { status, error, call: None, route: None, ..facts() }).remove(0);
        let code = span.status.clone().unwrap().code();
        assert_eq!(code == StatusCode::Error, failed, "{status:?} {error:?}");
        assert_eq!(span.name, "HEAD");
        assert_eq!(shown(&span).contains("error.type"), error.is_some(), "{status:?} {error:?}");
    }
}

#[test]
fn a_call_without_an_answer_says_why_by_the_problem_that_was_told() {
    let call = CallFacts { status: None, repeats: 0, ..facts().call.unwrap() };
    for (error, why) in [(Some("upstream_timeout"), "upstream_timeout"), (None, "client_gone")] {
        let facts = SpanFacts { error, call: Some(call.clone()), ..facts() };
        let client = spans(&facts).remove(1);
        assert!(shown(&client).contains(&format!("error.type={why}")), "{}", shown(&client));
    }
}
