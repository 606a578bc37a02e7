//! Simple Scheduler's older and smaller lists: schedulers, their configuration, booking requests.
//!
//! Booking requests page by a cursor that is the time of the last row, and also by offset; no two
//! rows have one time, so neither way loses any.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::{Fault, json_body};
use crate::ask::{Ask, among};
use crate::draw::Draw;
use crate::json::{self, Object};
use crate::moment::{self, Zone};
use crate::page::{self, Row, Stamp};
use crate::scheduler::{self, AREAS, ISSUES};
use crate::world;

const REQUESTS: u64 = 240;

/// A booking request and what filters ask of it.
#[derive(Debug)]
struct BookingRequest {
    scheduler: u64,
    status: &'static str,
    utm: bool,
    row: Row,
}

static TABLE: LazyLock<Vec<BookingRequest>> =
    LazyLock::new(|| (0..REQUESTS).map(booking_request).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/simple_scheduler_booking_requests", get(booking_requests))
        .route("/api/simple_scheduler_config", get(configurations))
        .route("/api/v1/teams/{team}/schedulers", get(schedulers))
}

async fn booking_requests(ask: Ask) -> Result<Response, Fault> {
    let (teams, scheduler) = (scheduler::scheduling_teams(&ask)?, ask.int("scheduler_id")?);
    let (status, utm) =
        (ask.text("status"), ask.text("has_utm").map(|_| ask.flag("has_utm", false)).transpose()?);
    let shown = |request: &&BookingRequest| {
        let stamp = &request.row.stamp;
        among(&teams, stamp.team)
            && ask.sees(stamp)
            && scheduler.is_none_or(|s| s == request.scheduler)
            && status.is_none_or(|s| s == request.status)
            && utm.is_none_or(|u| u == request.utm)
    };
    let rows: Vec<&Row> = TABLE.iter().filter(shown).map(|request| &request.row).collect();
    page_by_time(&ask, &rows)
}

/// `{"data": [...], "meta": {total, next_cursor, has_more}}`.
fn page_by_time(ask: &Ask, rows: &[&Row]) -> Result<Response, Fault> {
    let limit = ask.limit(50, 500)?;
    let offset = usize::try_from(ask.int("offset")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let fault = || Fault::Parameter { name: "cursor", rule: "an RFC 3339 time".to_owned() };
    let before = ask
        .text("cursor")
        .map(|text| moment::parse(text, Zone::UTC).ok_or_else(fault))
        .transpose()?;
    let mut older =
        rows.iter().filter(|row| before.is_none_or(|at_us| row.stamp.at_us < at_us)).skip(offset);
    let page: Vec<&&Row> = older.clone().take(limit).collect();
    let has_more = older.nth(limit).is_some();
    let next = page.last().filter(|_| has_more).map(|row| moment::text(row.stamp.at_us));
    Ok(json_body(json::object(|o| {
        o.list("data", &page, |out, row| out.push_str(&row.json));
        o.object("meta", |meta| {
            meta.int("total", rows.len() as u64);
            meta.maybe("next_cursor", next.as_deref());
            meta.flag("has_more", has_more);
        });
    })))
}

fn booking_request(index: u64) -> BookingRequest {
    let draw = &mut Draw::new("booking-requests", index);
    let team = world::any_scheduler_team(draw);
    let stamp = Stamp {
        team,
        at_us: moment::spread(draw, index, REQUESTS),
        private: draw.chance(15),
        owner: world::any_owner(draw, team),
    };
    let (scheduler, status, utm) =
        (draw.pick(&scheduler::scheduler_ids(team)), draw.pick(&["new", "done"]), draw.chance(40));
    let json = json::object(|o| {
        o.int("id", 810_000_000 + index * 3);
        o.int("team_id", u64::from(team));
        o.int("scheduler_id", scheduler);
        o.text("status", status);
        o.raw("st_job_id", if status == "done" { "9007199254740993" } else { "null" });
        o.text("created_at", &moment::text(stamp.at_us));
        o.object("request_data", |r| {
            r.object("customer", |c| {
                c.text("name", &draw.name());
                c.text("phone", &draw.phone());
            });
            r.raw("slots", "[]");
            r.object("opts", |_| {});
            r.raw("n", draw.odd_number());
            if utm {
                r.object("utm", |u| u.text("source", draw.pick(scheduler::UTM_SOURCES)));
            }
        });
    });
    BookingRequest { scheduler, status, utm, row: Row { place: index, stamp, json } }
}

async fn configurations(ask: Ask) -> Result<Response, Fault> {
    let teams = scheduler::scheduling_teams(&ask)?;
    let all =
        teams.iter().flat_map(|team| scheduler::scheduler_ids(team.id).map(|id| (team.id, id)));
    Ok(json_body(json::object(|o| {
        o.list("data", all, |out, (team, id)| {
            json::object_into(out, |c| {
                scheduler_members(c, team, id);
                c.list("issue_types", ISSUES, |out, issue| json::text_into(out, issue));
                c.list("service_areas", AREAS, |out, area| json::text_into(out, area));
                c.object("business_hours", |h| {
                    for day in ["mon", "tue", "wed", "thu", "fri"] {
                        h.raw(day, r#"[{"from":"08:00","to":"18:00"}]"#);
                    }
                });
            });
        });
    })))
}

async fn schedulers(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = scheduler::scheduling_team(&team, &ask)?;
    Ok(json_body(json::object(|o| {
        o.list("data", scheduler::scheduler_ids(team.id), |out, id| {
            json::object_into(out, |s| scheduler_members(s, team.id, id))
        });
        o.object("meta", page::team_meta(team.id));
    })))
}

fn scheduler_members(o: &mut Object<'_>, team: u32, id: u64) {
    o.int("id", id);
    o.int("team_id", u64::from(team));
    o.text("name", if id % 10 == 1 { "Web site" } else { "R\u{e9}servation en ligne" });
    o.flag("is_active", true);
    o.text("timezone", "America/New_York");
}
