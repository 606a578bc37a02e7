//! `colonnade_columns_new`: how many names the catalogues in force have met that they do not list.
//!
//! Read from what is published at every look at the metrics, so that it counts anew with every load
//! of the configuration and never tells of a resource that is gone; a request pays nothing for it.
//! The names themselves are an upstream's bytes and stay in the catalogue.
//!
//! Cost: a look at [`UNLISTED_MAX`](gateway_rewrite::UNLISTED_MAX) places a resource, once a scrape.

use std::sync::Arc;

use gateway_policy::Published;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::gateway::Serving;

/// The gauge, over what is published at the time.
#[derive(Debug)]
struct NewColumns {
    published: Arc<Published<Serving>>,
    /// Describes it; every look fills a new one.
    empty: IntGaugeVec,
}

/// Registers the gauge.
///
/// # Errors
/// When its name is taken already.
pub fn register_new_columns(
    registry: &Registry,
    published: Arc<Published<Serving>>,
) -> prometheus::Result<()> {
    registry.register(Box::new(NewColumns { published, empty: gauges()? }))
}

fn gauges() -> prometheus::Result<IntGaugeVec> {
    let help =
        "Names of members met that the resource's catalogue does not list; the first 64 count.";
    IntGaugeVec::new(Opts::new("colonnade_columns_new", help), &["resource"])
}

impl Collector for NewColumns {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(gauges) = gauges() else { return Vec::new() };
        let serving = self.published.current();
        for resource in &serving.snapshot.rules.resources {
            if !resource.catalogue.is_all() {
                let count = i64::try_from(resource.catalogue.unlisted_count()).unwrap_or(i64::MAX);
                gauges.with_label_values(&[&resource.name]).set(count);
            }
        }
        gauges.collect()
    }
}
