//! The TLS side of a listener: what it shows and asks for, and the handshake of each client in its time.
//!
//! Pingora would shake hands before it hands a connection over, within a minute that cannot be set,
//! and log each failure as an error, which a stranger can bring about as often as he likes.
//!
//! What is shown may be exchanged at any time: a handshake takes what is current at its beginning. Each
//! [`TlsTerms`] has a store of sessions of its own, so nobody goes on with a session that was begun under
//! other terms. Where clients show certificates, no session is resumed at all: a resumed one would be
//! good for longer than the certificate that it was begun with.
//!
//! Not here: files (`cli` reads them), and which certificate is for whom (`server_names.rs`).

use std::sync::Arc;
use std::time::Duration;

use gateway_policy::Published;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Connection;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::time::timeout;

use crate::certificate::Certificate;
use crate::server_names::ServerNames;

/// What a listener speaks, the better first (RFC 7301). A client that offers only others is refused.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// How many authorities may sign clients' certificates: all of them are named to each client.
pub const CLIENT_AUTHORITIES_MAX: usize = 100;

static OF_12: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
static OF_13: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The oldest version that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V12,
    V13,
}

/// What a listener shows to clients, and asks of them.
#[derive(Debug)]
pub struct TlsSpec {
    /// The first is also for clients that no other is for.
    pub certificates: Vec<Certificate>,
    pub min_version: TlsVersion,
    pub clients: Option<ClientAuthorities>,
}

/// Who signs clients' certificates.
#[derive(Debug)]
pub struct ClientAuthorities {
    pub authorities: Vec<CertificateDer<'static>>,
    /// Without a certificate nobody is served.
    pub required: bool,
}

/// Why there can be no handshakes on these terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    #[error("there is no certificate")]
    NoCertificate,
    #[error("a certificate in this file cannot be used as an authority")]
    NoAuthority,
    #[error(
        "there are more authorities in this file than the {CLIENT_AUTHORITIES_MAX} that there may be"
    )]
    TooManyAuthorities,
    #[error("these versions cannot be spoken")]
    Versions,
}

/// A [`TlsSpec`] that hands can be shaken with.
pub struct TlsTerms {
    acceptor: Acceptor,
    ends: Vec<CertificateEnd>,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CertificateEnd {
    /// Its first name; of one without, its place.
    pub(crate) certificate: String,
    /// Seconds since the epoch.
    pub(crate) at_s: i64,
}

impl TlsTerms {
    /// # Errors
    /// [`TermsError`].
    pub fn new(spec: TlsSpec) -> Result<TlsTerms, TermsError> {
        if spec.certificates.is_empty() {
            return Err(TermsError::NoCertificate);
        }
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = match spec.min_version {
            TlsVersion::V12 => &OF_12,
            TlsVersion::V13 => &OF_13,
        };
        let asks = spec.clients.is_some();
        let verifier = match spec.clients {
            Some(clients) => verifier(clients, &provider)?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(|_| TermsError::Versions)?;
        let names = Arc::new(ServerNames::new(&spec.certificates));
        let mut config = builder.with_client_cert_verifier(verifier).with_cert_resolver(names);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        if asks {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        let acceptor = Acceptor::from_server_config(Arc::new(config));
        Ok(TlsTerms { acceptor, ends: ends(&spec.certificates) })
    }
}

fn verifier(
    clients: ClientAuthorities,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TermsError> {
    if clients.authorities.len() > CLIENT_AUTHORITIES_MAX {
        return Err(TermsError::TooManyAuthorities);
    }
    let mut roots = RootCertStore::empty();
    for authority in clients.authorities {
        roots.add(authority).map_err(|_| TermsError::NoAuthority)?;
    }
    let provider = Arc::clone(provider);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if clients.required { verifier } else { verifier.allow_unauthenticated() };
    verifier.build().map_err(|_| TermsError::NoAuthority)
}

fn ends(certificates: &[Certificate]) -> Vec<CertificateEnd> {
    let all = certificates.iter().enumerate().filter_map(|(place, certificate)| {
        let at_s = certificate.validity()?.until_s;
        let name = certificate.names().first().cloned().unwrap_or_else(|| place.to_string());
        Some(CertificateEnd { certificate: name, at_s })
    });
    all.collect()
}

/// Shakes hands with the clients of one listener.
#[derive(Debug)]
pub struct Tls {
    current: Published<TlsTerms>,
}

impl Tls {
    pub fn new(terms: TlsTerms) -> Tls {
        Tls { current: Published::new(terms) }
    }

    /// Handshakes that begin from now on are on these terms. Connections that stand go on.
    pub fn put(&self, terms: TlsTerms) {
        self.current.publish(terms);
    }

    pub(crate) fn ends(&self) -> Vec<CertificateEnd> {
        self.current.current().ends.clone()
    }

    /// The connection under TLS.
    ///
    /// # Errors
    /// The client will not, cannot, or takes longer than `limit` for the whole of it.
    pub(crate) async fn handshake(
        &self,
        stream: Stream,
        limit: Duration,
    ) -> Result<Stream, Unshaken> {
        let connection = stream.into_any().downcast::<Connection>();
        let connection = connection.map_err(|_| Unshaken::Failed)?;
        let terms = self.current.current();
        match timeout(limit, terms.acceptor.tls_handshake(*connection)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => {
                // For who looks for it: strangers bring it about as often as they like.
                tracing::debug!(%error, "a handshake failed");
                Err(Unshaken::Failed)
            }
            Err(_) => Err(Unshaken::Late),
        }
    }
}

/// Why there is no connection under TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unshaken {
    /// The client will not, or cannot.
    Failed,
    Late,
}

impl std::fmt::Debug for TlsTerms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsTerms").field("ends", &self.ends).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
