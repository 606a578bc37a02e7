//! A certificate with its key: for which names it is, and for how long.
//!
//! Whether the two belong together is judged by the library that serves with them. Who signed the
//! certificate is not looked at: that is what clients do, with authorities of their own.
//!
//! Not here: which certificate a client gets (`server_names.rs`), and where it comes from.
//! Sources: RFC 5280 §4.1.2.5 and §4.2.1.6; RFC 9525 §6.3, names are those of the extension alone.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::GeneralName;

/// What a listener may show to clients.
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    names: Vec<String>,
    validity: Option<Validity>,
}

/// Seconds since the epoch, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from_s: i64,
    pub until_s: i64,
}

/// Certificate and key that nobody can serve with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key is not this certificate's, or one of the two cannot be used")]
pub struct Mismatch;

impl Certificate {
    /// `chain` begins with the certificate itself.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Certificate, Mismatch> {
        let (names, validity) = chain.first().map(|leaf| facts(leaf)).unwrap_or_default();
        let provider = ring::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider).map_err(|_| Mismatch)?;
        Ok(Certificate { key: Arc::new(key), names, validity })
    }

    /// The DNS names that it is for, in lower case; `*.` is a wildcard.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// `None` where it cannot be read, which old forms of certificates bring about.
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }
}

/// Of a certificate that cannot be read in full, nothing: it is served to whom no other is for.
fn facts(leaf: &[u8]) -> (Vec<String>, Option<Validity>) {
    let Ok((_, leaf)) = parse_x509_certificate(leaf) else { return Default::default() };
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let dns = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let validity = leaf.validity();
    let (from_s, until_s) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    (dns.collect(), Some(Validity { from_s, until_s }))
}

/// Nothing of the key.
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Certificate { names, validity, .. } = self;
        f.debug_struct("Certificate").field("names", names).field("validity", validity).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A certificate of its own for these names.
    pub(crate) fn certificate(names: &[&str]) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 2);
        let own = params.self_signed(&key).unwrap();
        Certificate::new(vec![own.der().clone()], key.into()).unwrap()
    }

    #[test]
    fn names_are_those_of_the_extension_and_days_those_of_the_certificate() {
        let one = certificate(&["A.Test", "*.b.test", "127.0.0.1"]);
        assert_eq!(one.names(), ["a.test", "*.b.test"]);
        let validity = Validity { from_s: 1_577_836_800, until_s: 1_577_923_200 };
        assert_eq!(one.validity(), Some(validity));
        assert_eq!(certificate(&[]).names(), [""; 0]);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let der = params.self_signed(&own).unwrap().der().clone();
        assert!(Certificate::new(vec![der.clone()], other.into()).is_err());
        assert!(Certificate::new(vec![], KeyPair::generate().unwrap().into()).is_err());
        assert!(Certificate::new(vec![der[..50].to_vec().into()], own.into()).is_err());
    }

    #[test]
    fn nothing_shows_a_key() {
        let shown = format!("{:?}", certificate(&["a.test"]));
        assert!(!shown.to_lowercase().contains("key"), "{shown}");
    }
}
