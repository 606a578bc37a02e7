#![allow(clippy::unwrap_used)]
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::certificate::tests::certificate;

/// PEM files.
pub(crate) struct TlsFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Tls {
    /// Of one certificate, whoever the clients are.
    pub(crate) fn load(files: &TlsFiles) -> Result<Tls, TermsError> {
        let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let certificate = Certificate::new(chain, key).unwrap();
        Ok(Tls::new(TlsTerms::new(spec(vec![certificate]))?))
    }
}

fn spec(certificates: Vec<Certificate>) -> TlsSpec {
    TlsSpec { certificates, min_version: TlsVersion::V12, clients: None }
}

pub(crate) fn terms(certificates: Vec<Certificate>) -> TlsTerms {
    TlsTerms::new(spec(certificates)).unwrap()
}

/// A certificate that may sign others.
fn authority() -> CertificateDer<'static> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

#[test]
fn terms_need_a_certificate_and_authorities_that_can_be_used() {
    let clients = |authorities: Vec<CertificateDer<'static>>| {
        let clients = Some(ClientAuthorities { authorities, required: true });
        let result = TlsTerms::new(TlsSpec { clients, ..spec(vec![certificate(&["a.test"])]) });
        result.map(drop)
    };
    let many = |count| vec![authority(); count];
    let none = TlsTerms::new(spec(Vec::new())).map(drop);
    assert_eq!(none, Err(TermsError::NoCertificate));
    assert_eq!(clients(many(1)), Ok(()));
    assert_eq!(clients(Vec::new()), Err(TermsError::NoAuthority));
    assert_eq!(clients(vec![vec![1, 2, 3].into()]), Err(TermsError::NoAuthority));
    assert_eq!(clients(many(CLIENT_AUTHORITIES_MAX)), Ok(()));
    assert_eq!(clients(many(CLIENT_AUTHORITIES_MAX + 1)), Err(TermsError::TooManyAuthorities));
}
