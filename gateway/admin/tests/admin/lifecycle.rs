//! A key from its creation to its end.

use serde_json::json;

use crate::support::Admin;

const HOUR_MS: u64 = 3_600_000;

/// K1, S3, S7, P2: everything that is missing or wrong is told at once.
#[tokio::test]
async fn a_key_lacks_nothing_that_it_needs() {
    let admin = Admin::with_acme().await;
    let full = json!({"name": "CRM", "scopes": ["calls:read"]});
    for (change, pointers) in [
        (json!({"name": null}), vec!["/name"]),
        (json!({"name": ""}), vec!["/name"]),
        (json!({"name": "a\u{0}b"}), vec!["/name"]),
        (json!({"scopes": null}), vec!["/scopes"]),
        (json!({"scopes": []}), vec!["/scopes"]),
        (
            json!({"scopes": ["calls:read", "calls:rad", "analytics:write"]}),
            vec!["/scopes/1", "/scopes/2"],
        ),
        (json!({"scopes": ["nonsense"]}), vec!["/scopes/0"]),
        (json!({"data_scope": "everything"}), vec!["/data_scope"]),
        (json!({"data_scope": "legacy"}), vec!["/data_scope"]),
        (json!({"data_scope": "user_full"}), vec!["/user"]),
        (json!({"data_scope": "user_full", "user": "u_bob"}), vec!["/user"]),
        (json!({"data_scope": "org_full", "user": "u_ann"}), vec!["/user"]),
        (json!({"user": "u_ann"}), vec!["/user"]),
        (json!({"teams": []}), vec!["/teams"]),
        (json!({"teams": [101, 999]}), vec!["/teams/1"]),
        (json!({"teams": "some"}), vec!["/teams"]),
        (json!({"expires_at": "tomorrow"}), vec!["/expires_at"]),
        (json!({"expires_at": "2026-11-21T10:00:00Z"}), vec!["/expires_at"]),
        (json!({"allowed_ips": []}), vec!["/allowed_ips"]),
        (json!({"allowed_ips": ["203.0.113.0/24", "here"]}), vec!["/allowed_ips/1"]),
        (json!({"limits": {}}), vec!["/limits"]),
        (
            json!({"limits": {"minute": {"requests": 0, "window": "1m"}}}),
            vec!["/limits/minute/requests"],
        ),
        (json!({"limits": {"minute": {"requests": 1, "window": "1ms"}}}), vec!["/limits/minute"]),
        (
            json!({"limits": {"b": {"requests": 1, "window": "1m", "burst": 1}}}),
            vec!["/limits/b/burst"],
        ),
        (json!({"scope": ["calls:read"]}), vec!["/scope"]),
        (json!({"name": 1, "scopes": [2], "teams": 3}), vec!["/name", "/scopes/0", "/teams"]),
    ] {
        let mut body = full.clone();
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = admin.post("/accounts/acme/keys", body).await;
        assert_eq!(answer.pointers(), pointers, "{change}: {}", answer.json);
    }
    let none = admin.post("/accounts/acme/keys", json!({})).await;
    assert_eq!(none.pointers(), ["/name", "/scopes"]);
    assert_eq!(admin.get("/accounts/acme/keys?status=all").await.good()["items"], json!([]));
}

/// K2, X7: any name that people use.
#[tokio::test]
async fn a_name_is_kept_as_it_was_given() {
    let admin = Admin::with_acme().await;
    for name in [
        "Zapier – CS Team".to_owned(),
        "営業 🎧 <script>alert(1)</script>".to_owned(),
        "a".repeat(64),
        "é".repeat(1_000),
    ] {
        let id = admin.key(&name).await;
        assert_eq!(admin.get(&format!("/keys/{id}")).await.good()["name"], json!(name));
    }
    let body = json!({"name": "x".repeat(1_001), "scopes": ["calls:read"]});
    assert_eq!(admin.post("/accounts/acme/keys", body).await.pointers(), ["/name"]);
}

/// K1, K5, K7, K8, K28, P1, U4, U5, U6: what was granted is shown, and the key itself once.
#[tokio::test]
async fn a_key_is_shown_as_it_was_granted() {
    let admin = Admin::with_acme().await;
    let body = json!({
        "name": "CRM",
        "scopes": ["read:calls", "calls:read", "contacts:write"],
        "data_scope": "user_non_private",
        "user": "u_ann",
        "teams": [101],
        "expires_at": "2027-01-01T01:00:00+01:00",
        "allowed_ips": ["203.0.113.7", "2001:db8::/32"],
        "limits": {"hour": {"requests": 9, "window": "60m"}, "minute": {"requests": 3, "window": "1m", "kind": "gcra", "burst": 2}},
    });
    let answer = admin.post("/accounts/acme/keys", body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let mut made = answer.good();
    let key = made["key"].take();
    assert_eq!(key, json!(admin.node.made.lock().unwrap()[0]));
    let id = made["id"].as_str().unwrap().to_owned();
    let shown = admin.get(&format!("/keys/{id}")).await.good();
    assert_eq!(
        shown,
        json!({
            "id": id,
            "account": "acme",
            "name": "CRM",
            "display": made["display"],
            "status": "active",
            "scopes": ["calls:read", "contacts:write"],
            "data_scope": "user_non_private",
            "legacy": false,
            "user": "u_ann",
            "owner": "root",
            "teams": ["101"],
            "created_at": "2026-11-21T10:00:00Z",
            "expires_at": "2027-01-01T00:00:00Z",
            "revoked_at": null,
            "grace_until": null,
            "allowed_ips": ["203.0.113.7/32", "2001:db8::/32"],
            "limits": {"hour": {"requests": 9, "window": "1h"}, "minute": {"requests": 3, "window": "1m", "kind": "gcra", "burst": 2}},
            "limits_from": "key",
            "limits_until": null,
            "last_used": null,
            "usage_total": 0,
        })
    );
    assert!(made["display"].as_str().unwrap().starts_with("avoca_"));
    // What is shown is what was made, but for the key and who serves it.
    for name in ["key", "revision", "served"] {
        made.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(made, shown);
    let plain = admin.key("plain").await;
    let shown = admin.get(&format!("/keys/{plain}")).await.good();
    assert_eq!(
        [&shown["teams"], &shown["data_scope"], &shown["allowed_ips"], &shown["limits_from"]],
        [&json!("all"), &json!("org_full"), &json!(null), &json!("plan")]
    );
    assert_eq!(shown["limits"], json!({"minute": {"requests": 60, "window": "1m"}}));
}

/// P9: the configuration may ask for the data scope to be said.
#[tokio::test]
async fn a_data_scope_can_be_required() {
    let admin = Admin::with_acme().await;
    admin.node.key_rules.lock().unwrap().data_scope_required = true;
    let body = json!({"name": "CRM", "scopes": ["calls:read"]});
    let answer = admin.post("/accounts/acme/keys", body.clone()).await;
    assert_eq!(answer.pointers(), ["/data_scope"]);
    let mut body = body;
    body["data_scope"] = json!("org_non_private");
    assert_eq!(admin.post("/accounts/acme/keys", body).await.status, 201);
}

/// K4, K9: a rename changes the name and nothing else, of this key and no other.
#[tokio::test]
async fn a_rename_is_a_rename() {
    let admin = Admin::with_acme().await;
    let (renamed, other) = (admin.key("Key 1").await, admin.key("Key 2").await);
    let before = [&renamed, &other].map(|id| format!("/keys/{id}"));
    let (mut key, other) = (admin.get(&before[0]).await.good(), admin.get(&before[1]).await.good());
    let answer = admin.patch(&before[0], json!({"name": "BI Dashboard"})).await.good();
    assert_eq!(answer["served"], json!(true));
    key["name"] = json!("BI Dashboard");
    assert_eq!(admin.get(&before[0]).await.good(), key);
    assert_eq!(admin.get(&before[1]).await.good(), other);
}

/// K21, K22: scope, user and teams never change, and neither does the rest of what was chosen.
#[tokio::test]
async fn what_is_fixed_stays() {
    let admin = Admin::with_acme().await;
    let path = format!("/keys/{}", admin.key("CRM").await);
    let before = admin.get(&path).await.good();
    for name in ["scopes", "data_scope", "user", "teams", "owner", "id", "account", "digest"] {
        let mut body = json!({"name": "changed"});
        body[name] = json!("x");
        let answer = admin.patch(&path, body).await;
        assert_eq!(answer.pointers(), [format!("/{name}")]);
        let detail = answer.json["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("never changes"), "{detail}");
    }
    assert_eq!(admin.patch(&path, json!({"name": null})).await.pointers(), ["/name"]);
    assert_eq!(admin.get(&path).await.good(), before);
}

/// K10, K11, K12: revoking is for good, can be repeated, and leaves a record.
#[tokio::test]
async fn a_revoked_key_stays_revoked_and_is_kept() {
    let admin = Admin::with_acme().await;
    let id = admin.key("CRM").await;
    let path = format!("/keys/{id}");
    let revoked = admin.post(&format!("{path}/revoke"), json!({})).await.good();
    assert_eq!(revoked["status"], json!("revoked"));
    assert_eq!(revoked["revoked_at"], json!("2026-11-21T10:00:00Z"));
    admin.node.pass(HOUR_MS);
    let again = admin.ask("root", "POST", &format!("{path}/revoke"), None).await.good();
    assert_eq!(again["revoked_at"], revoked["revoked_at"], "the first instant counts");
    for (method, path, body) in [
        ("PATCH", path.clone(), json!({"name": "alive?"})),
        ("PATCH", path.clone(), json!({"expires_at": "2030-01-01T00:00:00Z"})),
        ("POST", format!("{path}/regenerate"), json!({})),
    ] {
        let answer = admin.ask("root", method, &path, Some(body)).await;
        assert_eq!(answer.code(), (409, "key_revoked"), "{method} {path}");
    }
    assert_eq!(admin.get("/accounts/acme/keys").await.good()["items"], json!([]));
    let kept = admin.get("/accounts/acme/keys?status=revoked").await.good();
    assert_eq!(kept["items"][0]["id"], json!(id));
}

/// K13, K14: a new secret, and all else as it was.
#[tokio::test]
async fn regenerating_changes_the_secret_alone() {
    let admin = Admin::with_acme().await;
    let id = admin.key("CRM").await;
    let before = admin.get(&format!("/keys/{id}")).await.good();
    let answer =
        admin.post(&format!("/keys/{id}/regenerate"), json!({"grace": "24h"})).await.good();
    let texts = admin.node.made.lock().unwrap().clone();
    assert_eq!(answer["key"], json!(texts[1]));
    assert_ne!(texts[0], texts[1]);
    assert_eq!(answer["grace_until"], json!("2026-11-22T10:00:00Z"));
    let after = admin.get(&format!("/keys/{id}")).await.good();
    for name in before.as_object().unwrap().keys() {
        if !["display", "grace_until"].contains(&name.as_str()) {
            assert_eq!(before[name], after[name], "{name}");
        }
    }
    let at_once = admin.ask("root", "POST", &format!("/keys/{id}/regenerate"), None).await.good();
    assert_eq!(at_once["grace_until"], json!(null));
    for (grace, pointers) in
        [(json!("8d"), ["/grace"]), (json!("soon"), ["/grace"]), (json!(5), ["/grace"])]
    {
        let answer = admin.post(&format!("/keys/{id}/regenerate"), json!({"grace": grace})).await;
        assert_eq!(answer.pointers(), pointers);
    }
}

/// K17, K18: expiry is by the clock; a date can be moved while the key lives, and not into the past.
#[tokio::test]
async fn an_expired_key_is_listed_as_one_and_cannot_be_extended() {
    let admin = Admin::with_acme().await;
    let path = format!("/keys/{}", admin.key("Website Widget").await);
    admin.patch(&path, json!({"expires_at": "2026-11-21T11:00:00Z"})).await.good();
    assert_eq!(admin.get(&path).await.good()["status"], json!("active"));
    let past = admin.patch(&path, json!({"expires_at": "2026-11-21T09:00:00Z"})).await;
    assert_eq!(past.pointers(), ["/expires_at"]);
    admin.node.pass(HOUR_MS);
    assert_eq!(admin.get(&path).await.good()["status"], json!("expired"));
    let listed = admin.get("/accounts/acme/keys?status=expired").await.good();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    for body in [json!({"expires_at": null}), json!({"name": "again"})] {
        assert_eq!(admin.patch(&path, body).await.code(), (409, "key_expired"));
    }
    assert_eq!(
        admin.post(&format!("{path}/revoke"), json!({})).await.good()["status"],
        json!("revoked")
    );
}

/// K19, K20: ten live keys however many are asked for at once; a revoked one makes room.
#[tokio::test]
async fn ten_live_keys_stay_ten() {
    let admin = Admin::with_acme().await;
    let body = json!({"name": "CRM", "scopes": ["calls:read"]});
    let mut asked = tokio::task::JoinSet::new();
    let admin = std::sync::Arc::new(admin);
    for _ in 0..15 {
        let (admin, body) = (admin.clone(), body.clone());
        asked.spawn(async move {
            let answer = admin.post("/accounts/acme/keys", body).await;
            (answer.status.as_u16(), answer.json)
        });
    }
    let answers = asked.join_all().await;
    let made: Vec<_> = answers.iter().filter(|(status, _)| *status == 201).collect();
    assert_eq!(made.len(), 10);
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 409).collect();
    assert_eq!(refused.len(), 5);
    assert!(refused.iter().all(|(_, json)| json["code"] == "too_many_live_keys"));
    let id = made[0].1["id"].as_str().unwrap();
    admin.post(&format!("/keys/{id}/revoke"), json!({})).await.good();
    assert_eq!(admin.post("/accounts/acme/keys", body.clone()).await.status, 201);
    assert_eq!(
        admin.post("/accounts/acme/keys", body.clone()).await.code(),
        (409, "too_many_live_keys")
    );
    admin.patch("/accounts/acme", json!({"live_max": 11})).await.good();
    assert_eq!(admin.post("/accounts/acme/keys", body).await.status, 201);
}

/// K25, K26, K27: a legacy key comes by import alone, can be seen and revoked, and nothing else.
#[tokio::test]
async fn a_legacy_key_is_for_looking_and_revoking() {
    let admin = Admin::with_acme().await;
    let digest = |n: u8| format!("sha256:{}", format!("{n:02x}").repeat(32));
    let import = "/accounts/acme/keys/import";
    let body = |n: u8, more: serde_json::Value| {
        let mut body = json!({"name": "Old", "digest": digest(n), "scopes": ["calls:read"]});
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        body
    };
    for (n, more) in [(1, json!({"legacy": true})), (2, json!({"data_scope": "legacy"}))] {
        let answer = admin.post(import, body(n, more)).await;
        assert_eq!(answer.status, 201);
        let key = answer.good();
        assert_eq!((&key["legacy"], &key["data_scope"]), (&json!(true), &json!("legacy")));
        assert!(key.get("key").is_none(), "nobody here knows it");
        let path = format!("/keys/{}", key["id"].as_str().unwrap());
        for body in [json!({"name": "New"}), json!({"expires_at": "2030-01-01T00:00:00Z"})] {
            assert_eq!(admin.patch(&path, body).await.code(), (409, "legacy_key"));
        }
        let answer = admin.post(&format!("{path}/regenerate"), json!({})).await;
        assert_eq!(answer.code(), (409, "legacy_key"));
        admin.post(&format!("{path}/revoke"), json!({})).await.good();
    }
    let both = json!({"legacy": false, "data_scope": "legacy"});
    assert_eq!(admin.post(import, body(3, both)).await.pointers(), ["/legacy"]);
    let taken = admin.post(import, body(1, json!({}))).await;
    assert_eq!(taken.code(), (409, "digest_known"), "revoked ones too");
    let imported = admin.post(import, body(4, json!({"display": "bc_ab12…"}))).await.good();
    assert_eq!((&imported["legacy"], &imported["display"]), (&json!(false), &json!("bc_ab12…")));
    let peppered = json!({"digest": format!("hmac-{}", digest(5))});
    assert_eq!(admin.post(import, body(5, peppered)).await.pointers(), ["/digest"]);
    let plain = json!({"digest": "avoca_0123456789"});
    assert_eq!(admin.post(import, body(5, plain)).await.pointers(), ["/digest"]);
}

/// R10: limits are raised for a period and fall back by themselves, or changed for good.
#[tokio::test]
async fn limits_are_raised_for_a_period() {
    let admin = Admin::with_acme().await;
    let path = format!("/keys/{}", admin.key("CRM").await);
    let many = json!({"minute": {"requests": 3000, "window": "1m"}});
    let body = json!({"limits": many, "limits_until": "2026-11-21T12:00:00Z"});
    let raised = admin.patch(&path, body.clone()).await.good();
    let shown = |key: &serde_json::Value| {
        let requests = key["limits"]["minute"]["requests"].as_u64().unwrap();
        (requests, key["limits_from"].as_str().unwrap().to_owned(), key["limits_until"].clone())
    };
    assert_eq!(shown(&raised), (3000, "raised".into(), json!("2026-11-21T12:00:00Z")));
    admin.node.pass(2 * HOUR_MS);
    assert_eq!(shown(&admin.get(&path).await.good()), (60, "plan".into(), json!(null)));
    let late = admin.patch(&path, body).await;
    assert_eq!(late.pointers(), ["/limits_until"]);
    let alone = admin.patch(&path, json!({"limits_until": "2026-11-22T12:00:00Z"})).await;
    assert_eq!(alone.pointers(), ["/limits_until"]);
    let own = json!({"limits": {"minute": {"requests": 5, "window": "1m"}}});
    assert_eq!(shown(&admin.patch(&path, own).await.good()), (5, "key".into(), json!(null)));
    let body = json!({"limits": many, "limits_until": "2026-11-22T12:00:00Z"});
    admin.patch(&path, body).await.good();
    let ended = admin.patch(&path, json!({"limits_until": null})).await.good();
    assert_eq!(shown(&ended), (5, "key".into(), json!(null)));
    let plan = admin.patch(&path, json!({"limits": null})).await.good();
    assert_eq!(shown(&plan), (60, "plan".into(), json!(null)));
}

/// A creation that is sent again makes one key, and does not show it a second time.
#[tokio::test]
async fn an_idempotency_key_makes_one_key() {
    let admin = Admin::with_acme().await;
    let send = |token: &'static str, name: &'static str, path: &'static str| {
        let body = json!({"name": name, "scopes": ["calls:read"]}).to_string();
        let request = axum::http::Request::post(format!("/admin/v1{path}"))
            .header("authorization", "Bearer root")
            .header("content-type", "application/json")
            .header("idempotency-key", token);
        admin.send(request.body(body.into()).unwrap())
    };
    let keys = "/accounts/acme/keys";
    let first = send("t1", "CRM", keys).await;
    assert_eq!(first.status, 201);
    let again = send("t1", "CRM", keys).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (200, Some("true")));
    assert_eq!(again.json["id"], first.json["id"]);
    assert!(again.json.get("key").is_none());
    assert_eq!(send("t1", "Other", keys).await.code(), (409, "idempotency_conflict"));
    assert_eq!(send("t2", "CRM", keys).await.status, 201);
    assert_eq!(send("", "CRM", keys).await.code(), (400, "bad_parameter"));
    let listed = admin.get("/accounts/acme/keys").await.good();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}
