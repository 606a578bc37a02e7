//! The admin API: the state behind its routes, and the one table of them.
//!
//! Routes and document come from the same list: a handler says its path, method, parameters, bodies
//! and answers once, and what it is served by is what the document tells (`openapi`). Bodies are
//! checked by the schemas that the document shows (`schema`).
//!
//! | file | holds |
//! | --- | --- |
//! | `guard`, `auth` | who may ask |
//! | `input`, `schema`, `scalar`, `secrecy` | what is asked: queries and bodies, all faults at once |
//! | `keys`, `accounts`, `data`, `preview`, `usage`, `audit`, `status` | the handlers |
//! | `read`, `write` | records, from wherever they are; changes, and waiting until they are served |
//! | `problem` | errors, and the only status codes of theirs |
//! | `node` | what is asked of the gateway around it |

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use gateway_limits::Throttle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::guard::guard;
use crate::input::BODY_BYTES_MAX;
use crate::node::{AdminParts, Records, ThisNode};
use crate::openapi::Document;
use crate::problem::Problem;
use crate::{accounts, audit, data, keys, preview, status, usage};

/// What handlers share.
#[derive(Debug)]
pub(crate) struct Api {
    parts: AdminParts,
    throttle: Throttle,
    document: Document,
}

impl Api {
    pub(crate) fn node(&self) -> &dyn ThisNode {
        &*self.parts.node
    }

    pub(crate) fn records(&self) -> &Records {
        &self.parts.records
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.throttle
    }

    pub(crate) fn document(&self) -> &Document {
        &self.document
    }
}

/// The routes of the admin listener.
pub fn router(parts: AdminParts) -> Router {
    let (router, document) = table().split_for_parts();
    let document = Document::of(document);
    let api = Arc::new(Api { parts, throttle: Throttle::default(), document });
    router
        .fallback(elsewhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&api), guard))
        .with_state(api)
}

/// The OpenAPI 3.1 document of the routes, as `GET /admin/v1/openapi.json` gives it.
pub fn openapi() -> String {
    Document::of(table().split_for_parts().1).text().to_owned()
}

/// Every route.
fn table() -> OpenApiRouter<Arc<Api>> {
    let routes = OpenApiRouter::new()
        .routes(routes!(accounts::list, accounts::create))
        .routes(routes!(accounts::show, accounts::alter))
        .routes(routes!(accounts::users))
        .routes(routes!(accounts::put_user))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::import))
        .routes(routes!(keys::show, keys::alter))
        .routes(routes!(keys::regenerate))
        .routes(routes!(keys::revoke))
        .routes(routes!(usage::show))
        .routes(routes!(data::columns, data::put_columns))
        .routes(routes!(data::assistants, data::put_assistants))
        .routes(routes!(preview::preview))
        .routes(routes!(audit::list))
        .routes(routes!(status::catalogue))
        .routes(routes!(status::show))
        .routes(routes!(status::reload))
        .routes(routes!(status::openapi_json));
    OpenApiRouter::new().nest("/admin/v1", routes)
}

async fn elsewhere() -> Problem {
    Problem::not_found("not_found", "Nothing is found here.")
}
