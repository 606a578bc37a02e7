//! The program log: JSON lines on standard error, plain text on a terminal.
//!
//! Pingora's own records come through at `warn` and above, and only from places that do not quote
//! what a peer sent: its connection errors print raw bytes of requests and answers. Of a panic the place is
//! told alone, for its text may quote what it was about.

use std::backtrace::Backtrace;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Never louder than this, whatever `COLONNADE_LOG` says: these modules log what peers sent, or what
/// only their authors ask for.
const QUIET: &[&str] = &[
    "pingora_core=off",
    "pingora_proxy=off",
    "pingora_http=off",
    "h2=off",
    "hyper=warn",
    "rustls=warn",
    "refinery_core=warn",
    "tokio_postgres=warn",
    "ureq=warn",
    "ureq_proto=warn",
];

/// Starts the log. `COLONNADE_LOG` is a filter such as `info` or `debug`.
pub(crate) fn start() {
    start_at(&std::env::var("COLONNADE_LOG").unwrap_or_else(|_| "info".to_owned()));
}

/// Starts the log with a filter of the caller's.
pub(crate) fn start_at(wanted: &str) {
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = QUIET
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        registry.with(lines.with_target(false)).try_init()
    } else {
        registry.with(lines.json()).try_init()
    };
    // A second start in one process (the demo's) keeps the first log.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // Names of functions and files, if `RUST_BACKTRACE` asks for them.
        let backtrace = Backtrace::capture();
        tracing::error!(place, %backtrace, "a panic");
    }));
}
