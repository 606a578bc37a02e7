//! A router on a store, and a client without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use gateway_admin::{AdminParts, Records, admin_router};
use gateway_store::{SqliteStore, Store};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::node::TestNode;

pub(crate) const CONFIG: &str = r#"
version: 1
store: { sqlite: colonnade.db }
upstreams: { calls: { servers: ["127.0.0.1:9101"] } }
keys: { prefix: avoca_ }
plans:
  starter: { limits: { minute: { requests: 60, window: 1m } } }
  professional: { limits: { minute: { requests: 300, window: 1m }, burst: { requests: 60, window: 1m, kind: gcra, burst: 10 } } }
scopes:
  calls:read: Call records
  contacts:read: View contacts
  contacts:write: Change contacts
  analytics:read: Figures
resources:
  calls:
    columns:
      call_id: { always: true }
      created_at: {}
      phone: { label: "Caller's number", personal: true, shown: false }
      agent: { assistant: true }
    visibility: { private: is_private, owner: user_email, team: team_id }
  contacts: { columns: { id: { always: true }, name: {} } }
  rubrics: { columns: all }
teams: { header: x-team-id }
routes:
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: GET /api/rubrics, upstream: calls, scope: calls:read, resource: rubrics, rows: "data[]" }
  - { match: GET|POST /api/contacts, upstream: calls, scope: contacts, resource: contacts, rows: "data[]" }
"#;

/// The admin API of one test.
pub(crate) struct Admin {
    router: Router,
    pub(crate) node: Arc<TestNode>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: TempDir,
    /// Every answer that was given.
    pub(crate) heard: std::sync::Mutex<Vec<String>>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status.as_u16(), self.json["code"].as_str().unwrap_or(""))
    }

    /// The pointers of a 422, in order.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        assert_eq!(self.code(), (422, "invalid_body"), "{}", self.json);
        let errors = self.json["errors"].as_array().unwrap();
        errors.iter().map(|fault| fault["pointer"].as_str().unwrap()).collect()
    }

    /// The body of a success.
    #[track_caller]
    pub(crate) fn good(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.json);
        self.json
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Admin {
    /// With an empty store.
    pub(crate) fn empty() -> Admin {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(folder.path().join("colonnade.db")).unwrap());
        let node = Arc::new(TestNode::new(CONFIG, Some(Arc::clone(&store))));
        let records = Records::Store(Arc::clone(&store));
        Admin::of(records, node, store, folder)
    }

    pub(crate) fn of(
        records: Records,
        node: Arc<TestNode>,
        store: Arc<dyn Store>,
        folder: TempDir,
    ) -> Admin {
        let router = admin_router(AdminParts { records, node: node.clone() });
        Admin { router, node, store, folder, heard: std::sync::Mutex::default() }
    }

    /// With the account `acme` of two teams and the user `u_ann`.
    pub(crate) async fn with_acme() -> Admin {
        let admin = Admin::empty();
        let body = json!({"id": "acme", "name": "Acme", "plan": "starter", "teams": [101, "102"]});
        admin.post("/accounts", body).await.good();
        let body = json!({"active": true, "email": "ann@acme.test"});
        admin.put("/accounts/acme/users/u_ann", body).await.good();
        admin
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("root", "GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("root", "POST", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask("root", "PUT", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask("root", "PATCH", path, Some(body)).await
    }

    /// A key of `acme`, and its id.
    pub(crate) async fn key(&self, name: &str) -> String {
        let body = json!({"name": name, "scopes": ["calls:read"]});
        let made = self.post("/accounts/acme/keys", body).await.good();
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/admin/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        self.heard.lock().unwrap().push(format!("{:?} {text}", parts.headers));
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, json }
    }
}
