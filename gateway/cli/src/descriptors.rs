//! How many client connections the process has descriptors for.
//!
//! Each connection takes one, and a request that goes up another. Who accepts more clients than that has
//! none left for upstreams, admin and metrics, and fails everybody; so some are set aside, and clients beyond
//! the rest are turned away one by one.

use gateway_settings::Settings;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// For the admin and telemetry listeners, the store, files and what the runtime needs.
const OWN: u64 = 192;
/// Connections without a word of the configuration. Each takes memory too, which no limit here tells.
const CLIENTS_MAX: u64 = 50_000;
/// Where the limit cannot be read: what it is on most systems.
const USUAL: u64 = 1_024;

/// Raises the number of descriptors that may be open as far as the process may, and says how many that
/// are. The lower limit that a shell hands down is there for programs with `select`.
pub(crate) fn raise() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return USUAL };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() {
        return hard;
    }
    soft
}

/// Client connections that so many descriptors allow, beside what `settings` need.
pub(crate) fn client_connections(descriptors: u64, settings: &Settings) -> usize {
    let upstreams = settings.upstreams.iter().map(|upstream| u64::from(upstream.connections_max));
    clients(descriptors, upstreams.sum())
}

/// At most half goes to the process itself, and of the rest at most half to upstreams.
fn clients(descriptors: u64, upstreams: u64) -> usize {
    let left = descriptors - OWN.min(descriptors / 2);
    let clients = left - upstreams.min(left / 2);
    usize::try_from(clients.clamp(1, CLIENTS_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_shared_out() {
        for (descriptors, upstreams, expected) in [
            (0, 512, 1),
            (64, 512, 16),
            (256, 1_536, 64),
            (1_024, 512, 416),
            (1_024, 1_536, 416),
            (4_096, 512, 3_392),
            (20_000, 1_536, 18_272),
            (1_048_576, 1_536, 50_000),
            (u64::MAX, u64::MAX, 50_000),
        ] {
            let shared = clients(descriptors, upstreams);
            assert_eq!(shared, expected, "{descriptors} descriptors, {upstreams} upstream places");
        }
    }

    #[test]
    fn raising_goes_as_far_as_it_may_and_no_further() {
        let raised = raise();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| soft), Ok(raised));
        assert_eq!(raise(), raised);
    }
}
