//! A store that is away: nothing is said that is not known.

use std::sync::Arc;

use async_trait::async_trait;
use gateway_admin::Records;
use gateway_limits::UnixMs;
use gateway_policy::AccountRecord;
use gateway_store::{
    AuditRow, Author, Change, Delta, KeyStatus, Listed, Node, Page, Store, StoreError, StoredKey,
    Usage, UsageFlush, WriteError, Written,
};
use serde_json::json;

use crate::node::TestNode;
use crate::support::{Admin, CONFIG};

#[derive(Debug)]
struct Gone;

fn gone<T>() -> Result<T, StoreError> {
    Err(StoreError::Unreachable("connection refused by secret-host".to_owned()))
}

#[async_trait]
impl Store for Gone {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn load(&self) -> Result<Delta, StoreError> {
        gone()
    }

    async fn changes(&self, _: u64) -> Result<Delta, StoreError> {
        gone()
    }

    async fn news(&self, _: u64) -> Result<(), StoreError> {
        gone()
    }

    async fn write(&self, _: Change, _: &Author, _: UnixMs) -> Result<Written, WriteError> {
        Ok(gone()?)
    }

    async fn account(&self, _: &str) -> Result<Option<AccountRecord>, StoreError> {
        gone()
    }

    async fn accounts(&self, _: Page) -> Result<Listed<AccountRecord>, StoreError> {
        gone()
    }

    async fn key(&self, _: &str) -> Result<Option<StoredKey>, StoreError> {
        gone()
    }

    async fn keys(
        &self,
        _: &str,
        _: KeyStatus,
        _: UnixMs,
        _: Page,
    ) -> Result<Listed<StoredKey>, StoreError> {
        gone()
    }

    async fn audit(&self, _: Option<&str>, _: Page) -> Result<Listed<AuditRow>, StoreError> {
        gone()
    }

    async fn add_usage(&self, _: &UsageFlush) -> Result<(), StoreError> {
        gone()
    }

    async fn usage(&self, _: &[String], _: UnixMs) -> Result<Vec<Usage>, StoreError> {
        gone()
    }

    async fn heartbeat(&self, _: &Node) -> Result<(), StoreError> {
        gone()
    }

    async fn nodes(&self, _: UnixMs) -> Result<Vec<Node>, StoreError> {
        gone()
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_said_to_be() {
    let store: Arc<dyn Store> = Arc::new(Gone);
    let node = Arc::new(TestNode::new(CONFIG, Some(Arc::clone(&store))));
    let folder = tempfile::tempdir().unwrap();
    let admin = Admin::of(Records::Store(Arc::clone(&store)), node, store, folder);
    let account = json!({"id": "acme", "name": "Acme", "plan": "starter"});
    let key = json!({"name": "CRM", "scopes": ["calls:read"]});
    for (method, path, body) in [
        ("GET", "/accounts", None),
        ("POST", "/accounts", Some(account)),
        ("GET", "/accounts/acme/keys", None),
        ("POST", "/accounts/acme/keys", Some(key)),
        ("GET", "/keys/key_x", None),
        ("POST", "/keys/key_x/revoke", None),
        ("GET", "/accounts/acme/columns", None),
        ("PUT", "/accounts/acme/assistants", Some(json!({}))),
        ("GET", "/audit", None),
    ] {
        let answer = admin.ask("root", method, path, body).await;
        assert_eq!(answer.code(), (503, "store_unavailable"), "{method} {path}");
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    let heard = admin.heard.lock().unwrap().join("\n");
    assert!(!heard.contains("secret-host"), "the cause is the operator's");
    // How this node is can be told all the same.
    let status = admin.get("/status").await.good();
    assert_eq!(status["directory"]["reachable"], json!(false));
    assert_eq!((&status["nodes"], &status["revision"]), (&json!(null), &json!(7)));
}
