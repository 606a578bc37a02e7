//! Simple Scheduler: 480 sessions, and those of them that were booked.
//!
//! A booking is a session with status `booked`, under the same id. Teams without the product get
//! 403. Rows carry `team_id` and no privacy flag: the data scope of the headers is honoured here.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::Fault;
use crate::ask::{Ask, Span, among};
use crate::draw::Draw;
use crate::json::{self, Object};
use crate::moment::{self, SECOND_US, Zone};
use crate::operations::EXAMPLE_SESSION;
use crate::page::{self, Row, Stamp};
use crate::world::{self, Team};

const SESSIONS: u64 = 480;
pub(crate) const DAYS_DEFAULT: i64 = 30;
pub(crate) const STATUSES: &[&str] = &["booked", "dropped_off", "pending"];
pub(crate) const ISSUES: &[&str] =
    &["HVAC Repair", "No heat", "Water leak", "Entretien \u{2014} annuel"];
pub(crate) const AREAS: &[&str] = &["North", "S\u{fc}d", "\u{6771}", "Downtown"];
pub(crate) const UTM_SOURCES: &[&str] = &["google", "newsletter", "flyer"];

/// A session and what filters and counts ask of it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) scheduler: u64,
    pub(crate) status: &'static str,
    pub(crate) issue: Option<&'static str>,
    pub(crate) area: &'static str,
    pub(crate) utm_source: Option<&'static str>,
    pub(crate) customer: Customer,
    pub(crate) row: Row,
}

/// Who filled in the scheduler's form.
#[derive(Debug)]
pub(crate) struct Customer {
    name: String,
    email: String,
    phone: String,
}

impl Customer {
    pub(crate) fn write(&self, o: &mut Object<'_>) {
        o.text("name", &self.name);
        o.text("email", &self.email);
        o.text("phone", &self.phone);
        o.raw("address", "null");
    }
}

pub(crate) static TABLE: LazyLock<Vec<Session>> =
    LazyLock::new(|| (0..SESSIONS).map(session).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/v1/teams/{team}/sessions", get(team_sessions))
        .route("/api/v1/teams/{team}/sessions/{session}", get(team_session))
        .route("/api/v1/teams/{team}/bookings", get(team_bookings))
        .route("/api/v1/teams/{team}/bookings/{session}", get(team_booking))
        .route("/api/v1/sessions", get(all_sessions))
        .route("/api/v1/bookings", get(all_bookings))
}

async fn team_sessions(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = scheduling_team(&team, &ask)?;
    answer(&ask, &[team], ask.one_of("status", STATUSES)?, Some(&page::team_meta(team.id)))
}

async fn team_bookings(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = scheduling_team(&team, &ask)?;
    answer(&ask, &[team], Some("booked"), Some(&page::team_meta(team.id)))
}

async fn all_sessions(ask: Ask) -> Result<Response, Fault> {
    answer(&ask, &scheduling_teams(&ask)?, ask.one_of("status", STATUSES)?, None)
}

async fn all_bookings(ask: Ask) -> Result<Response, Fault> {
    answer(&ask, &scheduling_teams(&ask)?, Some("booked"), None)
}

async fn team_session(
    Path((team, id)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Fault> {
    single(&team, &id, &ask, |_| true, "Session")
}

async fn team_booking(
    Path((team, id)): Path<(String, String)>,
    ask: Ask,
) -> Result<Response, Fault> {
    single(&team, &id, &ask, |session| session.status == "booked", "Booking")
}

fn single(
    team: &str,
    id: &str,
    ask: &Ask,
    also: impl Fn(&Session) -> bool,
    what: &'static str,
) -> Result<Response, Fault> {
    let team = scheduling_team(team, ask)?;
    let found = TABLE
        .iter()
        .find(|s| s.id == id && s.row.stamp.team == team.id && ask.sees(&s.row.stamp) && also(s));
    found
        .map(|s| page::one(&s.row.json, Some(&page::team_meta(team.id))))
        .ok_or(Fault::NotFound { what })
}

fn answer(
    ask: &Ask,
    teams: &[&Team],
    status: Option<&str>,
    meta: Option<&dyn Fn(&mut Object<'_>)>,
) -> Result<Response, Fault> {
    let span = ask.span(DAYS_DEFAULT, Zone::UTC)?;
    let rows = select(ask, teams, span)?
        .filter(|session| status.is_none_or(|status| status == session.status));
    page::by_cursor(ask, rows.map(|session| &session.row), |out, row| out.push_str(&row.json), meta)
}

/// The sessions a request is about: its teams, its span, its `scheduler_id`, its data scope.
pub(crate) fn select<'a>(
    ask: &'a Ask,
    teams: &'a [&Team],
    span: Span,
) -> Result<impl Iterator<Item = &'static Session> + 'a, Fault> {
    let scheduler = ask.int("scheduler_id")?;
    Ok(TABLE.iter().filter(move |session| {
        let stamp = &session.row.stamp;
        among(teams, stamp.team)
            && span.holds(stamp.at_us)
            && ask.sees(stamp)
            && scheduler.is_none_or(|s| s == session.scheduler)
    }))
}

/// The team in the path, if it uses Simple Scheduler.
pub(crate) fn scheduling_team(text: &str, ask: &Ask) -> Result<&'static Team, Fault> {
    uses_scheduler(ask.path_team(text)?)
}

/// The teams of a request without a team in its path that use Simple Scheduler.
pub(crate) fn scheduling_teams(ask: &Ask) -> Result<Vec<&'static Team>, Fault> {
    if let Some(team) = ask.chosen_team()? {
        return Ok(vec![uses_scheduler(team)?]);
    }
    Ok(ask.teams()?.into_iter().filter(|team| team.scheduler).collect())
}

fn uses_scheduler(team: &'static Team) -> Result<&'static Team, Fault> {
    if team.scheduler { Ok(team) } else { Err(Fault::NoScheduler { team: team.id }) }
}

/// A team's two schedulers.
pub(crate) fn scheduler_ids(team: u32) -> [u64; 2] {
    [u64::from(team) * 10 + 1, u64::from(team) * 10 + 2]
}

fn session(index: u64) -> Session {
    let draw = &mut Draw::new("sessions", index);
    let example = index == 0;
    let at_us = moment::spread(draw, index, SESSIONS);
    let team = if example { 101 } else { world::any_scheduler_team(draw) };
    let stamp = Stamp {
        team,
        at_us,
        private: !example && draw.chance(15),
        owner: if example { Some("ann@acme.test") } else { world::any_owner(draw, team) },
    };
    let id = if example {
        EXAMPLE_SESSION.to_owned()
    } else {
        format!("sess_{:012x}", draw.next() >> 16)
    };
    let status = if example { "booked" } else { draw.pick(STATUSES) };
    let (scheduler, issue) = (draw.pick(&scheduler_ids(team)), draw.pick_or_null(20, ISSUES));
    let (area, utm_source) = (draw.pick(AREAS), draw.pick_or_null(50, UTM_SOURCES));
    let customer = Customer { name: draw.name(), email: draw.email(), phone: draw.phone() };
    let json = json::object(|o| {
        o.text("session_id", &id);
        o.int("team_id", u64::from(team));
        o.int("scheduler_id", scheduler);
        o.text("status", status);
        o.object("customer_info", |c| customer.write(c));
        o.maybe("issue_type", issue);
        o.maybe("job_type", draw.pick_or_null(50, &["Repair", "Install"]));
        selection(o, draw, utm_source);
        progress(o, draw, status, at_us);
    });
    Session {
        id,
        scheduler,
        status,
        issue,
        area,
        utm_source,
        customer,
        row: Row { place: index, stamp, json },
    }
}

fn selection(o: &mut Object<'_>, draw: &mut Draw, utm_source: Option<&str>) {
    o.maybe("selected_date", draw.pick_or_null(30, &["2026-11-24", "2026-12-01"]));
    o.maybe("selected_time", draw.pick_or_null(30, &["09:00", "13:30"]));
    o.object("utm", |u| {
        u.maybe("source", utm_source);
        for name in ["medium", "campaign", "term", "content"] {
            u.maybe(name, draw.pick_or_null(60, &["cpc", "", "winter-check"]));
        }
    });
    o.object("google_ads", |g| {
        g.maybe("gclid", draw.pick_or_null(70, &["Cj0KCQ_-x"]));
        g.raw("wbraid", "null");
        g.raw("gbraid", "null");
    });
}

fn progress(o: &mut Object<'_>, draw: &mut Draw, status: &str, at_us: i64) {
    let booked = status == "booked";
    let last_us = at_us + draw.below(900) as i64 * SECOND_US;
    o.raw("st_job_id", if booked { "9007199254740993" } else { "null" });
    o.text("started_at", &moment::text(at_us));
    o.maybe("completed_at", booked.then(|| moment::text(last_us)).as_deref());
    o.text("last_activity_at", &moment::text(last_us));
    o.list("events", 0..u64::from(booked) + draw.below(2), |out, _| {
        json::object_into(out, |e| {
            e.text("event_type", "avoca:bookingCompletion");
            e.text("created_at", &moment::text(last_us));
        });
    });
}
