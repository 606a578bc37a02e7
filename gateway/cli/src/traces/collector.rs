//! One POST to a collector, and what its answer says.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::destination::Destination;

/// Most of an answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What came of one try.
#[derive(Debug)]
pub(super) enum Delivered {
    /// Taken, but for this many.
    Taken { rejected: u64 },
    /// Never to be sent again.
    Refused(u16),
    /// Away or busy, and how that showed.
    Later(String),
}

/// Where spans go. Not `Debug`: its headers are secrets.
pub(super) struct Collector {
    agent: ureq::Agent,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
}

impl Collector {
    /// # Errors
    /// The system's authorities cannot be read, and the collector is reached by TLS.
    pub(super) fn new(destination: &Destination) -> Result<Collector, String> {
        let mut tls = TlsConfig::builder();
        if destination.url.starts_with("https://") {
            let found = rustls_native_certs::load_native_certs().map_err(|e| e.to_string())?;
            let all = found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            tls = tls.root_certs(RootCerts::Specific(Arc::new(all)));
        }
        // A redirection or a proxy of the environment could carry the headers elsewhere.
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("colonnade/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            .build()
            .into();
        Ok(Collector {
            agent,
            url: destination.url.clone(),
            headers: destination.headers.clone(),
            timeout: destination.timeout,
        })
    }

    /// Sends once; takes no longer than `most`, or the collector's own time if that is less.
    pub(super) fn send(&self, request: &ExportTraceServiceRequest, most: Duration) -> Delivered {
        let mut post = self.agent.post(&self.url);
        post = post.header("content-type", "application/x-protobuf");
        for (name, value) in &self.headers {
            post = post.header(name, value);
        }
        let post = post.config().timeout_global(Some(self.timeout.min(most))).build();
        let mut answer = match post.send(&request.encode_to_vec()[..]) {
            Ok(answer) => answer,
            Err(error) => return Delivered::Later(error.to_string()),
        };
        match answer.status().as_u16() {
            200..=299 => {
                let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
                Delivered::Taken { rejected: rejected(&body.unwrap_or_default()) }
            }
            busy @ (429 | 502..=504) => Delivered::Later(format!("it answered {busy}")),
            status => Delivered::Refused(status),
        }
    }
}

/// Spans that a collector says it did not take.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    u64::try_from(partial.rejected_spans).unwrap_or(0)
}
