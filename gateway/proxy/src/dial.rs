//! New connections to the servers of one upstream, ready for a request.
//!
//! One time, `connect`, covers all of it: TCP, TLS, and for HTTP/2 the answer that shows it is spoken there.
//!
//! Not here: connections that are kept (`pool`) or shared (`h2_lines`), whom to connect to (`upstream`).

use std::time::Duration;

use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::{ALPN, Stream};
use pingora::time::timeout;
use pingora::upstreams::peer::HttpPeer;

use crate::h2_line::Http2Line;
use crate::upstream_tls::Shaker;
use crate::upstreams::{Http2, UpstreamSpec};
use crate::watched::Watched;

/// A readable file of no authorities, for the TLS of Pingora's that is not used.
const NO_AUTHORITIES: &str = "/dev/null";

/// Opens connections.
pub(crate) struct Dialer {
    connector: TransportConnector,
    tls: Option<Shaker>,
    http2: Http2,
    time: Duration,
}

/// A connection that has carried no request yet.
#[expect(clippy::large_enum_variant, reason = "made to be taken apart at once")]
pub(crate) enum Dialed {
    Http1(HttpSession),
    Http2(Http2Line),
}

/// Why there is no connection; nothing of a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unconnected {
    Late,
    Refused,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer")
    }
}

impl Dialer {
    pub(crate) fn new(spec: &UpstreamSpec) -> Dialer {
        let mut options = ConnectorOptions::new(0);
        options.ca_file = Some(NO_AUTHORITIES.to_owned());
        Dialer {
            connector: TransportConnector::new(Some(options)),
            tls: spec.tls.as_ref().map(|tls| tls.shaker(spec.http2, &spec.name)),
            http2: spec.http2,
            time: spec.timeouts.connect,
        }
    }

    /// A new connection, hands shaken, in the version of HTTP that was agreed on.
    pub(crate) async fn dial(&self, peer: &HttpPeer) -> Result<Dialed, Unconnected> {
        timeout(self.time, self.dialed(peer)).await.unwrap_or(Err(Unconnected::Late))
    }

    async fn dialed(&self, peer: &HttpPeer) -> Result<Dialed, Unconnected> {
        let stream = self.connector.new_stream(peer).await.map_err(|_| Unconnected::Refused)?;
        let stream = match &self.tls {
            Some(tls) => tls.shaken(stream).await.ok_or(Unconnected::Refused)?,
            None => stream,
        };
        if self.agreed_on_http2(&stream)? {
            let line = Http2Line::open(stream).await.ok_or(Unconnected::Refused)?;
            return Ok(Dialed::Http2(line));
        }
        let connection = Box::new(Watched::answering(stream));
        Ok(Dialed::Http1(HttpSession::new_with_options(connection, peer)))
    }

    fn agreed_on_http2(&self, stream: &Stream) -> Result<bool, Unconnected> {
        let agreed = match self.http2 {
            Http2::Off => return Ok(false),
            // Known beforehand (RFC 9113 §3.3).
            Http2::Only if self.tls.is_none() => true,
            Http2::Only | Http2::Auto => stream.selected_alpn_proto() == Some(ALPN::H2),
        };
        // A server may disregard what was offered to it.
        if !agreed && self.http2 == Http2::Only { Err(Unconnected::Refused) } else { Ok(agreed) }
    }
}
