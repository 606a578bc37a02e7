//! Admin tokens: digests with permissions, compared in constant time.
//!
//! There is no session and no cookie: a browser adds nothing of its own to a request, so another
//! site's page cannot make one that passes.

use axum::http::{HeaderMap, header};
use gateway_policy::Digest;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    Keys,
    Data,
    Accounts,
    Read,
}

impl Permission {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Permission::Keys => "keys",
            Permission::Data => "data",
            Permission::Accounts => "accounts",
            Permission::Read => "read",
        }
    }
}

/// One token as configured.
#[derive(Debug, Clone)]
pub struct AdminToken {
    pub name: String,
    pub digest: Digest,
    pub permissions: Vec<Permission>,
}

/// All tokens.
#[derive(Debug, Clone, Default)]
pub struct Tokens(pub Vec<AdminToken>);

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorised {
    NoTokenConfigured,
    /// None was given, which is no guess.
    NoToken,
    WrongToken,
}

impl Tokens {
    /// The token of a request. Every configured digest is compared, whichever matches.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<AdminToken, Unauthorised> {
        if self.0.is_empty() {
            return Err(Unauthorised::NoTokenConfigured);
        }
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(Unauthorised::NoToken)?;
        let value = values.next().is_none().then_some(value);
        let token = value.and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
        });
        // No text is no token, whatever digest is configured.
        let is_text = token.is_some_and(|token| !token.is_empty());
        let digest = Digest::sha256(token.unwrap_or_default());
        self.0
            .iter()
            .fold(None, |found, known| if known.digest == digest { Some(known) } else { found })
            .filter(|_| is_text)
            .cloned()
            .ok_or(Unauthorised::WrongToken)
    }
}
