//! Columns, assistants, preview.

use gateway_admin::PreviewOf;
use gateway_policy::DataScope;
use serde_json::json;

use crate::support::Admin;

/// C1, C2: what is in force is shown; what was read can be edited and written back.
#[tokio::test]
async fn columns_are_read_edited_and_written() {
    let admin = Admin::with_acme().await;
    let path = "/accounts/acme/columns";
    let mut columns = admin.get(path).await.good();
    let defaults = json!({"calls": ["call_id", "created_at", "agent"], "contacts": ["id", "name"]});
    assert_eq!(columns, defaults, "`phone` is not shown by default, rubrics have no choice");
    columns["calls"] = json!(["phone", "created_at", "phone"]);
    let answer = admin.put(path, columns).await;
    assert!(answer.header("x-colonnade-revision").is_some());
    let after = json!({"calls": ["phone", "created_at", "call_id"], "contacts": ["id", "name"]});
    assert_eq!(answer.good(), after, "what is always shown is shown");
    assert_eq!(admin.get(path).await.good(), after);
    assert_eq!(admin.put(path, after.clone()).await.good(), after);
    assert_eq!(admin.put(path, json!({})).await.good(), defaults, "absent: its defaults");
    let none = admin.put(path, json!({"calls": []})).await.good();
    assert_eq!(none["calls"], json!(["call_id"]));
}

/// C1: a team's own list replaces the account's.
#[tokio::test]
async fn a_team_has_columns_of_its_own() {
    let admin = Admin::with_acme().await;
    let (path, team) = ("/accounts/acme/columns", "/accounts/acme/columns?team=102");
    admin.put(path, json!({"calls": ["phone"]})).await.good();
    assert_eq!(admin.get(team).await.good()["calls"], json!(["phone", "call_id"]));
    let own = admin.put(team, json!({"calls": ["created_at"]})).await.good();
    assert_eq!(own["calls"], json!(["created_at", "call_id"]));
    assert_eq!(admin.get(path).await.good()["calls"], json!(["phone", "call_id"]));
    admin.put(team, json!({})).await.good();
    assert_eq!(admin.get(team).await.good()["calls"], json!(["phone", "call_id"]));
    for bad in ["?team=999", "?team=", "?team=101&team=102", "?teams=102"] {
        assert_eq!(admin.get(&format!("{path}{bad}")).await.status, 400, "{bad}");
        assert_eq!(admin.put(&format!("{path}{bad}"), json!({})).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_column_that_there_is_not_is_refused() {
    let admin = Admin::with_acme().await;
    let path = "/accounts/acme/columns";
    for (body, pointers) in [
        (json!({"calls": ["call_id", "fone"], "cals": []}), vec!["/calls/1", "/cals"]),
        (json!({"rubrics": ["id"]}), vec!["/rubrics"]),
        (json!({"calls": "call_id"}), vec!["/calls"]),
        (json!([]), vec![""]),
    ] {
        assert_eq!(admin.put(path, body.clone()).await.pointers(), pointers, "{body}");
    }
}

/// M1, M2, M4, M6: names as they were given, in their order, and a fallback.
#[tokio::test]
async fn assistants_are_named() {
    let admin = Admin::with_acme().await;
    let path = "/accounts/acme/assistants";
    assert_eq!(admin.get(path).await.good(), json!({"names": {}, "fallback": null}));
    let body = json!({
        "names": {"asst_2": "Quote \" Slash / Back \\ Tab \t Newline \n", "asst_1": ""},
        "fallback": "AI assistant",
    });
    assert_eq!(admin.put(path, body.clone()).await.good(), body);
    let text = admin.get(path).await.good().to_string();
    assert_eq!(text, body.to_string(), "the order too");
    assert_eq!(admin.put(path, json!({})).await.good(), json!({"names": {}, "fallback": null}));
    for (body, pointers) in [
        (json!({"names": {"a": 1}}), ["/names/a"]),
        (json!({"names": []}), ["/names"]),
        (json!({"fallbak": "x"}), ["/fallbak"]),
    ] {
        assert_eq!(admin.put(path, body.clone()).await.pointers(), pointers, "{body}");
    }
}

/// What is to be previewed comes to the node whole, of a key or of one imagined.
#[tokio::test]
async fn a_policy_is_previewed() {
    let admin = Admin::with_acme().await;
    let path = "/accounts/acme/preview";
    let body = json!({"data_scope": "user_full", "user": "u_ann", "teams": [101], "resource": "calls",
        "body": {"data": []}});
    let seen = admin.post(path, body).await.good();
    assert_eq!(
        seen,
        json!({"body": {"data": [{"call_id": "c1"}]}, "columns_hidden": ["phone"],
            "rows_hidden": 1, "mapped": 2, "fallback": 3})
    );
    let asked = admin.node.asked.lock().unwrap().clone().unwrap();
    assert_eq!(asked.key.data_scope, Some(DataScope::UserFull));
    assert_eq!(asked.of, PreviewOf::Resource("calls".to_owned()));
    assert_eq!(asked.body, br#"{"data":[]}"#);
    assert_eq!(asked.account.users.len(), 1);
    let id = admin.key("CRM").await;
    let body = json!({"key": id, "route": "GET /api/calls", "team": 101, "body": []});
    admin.post(path, body).await.good();
    let asked = admin.node.asked.lock().unwrap().clone().unwrap();
    assert_eq!((asked.key.id, asked.team.as_deref()), (id, Some("101")));
    for (body, pointers) in [
        (json!({"resource": "calls"}), ["/body"]),
        (json!({"body": 1}), ["/route"]),
        (json!({"body": 1, "resource": "calls", "route": "GET /"}), ["/route"]),
        (json!({"body": 1, "resource": "calls", "data_scope": "user_full"}), ["/user"]),
    ] {
        assert_eq!(admin.post(path, body.clone()).await.pointers(), pointers, "{body}");
    }
    let unknown = admin.post(path, json!({"body": 1, "resource": "calls", "key": "key_x"})).await;
    assert_eq!(unknown.code(), (404, "key_not_found"));
    assert_eq!(admin.get("/accounts/acme/keys").await.good()["items"].as_array().unwrap().len(), 1);
}
