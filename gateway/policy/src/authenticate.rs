//! Presented key → the one who calls, proved.

use std::net::IpAddr;
use std::sync::Arc;

use gateway_limits::UnixMs;

use crate::credential::PresentedKey;
use crate::ids::KeyId;
use crate::index::KeyIndex;
use crate::key::KeyEntry;

/// Who is calling, proved. Its field is private to this file and [`authenticate`] is its only
/// constructor, so a `&Principal` in a signature means "a live key was presented".
#[derive(Debug, Clone)]
pub struct Principal {
    entry: Arc<KeyEntry>,
}

impl Principal {
    pub fn key(&self) -> &KeyEntry {
        &self.entry
    }
}

/// Turns a presented key into a [`Principal`].
///
/// One index probe (two under a pepper), no lock, no await. `at` is an argument so that every
/// stage of one request agrees on the time.
///
/// # Errors
/// [`AuthenticateError`]; the first three are one answer to the client (RFC 6750 §3.1).
pub fn authenticate(
    keys: &KeyIndex,
    presented: &PresentedKey,
    client: IpAddr,
    at: UnixMs,
) -> Result<Principal, AuthenticateError> {
    let entry = presented
        .digests()
        .find_map(|digest| keys.find(digest))
        .ok_or(AuthenticateError::Unknown)?;
    live(entry, client, at)
}

/// The principal of a key that an operator names by its id, held to the same rules. For offline
/// explanations; no request can get here.
///
/// # Errors
/// As [`authenticate`].
pub fn authenticate_id(
    keys: &KeyIndex,
    id: &str,
    client: IpAddr,
    at: UnixMs,
) -> Result<Principal, AuthenticateError> {
    let of_id = keys.entries().map(|(_, entry)| entry).filter(|entry| entry.id.as_str() == id);
    // Under the digest that it had before a grace a key ends earlier.
    let entry = of_id.max_by_key(|entry| entry.expires_at.map_or(u64::MAX, |end| end.0));
    live(entry.ok_or(AuthenticateError::Unknown)?, client, at)
}

fn live(entry: &Arc<KeyEntry>, client: IpAddr, at: UnixMs) -> Result<Principal, AuthenticateError> {
    // Revoked is revoked, whatever this node's clock says of the instant.
    if entry.revoked_at.is_some() {
        return Err(AuthenticateError::Revoked { key: entry.id.clone() });
    }
    if entry.expires_at.is_some_and(|expires_at| expires_at <= at) {
        return Err(AuthenticateError::Expired { key: entry.id.clone() });
    }
    if entry.user.as_ref().is_some_and(|user| !user.active) {
        return Err(AuthenticateError::OwnerDeactivated { key: entry.id.clone() });
    }
    if !entry.allows(client) {
        return Err(AuthenticateError::AddressNotAllowed { key: entry.id.clone() });
    }
    Ok(Principal { entry: Arc::clone(entry) })
}

/// Why nobody is calling. Fields are facts for the log; what the client reads is decided in
/// `problem.rs`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticateError {
    #[error("no key has this digest")]
    Unknown,
    #[error("key {key} was revoked")]
    Revoked { key: KeyId },
    #[error("key {key} expired")]
    Expired { key: KeyId },
    #[error("the user of key {key} is deactivated")]
    OwnerDeactivated { key: KeyId },
    #[error("key {key} may not be used from this address")]
    AddressNotAllowed { key: KeyId },
}

impl AuthenticateError {
    /// The key that was presented, where one is known.
    pub fn key(&self) -> Option<&KeyId> {
        match self {
            AuthenticateError::Unknown => None,
            AuthenticateError::Revoked { key }
            | AuthenticateError::Expired { key }
            | AuthenticateError::OwnerDeactivated { key }
            | AuthenticateError::AddressNotAllowed { key } => Some(key),
        }
    }
}
