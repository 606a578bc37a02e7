//! Changes: made in the store, then waited for, then answered.
//!
//! An answer that says revoked means that this node refuses already. So a change is answered only once
//! this node serves its revision. If that does not come about in time, the answer is 503: the change
//! is stored and will be served, but nobody may rely on it yet. What only opens something (a new
//! account, a new key) is answered all the same, with `served: false`: until it is served it is closed,
//! and the one look at a key would be lost.
//!
//! With `?wait=5s` the answer waits for the other nodes too, and says which of them serve.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gateway_limits::UnixMs;
use gateway_store::{Author, Change, Node, Store, StoredKey, WriteError, Written};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout};
use utoipa::ToSchema;

use crate::api::Api;
use crate::auth::Permission;
use crate::guard::Caller;
use crate::input::Params;
use crate::node::Records;
use crate::problem::Problem;

/// How long this node may take to serve a change.
const SERVED_WITHIN: Duration = Duration::from_secs(5);
/// A node that was not heard of for so long is not waited for.
const NODE_SILENT_MS: u64 = 15_000;
const NODES_ASKED_EVERY: Duration = Duration::from_millis(100);
const REVISION: HeaderName = HeaderName::from_static("x-colonnade-revision");
const NODES: HeaderName = HeaderName::from_static("x-colonnade-nodes");

/// Leave to change something, proved: a token that may, and a store that can.
pub(crate) struct Writing {
    store: Arc<dyn Store>,
    author: Author,
    wait: Option<Duration>,
}

/// A change that was made.
pub(crate) struct Made {
    pub(crate) written: Written,
    pub(crate) applied: Applied,
}

/// Who serves a change.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Applied {
    /// Of the store, from which on the change is served.
    pub(crate) revision: u64,
    /// This node serves it. Always, but for what was just created while the node lags.
    pub(crate) served: bool,
    /// All nodes that were heard of in the last 15 seconds; with `?wait=` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nodes: Option<Vec<NodeView>>,
}

/// A gateway of the fleet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct NodeView {
    pub(crate) id: String,
    /// What it serves.
    pub(crate) revision: u64,
    /// Whether that is as new as what was asked for.
    pub(crate) serves: bool,
    pub(crate) seen_at: crate::scalar::Instant,
    pub(crate) version: String,
}

impl NodeView {
    pub(crate) fn of(node: &Node, revision: u64) -> NodeView {
        NodeView {
            id: node.id.clone(),
            revision: node.revision,
            serves: node.revision >= revision,
            seen_at: node.seen_at.into(),
            version: node.version.clone(),
        }
    }
}

impl Api {
    /// Leave for a caller to change what this permission covers.
    ///
    /// # Errors
    /// The permission is missing, or the directory is a file.
    pub(crate) fn writing(
        &self,
        caller: &Caller,
        permission: Permission,
        params: Params,
    ) -> Result<Writing, Problem> {
        caller.may(permission)?;
        let Records::Store(store) = self.records() else {
            let detail = "The directory is a file and is changed there; this API only reads it.";
            return Err(Problem::conflict("read_only_store", detail));
        };
        Ok(Writing {
            store: Arc::clone(store),
            author: Author {
                name: caller.name().to_owned(),
                address: Some(caller.address().to_string()),
                request_id: Some(caller.request_id().to_owned()),
            },
            wait: params.only(&["wait"])?.wait()?,
        })
    }

    /// Nodes that were heard of lately.
    pub(crate) async fn nodes(&self, store: &dyn Store) -> Result<Vec<Node>, Problem> {
        let since = UnixMs(self.node().now().0.saturating_sub(NODE_SILENT_MS));
        Ok(store.nodes(since).await?)
    }
}

impl Writing {
    pub(crate) fn author(&self) -> &str {
        &self.author.name
    }

    /// Makes a change that takes or alters something.
    ///
    /// # Errors
    /// It is refused, the store is away, or it is stored and this node does not serve it in time.
    pub(crate) async fn make(self, api: &Api, change: Change) -> Result<Made, Problem> {
        let made = self.create(api, change).await?;
        if made.applied.served {
            return Ok(made);
        }
        let detail = format!(
            "The change is stored as revision {} and this node does not serve it yet; it will. Until \
             `GET /admin/v1/status` shows that revision, what was valid before may still be accepted.",
            made.applied.revision
        );
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_served_yet", detail).retry_after(1))
    }

    /// Makes a change that only opens something.
    ///
    /// # Errors
    /// It is refused, or the store is away.
    pub(crate) async fn create(self, api: &Api, change: Change) -> Result<Made, Problem> {
        let Writing { store, author, wait } = self;
        let written = store.write(change, &author, api.node().now()).await;
        let written = written.map_err(|error: WriteError| Problem::from(error))?;
        let revision = written.revision;
        let served = timeout(SERVED_WITHIN, api.node().served(revision)).await.is_ok();
        let nodes = match wait {
            Some(wait) => Some(nodes_serving(api, &*store, revision, wait).await),
            None => None,
        };
        Ok(Made { written, applied: Applied { revision, served, nodes } })
    }
}

/// The nodes, once all of them serve a revision or the wait is over.
async fn nodes_serving(
    api: &Api,
    store: &dyn Store,
    revision: u64,
    wait: Duration,
) -> Vec<NodeView> {
    let until = Instant::now() + wait;
    loop {
        // The change is made; a store that has gone away since does not undo it.
        let nodes = api.nodes(store).await.unwrap_or_default();
        let all_serve = !nodes.is_empty() && nodes.iter().all(|node| node.revision >= revision);
        if all_serve || Instant::now() >= until {
            return nodes.iter().map(|node| NodeView::of(node, revision)).collect();
        }
        sleep(NODES_ASKED_EVERY).await;
    }
}

impl Made {
    /// The key of a change of a key.
    pub(crate) fn key(&self) -> Result<StoredKey, Problem> {
        self.written.key.clone().ok_or_else(|| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_unreadable", "The key is lost.")
        })
    }

    /// An answer with the revision in its head, where bodies that can be sent back have no place for it.
    pub(crate) fn answer(&self, status: StatusCode, body: impl Serialize) -> Response {
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(REVISION, HeaderValue::from(self.applied.revision));
        if let Some(nodes) = &self.applied.nodes {
            let pairs: Vec<String> =
                nodes.iter().map(|node| format!("{}={}", node.id, node.revision)).collect();
            if let Ok(value) = HeaderValue::from_str(&pairs.join(", ")) {
                headers.insert(NODES, value);
            }
        }
        response
    }
}
