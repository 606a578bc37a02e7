#![allow(clippy::unwrap_used)]
use std::net::TcpListener;

use http::{HeaderName, HeaderValue};

use super::super::destination::Destination;
use super::*;

fn facts() -> SpanFacts {
    SpanFacts {
        trace_id: 1,
        span_id: 1,
        parent_id: None,
        began_us: 0,
        duration: Duration::ZERO,
        method: "GET",
        route: None,
        scheme: "http",
        protocol_version: "1.1",
        status: Some(404),
        error: Some("not_found"),
        fault: "client",
        key_id: None,
        account: None,
        columns_hidden: None,
        rows_hidden: None,
        revision: 1,
        call: None,
    }
}

/// Taken beyond the queue, spans are dropped and counted, and nobody waits for the collector, which hangs.
#[test]
fn a_full_queue_drops_and_counts_and_a_close_ends() {
    // Accepted by the kernel, answered by nobody.
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let destination = Destination {
        url: format!("http://{}/v1/traces", collector.local_addr().unwrap()),
        headers: vec![(HeaderName::from_static("x-a"), HeaderValue::from_static("b"))],
        timeout: Duration::from_secs(60),
        resource: Vec::new(),
    };
    let metrics = SpanMetrics::register(&Registry::new()).unwrap();
    let collector = Collector::new(&destination).unwrap();
    let exporter = Exporter::start(collector, Vec::new(), metrics.clone()).unwrap();
    let taken = QUEUE_MAX + BATCH_MAX + 100;
    let began = Instant::now();
    (0..taken).for_each(|_| exporter.take(facts()));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // One batch may have left the queue.
    let dropped = metrics.dropped.get();
    assert!((100..=100 + BATCH_MAX as u64).contains(&dropped), "{dropped} of {taken}");
    exporter.close();
    assert!(began.elapsed() < CLOSE_WAIT + Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(metrics.exported.get(), 0);
}
