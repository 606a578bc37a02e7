//! A request as it arrived, and as decisions see it.
//!
//! Not here: what its bytes must look like (`raw_head.rs`, `h2_head.rs`), what goes up of it (`head.rs`).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use gateway_policy::{Bounds, ProblemCode, RequestHead};
use http::{HeaderMap, HeaderValue, Version};
use ipnet::IpNet;
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;

use crate::client_address::client_address;
use crate::h2_head;
use crate::head::X_FORWARDED_FOR;

/// What a listener knows that a request does not say.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListenerFacts {
    /// Its number in the configuration, from 0.
    pub(crate) place: usize,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) tls: bool,
    pub(crate) h2c: bool,
}

/// What only the bytes on the wire told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WireFacts {
    pub(crate) padded_credential: bool,
}

/// A request as it arrived. Not `Debug`: the key stands in its headers.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) head: &'a RequestHeader,
    /// Path and query, byte for byte.
    pub(crate) target: &'a [u8],
    pub(crate) peer: SocketAddr,
    pub(crate) listener: &'a ListenerFacts,
    pub(crate) wire: WireFacts,
}

impl<'a> Arrival<'a> {
    /// The request as the admission sees it.
    pub(crate) fn request(&self) -> RequestHead<'a> {
        RequestHead {
            method: &self.head.method,
            target: self.target,
            headers: &self.head.headers,
            client: self.client(),
            padded_credential: self.wire.padded_credential,
        }
    }

    /// The address that the request comes from.
    pub(crate) fn client(&self) -> IpAddr {
        let (peer, trusted) = (self.peer.ip(), &self.listener.trusted_proxies);
        if trusted.is_empty() {
            return peer.to_canonical();
        }
        client_address(peer, self.forwarded_for(), trusted)
    }

    /// Whether its headers about earlier hops are believed.
    pub(crate) fn is_from_trusted_proxy(&self) -> bool {
        let peer = self.peer.ip().to_canonical();
        self.listener.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// What it is refused with by the bounds that the raw head of HTTP/1 met already and a head of HTTP/2 meets
    /// here.
    pub(crate) fn over_bounds(&self, bounds: &Bounds) -> Option<ProblemCode> {
        let (head, headers) = (self.head, &self.head.headers);
        if self.target.len() > bounds.target_bytes {
            return Some(ProblemCode::TargetTooLong);
        }
        if headers.len() > bounds.headers || header_bytes(headers) > bounds.header_bytes {
            return Some(ProblemCode::HeadersTooLarge);
        }
        let is_sound = head.version != Version::HTTP_2 || h2_head::is_sound(head);
        (!is_sound).then_some(ProblemCode::BadRequest)
    }

    pub(crate) fn forwarded_for(&self) -> impl Iterator<Item = &'a [u8]> {
        self.head.headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes)
    }
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Path and query byte for byte; an absolute form, whose host the raw look has compared, loses its
/// scheme and authority (RFC 9112 §3.2.2).
pub(crate) fn target_of(head: &RequestHeader) -> Vec<u8> {
    let raw = head.raw_path();
    let scheme = ["http://", "https://"].iter().find(|scheme| {
        raw.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    });
    match scheme {
        None => raw.to_vec(),
        Some(scheme) => {
            let rest = &raw[scheme.len()..];
            let path = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            let path = &rest[path..];
            if path.first() == Some(&b'/') { path.to_vec() } else { [b"/", path].concat() }
        }
    }
}

pub(crate) fn peer_of(session: &ServerSession) -> SocketAddr {
    let inet = session.client_addr().and_then(|address| address.as_inet());
    inet.copied().unwrap_or(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)))
}
