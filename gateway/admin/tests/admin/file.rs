//! A directory in a file: read here, changed there.

use std::sync::Arc;

use gateway_admin::Records;
use gateway_policy::{AccountRecord, Digest, Directory, KeyRecord, UserRecord};
use gateway_store::SqliteStore;
use serde_json::json;

use crate::node::TestNode;
use crate::support::{Admin, CONFIG};

fn admin() -> Admin {
    let user = UserRecord { id: "u_ann".to_owned(), email: None, active: true };
    let key = |id: &str| KeyRecord::new(id, Digest::sha256(id.as_bytes()), &["calls:read"]);
    let mut acme = AccountRecord::new("acme", "starter");
    acme.users = vec![user];
    acme.keys = vec![key("key_b"), key("key_a"), key("key_c")];
    acme.assistants.fallback = Some("AI".to_owned());
    let directory =
        Arc::new(Directory { accounts: vec![AccountRecord::new("zeta", "starter"), acme] });
    let folder = tempfile::tempdir().unwrap();
    let node = Arc::new(TestNode::new(CONFIG, None));
    // Nobody writes there.
    let store = Arc::new(SqliteStore::open(folder.path().join("unused.db")).unwrap());
    Admin::of(Records::File(Arc::new(move || Arc::clone(&directory))), node, store, folder)
}

#[tokio::test]
async fn a_file_is_read() {
    let admin = admin();
    let accounts = admin.get("/accounts").await.good();
    assert_eq!(accounts["items"][0]["id"], json!("acme"));
    assert_eq!(accounts["items"][1]["id"], json!("zeta"));
    let first = admin.get("/accounts/acme/keys?limit=2").await.good();
    assert_eq!(first["items"][0]["id"], json!("key_b"), "in the order of the file");
    assert_eq!(first["next"], json!("key_a"));
    let second = admin.get("/accounts/acme/keys?limit=2&cursor=key_a").await.good();
    assert_eq!((&second["items"][0]["id"], &second["next"]), (&json!("key_c"), &json!(null)));
    let key = admin.get("/keys/key_a").await.good();
    assert_eq!((&key["status"], &key["usage_total"]), (&json!("active"), &json!(null)));
    assert_eq!(admin.get("/accounts/acme/users").await.good()["items"][0]["id"], json!("u_ann"));
    let columns = admin.get("/accounts/acme/columns").await.good();
    assert_eq!(columns["calls"], json!(["call_id", "created_at", "agent"]));
    assert_eq!(admin.get("/accounts/acme/assistants").await.good()["fallback"], json!("AI"));
    assert_eq!(admin.get("/audit").await.good(), json!({"items": [], "next": null}));
    assert_eq!(admin.get("/keys/key_a/usage").await.code(), (409, "no_usage_kept"));
    let status = admin.get("/status").await.good();
    assert_eq!((&status["directory"]["kind"], &status["nodes"]), (&json!("file"), &json!(null)));
}

#[tokio::test]
async fn a_file_is_not_changed() {
    let admin = admin();
    for (method, path) in [
        ("POST", "/accounts"),
        ("PATCH", "/accounts/acme"),
        ("PUT", "/accounts/acme/users/u_ann"),
        ("POST", "/accounts/acme/keys"),
        ("POST", "/accounts/acme/keys/import"),
        ("PATCH", "/keys/key_a"),
        ("POST", "/keys/key_a/regenerate"),
        ("POST", "/keys/key_a/revoke"),
        ("PUT", "/accounts/acme/columns"),
        ("PUT", "/accounts/acme/assistants"),
    ] {
        let answer = admin.ask("root", method, path, Some(json!({}))).await;
        assert_eq!(answer.code(), (409, "read_only_store"), "{method} {path}");
        let answer = admin.ask("read", method, path, Some(json!({}))).await;
        assert_eq!(answer.code(), (403, "permission_missing"), "{method} {path}");
    }
}
