//! The connections of one upstream, and whom it must prove itself to.

use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;

use crate::upstream::UpstreamSpec;

/// The upstream's own connections, idle ones kept: one upstream's load cannot push out another's.
pub(crate) struct Pool(Connector);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Pool {
    pub(crate) fn new(spec: &UpstreamSpec) -> Pool {
        let mut options = ConnectorOptions::new(spec.connections_max);
        options.ca_file = authorities(spec);
        Pool(Connector::new(Some(options)))
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.0
    }
}

/// A readable file of no authorities: nothing verifies against it.
const NO_AUTHORITIES: &str = "/dev/null";

/// The file of authorities to believe, `None` for the system's. Pingora panics where they cannot
/// be read; here every handshake with that upstream then fails instead.
fn authorities(spec: &UpstreamSpec) -> Option<String> {
    let nothing = Some(NO_AUTHORITIES.to_owned());
    let Some(tls) = &spec.tls else { return nothing };
    let Some(ca) = &tls.ca else {
        return match pingora::tls::load_native_certs() {
            Ok(_) => None,
            Err(error) => {
                tracing::error!(upstream = spec.name, %error, "the system's authorities cannot be read");
                nothing
            }
        };
    };
    let mut store = pingora::tls::RootCertStore::empty();
    match (pingora::tls::load_ca_file_into_store(ca, &mut store), ca.to_str()) {
        (Ok(()), Some(path)) => Some(path.to_owned()),
        _ => {
            tracing::error!(upstream = spec.name, ca = %ca.display(), "the authorities cannot be read");
            nothing
        }
    }
}
