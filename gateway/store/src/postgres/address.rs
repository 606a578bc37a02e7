//! Where a server is, how it is spoken to, and one connection to it.
//!
//! A URL without `sslmode` is spoken to in the clear. `prefer` is refused: who can cut in can also take
//! the preference away. `require`, `verify-ca` and `verify-full` are the same here: the certificate
//! must be good for the host.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::session::fault;
use crate::file::read_text;
use crate::store::StoreError;

const CONNECT_MAX: Duration = Duration::from_secs(3);
/// Bytes that were sent and are not acknowledged for so long end the connection.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(5);
const KEEPALIVES_LOST_MAX: u32 = 3;
/// Largest file of authorities that is read.
const PEM_BYTES_MAX: u64 = 8 << 20;

/// A server, a database and a user, with the password. Shows all but the password.
#[derive(Clone)]
pub(super) struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

/// What drives a connection until it ends.
pub(super) enum Driver {
    Plain(Box<Connection<Socket, tokio_postgres::tls::NoTlsStream>>),
    Tls(Box<Connection<Socket, TlsStream>>),
}

type TlsStream = <MakeRustlsConnect as tokio_postgres::tls::MakeTlsConnect<Socket>>::Stream;

impl Address {
    pub(super) fn parse(url: &str) -> Result<Address, StoreError> {
        let (url, tls) = without_tls(url)?;
        // The library's reason could repeat a piece of a password with a `?` in it.
        let unclear = |_| unusable("its URL is not postgres://USER:PASSWORD@HOST:PORT/DATABASE");
        let mut config: Config = url.parse().map_err(unclear)?;
        config
            .connect_timeout(CONNECT_MAX)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_EVERY)
            .keepalives_interval(KEEPALIVE_EVERY)
            .keepalives_retries(KEEPALIVES_LOST_MAX)
            .ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        if config.get_application_name().is_none() {
            config.application_name("colonnade");
        }
        Ok(Address { config, tls })
    }

    pub(super) async fn connect(&self) -> Result<(Client, Driver), StoreError> {
        let away = |error| match fault(error) {
            StoreError::Unreachable(text) => StoreError::Unreachable(format!("{self}: {text}")),
            other => other,
        };
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(away)?;
                Ok((client, Driver::Plain(Box::new(connection))))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(away)?;
                Ok((client, Driver::Tls(Box::new(connection))))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = self.config.get_ports();
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => write!(f, "{name}:{port} ")?,
                Host::Unix(folder) => write!(f, "{}:{port} ", folder.display())?,
            }
        }
        write!(f, "database {}", self.config.get_dbname().unwrap_or("of the user"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL without what it says of TLS, and what that comes to.
fn without_tls(url: &str) -> Result<(String, Option<MakeRustlsConnect>), StoreError> {
    // A password may have a `?` in it.
    let behind_password = url.find('@').unwrap_or_default();
    let Some(mark) = url[behind_password..].find('?') else {
        return Ok((url.to_owned(), None));
    };
    let (place, query) = url.split_at(behind_password + mark);
    let query = query.trim_start_matches('?');
    let (mut kept, mut wanted, mut authorities) = (Vec::new(), false, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", "disable")) => wanted = false,
            Some(("sslmode", "require" | "verify-ca" | "verify-full")) => wanted = true,
            Some(("sslmode", _)) => {
                return Err(unusable("`sslmode` must be `require`, `verify-full` or `disable`"));
            }
            Some(("sslrootcert", file)) => authorities = Some(file),
            _ => kept.push(pair),
        }
    }
    let tls = if wanted { Some(tls(authorities.map(Path::new))?) } else { None };
    let mark = if kept.is_empty() { "" } else { "?" };
    Ok((format!("{place}{mark}{}", kept.join("&")), tls))
}

fn tls(authorities: Option<&Path>) -> Result<MakeRustlsConnect, StoreError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            let text = read_text(file, PEM_BYTES_MAX);
            let text = text.map_err(|error| unusable(&error.to_string()))?;
            let unread = || unusable(&format!("{} holds no certificates", file.display()));
            for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                roots.add(certificate.map_err(|_| unread())?).map_err(|_| unread())?;
            }
        }
        None => {
            let unread = |error| unusable(&format!("the system's authorities: {error}"));
            let known = rustls_native_certs::load_native_certs().map_err(unread)?;
            // Some systems carry certificates that nobody can use.
            roots.add_parsable_certificates(known);
        }
    }
    if roots.is_empty() {
        return Err(unusable("there is no authority that could have signed its certificate"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| unusable(&error.to_string()))?;
    Ok(MakeRustlsConnect::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn unusable(what: &str) -> StoreError {
    StoreError::Unreachable(format!("PostgreSQL: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Whatever is wrong with a URL, its password stays where it is.
    #[test]
    fn no_error_and_no_address_shows_the_password() {
        for (url, is_good) in [
            ("postgres://ann:s3cret@db.test:5433/keys", true),
            ("postgresql://ann:s3cret@db.test/keys?sslmode=disable&application_name=x", true),
            ("postgres://ann:s3cret@/keys?host=/run/pg", true),
            ("postgres://ann:s3cret@db.test/keys?sslmode=prefer", false),
            ("postgres://ann:pass?sslmode=s3cret@db.test/keys?sslmode=disable", true),
            ("postgres://ann:s3cret@db.test:port/keys", false),
            ("postgres://%ff:s3cret@db.test/keys", false),
            ("postgres://ann:s3cret@db.test/keys?sslmode=require&sslrootcert=/nowhere", false),
        ] {
            let text = match Address::parse(url) {
                Ok(address) => {
                    assert!(is_good, "{url}");
                    format!("{address} {address:?}")
                }
                Err(error) => {
                    assert!(!is_good, "{url}: {error}");
                    format!("{error} {error:?}")
                }
            };
            assert!(!text.contains("s3cret"), "{text}");
        }
    }

    #[test]
    fn an_address_names_the_server_and_the_database() {
        let address = Address::parse("postgres://ann:x@db.test:5433,other.test/keys").unwrap();
        assert_eq!(address.to_string(), "db.test:5433 other.test:5432 database keys");
    }
}
