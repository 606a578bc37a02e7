//! TLS files of a configuration → what listeners serve with and upstreams are spoken to with, or what is wrong
//! with each of them.
//!
//! `check`, a start and a reload judge alike: files are read as text of a bounded size and handed to the
//! library that serves with them. Nothing of them is shown. All faults of all files together, each at
//! its place; what can be served, but hardly was meant, is a warning.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use gateway_policy::UnixMs;
use gateway_proxy::{
    Certificate, ClientAuthorities, Mismatch, TermsError, TlsFilesRead, TlsSpec, TlsTerms,
    TlsVersion, UpstreamTls, UpstreamTlsError, Validity, shadowed,
};
use gateway_settings::{
    CertificateFiles, ClientCertificates, Fault, Listener, ListenerTls, Settings, Step, Upstream,
    fault_at,
};
use gateway_store::ReadError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) use files::TlsFiles;

mod files;

const HELP: &str = "a PEM file that this process may read; a start tries the same";
const RENEW: &str = "renew it; clients that look at it refuse the connection";

/// Why a TLS file cannot be used.
#[derive(Debug)]
pub(crate) enum TlsError {
    Unreadable(ReadError),
    NoCertificate,
    NoKey,
    Mismatch(Mismatch),
    Terms(TermsError),
    Upstream(UpstreamTlsError),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsError::Unreadable(error) => return error.fmt(f),
            TlsError::Mismatch(error) => return error.fmt(f),
            TlsError::Terms(error) => return error.fmt(f),
            TlsError::Upstream(error) => return error.fmt(f),
            TlsError::NoCertificate => "there is no certificate in this file",
            TlsError::NoKey => "there is no private key in this file",
        })
    }
}

impl From<ReadError> for TlsError {
    fn from(error: ReadError) -> TlsError {
        TlsError::Unreadable(error)
    }
}

/// The certificates in a text, at least one.
fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::NoCertificate)
}

fn key(text: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| TlsError::NoKey)
}

/// A configuration's text, in which faults are shown, and when that is.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub(crate) text: &'a str,
    pub(crate) file: &'a Path,
    pub(crate) at: UnixMs,
}

/// What hands can be shaken with.
pub(crate) struct Read {
    /// One a listener, in the order of the settings, with its address as configured; none of a
    /// listener without TLS, or with a fault.
    pub(crate) terms: Vec<(SocketAddr, Option<TlsTerms>)>,
    /// One an upstream, in the order of the settings; none of one without TLS, or with a fault.
    pub(crate) upstreams: Vec<Option<UpstreamTls>>,
    /// Warnings among them.
    pub(crate) faults: Vec<Fault>,
}

impl Read {
    /// Whether all of it can be used.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.iter().all(|fault| fault.warning)
    }
}

/// Reads and judges the files of all listeners and upstreams.
pub(crate) fn read(settings: &Settings, files: &mut TlsFiles, shown: Shown<'_>) -> Read {
    let mut reader = Reader { files, shown, faults: Vec::new() };
    let terms = |(index, listener): (usize, &Listener)| {
        let tls = listener.tls.as_ref();
        (listener.address, tls.and_then(|tls| reader.terms(index, tls)))
    };
    let terms = settings.listeners.iter().enumerate().map(terms).collect();
    let upstreams = settings.upstreams.iter().map(|upstream| reader.upstream(upstream)).collect();
    Read { terms, upstreams, faults: reader.faults }
}

struct Reader<'a> {
    files: &'a mut TlsFiles,
    shown: Shown<'a>,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn terms(&mut self, listener: usize, tls: &ListenerTls) -> Option<TlsTerms> {
        let pairs: Vec<_> = tls
            .certificates()
            .enumerate()
            .map(|(place, CertificateFiles { certificate, key })| {
                let way = Way { listener, place };
                self.pair([&way.to("certificate"), &way.to("key")], certificate, key)
            })
            .collect();
        let clients = tls.clients.as_ref().map(|clients| self.clients(listener, clients));
        let certificates = pairs.into_iter().collect::<Option<Vec<_>>>()?;
        self.warn(listener, &certificates);
        let clients = match clients {
            Some(clients) => Some(clients?),
            None => None,
        };
        let min_version = match tls.min_version {
            gateway_settings::TlsVersion::V12 => TlsVersion::V12,
            gateway_settings::TlsVersion::V13 => TlsVersion::V13,
        };
        let terms = TlsTerms::new(TlsSpec { certificates, min_version, clients });
        terms.map_err(|error| self.fault(&ca(listener), &TlsError::Terms(error))).ok()
    }

    /// What an upstream must prove and is shown.
    fn upstream(&mut self, upstream: &Upstream) -> Option<UpstreamTls> {
        let tls = upstream.tls.as_ref()?;
        let way = |end| ["upstreams", &*upstream.name, "tls", end].map(Step::Key);
        let before = self.faults.len();
        let ca = tls.ca.as_ref().and_then(|ca| self.parsed(&way("ca"), ca, certificates));
        let client = tls.client.as_ref().and_then(|(certificate, key)| {
            let certificate = self.parsed(&way("certificate"), certificate, certificates);
            let key = self.parsed(&way("key"), key, self::key);
            Some((certificate?.0, key?.0))
        });
        let made = |ca, client| UpstreamTls::new(&tls.sni, TlsFilesRead { ca, client });
        // Also of what is left where one of them has a fault, to find all faults at once.
        let ca = ca.map(|(text, _)| text);
        let first = made(ca, client.clone());
        let second = match first {
            Err(UpstreamTlsError::Authorities) => made(None, client).err(),
            _ => None,
        };
        for error in first.as_ref().err().into_iter().chain(&second) {
            let (end, error) = match error {
                UpstreamTlsError::Name => ("sni", TlsError::Upstream(*error)),
                UpstreamTlsError::Authorities => ("ca", TlsError::Terms(TermsError::NoAuthority)),
                UpstreamTlsError::Client => ("key", TlsError::Mismatch(Mismatch)),
            };
            self.fault(&way(end), &error);
        }
        first.ok().filter(|_| self.faults.len() == before)
    }

    /// The text of a file and what is in it.
    fn parsed<T>(
        &mut self,
        way: &[Step<'_>],
        path: &Path,
        parse: impl FnOnce(&str) -> Result<T, TlsError>,
    ) -> Option<(String, T)> {
        let text = self.files.read(path).map_err(TlsError::from);
        let parsed = text.and_then(|text| parse(&text).map(|parsed| (text, parsed)));
        parsed.map_err(|error| self.fault(way, &error)).ok()
    }

    /// A certificate and its key, with the ways to both.
    fn pair(
        &mut self,
        [certificate_way, key_way]: [&[Step<'_>]; 2],
        certificate: &Path,
        key: &Path,
    ) -> Option<Certificate> {
        let chain = self.parsed(certificate_way, certificate, certificates);
        let key = self.parsed(key_way, key, self::key);
        Certificate::new(chain?.1, key?.1)
            .map_err(|error| self.fault(key_way, &TlsError::Mismatch(error)))
            .ok()
    }

    fn clients(
        &mut self,
        listener: usize,
        clients: &ClientCertificates,
    ) -> Option<ClientAuthorities> {
        let (_, authorities) = self.parsed(&ca(listener), &clients.ca, certificates)?;
        Some(ClientAuthorities { authorities, required: clients.required })
    }

    fn fault(&mut self, way: &[Step<'_>], error: &TlsError) {
        let Shown { text, file, .. } = self.shown;
        self.faults.push(fault_at(text, file, way, error.to_string(), HELP));
    }

    fn warning(&mut self, way: &[Step<'_>], message: String, help: &str) {
        let Shown { text, file, .. } = self.shown;
        let fault = fault_at(text, file, way, message, help);
        self.faults.push(Fault { warning: true, ..fault });
    }

    fn warn(&mut self, listener: usize, certificates: &[Certificate]) {
        for (place, certificate) in certificates.iter().enumerate() {
            let way = Way { listener, place }.to("certificate");
            if let Some(message) = out_of_time(certificate.validity(), self.shown.at) {
                self.warning(&way, message, RENEW);
            }
            if place > 0 && certificate.names().is_empty() {
                let help = "only the first certificate needs no DNS name: clients get it that no other is for";
                self.warning(&way, "is for no DNS name, so no client gets it".into(), help);
            }
        }
        for taken in shadowed(certificates) {
            let first = match taken.by {
                0 => "`tls.certificate`".to_owned(),
                by => format!("`certificates[{}]`", by - 1),
            };
            let message = format!("is for `{}`, for which {first} is served", taken.name);
            let help = "of several certificates for a name the first is served; remove one";
            self.warning(
                &Way { listener, place: taken.certificate }.to("certificate"),
                message,
                help,
            );
        }
    }
}

/// Why clients do not take a certificate now, or soon will not.
fn out_of_time(validity: Option<Validity>, at: UnixMs) -> Option<String> {
    let Validity { from_s, until_s } = validity?;
    let at_s = i64::try_from(at.seconds()).unwrap_or(i64::MAX);
    let day = |s: i64| {
        let time = jiff::Timestamp::from_second(s).unwrap_or(jiff::Timestamp::MAX);
        format!("{time}")
    };
    if at_s > until_s {
        return Some(format!("the certificate has ended at {}", day(until_s)));
    }
    (at_s < from_s).then(|| format!("the certificate is not good before {}", day(from_s)))
}

/// The way to a listener's pair; 0 is the main one.
struct Way {
    listener: usize,
    place: usize,
}

impl Way {
    fn to<'s>(&self, end: &'s str) -> Vec<Step<'s>> {
        let mut steps = tls(self.listener);
        if let Some(further) = self.place.checked_sub(1) {
            steps.extend([Step::Key("certificates"), Step::Item(further)]);
        }
        steps.push(Step::Key(end));
        steps
    }
}

fn tls<'s>(listener: usize) -> Vec<Step<'s>> {
    vec![Step::Key("listeners"), Step::Item(listener), Step::Key("tls")]
}

fn ca<'s>(listener: usize) -> Vec<Step<'s>> {
    [tls(listener), vec![Step::Key("client_certificates"), Step::Key("ca")]].concat()
}
