//! `coach`: 600 evaluated calls and the rubrics they were scored by.
//!
//! Rows carry `is_private`, `user_email` and `team_id`; the gateway hides by them. Ids are integers,
//! a third of them past 2^53, which a reader by floats would change.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::{Fault, json_body};
use crate::ask::{Ask, among};
use crate::calls::privacy;
use crate::draw::Draw;
use crate::json::{self, Object};
use crate::moment::{self, Zone};
use crate::operations::EXAMPLE_COACH_CALL;
use crate::page::{self, Row, Stamp};
use crate::world;

const EVALUATIONS: u64 = 600;
const DAYS_DEFAULT: i64 = 7;
/// Rubric id and title; each has eight items.
const RUBRICS: &[(u64, &str)] =
    &[(1, "Booking call"), (2, "\u{c9}tude de suivi"), (3, "Complaint \u{2014} follow up")];
const ITEMS: &[&str] = &[
    "Greeting by name",
    "Asked for the address",
    "Confirmed the number",
    "Offered a slot",
    "Named the price",
    "Warranty asked",
    "\u{bf}Idioma?",
    "Closed politely",
];

static TABLE: LazyLock<Vec<(u64, Row)>> =
    LazyLock::new(|| (0..EVALUATIONS).map(evaluation).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/coach", get(list))
        .route("/api/coach/rubrics", get(rubrics))
        .route("/api/coach/{id}", get(detail))
}

async fn list(ask: Ask) -> Result<Response, Fault> {
    let (teams, span) = (ask.teams()?, ask.span(DAYS_DEFAULT, ask.zone()?)?);
    let shown = |row: &&Row| among(&teams, row.stamp.team) && span.holds(row.stamp.at_us);
    page::by_offset(&ask, TABLE.iter().map(|(_, row)| row).filter(shown))
}

async fn detail(Path(id): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let teams = ask.teams_with_test()?;
    let id: u64 =
        id.parse().map_err(|_| Fault::Parameter { name: "id", rule: "an integer".to_owned() })?;
    let found = TABLE.iter().find(|(call_id, row)| *call_id == id && among(&teams, row.stamp.team));
    found.map(|(_, row)| page::one(&row.json, None)).ok_or(Fault::NotFound { what: "Coach call" })
}

async fn rubrics(ask: Ask) -> Result<Response, Fault> {
    // Every team has the same rubrics here; an unknown team still finds none.
    ask.chosen_team()?;
    Ok(json_body(json::object(|o| {
        o.list("data", RUBRICS, |out, (id, title)| {
            json::object_into(out, |r| {
                r.int("id", *id);
                r.text("title", title);
                r.list("items", ITEMS.iter().enumerate(), |out, (i, name)| {
                    json::object_into(out, |item| {
                        item.text("key", &format!("item_{}", i + 1));
                        item.text("name", name);
                    });
                });
            });
        });
    })))
}

fn evaluation(index: u64) -> (u64, Row) {
    let draw = &mut Draw::new("coach", index);
    let id = if index % 3 == 2 { 9_007_199_254_740_993 + index } else { 48_000_000 + index * 13 };
    let example = id == EXAMPLE_COACH_CALL;
    let at_us = moment::spread(draw, index, EVALUATIONS);
    let team = if example { 101 } else { world::any_team(draw) };
    let owner = if example { Some("ann@acme.test") } else { world::any_owner(draw, team) };
    let private = if example { Some("false") } else { privacy(draw) };
    let json = json::object(|o| {
        scores(o, draw, id, team, at_us);
        people(o, draw);
        let answered = draw.chance(90);
        o.object("evaluation_answers", |a| {
            for i in 1..=if answered { ITEMS.len() } else { 0 } {
                a.text(&format!("item_{i}"), draw.pick(&["Yes", "No", "N/A"]));
            }
        });
        o.maybe("user_email", owner);
        if let Some(token) = private {
            o.raw("is_private", token);
        }
    });
    let stamp = Stamp { team, at_us, private: private != Some("false"), owner };
    (id, Row { place: index, stamp, json })
}

fn scores(o: &mut Object<'_>, draw: &mut Draw, id: u64, team: u32, at_us: i64) {
    o.int("call_id", id);
    o.int("team_id", u64::from(team));
    o.raw("rubric_id", draw.pick(&["1", "2", "3", "null"]));
    o.text("call_date", &moment::text(at_us));
    let local =
        moment::clock_text(Zone::named("America/New_York").unwrap_or(Zone::UTC).local_us(at_us));
    o.maybe("call_time_local", (!draw.chance(10)).then_some(local.as_str()));
    o.raw("duration_seconds", draw.pick(&["null", "0", "61", "254", "1800"]));
    o.raw("score", draw.pick(&["null", "100", "87.50", "0.0", "33.333333333333336"]));
    o.raw("awarded_points", draw.odd_number());
    o.raw("max_available_points", "1E2");
    o.maybe("five9_call_id", draw.pick_or_null(50, &["F9-300000000012345678"]));
}

fn people(o: &mut Object<'_>, draw: &mut Draw) {
    // Five9 teams have people here, with their own kind of id.
    let human = draw.chance(30).then(|| (draw.name(), format!("csr-{}", draw.below(1_000))));
    let agent = draw.assistant();
    o.maybe("agent_name", human.as_ref().map(|(name, _)| name.as_str()));
    o.text("agent_id", human.as_ref().map_or(agent, |(_, id)| id));
    o.text("customer_name", &draw.name());
    let phone = draw.phone();
    o.maybe("customer_phone", (!draw.chance(10)).then_some(phone.as_str()));
    o.maybe("call_type", draw.pick_or_null(20, &["Booking", "\u{c9}tude"]));
    o.maybe("call_reason", draw.pick_or_null(20, &["Service request", "FOLLOW_UP_COMPLAINT"]));
    o.maybe("direction", draw.pick_or_null(10, &["Inbound", "Outbound"]));
}
