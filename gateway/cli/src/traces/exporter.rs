//! A bounded queue and the thread that empties it.
//!
//! The request path puts facts into the queue and goes on; where it is full they are dropped and counted. The
//! thread gathers, encodes and sends. A collector that is away is tried again a few times, while the queue
//! takes what it can: it costs spans, never a request.
//!
//! Cost: some 400 bytes an exchange in the queue: 2 MiB when it is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use gateway_proxy::{SpanFacts, SpanSink};
use prometheus::{IntCounter, Registry};

use super::collector::{Collector, Delivered};
use super::message::request;

/// Exchanges that may wait.
const QUEUE_MAX: usize = 4096;
/// Exchanges in one call to the collector.
const BATCH_MAX: usize = 512;
/// How long spans gather.
const GATHER: Duration = Duration::from_secs(1);
/// Before the second and the third try of one batch.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];
/// How long a clean stop waits for the last spans.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What became of spans.
#[derive(Debug, Clone)]
pub(super) struct SpanMetrics {
    exported: IntCounter,
    dropped: IntCounter,
}

impl SpanMetrics {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<SpanMetrics> {
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(SpanMetrics {
            exported: counter("colonnade_spans_exported_total", "Spans that the collector took.")?,
            dropped: counter(
                "colonnade_spans_dropped_total",
                "Spans that no collector has: the queue was full, or the collector away.",
            )?,
        })
    }
}

enum Item {
    Facts(Box<SpanFacts>),
    /// Wakes the thread; that it is to end says the flag.
    Close,
}

/// The queue's end on the request path.
#[derive(Debug)]
pub(super) struct Exporter {
    queue: SyncSender<Item>,
    closing: Arc<AtomicBool>,
    metrics: SpanMetrics,
    sender: Thread,
    /// Disconnected when the thread has ended.
    ended: std::sync::Mutex<Receiver<()>>,
}

impl Exporter {
    /// # Errors
    /// When there can be no more threads.
    pub(super) fn start(
        collector: Collector,
        resource: Vec<(String, String)>,
        metrics: SpanMetrics,
    ) -> io::Result<Exporter> {
        let (queue, items) = sync_channel(QUEUE_MAX);
        let (ending, ended) = sync_channel(0);
        let closing = Arc::new(AtomicBool::new(false));
        let mut sender = Sender {
            items,
            collector,
            resource,
            closing: Arc::clone(&closing),
            metrics: metrics.clone(),
            is_away: false,
            _ending: ending,
        };
        let thread = thread::Builder::new().name("spans".into()).spawn(move || sender.run())?;
        let sender = thread.thread().clone();
        Ok(Exporter { queue, closing, metrics, sender, ended: ended.into() })
    }
}

impl SpanSink for Exporter {
    fn take(&self, facts: SpanFacts) {
        let spans = facts.spans();
        if self.queue.try_send(Item::Facts(Box::new(facts))).is_err() {
            self.metrics.dropped.inc_by(spans);
        }
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        // A full queue wakes the thread by itself.
        let _ = self.queue.try_send(Item::Close);
        self.sender.unpark();
        let ended = self.ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // It sends nothing: its end is the end of the wait.
        if matches!(ended.recv_timeout(CLOSE_WAIT), Err(std::sync::mpsc::RecvTimeoutError::Timeout))
        {
            tracing::warn!("the collector is slow or away; the last spans are lost");
        }
    }
}

/// The thread.
struct Sender {
    items: Receiver<Item>,
    collector: Collector,
    resource: Vec<(String, String)>,
    closing: Arc<AtomicBool>,
    metrics: SpanMetrics,
    is_away: bool,
    _ending: SyncSender<()>,
}

impl Sender {
    fn run(&mut self) {
        while let Some(batch) = self.gather() {
            self.deliver(&batch);
        }
    }

    /// What came within [`GATHER`]; `None` when nothing will come.
    fn gather(&self) -> Option<Vec<SpanFacts>> {
        let mut batch = Vec::new();
        let mut end: Option<Instant> = None;
        while batch.len() < BATCH_MAX {
            let item = match end {
                _ if self.is_closing() => self.items.try_recv().ok(),
                None => self.items.recv().ok(),
                Some(end) => {
                    let left = end.saturating_duration_since(Instant::now());
                    self.items.recv_timeout(left).ok()
                }
            };
            match item {
                Some(Item::Facts(facts)) => batch.push(*facts),
                Some(Item::Close) => {}
                None => break,
            }
            end = end.or_else(|| Some(Instant::now() + GATHER));
        }
        (!batch.is_empty()).then_some(batch)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn deliver(&mut self, batch: &[SpanFacts]) {
        let spans: u64 = batch.iter().map(SpanFacts::spans).sum();
        let request = request(batch, &self.resource);
        let mut pauses = PAUSES.into_iter();
        loop {
            let most = if self.is_closing() { CLOSE_WAIT } else { Duration::MAX };
            let why = match self.collector.send(&request, most) {
                Delivered::Taken { rejected } => {
                    let rejected = rejected.min(spans);
                    self.metrics.exported.inc_by(spans - rejected);
                    self.metrics.dropped.inc_by(rejected);
                    self.is_away = false;
                    return;
                }
                Delivered::Refused(status) => {
                    return self.lost(spans, &format!("it answered {status}"));
                }
                Delivered::Later(why) => why,
            };
            let pause = pauses.next().filter(|_| !self.is_closing());
            let Some(pause) = pause else { return self.lost(spans, &why) };
            // Woken where the process stops.
            thread::park_timeout(pause);
        }
    }

    /// Said once, until spans arrive again.
    fn lost(&mut self, spans: u64, why: &str) {
        self.metrics.dropped.inc_by(spans);
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(why, "the collector does not take spans");
        }
    }
}

#[cfg(test)]
mod tests;
