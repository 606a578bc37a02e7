//! The request as decisions see it: borrowed, already free of framing doubts.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, Method};

/// What the proxy read. `target` is origin-form as sent, path and query, byte for byte.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    pub method: &'a Method,
    pub target: &'a [u8],
    pub headers: &'a HeaderMap,
    pub client: IpAddr,
    /// White space stood behind a credential on the wire: it is not the key that was issued.
    pub padded_credential: bool,
}

impl fmt::Debug for RequestHead<'_> {
    /// Without target and headers: a key stands in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", self.method)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
