//! Accounts and their users.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gateway_policy::{AccountRecord, Rules, UserRecord, compile_account};
use gateway_store::{AlterAccount, Change};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::Permission;
use crate::guard::Caller;
use crate::input::{At, Params, Unread};
use crate::keys::given;
use crate::problem::{BodyFault, Problem};
use crate::read::part;
use crate::scalar::{Email, Id, Name, Team, Wait, is_id};
use crate::schema::near;
use crate::secrecy::{key_faults, repeated};
use crate::write::Applied;

/// An account.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView {
    id: String,
    name: String,
    plan: String,
    /// Null: it is not divided, and any team is its own.
    teams: Option<Vec<String>>,
    /// Live keys it may hold; null: as many as the configuration says.
    live_max: Option<u32>,
}

impl From<&AccountRecord> for AccountView {
    fn from(record: &AccountRecord) -> AccountView {
        AccountView {
            id: record.id.clone(),
            name: record.name.clone(),
            plan: record.plan.clone(),
            teams: record.teams.clone(),
            live_max: record.live_max,
        }
    }
}

/// An account after a change of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedAccount {
    #[serde(flatten)]
    view: AccountView,
    #[serde(flatten)]
    applied: Applied,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountList {
    items: Vec<AccountView>,
    /// What `?cursor=` of the next page says; null on the last.
    next: Option<String>,
}

/// Accounts, by id.
#[utoipa::path(
    get,
    path = "/accounts",
    tag = "accounts",
    operation_id = "listAccounts",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Most items; 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = AccountList)),
)]
pub(crate) async fn list(State(api): State<Arc<Api>>, params: Params) -> Result<Response, Problem> {
    let page = params.only(&["limit", "cursor"])?.page()?;
    let listed = api.accounts(page).await?;
    let items = listed.items.iter().map(AccountView::from).collect();
    Ok(axum::Json(AccountList { items, next: listed.next }).into_response())
}

/// An account to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAccountBody {
    id: Id,
    name: Name,
    /// A plan of the configuration.
    plan: String,
    /// Without it, the account is not divided.
    #[schema(min_items = 1, max_items = 10000)]
    teams: Option<Vec<Team>>,
    #[schema(minimum = 0, maximum = 1000000)]
    live_max: Option<u32>,
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/accounts",
    tag = "accounts",
    operation_id = "createAccount",
    params(("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes")),
    request_body = NewAccountBody,
    responses((status = 201, body = ChangedAccount, description = "Made")),
)]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Accounts, params)?;
    let body = body.read::<NewAccountBody>(&api).await?.body;
    let rules = api.node().rules();
    let record = AccountRecord {
        name: body.name.0,
        teams: body.teams.map(distinct),
        live_max: body.live_max,
        ..AccountRecord::new(&body.id.0, &body.plan)
    };
    sound(&api, &record, &rules)?;
    let made = writing.create(&api, Change::CreateAccount(Box::new(record))).await?;
    let view = AccountView::from(&made.written.account);
    let body = ChangedAccount { view, applied: made.applied.clone() };
    Ok(made.answer(StatusCode::CREATED, body))
}

/// One account.
#[utoipa::path(
    get,
    path = "/accounts/{account}",
    tag = "accounts",
    operation_id = "showAccount",
    params(("account" = String, Path, description = "Id of the account")),
    responses((status = 200, body = AccountView)),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = api.account(&account).await?;
    Ok(axum::Json(AccountView::from(&record)).into_response())
}

/// What of an account may change. An absent member stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlterAccountBody {
    #[schema(value_type = Name, required = false)]
    name: Option<Name>,
    #[schema(value_type = String, required = false)]
    plan: Option<String>,
    /// Null: not divided any more. Keys of a team that is gone are no longer served.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Team>>, min_items = 1, max_items = 10000)]
    teams: Option<Option<Vec<Team>>>,
    /// Null: as many as the configuration says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 0, maximum = 1000000)]
    live_max: Option<Option<u32>>,
}

/// Changes an account.
#[utoipa::path(
    patch,
    path = "/accounts/{account}",
    tag = "accounts",
    operation_id = "alterAccount",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = AlterAccountBody,
    responses((status = 200, body = ChangedAccount)),
)]
pub(crate) async fn alter(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Accounts, params)?;
    let body = body.read::<AlterAccountBody>(&api).await?.body;
    let alter = AlterAccount {
        name: body.name.map(|name| name.0),
        plan: body.plan,
        teams: body.teams.map(|teams| teams.map(distinct)),
        live_max: body.live_max,
    };
    let mut record = api.account(&account).await?;
    record.name = alter.name.clone().unwrap_or(record.name);
    record.plan = alter.plan.clone().unwrap_or(record.plan);
    record.teams = alter.teams.clone().unwrap_or(record.teams);
    sound(&api, &record, &api.node().rules())?;
    let made = writing.make(&api, Change::AlterAccount { account, alter }).await?;
    let view = AccountView::from(&made.written.account);
    let body = ChangedAccount { view, applied: made.applied.clone() };
    Ok(made.answer(StatusCode::OK, body))
}

fn distinct(teams: Vec<Team>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for team in teams.into_iter().map(Team::into_text) {
        if !found.contains(&team) {
            found.push(team);
        }
    }
    found
}

/// An account must be one that can be served.
fn sound(api: &Api, record: &AccountRecord, rules: &Rules) -> Result<(), Problem> {
    let texts = [("/id".to_owned(), &*record.id), ("/name".to_owned(), &*record.name)];
    let mut faults = key_faults(texts, &api.node().key_rules().prefix);
    if !rules.plans.contains_key(record.plan.as_str()) {
        let mut known: Vec<&str> = rules.plans.keys().map(|name| &**name).collect();
        known.sort_unstable();
        let detail =
            format!("there is no plan {}; {}", repeated(&record.plan), near(&record.plan, &known));
        faults.push(BodyFault::new("/plan", detail));
    }
    if let Some(teams) = &record.teams {
        for team in record.team_columns.keys().filter(|team| !teams.contains(team)) {
            let detail = format!(
                "team {} has columns of its own; remove them first (PUT columns?team= with `{{}}`)",
                repeated(team)
            );
            faults.push(BodyFault::new("/teams", detail));
        }
    }
    if faults.is_empty()
        && let Err(others) = compile_account(record, rules)
    {
        faults.extend(others.into_iter().map(|fault| BodyFault::new("", fault.message)));
    }
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

/// A user of an account.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    id: String,
    email: Option<String>,
    /// Keys that were issued to a user who is not active are refused and stay.
    active: bool,
}

impl From<&UserRecord> for UserView {
    fn from(record: &UserRecord) -> UserView {
        UserView { id: record.id.clone(), email: record.email.clone(), active: record.active }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedUser {
    #[serde(flatten)]
    view: UserView,
    #[serde(flatten)]
    applied: Applied,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    items: Vec<UserView>,
    /// What `?cursor=` of the next page says; null on the last.
    next: Option<String>,
}

/// Users of an account, by id.
#[utoipa::path(
    get,
    path = "/accounts/{account}/users",
    tag = "accounts",
    operation_id = "listUsers",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Most items; 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = UserList)),
)]
pub(crate) async fn users(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    let page = params.only(&["limit", "cursor"])?.page()?;
    let record = api.account(&account).await?;
    let mut users: Vec<&UserRecord> = record.users.iter().collect();
    users.sort_by(|one, other| one.id.cmp(&other.id));
    let listed = part(users, &page, |user| &user.id);
    let items = listed.items.into_iter().map(UserView::from).collect();
    Ok(axum::Json(UserList { items, next: listed.next }).into_response())
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserBody {
    active: bool,
    /// Absent: as it was; null: none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Email>)]
    email: Option<Option<Email>>,
}

/// Makes or changes a user. Deactivating one stops the keys that were issued to it, and deletes none.
#[utoipa::path(
    put,
    path = "/accounts/{account}/users/{user}",
    tag = "accounts",
    operation_id = "putUser",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("user" = Id, Path, description = "Id of the user"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = UserBody,
    responses((status = 200, body = ChangedUser)),
)]
pub(crate) async fn put_user(
    State(api): State<Arc<Api>>,
    At((account, user)): At<(String, String)>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Accounts, params)?;
    let body = body.read::<UserBody>(&api).await?.body;
    let record = api.account(&account).await?;
    let known = record.users.iter().find(|known| known.id == user);
    if known.is_none() && !is_id(&user) {
        return Err(Problem::bad_request(
            "The user's id in the path is not one: letters, digits and `._:@+~-`.",
        ));
    }
    let email = match body.email {
        Some(email) => email.map(|email| email.0),
        None => known.and_then(|known| known.email.clone()),
    };
    let prefix = api.node().key_rules().prefix;
    let texts =
        [("".to_owned(), user.as_str()), ("/email".to_owned(), email.as_deref().unwrap_or(""))];
    let faults = key_faults(texts, &prefix);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let user = UserRecord { id: user, email, active: body.active };
    let view = UserView::from(&user);
    let made = writing.make(&api, Change::PutUser { account, user }).await?;
    Ok(made.answer(StatusCode::OK, ChangedUser { view, applied: made.applied.clone() }))
}
