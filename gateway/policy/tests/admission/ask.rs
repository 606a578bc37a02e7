//! A request in the making, and what it came to.

use gateway_policy::{Admitted, Meters, Problem, RequestHead, Snapshot, UnixMs, admit};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::world::NOW;

/// What a request came to: the code it was refused with, or `forward` or `whoami`.
pub(crate) fn outcome(snapshot: &Snapshot, meters: &Meters, request: &Ask<'_>) -> String {
    match request.of(snapshot, meters) {
        Ok(Admitted::Forward(_)) => "forward".to_owned(),
        Ok(Admitted::WhoAmI { .. }) => "whoami".to_owned(),
        Err(problem) => format!("{} {}", problem.status, problem.code.as_str()),
    }
}

/// A request under construction.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a str,
    pub(crate) headers: &'a [(&'a str, &'a str)],
    pub(crate) client: &'a str,
    pub(crate) at: UnixMs,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(target: &'a str, headers: &'a [(&'a str, &'a str)]) -> Ask<'a> {
        Ask { method: "GET", target, headers, client: "192.0.2.1", at: NOW }
    }

    pub(crate) fn of(&self, snapshot: &Snapshot, meters: &Meters) -> Result<Admitted, Problem> {
        let headers = headers(self.headers);
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let head = RequestHead {
            method: &method,
            target: self.target.as_bytes(),
            headers: &headers,
            client: self.client.parse().unwrap(),
            padded_credential: false,
        };
        admit(snapshot, meters, &head, self.at.into())
            .map_err(|denial| Problem::of(&denial, &snapshot.rules.scopes))
    }
}

pub(crate) fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

pub(crate) const KEY: (&str, &str) = ("authorization", "Bearer full");
