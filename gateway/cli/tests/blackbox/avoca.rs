//! The shipped example for the 31 operations of the enterprise API, each against each single scope
//! (S2, E1 to E9, T3).

use std::path::Path;

use serde_json::{Value, json};

use crate::support::answer::refusal;
use crate::support::gateway::Launch;
use crate::support::upstream::Seen;
use crate::support::{Directory, Gateway, Key, Reply, Upstream};

const SCOPES: [&str; 7] = [
    "read:calls",
    "read:transcripts",
    "read:leads",
    "read:teams",
    "read:coach",
    "read:scheduler_analytics",
    "read:outbound",
];

const UUID: &str = "3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34";

/// Path, service, permission, and the shape of its rows.
const OPERATIONS: [(&str, &str, &str, &str); 31] = [
    (
        "/api/calls?limit=2&offset=0&start_date=2026-08-01&end_date=2026-08-31",
        "calls",
        "read:calls",
        "data[]",
    ),
    ("/api/calls/{uuid}", "calls", "read:calls", "data"),
    ("/api/calls/{uuid}/transcript", "calls", "read:transcripts", "data"),
    ("/api/calls/latest-by-phone?phone=%2B15550100", "calls", "read:calls", "data"),
    ("/api/calls/pre-call-transfers?rule_types=a,b", "calls", "read:calls", "data[]"),
    ("/api/leads?type=call", "leads", "read:leads", "data[]"),
    ("/api/teams", "calls", "read:teams", "teams[]"),
    ("/api/coach?timezone=America/New_York", "coach", "read:coach", "data[]"),
    ("/api/coach/4711", "coach", "read:coach", "data"),
    ("/api/coach/rubrics", "coach", "read:coach", "data[]"),
    (
        "/api/scheduler-analytics?metrics=funnel,bookings",
        "leads",
        "read:scheduler_analytics",
        "data",
    ),
    ("/api/scheduler-analytics/summary", "leads", "read:scheduler_analytics", "data"),
    (
        "/api/simple_scheduler_booking_requests?has_utm=true",
        "leads",
        "read:scheduler_analytics",
        "data[]",
    ),
    ("/api/simple_scheduler_config?team_id=101", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams?include_test_teams=true", "calls", "read:teams", "data[]"),
    ("/api/v1/teams/101/schedulers", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams/101/sessions?status=booked", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams/101/sessions/s1", "leads", "read:scheduler_analytics", "data"),
    ("/api/v1/teams/101/bookings", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams/101/bookings/b1", "leads", "read:scheduler_analytics", "data"),
    ("/api/v1/teams/101/analytics/funnel", "leads", "read:scheduler_analytics", "data"),
    ("/api/v1/teams/101/analytics/utm", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams/101/analytics/service-areas", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/teams/101/analytics/issue-types", "leads", "read:scheduler_analytics", "data[]"),
    (
        "/api/v1/teams/101/leads?include_raw=true&include_test_numbers=false",
        "leads",
        "read:leads",
        "data[]",
    ),
    (
        "/api/v1/teams/101/outbound/campaign-texts?campaign_name=x",
        "leads",
        "read:outbound",
        "data[]",
    ),
    ("/api/v1/teams/101/outbound/events?action=sent", "leads", "read:outbound", "data[]"),
    ("/api/v1/enterprise/7/leads", "leads", "read:leads", "data[]"),
    ("/api/v1/sessions", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/bookings", "leads", "read:scheduler_analytics", "data[]"),
    ("/api/v1/analytics/funnel", "leads", "read:scheduler_analytics", "data"),
];

fn target(path: &str) -> String {
    path.replace("{uuid}", UUID)
}

/// A row that every resource of the example would show to a key of team 101.
fn row() -> Value {
    json!({ "id": 101, "call_id": "c", "session_id": "s", "team_id": 101, "is_private": false, "undeclared": "hidden" })
}

fn body(shape: &str) -> String {
    match shape {
        "data" => json!({ "data": row(), "undeclared": 1 }),
        "teams[]" => json!({ "teams": [row()] }),
        _ => json!({ "data": [row()], "pagination": { "has_more": false }, "undeclared": 1 }),
    }
    .to_string()
}

fn answer(seen: &Seen) -> Reply {
    let shape = OPERATIONS
        .iter()
        .find(|(path, ..)| target(path) == seen.target)
        .map_or("data[]", |(.., shape)| shape);
    Reply::json(body(shape))
}

struct World {
    calls: Upstream,
    coach: Upstream,
    leads: Upstream,
    gateway: Gateway,
}

impl World {
    fn start(directory: &Directory) -> World {
        let [calls, coach, leads] = [(); 3].map(|()| Upstream::scripted(answer));
        let example =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/examples/avoca.yaml");
        let launch = Launch::of_file(&example, &directory.text());
        let path = launch.directory_path();
        let mut gateway = launch
            .variable("COLONNADE_DIRECTORY", path.display())
            .variable("COLONNADE_PROXY", "127.0.0.1:0")
            .variable("COLONNADE_ADMIN", "127.0.0.1:0")
            .variable("COLONNADE_TELEMETRY", "127.0.0.1:0")
            .variable("CALLS_ADDRESS", calls.address())
            .variable("COACH_ADDRESS", coach.address())
            .variable("LEADS_ADDRESS", leads.address())
            .start();
        gateway.keep_secret(directory);
        World { calls, coach, leads, gateway }
    }

    fn upstreams(&self) -> [(&'static str, &Upstream); 3] {
        [("calls", &self.calls), ("coach", &self.coach), ("leads", &self.leads)]
    }
}

fn account(keys: impl IntoIterator<Item = Key>) -> Directory {
    let seven = json!({ "plan": "enterprise", "teams": [101, 102],
        "users": { "u_ann": { "email": "ann@acme.test" } } });
    let eight = json!({ "plan": "starter", "teams": [201] });
    let directory = Directory::empty().account("7", seven).account("8", eight);
    keys.into_iter().fold(directory, |directory, key| directory.key("7", key))
}

/// Whether the request is about the one team that it names, 101.
fn names_a_team(path: &str) -> bool {
    let about_several = ["/api/teams", "/api/v1/teams?", "/api/v1/enterprise/", "/api/v1/sessions"];
    let about_several = about_several.iter().chain(&["/api/v1/bookings", "/api/v1/analytics/"]);
    !about_several.into_iter().any(|start| path.starts_with(start))
}

/// Reached its service alone, byte for byte, with the team.
fn assert_forwarded(world: &World, path: &str, service: &str) {
    for (name, upstream) in world.upstreams() {
        let reached = upstream.requests();
        assert_eq!(reached.len(), usize::from(name == service), "{path} reached {name}");
        for seen in reached {
            assert_eq!(seen.target, target(path));
            let team = names_a_team(path).then(|| "101".to_owned());
            assert_eq!(seen.header("x-colonnade-team"), team, "{path}");
        }
    }
}

/// Came back with its row, and without what nobody declared. `counts` lets all of a row pass.
fn assert_filtered(told: &Value, path: &str, shape: &str) {
    let row = match shape {
        "data" => &told["data"],
        "teams[]" => &told["teams"][0],
        _ => &told["data"][0],
    };
    assert!(row.is_object(), "{path}: {told}");
    let open = path.contains("analytics/") || path.contains("summary");
    assert_eq!(row.get("undeclared").is_some(), open, "{path}: {told}");
    assert!(open || told.get("undeclared").is_none(), "{path}: {told}");
}

/// S2, E1, E2, E3, E4, E5, E6, E7, E8, E9: each of the 31 operations is open to its permission alone.
/// T5: so the scheduling product is for keys that hold its permission, and to a team that does not use
/// it no such key is given.
#[test]
fn each_operation_is_open_to_its_permission_alone() {
    let keys = SCOPES.map(|scope| Key::new(&scope.replace(':', "_"), &[scope]));
    let world = World::start(&account(keys.clone()));
    for (path, service, permission, shape) in OPERATIONS {
        for (scope, key) in SCOPES.iter().zip(&keys) {
            world.upstreams().iter().for_each(|(_, upstream)| upstream.forget());
            let mut request = world.gateway.get(&target(path)).bearer(key);
            if !path.contains("/v1/") && !path.contains("team_id") {
                request = request.header("x-team-id", "101");
            }
            let answer = request.send();
            if *scope == permission {
                assert_eq!(answer.status, 200, "{path} with {scope}: {}", answer.text());
                assert_forwarded(&world, path, service);
                assert_filtered(&answer.json(), path, shape);
            } else {
                let verdict = (answer.status, &answer.json()["error"]);
                assert_eq!(verdict, (403, &json!("insufficient_scope")), "{path} with {scope}");
                assert_forwarded(&world, path, "nobody");
            }
        }
    }
}

/// E2, E3, E5, E6: the siblings of a parameter are not swallowed by it, and types are held to.
#[test]
fn literals_and_types_are_kept_apart() {
    let key = Key::new("k", &["read:calls", "read:coach"]).with("teams", json!([101]));
    let world = World::start(&account([key.clone()]));
    for (target, status) in [
        ("/api/calls/latest-by-phone?phone=1", 200),
        ("/api/calls/pre-call-transfers", 200),
        ("/api/coach/rubrics", 200),
        ("/api/coach/12", 200),
        ("/api/coach/word", 404),
        ("/api/calls/word", 404),
        ("/api/calls/12", 404),
        ("/api/calls/3F2B8C1E-9A47-4D6F-8B20-5C1D7E9F0A34", 200),
        ("/api/calls/3f2b8c1e9a474d6f8b205c1d7e9f0a34", 404),
        ("/api/v1/teams/x/leads", 404),
        ("/api/calls/", 404),
    ] {
        world.upstreams().iter().for_each(|(_, upstream)| upstream.forget());
        let answer = world.gateway.get(target).bearer(&key).send();
        // The list's shape comes back for a target that is not in the table, which a single route refuses.
        let forwarded = world.upstreams().iter().any(|(_, upstream)| upstream.requests_seen() > 0);
        assert_eq!(forwarded, status == 200, "{target}: {}", answer.status);
        assert!(status == 200 || answer.status == status, "{target}: {}", answer.status);
    }
    let transcript = world.gateway.get(&target("/api/calls/{uuid}/transcript")).bearer(&key).send();
    assert_eq!(transcript.status, 403, "calls do not include transcripts");
    let posted = world.gateway.request("POST", "/api/calls").body("{}").bearer(&key).send();
    assert_eq!((posted.status, &posted.json()["error"]), (405, &json!("method_not_allowed")));
}

/// T3: the enterprise list is for keys of all of that enterprise.
#[test]
fn the_enterprise_list_is_for_whole_account_keys() {
    let all = Key::new("all", &["read:leads"]);
    let one = Key::new("one", &["read:leads"]).with("teams", json!([101]));
    let foreign = Key::new("foreign", &["read:leads"]);
    let world = World::start(&account([all.clone(), one.clone()]).key("8", foreign.clone()));
    for (key, enterprise, status) in
        [(&all, 7, 200), (&all, 8, 403), (&one, 7, 403), (&foreign, 7, 403), (&foreign, 8, 200)]
    {
        world.leads.forget();
        let answer =
            world.gateway.get(&format!("/api/v1/enterprise/{enterprise}/leads")).bearer(key).send();
        assert_eq!(answer.status, status, "{} {enterprise}", key.id);
        assert_eq!(
            world.leads.requests_seen(),
            usize::from(status == 200),
            "{} {enterprise}",
            key.id
        );
    }
}

/// T2: the multi-team key names its team on v0, and has it from the path on v1.
#[test]
fn a_key_of_several_teams_names_one_where_rows_do_not() {
    let several =
        Key::new("several", &["read:calls", "read:transcripts"]).with("teams", json!([101, 102]));
    let world = World::start(&account([several.clone()]));
    let ask = |team: Option<&str>| {
        let request = world.gateway.get(&target("/api/calls/{uuid}/transcript")).bearer(&several);
        let answer = team.map_or(request.clone(), |team| request.header("x-team-id", team)).send();
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(ask(Some("102")), refusal(200, ""));
    assert_eq!(ask(None), refusal(400, "team_required"));
    assert_eq!(ask(Some("201")), refusal(403, "team_not_allowed"));
}
