//! Where spans go: the configuration first, OpenTelemetry's variables where it is silent.

use std::time::Duration;

use gateway_settings::Traces;
use http::{HeaderName, HeaderValue, Uri};

use super::{ENDPOINT, TRACES_ENDPOINT};

/// Below a base address (OTLP/HTTP).
const PATH: &str = "/v1/traces";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// How long one call to the collector may take where no variable says it; the conventions' own.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// The longest that a variable may make it.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// A collector, and how to speak to it. Not `Debug`: the headers are secrets.
pub(super) struct Destination {
    pub(super) url: String,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) timeout: Duration,
    /// Attributes of whatever is sent, `service.name` among them.
    pub(super) resource: Vec<(String, String)>,
}

impl Destination {
    /// `None` where neither the configuration nor a variable names an endpoint.
    ///
    /// # Errors
    /// A variable that names no endpoint, in a sentence without its value.
    pub(super) fn of(
        traces: &Traces,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Option<Destination>, String> {
        let Some(url) = url(traces, variable)? else { return Ok(None) };
        let first = |names: [&str; 2]| names.into_iter().find_map(variable);
        let own = traces.headers.iter();
        let mut pairs: Vec<(String, String)> =
            own.map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect();
        if pairs.is_empty() {
            pairs = list(&first([TRACES_HEADERS, HEADERS]).unwrap_or_default());
        }
        let timeout = first([TRACES_TIMEOUT, TIMEOUT])
            .and_then(|text| text.parse().ok())
            .map_or(TIMEOUT_DEFAULT, |ms| Duration::from_millis(ms).min(TIMEOUT_MAX));
        Ok(Some(Destination {
            url,
            headers: pairs.iter().filter_map(header).collect(),
            timeout,
            resource: resource(traces, variable),
        }))
    }
}

fn url(
    traces: &Traces,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, String> {
    let below = |base: &str| format!("{}{PATH}", base.trim_end_matches('/'));
    if let Some(base) = &traces.endpoint {
        return Ok(Some(below(base)));
    }
    let whole = variable(TRACES_ENDPOINT).map(|whole| (TRACES_ENDPOINT, whole));
    let named = whole.or_else(|| variable(ENDPOINT).map(|base| (ENDPOINT, below(&base))));
    let Some((name, url)) = named else { return Ok(None) };
    let is_good = url.parse::<Uri>().is_ok_and(|address| {
        matches!(address.scheme_str(), Some("http" | "https"))
            && address.authority().is_some_and(|host| !host.as_str().contains('@'))
    });
    if is_good { Ok(Some(url)) } else { Err(format!("{name} is no address of a collector")) }
}

/// One that can be sent; the gateway's own stay as they are.
fn header((name, value): &(String, String)) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let is_own = matches!(name.as_str(), "host" | "content-type" | "content-length");
    let mut value = HeaderValue::from_str(value).ok().filter(|_| !is_own)?;
    value.set_sensitive(true);
    Some((name, value))
}

fn resource(traces: &Traces, variable: &dyn Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut all = list(&variable(RESOURCE).unwrap_or_default());
    let mut set = |name: &str, value: String| {
        all.retain(|(known, _)| known != name);
        all.push((name.to_owned(), value));
    };
    if let Some(name) = traces.service_name.clone().or_else(|| variable(SERVICE_NAME)) {
        set("service.name", name);
    }
    set("service.version", env!("CARGO_PKG_VERSION").to_owned());
    if !all.iter().any(|(name, _)| name == "service.name") {
        all.push(("service.name".to_owned(), "colonnade".to_owned()));
    }
    all
}

/// `name=value,name=value`, percent-encoded, as OpenTelemetry's variables have it.
fn list(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())))
        .filter(|(name, _)| !name.is_empty())
        .collect()
}

/// Percent-decoded; text that is no UTF-8 then, as it was.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let hex = (*byte == b'%').then(|| behind.get(..2)).flatten();
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(traces: &Traces, variables: &[(&str, &str)]) -> Result<Option<Destination>, String> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Destination::of(traces, &find)
    }

    #[test]
    fn an_endpoint_of_the_file_wins_and_without_any_there_are_no_traces() {
        let file = |base: &str| Traces { endpoint: Some(base.into()), ..Traces::default() };
        for (traces, variables, url) in [
            (Traces::default(), &[][..], None),
            (file("http://c:4318"), &[(ENDPOINT, "http://e")], Some("http://c:4318/v1/traces")),
            (file("http://c:4318/otlp/"), &[], Some("http://c:4318/otlp/v1/traces")),
            (Traces::default(), &[(ENDPOINT, "http://e:4318/")], Some("http://e:4318/v1/traces")),
            (
                Traces::default(),
                &[(ENDPOINT, "http://e"), (TRACES_ENDPOINT, "https://t/x")],
                Some("https://t/x"),
            ),
        ] {
            let found = of(&traces, variables).unwrap().map(|found| found.url);
            assert_eq!(found.as_deref(), url, "{variables:?}");
        }
        for bad in ["e:4318", "http://user:hunter2@e:4318", "grpc://e"] {
            let why = of(&Traces::default(), &[(ENDPOINT, bad)]).map(drop).unwrap_err();
            assert_eq!(why, "OTEL_EXPORTER_OTLP_ENDPOINT is no address of a collector");
        }
    }

    #[test]
    fn variables_speak_where_the_file_is_silent() {
        let silent = Traces { endpoint: Some("http://c".into()), ..Traces::default() };
        let variables = [
            (HEADERS, "authorization=Bearer%20hunter2, x-tenant = a ,nonsense,host=evil"),
            (SERVICE_NAME, "edge"),
            (RESOURCE, "deployment.environment.name=prod,service.name=other"),
            (TIMEOUT, "250"),
        ];
        let found = of(&silent, &variables).unwrap().unwrap();
        let text = |found: &Destination| -> Vec<(String, String)> {
            let headers = found.headers.iter();
            headers.map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_owned())).collect()
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(text(&found), [pair("authorization", "Bearer hunter2"), pair("x-tenant", "a")]);
        assert!(found.resource.contains(&pair("service.name", "edge")), "{:?}", found.resource);
        assert!(found.resource.contains(&pair("deployment.environment.name", "prod")));
        assert_eq!(found.timeout, Duration::from_millis(250));

        let named = Traces { service_name: Some("mine".into()), ..silent };
        let found = of(&named, &variables).unwrap().unwrap();
        let names: Vec<&str> = found
            .resource
            .iter()
            .filter_map(|(name, value)| (name == "service.name").then_some(value.as_str()))
            .collect();
        assert_eq!(names, ["mine"]);
    }

    #[test]
    fn what_is_not_percent_encoded_stays() {
        for (text, plain) in [("a%20b", "a b"), ("100%", "100%"), ("%zz", "%zz"), ("%ff", "%ff")] {
            assert_eq!(decoded(text), plain);
        }
    }
}
