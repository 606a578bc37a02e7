//! Spans of requests on their way to a collector: OTLP over HTTP, as protobuf.
//!
//! What a span is made of comes from `gateway_proxy`; this turns it into OpenTelemetry's messages and sends
//! them from a thread of its own. Without the feature `otel` nothing here is built but the word that it is
//! missing: a configuration that asks for traces must not be taken by a binary that makes none.
//!
//! Not the SDK of OpenTelemetry: ids, sampling and the queue are ours, and its exporter with a client of its own
//! is a hundred packages for one POST. What is left is the messages as the project publishes them.
//!
//! Sources: OTLP 1.9 (HTTP, retries, partial success), OpenTelemetry's environment variables.

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod destination;
#[cfg(feature = "otel")]
mod exporter;
#[cfg(feature = "otel")]
mod message;

use std::path::Path;

use gateway_proxy::Traces;
use gateway_settings::{Fault, Settings, Step, fault_at};
use prometheus::Registry;

#[cfg(feature = "otel")]
use crate::exit;
use crate::exit::Failed;

/// Base address, and whole address; OpenTelemetry's words.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// A variable of the environment; an empty one is none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The fault of a configuration that asks a build without traces for some.
pub(crate) fn missing(settings: &Settings, text: &str, file: &Path) -> Option<Fault> {
    let wanted = settings.telemetry.traces.is_some() && !cfg!(feature = "otel");
    let way = ["telemetry", "traces"].map(Step::Key);
    let help = "remove the section, or take a build with `--features otel`, as the image is";
    wanted.then(|| fault_at(text, file, &way, "this build has no traces".into(), help))
}

/// Starts what sends spans, if there is a collector.
///
/// # Errors
/// Where the environment names what is no collector.
#[cfg(feature = "otel")]
pub(crate) fn start(settings: &Settings, registry: &Registry) -> Result<Option<Traces>, Failed> {
    let traces = settings.telemetry.traces.clone().unwrap_or_default();
    let ratio = traces.sample_ratio;
    let destination = destination::Destination::of(&traces, &variable)
        .map_err(|why| (exit::INVALID_CONFIGURATION, vec![why]))?;
    let Some(destination) = destination else { return Ok(None) };
    let failed = |error: String| (exit::FAILED, vec![format!("traces: {error}")]);
    tracing::info!(endpoint = destination.url, sample_ratio = ratio, "traces are sent");
    let metrics = exporter::SpanMetrics::register(registry).map_err(|e| failed(e.to_string()))?;
    let collector = collector::Collector::new(&destination).map_err(failed)?;
    let exporter = exporter::Exporter::start(collector, destination.resource, metrics)
        .map_err(|error| failed(error.to_string()))?;
    Ok(Some(Traces::new(ratio, Box::new(exporter))))
}

/// A fleet's environment may name a collector for all of its programs: that is worth a word, no more.
#[cfg(not(feature = "otel"))]
pub(crate) fn start(_: &Settings, _: &Registry) -> Result<Option<Traces>, Failed> {
    for name in [TRACES_ENDPOINT, ENDPOINT] {
        if variable(name).is_some() {
            tracing::warn!("{name} is set, and this build has no traces");
        }
    }
    Ok(None)
}
