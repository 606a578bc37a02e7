//! What the proxy counts. Closed label sets; nothing of a request's own text in a label.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use crate::capacity::Shed;
use crate::tls::Unshaken;

/// Seconds. From the gateway's own tens of microseconds to a slow upstream's minute.
const BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 5.0, 30.0,
];

/// How a handshake may end.
const HANDSHAKES: [&str; 3] = ["ok", "failed", "timeout"];

/// The proxy's metrics, registered once.
#[derive(Debug, Clone)]
pub struct ProxyMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) request_seconds: HistogramVec,
    pub(crate) upstream_seconds: HistogramVec,
    pub(crate) overhead_seconds: Histogram,
    pub(crate) auth: IntCounterVec,
    pub(crate) ratelimit: IntCounterVec,
    pub(crate) columns: IntCounterVec,
    pub(crate) rows_hidden: IntCounterVec,
    pub(crate) filter_failures: IntCounterVec,
    pub(crate) inflight: IntGauge,
    pub(crate) connections: IntGauge,
    shed: IntCounterVec,
    handshakes: IntCounterVec,
    pub(crate) access_log_dropped: IntGauge,
    pub(crate) clock_behind: IntGauge,
    pub(crate) panics: IntCounter,
}

impl ProxyMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn register(registry: &Registry) -> prometheus::Result<ProxyMetrics> {
        let shed = counters(
            registry,
            "colonnade_shed_total",
            "Turned away or broken off before work was done for it, by the bound that was met.",
            &["bound"],
        )?;
        // There from the start: a rise from nothing is seen as one.
        Shed::ALL.iter().for_each(|bound| drop(shed.with_label_values(&[bound.label()])));
        let handshakes = counters(
            registry,
            "colonnade_tls_handshakes_total",
            "Handshakes of TLS with clients, by how they ended.",
            &["result"],
        )?;
        HANDSHAKES.iter().for_each(|result| drop(handshakes.with_label_values(&[result])));
        Ok(ProxyMetrics {
            shed,
            handshakes,
            requests: counters(
                registry,
                "colonnade_requests_total",
                "Requests answered.",
                &["route", "method", "status", "code", "fault"],
            )?,
            request_seconds: histograms(
                registry,
                "colonnade_request_duration_seconds",
                "From the head's first look to the answer's last byte.",
                &["route"],
            )?,
            upstream_seconds: histograms(
                registry,
                "colonnade_upstream_duration_seconds",
                "Spent waiting for an upstream.",
                &["upstream"],
            )?,
            overhead_seconds: histogram(
                registry,
                "colonnade_overhead_seconds",
                "Spent in a forwarded request, not waiting for its upstream.",
            )?,
            auth: counters(
                registry,
                "colonnade_auth_total",
                "Credentials judged.",
                &["result", "reason"],
            )?,
            ratelimit: counters(
                registry,
                "colonnade_ratelimit_total",
                "Limits asked; near is the last tenth.",
                &["plan", "result"],
            )?,
            columns: counters(
                registry,
                "colonnade_columns_total",
                "Members of rows hidden, or values replaced.",
                &["resource", "action"],
            )?,
            rows_hidden: counters(
                registry,
                "colonnade_rows_hidden_total",
                "Rows hidden.",
                &["resource"],
            )?,
            filter_failures: counters(
                registry,
                "colonnade_filter_failures_total",
                "Answers refused because they could not be filtered safely.",
                &["reason"],
            )?,
            inflight: gauge(registry, "colonnade_inflight_requests", "Requests under way.")?,
            connections: gauge(registry, "colonnade_connections", "Client connections.")?,
            access_log_dropped: gauge(
                registry,
                "colonnade_access_log_dropped_lines",
                "Access-log lines dropped since the start because the log was too slow.",
            )?,
            panics: registered(
                registry,
                IntCounter::new(
                    "colonnade_panics_total",
                    "Requests in which the gateway panicked.",
                )?,
            )?,
            clock_behind: gauge(
                registry,
                "colonnade_clock_behind_seconds",
                "Seconds by which the clock is behind its latest reading, which ends are judged by.",
            )?,
        })
    }
}

impl ProxyMetrics {
    pub(crate) fn shed(&self, bound: Shed) {
        self.shed.with_label_values(&[bound.label()]).inc();
    }

    pub(crate) fn handshake(&self, ended: Result<(), Unshaken>) {
        let result = match ended {
            Ok(()) => HANDSHAKES[0],
            Err(Unshaken::Failed) => HANDSHAKES[1],
            Err(Unshaken::Late) => HANDSHAKES[2],
        };
        self.handshakes.with_label_values(&[result]).inc();
    }
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> prometheus::Result<IntGauge> {
    registered(registry, IntGauge::new(name, help)?)
}

fn histogram(registry: &Registry, name: &str, help: &str) -> prometheus::Result<Histogram> {
    let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
    registered(registry, Histogram::with_opts(opts)?)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<HistogramVec> {
    let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
    registered(registry, HistogramVec::new(opts, labels)?)
}

/// One more on a gauge; given back on drop, whatever ends it.
#[derive(Debug)]
pub(crate) struct Counted(IntGauge);

impl Counted {
    pub(crate) fn on(gauge: &IntGauge) -> Counted {
        gauge.inc();
        Counted(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
