//! Certificates that tests make for themselves, and TLS clients that say what they were shown.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};

use super::waiting::DEADLINE;
use super::{Gateway, Key};

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

impl Pair {
    /// Signed by itself, for these names.
    pub(crate) fn of(names: &[&str]) -> Pair {
        Pair::with(params(names))
    }

    /// Good in these years alone, from first of January to first of January.
    pub(crate) fn between(names: &[&str], from: i32, until: i32) -> Pair {
        let mut params = params(names);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        Pair::with(params)
    }

    fn with(params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A client's certificate, good in these years.
    pub(crate) fn client(&self, from: i32, until: i32) -> Pair {
        let mut params = params(&["client.test"]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        self.signed(params)
    }

    /// For a name or an address.
    pub(crate) fn certify(&self, name: &str) -> Pair {
        self.signed(params(&[name]))
    }

    /// Whose day is over.
    pub(crate) fn certify_expired(&self, name: &str) -> Pair {
        let mut params = params(&[name]);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// A client that takes any certificate, and remembers its sessions.
#[derive(Clone)]
pub(crate) struct Caller(ClientConfig);

pub(crate) type Called = StreamOwned<ClientConnection, TcpStream>;

impl Caller {
    pub(crate) fn new() -> Caller {
        Caller::with(&[&TLS13, &TLS12], None)
    }

    pub(crate) fn of_version(version: &'static SupportedProtocolVersion) -> Caller {
        Caller::with(&[version], None)
    }

    /// With a certificate of its own to show.
    pub(crate) fn with(
        versions: &[&'static SupportedProtocolVersion],
        own: Option<&Pair>,
    ) -> Caller {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(vec![pair.der()], key).unwrap()
            }
        };
        config.resumption = Resumption::in_memory_sessions(8);
        Caller(config)
    }

    pub(crate) fn offering(mut self, protocols: &[&str]) -> Caller {
        self.0.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Shakes hands; an address for a name asks for none.
    pub(crate) fn call(&self, gateway: &Gateway, name: &str) -> std::io::Result<Called> {
        let socket = TcpStream::connect_timeout(&gateway.address(), DEADLINE)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let client = ClientConnection::new(Arc::new(self.0.clone()), name).unwrap();
        let mut stream = StreamOwned::new(client, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    /// The certificate that it is shown.
    pub(crate) fn shown(&self, gateway: &Gateway, name: &str) -> CertificateDer<'static> {
        shown(&self.call(gateway, name).unwrap())
    }

    /// The status that a request on a new connection is answered with, and whether its handshake was a
    /// whole one; `None` when there is no answer. A server may refuse a client when that one believes
    /// to have shaken hands.
    pub(crate) fn get(&self, gateway: &Gateway, key: &Key) -> Option<(u16, HandshakeKind)> {
        self.ask(gateway, &format!("Authorization: Bearer {}\r\n", key.text))
    }

    /// The same with these lines of the head.
    pub(crate) fn ask(&self, gateway: &Gateway, lines: &str) -> Option<(u16, HandshakeKind)> {
        let mut stream = self.call(gateway, "gateway.test").ok()?;
        let request = format!(
            "GET /api/calls HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n{lines}\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut said = Vec::new();
        // Its end may be a reset.
        let _ = stream.read_to_end(&mut said);
        let status = String::from_utf8_lossy(&said).split(' ').nth(1)?.parse().ok()?;
        Some((status, stream.conn.handshake_kind().unwrap()))
    }
}

pub(crate) fn shown(stream: &Called) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Who the server is does not matter; that it holds the key of what it shows does.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
