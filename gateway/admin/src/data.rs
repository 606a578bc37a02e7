//! What an account's keys are shown: columns, assistants' names, and a look at both beforehand.
//!
//! Columns are read as they are in force, the defaults included, and written in the same form: who
//! reads, edits and writes back changes what was edited. What was a default before is then the
//! account's own list, so a column that the configuration adds later is not shown to it unasked. A
//! resource that is left out of what is written has its defaults.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gateway_policy::{AccountRecord, AssistantNames, ColumnLists, Resource, Rules};
use gateway_store::Change;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::api::Api;
use crate::auth::Permission;
use crate::guard::Caller;
use crate::input::{At, Params, Unread, bad_parameter};
use crate::ordered::Ordered;
use crate::problem::{BodyFault, Problem};
use crate::scalar::{Wait, is_id};
use crate::schema::{below, near};
use crate::secrecy::{key_faults, repeated};

/// Most names of one account.
const NAMES_MAX: usize = 10_000;

/// By resource, the columns that are shown.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Columns(BTreeMap<String, Vec<String>>);

/// Columns that an account or one of its teams is shown, by resource, in force now. Those that are
/// always shown are in it; resources where everything passes are not.
#[utoipa::path(
    get,
    path = "/accounts/{account}/columns",
    tag = "data",
    operation_id = "showColumns",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("team" = Option<String>, Query, description = "Of this team"),
    ),
    responses((status = 200, body = Columns)),
)]
pub(crate) async fn columns(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&["team"])?;
    let account = api.account(&account).await?;
    let team = team(&account, params.text("team"))?;
    Ok(axum::Json(in_force(&account, team.as_deref(), &api.node().rules())).into_response())
}

/// Sets all columns of an account, or of one of its teams with `?team=`. A resource that is left out has
/// its defaults, or for a team the account's list. `{}` for a team: it has no lists of its own.
#[utoipa::path(
    put,
    path = "/accounts/{account}/columns",
    tag = "data",
    operation_id = "putColumns",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("team" = Option<String>, Query, description = "Of this team"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = Columns,
    responses((status = 200, body = Columns, description = "In force from now on")),
)]
pub(crate) async fn put_columns(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let (params, asked_team) = params.without("team")?;
    let writing = api.writing(&caller, Permission::Data, params)?;
    let Columns(columns) = body.read::<Columns>(&api).await?.body;
    let record = api.account(&account).await?;
    let team = team(&record, asked_team.as_deref())?;
    let rules = api.node().rules();
    let faults = column_faults(&columns, &rules);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let columns = columns.into_iter().map(|(name, list)| (name, distinct(list))).collect();
    let change = Change::PutColumns { account, team: team.clone(), columns };
    let made = writing.make(&api, change).await?;
    Ok(made.answer(StatusCode::OK, in_force(&made.written.account, team.as_deref(), &rules)))
}

/// A team that the account has, or may have.
fn team(account: &AccountRecord, asked: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(team) = asked else { return Ok(None) };
    let is_its_own = match &account.teams {
        Some(teams) => teams.iter().any(|known| known == team),
        None => is_id(team),
    };
    if is_its_own {
        Ok(Some(team.to_owned()))
    } else {
        Err(bad_parameter("team", "is no team of the account"))
    }
}

fn column_faults(columns: &ColumnLists, rules: &Rules) -> Vec<BodyFault> {
    let mut faults = Vec::new();
    for (name, list) in columns {
        let place = below("", name);
        let Some(resource) = rules.resources.iter().find(|resource| *resource.name == **name)
        else {
            let known: Vec<&str> = rules.resources.iter().map(|known| &*known.name).collect();
            let detail = format!("there is no resource {}; {}", repeated(name), near(name, &known));
            faults.push(BodyFault::new(place, detail));
            continue;
        };
        if resource.catalogue.is_all() {
            let detail = "takes no list: by the configuration everything of it passes";
            faults.push(BodyFault::new(place, detail));
            continue;
        }
        let known: Vec<&str> = resource.catalogue.columns().map(|(_, path)| path).collect();
        for (index, column) in list.iter().enumerate() {
            if resource.catalogue.column(column).is_none() {
                let near = near(column, &known);
                let detail = format!("`{name}` has no column {}; {near}", repeated(column));
                faults.push(BodyFault::new(format!("{place}/{index}"), detail));
            }
        }
    }
    faults
}

fn distinct(list: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    list.into_iter().filter(|column| seen.insert(column.clone())).collect()
}

/// Of each resource with a choice: the team's list, else the account's, else the defaults. What is
/// always shown stands behind what was listed.
fn in_force(account: &AccountRecord, team: Option<&str>, rules: &Rules) -> Columns {
    let of_team = team.and_then(|team| account.team_columns.get(team));
    let own = |name: &str| {
        of_team.and_then(|lists| lists.get(name)).or_else(|| account.columns.get(name))
    };
    let chosen = rules.resources.iter().filter(|resource| !resource.catalogue.is_all());
    let list = |resource: &Resource| match own(&resource.name) {
        Some(list) => with_always(list, resource),
        None => defaults(resource),
    };
    Columns(chosen.map(|resource| (resource.name.to_string(), list(resource))).collect())
}

fn with_always(list: &[String], resource: &Resource) -> Vec<String> {
    let always = resource.catalogue.columns().filter(|(id, _)| resource.always.contains(id));
    let missing =
        always.map(|(_, path)| path).filter(|path| !list.iter().any(|known| known == path));
    list.iter().cloned().chain(missing.map(str::to_owned)).collect()
}

fn defaults(resource: &Resource) -> Vec<String> {
    let columns = resource.catalogue.columns();
    let shown =
        columns.filter(|(id, _)| resource.defaults.contains(*id) || resource.always.contains(id));
    shown.map(|(_, path)| path.to_owned()).collect()
}

/// What an account's assistants are called.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assistants {
    /// Name by assistant id; an empty name is one.
    #[serde(default)]
    names: NamesById,
    /// Stands in for ids without a name; null: what the resource's `unmapped` says.
    #[serde(default)]
    fallback: Option<String>,
}

/// At most 10,000.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct NamesById(Ordered<String>);

impl PartialSchema for NamesById {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .max_properties(Some(NAMES_MAX))
            .additional_properties(Some(AdditionalProperties::RefOr(String::schema())));
        RefOr::T(Schema::Object(object.build()))
    }
}

impl ToSchema for NamesById {}

impl From<&AssistantNames> for Assistants {
    fn from(record: &AssistantNames) -> Assistants {
        let AssistantNames { names, fallback } = record.clone();
        Assistants { names: NamesById(Ordered(names)), fallback }
    }
}

/// What an account's assistants are called.
#[utoipa::path(
    get,
    path = "/accounts/{account}/assistants",
    tag = "data",
    operation_id = "showAssistants",
    params(("account" = String, Path, description = "Id of the account")),
    responses((status = 200, body = Assistants)),
)]
pub(crate) async fn assistants(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let record = api.account(&account).await?;
    Ok(axum::Json(Assistants::from(&record.assistants)).into_response())
}

/// Sets all of it: an id that is left out has no name any more.
#[utoipa::path(
    put,
    path = "/accounts/{account}/assistants",
    tag = "data",
    operation_id = "putAssistants",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = Assistants,
    responses((status = 200, body = Assistants, description = "In force from now on")),
)]
pub(crate) async fn put_assistants(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Data, params)?;
    let Assistants { names: NamesById(Ordered(names)), fallback } =
        body.read::<Assistants>(&api).await?.body;
    let faults = name_faults(&names, fallback.as_deref(), &api.node().key_rules().prefix);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let assistants = AssistantNames { names, fallback };
    let made = writing.make(&api, Change::PutAssistants { account, assistants }).await?;
    Ok(made.answer(StatusCode::OK, Assistants::from(&made.written.account.assistants)))
}

/// Names are shown to every customer of the account.
fn name_faults(names: &[(String, String)], fallback: Option<&str>, prefix: &str) -> Vec<BodyFault> {
    let named = names.iter().map(|(id, name)| (below("/names", id), name.as_str()));
    let fallback = fallback.map(|name| ("/fallback".to_owned(), name));
    key_faults(named.chain(fallback), prefix)
}
