//! Finds the one credential of a request.
//!
//! Only headers carry keys: never the query, a cookie or the body. A request with two credentials
//! is refused whichever is right, so that no two parties can disagree on who called.
//!
//! Sources: RFC 6750 §2.1 (Bearer; the colon of `KEY:SECRET` is outside its grammar and accepted),
//! RFC 7617 (Basic).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::token::{Digest, Pepper};

/// Longest key text looked at, in bytes. Longer ones are malformed.
pub const KEY_BYTES_MAX: usize = 512;

const X_API_KEY: &str = "x-api-key";

/// A place where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Bearer,
    XApiKey,
    /// `Basic base64(KEY:SECRET)`; what is looked up is `KEY:SECRET`.
    Basic,
}

/// What the configuration accepts.
#[derive(Debug, Clone)]
pub struct CredentialRules {
    pub accept: Vec<Carrier>,
    pub pepper: Option<Pepper>,
}

impl CredentialRules {
    fn accepts(&self, carrier: Carrier) -> bool {
        self.accept.contains(&carrier)
    }
}

/// The digests a presented key may be known by. The key's text does not outlive [`extract`].
#[derive(Debug, Clone, Copy)]
pub struct PresentedKey {
    digest: Digest,
    peppered: Option<Digest>,
}

impl PresentedKey {
    fn of(text: &[u8], rules: &CredentialRules) -> PresentedKey {
        let peppered = rules.pepper.as_ref().map(|pepper| pepper.digest(text));
        PresentedKey { digest: Digest::sha256(text), peppered }
    }

    /// Most trusted first.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.peppered.iter().chain(std::iter::once(&self.digest))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error("no accepted credential")]
    Missing,
    #[error("more than one credential")]
    Several,
    #[error("the credential is malformed")]
    Malformed,
}

/// Reads the credential out of the headers.
///
/// # Errors
/// [`CredentialError`]; only `Missing` is told apart towards the client.
pub fn extract(
    rules: &CredentialRules,
    headers: &HeaderMap,
) -> Result<PresentedKey, CredentialError> {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let authorization = authorizations.next().map(|value| value.as_bytes());
    if authorizations.next().is_some() {
        return Err(CredentialError::Several);
    }
    let from_authorization = authorization.and_then(|value| split_scheme(rules, value));
    let mut api_keys =
        headers.get_all(X_API_KEY).iter().filter(|_| rules.accepts(Carrier::XApiKey));
    let api_key = api_keys.next().map(|value| value.as_bytes());
    if api_keys.next().is_some() {
        return Err(CredentialError::Several);
    }
    match (from_authorization, api_key) {
        (None, None) => Err(CredentialError::Missing),
        (Some(_), Some(_)) => Err(CredentialError::Several),
        (Some((Carrier::Basic, coded)), None) => {
            let mut text = [0; KEY_BYTES_MAX];
            let length = decode_basic(coded, &mut text)?;
            presented(rules, &text[..length])
        }
        (Some((_, token)), None) | (None, Some(token)) => presented(rules, token),
    }
}

/// The accepted scheme of an `Authorization` value and what follows its one space. A scheme that
/// is not accepted is no credential here.
fn split_scheme<'a>(rules: &CredentialRules, value: &'a [u8]) -> Option<(Carrier, &'a [u8])> {
    let end = value.iter().position(|b| *b == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let carrier = if scheme.eq_ignore_ascii_case(b"bearer") {
        Carrier::Bearer
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        Carrier::Basic
    } else {
        return None;
    };
    rules.accepts(carrier).then(|| (carrier, rest.strip_prefix(b" ").unwrap_or(rest)))
}

fn decode_basic(coded: &[u8], text: &mut [u8; KEY_BYTES_MAX]) -> Result<usize, CredentialError> {
    let length = STANDARD.decode_slice(coded, text).map_err(|_| CredentialError::Malformed)?;
    if text[..length].contains(&b':') { Ok(length) } else { Err(CredentialError::Malformed) }
}

fn presented(rules: &CredentialRules, text: &[u8]) -> Result<PresentedKey, CredentialError> {
    let plausible = !text.is_empty()
        && text.len() <= KEY_BYTES_MAX
        && text.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"'));
    if plausible { Ok(PresentedKey::of(text, rules)) } else { Err(CredentialError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    const ALL: [Carrier; 3] = [Carrier::Bearer, Carrier::XApiKey, Carrier::Basic];

    fn found(accept: &[Carrier], headers: &[(&str, &str)]) -> Result<Digest, CredentialError> {
        let rules = CredentialRules { accept: accept.to_vec(), pepper: None };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
        }
        extract(&rules, &map).map(|key| key.digest)
    }

    /// A1, A4, A5: each documented form, in any case of its scheme.
    #[test]
    fn every_accepted_form_leads_to_the_digest_of_the_whole_key() {
        let basic = format!("Basic {}", STANDARD.encode("KEY:SECRET"));
        for (name, value, text) in [
            ("authorization", "Bearer avoca_ab", "avoca_ab"),
            ("authorization", "bearer avoca_ab", "avoca_ab"),
            ("authorization", "BEARER KEY:SECRET", "KEY:SECRET"),
            ("x-api-key", "avoca_ab", "avoca_ab"),
            ("authorization", basic.as_str(), "KEY:SECRET"),
        ] {
            let expected = Ok(Digest::sha256(text.as_bytes()));
            assert_eq!(found(&ALL, &[(name, value)]), expected, "{name}: {value}");
        }
    }

    /// A3, A7: what is nearly a credential is none.
    #[test]
    fn a_malformed_credential_is_refused() {
        let long = format!("Bearer {}", "a".repeat(KEY_BYTES_MAX + 1));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a ",
            "Bearer a b",
            "Bearer a,b",
            "Bearer é",
            "Basic !!!",
            "Basic S0VZ",
            "Basic",
            &long,
        ] {
            assert_eq!(
                found(&ALL, &[("authorization", value)]),
                Err(CredentialError::Malformed),
                "{value}"
            );
        }
    }

    #[test]
    fn a_form_that_is_not_accepted_is_no_credential() {
        for (accept, name, value) in [
            (&ALL[..1], "x-api-key", "a"),
            (&ALL[1..2], "authorization", "Bearer a"),
            (&ALL[..2], "authorization", "Basic S0VZOlNFQ1JFVA=="),
            (&ALL[..], "authorization", "Digest a"),
            (&ALL[..], "cookie", "key=a"),
            (&ALL[..], "x_api_key", "a"),
        ] {
            assert_eq!(
                found(accept, &[(name, value)]),
                Err(CredentialError::Missing),
                "{name}: {value}"
            );
        }
    }

    /// A7: two credentials are one too many, even when both are the same.
    #[test]
    fn several_credentials_are_refused() {
        for pair in [
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("authorization", "Digest a"), ("authorization", "Bearer a")],
            [("authorization", "Bearer a"), ("x-api-key", "a")],
            [("x-api-key", "a"), ("x-api-key", "b")],
        ] {
            assert_eq!(found(&ALL, &pair), Err(CredentialError::Several), "{pair:?}");
        }
    }
}
