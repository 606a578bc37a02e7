//! Who changed what, when, from where, before and after.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway_limits::UnixMs;
use gateway_store::AuditRow;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::Api;
use crate::input::Params;
use crate::problem::Problem;
use crate::scalar::Instant;
use crate::time::rfc3339;

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditView {
    /// Rising with time.
    id: u64,
    at: Instant,
    who: WhoView,
    /// `key.created`, `columns.set` and so on.
    action: &'static str,
    account: String,
    /// The account, user or key.
    object: String,
    /// Null where it was not; never a secret, nor a digest.
    #[schema(value_type = Option<Object>)]
    before: Value,
    #[schema(value_type = Option<Object>)]
    after: Value,
    revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditAuthor)]
pub(crate) struct WhoView {
    /// Name of the admin token, or `cli` and the system's user.
    name: String,
    address: Option<String>,
    request_id: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditList {
    items: Vec<AuditView>,
    /// What `?cursor=` of the next page says; null on the last.
    next: Option<String>,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> AuditView {
        AuditView {
            id: row.id,
            at: row.at.into(),
            who: WhoView {
                name: row.author.name,
                address: row.author.address,
                request_id: row.author.request_id,
            },
            action: row.action.as_str(),
            account: row.account,
            object: row.object,
            before: with_times(row.before),
            after: with_times(row.after),
            revision: row.revision,
        }
    }
}

/// Stored times are Unix milliseconds; shown ones are not.
fn with_times(value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let shown = members.into_iter().map(|(name, member)| {
        let is_time = name.ends_with("_at") || name == "until";
        let member = match member.as_u64().filter(|_| is_time) {
            Some(ms) => Value::String(rfc3339(UnixMs(ms))),
            None => with_times(member),
        };
        (name, member)
    });
    Value::Object(shown.collect())
}

/// Changes, the newest first.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "audit",
    operation_id = "listAudit",
    params(
        ("account" = Option<String>, Query, description = "Of this account alone"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Most items; 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = AuditList)),
)]
pub(crate) async fn list(State(api): State<Arc<Api>>, params: Params) -> Result<Response, Problem> {
    let params = params.only(&["account", "limit", "cursor"])?;
    let listed = api.audit(params.text("account"), params.page()?).await?;
    let items = listed.items.into_iter().map(AuditView::from).collect();
    Ok(axum::Json(AuditList { items, next: listed.next }).into_response())
}
