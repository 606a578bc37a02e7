//! The teams of the calling account, in v0's envelope and in v1's.
//!
//! Test teams are left out unless `include_test_teams`. Which of the teams a key reaches is the
//! gateway's to know.

use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::answer::{Fault, json_body};
use crate::ask::Ask;
use crate::json::{self, Object};
use crate::world::Team;

pub(crate) fn routes() -> Router {
    Router::new().route("/api/teams", get(v0)).route("/api/v1/teams", get(v1))
}

async fn v0(ask: Ask) -> Result<Response, Fault> {
    let teams = ask.teams()?;
    Ok(json_body(json::object(|o| {
        o.list("teams", teams, |out, team| json::object_into(out, |t| name(t, team)));
    })))
}

async fn v1(ask: Ask) -> Result<Response, Fault> {
    let teams = ask.teams()?;
    Ok(json_body(json::object(|o| {
        o.list("data", teams, |out, team| {
            json::object_into(out, |t| {
                name(t, team);
                t.int("enterprise_id", u64::from(team.enterprise));
                t.flag("is_test", team.test);
            });
        });
    })))
}

fn name(o: &mut Object<'_>, team: &Team) {
    o.int("id", u64::from(team.id));
    o.text("name", team.name);
}
