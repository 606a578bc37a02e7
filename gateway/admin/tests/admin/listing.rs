//! Lists: filters, pages, audit.

use serde_json::{Value, json};

use crate::support::Admin;

fn names(list: &Value, member: &str) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

/// K8, K32: by status, and what is no status is no filter.
#[tokio::test]
async fn keys_are_listed_by_status() {
    let admin = Admin::with_acme().await;
    admin.key("live").await;
    admin.node.pass(1);
    let revoked = admin.key("revoked").await;
    admin.node.pass(1);
    let expired = admin.key("expired").await;
    admin.post(&format!("/keys/{revoked}/revoke"), json!({})).await.good();
    let soon = json!({"expires_at": "2026-11-21T10:00:01Z"});
    admin.patch(&format!("/keys/{expired}"), soon).await.good();
    admin.node.pass(1_000);
    for (query, expected) in [
        ("", vec!["live"]),
        ("?status=active", vec!["live"]),
        ("?status=revoked", vec!["revoked"]),
        ("?status=expired", vec!["expired"]),
        ("?status=all", vec!["live", "revoked", "expired"]),
    ] {
        let list = admin.get(&format!("/accounts/acme/keys{query}")).await.good();
        assert_eq!(names(&list, "name"), expected, "{query}");
    }
    for query in ["?status=dead", "?status=", "?state=all", "?status=all&status=all"] {
        let answer = admin.get(&format!("/accounts/acme/keys{query}")).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    let none = admin.get("/accounts/nobody/keys").await;
    assert_eq!(none.code(), (404, "account_not_found"));
}

/// Every list is read page by page, each item once.
#[tokio::test]
async fn pages_follow_one_another() {
    let admin = Admin::with_acme().await;
    for n in 0..7 {
        let body = json!({"id": format!("a{n}"), "name": "A", "plan": "starter"});
        admin.post("/accounts", body).await.good();
        admin.put(&format!("/accounts/acme/users/u{n}"), json!({"active": true})).await.good();
        admin.key(&format!("k{n}")).await;
    }
    for (path, count) in
        [("/accounts", 8), ("/accounts/acme/users", 8), ("/accounts/acme/keys", 7), ("/audit", 23)]
    {
        let whole = admin.get(&format!("{path}?limit=200")).await.good();
        assert_eq!(whole["next"], json!(null), "{path}");
        let mut seen = Vec::new();
        let mut query = "?limit=3".to_owned();
        loop {
            let page = admin.get(&format!("{path}{query}")).await.good();
            seen.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            query = format!("?limit=3&cursor={next}");
            assert!(seen.len() <= count, "{path} does not end");
        }
        assert_eq!(seen.len(), count, "{path}");
        assert_eq!(Value::Array(seen), whole["items"], "{path}");
        for bad in ["limit=0", "limit=201", "limit=x", "limit=%2B3", "limit=", "cursor="] {
            let answer = admin.get(&format!("{path}?{bad}")).await;
            assert_eq!(answer.code(), (400, "bad_parameter"), "{path}?{bad}");
        }
    }
    let made_up = admin.get("/accounts/acme/keys?cursor=made-up").await;
    assert_eq!(made_up.code(), (400, "bad_parameter"));
}

/// U7: who, what, when, from where, before and after.
#[tokio::test]
async fn every_change_is_in_the_audit() {
    let admin = Admin::with_acme().await;
    let id = admin.key("CRM").await;
    let path = format!("/keys/{id}");
    admin.patch(&path, json!({"name": "BI", "expires_at": "2027-01-01T00:00:00Z"})).await.good();
    admin.post(&format!("{path}/regenerate"), json!({"grace": "1h"})).await.good();
    admin.post(&format!("{path}/revoke"), json!({})).await.good();
    admin.put("/accounts/acme/columns", json!({"calls": ["created_at"]})).await.good();
    admin.put("/accounts/acme/assistants", json!({"names": {"a": "Front desk"}})).await.good();
    admin.patch("/accounts/acme", json!({"plan": "professional"})).await.good();
    admin.post("/accounts", json!({"id": "other", "name": "O", "plan": "starter"})).await.good();
    let audit = admin.get("/audit?account=acme").await.good();
    assert_eq!(
        names(&audit, "action"),
        [
            "account.altered",
            "assistants.set",
            "columns.set",
            "key.revoked",
            "key.regenerated",
            "key.altered",
            "key.created",
            "user.put",
            "account.created"
        ]
    );
    let altered = &audit["items"][5];
    assert_eq!(altered["object"], json!(id));
    assert_eq!(altered["who"]["name"], json!("root"));
    assert_eq!(altered["who"]["address"], json!("0.0.0.0"));
    assert_eq!(altered["at"], json!("2026-11-21T10:00:00Z"));
    assert_eq!(
        (&altered["before"]["name"], &altered["after"]["name"]),
        (&json!("CRM"), &json!("BI"))
    );
    assert_eq!(altered["after"]["expires_at"], json!("2027-01-01T00:00:00Z"));
    assert_eq!(altered["after"]["created_at"], json!("2026-11-21T10:00:00Z"));
    assert_eq!(audit["items"][4]["after"]["previous"]["until"], json!("2026-11-21T11:00:00Z"));
    assert_eq!(audit["items"][6]["before"], json!(null));
    assert_eq!(names(&admin.get("/audit").await.good(), "account")[0], "other");
}
