//! A change is answered once it is served, here and, when asked, elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::support::Admin;

/// K10: the answer that says revoked comes after this node has begun to refuse.
#[tokio::test]
async fn a_revocation_is_answered_once_it_is_served() {
    let admin = Arc::new(Admin::with_acme().await);
    let id = admin.key("CRM").await;
    admin.node.serves.store(false, Ordering::Release);
    let asked = tokio::spawn({
        let (admin, path) = (admin.clone(), format!("/keys/{id}/revoke"));
        async move { admin.post(&path, json!({})).await }
    });
    // The store has it long before.
    while admin.store.key(&id).await.unwrap().unwrap().record.revoked_at.is_none() {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished(), "nobody serves it yet");
    admin.node.serves.store(true, Ordering::Release);
    admin.node.serving.notify_waiters();
    // Whoever began to wait just after the notification is let through by the flag.
    let revoked = loop {
        admin.node.serving.notify_waiters();
        if asked.is_finished() {
            break asked.await.unwrap();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(revoked.good()["served"], json!(true));
}

/// What cannot be relied on is not said; the one look at a new key is not lost by that.
#[tokio::test]
async fn what_is_not_served_in_time_is_not_said_to_be() {
    let admin = Admin::with_acme().await;
    let (id, leaked) = (admin.key("CRM").await, admin.key("Leaked").await);
    admin.node.serves.store(false, Ordering::Release);
    let (revoke, regenerate) = (format!("/keys/{id}/revoke"), format!("/keys/{leaked}/regenerate"));
    let body = json!({"name": "New", "scopes": ["calls:read"]});
    let (regenerated, created, revoked) = tokio::join!(
        admin.post(&regenerate, json!({})),
        admin.post("/accounts/acme/keys", body),
        admin.post(&revoke, json!({})),
    );
    assert_eq!(regenerated.code(), (503, "not_served_yet"));
    assert!(regenerated.json.get("key").is_none());
    assert_eq!(regenerated.header("retry-after"), Some("1"));
    assert_eq!((created.status.as_u16(), &created.json["served"]), (201, &json!(false)));
    assert!(created.json["key"].is_string());
    assert_eq!(revoked.code(), (503, "not_served_yet"));
    assert_eq!(admin.get(&format!("/keys/{id}")).await.good()["status"], json!("revoked"));
    admin.node.serves.store(true, Ordering::Release);
    assert_eq!(admin.post(&revoke, json!({})).await.good()["served"], json!(true), "asked again");
}

/// `?wait=` tells which nodes serve a change, and waits for those that are heard of.
#[tokio::test]
async fn the_fleet_is_waited_for() {
    let admin = Admin::with_acme().await;
    let id = admin.key("CRM").await;
    admin.node.hear("n1", 1_000).await;
    admin.node.hear("n2", 0).await;
    let path = format!("/keys/{id}/revoke?wait=200ms");
    let answer = admin.post(&path, json!({})).await;
    let revision = answer.json["revision"].as_u64().unwrap();
    assert_eq!(answer.header("x-colonnade-revision"), Some(revision.to_string().as_str()));
    assert_eq!(answer.header("x-colonnade-nodes"), Some("n1=1000, n2=0"));
    let serves: Vec<_> = answer.json["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["serves"].clone())
        .collect();
    assert_eq!(serves, [json!(true), json!(false)]);
    admin.node.hear("n2", 1_000).await;
    let all = admin.post(&format!("/keys/{id}/revoke?wait=30s"), json!({})).await.good();
    assert_eq!(all["nodes"][1]["serves"], json!(true), "nothing left to wait for");
    admin.node.pass(20_000);
    admin.node.hear("n1", 1_000).await;
    let left = admin.post(&format!("/keys/{id}/revoke?wait=0s"), json!({})).await.good();
    assert_eq!(left["nodes"].as_array().unwrap().len(), 1, "n2 is silent");
    assert!(
        admin.post(&format!("/keys/{id}/revoke"), json!({})).await.good().get("nodes").is_none()
    );
    for wait in ["31s", "5", "x", ""] {
        let answer = admin.post(&format!("/keys/{id}/revoke?wait={wait}"), json!({})).await;
        assert_eq!(answer.code(), (400, "bad_parameter"), "{wait}");
    }
}

#[tokio::test]
async fn status_and_reload_tell_how_it_is() {
    let admin = Admin::with_acme().await;
    admin.node.hear("n1", 2).await;
    admin.node.hear("n2", 1).await;
    let status = admin.get("/status").await.good();
    assert_eq!(status["revision"], json!(7));
    assert_eq!(status["directory"]["kind"], json!("sqlite"));
    assert_eq!(
        (&status["directory"]["revision"], &status["directory"]["reachable"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(status["nodes"][0]["serves"], json!(true));
    assert_eq!(
        (&status["nodes"][1]["revision"], &status["nodes"][1]["serves"]),
        (&json!(1), &json!(false))
    );
    assert_eq!(status["last_reload"]["at"], json!("2026-11-21T10:00:00Z"));
    let server = json!({"server": "calls.internal:80", "address": null, "state": "unresolved"});
    let calls = json!({"name": "calls", "breaker_open": false, "servers": [server]});
    assert_eq!(status["upstreams"], json!([calls]));
    let reload = admin.ask("keys", "POST", "/reload", None).await;
    assert_eq!(reload.status, 422);
    assert_eq!(reload.json["faults"], json!(["gateway.yaml:1:1: version: is missing"]));
    let catalogue = admin.get("/catalogue").await.good();
    assert_eq!(
        catalogue["scopes"][0],
        json!({"name": "calls:read", "description": "Call records"})
    );
    assert_eq!(catalogue["plans"][1]["limits"]["minute"], json!({"requests": 60, "window": "1m"}));
    let phone = &catalogue["resources"][0]["columns"][2];
    assert_eq!((&phone["path"], &phone["personal"]), (&json!("phone"), &json!(true)));
    assert_eq!(catalogue["resources"][2], json!({"name": "rubrics", "all": true, "columns": []}));
}
