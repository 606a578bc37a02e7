//! What is counted of each upstream, and how it is now, as metrics.
//!
//! Read from what is published at every look at the metrics, so that no upstream is told of that is gone;
//! counts go on while an upstream of that name is configured. Labels: names of upstreams, and the closed
//! sets below.
//!
//! Cost: one addition an event; none for a request that goes well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gateway_policy::Published;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::gateway::Serving;
use crate::upstream::Upstream;

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    NotAccepted,
    Died,
    Slow,
    Gateway,
    Ejected,
    Opened,
    AnotherServer,
    Repeated,
    OverBudget,
    ShedFull,
    ShedWaited,
    ShedOpen,
    ShedUnhealthy,
    CheckPassed,
    CheckFailed,
}

const EVENTS: usize = Count::CheckFailed as usize + 1;

/// How often each event was seen.
#[derive(Debug, Default)]
pub(crate) struct Tally([AtomicU64; EVENTS]);

impl Tally {
    pub(crate) fn count(&self, event: Count) {
        self.0[event as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn of(&self, event: Count) -> u64 {
        self.0[event as usize].load(Ordering::Relaxed)
    }
}

/// A counter: its name, what it counts, its labels, and the values of the second one.
struct Counted {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    events: &'static [(Count, &'static str)],
}

static COUNTED: [Counted; 6] = [
    Counted {
        name: "colonnade_upstream_failures_total",
        help: "Tries that a server failed, by how.",
        labels: &["upstream", "reason"],
        events: &[
            (Count::NotAccepted, "not_accepted"),
            (Count::Died, "died"),
            (Count::Slow, "slow"),
            (Count::Gateway, "gateway_error"),
        ],
    },
    Counted {
        name: "colonnade_upstream_ejections_total",
        help: "Servers ejected for failing live requests.",
        labels: &["upstream"],
        events: &[(Count::Ejected, "")],
    },
    Counted {
        name: "colonnade_upstream_breaker_opened_total",
        help: "Times that all of an upstream failed and it was given up.",
        labels: &["upstream"],
        events: &[(Count::Opened, "")],
    },
    Counted {
        name: "colonnade_upstream_retries_total",
        help: "Further tries of a request, and those that the budget did not allow.",
        labels: &["upstream", "kind"],
        events: &[
            (Count::AnotherServer, "another_server"),
            (Count::Repeated, "repeated"),
            (Count::OverBudget, "over_budget"),
        ],
    },
    Counted {
        name: "colonnade_upstream_shed_total",
        help: "Requests answered 503 instead of being sent up.",
        labels: &["upstream", "reason"],
        events: &[
            (Count::ShedFull, "full"),
            (Count::ShedWaited, "waited"),
            (Count::ShedOpen, "breaker_open"),
            (Count::ShedUnhealthy, "unhealthy"),
        ],
    },
    Counted {
        name: "colonnade_upstream_checks_total",
        help: "Active health checks.",
        labels: &["upstream", "result"],
        events: &[(Count::CheckPassed, "passed"), (Count::CheckFailed, "failed")],
    },
];

impl Counted {
    fn counters(&self) -> prometheus::Result<IntCounterVec> {
        IntCounterVec::new(Opts::new(self.name, self.help), self.labels)
    }

    fn fill(&self, counters: &IntCounterVec, upstream: &Upstream) {
        for (event, value) in self.events {
            let values = [upstream.name(), value];
            counters
                .with_label_values(&values[..self.labels.len()])
                .inc_by(upstream.tally().of(*event));
        }
    }
}

/// A gauge: its name, what it shows, and how that is found.
struct Shown {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    value: fn(&Upstream) -> usize,
}

static SHOWN: [Shown; 3] = [
    Shown {
        name: "colonnade_upstream_healthy",
        help: "Servers that requests go to now, each address of a name as one; 0 while the breaker is open.",
        labels: &["upstream"],
        value: Upstream::in_service,
    },
    Shown {
        name: "colonnade_upstream_breaker_open",
        help: "1 while all of the upstream fails and requests are refused.",
        labels: &["upstream"],
        value: |upstream| usize::from(upstream.is_open()),
    },
    Shown {
        name: "colonnade_upstream_pending",
        help: "Requests that wait for one of the upstream's places.",
        labels: &["upstream"],
        value: Upstream::pending,
    },
];

impl Shown {
    fn gauges(&self) -> prometheus::Result<IntGaugeVec> {
        IntGaugeVec::new(Opts::new(self.name, self.help), self.labels)
    }
}

/// All of them, over what is published at the time.
struct UpstreamMetrics {
    published: Arc<Published<Serving>>,
    descriptions: Vec<Desc>,
}

/// Registers the metrics of the upstreams.
///
/// # Errors
/// When a name is taken already.
pub fn register_upstreams(
    registry: &Registry,
    published: Arc<Published<Serving>>,
) -> prometheus::Result<()> {
    let mut descriptions = Vec::new();
    for counted in &COUNTED {
        descriptions.extend(counted.counters()?.desc().into_iter().cloned());
    }
    for shown in &SHOWN {
        descriptions.extend(shown.gauges()?.desc().into_iter().cloned());
    }
    registry.register(Box::new(UpstreamMetrics { published, descriptions }))
}

impl Collector for UpstreamMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let serving = self.published.current();
        let mut families = Vec::new();
        for counted in &COUNTED {
            let Ok(counters) = counted.counters() else { continue };
            serving.upstreams.iter().for_each(|upstream| counted.fill(&counters, upstream));
            families.extend(counters.collect());
        }
        for shown in &SHOWN {
            let Ok(gauges) = shown.gauges() else { continue };
            for upstream in serving.upstreams.iter() {
                let value = i64::try_from((shown.value)(upstream)).unwrap_or(i64::MAX);
                gauges.with_label_values(&[upstream.name()]).set(value);
            }
            families.extend(gauges.collect());
        }
        families
    }
}
