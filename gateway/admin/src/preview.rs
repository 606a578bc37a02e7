//! What a key would get of a body, before there is such a key: the console's look at a policy.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_policy::{AccountRecord, DataScope, Digest, KeyRecord, Rules};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::Permission;
use crate::guard::Caller;
use crate::input::{At, Params, Unread};
use crate::keys::{DataScopeWord, KeyTeams, Wished};
use crate::node::{PreviewAsk, PreviewOf};
use crate::problem::Problem;
use crate::scalar::{Id, Team};

/// Whose look, at what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewBody {
    /// Id of a key of the account; without it, a key of the following members.
    key: Option<Id>,
    data_scope: Option<DataScopeWord>,
    user: Option<Id>,
    teams: Option<KeyTeams>,
    /// The team of the request, if it names one.
    team: Option<Team>,
    /// A route of the configuration, such as `GET /api/calls/{id}`; or `resource`.
    route: Option<String>,
    /// The first route of this resource.
    resource: Option<String>,
    /// What the upstream would answer.
    body: Value,
}

/// What the key would get.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Preview)]
pub(crate) struct PreviewView {
    body: Value,
    /// Paths that were dropped, each once.
    columns_hidden: Vec<String>,
    rows_hidden: u64,
    /// Assistant ids that got a name.
    mapped: u64,
    /// Those that got the fallback.
    fallback: u64,
}

/// Shows what a key would get of a body. Nothing is stored, and no upstream is asked.
#[utoipa::path(
    post,
    path = "/accounts/{account}/preview",
    tag = "data",
    operation_id = "preview",
    params(("account" = String, Path, description = "Id of the account")),
    request_body = PreviewBody,
    responses((status = 200, body = PreviewView)),
)]
pub(crate) async fn preview(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    caller.may(Permission::Data)?;
    params.only(&[])?;
    let body = body.read::<PreviewBody>(&api).await?.body;
    let account = api.account(&account).await?;
    let of = match (&body.route, &body.resource) {
        (Some(route), None) => PreviewOf::Route(route.clone()),
        (None, Some(resource)) => PreviewOf::Resource(resource.clone()),
        _ => return Err(Problem::fault("/route", "either `route` or `resource` is needed")),
    };
    let ask = PreviewAsk {
        key: key(&api, &account, &body).await?,
        account,
        of,
        team: body.team.map(Team::into_text),
        body: body.body.to_string().into_bytes(),
    };
    let preview = api.node().preview(&ask);
    let preview = preview.map_err(|why| Problem::conflict("not_shown", why))?;
    let view = PreviewView {
        body: serde_json::from_slice(&preview.body).unwrap_or(Value::Null),
        columns_hidden: preview.columns_hidden,
        rows_hidden: preview.rows_hidden,
        mapped: preview.mapped,
        fallback: preview.fallback,
    };
    Ok(axum::Json(view).into_response())
}

/// The key that is named, or one that is imagined: every scope, so that what is shown is decided by
/// columns and rows alone.
async fn key(api: &Api, account: &AccountRecord, body: &PreviewBody) -> Result<KeyRecord, Problem> {
    let (rules, mut key_rules) = (api.node().rules(), api.node().key_rules());
    if let Some(Id(id)) = &body.key {
        if body.data_scope.is_some() || body.user.is_some() || body.teams.is_some() {
            return Err(Problem::fault(
                "/key",
                "is given, so `data_scope`, `user` and `teams` are its own",
            ));
        }
        let stored = api.key(id).await?;
        if stored.account != account.id {
            return Err(gateway_store::Refused::NoSuchKey(id.clone()).into());
        }
        return Ok(stored.record);
    }
    // What is required of new keys is not needed to look.
    key_rules.data_scope_required = false;
    let wished = Wished {
        name: "preview".to_owned(),
        scopes: scopes(&rules),
        data_scope: body.data_scope.map(DataScope::from),
        user: body.user.as_ref().map(|user| user.0.clone()),
        teams: body.teams.clone(),
        expires_at: None,
        allowed_ips: Vec::new(),
        limits: None,
    };
    let judge = api.judge(&rules, &key_rules, account);
    judge.record(wished, "preview".to_owned(), Digest::sha256(b""), String::new(), "preview")
}

fn scopes(rules: &Rules) -> Vec<String> {
    rules.scopes.iter().map(|(name, _)| name.to_owned()).collect()
}
