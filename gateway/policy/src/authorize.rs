//! Principal + route → what this request may do, proved.
//!
//! Order: query, scope, team, reach, data scope. Each refusal is a fact; none depends on a later one.

use std::sync::Arc;

use gateway_rewrite::{Job, RowRule, Shown};

use crate::authenticate::Principal;
use crate::head::RequestHead;
use crate::ids::{ResourceId, ScopeId, TeamId};
use crate::key::KeyEntry;
use crate::query::QueryError;
use crate::resource::{Resource, RowVisibility};
use crate::route::{Found, Route};
use crate::snapshot::Rules;
use crate::team::{self, TeamError, TeamRule};

/// What an authorised request may do. Made by [`authorize`] only.
#[derive(Debug, Clone)]
pub struct Grant {
    principal: Principal,
    route: Arc<Route>,
    team: Option<TeamId>,
    job: Job,
}

impl Grant {
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn route(&self) -> &Route {
        &self.route
    }

    /// The route, to keep beyond the grant.
    pub fn shared_route(&self) -> Arc<Route> {
        Arc::clone(&self.route)
    }

    /// The team that goes up.
    pub fn team(&self) -> Option<&TeamId> {
        self.team.as_ref()
    }

    /// What to do to the answer's body.
    pub fn job(&self) -> &Job {
        &self.job
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizeError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("the key lacks a scope")]
    ScopeMissing { required: Option<ScopeId> },
    #[error(transparent)]
    Team(#[from] TeamError),
    #[error("the route needs a key that reaches the whole account, or another account")]
    ReachNotAllowed,
    #[error("the key's data scope cannot be enforced on this route")]
    DataScopeNotSupported,
    #[error("the route's resource is missing from this snapshot")]
    Dangling,
}

/// Decides what `principal` may do on the route that was found.
///
/// # Errors
/// The first of [`AuthorizeError`] in the order of its stages.
pub(crate) fn authorize(
    rules: &Rules,
    principal: Principal,
    found: &Found<'_, '_>,
    query: Option<&str>,
    head: &RequestHead<'_>,
) -> Result<Grant, AuthorizeError> {
    let key = principal.key();
    let route = found.route;
    let resource = rules.resources.get(route.resource.index()).ok_or(AuthorizeError::Dangling)?;
    // The team decides which columns the query may name, but its own faults are told later.
    let team = team::choose(&rules.teams, found, query, head.headers, &key.teams);
    let chosen = team.as_ref().ok().and_then(Option::as_ref);
    let shown = key.shown(route.resource, chosen).ok_or(AuthorizeError::Dangling)?;
    let team_parameter = rules.teams.query.as_deref().filter(|_| route.team != TeamRule::None);
    route.query.check(query, &resource.catalogue, shown, team_parameter)?;
    route
        .scope
        .check(head.method, &key.scopes)
        .map_err(|required| AuthorizeError::ScopeMissing { required })?;
    let shown = Arc::clone(shown);
    let team = team?;
    if team.is_none() && leaves_teams_open(key, route, resource) {
        return Err(TeamError::Required.into());
    }
    reach(key, found)?;
    let rows = row_rule(key, resource, route.resource, team.as_ref())?;
    let job = job(rules, route, resource, shown, key, rows);
    Ok(Grant { route: Arc::clone(route), team, job, principal })
}

/// A key of some of its account's teams that names none, on a route where teams count, of a
/// resource whose rows do not tell their team: nobody would keep the other teams' rows back.
fn leaves_teams_open(key: &KeyEntry, route: &Route, resource: &Resource) -> bool {
    route.team != TeamRule::None && !key.whole_account && !resource.catalogue.judges_team()
}

fn reach(key: &KeyEntry, found: &Found<'_, '_>) -> Result<(), AuthorizeError> {
    let other_account = found
        .route
        .account_param
        .as_deref()
        .is_some_and(|param| found.params.find(param) != Some(key.account.id.as_str()));
    if other_account || (found.route.reach_account && !key.whole_account) {
        return Err(AuthorizeError::ReachNotAllowed);
    }
    Ok(())
}

/// The row rule that this key's data scope and the chosen team mean on this resource.
fn row_rule(
    key: &KeyEntry,
    resource: &Resource,
    id: ResourceId,
    team: Option<&TeamId>,
) -> Result<Arc<RowRule>, AuthorizeError> {
    let catalogue = &resource.catalogue;
    let by_columns = match resource.visibility {
        RowVisibility::Upstream => false,
        RowVisibility::Columns | RowVisibility::Unstated => {
            let enforceable = (!key.data_scope.hides_private() || catalogue.judges_private())
                && (!key.data_scope.is_user() || catalogue.judges_owner());
            if !enforceable {
                return Err(AuthorizeError::DataScopeNotSupported);
            }
            true
        }
    };
    match (by_columns, catalogue.judges_team()) {
        (false, _) => Ok(Arc::clone(&key.rows.none)),
        (true, false) => Ok(Arc::clone(&key.rows.scope)),
        (true, true) => key.row_rule(id, team).ok_or(AuthorizeError::Dangling),
    }
}

fn job(
    rules: &Rules,
    route: &Route,
    resource: &Resource,
    shown: Arc<Shown>,
    key: &KeyEntry,
    rows: Arc<RowRule>,
) -> Job {
    Job {
        catalogue: Arc::clone(&resource.catalogue),
        shape: Arc::clone(&route.shape),
        shown,
        names: Arc::clone(&key.account.names),
        rows,
        bounds: gateway_rewrite::Bounds {
            depth: rules.bounds.depth,
            row_bytes: rules.bounds.row_bytes,
        },
    }
}
