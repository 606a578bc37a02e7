//! Teams: anchored keys, keys of several teams, whole-account routes, and the list of teams (T1 to T6).

use serde_json::json;

use crate::samples::{CALLS, CONTACTS};
use crate::support::answer::refusal;
use crate::support::upstream::Seen;
use crate::support::{Config, Directory, Gateway, Key, Reply, Upstream};

const ROUTES: &str = r#"
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: GET /api/required, upstream: calls, scope: calls:read, resource: open, rows: $, team: required }
  - { match: GET /api/none, upstream: calls, scope: calls:read, resource: open, rows: $, team: none }
  - { match: "GET /api/v1/teams/{teamId}/calls", upstream: calls, scope: calls:read, resource: open, rows: $, team: required }
  - { match: GET /api/account, upstream: calls, scope: calls:read, resource: open, rows: $, team: none, reach: account }
  - { match: "GET /api/v1/enterprise/{e}/calls", upstream: calls, scope: calls:read, resource: open, rows: $, team: none, reach: account, account: { param: e } }
  - { match: GET /api/teams, upstream: calls, scope: calls:read, resource: teams, rows: "teams[]", team: none }"#;

const TEAMS: &str = r#"{"teams":[{"id":100,"name":"a"},{"id":101,"name":"b"},{"id":"102","name":"c"},{"id":103,"name":"d"},{"id":1010,"name":"e"},{"name":"f"},{"id":null,"name":"g"}]}"#;

fn shapes(seen: &Seen) -> Reply {
    Reply::json(if seen.target == "/api/teams" { TEAMS } else { CALLS })
}

fn serving(upstream: &Upstream, keys: impl IntoIterator<Item = Key>) -> Gateway {
    let config = Config::with_upstream(upstream).section("routes", ROUTES).also(
        "resources",
        "  teams: { columns: { id: { always: true }, name: {} }, visibility: { team: id } }",
    );
    Gateway::start(&config, &Directory::of(keys))
}

fn key(id: &str, teams: serde_json::Value) -> Key {
    Key::new(id, &["calls:read"]).with("teams", teams)
}

/// T1: an anchored key is its team's on every request; the client cannot pick another.
#[test]
fn an_anchored_key_always_sends_its_team_up() {
    let upstream = Upstream::scripted(shapes);
    let anchored = key("anchored", json!([101]));
    let gateway = serving(&upstream, [anchored.clone()]);
    for (target, header) in [
        ("/api/calls", None),
        ("/api/calls", Some("101")),
        ("/api/calls?team_id=101", None),
        ("/api/calls?team_id=101", Some("101")),
        ("/api/required", None),
        ("/api/none", None),
        ("/api/v1/teams/101/calls", None),
    ] {
        let request = gateway.get(target).bearer(&anchored);
        let answer =
            header.map_or(request.clone(), |team| request.header("X-Team-Id", team)).send();
        assert_eq!(answer.status, 200, "{target} {header:?}: {}", answer.text());
        let seen = upstream.last();
        assert_eq!(seen.header("x-team-id").as_deref(), Some("101"), "{target}");
        assert_eq!(seen.header("x-colonnade-team").as_deref(), Some("101"), "{target}");
    }
}

/// T1, T2: a team that is not the key's is 403, two different ones are 400, none where one is
/// needed is 400; nothing of it reaches the upstream.
#[test]
fn a_foreign_an_ambiguous_and_a_missing_team_are_refused() {
    let upstream = Upstream::scripted(shapes);
    let anchored = key("anchored", json!([101]));
    let several = key("several", json!([101, 102]));
    let all = Key::new("all", &["calls:read"]);
    let gateway = serving(&upstream, [anchored.clone(), several.clone(), all.clone()]);
    let foreign = (403, "team_not_allowed");
    let ambiguous = (400, "bad_request");
    let missing = (400, "team_required");
    for (key, target, lines, expected) in [
        (&anchored, "/api/calls", "X-Team-Id: 102\r\n", foreign),
        (&anchored, "/api/calls?team_id=102", "", foreign),
        (&anchored, "/api/v1/teams/102/calls", "", foreign),
        (&anchored, "/api/calls?TEAM_ID=102", "", foreign),
        (&anchored, "/api/calls?team_id[]=102", "", foreign),
        (&anchored, "/api/calls?team_id%5B%5D=102", "", foreign),
        (&anchored, "/api/required?teamId=102", "", foreign),
        (&anchored, "/api/required?limit=1;team-id=102", "", foreign),
        (&several, "/api/calls", "X-Team-Id: 103\r\n", foreign),
        (&several, "/api/calls", "X-Team-Id: abc\r\n", foreign),
        (&several, "/api/calls", "X-Team-Id: 0101\r\n", foreign),
        (&several, "/api/calls", "X-Team-Id: 101, 102\r\n", foreign),
        (&several, "/api/calls", "X-Team-Id: 101\r\nX-Team-Id: 102\r\n", ambiguous),
        (&several, "/api/calls?team_id=102", "X-Team-Id: 101\r\n", ambiguous),
        (&several, "/api/calls?team_id=101&team_id=102", "", ambiguous),
        (&several, "/api/calls?team_id=101&team%5fid=102", "", ambiguous),
        (&several, "/api/required?team_id=101&TEAM_ID=102", "", ambiguous),
        (&several, "/api/required?team_id[]=101&team_id[]=102", "", ambiguous),
        (&several, "/api/required?team_id=101;team_id=102", "", ambiguous),
        (&several, "/api/required?team_id=101&team%255fid=102", "", ambiguous),
        (&several, "/api/v1/teams/101/calls", "X-Team-Id: 102\r\n", ambiguous),
        (&several, "/api/required", "", missing),
        (&all, "/api/required", "", missing),
        (&all, "/api/calls", "X-Team-Id: 103\r\n", foreign),
    ] {
        let bytes = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n{lines}\r\n",
            key.text
        );
        let answer = gateway.raw(bytes);
        assert_eq!(
            answer.verdict(),
            refusal(expected.0, expected.1),
            "{} {target} {lines:?}",
            key.id
        );
    }
    assert_eq!(upstream.requests_seen(), 0);
}

/// T2: a key of several teams names one; the same one named twice is one.
#[test]
fn a_key_of_several_teams_chooses_one() {
    let upstream = Upstream::scripted(shapes);
    let several = key("several", json!([101, 102]));
    let all = key("all", json!("all"));
    let gateway = serving(&upstream, [several.clone(), all.clone()]);
    for key in [&several, &all] {
        for (target, header, up) in [
            ("/api/required", Some("102"), Some("102")),
            ("/api/calls", Some("101"), Some("101")),
            ("/api/calls?team_id=102", None, Some("102")),
            ("/api/calls?team_id=102", Some("102"), Some("102")),
            ("/api/v1/teams/102/calls", None, Some("102")),
            ("/api/v1/teams/102/calls?team_id=102", Some("102"), Some("102")),
            ("/api/calls", None, None),
            ("/api/none", Some("101"), None),
        ] {
            let request = gateway.get(target).bearer(key);
            let answer =
                header.map_or(request.clone(), |team| request.header("x-team-id", team)).send();
            assert_eq!(answer.status, 200, "{target}: {}", answer.text());
            let seen = upstream.last();
            assert_eq!(seen.header("x-team-id").as_deref(), up, "{} {target} {header:?}", key.id);
            assert_eq!(
                seen.header("x-colonnade-team").as_deref(),
                up,
                "{} {target} {header:?}",
                key.id
            );
            assert_eq!(seen.target, target, "the query stays as it was");
        }
    }
}

/// T3: a whole-account route is closed to keys of some teams and to keys of another account.
#[test]
fn a_whole_account_route_needs_a_key_of_all_of_that_account() {
    let upstream = Upstream::scripted(shapes);
    let (one, two, all) =
        (key("one", json!([101])), key("two", json!([101, 102])), key("all", json!("all")));
    let default = Key::new("default", &["calls:read"]);
    let part = key("part", json!([101]));
    let foreign = key("foreign", json!("all"));
    let directory = Directory::of([one.clone(), two.clone(), all.clone(), default.clone()])
        .account("globex", json!({ "plan": "enterprise", "teams": [201] }))
        .key("globex", foreign.clone())
        .key("acme", part.clone());
    let config = Config::with_upstream(&upstream).section("routes", ROUTES).also(
        "resources",
        "  teams: { columns: { id: { always: true }, name: {} }, visibility: { team: id } }",
    );
    let gateway = Gateway::start(&config, &directory);
    let refused = refusal(403, "reach_not_allowed");
    for (key, target, passes) in [
        (&all, "/api/account", true),
        (&default, "/api/account", true),
        (&foreign, "/api/account", true),
        (&one, "/api/account", false),
        (&part, "/api/account", false),
        (&all, "/api/v1/enterprise/acme/calls", true),
        (&all, "/api/v1/enterprise/globex/calls", false),
        (&all, "/api/v1/enterprise/Acme/calls", false),
        (&foreign, "/api/v1/enterprise/globex/calls", true),
        (&foreign, "/api/v1/enterprise/acme/calls", false),
        (&one, "/api/v1/enterprise/acme/calls", false),
    ] {
        upstream.forget();
        let answer = gateway.get(target).bearer(key).send();
        assert_eq!(upstream.requests_seen(), usize::from(passes), "{} {target}", key.id);
        if passes {
            assert_eq!(answer.status, 200, "{} {target}", key.id);
        } else {
            assert_eq!(answer.verdict(), refused, "{} {target}", key.id);
        }
    }
}

/// T4: a key of two teams sees two of the upstream's list, whatever type an id has there.
#[test]
fn the_list_of_teams_holds_the_keys_own() {
    let upstream = Upstream::scripted(shapes);
    let several = key("several", json!([101, 102]));
    let one = key("one", json!([101]));
    let gateway = serving(&upstream, [several.clone(), one.clone()]);
    let names = |key: &Key| -> Vec<String> {
        let told = gateway.get("/api/teams").bearer(key).send().json();
        told["teams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|team| team["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&several), ["b", "c"]);
    assert_eq!(names(&one), ["b"]);
}

/// T1: rows of teams that are not the key's are hidden, whatever the upstream makes of the header.
#[test]
fn rows_of_other_teams_are_hidden() {
    let body = r#"{"data":[{"call_id":"a","team_id":101,"is_private":false},{"call_id":"b","team_id":102,"is_private":false},
        {"call_id":"c","team_id":"101","is_private":false},{"call_id":"d","is_private":false},{"call_id":"e","team_id":null,"is_private":false},
        {"call_id":"f","team_id":999,"is_private":false},{"call_id":"g","team_id":[101],"is_private":false},{"call_id":"h","team_id":[101,999],"is_private":false},{"call_id":"i","team_id":{"id":101},"is_private":false}]}"#;
    let upstream = Upstream::answering(200, body);
    let one = key("one", json!([101])).with("data_scope", "org_full");
    let two = key("two", json!([101, 102]));
    let gateway = serving(&upstream, [one.clone(), two.clone()]);
    let ids = |key: &Key| -> Vec<String> {
        let told = gateway.get("/api/calls").bearer(key).send().json();
        told["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["call_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&one), ["a", "c", "g"]);
    assert_eq!(ids(&two), ["a", "b", "c", "g"]);
}

/// C1, T2: a team's own columns are for its own rows. An upstream that answers with rows of both teams
/// cannot make a key of both see in one team's row what only the other team shows.
#[test]
fn rows_of_another_team_do_not_pass_with_columns_that_it_hides() {
    let body = r#"{"data":[{"call_id":"a","phone_number":"+1","created_at":1,"team_id":101},{"call_id":"b","phone_number":"+2","created_at":2,"team_id":102},
        {"call_id":"c","phone_number":"+3","created_at":3},{"call_id":"d","phone_number":"+4","created_at":4,"team_id":103}]}"#;
    let upstream = Upstream::answering(200, body);
    let (one, two) = (key("one", json!([101])), key("two", json!([101, 102])));
    let all = Key::new("all", &["calls:read"]);
    let directory = Directory::of([one.clone(), two.clone(), all.clone()])
        .acme("columns", json!({ "calls": ["phone_number"] }))
        .acme("team_columns", json!({ "102": { "calls": ["created_at"] } }));
    let config = Config::with_upstream(&upstream).also(
        "routes",
        r#"  - { match: "GET /api/v1/teams/{teamId}/calls", upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }"#,
    );
    let gateway = Gateway::start(&config, &directory);
    let a = json!({ "call_id": "a", "phone_number": "+1" });
    let b = json!({ "call_id": "b", "created_at": 2 });
    let plain = json!([{ "call_id": "a" }, { "call_id": "b" }]);
    for (key, target, header, rows) in [
        (&two, "/api/calls", None, plain.clone()),
        (&two, "/api/calls", Some("101"), json!([a])),
        (&two, "/api/calls", Some("102"), json!([b])),
        (&two, "/api/calls?team_id=101", None, json!([a])),
        (&two, "/api/calls?team_id=102", Some("102"), json!([b])),
        (&two, "/api/v1/teams/101/calls", None, json!([a])),
        (&two, "/api/v1/teams/102/calls", None, json!([b])),
        (&all, "/api/calls", None, plain.clone()),
        (&all, "/api/calls", Some("101"), json!([a])),
        (&all, "/api/v1/teams/102/calls", None, json!([b])),
        (&one, "/api/calls", None, json!([a])),
        (&one, "/api/calls", Some("101"), json!([a])),
    ] {
        let request = gateway.get(target).bearer(key);
        let answer =
            header.map_or(request.clone(), |team| request.header("x-team-id", team)).send();
        assert_eq!(answer.status, 200, "{} {target} {header:?}: {}", key.id, answer.text());
        assert_eq!(answer.json(), json!({ "data": rows }), "{} {target} {header:?}", key.id);
    }
}

/// Where no `teams` are configured, no header picks one and none is needed.
#[test]
fn without_teams_a_team_header_means_nothing() {
    let upstream = Upstream::answering(200, CONTACTS);
    let key = Key::new("k", &["contacts:read"]);
    let directory =
        Directory::empty().account("solo", json!({ "plan": "starter" })).key("solo", key.clone());
    let config = Config::with_upstream(&upstream).section("teams", "");
    let gateway = Gateway::start(&config, &directory);
    let answer =
        gateway.get("/api/contacts?team_id=9").header("x-team-id", "9").bearer(&key).send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = upstream.last();
    assert_eq!((seen.header("x-team-id"), seen.header("x-colonnade-team")), (None, None));
}
