//! What a store does not take: it answers, and its disk is full.

use std::sync::Arc;

use prometheus::{IntCounter, IntGauge, Registry};

/// Counted by what writes all the time and by itself, so that it is seen before somebody revokes a key.
#[derive(Debug)]
pub(crate) struct StoreMetrics {
    /// Heartbeats and flushes of usage.
    pub(crate) writes_failed: IntCounter,
    /// Rows of usage that the store does not have yet.
    pub(crate) usage_waiting: IntGauge,
}

impl StoreMetrics {
    pub(crate) fn register(registry: &Registry) -> prometheus::Result<Arc<StoreMetrics>> {
        let metrics = StoreMetrics {
            writes_failed: IntCounter::new(
                "colonnade_store_writes_failed_total",
                "Heartbeats and flushes of usage that the store did not take.",
            )?,
            usage_waiting: IntGauge::new(
                "colonnade_usage_waiting_rows",
                "Rows of usage that wait for the store.",
            )?,
        };
        registry.register(Box::new(metrics.writes_failed.clone()))?;
        registry.register(Box::new(metrics.usage_waiting.clone()))?;
        Ok(Arc::new(metrics))
    }
}
