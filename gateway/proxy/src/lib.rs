//! The data plane: connections, the walk of one request, and what is recorded of it.
//!
//! Built on Pingora's sessions, connectors and listeners, below its `ProxyHttp`: the head of a
//! filtered answer must wait until its body is judged, and `ProxyHttp` writes it at once
//! (`docs/decisions/0002-own-exchange.md`). Decisions come from `policy`, bodies go through
//! `rewrite`; this crate only carries.
//!
//! Not here: where rules and keys come from (`settings`, `store`), and the admin side.

mod accept;
mod access_log;
mod account;
mod answer;
mod arrival;
mod asked;
mod balance;
mod breaker;
mod budget;
mod capacity;
mod carry;
mod certificate;
mod certificate_ends;
mod chunked;
mod client_address;
mod clock;
mod coding;
mod connection;
mod dial;
mod docs;
mod endpoint;
mod exchange;
mod filter;
mod gateway;
mod h2_connection;
mod h2_exchange;
mod h2_frames;
mod h2_guard;
mod h2_head;
mod h2_line;
mod h2_lines;
mod h2_path;
mod h2_watch;
mod h2_worth;
mod head;
mod health;
mod incoming;
mod listen;
mod metrics;
mod moving;
mod new_columns;
mod outbox;
mod outlier;
mod panics;
mod places;
mod plain_text;
mod pool;
mod raw_head;
mod reach;
mod redated;
mod relay;
mod respond;
mod server_names;
mod session;
mod spans;
mod tally;
#[cfg(test)]
mod test_tls;
mod tls;
mod trace;
mod upstream;
mod upstream_tls;
mod upstreams;
mod watched;
mod whoami;

pub use access_log::AccessLog;
pub use balance::Balance;
pub use breaker::BreakerRule;
pub use budget::Retries;
pub use certificate::{Certificate, Mismatch, Validity};
pub use certificate_ends::register_certificates;
pub use clock::Clock;
pub use docs::Docs;
pub use gateway::{Gateway, GatewayParts, Serving};
pub use health::{HEALTH_EVERY, HealthRule};
pub use listen::{Bound, ListenError, ListenerSpec, bind, serve};
pub use metrics::ProxyMetrics;
pub use moving::{MOVING_MAX, Moved};
pub use new_columns::register_new_columns;
pub use outlier::OutlierRule;
pub use server_names::{Shadowed, shadowed};
pub use spans::{CallFacts, FLAGGED_PER_SECOND_MAX, SpanFacts, SpanSink, Traces};
pub use tally::register_upstreams;
pub use tls::{
    CLIENT_AUTHORITIES_MAX, ClientAuthorities, TermsError, Tls, TlsSpec, TlsTerms, TlsVersion,
};
pub use upstream_tls::{TlsFilesRead, UpstreamTls, UpstreamTlsError};
pub use upstreams::{
    FoundServer, FoundUpstream, Http2, RESOLVE_EVERY, ServerSpec, ServerState, Timeouts,
    UpstreamSpec, Upstreams,
};
