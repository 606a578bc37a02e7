//! Counts over Simple Scheduler sessions: the v0 reports and the v1 breakdowns.
//!
//! Everything is counted from the same table that `/sessions` serves, so the numbers agree with
//! what a client can list. Counting 480 rows a request is cheaper than keeping results.

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::{Fault, json_body};
use crate::ask::{Ask, Span};
use crate::json::{self, Object};
use crate::moment::{self, DAY_US, NOW_US, Zone};
use crate::scheduler::{self, AREAS, DAYS_DEFAULT, ISSUES, STATUSES, Session, UTM_SOURCES};
use crate::world::Team;

const METRICS: &[&str] = &[
    "funnel",
    "bookings",
    "chart_data",
    "utm_data",
    "google_ads_data",
    "service_area_data",
    "issue_type_data",
    "customer_events",
];

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/scheduler-analytics", get(report))
        .route("/api/scheduler-analytics/summary", get(summary))
        .route("/api/v1/analytics/funnel", get(funnel_of_teams))
        .route("/api/v1/teams/{team}/analytics/funnel", get(funnel))
        .route("/api/v1/teams/{team}/analytics/utm", get(utm))
        .route("/api/v1/teams/{team}/analytics/service-areas", get(service_areas))
        .route("/api/v1/teams/{team}/analytics/issue-types", get(issue_types))
}

/// The v0 report: `data{}`, `pagination` over the customer events, `metadata`.
async fn report(ask: Ask) -> Result<Response, Fault> {
    let zone = ask.zone()?;
    let (teams, span) = (scheduler::scheduling_teams(&ask)?, ask.span(DAYS_DEFAULT, zone)?);
    let sessions: Vec<&Session> = scheduler::select(&ask, &teams, span)?.collect();
    let asked = ask.list_of("metrics", METRICS)?.unwrap_or_else(|| METRICS.to_vec());
    let (limit, offset) = (ask.limit(100, 1_000)?, ask.int("offset")?.unwrap_or(0));
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    let page: &[&Session] = sessions.get(from..).unwrap_or_default();
    let events = &page[..page.len().min(limit)];
    Ok(json_body(json::object(|o| {
        o.object("data", |d| {
            asked.iter().for_each(|metric| write_metric(d, metric, &sessions, events))
        });
        o.object("pagination", |p| {
            p.int("limit", limit as u64);
            p.int("offset", offset);
            p.flag("has_more", page.len() > limit);
        });
        o.object("metadata", |m| {
            m.text("startDate", &moment::text(span.start_us));
            m.text("endDate", &moment::text(span.end_us));
            m.text("timezone", zone.name);
            m.raw("schedulerId", ask.text("scheduler_id").unwrap_or("null"));
            m.list("metricsRequested", &asked, |out, metric| json::text_into(out, metric));
        });
    })))
}

fn write_metric(o: &mut Object<'_>, metric: &str, sessions: &[&Session], events: &[&Session]) {
    match metric {
        "funnel" => o.object("funnel", |f| {
            f.int("sessions", sessions.len() as u64);
            f.raw("conversionRate", &rate(sessions));
        }),
        "bookings" => o.object("bookings", |b| {
            b.int("total", booked(sessions));
            b.raw("avgBookingTimeSeconds", "212.50");
        }),
        "chart_data" => write_chart(o, sessions),
        "utm_data" => write_counts(o, "utmData", "source", UTM_SOURCES, sessions, |s| s.utm_source),
        "google_ads_data" => o.raw("googleAdsData", "[]"),
        "service_area_data" => {
            write_counts(o, "serviceAreaData", "serviceArea", AREAS, sessions, |s| Some(s.area))
        }
        "issue_type_data" => {
            write_counts(o, "issueTypeData", "issueType", ISSUES, sessions, |s| s.issue)
        }
        _ => o.list("customerEvents", events, |out, session| {
            json::object_into(out, |e| write_event(e, session))
        }),
    }
}

/// Sessions a day, newest first, days without one left out.
fn write_chart(o: &mut Object<'_>, sessions: &[&Session]) {
    let mut days: Vec<(String, u64)> = Vec::new();
    for session in sessions {
        let day = moment::date_text(session.row.stamp.at_us);
        match days.last_mut() {
            Some((last, count)) if *last == day => *count += 1,
            _ => days.push((day, 1)),
        }
    }
    o.list("chartData", &days, |out, (day, count)| {
        json::object_into(out, |c| {
            c.text("date", day);
            c.int("sessions", *count);
        });
    });
}

fn write_event(o: &mut Object<'_>, session: &Session) {
    o.text("sessionId", &session.id);
    o.text("status", session.status);
    o.object("customerInfo", |c| session.customer.write(c));
    o.maybe("issueType", session.issue);
    o.raw("conversionValue", if session.status == "booked" { "1.0" } else { "0.1000" });
    o.text("lastActivity", &moment::text(session.row.stamp.at_us));
}

/// `data{today, thisWeek, thisMonth}` in local days of the asked zone.
async fn summary(ask: Ask) -> Result<Response, Fault> {
    let (zone, teams) = (ask.zone()?, scheduler::scheduling_teams(&ask)?);
    let today_us = zone.day_start(NOW_US);
    let periods = [
        ("today", today_us),
        ("thisWeek", today_us - 6 * DAY_US),
        ("thisMonth", zone.day_start(NOW_US - 19 * DAY_US)),
    ];
    let mut counted = Vec::with_capacity(periods.len());
    for (name, start_us) in periods {
        let span = Span { start_us, end_us: NOW_US };
        counted.push((name, scheduler::select(&ask, &teams, span)?.collect::<Vec<_>>()));
    }
    Ok(json_body(json::object(|o| {
        o.object("data", |d| {
            for (name, sessions) in &counted {
                d.object(name, |p| {
                    p.int("sessions", sessions.len() as u64);
                    p.int("bookings", booked(sessions));
                    p.raw("conversionRate", &rate(sessions));
                });
            }
        });
        o.object("metadata", |m| {
            m.text("timezone", zone.name);
            m.text("generatedAt", &moment::text(NOW_US));
        });
    })))
}

/// The sum over all teams of the request.
async fn funnel_of_teams(ask: Ask) -> Result<Response, Fault> {
    let (teams, span) = (scheduler::scheduling_teams(&ask)?, ask.span(DAYS_DEFAULT, ask.zone()?)?);
    let sessions: Vec<&Session> = scheduler::select(&ask, &teams, span)?.collect();
    Ok(json_body(json::object(|o| o.object("data", |f| write_funnel(f, &sessions)))))
}

async fn funnel(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    of_team(&team, &ask, |o, sessions| o.object("data", |f| write_funnel(f, sessions)))
}

async fn utm(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    of_team(&team, &ask, |o, sessions| {
        write_counts(o, "data", "source", UTM_SOURCES, sessions, |s| s.utm_source)
    })
}

async fn service_areas(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    of_team(&team, &ask, |o, sessions| {
        write_counts(o, "data", "service_area", AREAS, sessions, |s| Some(s.area))
    })
}

async fn issue_types(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    of_team(&team, &ask, |o, sessions| {
        write_counts(o, "data", "issue_type", ISSUES, sessions, |s| s.issue)
    })
}

/// A v1 breakdown: what `write` makes of the sessions, and `meta`.
fn of_team(
    team: &str,
    ask: &Ask,
    write: impl Fn(&mut Object<'_>, &[&Session]),
) -> Result<Response, Fault> {
    let (team, zone): (&Team, Zone) = (scheduler::scheduling_team(team, ask)?, ask.zone()?);
    let span = ask.span(DAYS_DEFAULT, zone)?;
    let sessions: Vec<&Session> = scheduler::select(ask, &[team], span)?.collect();
    Ok(json_body(json::object(|o| {
        write(o, &sessions);
        o.object("meta", |m| {
            m.int("team_id", u64::from(team.id));
            m.text("start_date", &moment::text(span.start_us));
            m.text("end_date", &moment::text(span.end_us));
            m.text("timezone", zone.name);
        });
    })))
}

fn write_funnel(o: &mut Object<'_>, sessions: &[&Session]) {
    o.int("sessions", sessions.len() as u64);
    o.list("stages", STATUSES, |out, status| {
        json::object_into(out, |s| {
            s.text("stage", status);
            s.int(
                "count",
                sessions.iter().filter(|session| session.status == *status).count() as u64,
            );
        });
    });
    o.raw("conversion_rate", &rate(sessions));
}

/// `name: [{label: value, count, bookings}]` for each value that may occur.
fn write_counts(
    o: &mut Object<'_>,
    name: &str,
    label: &str,
    values: &[&str],
    sessions: &[&Session],
    of: impl Fn(&Session) -> Option<&'static str>,
) {
    o.list(name, values, |out, value| {
        let matching: Vec<&Session> =
            sessions.iter().copied().filter(|session| of(session) == Some(*value)).collect();
        json::object_into(out, |c| {
            c.text(label, value);
            c.int("count", matching.len() as u64);
            c.int("bookings", booked(&matching));
        });
    });
}

fn booked(sessions: &[&Session]) -> u64 {
    sessions.iter().filter(|session| session.status == "booked").count() as u64
}

/// Per cent with one digit, also when it is 0: `34.0`.
fn rate(sessions: &[&Session]) -> String {
    let tenths = (booked(sessions) * 1_000).checked_div(sessions.len() as u64).unwrap_or(0);
    format!("{}.{}", tenths / 10, tenths % 10)
}
