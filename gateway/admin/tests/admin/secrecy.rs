//! A key is in the one answer that makes it, and nowhere else.

use serde_json::json;

use crate::support::Admin;

/// K5, K7: every answer but the two that make keys, the audit and every page of the database are searched.
#[tokio::test]
async fn a_key_is_shown_once_and_kept_nowhere() {
    let admin = Admin::with_acme().await;
    let body = json!({"name": "CRM", "scopes": ["calls:read"]});
    let made = admin.post("/accounts/acme/keys", body).await.good();
    let path = format!("/keys/{}", made["id"].as_str().unwrap());
    let again = admin.post(&format!("{path}/regenerate"), json!({"grace": "1h"})).await.good();
    let texts = admin.node.made.lock().unwrap().clone();
    assert_eq!([&made["key"], &again["key"]], [&json!(texts[0]), &json!(texts[1])]);
    admin.heard.lock().unwrap().clear();
    // Everything that can be asked about it, and what people do by mistake.
    for place in [
        "/accounts/acme/keys",
        "/accounts/acme/keys?status=all",
        &path,
        &format!("{path}/usage"),
        "/audit",
        "/status",
        "/catalogue",
        "/accounts",
        "/accounts/acme",
    ] {
        admin.get(place).await.good();
    }
    for text in &texts {
        assert_eq!(admin.get(&format!("/keys/{text}")).await.status, 404);
        admin
            .post(
                "/accounts/acme/keys",
                json!({"name": text, "scopes": [text], "user": text, text: 1}),
            )
            .await;
        admin.patch(&path, json!({"name": format!("CRM {text}")})).await;
        admin
            .post(
                "/accounts/acme/keys/import",
                json!({"name": "x", "digest": text, "display": text, "scopes": ["calls:read"]}),
            )
            .await;
        admin
            .put("/accounts/acme/assistants", json!({"names": {"a": text}, "fallback": text}))
            .await;
        admin.put(&format!("/accounts/acme/users/{text}"), json!({"active": true})).await;
        admin.post("/accounts", json!({"id": text, "name": text, "plan": text})).await;
        admin.ask(text, "GET", "/status", None).await;
    }
    admin.post(&format!("{path}/revoke"), json!({})).await.good();
    let heard = admin.heard.lock().unwrap().join("\n");
    let digest = gateway_policy::Digest::sha256(texts[1].as_bytes()).to_string();
    assert!(!heard.contains(digest.trim_start_matches("sha256:")), "a digest is not shown");
    for text in &texts {
        // The text, and so much of it that the rest could be guessed.
        for part in [text.as_str(), &text[6..46]] {
            let place = heard.find(part).map(|at| heard[at.saturating_sub(300)..at].to_owned());
            assert_eq!(place, None, "an answer holds a key");
            let mut pages = 0;
            for file in std::fs::read_dir(admin.folder.path()).unwrap() {
                let bytes = std::fs::read(file.unwrap().path()).unwrap();
                pages += bytes.len();
                let found = bytes.windows(part.len()).any(|window| window == part.as_bytes());
                assert!(!found, "the database holds a key");
            }
            assert!(pages > 4096, "there is a database");
        }
    }
}

/// What would be shown to people must not be a key.
#[tokio::test]
async fn a_name_that_is_a_key_is_refused() {
    let admin = Admin::with_acme().await;
    let path = format!("/keys/{}", admin.key("CRM").await);
    let text = admin.node.made.lock().unwrap()[0].clone();
    let bare = text.trim_start_matches("avoca_").to_owned();
    for name in [text.clone(), bare.clone(), format!("CRM ({text})"), format!("bc_{}", &bare[..32])]
    {
        let keys =
            admin.post("/accounts/acme/keys", json!({"name": name, "scopes": ["calls:read"]}));
        assert_eq!(keys.await.pointers(), ["/name"], "{name}");
        assert_eq!(admin.patch(&path, json!({"name": name})).await.pointers(), ["/name"]);
        let account = admin.post("/accounts", json!({"id": "a", "name": name, "plan": "starter"}));
        assert_eq!(account.await.pointers(), ["/name"]);
        let names = admin.put("/accounts/acme/assistants", json!({"names": {"a": name}}));
        assert_eq!(names.await.pointers(), ["/names/a"]);
    }
    // A short old key looks like a name, but its digest tells.
    let digest = gateway_policy::Digest::sha256(b"swordfish").to_string();
    let import = json!({"name": "swordfish", "display": "swordfish", "digest": digest, "scopes": ["calls:read"]});
    let answer = admin.post("/accounts/acme/keys/import", import).await;
    assert_eq!(answer.pointers(), ["/display", "/name"]);
}
