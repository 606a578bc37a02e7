//! `colonnade health`: asks the running gateway; for a container's HEALTHCHECK.

use std::path::Path;
use std::time::Duration;

use crate::exit;
use crate::load::{self, Surroundings};
use crate::terminal;

const WAIT: Duration = Duration::from_secs(3);

/// Asks `/livez` or `/readyz` of the telemetry listener that the configuration names.
pub(crate) fn run(path: &Path, ready: bool) -> u8 {
    let around = Surroundings::default();
    let loaded = match load::configuration_text(path)
        .and_then(|text| load::configuration(&text, path, &around))
    {
        Ok(loaded) => loaded,
        Err(error) => {
            error.lines().iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            return exit::INVALID_CONFIGURATION;
        }
    };
    let mut address = loaded.settings.telemetry.address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    let url = format!("http://{address}/{}", if ready { "readyz" } else { "livez" });
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(WAIT)).build().into();
    match agent.get(&url).call() {
        Ok(_) => {
            println!("ok: {url}");
            exit::OK
        }
        Err(error) => {
            eprintln!("not ok: {url}: {error}");
            exit::FAILED
        }
    }
}
