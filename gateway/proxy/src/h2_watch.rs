//! What is held against an HTTP/2 connection while Pingora reads it: its frames, and the time of a head.
//!
//! `h2` waits for the end of a head as long as other requests are under way. So a frame or a header block
//! that has begun is given the time of a head, from when its first bytes were read to its last, however it
//! drips; bodies have a time of their own.
//!
//! Not here: which frames are too many (`h2_guard.rs`).
//!
//! Cost: a timer, only while a head is under way and nothing more can be read.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

use crate::capacity::Shed;
use crate::h2_guard::{Guard, GuardFault};
use crate::metrics::ProxyMetrics;

pub(crate) struct Http2Watch {
    guard: Guard,
    header_time: Duration,
    /// What is under way, and when it is late.
    late: Option<(u32, Pin<Box<Sleep>>)>,
    metrics: Arc<ProxyMetrics>,
}

impl Http2Watch {
    pub(crate) fn new(header_time: Duration, metrics: Arc<ProxyMetrics>) -> Http2Watch {
        Http2Watch { guard: Guard::default(), header_time, late: None, metrics }
    }

    /// Bytes that came.
    ///
    /// # Errors
    /// The connection cannot go on.
    pub(crate) fn see(&mut self, bytes: &mut [u8]) -> Result<(), GuardFault> {
        let seen = self.guard.pass(bytes);
        if matches!(seen, Err(GuardFault::Flood(_))) {
            self.metrics.shed(Shed::Http2Flood);
        }
        seen
    }

    /// Bytes that went the other way.
    pub(crate) fn answered(&mut self, bytes: usize) {
        self.guard.answered(bytes);
    }

    /// Nothing more has come yet: the fault, once what is under way is late.
    pub(crate) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(part) = self.guard.midway() else {
            self.late = None;
            return Poll::Pending;
        };
        let late = self.late.take().filter(|(of, _)| *of == part);
        let (_, timer) =
            self.late.insert(late.unwrap_or_else(|| (part, Box::pin(sleep(self.header_time)))));
        ready!(timer.as_mut().poll(cx));
        self.metrics.shed(Shed::HeaderTime);
        Poll::Ready(io::Error::new(ErrorKind::TimedOut, "a head took too long"))
    }
}
