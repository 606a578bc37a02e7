//! Upstreams.

use std::net::IpAddr;
use std::path::Path as FilePath;

use gateway_policy::Target;

use super::Context;
use crate::model::format::is_host_name;
use crate::model::{
    BalanceSettings, Http2Settings, Named, ServerSettings, UpstreamSettings, UpstreamTlsSettings,
};
use crate::node::Path;
use crate::settings::{
    Balance, Breaker, Health, Http2, Outlier, Retries, Server, Timeouts, Upstream, UpstreamTls,
};

pub(super) fn upstreams(
    settings: &Named<UpstreamSettings>,
    context: &mut Context<'_, '_>,
) -> Vec<Upstream> {
    let section = Path::Root;
    let section = section.key("upstreams");
    let mut upstreams = Vec::new();
    for (name, settings) in settings.iter() {
        let place = section.key(name);
        context.check_name(&place, name);
        check(settings, &place, context);
        upstreams.push(upstream(name, settings, context.directory));
    }
    upstreams
}

fn check(settings: &UpstreamSettings, place: &Path<'_>, context: &mut Context<'_, '_>) {
    if let Some(health) = &settings.health
        && Target::parse(health.path.as_bytes()).is_err()
    {
        let path = place.key("health");
        let message = format!("`{}` is no path", health.path);
        context.fault(&path.key("path"), message).help("for example `/healthz`");
    }
    if let Some(host) = &settings.host
        && !is_authority(host)
    {
        let help =
            "a host and, where it is needed, a port: `calls.internal` or `calls.internal:8443`";
        context.fault(&place.key("host"), format!("`{host}` is no host")).help(help);
    }
    if let Some(tls) = &settings.tls {
        check_tls(tls, &place.key("tls"), context);
    } else if settings.http2 == Http2Settings::Auto
        && !context.report.is_spoiled(&place.key("tls").to_string())
    {
        let help = "add `tls`; or `only`, where the servers are known to speak HTTP/2 without it";
        context
            .fault(&place.key("http2"), "`auto` asks in the TLS handshake, and there is no `tls`")
            .help(help);
    }
    let outlier = &settings.outlier;
    if outlier.max_ejection.0 < outlier.base_ejection.0 {
        let path = place.key("outlier");
        context
            .fault(&path.key("max_ejection"), "is shorter than `base_ejection`")
            .help("the first ejection lasts `base_ejection`, none longer than `max_ejection`");
    }
    let timeouts = &settings.timeouts;
    if timeouts.total.0 < timeouts.first_byte.0 || timeouts.total.0 < timeouts.connect.0 {
        let path = place.key("timeouts");
        context
            .warning(
                &path.key("total"),
                "is shorter than `connect` or `first_byte`, which can never be reached",
            )
            .help("make it the longest of them");
    }
}

fn check_tls(tls: &UpstreamTlsSettings, place: &Path<'_>, context: &mut Context<'_, '_>) {
    if !is_host_name(&tls.sni) && tls.sni.parse::<IpAddr>().is_err() {
        let message = format!("`{}` is neither a host name nor an IP address", tls.sni);
        context.fault(&place.key("sni"), message).help("the name that the certificate is for");
    }
    let (given, missing) = match (&tls.certificate, &tls.key) {
        (Some(_), None) => ("certificate", "key"),
        (None, Some(_)) => ("key", "certificate"),
        _ => return,
    };
    let message = format!("stands without `{missing}`");
    context.fault(&place.key(given), message).help("the two PEM files go together");
}

fn is_authority(host: &str) -> bool {
    let parsed: Option<http::uri::Authority> = host.parse().ok();
    parsed.is_some_and(|authority| !host.contains('@') && !authority.host().is_empty())
}

fn upstream(name: &str, settings: &UpstreamSettings, directory: &FilePath) -> Upstream {
    Upstream {
        name: name.into(),
        servers: settings.servers.iter().map(server).collect(),
        balance: match settings.balance {
            BalanceSettings::RoundRobin => Balance::RoundRobin,
            BalanceSettings::LeastConnections => Balance::LeastConnections,
            BalanceSettings::Random => Balance::Random,
        },
        timeouts: Timeouts {
            connect_ms: settings.timeouts.connect.0,
            first_byte_ms: settings.timeouts.first_byte.0,
            idle_ms: settings.timeouts.idle.0,
            total_ms: settings.timeouts.total.0,
        },
        health: settings.health.as_ref().map(|health| Health {
            path: health.path.clone(),
            interval_ms: health.interval.0,
            unhealthy_after: health.unhealthy_after,
            healthy_after: health.healthy_after,
        }),
        outlier: Outlier {
            consecutive_failures: settings.outlier.consecutive_failures,
            base_ejection_ms: settings.outlier.base_ejection.0,
            max_ejection_ms: settings.outlier.max_ejection.0,
            max_ejected_percent: settings.outlier.max_ejected_percent,
        },
        breaker: Breaker {
            consecutive_failures: settings.breaker.consecutive_failures,
            probe_interval_ms: settings.breaker.probe_interval.0,
        },
        retries: Retries {
            max: settings.retries.max,
            budget_percent: settings.retries.budget_percent,
        },
        connections_max: settings.connections_max,
        pending_max: settings.pending_max,
        pending_ms: settings.pending_time.0,
        host: settings.host.clone(),
        tls: settings.tls.as_ref().map(|tls| UpstreamTls {
            sni: tls.sni.clone(),
            ca: tls.ca.as_ref().map(|ca| directory.join(ca)),
            client: match (&tls.certificate, &tls.key) {
                (Some(certificate), Some(key)) => {
                    Some((directory.join(certificate), directory.join(key)))
                }
                _ => None,
            },
        }),
        http2: match settings.http2 {
            Http2Settings::Off => Http2::Off,
            Http2Settings::Auto => Http2::Auto,
            Http2Settings::Only => Http2::Only,
        },
    }
}

fn server(settings: &ServerSettings) -> Server {
    match settings {
        ServerSettings::Address(address) => Server { address: address.0.clone(), weight: 1 },
        ServerSettings::Weighted(server) => {
            Server { address: server.address.0.clone(), weight: server.weight }
        }
    }
}
