//! Outbound: texts of campaigns and subscription events, per team.
//!
//! Rows carry no privacy flag: the data scope of the headers is honoured here.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::Fault;
use crate::ask::Ask;
use crate::draw::Draw;
use crate::json;
use crate::moment::{self, Zone};
use crate::page::{self, Row, Stamp};
use crate::world;

const TEXTS: u64 = 300;
const EVENTS: u64 = 300;
const DAYS_DEFAULT: i64 = 30;
const CAMPAIGNS: &[&str] = &["winter-check", "spring tune-up", "Rappel \u{e9}t\u{e9}"];
const ACTIONS: &[&str] = &["outbound_message", "customer_subscribed", "customer_unsubscribed"];

/// A row with the one word that its route filters by.
type Tagged = (&'static str, Row);

static TEXT_TABLE: LazyLock<Vec<Tagged>> =
    LazyLock::new(|| (0..TEXTS).map(campaign_text).collect());
static EVENT_TABLE: LazyLock<Vec<Tagged>> = LazyLock::new(|| (0..EVENTS).map(event).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/v1/teams/{team}/outbound/campaign-texts", get(campaign_texts))
        .route("/api/v1/teams/{team}/outbound/events", get(events))
}

async fn campaign_texts(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = ask.path_team(&team)?;
    let campaign = ask.required("campaign_name")?;
    let rows = shown(&TEXT_TABLE, &ask, team.id, Some(campaign))?;
    page::by_cursor(
        &ask,
        rows,
        |out, row| out.push_str(&row.json),
        Some(&|meta| {
            meta.int("team_id", u64::from(team.id));
            meta.text("campaign_name", campaign);
        }),
    )
}

async fn events(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = ask.path_team(&team)?;
    let rows = shown(&EVENT_TABLE, &ask, team.id, ask.one_of("action", ACTIONS)?)?;
    page::by_cursor(&ask, rows, |out, row| out.push_str(&row.json), Some(&page::team_meta(team.id)))
}

fn shown<'a>(
    table: &'static [Tagged],
    ask: &'a Ask,
    team: u32,
    tag: Option<&'a str>,
) -> Result<impl Iterator<Item = &'static Row> + 'a, Fault> {
    let span = ask.span(DAYS_DEFAULT, Zone::UTC)?;
    let rows = table.iter().filter(move |(of, row)| {
        row.stamp.team == team
            && span.holds(row.stamp.at_us)
            && ask.sees(&row.stamp)
            && tag.is_none_or(|tag| tag == *of)
    });
    Ok(rows.map(|(_, row)| row))
}

fn stamp(draw: &mut Draw, index: u64, count: u64) -> Stamp {
    let team = world::any_team(draw);
    Stamp {
        team,
        at_us: moment::spread(draw, index, count),
        private: draw.chance(10),
        owner: world::any_owner(draw, team),
    }
}

fn campaign_text(index: u64) -> Tagged {
    let draw = &mut Draw::new("campaign-texts", index);
    let (stamp, campaign) = (stamp(draw, index, TEXTS), draw.pick(CAMPAIGNS));
    let json = json::object(|o| {
        o.text("id", &draw.uuid());
        o.int("team_id", u64::from(stamp.team));
        o.text("campaign_name", campaign);
        o.text("created_at", &moment::text(stamp.at_us));
        o.text("direction", draw.pick(&["outbound", "inbound"]));
        o.text("status", draw.pick(&["queued", "sent", "delivered", "failed"]));
        o.text("customer_name", &draw.name());
        o.text("customer_phone", &draw.phone());
        o.text("body", &draw.words(14));
    });
    (campaign, Row { place: index, stamp, json })
}

fn event(index: u64) -> Tagged {
    let draw = &mut Draw::new("outbound-events", index);
    let (stamp, action) = (stamp(draw, index, EVENTS), draw.pick(ACTIONS));
    let json = json::object(|o| {
        o.int("id", 700_000 + index);
        o.int("team_id", u64::from(stamp.team));
        o.text("action", action);
        o.text("created_at", &moment::text(stamp.at_us));
        o.maybe("campaign_name", draw.pick_or_null(30, CAMPAIGNS));
        o.text("customer_phone", &draw.phone());
        o.maybe("channel", draw.pick_or_null(10, &["sms", "email"]));
    });
    (action, Row { place: index, stamp, json })
}
