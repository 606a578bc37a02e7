//! A place and a server that a request has, and the connections it gets there.
//!
//! Not here: which server (`upstream`), what is kept (`pool`), what is shared (`h2_lines`).

use std::sync::Arc;

use http::HeaderValue;
use http::uri::Scheme;
use pingora::protocols::http::v1::client::HttpSession;

use super::Upstream;
use crate::breaker::Pass;
use crate::dial::{Dialed, Unconnected};
use crate::endpoint::Endpoint;
use crate::h2_lines::Serial;
use crate::session::Session;
use crate::upstreams::Http2;

/// A place in an upstream.
#[derive(Debug)]
pub(crate) struct Permit {
    pub(super) upstream: Arc<Upstream>,
    pub(crate) pass: Pass,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.upstream.places.give_back();
    }
}

/// A server chosen for one try.
#[derive(Debug)]
pub(crate) struct Picked {
    pub(super) upstream: Arc<Upstream>,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Picked {
    /// The `Host` to send.
    pub(crate) fn host(&self) -> Option<&HeaderValue> {
        self.upstream.hosts.get(self.endpoint.server)?.as_ref()
    }

    /// A stream of a shared connection that was opened after `behind`, or a watched connection that was kept; if
    /// there is one that can be used.
    pub(crate) fn take_kept(&self, behind: Serial) -> Option<Session> {
        self.join(behind)
            .or_else(|| self.upstream.pool.take(&self.endpoint.peer).map(Session::Http1))
    }

    /// A new connection, whatever is kept, idle ones making room for it. Of shared ones it need only be
    /// opened after `behind`; the flag tells that others had it before.
    pub(crate) async fn connect_anew(
        &self,
        behind: Serial,
    ) -> Result<(Session, bool), Unconnected> {
        if let Some(session) = self.join(behind) {
            return Ok((session, true));
        }
        let upstream = &self.upstream;
        self.make_room();
        let (dialer, peer) = (upstream.pool.dialer(), &self.endpoint.peer);
        if upstream.spec.http2 != Http2::Off {
            return self.endpoint.http2.connect(dialer, peer, behind).await;
        }
        match dialer.dial(peer).await? {
            Dialed::Http1(session) => Ok((Session::Http1(session), false)),
            Dialed::Http2(_) => Err(Unconnected::Refused),
        }
    }

    /// Closes idle connections until one more is within `connections_max`. Shared ones that are not idle have a
    /// request each, which has a place: those alone are never too many.
    fn make_room(&self) {
        let upstream = &self.upstream;
        let servers = upstream.servers();
        let endpoints = || servers.iter().flatten();
        let shared: usize = endpoints().map(|endpoint| endpoint.http2.count()).sum();
        let mut too_many = (shared + 1).saturating_sub(upstream.spec.connections_max);
        for endpoint in endpoints() {
            if too_many == 0 {
                break;
            }
            too_many -= endpoint.http2.close_idle(too_many);
        }
        upstream.pool.make_room(upstream.places.taken());
    }

    fn join(&self, behind: Serial) -> Option<Session> {
        (self.upstream.spec.http2 != Http2::Off).then(|| self.endpoint.http2.join(behind))?
    }

    /// `:scheme` of HTTP/2.
    pub(crate) fn scheme(&self) -> Scheme {
        self.upstream.scheme()
    }

    /// Keeps a connection for the next request, or closes it where its answer did not end cleanly.
    pub(crate) fn release(&self, session: HttpSession) {
        self.upstream.pool.keep(&self.endpoint.peer, session);
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.endpoint.end();
    }
}
