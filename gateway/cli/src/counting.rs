//! Brings what requests counted of their keys to the store, in batches.
//!
//! What was drained is kept until the store has it: under one number, so that a flush whose answer was
//! lost is not added twice. While the store is away batches of the same hour are added up, so what
//! waits is bounded by keys and hours. A clean stop flushes once more; a crash loses what was counted
//! since the last flush.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use gateway_policy::{Meters, UnixMs};
use gateway_store::{Counts, Store, StoreError, UsageFlush, UsageRow};
use tokio::sync::Mutex;

use crate::feed::Feed;
use crate::store_metrics::StoreMetrics;

/// How often usage is flushed: the most that a crash loses.
pub(crate) const FLUSH_EVERY: Duration = Duration::from_secs(5);
const HOUR_MS: u64 = 3_600_000;
/// Flushes that wait one by one for a store that is away; what comes then is added to the last.
const WAITING_MAX: usize = 1_000;
/// Keys in one flush, so that a store has it within the time of a call.
const ROWS_MAX: usize = 10_000;

/// Usage on its way to the store.
pub(crate) struct Counting {
    store: Arc<dyn Store>,
    meters: Arc<Meters>,
    node: String,
    metrics: Arc<StoreMetrics>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    number: u64,
    /// The first may have been sent already: nothing is added to it.
    flushes: VecDeque<UsageFlush>,
}

impl Counting {
    pub(crate) fn new(feed: &Feed, meters: Arc<Meters>) -> Counting {
        Counting {
            store: Arc::clone(&feed.store),
            meters,
            node: feed.node.clone(),
            metrics: Arc::clone(&feed.metrics),
            waiting: Mutex::new(Waiting::default()),
        }
    }

    /// Drains the counters and sends all that waits.
    ///
    /// # Errors
    /// The store is away; what waits is sent next time.
    pub(crate) async fn flush(&self, now: UnixMs) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().await;
        let mut rows = Vec::new();
        self.meters.drain(|key, used| {
            rows.push(UsageRow {
                key: key.to_owned(),
                counts: Counts {
                    admitted: used.admitted,
                    limited: used.limited,
                    refused: used.refused,
                },
                last_used: used.last,
            });
        });
        if !rows.is_empty() {
            waiting.add(&self.node, rows, now);
        }
        let sent = self.send(&mut waiting).await;
        if sent.is_err() {
            self.metrics.writes_failed.inc();
        }
        self.metrics.usage_waiting.set(waiting.rows() as i64);
        sent
    }

    async fn send(&self, waiting: &mut Waiting) -> Result<(), StoreError> {
        while let Some(flush) = waiting.flushes.front() {
            self.store.add_usage(flush).await?;
            waiting.flushes.pop_front();
        }
        Ok(())
    }

    /// Flushes for as long as the process lives.
    pub(crate) async fn run(self: Arc<Self>, now: impl Fn() -> UnixMs) {
        let mut is_away = false;
        loop {
            tokio::time::sleep(FLUSH_EVERY).await;
            let failed = self.flush(now()).await.err();
            if let Some(error) = failed.as_ref().filter(|_| !is_away) {
                tracing::warn!(%error, "usage waits for the store");
            }
            is_away = failed.is_some();
        }
    }
}

impl Waiting {
    fn rows(&self) -> usize {
        self.flushes.iter().map(|flush| flush.rows.len()).sum()
    }

    fn add(&mut self, node: &str, mut rows: Vec<UsageRow>, at: UnixMs) {
        let is_same_hour = |flush: &UsageFlush| flush.at.0 / HOUR_MS == at.0 / HOUR_MS;
        let is_full = self.flushes.len() > WAITING_MAX;
        match self.flushes.iter_mut().skip(1).next_back() {
            Some(last) if is_same_hour(last) && last.rows.len() < ROWS_MAX => {
                merge(&mut last.rows, rows);
                rows = last.rows.split_off(last.rows.len().min(ROWS_MAX));
            }
            Some(last) if is_full => return merge(&mut last.rows, rows),
            _ => rows.sort_by(|one, other| one.key.cmp(&other.key)),
        }
        for rows in rows.chunks(ROWS_MAX) {
            self.number += 1;
            let (node, rows) = (node.to_owned(), rows.to_vec());
            self.flushes.push_back(UsageFlush { node, number: self.number, at, rows });
        }
    }
}

/// Adds rows to sorted rows.
fn merge(rows: &mut Vec<UsageRow>, more: Vec<UsageRow>) {
    let mut by_key: HashMap<String, UsageRow> =
        rows.drain(..).map(|row| (row.key.clone(), row)).collect();
    for row in more {
        match by_key.get_mut(&row.key) {
            Some(known) => {
                known.counts += row.counts;
                known.last_used = known.last_used.max(row.last_used);
            }
            None => {
                by_key.insert(row.key.clone(), row);
            }
        }
    }
    rows.extend(by_key.into_values());
    rows.sort_by(|one, other| one.key.cmp(&other.key));
}
