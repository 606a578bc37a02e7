//! Which rows a key sees: four data scopes and the one from before them (P2 to P8, K25, K29).

use serde_json::{Value, json};

use crate::support::answer::refusal;
use crate::support::gateway::Launch;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

/// Rows of Ann, Bob and nobody; each id says whose it is and what it should count as.
const MIXED: &str = r#"{"data":[
  {"call_id":"ann_public","user_email":"ann@acme.test","is_private":false,"team_id":101},
  {"call_id":"ann_private","user_email":"ann@acme.test","is_private":true,"team_id":101},
  {"call_id":"ann_by_id","user_email":"u_ann","is_private":false,"team_id":101},
  {"call_id":"bob_public","user_email":"bob@acme.test","is_private":false,"team_id":101},
  {"call_id":"bob_private","user_email":"bob@acme.test","is_private":true,"team_id":102},
  {"call_id":"ann_unsaid","user_email":"ann@acme.test","team_id":101},
  {"call_id":"ann_null","user_email":"ann@acme.test","is_private":null,"team_id":101},
  {"call_id":"ann_quoted","user_email":"ann@acme.test","is_private":"false","team_id":101},
  {"call_id":"ann_zero","user_email":"ann@acme.test","is_private":0,"team_id":101},
  {"call_id":"ann_doubled","user_email":"ann@acme.test","is_private":true,"is_private":false,"team_id":101},
  {"call_id":"ann_escaped","user_email":"ann\u0040acme.test","is_priv\u0061te":false,"team_id":101},
  {"call_id":"nobody_public","is_private":false,"team_id":101},
  {"call_id":"ann_longer","user_email":"ann@acme.test.evil","is_private":false,"team_id":101}
],"pagination":{"has_more":false}}"#;

fn keys() -> [Key; 5] {
    ["user_non_private", "user_full", "org_non_private", "org_full", "legacy"].map(|scope| {
        let key = Key::new(
            scope,
            &["calls:read", "transcripts:read", "contacts:read", "coach:read", "leads:read"],
        );
        let key = key.with("data_scope", scope);
        if scope.starts_with("user") { key.with("user", "u_ann") } else { key }
    })
}

fn ids(answer: &Value) -> Vec<&str> {
    answer["data"].as_array().unwrap().iter().map(|row| row["call_id"].as_str().unwrap()).collect()
}

/// P3, P4, P5, P6, K25: one list, five keys.
#[test]
fn each_data_scope_sees_its_rows() {
    let upstream = Upstream::answering(200, MIXED);
    let keys = keys();
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of(keys.clone()));
    let all = vec![
        "ann_public",
        "ann_private",
        "ann_by_id",
        "bob_public",
        "bob_private",
        "ann_unsaid",
        "ann_null",
        "ann_quoted",
        "ann_zero",
        "ann_doubled",
        "ann_escaped",
        "nobody_public",
        "ann_longer",
    ];
    let anns = vec![
        "ann_public",
        "ann_private",
        "ann_by_id",
        "ann_unsaid",
        "ann_null",
        "ann_quoted",
        "ann_zero",
        "ann_doubled",
        "ann_escaped",
    ];
    let public =
        vec!["ann_public", "ann_by_id", "bob_public", "ann_escaped", "nobody_public", "ann_longer"];
    let expected = [vec!["ann_public", "ann_by_id", "ann_escaped"], anns, public, all.clone(), all];
    for (key, expected) in keys.iter().zip(expected) {
        let answer = gateway.get("/api/calls").header("X-Request-Id", &key.id).bearer(key).send();
        assert_eq!(answer.status, 200);
        assert_eq!(ids(&answer.json()), expected, "{}", key.id);
        assert!(!answer.text().contains("is_private"), "judged, and not shown");
        let seen = upstream.last();
        assert_eq!(seen.header("x-colonnade-data-scope").as_deref(), Some(key.id.as_str()));
        let user = key.id.starts_with("user").then(|| "u_ann".to_owned());
        assert_eq!(seen.header("x-colonnade-user"), user);
        // P8: how many were hidden is in the log and the metric, not in the answer.
        let line = gateway.access_line(&key.id);
        assert_eq!(line["rows_hidden"], json!(13 - expected.len()), "{line}");
    }
    assert_eq!(
        gateway.metric("colonnade_rows_hidden_total", &[("resource", "calls")]),
        (10 + 4 + 7) as f64
    );
}

/// P3: a single hidden row is 404, the same bytes as a path that does not exist.
#[test]
fn a_single_hidden_row_is_404() {
    let upstream = Upstream::answering(200, "{}");
    let keys = keys();
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of(keys.clone()));
    let private =
        r#"{"data":{"call_id":"x","is_private":true,"user_email":"ann@acme.test","team_id":101}}"#;
    let bobs =
        r#"{"data":{"call_id":"x","is_private":false,"user_email":"bob@acme.test","team_id":101}}"#;
    let elsewhere =
        r#"{"data":{"call_id":"x","is_private":false,"user_email":"ann@acme.test","team_id":999}}"#;
    let good =
        r#"{"data":{"call_id":"x","is_private":false,"user_email":"ann@acme.test","team_id":101}}"#;
    for (body, statuses) in [
        (private, [404, 200, 404, 200, 200]),
        (bobs, [404, 404, 200, 200, 200]),
        (elsewhere, [404, 404, 404, 404, 404]),
        (good, [200, 200, 200, 200, 200]),
        (r#"{"data":null}"#, [200, 200, 200, 200, 200]),
    ] {
        upstream.now_replies(Reply::json(body));
        for (key, status) in keys.iter().zip(statuses) {
            let answer = gateway.get("/api/calls/x").bearer(key).send();
            assert_eq!(answer.status, status, "{body} for {}", key.id);
            if status == 404 {
                let nowhere = gateway.get("/api/nope").bearer(key).send();
                assert_eq!(answer.anonymous(), nowhere.anonymous());
                assert_eq!(answer.header("content-length"), nowhere.header("content-length"));
            }
        }
    }
}

/// P3: HEAD tells no more of a hidden row than GET.
#[test]
fn head_does_not_tell_of_a_hidden_row() {
    let upstream = Upstream::answering(200, MIXED);
    let keys = keys();
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of(keys.clone()));
    for key in &keys {
        let answer = gateway.request("HEAD", "/api/calls").bearer(key).send();
        assert_eq!(answer.status, 200, "{}", key.id);
        let upstreams = MIXED.len().to_string();
        assert_ne!(
            answer.header("content-length"),
            Some(upstreams.as_str()),
            "the upstream's length counts hidden rows"
        );
    }
}

const MORE_RESOURCES: &str = "
  owned: { columns: { id: {} }, visibility: { owner: user_email } }
  every: { columns: all, visibility: { private: is_private, owner: user_email } }";

const MORE_ROUTES: &str = r#"
  - { match: GET /api/owned, upstream: calls, scope: calls:read, resource: owned, rows: "data[]" }
  - { match: GET /api/every, upstream: calls, scope: calls:read, resource: every, rows: "data[]" }"#;

/// P7: where rows do not say whose they are, a key that may not see all of them is refused, before
/// the upstream is asked; unless the upstream is known to enforce it.
#[test]
fn a_data_scope_that_cannot_be_kept_closes_the_route() {
    let upstream = Upstream::answering(200, r#"{"data":[]}"#);
    let keys = keys();
    let config = Config::with_upstream(&upstream)
        .also("resources", MORE_RESOURCES)
        .also("routes", MORE_ROUTES);
    let gateway = Gateway::start(&config, &Directory::of(keys.clone()));
    let unsupported = refusal(403, "data_scope_not_supported");
    for (target, passes) in [
        // neither columns nor the upstream
        ("/api/calls/x/transcript", [false, false, false, true, true]),
        ("/api/coach/rubrics", [false, false, false, true, true]),
        // a column for private, none for the owner
        ("/api/leads", [false, false, true, true, true]),
        // a column for the owner, none for private
        ("/api/owned", [false, true, false, true, true]),
        // both, and all columns pass
        ("/api/every", [true, true, true, true, true]),
        // the upstream enforces it
        ("/api/contacts", [true, true, true, true, true]),
    ] {
        for (key, passes) in keys.iter().zip(passes) {
            upstream.forget();
            let answer = gateway.get(target).bearer(key).send();
            assert_eq!(upstream.requests_seen(), usize::from(passes), "{target} {}", key.id);
            assert!(
                passes || answer.verdict() == unsupported,
                "{target} {}: {}",
                key.id,
                answer.text()
            );
        }
    }
    assert_eq!(gateway.get("/api/contacts").bearer(&keys[0]).send().status, 200);
    assert_eq!(
        upstream.last().header("x-colonnade-data-scope").as_deref(),
        Some("user_non_private")
    );
}

/// P2: a user scope without a user, and a user on any other scope, are faults of that key alone.
#[test]
fn a_user_belongs_to_a_user_scope_and_to_no_other() {
    let upstream = Upstream::answering(200, MIXED);
    let good =
        Key::new("good", &["calls:read"]).with("data_scope", "user_full").with("user", "u_ann");
    let keys = [
        Key::new("no_user", &["calls:read"]).with("data_scope", "user_full"),
        Key::new("stranger", &["calls:read"])
            .with("data_scope", "user_non_private")
            .with("user", "u_nobody"),
        Key::new("org_user", &["calls:read"]).with("data_scope", "org_full").with("user", "u_ann"),
        Key::new("default_user", &["calls:read"]).with("user", "u_ann"),
        Key::new("made_up", &["calls:read"]).with("data_scope", "everything"),
    ];
    let directory = Directory::of([good.clone()].into_iter().chain(keys.clone()));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
    assert_eq!(gateway.get("/api/calls").bearer(&good).send().status, 200);
    for key in &keys {
        assert_eq!(
            gateway.get("/api/calls").bearer(key).send().verdict(),
            refusal(401, "invalid_api_key"),
            "{}",
            key.id
        );
        let told = gateway.log.all().iter().any(|line| line.contains(&key.id));
        assert!(told, "the fault of {} is reported", key.id);
    }
}

/// P9: where a data scope is required, a record without one is a fault.
#[test]
fn a_required_data_scope_must_be_given() {
    let upstream = Upstream::answering(200, MIXED);
    let (with, without) = (
        Key::new("with", &["calls:read"]).with("data_scope", "org_full"),
        Key::new("without", &["calls:read"]),
    );
    let config = Config::with_upstream(&upstream)
        .section("keys", "{ prefix: avoca_, data_scope: required }");
    let gateway =
        Launch::files(&config.text(), &Directory::of([with.clone(), without.clone()]).text())
            .start();
    assert_eq!(gateway.get("/api/calls").bearer(&with).send().status, 200);
    assert_eq!(gateway.get("/api/calls").bearer(&without).send().status, 401);
}

/// K28, K29: a deactivated user's key gets 403 and is not deleted; an owner who is deactivated
/// changes nothing.
#[test]
fn a_deactivated_user_closes_their_keys_and_no_others() {
    let upstream = Upstream::answering(200, MIXED);
    let anns =
        Key::new("anns", &["calls:read"]).with("data_scope", "user_full").with("user", "u_ann");
    let org = Key::new("org", &["calls:read"]).with("owner", "u_ann");
    let active = Directory::of([org.clone(), anns.clone()]);
    let ann = |active: bool| json!({ "u_ann": { "email": "ann@acme.test", "active": active } });
    let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &active);
    let mut kept = gateway.connect();
    let mut asks = |gateway: &Gateway, key: &Key| {
        gateway.get("/api/calls").bearer(key).send_on(&mut kept).verdict()
    };
    assert_eq!(asks(&gateway, &anns), refusal(200, ""));
    gateway.write_directory(&active.clone().acme("users", ann(false)));
    upstream.forget();
    assert_eq!(asks(&gateway, &anns), refusal(403, "owner_deactivated"));
    assert_eq!(
        gateway.get("/api/key").bearer(&anns).send().verdict(),
        refusal(403, "owner_deactivated")
    );
    assert_eq!(upstream.requests_seen(), 0);
    assert_eq!(asks(&gateway, &org), refusal(200, ""), "the owner is for audit alone");
    gateway.write_directory(&active.acme("users", ann(true)));
    assert_eq!(asks(&gateway, &anns), refusal(200, ""), "the key was never deleted");
}
