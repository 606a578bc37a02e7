//! Leads v0: 450 touchpoints with a free `lead_content` and the assistant that handled them.
//!
//! Rows carry `is_private`, `user_email` and `team_id` beyond the published set; the gateway hides
//! by them.

use std::sync::LazyLock;

use axum::Router;
use axum::response::Response;
use axum::routing::get;

use crate::answer::Fault;
use crate::ask::{Ask, among};
use crate::calls::{privacy, turn};
use crate::draw::Draw;
use crate::json::{self, Object};
use crate::moment::{self, Zone};
use crate::page::{self, Row, Stamp};
use crate::world;

const LEADS: u64 = 450;
const DAYS_DEFAULT: i64 = 7;
const TYPES: &[&str] = &["call", "scheduling_widget", "web_chat", "text", "google_lsa"];

static TABLE: LazyLock<Vec<(&'static str, Row)>> = LazyLock::new(|| (0..LEADS).map(lead).collect());

pub(crate) fn routes() -> Router {
    Router::new().route("/api/leads", get(list))
}

async fn list(ask: Ask) -> Result<Response, Fault> {
    let (teams, span) = (ask.teams()?, ask.span(DAYS_DEFAULT, Zone::UTC)?);
    let kind = ask.one_of("type", TYPES)?;
    let shown = |(of, row): &&(&'static str, Row)| {
        among(&teams, row.stamp.team)
            && span.holds(row.stamp.at_us)
            && kind.is_none_or(|kind| kind == *of)
    };
    page::by_offset(&ask, TABLE.iter().filter(shown).map(|(_, row)| row))
}

fn lead(index: u64) -> (&'static str, Row) {
    let draw = &mut Draw::new("leads", index);
    let kind = TYPES[index as usize % TYPES.len()];
    let at_us = moment::spread(draw, index, LEADS);
    let team = world::any_team(draw);
    let (owner, private) = (world::any_owner(draw, team), privacy(draw));
    let json = json::object(|o| {
        o.text("id", &draw.uuid());
        o.text("datetime", &moment::text(at_us));
        o.text("type", kind);
        let (phone, email) = (draw.phone(), draw.email());
        o.maybe("customer_phone", (!draw.chance(10)).then_some(phone.as_str()));
        o.maybe("customer_email", (!draw.chance(20)).then_some(email.as_str()));
        o.object("lead_content", |c| content(c, draw, kind));
        o.maybe("agent", draw.chance(80).then(|| draw.assistant()));
        o.maybe("referrer_url", draw.pick_or_null(50, &["https://www.example.com/?q=a&b=%20c#f"]));
        o.object("attribution", |a| {
            a.maybe("utm_source", draw.pick_or_null(50, &["google", "newsletter"]));
            a.maybe("gclid", draw.pick_or_null(60, &["Cj0KCQ_-x"]));
        });
        o.int("team_id", u64::from(team));
        o.maybe("user_email", owner);
        if let Some(token) = private {
            o.raw("is_private", token);
        }
    });
    (
        kind,
        Row {
            place: index,
            stamp: Stamp { team, at_us, private: private != Some("false"), owner },
            json,
        },
    )
}

/// Each type of lead has a content of its own shape.
fn content(o: &mut Object<'_>, draw: &mut Draw, kind: &str) {
    match kind {
        "call" => {
            o.text("call_id", &draw.uuid());
            o.int("duration_seconds", draw.below(900));
            o.text("assistant_id", draw.assistant());
        }
        "scheduling_widget" => {
            o.text("session_id", &format!("sess_{:012x}", draw.next() >> 16));
            o.raw("steps", "[]");
            o.object("customer", |c| c.text("phone", &draw.phone()));
        }
        "web_chat" => {
            o.list("messages", 0..3, |out, i| json::object_into(out, |t| turn(t, draw, i)))
        }
        "text" => {
            o.text("body", &draw.words(10));
            o.raw("media", "[]");
        }
        _ => {}
    }
}
