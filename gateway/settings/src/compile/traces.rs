//! Traces: where spans go, and how many.

use http::{HeaderName, HeaderValue};

use super::Context;
use crate::model::TracesSettings;
use crate::node::Path;
use crate::settings::Traces;

/// Headers of a call to a collector that the gateway writes itself.
const OWN: [&str; 6] = [
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
];

/// `None` where the section is not there.
pub(super) fn traces(
    settings: Option<&TracesSettings>,
    context: &mut Context<'_, '_>,
) -> Option<Traces> {
    let settings = settings?;
    let root = Path::Root;
    let telemetry = root.key("telemetry");
    let section = telemetry.key("traces");
    let ratio = settings.sample_ratio;
    if !(0.0..=1.0).contains(&ratio) {
        // The checker compares whole numbers alone.
        context
            .fault(&section.key("sample_ratio"), format!("{ratio} is not between 0 and 1"))
            .help("from 0, no request, to 1, every request");
    }
    let headers = section.key("headers");
    for (name, value) in settings.headers.iter() {
        let place = headers.key(name);
        let known = HeaderName::from_bytes(name.as_bytes());
        if !known.is_ok_and(|name| !OWN.contains(&name.as_str())) {
            context
                .fault_of_key(&place, "is no header that can be set here")
                .help("for example `authorization` or `x-api-key`");
        }
        if HeaderValue::from_str(value.reveal()).is_err() {
            context
                .fault(&place, "is no value that a header can have")
                .help("one line of text without control characters");
        }
    }
    Some(Traces {
        endpoint: settings.endpoint.as_ref().map(|endpoint| endpoint.0.clone()),
        sample_ratio: ratio,
        service_name: settings.service_name.clone(),
        headers: settings
            .headers
            .iter()
            .map(|(name, value)| (name.into(), value.clone()))
            .collect(),
    })
}
