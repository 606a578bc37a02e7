//! TLS towards one upstream: what it must prove, to whom, and what it is shown in return.
//!
//! Hands are shaken here and not by Pingora's connector, which takes an empty name for leave not to
//! verify, and panics over a file that it cannot use. Here nothing can be written that does not verify: without
//! files that can be used no authority is believed, and every handshake fails.
//!
//! The files are compared by what was read, so that a reload finds a renewed one.
//!
//! Not here: reading them, which is whoever configures; how long a handshake may take (`dial`).
//!
//! Sources: RFC 6066 §3 (server names, which are no addresses), RFC 7301 (the protocol that is agreed on).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Connection;
use pingora::protocols::tls::client::handshake;
use pingora::tls::{TlsConnector, load_platform_certs_incl_env_into_store};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use crate::clock::Stopwatch;
use crate::upstreams::Http2;

/// How often the log says that an upstream's servers do not prove themselves.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What an upstream's certificate must be, and the certificate that it is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    name: String,
    files: Arc<TlsFilesRead>,
}

/// The texts of the PEM files.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TlsFilesRead {
    /// The authorities to believe; `None`: the system's.
    pub ca: Option<String>,
    /// Certificate and key to be known by.
    pub client: Option<(String, String)>,
}

/// Why nothing can be proved with what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamTlsError {
    #[error("the server's name is neither a host name nor an address")]
    Name,
    #[error("no authority can be read from `ca`")]
    Authorities,
    #[error("`certificate` and `key` cannot be used together")]
    Client,
}

impl UpstreamTls {
    /// # Errors
    /// [`UpstreamTlsError`] where a handshake could never be made with it.
    pub fn new(name: &str, files: TlsFilesRead) -> Result<UpstreamTls, UpstreamTlsError> {
        ServerName::try_from(name).map_err(|_| UpstreamTlsError::Name)?;
        // Tried now, with whoever configures at hand; the system's authorities are read where they are used.
        let believed = match &files.ca {
            Some(ca) => authorities(ca)?,
            None => RootCertStore::empty(),
        };
        config(believed, &files)?;
        Ok(UpstreamTls { name: name.to_owned(), files: Arc::new(files) })
    }

    /// Whoever shakes hands with the servers of `upstream`.
    pub(crate) fn shaker(&self, http2: Http2, upstream: &str) -> Shaker {
        let believed = match &self.files.ca {
            Some(ca) => authorities(ca),
            None => Ok(system_authorities(upstream)),
        };
        let config = believed.and_then(|believed| config(believed, &self.files)).ok();
        let config = config.map(|mut config| {
            config.alpn_protocols =
                protocols(http2).iter().map(|name| name.as_bytes().to_vec()).collect();
            TlsConnector::from(Arc::new(config))
        });
        let (name, upstream) = (self.name.clone(), upstream.to_owned());
        Shaker { name, upstream, config, complained: Mutex::default() }
    }
}

/// Without the key.
impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for TlsFilesRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsFilesRead")
    }
}

/// The better first.
fn protocols(http2: Http2) -> &'static [&'static str] {
    match http2 {
        Http2::Off => &["http/1.1"],
        Http2::Auto => &["h2", "http/1.1"],
        Http2::Only => &["h2"],
    }
}

fn authorities(pem: &str) -> Result<RootCertStore, UpstreamTlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem).ok_or(UpstreamTlsError::Authorities)? {
        store.add(certificate).map_err(|_| UpstreamTlsError::Authorities)?;
    }
    Ok(store)
}

/// All certificates of a PEM text; `None` where there is none, or one is broken.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.ok().filter(|certificates| !certificates.is_empty())
}

fn system_authorities(upstream: &str) -> RootCertStore {
    let mut store = RootCertStore::empty();
    if let Err(error) = load_platform_certs_incl_env_into_store(&mut store) {
        tracing::error!(upstream, %error, "the system's authorities cannot be read");
        return RootCertStore::empty();
    }
    store
}

fn config(believed: RootCertStore, files: &TlsFilesRead) -> Result<ClientConfig, UpstreamTlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| UpstreamTlsError::Authorities)?
        .with_root_certificates(believed);
    let Some((certificate, key)) = &files.client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate).ok_or(UpstreamTlsError::Client)?;
    let key =
        PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| UpstreamTlsError::Client)?;
    builder.with_client_auth_cert(chain, key).map_err(|_| UpstreamTlsError::Client)
}

/// Shakes hands with the servers of one upstream.
pub(crate) struct Shaker {
    /// What the certificate must be for. An address goes unsaid (RFC 6066 §3), and is verified.
    name: String,
    /// For the log.
    upstream: String,
    /// `None`: nobody is believed.
    config: Option<TlsConnector>,
    complained: Mutex<Option<Stopwatch>>,
}

impl Shaker {
    /// The connection under TLS; `None` where the server did not prove itself, or spoke no TLS.
    pub(crate) async fn shaken(&self, stream: Stream) -> Option<Stream> {
        let config = self.config.as_ref()?;
        let connection = stream.into_any().downcast::<Connection>().ok()?;
        match handshake(config, &self.name, *connection).await {
            Ok(shaken) => Some(Box::new(shaken)),
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Says why, once a minute: each request to such a server meets it.
    fn complain(&self, error: &pingora::Error) {
        let (upstream, server_name) = (&self.upstream, &self.name);
        let mut complained = self.complained.lock();
        if complained.is_none_or(|since| since.elapsed() >= COMPLAIN_EVERY) {
            *complained = Some(Stopwatch::start());
            tracing::warn!(upstream, server_name, %error, "a server does not prove itself");
        } else {
            tracing::debug!(upstream, server_name, %error, "a server does not prove itself");
        }
    }
}

impl fmt::Debug for Shaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shaker")
    }
}
