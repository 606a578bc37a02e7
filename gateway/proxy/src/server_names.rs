//! Which certificate a client gets: by the name it asks for.
//!
//! An exact name before a wildcard, of several certificates for one name the first, and the first of all
//! for who asks for no name or for one that none is for: such a client says itself what it thinks of it.
//!
//! Cost: one look-up, at most two, a handshake.
//! Sources: RFC 6066 §3 for the name; RFC 9525 §6.3 for wildcards, which stand for one whole label.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// The certificates of a listener, by name.
pub(crate) struct ServerNames {
    fallback: Option<Arc<CertifiedKey>>,
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what is behind the `*.`
    wildcards: HashMap<String, Arc<CertifiedKey>>,
}

impl ServerNames {
    pub(crate) fn new(certificates: &[Certificate]) -> ServerNames {
        let fallback = certificates.first().map(|first| Arc::clone(&first.key));
        let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
        for certificate in certificates {
            for name in certificate.names() {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcards, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(name.to_owned()).or_insert_with(|| Arc::clone(&certificate.key));
            }
        }
        ServerNames { fallback, exact, wildcards }
    }

    /// `name` is in lower case.
    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let found = name.and_then(|name| {
            let parent = || name.split_once('.').map(|(_, parent)| parent);
            self.exact.get(name).or_else(|| self.wildcards.get(parent()?))
        });
        found.or(self.fallback.as_ref()).cloned()
    }
}

impl ResolvesServerCert for ServerNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // In lower case already.
        self.find(hello.server_name())
    }
}

impl std::fmt::Debug for ServerNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerNames")
    }
}

/// A name that a certificate is for in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadowed {
    /// Its place among the listener's certificates.
    pub certificate: usize,
    pub name: String,
    /// The place of the first certificate for that name.
    pub by: usize,
}

/// The first name of each certificate that an earlier certificate has taken.
pub fn shadowed(certificates: &[Certificate]) -> Vec<Shadowed> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<Shadowed> = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        for name in certificate.names() {
            match first.entry(name) {
                Entry::Vacant(free) => drop(free.insert(at)),
                Entry::Occupied(taken) if *taken.get() == at => {}
                Entry::Occupied(_) if found.last().is_some_and(|last| last.certificate == at) => {}
                Entry::Occupied(taken) => {
                    found.push(Shadowed { certificate: at, name: name.clone(), by: *taken.get() });
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::certificate::tests::certificate;

    #[test]
    fn a_name_finds_its_certificate_exactly_then_by_wildcard_then_the_first() {
        let all = [
            certificate(&["main.test"]),
            certificate(&["*.a.test", "A.test"]),
            certificate(&["x.a.test", "*.x.a.test"]),
            certificate(&["x.a.test", "later.test", "*.a.test"]),
        ];
        let names = ServerNames::new(&all);
        for (name, at) in [
            (None, 0),
            (Some("main.test"), 0),
            (Some("unknown.test"), 0),
            (Some("localhost"), 0),
            (Some(""), 0),
            (Some("."), 0),
            (Some("a.test"), 1),
            (Some("b.a.test"), 1),
            (Some("*.a.test"), 1),
            // A wildcard is for one label, and for a whole one.
            (Some("c.b.a.test"), 0),
            (Some("ba.test"), 0),
            (Some("x.a.test"), 2),
            (Some("y.x.a.test"), 2),
            (Some("later.test"), 3),
        ] {
            let found = names.find(name).unwrap();
            let place = all.iter().position(|one| Arc::ptr_eq(&one.key, &found));
            assert_eq!(place, Some(at), "{name:?}");
        }
    }

    #[test]
    fn a_certificate_whose_name_was_taken_before_is_told_once() {
        let all = [
            certificate(&["a.test", "b.test"]),
            certificate(&["*.a.test"]),
            certificate(&["A.test", "b.test", "c.test"]),
            certificate(&["*.a.test"]),
        ];
        let told: Vec<_> =
            shadowed(&all).into_iter().map(|one| (one.certificate, one.name, one.by)).collect();
        assert_eq!(told, [(2, "a.test".to_owned(), 0), (3, "*.a.test".to_owned(), 1)]);
    }
}
