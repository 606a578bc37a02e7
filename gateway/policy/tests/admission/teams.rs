//! Which team a request is about, and what that team's choice shows and hides (T1 to T3, C1).

use gateway_policy::{Admitted, Job};
use gateway_rewrite::Rewriter;

use crate::ask::Ask;
use crate::world::World;

/// What the answer is filtered by when `key` names `team` in each of the places for it; `None` where
/// the team is not the key's. All places agree.
fn job(world: &World, key: &str, team: Option<&str>) -> Option<Job> {
    let (snapshot, meters) = world.snapshot();
    let bearer = format!("Bearer {key}");
    let admitted = |target: &str, header: Option<&str>| {
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(header.map(|team| ("x-team-id", team)));
        match Ask::get(target, &headers).of(&snapshot, meters) {
            Ok(Admitted::Forward(admission)) => Some(admission.grant().job().clone()),
            Ok(_) => panic!("whoami"),
            Err(problem) => {
                assert_eq!(problem.code.as_str(), "team_not_allowed", "{key} {target}");
                None
            }
        }
    };
    let Some(team) = team else { return admitted("/api/calls", None) };
    let by_header = admitted("/api/calls", Some(team));
    let same = |other: Option<Job>| {
        let told = |job: &Job| (job.shown.clone(), job.rows.clone());
        assert_eq!(other.as_ref().map(told), by_header.as_ref().map(told), "{key} {team}");
    };
    same(admitted(&format!("/api/calls?team_id={team}"), None));
    same(admitted(&format!("/api/v1/teams/{team}/calls"), None));
    same(admitted(&format!("/api/v1/teams/{team}/calls?team_id={team}"), Some(team)));
    by_header
}

/// The team that goes up, or the code that the request was refused with.
fn team(world: &World, key: &str, target: &str, named: &[&str]) -> String {
    let (snapshot, meters) = world.snapshot();
    let bearer = format!("Bearer {key}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(named.iter().map(|team| ("x-team-id", *team)));
    match Ask::get(target, &headers).of(&snapshot, meters) {
        Ok(Admitted::Forward(admission)) => {
            admission.grant().team().map_or("none".to_owned(), ToString::to_string)
        }
        Ok(_) => "whoami".to_owned(),
        Err(problem) => problem.code.as_str().to_owned(),
    }
}

/// T1 to T3: which team a request is about.
#[test]
fn a_team_is_the_keys_or_refused() {
    let world = World::new();
    for (key, target, named, expected) in [
        ("anchored", "/api/calls", &[][..], "101"),
        ("anchored", "/api/calls", &["101"], "101"),
        ("anchored", "/api/calls", &["102"], "team_not_allowed"),
        ("anchored", "/api/free", &["102"], "101"),
        ("full", "/api/calls", &[], "none"),
        ("full", "/api/calls", &["102"], "102"),
        ("full", "/api/calls", &["102", "102"], "102"),
        ("full", "/api/calls", &["101", "102"], "bad_request"),
        ("full", "/api/calls", &["999"], "team_not_allowed"),
        ("full", "/api/calls", &[""], "team_not_allowed"),
        ("full", "/api/calls?team_id=102", &[], "102"),
        ("full", "/api/calls?team_id=1%302", &[], "102"),
        ("full", "/api/calls?team_id=102", &["101"], "bad_request"),
        ("full", "/api/strict", &[], "team_required"),
        ("full", "/api/strict", &["101"], "101"),
        ("full", "/api/v1/teams/102/calls", &[], "102"),
        ("full", "/api/v1/teams/102/calls", &["101"], "bad_request"),
        ("full", "/api/v1/teams/7/calls", &[], "team_not_allowed"),
        // Two of the account's three teams, and rows that do not tell theirs: nobody would filter.
        ("two", "/api/plain", &[], "team_required"),
        ("two", "/api/plain", &["102"], "102"),
        ("two", "/api/calls", &[], "none"),
        // Any team is this key's, as long as it is one: it goes up in a header.
        ("any_team", "/api/strict", &["7"], "7"),
        ("any_team", "/api/strict", &[""], "team_not_allowed"),
        ("any_team", "/api/calls?team_id=", &[], "team_not_allowed"),
        ("any_team", "/api/calls?team_id=7%0d%0aX:8", &[], "team_not_allowed"),
        ("any_team", "/api/calls?team_id=%C3%A9", &[], "team_not_allowed"),
        ("any_team", "/api/calls?team_id=+7", &[], "team_not_allowed"),
        ("any_team", "/api/v1/teams/a:b/calls", &[], "a:b"),
        ("any_team", "/api/v1/teams/a%3Ab/calls", &[], "team_not_allowed"),
        ("one_twice", "/api/strict", &[], "101"),
        ("full", "/api/enterprise/acme", &[], "none"),
        ("full", "/api/enterprise/other", &[], "reach_not_allowed"),
    ] {
        assert_eq!(team(&world, key, target, named), expected, "{key} {target} {named:?}");
    }
}

/// T1, T2: a name counts in every spelling that an upstream might take for it, or the request is refused.
#[test]
fn no_spelling_of_the_parameter_names_another_team() {
    let world = World::new();
    for (query, expected) in [
        ("team_id=102", "102"),
        ("TEAM_ID=102", "102"),
        ("teamId=102", "102"),
        ("team-id=102", "102"),
        ("team.id=102", "102"),
        ("team%5fid=102", "102"),
        ("team_id[]=102", "102"),
        ("team_id%5B%5D=102", "102"),
        ("team_id[0]=102", "102"),
        ("team_id[0][]=102", "102"),
        ("team_id%00=102", "102"),
        ("+team_id=102", "102"),
        ("team%20id=102", "102"),
        ("limit=1;team_id=102", "102"),
        ("team_id[0]=102&team_id[1]=102", "102"),
        ("team_id=1%302", "102"),
        ("team_id[]=103", "team_not_allowed"),
        ("Team_Id=103", "team_not_allowed"),
        ("TEAMID=103", "team_not_allowed"),
        ("t%C4%B1me=1&team_%C4%B1d=103", "team_not_allowed"),
        ("team_id=%31%250a", "team_not_allowed"),
        ("team_id=102%00", "team_not_allowed"),
        ("team_id=%ff", "team_not_allowed"),
        ("team_id=102%", "team_not_allowed"),
        ("team_id", "team_not_allowed"),
        ("team_id[]=101&team_id[]=102", "bad_request"),
        ("team_id=101&TEAM_ID=102", "bad_request"),
        ("team_id=101;team_id=102", "bad_request"),
        // Where `;` is data, the team is `102;limit=1`.
        ("team_id=102;limit=1", "bad_request"),
        ("team_id2=102", "none"),
        ("teams=102&team=102&id=102&my_team_id_too=102", "none"),
    ] {
        assert_eq!(team(&world, "two", &format!("/api/open?{query}"), &[]), expected, "{query}");
    }
    for (path, query, expected) in [
        // Nobody judges names here but who looks for the team's.
        ("/api/open", "team%255fid=102", "bad_request"),
        ("/api/open", "%zz=1", "bad_request"),
        ("/api/open", "a=%zz", "none"),
        ("/api/calls", "team%255fid=102", "column_not_allowed"),
        ("/api/calls", "team_id[]=103", "team_not_allowed"),
        ("/api/calls", "filter[team_id]=102", "column_not_allowed"),
        ("/api/listed", "team_id=102", "102"),
        ("/api/listed", "team_id=103", "team_not_allowed"),
        ("/api/listed", "TEAM_ID=102", "unknown_parameter"),
        ("/api/listed", "team%5fid=102", "unknown_parameter"),
        ("/api/listed", "team_id[]=102", "unknown_parameter"),
        ("/api/free", "team_id=102", "column_not_allowed"),
        ("/api/free", "limit=102", "none"),
    ] {
        let target = format!("{path}?{query}");
        assert_eq!(team(&world, "two", &target, &[]), expected, "{target}");
    }
}

/// C1: a team's own list replaces the account's; without a team only what every reachable one shows.
#[test]
fn columns_are_the_teams_and_without_a_team_those_of_all() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    let shown = |key: &str, team: Option<&str>| {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(team.map(|team| ("x-team-id", team)));
        let Ok(Admitted::Forward(admission)) =
            Ask::get("/api/calls", &headers).of(&snapshot, meters)
        else {
            panic!("refused");
        };
        let job = admission.grant().job();
        let visible = job.catalogue.columns().filter(|(id, _)| job.shown.contains(*id));
        visible.map(|(_, path)| path).collect::<Vec<_>>().join(" ")
    };
    for (key, team, expected) in [
        ("full", Some("101"), "call_id created_at assistant_id"),
        ("full", Some("102"), "call_id email"),
        ("full", None, "call_id"),
        ("anchored", None, "call_id created_at assistant_id"),
    ] {
        assert_eq!(shown(key, team), expected, "{key} {team:?}");
    }
}

/// C1: of the other teams that a key reaches, rows pass with the chosen team's columns only where that
/// team shows nothing that one of them hides.
#[test]
fn a_teams_own_columns_are_for_its_own_rows() {
    let world = World::new();
    for (key, team, expected) in [
        ("full", None, Some("101 102 103")),
        ("full", Some("101"), Some("101")),
        ("full", Some("102"), Some("102")),
        ("full", Some("103"), Some("101 102 103")),
        ("full", Some("104"), None),
        ("two", None, Some("101 102")),
        ("two", Some("101"), Some("101")),
        ("two", Some("102"), Some("102")),
        ("two", Some("103"), None),
        ("two_plain", None, Some("101 103")),
        ("two_plain", Some("101"), Some("101")),
        ("two_plain", Some("103"), Some("101 103")),
        ("anchored", None, Some("101")),
        ("anchored", Some("101"), Some("101")),
        ("two_of_uniform", None, Some("101 102")),
        ("two_of_uniform", Some("101"), Some("101 102")),
        ("two_of_uniform", Some("102"), Some("101 102")),
        ("any_team", None, Some("any")),
        ("any_team", Some("102"), Some("102")),
        ("any_team", Some("103"), Some("any")),
        ("any_team", Some("7"), Some("7")),
    ] {
        let rows = job(&world, key, team).map(|job| job.rows);
        let teams = rows.map(|rows| rows.teams.as_ref().map_or("any".into(), |t| t.join(" ")));
        assert_eq!(teams.as_deref(), expected, "{key} {team:?}");
    }
}

/// The rest of a key's row rule is the same whichever team it chooses.
#[test]
fn a_chosen_team_does_not_loosen_the_data_scope() {
    let world = World::new();
    for (key, private, owner) in
        [("full", false, None), ("org_non_private", true, None), ("ann", false, Some("u_ann"))]
    {
        for team in [None, Some("101"), Some("102")] {
            let rows = job(&world, key, team).unwrap().rows;
            let told = (rows.hide_private, rows.owner.as_ref().map(|owner| owner.id.as_str()));
            assert_eq!(told, (private, owner), "{key} {team:?}");
        }
    }
}

/// Teams as rows tell them, and the columns that a row of it may hold. A row that does not tell its
/// team may be any team's.
const ROWS: [(&str, &[&str]); 6] = [
    ("101", &["call_id", "created_at", "assistant_id"]),
    ("102", &["call_id", "email"]),
    ("103", &["call_id"]),
    ("7", &["call_id", "created_at", "assistant_id"]),
    ("null", &["call_id"]),
    ("[101,102]", &["call_id"]),
];

/// C1, T1: whatever a key reaches and names, no row comes out with a column that its team hides.
#[test]
fn no_row_comes_out_with_a_column_that_its_team_hides() {
    let row = |(team, _): &(&str, _)| {
        format!(
            r#"{{"call_id":"{team}","created_at":1,"assistant_id":"a","email":"e","is_private":false,"team_id":{team}}}"#
        )
    };
    let body = format!(r#"{{"data":[{}]}}"#, ROWS.iter().map(row).collect::<Vec<_>>().join(","));
    let world = World::new();
    let mut passed = 0;
    for key in ["full", "anchored", "two", "two_plain", "any_team", "org_non_private"] {
        for team in [None, Some("101"), Some("102"), Some("103"), Some("7")] {
            let Some(job) = job(&world, key, team) else { continue };
            let text = rewritten(job, &body);
            for row in text.split('{').filter(|row| row.contains("call_id")) {
                let is_of = |(name, _): &&(&str, _)| row.contains(&format!(r#""{name}""#));
                let (name, allowed) = ROWS.iter().find(is_of).unwrap();
                let hidden =
                    ["created_at", "assistant_id", "email"].iter().filter(|c| !allowed.contains(c));
                let shown: Vec<_> = hidden.filter(|column| row.contains(**column)).collect();
                assert!(shown.is_empty(), "{key} {team:?}: {shown:?} of a row of {name}");
                passed += 1;
            }
        }
    }
    assert!(passed > 0, "no row passed at all");
}

fn rewritten(job: Job, body: &str) -> String {
    let mut out = Vec::new();
    let mut rewriter = Rewriter::new(job);
    rewriter.write(body.as_bytes(), &mut out).unwrap();
    rewriter.end(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
