//! How much a key is used.
//!
//! Every request of a live key counts, refused ones too; 401s are nobody's. What this node has counted
//! is written to the store before it is read, what others have counted is there within their flush
//! interval.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_store::Counts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::input::{At, Params};
use crate::problem::Problem;
use crate::scalar::Instant;

/// Requests of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageView {
    key: String,
    /// Ever.
    total: u64,
    last_used: Option<Instant>,
    /// The current hour and the 24 full ones before it.
    last_24h: u64,
    last_7d: u64,
    /// Today and the 30 full UTC days before it.
    last_30d: u64,
    detail: UsageDetail,
}

/// The same, told apart by what became of the requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageDetail {
    total: Outcomes,
    last_24h: Outcomes,
    last_7d: Outcomes,
    last_30d: Outcomes,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Outcomes {
    /// Went on, or were answered by the gateway itself.
    admitted: u64,
    /// Refused by a limit.
    limited: u64,
    /// Refused behind the limit: route, query, scope, team, data scope.
    refused: u64,
}

impl From<Counts> for Outcomes {
    fn from(counts: Counts) -> Outcomes {
        let Counts { admitted, limited, refused } = counts;
        Outcomes { admitted, limited, refused }
    }
}

/// Usage of a key.
#[utoipa::path(
    get,
    path = "/keys/{key}/usage",
    tag = "keys",
    operation_id = "showUsage",
    params(("key" = String, Path, description = "Id of the key, never the key")),
    responses((status = 200, body = UsageView)),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    At(key): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let stored = api.key(&key).await?;
    let Some(usage) = api.usage(std::slice::from_ref(&stored.record.id)).await? else {
        let detail = "The directory is a file, and no usage is kept beside it.";
        return Err(Problem::conflict("no_usage_kept", detail));
    };
    let usage = usage.of(&stored.record.id);
    let view = UsageView {
        key: stored.record.id,
        total: usage.total.total(),
        last_used: usage.last_used.map(Instant::from),
        last_24h: usage.day.total(),
        last_7d: usage.week.total(),
        last_30d: usage.month.total(),
        detail: UsageDetail {
            total: usage.total.into(),
            last_24h: usage.day.into(),
            last_7d: usage.week.into(),
            last_30d: usage.month.into(),
        },
    };
    Ok(axum::Json(view).into_response())
}
