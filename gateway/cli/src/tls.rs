//! Whether the TLS files of a configuration can be used, found before a start fails over them.
//!
//! Reads them as text of a bounded size and hands them to the library that serves with them; what
//! they say is judged there. Nothing of them is kept or shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gateway_store::{ReadError, read_text};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Largest PEM file that is read: some thousand authorities.
pub(crate) const PEM_BYTES_MAX: u64 = 8 << 20;

/// Why a TLS file cannot be used.
#[derive(Debug)]
pub(crate) enum TlsError {
    Unreadable(ReadError),
    NoCertificate,
    NoKey,
    Mismatch,
    NoAuthority,
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsError::Unreadable(error) => return error.fmt(f),
            TlsError::NoCertificate => "there is no certificate in this file",
            TlsError::NoKey => "there is no private key in this file",
            TlsError::Mismatch => {
                "the key is not this certificate's, or one of the two cannot be used"
            }
            TlsError::NoAuthority => "a certificate in this file cannot be used as an authority",
        })
    }
}

impl From<ReadError> for TlsError {
    fn from(error: ReadError) -> TlsError {
        TlsError::Unreadable(error)
    }
}

/// The chain in a `certificate`.
pub(crate) fn certificate(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read_text(path, PEM_BYTES_MAX)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)
}

/// The key in a `key`.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_text(path, PEM_BYTES_MAX)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| TlsError::NoKey)
}

/// Whether the two can be shown together, by a server or by a client.
pub(crate) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<(), TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Mismatch)?;
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    config.map(drop).map_err(|_| TlsError::Mismatch)
}

/// The authorities in an upstream's `ca`.
pub(crate) fn authorities(path: &Path) -> Result<(), TlsError> {
    let mut store = RootCertStore::empty();
    for authority in certificate(path)? {
        store.add(authority).map_err(|_| TlsError::NoAuthority)?;
    }
    Ok(())
}
