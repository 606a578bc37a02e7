//! What a head that came over HTTP/2 is held to beside its bounds.
//!
//! Its frames leave no doubt about where it ends, and Pingora and `h2` have refused what RFC 9113
//! calls malformed. The rest is what [`raw_head`](crate::raw_head) refuses over HTTP/1: a request must
//! not be sound in one version and odd in the other.
//!
//! Not here: bounds (`gateway.rs`), the form of a path (the router), credentials.
//!
//! Sources: RFC 9113 §8.3.1 (pseudo-header fields), RFC 9110 §8.6 (length), §10.1.1 (Expect).

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use pingora::http::RequestHeader;

use crate::raw_head::{is_authority, is_length, is_masked};

/// Whether the head can be read in one way only.
pub(crate) fn is_sound(head: &RequestHeader) -> bool {
    let scheme = head.uri.scheme_str();
    let web = scheme.is_none_or(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    web && head.method != Method::CONNECT
        && names_one_host(head)
        && at_most_one(&head.headers, &header::CONTENT_LENGTH, is_length)
        && at_most_one(&head.headers, &header::EXPECT, |value| {
            value.eq_ignore_ascii_case(b"100-continue")
        })
        && !head.headers.keys().any(|name| is_masked(name.as_str().as_bytes()))
}

/// Whether `Host` and `:authority` name one host, and name it as a host.
fn names_one_host(head: &RequestHeader) -> bool {
    let hosts = head.headers.get_all(header::HOST);
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut named = authority.into_iter().chain(hosts.iter().map(HeaderValue::as_bytes));
    let Some(first) = named.next() else { return false };
    is_authority(first)
        && named.all(|other| first.eq_ignore_ascii_case(other))
        && hosts.iter().count() < 2
}

fn at_most_one(headers: &HeaderMap, name: &HeaderName, is_sound: impl Fn(&[u8]) -> bool) -> bool {
    let mut values = headers.get_all(name).iter();
    values.next().is_none_or(|value| is_sound(value.as_bytes())) && values.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, fields: &[(&'static str, &'static str)]) -> RequestHeader {
        let request = http::Request::builder().method("POST").uri(uri);
        let request =
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).map_or_else(
            |error| panic!("{uri}: {error}"),
            |request| RequestHeader::from(request.into_parts().0),
        )
    }

    #[test]
    fn a_head_has_one_host_one_length_and_one_expectation() {
        let odd = "http://gw/f";
        for (uri, fields, sound) in [
            ("http://gw/f", &[][..], true),
            ("https://gw:443/f?a=b", &[("host", "GW:443")], true),
            ("/f", &[("host", "gw")], true),
            ("http://[::1]:80/f", &[], true),
            ("http://gw/f", &[("content-length", "3"), ("expect", "100-Continue")], true),
            ("/f", &[], false),
            ("/f", &[("host", "")], false),
            ("/f", &[("host", "gw/evil")], false),
            ("/f", &[("host", "gw"), ("host", "gw")], false),
            ("http://gw/f", &[("host", "evil")], false),
            ("http://gw,evil/f", &[], false),
            ("http://gw,evil/f", &[("host", "gw,evil")], false),
            ("http://u@gw/f", &[], false),
            ("http://gw:123456/f", &[], false),
            ("ftp://gw/f", &[], false),
            ("javascript://gw/f", &[], false),
            (odd, &[("content-length", "+3")], false),
            (odd, &[("content-length", "3,3")], false),
            (odd, &[("content-length", "3"), ("content-length", "3")], false),
            (odd, &[("expect", "x")], false),
            (odd, &[("expect", "")], false),
            (odd, &[("expect", "100-continue"), ("expect", "100-continue")], false),
            (odd, &[("x_api_key", "a")], false),
            (odd, &[("x_colonnade_account", "a")], false),
            (odd, &[("x_trace", "a")], true),
        ] {
            assert_eq!(is_sound(&head(uri, fields)), sound, "{uri} {fields:?}");
        }
    }

    #[test]
    fn there_is_no_tunnel() {
        let mut head = head("http://gw/f", &[]);
        assert!(is_sound(&head));
        head.set_method(Method::CONNECT);
        assert!(!is_sound(&head));
    }
}
