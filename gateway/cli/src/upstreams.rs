//! The upstreams of the configuration, as the data plane wants them.

use std::sync::Arc;
use std::time::Duration;

use gateway_policy::Published;
use gateway_proxy::{
    Balance, BreakerRule, HEALTH_EVERY, HealthRule, Http2, OutlierRule, RESOLVE_EVERY, Retries,
    ServerSpec, Serving, Timeouts, UpstreamSpec, UpstreamTls,
};
use gateway_settings::Settings;
use tokio::time::{MissedTickBehavior, interval};

/// The upstreams as the proxy wants them, each with its TLS files as read (`tls::read`).
pub(crate) fn upstream_specs(
    settings: &Settings,
    tls: &[Option<UpstreamTls>],
) -> Vec<UpstreamSpec> {
    settings
        .upstreams
        .iter()
        .zip(tls)
        .map(|(upstream, tls)| UpstreamSpec {
            name: upstream.name.clone(),
            servers: upstream
                .servers
                .iter()
                .map(|server| ServerSpec { address: server.address.clone(), weight: server.weight })
                .collect(),
            balance: match upstream.balance {
                gateway_settings::Balance::RoundRobin => Balance::RoundRobin,
                gateway_settings::Balance::LeastConnections => Balance::LeastConnections,
                gateway_settings::Balance::Random => Balance::Random,
            },
            timeouts: Timeouts {
                connect: Duration::from_millis(upstream.timeouts.connect_ms),
                first_byte: Duration::from_millis(upstream.timeouts.first_byte_ms),
                idle: Duration::from_millis(upstream.timeouts.idle_ms),
                total: Duration::from_millis(upstream.timeouts.total_ms),
            },
            health: upstream.health.as_ref().map(|health| HealthRule {
                path: health.path.clone(),
                interval: Duration::from_millis(health.interval_ms),
                unhealthy_after: health.unhealthy_after,
                healthy_after: health.healthy_after,
            }),
            outlier: OutlierRule {
                consecutive_failures: upstream.outlier.consecutive_failures,
                base_ejection: Duration::from_millis(upstream.outlier.base_ejection_ms),
                max_ejection: Duration::from_millis(upstream.outlier.max_ejection_ms),
                max_ejected_percent: upstream.outlier.max_ejected_percent,
            },
            breaker: BreakerRule {
                consecutive_failures: upstream.breaker.consecutive_failures,
                probe_interval: Duration::from_millis(upstream.breaker.probe_interval_ms),
            },
            retries: Retries {
                max: upstream.retries.max,
                budget_percent: upstream.retries.budget_percent,
            },
            connections_max: upstream.connections_max as usize,
            pending_max: upstream.pending_max as usize,
            pending_time: Duration::from_millis(upstream.pending_ms),
            host: upstream.host.clone(),
            tls: tls.clone(),
            http2: match upstream.http2 {
                gateway_settings::Http2::Off => Http2::Off,
                gateway_settings::Http2::Auto => Http2::Auto,
                gateway_settings::Http2::Only => Http2::Only,
            },
        })
        .collect()
}

/// Keeps what is known of the upstreams in force up to date: checks servers, looks names up again, drops
/// connections that got old. Waits for none of it, so that one upstream holds up no other.
pub(crate) async fn tend(published: Arc<Published<Serving>>) {
    let mut check = interval(HEALTH_EVERY);
    let mut resolve = interval(RESOLVE_EVERY);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    resolve.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = check.tick() => published.current().upstreams.check_health(),
            _ = resolve.tick() => {
                let upstreams = Arc::clone(&published.current().upstreams);
                upstreams.resolve();
                tokio::task::spawn_blocking(move || upstreams.sweep());
            }
        }
    }
}
