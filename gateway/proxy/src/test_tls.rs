//! A TLS server's side for unit tests, and what its peer must believe.
#![allow(clippy::unwrap_used)]

use crate::tls::Tls;
use crate::tls::tests::TlsFiles;
use crate::upstream_tls::{TlsFilesRead, UpstreamTls};

/// A server for `name`, and an upstream's TLS that believes it when it is asked for as `asked_for`.
pub(crate) fn server(name: &str, asked_for: &str) -> (Tls, UpstreamTls) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let files = TlsFiles { certificate: file("certificate.pem"), key: file("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let read = TlsFilesRead { ca: Some(made.cert.pem()), client: None };
    (Tls::load(&files).unwrap(), UpstreamTls::new(asked_for, read).unwrap())
}
