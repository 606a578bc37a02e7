//! Which columns leave, in every shape of body and for every account and team (C1 to C6, C9).

use serde_json::{Value, json};

use crate::response_support::{CANARY, Rig, assert_clean, config, directory, key};
use crate::support::{Answer, Directory, Gateway, Key, Reply, Upstream};

/// C1, C3, C5: the same row in every shape that a route can name.
#[test]
fn rows_are_found_in_every_shape() {
    let rig = Rig::new();
    let row = r#"{"call_id":"c","note":"n","phone_number":"c4n4ry","email":"c4n4ry"}"#;
    let kept = r#"{"call_id":"c","note":"n"}"#;
    for (target, body, shown) in [
        ("/list", r#"{"data":[R,R]}"#, r#"{"data":[R,R]}"#),
        (
            "/list",
            r#"{"pagination":{"limit":1,"any":[{"thing":2}]},"data":[R],"meta":{"x":"c4n4ry","team_id":1}}"#,
            r#"{"pagination":{"limit":1,"any":[{"thing":2}]},"data":[R],"meta":{"team_id":1}}"#,
        ),
        (
            "/list",
            r#"{"data":[],"pagination":null,"meta":null}"#,
            r#"{"data":[],"pagination":null,"meta":null}"#,
        ),
        ("/one", r#"{"data":R,"status":"c4n4ry"}"#, r#"{"data":R}"#),
        ("/bare", "[R,R]", "[R,R]"),
        ("/bare", "[]", "[]"),
        ("/row", "R", "R"),
        (
            "/deep",
            r#"{"result":{"items":[R],"total":"c4n4ry"},"x":"c4n4ry"}"#,
            r#"{"result":{"items":[R]}}"#,
        ),
        ("/deep", r#"{"result":{"total":"c4n4ry","items":[]}}"#, r#"{"result":{"items":[]}}"#),
    ] {
        let shown = shown.replace('R', kept);
        rig.shows(body, target, Reply::json(body.replace('R', row)), shown);
    }
}

/// C6: a path, arrays on the way, wholes, and what a path ends in.
#[test]
fn paths_lead_to_what_they_name() {
    let rig = Rig::with(|config| {
        let resources = r#"
  calls:
    columns:
      call_id: { always: true }
      tags: {}
      customer.name: {}
      customer.address.city: {}
      items.price.amount: {}
      blob: { whole: true }
      deep.blob: { whole: true }"#;
        let routes = r#"
  - { match: GET /list, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }"#;
        config.section("resources", resources).section("routes", routes)
    });
    for (what, row, shown) in [
        (
            "a member of a member",
            r#"{"customer":{"name":"Ann","email":"K"}}"#,
            r#"{"customer":{"name":"Ann"}}"#,
        ),
        (
            "two members deep",
            r#"{"customer":{"address":{"city":"X","street":"K"},"name":"Ann"}}"#,
            r#"{"customer":{"address":{"city":"X"},"name":"Ann"}}"#,
        ),
        ("an object that loses all", r#"{"customer":{"email":"K"}}"#, r#"{"customer":{}}"#),
        (
            "all of both",
            r#"{"customer":{"address":{"street":"K"}}}"#,
            r#"{"customer":{"address":{}}}"#,
        ),
        ("a text where the path goes on", r#"{"customer":"K"}"#, "{}"),
        ("a number where the path goes on", r#"{"customer":{"address":7}}"#, r#"{"customer":{}}"#),
        ("null where the path goes on", r#"{"customer":null}"#, r#"{"customer":null}"#),
        (
            "arrays on the way",
            r#"{"items":[{"price":{"amount":1,"cost":"K"}},{"price":[{"amount":2},{"x":"K"}]},{"x":"K"}]}"#,
            r#"{"items":[{"price":{"amount":1}},{"price":[{"amount":2},{}]},{}]}"#,
        ),
        (
            "arrays of arrays on the way",
            r#"{"items":[[{"price":{"amount":1,"x":"K"}}]]}"#,
            r#"{"items":[[{"price":{"amount":1}}]]}"#,
        ),
        (
            "texts between the objects",
            r#"{"items":["K",{"price":{"amount":1}},7]}"#,
            r#"{"items":[{"price":{"amount":1}}]}"#,
        ),
        (
            "the scalars of an array",
            r#"{"tags":["a",1,true,null,""]}"#,
            r#"{"tags":["a",1,true,null,""]}"#,
        ),
        ("an object in an array", r#"{"tags":["a",{"x":"K"},"b"]}"#, r#"{"tags":["a","b"]}"#),
        ("an array in an array", r#"{"tags":["a",["K"],"b",[]]}"#, r#"{"tags":["a","b"]}"#),
        ("nothing but objects", r#"{"tags":[{"x":"K"}]}"#, r#"{"tags":[]}"#),
        (
            "an object where a scalar is",
            r#"{"tags":{"x":"K"},"call_id":"c"}"#,
            r#"{"call_id":"c"}"#,
        ),
        (
            "a whole object",
            r#"{"blob":{"any":{"thing":[1,{"a":"b"}]}}}"#,
            r#"{"blob":{"any":{"thing":[1,{"a":"b"}]}}}"#,
        ),
        ("a whole array", r#"{"blob":[{"a":[[]]},"b"]}"#, r#"{"blob":[{"a":[[]]},"b"]}"#),
        ("a whole scalar", r#"{"blob":"b"}"#, r#"{"blob":"b"}"#),
        (
            "a whole beside what is hidden",
            r#"{"deep":{"x":"K","blob":{"y":1},"z":"K"}}"#,
            r#"{"deep":{"blob":{"y":1}}}"#,
        ),
        ("a column's name one level up", r#"{"name":"K","city":"K","price":"K"}"#, "{}"),
        (
            "a column's name one level down",
            r#"{"customer":{"call_id":"K","tags":"K"}}"#,
            r#"{"customer":{}}"#,
        ),
    ] {
        let body = format!(r#"{{"data":[{}]}}"#, row.replace('K', CANARY));
        rig.shows(what, "/list", Reply::json(body), format!(r#"{{"data":[{shown}]}}"#));
    }
}

/// C4: a route whose columns are all passes every byte, white space included.
#[test]
fn a_route_may_switch_the_filter_off() {
    let rig = Rig::new();
    let body =
        "{ \"data\" : [ {\"phone_number\" : \"+1\", \"phone_number\":\"+2\"} ] , \"more\":[ ] }\n";
    rig.shows("as it is", "/plain", Reply::json(body), body);
    rig.refuses("and not on the next route", "/list", Reply::json(r#"{"data":"c4n4ry"}"#));
}

const FULL: &str =
    r#"{"data":[{"call_id":"c","created_at":"t","note":"n","phone_number":"p","email":"e"}]}"#;

/// Three columns that an account may be given, one that it always has, and one that nobody sees.
fn accounts(upstream: &Upstream, visibility: &str) -> crate::support::Config {
    let resources = format!(
        "
  calls:
    columns:
      call_id: {{ always: true }}
      created_at: {{}}
      note: {{}}
      email: {{ shown: false }}
    {visibility}
  contacts: {{ columns: {{ call_id: {{}}, note: {{}} }} }}"
    );
    let routes = r#"
  - { match: GET /list, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: "GET /teams/{teamId}/list", upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: GET /contacts, upstream: calls, scope: calls:read, resource: contacts, rows: "data[]" }"#;
    let config = config(upstream).section("resources", &resources).section("routes", routes);
    config.section("teams", "{ header: x-team-id, query: team_id, param: teamId }")
}

fn shown(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body: Value = answer.json();
    body["data"][0].as_object().unwrap().keys().cloned().collect()
}

/// C1, C2: an account's list, its defaults without one, and the next request after a change.
#[test]
fn an_accounts_list_decides_and_changes_at_once() {
    let upstream = Upstream::answering(200, FULL);
    let teams = directory().acme("teams", [101, 102]);
    let mut gateway = Gateway::start(&accounts(&upstream, ""), &teams);
    let mut kept = gateway.connect();
    let mut asks = |gateway: &Gateway, target: &str| {
        shown(&gateway.get(target).bearer(&key()).send_on(&mut kept))
    };
    assert_eq!(asks(&gateway, "/list"), ["call_id", "created_at", "note"], "the defaults");
    for (list, expected) in [
        (json!({ "calls": ["call_id", "email"] }), &["call_id", "email"][..]),
        (json!({ "calls": ["note"] }), &["call_id", "note"]),
        (json!({ "calls": [] }), &["call_id"]),
        (json!({ "contacts": ["note"] }), &["call_id", "created_at", "note"]),
        (
            json!({ "calls": ["email", "note", "created_at", "call_id"] }),
            &["call_id", "created_at", "note", "email"],
        ),
        (Value::Null, &["call_id", "created_at", "note"]),
    ] {
        gateway.write_directory(&teams.clone().acme("columns", list.clone()));
        assert_eq!(asks(&gateway, "/list"), expected, "{list}");
    }
    gateway.write_directory(&teams.acme("columns", json!({ "contacts": ["note"] })));
    assert_eq!(asks(&gateway, "/contacts"), ["note"], "without a column that is always shown");
}

/// C1: a team's own list replaces the account's, wherever the request names the team.
#[test]
fn a_teams_list_replaces_the_accounts() {
    let upstream = Upstream::answering(200, FULL);
    let anchored = Key::new("anchored", &["calls:read"]).with("teams", [102]);
    let elsewhere = Key::new("elsewhere", &["calls:read"]).with("teams", [101]);
    let records = directory()
        .acme("teams", [101, 102, 103])
        .acme("columns", json!({ "calls": ["note", "email"] }))
        .acme(
            "team_columns",
            json!({ "102": { "calls": ["created_at"] }, "103": { "contacts": ["note"] } }),
        )
        .key("acme", anchored.clone())
        .key("acme", elsewhere.clone());
    let gateway = Gateway::start(&accounts(&upstream, ""), &records);
    let accounts = vec!["call_id", "note", "email"];
    let team = vec!["call_id", "created_at"];
    let get = |target: &str, key: &Key| shown(&gateway.get(target).bearer(key).send());
    assert_eq!(get("/list", &anchored), team, "a key of one team");
    assert_eq!(get("/list", &elsewhere), accounts, "a team without a list");
    assert_eq!(get("/teams/102/list", &key()), team, "the path");
    assert_eq!(get("/list?team_id=102", &key()), team, "the query");
    assert_eq!(
        shown(&gateway.get("/list").header("X-Team-Id", "102").bearer(&key()).send()),
        team,
        "the header"
    );
    assert_eq!(get("/teams/101/list", &key()), accounts);
    assert_eq!(
        get("/teams/103/list", &key()),
        accounts,
        "the team has a list for another resource"
    );
}

/// C1: two accounts at the same time, each with its own columns.
#[test]
fn accounts_do_not_share_columns() {
    let upstream = Upstream::answering(200, FULL);
    let other = Key::new("other", &["calls:read"]);
    let records: Directory = directory()
        .acme("columns", json!({ "calls": ["note"] }))
        .account(
            "beta",
            json!({ "name": "Beta", "plan": "enterprise", "columns": { "calls": ["email"] } }),
        )
        .key("beta", other.clone());
    let gateway = Gateway::start(&accounts(&upstream, ""), &records);
    let [mut ours, mut theirs] = [gateway.connect(), gateway.connect()];
    for _ in 0..20 {
        assert_eq!(
            shown(&gateway.get("/list").bearer(&key()).send_on(&mut ours)),
            ["call_id", "note"]
        );
        assert_eq!(
            shown(&gateway.get("/list").bearer(&other).send_on(&mut theirs)),
            ["call_id", "email"]
        );
    }
}

/// C2: a change of the catalogue itself takes hold, and one that is faulty changes nothing.
#[test]
fn a_change_of_the_catalogue_takes_hold_at_once() {
    let upstream = Upstream::answering(200, FULL);
    let before = accounts(&upstream, "");
    let mut gateway = Gateway::start(&before, &directory());
    let list = |gateway: &Gateway| shown(&gateway.get("/list").bearer(&key()).send());
    assert_eq!(list(&gateway), ["call_id", "created_at", "note"]);
    let fewer = before.clone().section(
        "resources",
        "\n  calls: { columns: { call_id: {}, phone_number: {} } }\n  contacts: { columns: all }",
    );
    gateway.reload(&fewer, &directory());
    assert_eq!(list(&gateway), ["call_id", "phone_number"]);
    let wrong = before.section("resources", "\n  calls: { columns: { blob: { whole: true }, blob.x: {} } }\n  contacts: { columns: all }");
    gateway.reload_refused("gateway.yaml", &wrong.text(), "blob.x");
    assert_eq!(list(&gateway), ["call_id", "phone_number"]);
}

/// C9: what the client asks for does not widen what it sees.
#[test]
fn a_parameter_does_not_widen_the_list() {
    let rig = Rig::new();
    let body =
        r#"{"data":[{"call_id":"c","raw":{"x":"c4n4ry"},"email":"c4n4ry"}],"included":["c4n4ry"]}"#;
    for target in ["/list?include_raw=true", "/list?expand=raw", "/list?verbose=1&debug"] {
        rig.shows(target, target, Reply::json(body), r#"{"data":[{"call_id":"c"}]}"#);
        assert_eq!(rig.upstream.last().target, target, "it goes up as it is");
    }
}

/// C1: how many were hidden is counted where operators look, and nothing more.
#[test]
fn hidden_columns_are_counted() {
    let rig = Rig::new();
    let body = r#"{"data":[{"call_id":"c","email":"c4n4ry"},{"email":"c4n4ry","other":"c4n4ry"}]}"#;
    rig.upstream.now_replies(Reply::json(body));
    let answer =
        rig.gateway().get("/list").header("X-Request-Id", "counted").bearer(&rig.key).send();
    assert_eq!(answer.status, 200);
    assert_eq!(
        rig.gateway().access_line("counted")["columns_hidden"],
        3,
        "in the catalogue or not"
    );
    let count = |action| {
        rig.gateway()
            .metric("colonnade_columns_total", &[("resource", "calls"), ("action", action)])
    };
    assert_eq!((count("hidden"), count("unlisted")), (2.0, 1.0));
    rig.refuses("and refused ones by reason", "/list", Reply::json(r#"{"data":"c4n4ry"}"#));
    assert_eq!(rig.gateway().metric("colonnade_filter_failures_total", &[]), 1.0);
}

/// C1: a column that an upstream's release added is counted by name, once, and named nowhere. With the
/// catalogue that met it goes the count.
#[test]
fn names_that_no_catalogue_lists_are_counted() {
    let upstream = Upstream::answering(200, "{}");
    let config = config(&upstream);
    let mut gateway = Gateway::start(&config, &directory());
    let key = key();
    let new = |gateway: &Gateway, resource: &str| {
        gateway.metric("colonnade_columns_new", &[("resource", resource)])
    };
    let get = |gateway: &Gateway, target: &str, body: &str| {
        upstream.now_replies(Reply::json(body));
        let answer = gateway.get(target).bearer(&key).send();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_clean(target, &answer);
    };
    assert_eq!((new(&gateway, "calls"), new(&gateway, "bare")), (0.0, 0.0), "from the start");
    let body = r#"{"data":[{"call_id":1,"email":"x","c4n4ry":1},{"c4n4ry":2,"customer":{"c4n4ry":1}}],"c4n4ry":1}"#;
    for _ in 0..3 {
        get(&gateway, "/list", body);
        assert_eq!((new(&gateway, "calls"), new(&gateway, "bare")), (2.0, 0.0));
    }
    let many: Vec<String> = (0..100).map(|n| format!("\"c4n4ry-{n}@acme.test\":1")).collect();
    get(&gateway, "/bare", &format!("[{{{}}}]", many.join(",")));
    assert_eq!((new(&gateway, "calls"), new(&gateway, "bare")), (2.0, 64.0));
    let metrics = gateway.telemetry("/metrics").text();
    assert!(!metrics.contains(CANARY), "{metrics}");
    assert!(!metrics.contains("colonnade_columns_new{resource=\"plain\"}"), "all of it passes");

    let one = "\n  bare: { columns: { call_id: {} } }";
    let routes = "\n  - { match: GET /bare, upstream: calls, scope: calls:read, resource: bare, rows: \"[]\" }";
    gateway.reload(&config.section("resources", one).section("routes", routes), &directory());
    get(&gateway, "/bare", "[{\"c4n4ry\":1}]");
    assert_eq!(new(&gateway, "bare"), 1.0);
    let metrics = gateway.telemetry("/metrics").text();
    assert!(!metrics.contains("colonnade_columns_new{resource=\"calls\"}"), "{metrics}");
    for line in gateway.access.all().iter().chain(&gateway.log.all()) {
        assert!(!line.contains(CANARY), "in a log: {line}");
    }
}
