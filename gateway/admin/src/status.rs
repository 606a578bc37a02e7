//! How the node and its fleet are, what the configuration offers, and the document of this API.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use gateway_limits::UnixMs;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::guard::Caller;
use crate::input::{Params, Unread};
use crate::keys::NoBody;
use crate::limits::Limits;
use crate::node::{ColumnNotes, Records, ReloadOutcome, ServerStatus, UpstreamStatus};
use crate::problem::Problem;
use crate::scalar::Instant;
use crate::write::NodeView;

/// How this node and its fleet are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct StatusView {
    version: &'static str,
    /// Of what is served: every reload and every change counts it up.
    revision: u64,
    /// Keys that are served, dead ones too.
    keys: usize,
    draining: bool,
    /// This node's id among `nodes`.
    node: String,
    directory: DirectoryView,
    /// Nodes that were heard of in the last 15 seconds; null where no store knows of them.
    nodes: Option<Vec<NodeView>>,
    last_reload: ReloadView,
    /// What this node finds of each upstream; the others may find otherwise.
    upstreams: Vec<UpstreamView>,
}

/// How this node finds an upstream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpstreamStatus)]
pub(crate) struct UpstreamView {
    name: String,
    /// It was silent to requests, and they are refused until a probe is answered.
    breaker_open: bool,
    servers: Vec<ServerView>,
}

/// How this node finds one address of a server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServerStatus)]
pub(crate) struct ServerView {
    /// As configured.
    server: String,
    /// Null where its name does not resolve.
    address: Option<String>,
    /// `in_service`, `ejected`, `unhealthy` or `unresolved`.
    state: &'static str,
}

impl From<UpstreamStatus> for UpstreamView {
    fn from(status: UpstreamStatus) -> UpstreamView {
        let UpstreamStatus { name, breaker_open, servers } = status;
        let server =
            |ServerStatus { server, address, state }| ServerView { server, address, state };
        UpstreamView { name, breaker_open, servers: servers.into_iter().map(server).collect() }
    }
}

/// Where accounts and keys come from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DirectoryStatus)]
pub(crate) struct DirectoryView {
    /// `file`, `sqlite` or `postgres`.
    kind: &'static str,
    /// The store's revision that this node serves; null for a file.
    revision: Option<u64>,
    /// The store answers; null for a file.
    reachable: Option<bool>,
    /// Served from the copy on disk until the store comes back.
    from_snapshot: bool,
    /// Records that are not served, and why.
    left_out: Vec<String>,
}

/// How a reload went.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReloadOutcome)]
pub(crate) struct ReloadView {
    ok: bool,
    at: Instant,
    /// Why nothing was changed.
    faults: Vec<String>,
    /// Records that were left out of what is served.
    left_out: Vec<String>,
}

impl From<ReloadOutcome> for ReloadView {
    fn from(outcome: ReloadOutcome) -> ReloadView {
        let ReloadOutcome { ok, at_ms, faults, left_out } = outcome;
        ReloadView { ok, at: UnixMs(at_ms).into(), faults, left_out }
    }
}

/// How this node is, and what the others serve.
#[utoipa::path(
    get,
    path = "/status",
    tag = "node",
    operation_id = "showStatus",
    responses((status = 200, body = StatusView)),
)]
pub(crate) async fn show(State(api): State<Arc<Api>>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let status = api.node().status();
    // A store that is away is a thing to be told here, not a reason to tell nothing.
    let nodes = match api.records() {
        Records::Store(store) => Some(api.nodes(&**store).await.ok()),
        Records::File(_) => None,
    };
    let served = status.directory.revision.unwrap_or(0);
    let view = StatusView {
        version: status.version,
        revision: status.revision,
        keys: status.keys,
        draining: status.draining,
        node: status.node,
        directory: DirectoryView {
            kind: status.directory.kind,
            revision: status.directory.revision,
            reachable: nodes.as_ref().map(Option::is_some),
            from_snapshot: status.directory.from_snapshot,
            left_out: status.directory.left_out,
        },
        nodes: nodes
            .flatten()
            .map(|nodes| nodes.iter().map(|node| NodeView::of(node, served)).collect()),
        last_reload: status.last_reload.into(),
        upstreams: status.upstreams.into_iter().map(UpstreamView::from).collect(),
    };
    Ok(axum::Json(view).into_response())
}

/// Reads configuration and directory again, all or nothing. Any permission but `read` will do.
#[utoipa::path(
    post,
    path = "/reload",
    tag = "node",
    operation_id = "reload",
    request_body = NoBody,
    responses(
        (status = 200, body = ReloadView, description = "Served from now on"),
        (status = 422, body = ReloadView, description = "Nothing was changed; `faults` say why"),
    ),
)]
pub(crate) async fn reload(
    State(api): State<Arc<Api>>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    caller.may_change_something()?;
    params.only(&[])?;
    body.read_or_nothing::<NoBody>(&api).await?;
    let outcome = api.node().reload().await;
    let status = if outcome.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, axum::Json(ReloadView::from(outcome))).into_response())
}

/// What keys and accounts can be given: plans, scopes, columns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Catalogue)]
pub(crate) struct CatalogueView {
    plans: Vec<PlanView>,
    scopes: Vec<ScopeView>,
    resources: Vec<ResourceView>,
    keys: KeyRulesView,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub(crate) struct PlanView {
    name: String,
    limits: Limits,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeView {
    name: String,
    description: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Resource)]
pub(crate) struct ResourceView {
    name: String,
    /// Everything passes; it has no columns to choose.
    all: bool,
    columns: Vec<ColumnView>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Column)]
pub(crate) struct ColumnView {
    path: String,
    label: Option<String>,
    personal: bool,
    /// To an account that has no list of its own.
    shown_by_default: bool,
    /// Shown whatever a list says.
    always: bool,
    /// Its assistant ids are replaced by names.
    assistant: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyRules)]
pub(crate) struct KeyRulesView {
    /// What new keys begin with.
    prefix: String,
    /// What new keys look like, for those who search for leaked ones.
    regex: String,
    live_max: u32,
    data_scope_required: bool,
}

impl From<ColumnNotes> for ColumnView {
    fn from(notes: ColumnNotes) -> ColumnView {
        let ColumnNotes { path, label, personal, shown_by_default, always, assistant } = notes;
        ColumnView { path, label, personal, shown_by_default, always, assistant }
    }
}

/// Plans, scopes and columns of the configuration.
#[utoipa::path(
    get,
    path = "/catalogue",
    tag = "node",
    operation_id = "showCatalogue",
    responses((status = 200, body = CatalogueView)),
)]
pub(crate) async fn catalogue(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let (rules, key_rules) = (api.node().rules(), api.node().key_rules());
    let mut plans: Vec<PlanView> = rules
        .plans
        .iter()
        .map(|(name, plan)| PlanView {
            name: name.to_string(),
            limits: Limits::of(plan.quotas.iter()),
        })
        .collect();
    plans.sort_by(|one, other| one.name.cmp(&other.name));
    let scope = |(name, description): (&str, &str)| ScopeView {
        name: name.to_owned(),
        description: description.to_owned(),
    };
    let notes = api.node().resource_notes();
    let all = rules.resources.iter().map(|resource| resource.catalogue.is_all());
    let resource = |(notes, all): (crate::node::ResourceNotes, bool)| ResourceView {
        name: notes.name,
        all,
        columns: notes.columns.into_iter().map(ColumnView::from).collect(),
    };
    let view = CatalogueView {
        plans,
        scopes: rules.scopes.iter().map(scope).collect(),
        resources: notes.into_iter().zip(all).map(resource).collect(),
        keys: KeyRulesView {
            prefix: key_rules.prefix,
            regex: key_rules.regex,
            live_max: key_rules.live_max,
            data_scope_required: key_rules.data_scope_required,
        },
    };
    Ok(axum::Json(view).into_response())
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "node",
    operation_id = "showDocument",
    responses((status = 200, body = Object, content_type = "application/json")),
)]
pub(crate) async fn openapi_json(
    State(api): State<Arc<Api>>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, api.document().text().to_owned()).into_response())
}
