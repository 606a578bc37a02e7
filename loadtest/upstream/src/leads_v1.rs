//! Leads v1: 450 leads by team and by enterprise, each with the third party's raw payload.
//!
//! Rows carry no privacy flag: the data scope of the headers is honoured here.

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
use crate::page::{self, Row, Stamp};
use crate::world::{self, Team};

const LEADS: u64 = 450;
const DAYS_DEFAULT: i64 = 30;
const MEDIUMS: &[&str] = &[
    "webhook",
    "email_alerts",
    "st_bookings_alerts",
    "st_native",
    "google_lsa",
    "yelp",
    "web_chat",
    "dropped_responder",
];
/// Source id, name and display name.
const SOURCES: &[(u64, &str, &str)] = &[
    (1, "angi", "Angi"),
    (2, "thumbtack", "Thumbtack"),
    (3, "website", "Web site \u{2014} caf\u{e9}"),
    (4, "yelp", "Yelp"),
];
const STATUSES: &[&str] = &["created", "queued", "processing", "completed", "failed", "skipped"];
/// City and state; addresses are as patchy as in the field.
const CITIES: &[(&str, Option<&str>)] = &[
    ("M\u{fc}nchen", None),
    ("Springfield", Some("IL")),
    ("San Jos\u{e9}", Some("CA")),
    ("", Some("NY")),
];

/// A lead and what filters ask of it.
#[derive(Debug)]
struct Lead {
    medium: &'static str,
    source: &'static str,
    status: &'static str,
    ignored: bool,
    test_number: bool,
    /// The third party's payload, left out with `include_raw=false`.
    raw: String,
    row: Row,
}

static TABLE: LazyLock<Vec<Lead>> = LazyLock::new(|| (0..LEADS).map(lead).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/v1/teams/{team}/leads", get(of_team))
        .route("/api/v1/enterprise/{enterprise}/leads", get(of_enterprise))
}

async fn of_team(Path(team): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let team = ask.path_team(&team)?;
    answer(&ask, &[team], &page::team_meta(team.id))
}

async fn of_enterprise(Path(enterprise): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let (id, teams) = ask.path_enterprise(&enterprise)?;
    answer(&ask, &teams, &|meta| {
        meta.int("enterprise_id", u64::from(id));
        meta.list("team_ids", &teams, |out, team| out.push_str(&team.id.to_string()));
    })
}

fn answer(ask: &Ask, teams: &[&Team], meta: &dyn Fn(&mut Object<'_>)) -> Result<Response, Fault> {
    let filter = Filter::of(ask)?;
    let include_raw = ask.flag("include_raw", true)?;
    let shown = |lead: &&Lead| {
        among(teams, lead.row.stamp.team) && ask.sees(&lead.row.stamp) && filter.holds(lead)
    };
    let write = |out: &mut String, row: &Row| {
        // `raw` is the last member, so the row without it is a prefix.
        out.push_str(row.json.strip_suffix('}').unwrap_or_default());
        match TABLE.get(row.place as usize) {
            Some(lead) if include_raw => out.extend([",\"raw\":", &lead.raw, "}"]),
            _ => out.push('}'),
        }
    };
    page::by_cursor(ask, TABLE.iter().filter(shown).map(|lead| &lead.row), write, Some(meta))
}

struct Filter<'a> {
    span: Span,
    medium: Option<&'a str>,
    source: Option<&'a str>,
    status: Option<&'a str>,
    ignored: bool,
    test_numbers: bool,
}

impl<'a> Filter<'a> {
    fn of(ask: &'a Ask) -> Result<Filter<'a>, Fault> {
        Ok(Filter {
            span: ask.span(DAYS_DEFAULT, Zone::UTC)?,
            medium: ask.one_of("medium", MEDIUMS)?,
            source: ask.text("source"),
            status: ask.one_of("status", STATUSES)?,
            ignored: ask.flag("include_ignored", false)?,
            test_numbers: ask.flag("include_test_numbers", false)?,
        })
    }

    fn holds(&self, lead: &Lead) -> bool {
        self.span.holds(lead.row.stamp.at_us)
            && self.medium.is_none_or(|m| m == lead.medium)
            && self.source.is_none_or(|s| s == lead.source)
            && self.status.is_none_or(|s| s == lead.status)
            && (self.ignored || !lead.ignored)
            && (self.test_numbers || !lead.test_number)
    }
}

fn lead(index: u64) -> Lead {
    let draw = &mut Draw::new("leads-v1", index);
    let at_us = moment::spread(draw, index, LEADS);
    let team = world::any_team(draw);
    let stamp =
        Stamp { team, at_us, private: draw.chance(20), owner: world::any_owner(draw, team) };
    let (medium, source, status) = (draw.pick(MEDIUMS), draw.pick(SOURCES), draw.pick(STATUSES));
    let phone = draw.phone();
    let json = json::object(|o| {
        o.int("id", 300_000_000 + index * 17);
        o.int("team_id", u64::from(team));
        o.text("created_at", &moment::text(at_us));
        o.text("received_at", &moment::text(at_us - draw.below(90) as i64 * SECOND_US));
        o.text("status", status);
        o.object("source", |s| {
            s.int("id", source.0);
            s.text("name", source.1);
            s.text("display_name", source.2);
            s.text("medium", medium);
        });
        let external = draw.uuid();
        o.maybe("external_id", draw.chance(60).then(|| format!("ext-{external}")).as_deref());
        o.object("customer", |c| customer(c, draw, &phone));
        o.object("attribution", |a| {
            for name in ["utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content"] {
                a.maybe(name, draw.pick_or_null(70, &["google", "cpc", "winter-check"]));
            }
        });
        handling(o, draw, status, at_us);
    });
    let raw = raw_payload(draw, &phone);
    let (ignored, test_number) = (draw.chance(8), draw.chance(6));
    Lead {
        medium,
        source: source.1,
        status,
        ignored,
        test_number,
        raw,
        row: Row { place: index, stamp, json },
    }
}

fn customer(o: &mut Object<'_>, draw: &mut Draw, phone: &str) {
    let (city, state) = draw.pick(CITIES);
    let email = draw.email();
    o.text("name", &draw.name());
    o.text("phone_number", phone);
    o.maybe("email", (!draw.chance(20)).then_some(email.as_str()));
    o.raw("address", "null");
    o.text("street", &draw.words(2));
    o.text("city", city);
    o.maybe("state", state);
    o.text("zip", &format!("0{:04}", draw.below(10_000)));
    o.raw("country", "null");
    o.text("notes", &draw.words(6));
}

fn handling(o: &mut Object<'_>, draw: &mut Draw, status: &str, at_us: i64) {
    o.flag("contacted", draw.chance(50));
    o.maybe("not_contacted_reason", draw.pick_or_null(60, &["outside hours", "no consent"]));
    let bookings = draw.below(3);
    o.list("bookings", 0..bookings, |out, i| {
        json::object_into(out, |b| {
            b.text("st_job_id", &draw.below(100_000_000).to_string());
            b.text("booked_at", &moment::text(at_us + (i as i64 + 1) * 60 * SECOND_US));
            b.maybe("job_type", draw.pick_or_null(50, &["HVAC \u{2013} Repair"]));
        });
    });
    o.raw("booked_job_id", if bookings > 0 { "9007199254740993" } else { "null" });
    let completed = moment::text(at_us + 3_600 * SECOND_US);
    o.maybe("completed_at", (status == "completed").then_some(completed.as_str()));
}

/// A third party's own shape: personal data at any depth, an assistant id, an empty member name.
fn raw_payload(draw: &mut Draw, phone: &str) -> String {
    json::object(|o| {
        o.object("Lead", |l| {
            l.text("Phone", phone);
            l.list("Answers", 0..2, |out, _| {
                json::object_into(out, |a| {
                    a.text("q", &draw.words(3));
                    a.text("a", &draw.words(5));
                });
            });
            l.object("Meta", |m| m.raw("v", draw.odd_number()));
        });
        o.text("agent", draw.assistant());
        o.text("phone_number", phone);
        o.text("", "empty member name");
    })
}
