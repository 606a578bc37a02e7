//! The product: may this request pass?

use std::sync::Arc;

use gateway_limits::{Allowance, Meters, Quotas, Spent};
use http::Method;

use crate::authenticate::{AuthenticateError, Principal, authenticate};
use crate::authorize::{AuthorizeError, Grant, authorize};
use crate::credential::{self, CredentialError};
use crate::head::RequestHead;
use crate::ids::KeyId;
use crate::path::{OddPath, Target};
use crate::reading::Reading;
use crate::route::{Route, RouteError};
use crate::snapshot::Snapshot;

/// The whole request-side decision, top to bottom. Each line consumes the proof the line before
/// produced; reordering them does not type-check.
///
/// # Errors
/// [`Denial`]: the first stage that refused, and the allowance when the limit had agreed.
pub fn admit(
    snapshot: &Snapshot,
    meters: &Meters,
    head: &RequestHead<'_>,
    at: Reading,
) -> Result<Admitted, Denial> {
    let target = Target::parse(head.target)?;
    let presented = credential::extract(&snapshot.rules.credentials, head.headers)?;
    if head.padded_credential {
        return Err(CredentialError::Malformed.into());
    }
    let principal = authenticate(&snapshot.keys, &presented, head.client, at.latest)?;
    admit_principal(snapshot, meters, principal, &target, head, at)
}

/// The decision from the limit on, for a caller who is known: the second half of [`admit`].
///
/// # Errors
/// As [`admit`].
pub fn admit_principal(
    snapshot: &Snapshot,
    meters: &Meters,
    principal: Principal,
    target: &Target<'_>,
    head: &RequestHead<'_>,
    at: Reading,
) -> Result<Admitted, Denial> {
    let paid = take(meters, &principal, at)?;
    // From here on a refusal carries what was paid: its answer shows the rate-limit headers too.
    if snapshot.rules.reserved.key.as_deref() == Some(target.path) {
        return whoami(head.method, principal, paid);
    }
    let routes = &snapshot.rules.routes;
    let found =
        routes.find(head.method, target.path).map_err(|e| paid.deny(&principal, e.into()))?;
    let grant = authorize(&snapshot.rules, principal.clone(), &found, target.query, head)
        .map_err(|e| paid.deny(&principal, Refusal::Authorize(e)).on(found.route))?;
    Ok(Admitted::Forward(Admission { grant, paid }))
}

fn take(meters: &Meters, principal: &Principal, at: Reading) -> Result<Paid, Denial> {
    let (quotas, slot) = principal.key().limits(at.latest);
    match meters.take(slot, quotas, at.now) {
        Ok(allowance) => Ok(Paid { allowance, quotas: Arc::clone(quotas) }),
        Err(spent) => {
            let paid = Paid { allowance: spent.allowance, quotas: Arc::clone(quotas) };
            Err(paid.deny(principal, Refusal::Limit(spent)))
        }
    }
}

fn whoami(method: &Method, principal: Principal, paid: Paid) -> Result<Admitted, Denial> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(Admitted::WhoAmI { principal, paid });
    }
    let error = RouteError::MethodNotAllowed { allow: "GET, HEAD".into() };
    Err(paid.deny(&principal, error.into()))
}

/// What the limit said, and which limits they were.
#[derive(Debug, Clone)]
pub struct Paid {
    pub allowance: Allowance,
    pub quotas: Arc<Quotas>,
}

impl Paid {
    fn deny(&self, principal: &Principal, refusal: Refusal) -> Denial {
        Denial {
            refusal,
            paid: Some(self.clone()),
            principal: Some(principal.clone()),
            route: None,
        }
    }
}

/// A request that passes.
#[derive(Debug, Clone)]
pub enum Admitted {
    /// To an upstream.
    Forward(Admission),
    /// Answered here: who the key is.
    WhoAmI { principal: Principal, paid: Paid },
}

/// The proof that forwarding needs. Made by [`admit`] only.
#[derive(Debug, Clone)]
pub struct Admission {
    grant: Grant,
    paid: Paid,
}

impl Admission {
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    pub fn paid(&self) -> &Paid {
        &self.paid
    }
}

/// A refused request: why, and what is known of the caller.
#[derive(Debug, Clone)]
pub struct Denial {
    pub refusal: Refusal,
    pub paid: Option<Paid>,
    pub principal: Option<Principal>,
    /// The route that was found, for the record.
    pub route: Option<Arc<Route>>,
}

impl Denial {
    fn on(self, route: &Arc<Route>) -> Denial {
        Denial { route: Some(Arc::clone(route)), ..self }
    }

    /// Whether a credential came and is nobody's: what is answered 401, and what guessing looks like.
    pub fn is_wrong_key(&self) -> bool {
        use AuthenticateError::{AddressNotAllowed, OwnerDeactivated};
        match &self.refusal {
            Refusal::Credential(error) => !matches!(error, CredentialError::Missing),
            // These keys are right, and it is told why they may not pass.
            Refusal::Authenticate(error) => {
                !matches!(error, OwnerDeactivated { .. } | AddressNotAllowed { .. })
            }
            _ => false,
        }
    }

    /// Why the credential did not stand, as a metric label; `None` when it was not judged or stood.
    pub fn auth_reason(&self) -> Option<&'static str> {
        match &self.refusal {
            Refusal::Credential(CredentialError::Missing) => Some("missing"),
            Refusal::Credential(CredentialError::Several) => Some("several"),
            Refusal::Credential(CredentialError::Malformed) => Some("malformed"),
            Refusal::Authenticate(error) => Some(match error {
                AuthenticateError::Unknown => "unknown",
                AuthenticateError::Revoked { .. } => "revoked",
                AuthenticateError::Expired { .. } => "expired",
                AuthenticateError::OwnerDeactivated { .. } => "owner_deactivated",
                AuthenticateError::AddressNotAllowed { .. } => "ip_not_allowed",
            }),
            _ => None,
        }
    }

    /// The key that was presented, where one is known.
    pub fn key(&self) -> Option<&KeyId> {
        match &self.refusal {
            Refusal::Authenticate(error) => error.key(),
            _ => self.principal.as_ref().map(|principal| &principal.key().id),
        }
    }
}

/// The stage that refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Path(#[from] OddPath),
    #[error(transparent)]
    Credential(#[from] CredentialError),
    #[error(transparent)]
    Authenticate(#[from] AuthenticateError),
    #[error("a limit is spent")]
    Limit(Spent),
    #[error(transparent)]
    Route(#[from] RouteError),
    #[error(transparent)]
    Authorize(AuthorizeError),
}

impl<E: Into<Refusal>> From<E> for Denial {
    fn from(error: E) -> Denial {
        Denial { refusal: error.into(), paid: None, principal: None, route: None }
    }
}
