//! An authority, and the certificates that it signs.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// Who signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub(crate) struct Certified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    /// Its own certificate, to be believed.
    pub(crate) fn pem(&self) -> String {
        self.issuer.as_ref().pem()
    }

    /// For a name or an address.
    pub(crate) fn certify(&self, name: &str) -> Certified {
        self.signed(params(name))
    }

    /// Whose day is over.
    pub(crate) fn certify_expired(&self, name: &str) -> Certified {
        let mut params = params(name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Certified {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certified { certificate, key: key.serialize_pem() }
    }
}

/// Signed by nobody else.
pub(crate) fn self_signed(name: &str) -> Certified {
    let key = KeyPair::generate().unwrap();
    let certificate = params(name).self_signed(&key).unwrap().pem();
    Certified { certificate, key: key.serialize_pem() }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}
