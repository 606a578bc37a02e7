//! What reached an upstream, for tests and load runs to read back.
//!
//! A ring bounded by number and by bytes: the oldest request goes first. Names and values are kept
//! as they came; names are lower case because the HTTP library reads them so.
//!
//! Cost: one lock and one copy of the head a request; a journal of capacity 0 costs one comparison.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::answer::Fault;

/// Longest request body an upstream reads. Longer ones get 413.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all remembered requests together.
const HELD_BYTES_MAX: usize = 16 << 20;

/// One request as it reached the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    pub method: String,
    /// Byte for byte as on the request line.
    pub path_and_query: String,
    /// In the order of arrival for one name; values are bytes because HTTP allows any.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Bytes,
}

impl Recorded {
    /// The first value of a header, by lower-case name, when it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value).ok()
    }

    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.path_and_query.len() + headers + self.body.len()
    }

    fn to_json(&self) -> Value {
        let headers: Vec<Value> =
            self.headers.iter().map(|(n, v)| json!([n, String::from_utf8_lossy(v)])).collect();
        json!({
            "method": self.method,
            "path_and_query": self.path_and_query,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
        })
    }
}

/// A bounded record of requests. Clones share it.
#[derive(Debug, Clone)]
pub struct Journal {
    capacity: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    ring: VecDeque<Recorded>,
    bytes: usize,
    /// Requests ever recorded, also those the ring has dropped.
    total: u64,
}

impl Journal {
    /// What [`Journal::default`] remembers.
    pub const REQUESTS_DEFAULT: usize = 1_000;

    /// Remembers the last `capacity` requests; 0 records nothing.
    pub fn new(capacity: usize) -> Journal {
        Journal { capacity, held: Arc::default() }
    }

    /// The remembered requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().ring.iter().cloned().collect()
    }

    /// Requests recorded since the start or the last [`Journal::clear`].
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Forgets everything.
    pub fn clear(&self) {
        *self.lock() = Held::default();
    }

    fn push(&self, request: Recorded) {
        let mut held = self.lock();
        held.total += 1;
        held.bytes += request.bytes();
        held.ring.push_back(request);
        while held.ring.len() > self.capacity || held.bytes > HELD_BYTES_MAX {
            match held.ring.pop_front() {
                Some(oldest) => held.bytes -= oldest.bytes(),
                None => break,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // No code under the lock leaves the ring half changed, so a poisoned one is still good.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::new(Journal::REQUESTS_DEFAULT)
    }
}

/// Records a request, then lets it go on.
pub(crate) async fn record(
    State(journal): State<Journal>,
    request: Request,
    next: Next,
) -> Response {
    if journal.capacity == 0 {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_BYTES_MAX).await else {
        return Fault::BodyTooLarge { bytes_max: BODY_BYTES_MAX }.into_response();
    };
    let path_and_query = head.uri.path_and_query().map(|pq| pq.as_str()).unwrap_or_default();
    journal.push(Recorded {
        method: head.method.as_str().to_owned(),
        path_and_query: path_and_query.to_owned(),
        headers: head
            .headers
            .iter()
            .map(|(n, v)| (n.as_str().to_owned(), v.as_bytes().to_vec()))
            .collect(),
        body: body.clone(),
    });
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// `GET` and `DELETE /_journal`.
pub(crate) fn routes(journal: Journal) -> Router {
    Router::new().route("/_journal", get(show).delete(forget)).with_state(journal)
}

async fn show(State(journal): State<Journal>) -> Json<Value> {
    let requests: Vec<Value> = journal.requests().iter().map(Recorded::to_json).collect();
    Json(json!({ "total": journal.total(), "requests": requests }))
}

async fn forget(State(journal): State<Journal>) -> Json<Value> {
    journal.clear();
    Json(json!({ "total": 0, "requests": [] }))
}
