//! The routes for load runs and out-of-process tests: bench bodies, pauses, the journal.

#![allow(clippy::unwrap_used)]

mod wire;

use colonnade_upstream::{Journal, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::start;

/// Exact sizes, kept or streamed, and rows of 25 columns.
#[tokio::test]
async fn bench_bodies_have_the_asked_length_to_the_byte() {
    let coach = start(Service::Coach).await;
    for bytes in [1_024_usize, 1_025, 10_240, 65_536, 102_400, 500_001, 1_048_576, 3_000_000] {
        let answer = coach.get(&format!("/bench/{bytes}")).await;
        assert_eq!(answer.body.len(), bytes);
        assert_eq!(answer.header("content-length"), Some(bytes.to_string()));
        let body = answer.json();
        let rows = body["data"].as_array().unwrap();
        assert!(rows.iter().all(|row| row.as_object().unwrap().len() == 25), "{bytes}");
        assert_eq!(body["pagination"]["has_more"], false);
    }
    // Too small for a row: one row all the same, so the body stays true to its shape.
    let least = coach.get("/bench/0").await.json();
    assert_eq!(least["data"].as_array().unwrap().len(), 1);
    assert_eq!(coach.get("/bench/2147483649").await.status, 400);
    assert_eq!(coach.get("/bench/much").await.status, 400);
}

/// The head of two gigabytes comes at once and says so; the body is then left unread.
#[tokio::test]
async fn the_largest_body_starts_before_it_could_have_been_made() {
    let calls = start(Service::Calls).await;
    let mut stream = TcpStream::connect(calls.address).await.unwrap();
    stream.write_all(b"GET /bench/2147483648 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = vec![0; 4_096];
    let n = stream.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..n]).to_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 2147483648"),
        "{head}"
    );
}

#[tokio::test]
async fn slow_answers_after_its_pause_and_refuses_an_endless_one() {
    let leads = start(Service::Leads).await;
    let began = std::time::Instant::now();
    assert_eq!(leads.get("/_slow/30").await.json()["data"]["slept_ms"], 30);
    assert!(began.elapsed().as_millis() >= 30);
    assert_eq!(leads.get("/_slow/600001").await.status, 400);
    assert_eq!(leads.get("/healthz").await.status, 200);
}

/// E1: what reached the upstream can be compared byte for byte.
#[tokio::test]
async fn the_journal_holds_requests_as_they_came() {
    let calls = start(Service::Calls).await;
    let target = "/api/calls?limit=2&x=%2F%2f+a&x=";
    calls
        .send("GET", target, &[("X-Colonnade-Key-Id", "key_1"), ("accept", "a"), ("accept", "b")])
        .await;
    calls.get("/api/nope").await;
    let seen = calls.journal.requests();
    assert_eq!(seen.len(), 2, "refused requests are recorded too");
    assert_eq!((seen[0].method.as_str(), seen[0].path_and_query.as_str()), ("GET", target));
    assert_eq!(seen[0].header("x-colonnade-key-id"), Some("key_1"));
    assert_eq!(seen[0].headers.iter().filter(|(name, _)| name == "accept").count(), 2);

    let shown = calls.get("/_journal").await.json();
    assert_eq!(shown["total"], 2, "reading the journal is not in it");
    assert_eq!(shown["requests"][0]["path_and_query"], target);
    assert_eq!(calls.send("DELETE", "/_journal", &[]).await.status, 200);
    assert!(calls.journal.requests().is_empty());
}

#[tokio::test]
async fn the_journal_forgets_the_oldest_and_can_be_off() {
    for (capacity, kept, total) in [(3, 3, 5), (0, 0, 0)] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let journal = Journal::new(capacity);
        tokio::spawn(colonnade_upstream::serve(listener, Service::Coach, journal.clone()));
        let upstream = wire::Upstream { address, journal: journal.clone() };
        for i in 0..5 {
            upstream.get(&format!("/healthz?{i}")).await;
        }
        assert_eq!(
            (journal.requests().len(), journal.total()),
            (kept, total),
            "capacity {capacity}"
        );
        let last = journal.requests().last().map(|r| r.path_and_query.clone());
        assert_eq!(last, (capacity > 0).then(|| "/healthz?4".to_owned()));
    }
}
