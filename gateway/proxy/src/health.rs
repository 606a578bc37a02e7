//! Active health checks: a server is asked by itself, without a client's request.
//!
//! `GET` of a path on a connection of its own, TLS shaken and verified, and HTTP/2 spoken, as for requests; any 2xx within the
//! interval passes, which counts as [`CHECK_TIME_MIN`] at least and [`CHECK_TIME_MAX`] at most; everything
//! else fails. A server begins healthy. A run of failures takes it out, a run of passes brings it back. Of an upstream that has no healthy server left
//! each is checked at least every [`ALONE_EVERY`], so that its return is noticed soon.
//!
//! A check takes none of the upstream's places: a service that is full of slow requests is still asked.
//! One check of a server is under way at a time.
//!
//! Not here: what live requests say of a server (`outlier`), who is asked instead (`upstream`).
//!
//! Sources: Envoy's health checking (`interval`, `unhealthy_threshold`, `healthy_threshold`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use http::header::{self, HeaderMap};
use http::uri::Scheme;
use http::{HeaderValue, Method, StatusCode};
use parking_lot::Mutex;
use pingora::http::RequestHeader;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::timeout;

use crate::dial::{Dialed, Dialer};
use crate::h2_exchange::Http2Exchange;
use crate::h2_line::Http2Line;
use crate::h2_lines::Serial;
use crate::head::request_http2;

/// How often it is looked whether a check is due; no interval is shorter.
pub const HEALTH_EVERY: Duration = Duration::from_millis(100);
/// What a check may take, connection and handshake included, however short or long the interval: a busy moment
/// is no sickness.
const CHECK_TIME_MIN: Duration = Duration::from_secs(1);
const CHECK_TIME_MAX: Duration = Duration::from_secs(2);
/// Longest time between two checks of a server where no other is healthy either.
const ALONE_EVERY: Duration = Duration::from_secs(1);
/// Interim heads that are read away before an answer counts as none.
const INTERIM_MAX: usize = 16;

const USER_AGENT: HeaderValue = HeaderValue::from_static("colonnade-health-check");

/// How a server is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthRule {
    pub path: String,
    pub interval: Duration,
    /// Failures in a row that take a server out.
    pub unhealthy_after: u32,
    /// Passes in a row that bring it back.
    pub healthy_after: u32,
}

impl HealthRule {
    /// Time between two checks, where the upstream has a healthy server or has none.
    pub(crate) fn every(&self, has_healthy: bool) -> Duration {
        if has_healthy { self.interval } else { self.interval.min(ALONE_EVERY) }
    }

    /// How long one check may take.
    pub(crate) fn time_max(&self) -> Duration {
        self.interval.clamp(CHECK_TIME_MIN, CHECK_TIME_MAX)
    }
}

/// What the checks came to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    healthy: bool,
    /// Checks in a row that say otherwise.
    against: u32,
}

impl Verdict {
    fn after(self, passed: bool, rule: &HealthRule) -> Verdict {
        if passed == self.healthy {
            return Verdict { against: 0, ..self };
        }
        let enough = if self.healthy { rule.unhealthy_after } else { rule.healthy_after };
        match self.against.saturating_add(1) {
            against if against >= enough => Verdict { healthy: passed, against: 0 },
            against => Verdict { against, ..self },
        }
    }
}

/// The checks of one server. Times are milliseconds of one clock, the upstream's.
#[derive(Debug)]
pub(crate) struct Health {
    healthy: AtomicBool,
    verdict: Mutex<Verdict>,
    /// When the last check began; [`Health::NEVER`] before the first.
    began_ms: AtomicU64,
    is_under_way: AtomicBool,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            healthy: AtomicBool::new(true),
            verdict: Mutex::new(Verdict { healthy: true, against: 0 }),
            began_ms: AtomicU64::new(Health::NEVER),
            is_under_way: AtomicBool::new(false),
        }
    }
}

impl Health {
    const NEVER: u64 = u64::MAX;

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Whether a check is to begin now. It must end with [`Health::ended`].
    pub(crate) fn begins(&self, now_ms: u64, every: Duration) -> bool {
        let began_ms = self.began_ms.load(Ordering::Relaxed);
        let is_due = began_ms == Health::NEVER
            || now_ms.saturating_sub(began_ms) >= every.as_millis() as u64;
        if !is_due || self.is_under_way.swap(true, Ordering::Acquire) {
            return false;
        }
        self.began_ms.store(now_ms, Ordering::Relaxed);
        true
    }

    /// What a check came to; the new state where it changed.
    pub(crate) fn ended(&self, passed: bool, rule: &HealthRule) -> Option<bool> {
        let changed = {
            let mut verdict = self.verdict.lock();
            let before = verdict.healthy;
            *verdict = verdict.after(passed, rule);
            (verdict.healthy != before).then_some(verdict.healthy)
        };
        if let Some(healthy) = changed {
            self.healthy.store(healthy, Ordering::Relaxed);
        }
        self.is_under_way.store(false, Ordering::Release);
        changed
    }
}

/// Who is asked, and how.
pub(crate) struct Asked<'a> {
    pub(crate) dialer: &'a Dialer,
    pub(crate) peer: &'a HttpPeer,
    pub(crate) host: &'a HeaderValue,
    pub(crate) scheme: Scheme,
}

/// Asks one server once, in the version of HTTP that requests would be sent in.
pub(crate) async fn passes(asked: &Asked<'_>, rule: &HealthRule) -> bool {
    let limit = rule.time_max();
    let status = async {
        match asked.dialer.dial(asked.peer).await.ok()? {
            Dialed::Http1(session) => over_http1(session, asked, rule).await,
            Dialed::Http2(line) => over_http2(line, asked, rule).await,
        }
    };
    matches!(timeout(limit, status).await, Ok(Some(status)) if status.is_success())
}

async fn over_http1(
    mut session: HttpSession,
    asked: &Asked<'_>,
    rule: &HealthRule,
) -> Option<StatusCode> {
    let mut head = RequestHeader::build("GET", rule.path.as_bytes(), None).ok()?;
    for (name, value) in headers() {
        head.insert_header(name?, value).ok()?;
    }
    head.insert_header(header::HOST, asked.host.clone()).ok()?;
    head.insert_header(header::CONNECTION, HeaderValue::from_static("close")).ok()?;
    session.write_request_header(Box::new(head)).await.ok()?;
    session.finish_body().await.ok()?;
    for _ in 0..=INTERIM_MAX {
        session.read_response().await.ok()?;
        let status = session.get_status()?;
        if !status.is_informational() {
            return Some(status);
        }
    }
    None
}

async fn over_http2(line: Http2Line, asked: &Asked<'_>, rule: &HealthRule) -> Option<StatusCode> {
    let (path, scheme) = (rule.path.as_bytes(), asked.scheme.clone());
    let request = request_http2(&Method::GET, path, asked.host, scheme, headers()).ok()?;
    let mut exchange = Http2Exchange::on(Arc::new(line).enter()?, Serial::default());
    let time = rule.time_max();
    Some(exchange.ask(request, None, time, time).await.ok()?.status)
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::USER_AGENT, USER_AGENT);
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers
}

#[cfg(test)]
mod tests;
