//! The TLS side of a listener: certificate and key, and the handshake of each client in its time.
//!
//! Pingora would shake hands before it hands a connection over, within a minute that cannot be set,
//! and log each failure as an error, which a stranger can bring about as often as he likes.

use std::sync::Arc;
use std::time::Duration;

use pingora::listeners::tls::Acceptor;
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as Connection;
use pingora::tls::{ServerConfig, install_default_crypto_provider, load_certs_and_key_files};
use tokio::time::timeout;

use crate::listen::{ListenError, TlsFiles};

/// What a listener speaks, the better first (RFC 7301). A client that offers only others is refused.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Shakes hands with the clients of one listener.
pub(crate) struct Tls {
    acceptor: Acceptor,
}

impl Tls {
    /// # Errors
    /// [`ListenError::Tls`] when certificate and key cannot be used.
    pub(crate) fn load(files: &TlsFiles) -> Result<Tls, ListenError> {
        let unusable =
            || ListenError::Tls { certificate: files.certificate.clone(), key: files.key.clone() };
        let certificate = files.certificate.to_str().ok_or_else(unusable)?;
        let key = files.key.to_str().ok_or_else(unusable)?;
        let pair = load_certs_and_key_files(certificate, key).ok().flatten();
        let (chain, key) = pair.ok_or_else(unusable)?;
        install_default_crypto_provider();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.map_err(|_| unusable())?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Tls { acceptor: Acceptor::from_server_config(Arc::new(config)) })
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
        match timeout(limit, self.acceptor.tls_handshake(*connection)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(_)) => Err(Unshaken::Failed),
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

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}
