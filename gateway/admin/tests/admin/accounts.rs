//! Accounts and users.

use serde_json::json;

use crate::support::Admin;

#[tokio::test]
async fn an_account_is_made_shown_and_altered() {
    let admin = Admin::empty();
    let body = json!({"id": "acme", "name": "Acme Heating", "plan": "starter", "teams": [101, "x", 101], "live_max": 3});
    let answer = admin.post("/accounts", body.clone()).await;
    assert_eq!(answer.status, 201);
    let shown = admin.get("/accounts/acme").await.good();
    let expected = json!({"id": "acme", "name": "Acme Heating", "plan": "starter", "teams": ["101", "x"], "live_max": 3});
    assert_eq!(shown, expected);
    assert_eq!(admin.post("/accounts", body).await.code(), (409, "account_exists"));
    let body = json!({"name": "Acme", "plan": "professional", "teams": null, "live_max": null});
    let altered = admin.patch("/accounts/acme", body).await.good();
    assert_eq!(
        [&altered["name"], &altered["plan"], &altered["teams"], &altered["live_max"]],
        [&json!("Acme"), &json!("professional"), &json!(null), &json!(null)]
    );
    assert_eq!(admin.patch("/accounts/nobody", json!({})).await.code(), (404, "account_not_found"));
}

#[tokio::test]
async fn an_account_that_could_not_be_served_is_not_made() {
    let admin = Admin::with_acme().await;
    for (body, pointers) in [
        (json!({}), vec!["/id", "/name", "/plan"]),
        (json!({"id": "a/b", "name": "", "plan": "gold"}), vec!["/id", "/name"]),
        (json!({"id": "..", "name": "A", "plan": "starter"}), vec!["/id"]),
        (json!({"id": "a", "name": "A", "plan": "startr"}), vec!["/plan"]),
        (json!({"id": "a", "name": "A", "plan": "starter", "teams": []}), vec!["/teams"]),
        (json!({"id": "a", "name": "A", "plan": "starter", "live_max": -1}), vec!["/live_max"]),
        (json!({"id": "a", "name": "A", "plan": "starter", "keys": {}}), vec!["/keys"]),
    ] {
        let answer = admin.post("/accounts", body.clone()).await;
        assert_eq!(answer.pointers(), pointers, "{body}");
    }
    let typo = admin.post("/accounts", json!({"id": "a", "name": "A", "plan": "startr"})).await;
    let detail = typo.json["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(detail, "there is no plan `startr`; did you mean `starter`?");
    admin.put("/accounts/acme/columns?team=102", json!({"calls": []})).await.good();
    let answer = admin.patch("/accounts/acme", json!({"teams": [101]})).await;
    assert_eq!(answer.pointers(), ["/teams"], "team 102 has columns of its own");
    assert_eq!(admin.patch("/accounts/acme", json!({"id": "b"})).await.pointers(), ["/id"]);
}

/// K29: a user who left is deactivated, and the address is not forgotten by that.
#[tokio::test]
async fn a_user_is_put() {
    let admin = Admin::with_acme().await;
    let path = "/accounts/acme/users/u_ann";
    let user = admin.put(path, json!({"active": false})).await.good();
    assert_eq!((&user["active"], &user["email"]), (&json!(false), &json!("ann@acme.test")));
    let user = admin.put(path, json!({"active": true, "email": null})).await.good();
    assert_eq!((&user["active"], &user["email"]), (&json!(true), &json!(null)));
    let users = admin.get("/accounts/acme/users").await.good();
    assert_eq!(users["items"], json!([{"id": "u_ann", "email": null, "active": true}]));
    for (body, pointers) in [
        (json!({}), ["/active"]),
        (json!({"active": "yes"}), ["/active"]),
        (json!({"active": true, "email": "nowhere"}), ["/email"]),
        (json!({"active": true, "mail": "a@b"}), ["/mail"]),
    ] {
        assert_eq!(admin.put(path, body.clone()).await.pointers(), pointers, "{body}");
    }
    let odd = admin.put("/accounts/acme/users/a%2Fb", json!({"active": true})).await;
    assert_eq!(odd.code(), (400, "bad_request"));
    let nobody = admin.put("/accounts/nobody/users/u", json!({"active": true})).await;
    assert_eq!(nobody.code(), (404, "account_not_found"));
}
