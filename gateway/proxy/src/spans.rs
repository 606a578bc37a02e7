//! Spans of sampled exchanges: which exchange has some, and the facts that they are made of.
//!
//! An exchange is judged once, at its head, because the judgement goes up as the flag of `traceparent`. Facts
//! are gathered for a sampled one alone and handed over by `account.rs` when it has ended; they hold ids,
//! patterns and numbers, no text of a request.
//!
//! A stranger may choose trace ids and flags. So a flag counts only from a trusted proxy, and no more than
//! [`FLAGGED_PER_SECOND_MAX`] times a second, as proxies pass on what clients send; and a trace that came
//! from elsewhere is drawn by a number of ours, not by its id.
//!
//! Not here: how spans are written and sent (`cli`), trace ids (`trace`).
//! Cost: one branch for who has no traces; one comparison for who is not sampled; a few small copies otherwise.
//!
//! Sources: W3C Trace Context, level 2; OpenTelemetry's consistent probability sampling (56 bits of randomness).

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gateway_policy::UnixMs;
use http::{Method, StatusCode};

use crate::trace::{Offered, SpanIds, TraceContext, fresh_id};

/// Requests a second that have spans because a trusted proxy says so; the ratio decides on those beyond.
pub const FLAGGED_PER_SECOND_MAX: u64 = 100;
/// Bits of a trace id that decide.
const RANDOM_BITS: u32 = 56;

/// Takes what is to become spans. Called on the request path: it must not wait.
pub trait SpanSink: Debug + Send + Sync {
    fn take(&self, facts: SpanFacts);
    /// Sends what waits, within a bound.
    fn close(&self);
}

/// One sampled exchange: a SERVER span and, where an upstream was asked, a CLIENT span below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanFacts {
    pub trace_id: u128,
    pub span_id: u64,
    /// The caller's span.
    pub parent_id: Option<u64>,
    /// Unix microseconds.
    pub began_us: u64,
    pub duration: Duration,
    /// `_OTHER` for one that no route can have.
    pub method: &'static str,
    /// The pattern that matched.
    pub route: Option<String>,
    pub scheme: &'static str,
    pub protocol_version: &'static str,
    /// `None` where the client went before there was one.
    pub status: Option<u16>,
    /// A problem's code, or `cut`.
    pub error: Option<&'static str>,
    pub fault: &'static str,
    pub key_id: Option<String>,
    pub account: Option<String>,
    pub columns_hidden: Option<u64>,
    pub rows_hidden: Option<u64>,
    pub revision: u64,
    pub call: Option<CallFacts>,
}

impl SpanFacts {
    pub fn spans(&self) -> u64 {
        1 + u64::from(self.call.is_some())
    }
}

/// What a request asked of its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFacts {
    /// What went up as `traceparent`.
    pub span_id: u64,
    pub upstream: String,
    pub method: &'static str,
    /// The one that was asked last.
    pub server: SocketAddr,
    pub status: Option<u16>,
    /// Servers that were asked before the last one, or the same one.
    pub repeats: u32,
    /// From the exchange's begin.
    pub began: Duration,
    /// From the exchange's begin to the last byte that came.
    pub ended: Duration,
}

/// Decides which exchanges have spans, and where those go.
#[derive(Debug)]
pub struct Traces {
    sink: Box<dyn SpanSink>,
    /// Of 2^56 numbers, the least one that is sampled.
    least: u64,
    flagged: Flagged,
}

impl Traces {
    /// `sample_ratio`: 0 for none, 1 for all.
    pub fn new(sample_ratio: f64, sink: Box<dyn SpanSink>) -> Traces {
        let all = (1_u64 << RANDOM_BITS) as f64;
        let least = ((1.0 - sample_ratio.clamp(0.0, 1.0)) * all).round() as u64;
        Traces { sink, least, flagged: Flagged::default() }
    }

    /// Judges a request whose `traceparent` is `offered`.
    pub(crate) fn begin(
        &self,
        offered: Option<&[u8]>,
        is_trusted: bool,
        at: UnixMs,
    ) -> (TraceContext, Option<Box<Recording>>) {
        let offered = offered.and_then(Offered::parse);
        let is_sampled = |trace_id: u64| match offered {
            Some(offered) if is_trusted => {
                offered.is_sampled() && (self.flagged.admits(at) || self.draws(trace_id))
            }
            Some(_) => self.draws(fresh_id()),
            None => self.draws(trace_id),
        };
        let (context, ids) = TraceContext::judged(offered, is_sampled);
        (context, ids.map(|ids| Box::new(Recording { ids, call: None })))
    }

    fn draws(&self, number: u64) -> bool {
        number & ((1 << RANDOM_BITS) - 1) >= self.least
    }

    pub(crate) fn take(&self, facts: SpanFacts) {
        self.sink.take(facts);
    }

    pub(crate) fn close(&self) {
        self.sink.close();
    }
}

/// How many were sampled in this second because their flag said so.
#[derive(Debug, Default)]
struct Flagged(AtomicU64);

/// Bits of the count; the second is above them.
const COUNT_BITS: u32 = 16;

impl Flagged {
    fn admits(&self, at: UnixMs) -> bool {
        let second = (at.0 / 1_000) << COUNT_BITS;
        let counted = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |known| {
            // A thread may be behind: its requests count for the later second.
            let next = known.max(second) + 1;
            (next & ((1 << COUNT_BITS) - 1) <= FLAGGED_PER_SECOND_MAX).then_some(next)
        });
        counted.is_ok()
    }
}

/// What is noted of a sampled exchange on its way.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) ids: SpanIds,
    pub(crate) call: Option<Call>,
}

/// A request at an upstream, as far as it is known.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) server: SocketAddr,
    pub(crate) status: Option<u16>,
    pub(crate) repeats: u32,
    pub(crate) began: Duration,
    /// `None` while the upstream is waited for.
    pub(crate) ended: Option<Duration>,
}

impl Recording {
    /// A server is about to be asked.
    pub(crate) fn asks(&mut self, method: &Method, server: SocketAddr, at: Duration) {
        let method = method_name(method.as_str());
        let earlier = self.call.take();
        self.call = Some(Call {
            method,
            server,
            status: None,
            repeats: earlier.as_ref().map_or(0, |earlier| earlier.repeats + 1),
            began: earlier.map_or(at, |earlier| earlier.began),
            ended: None,
        });
    }

    /// Something came from the upstream, or nothing will.
    pub(crate) fn hears(&mut self, status: Option<StatusCode>, at: Duration) {
        if let Some(call) = &mut self.call {
            call.status = status.map(|status| status.as_u16()).or(call.status);
            call.ended = Some(at);
        }
    }
}

/// The conventions' word for a method that no route can have.
pub(crate) const OTHER_METHOD: &str = "_OTHER";

/// A method by name if routes can have it, else [`OTHER_METHOD`].
pub(crate) fn method_name(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or(OTHER_METHOD)
}

#[cfg(test)]
mod tests;
