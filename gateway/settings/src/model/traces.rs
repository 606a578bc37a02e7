//! Traces of requests, and where they go.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Named;
use super::scalar::{CollectorAddress, Secret};

/// Spans of requests, sent to a collector by OTLP over HTTP. There are some where an endpoint is named, here or
/// by the variables of OpenTelemetry. Needs a build with the feature `otel`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TracesSettings {
    /// Where the collector listens; spans go to `/v1/traces` below it. Without it
    /// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<CollectorAddress>,
    /// Which part of the requests has spans: 0 is none, 1 all.
    #[schemars(range(min = 0, max = 1))]
    pub(crate) sample_ratio: f64,
    /// What the collector shows the gateway as. Without it OTEL_SERVICE_NAME counts, else it is `colonnade`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub(crate) service_name: Option<String>,
    /// Headers that the collector asks for, such as `authorization`. Keep their values out of this file:
    /// `"Bearer ${TOKEN}"`. Without any OTEL_EXPORTER_OTLP_HEADERS counts.
    pub(crate) headers: Named<Secret>,
}

impl Default for TracesSettings {
    fn default() -> Self {
        TracesSettings {
            endpoint: None,
            sample_ratio: 0.01,
            service_name: None,
            headers: Named::default(),
        }
    }
}
