//! `calls`: 2,400 calls with transcripts and pre-call transfers.
//!
//! Call rows carry `is_private` (true, false, missing, null, or the string "false"), `user_email`
//! and `team_id`, and are served whatever the data scope: the gateway hides them. Transcripts and
//! transfers carry no flag, so here the data scope of the headers is honoured.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;

use crate::answer::Fault;
use crate::ask::{Ask, among};
use crate::draw::Draw;
use crate::json::{self, Object};
use crate::moment::{self, Zone};
use crate::operations::EXAMPLE_CALL;
use crate::page::{self, Row, Stamp};
use crate::world;

const CALLS: u64 = 2_400;
const TRANSFERS: u64 = 240;
/// How far back a list goes when the request does not say.
const DAYS_DEFAULT: i64 = 7;
/// The number that the example call came from.
const EXAMPLE_PHONE: &str = "+12025550123";

const REASONS: &[&str] = &[
    "Service request",
    "EXCUSED_RETURNING_CALL",
    "UNBOOKED_PRICE_CONCERN",
    "BOOKED_MAINTENANCE",
    "FOLLOW_UP_COMPLAINT",
    "EXCUSED_TRANSFER_TO_SPECIFIC_PERSON",
];
const OUTCOMES: &[&str] = &["Appointment booked", "Caller hung up", "Message taken"];
const RULE_TYPES: &[&str] = &[
    "RECENT_CALLER",
    "VIP_CUSTOMER",
    "ACTIVE_JOB",
    "AFTER_HOURS",
    "VENDOR",
    "SPAM",
    "EXISTING_APPOINTMENT",
    "LANGUAGE",
    "MANUAL_OVERRIDE",
];

/// One call and what filters ask of it.
#[derive(Debug)]
struct Call {
    id: String,
    /// Digits only, so that a number is found however it is written.
    phone: Option<String>,
    transcript: bool,
    row: Row,
}

static TABLE: LazyLock<Vec<Call>> = LazyLock::new(|| (0..CALLS).map(call).collect());
static TRANSFER_TABLE: LazyLock<Vec<(&'static str, Row)>> =
    LazyLock::new(|| (0..TRANSFERS).map(transfer).collect());

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/api/calls", get(list))
        .route("/api/calls/latest-by-phone", get(latest_by_phone))
        .route("/api/calls/pre-call-transfers", get(transfers))
        .route("/api/calls/{id}", get(detail))
        .route("/api/calls/{id}/transcript", get(transcript))
}

async fn list(ask: Ask) -> Result<Response, Fault> {
    let (teams, span) = (ask.teams()?, ask.span(DAYS_DEFAULT, Zone::UTC)?);
    let shown = |row: &&Row| among(&teams, row.stamp.team) && span.holds(row.stamp.at_us);
    page::by_offset(&ask, TABLE.iter().map(|call| &call.row).filter(shown))
}

async fn detail(Path(id): Path<String>, ask: Ask) -> Result<Response, Fault> {
    Ok(page::one(&with_detail(find(&id, &ask)?), None))
}

async fn latest_by_phone(ask: Ask) -> Result<Response, Fault> {
    let (phone, teams) = (digits(ask.required("phone")?), ask.teams_with_test()?);
    let latest = TABLE.iter().find(|call| {
        call.phone.as_deref() == Some(phone.as_str()) && among(&teams, call.row.stamp.team)
    });
    latest.map(|call| page::one(&with_detail(call), None)).ok_or(Fault::NotFound { what: "Call" })
}

async fn transcript(Path(id): Path<String>, ask: Ask) -> Result<Response, Fault> {
    let call = find(&id, &ask)?;
    // A private call's transcript must look like one that was never made.
    if !call.transcript || !ask.sees(&call.row.stamp) {
        return Err(Fault::NoTranscript);
    }
    Ok(page::one(&transcript_of(call), None))
}

async fn transfers(ask: Ask) -> Result<Response, Fault> {
    let (teams, span) = (ask.teams()?, ask.span(DAYS_DEFAULT, Zone::UTC)?);
    let rules = ask.list_of("rule_types", RULE_TYPES)?;
    let shown = |(rule, row): &&(&'static str, Row)| {
        among(&teams, row.stamp.team)
            && span.holds(row.stamp.at_us)
            && ask.sees(&row.stamp)
            && rules.as_ref().is_none_or(|r| r.contains(rule))
    };
    page::by_offset(&ask, TRANSFER_TABLE.iter().filter(shown).map(|(_, row)| row))
}

fn find(id: &str, ask: &Ask) -> Result<&'static Call, Fault> {
    let teams = ask.teams_with_test()?;
    TABLE
        .iter()
        .find(|call| call.id == id && among(&teams, call.row.stamp.team))
        .ok_or(Fault::NotFound { what: "Call" })
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

fn call(index: u64) -> Call {
    let draw = &mut Draw::new("calls", index);
    let example = index == 0;
    let at_us = moment::spread(draw, index, CALLS);
    let team = if example { 101 } else { world::any_team(draw) };
    let owner = if example { Some("ann@acme.test") } else { world::any_owner(draw, team) };
    let private = if example { Some("false") } else { privacy(draw) };
    let id = if example { EXAMPLE_CALL.to_owned() } else { draw.uuid() };
    let drawn_phone = draw.phone();
    let phone = if example {
        Some(EXAMPLE_PHONE.to_owned())
    } else {
        (!draw.chance(10)).then_some(drawn_phone)
    };
    let transcript = example || draw.chance(45);
    let stamp = Stamp { team, at_us, private: private != Some("false"), owner };
    let json = json::object(|o| {
        outcome(o, draw, &id, at_us);
        caller(o, draw, phone.as_deref());
        extras(o, draw);
        o.int("team_id", u64::from(team));
        o.maybe("user_email", owner);
        if let Some(token) = private {
            o.raw("is_private", token);
        }
    });
    let phone = phone.as_deref().map(digits);
    Call { id, phone, transcript, row: Row { place: index, stamp, json } }
}

/// The JSON of `is_private`; `None` leaves it out. Anything but `false` counts as private.
pub(crate) fn privacy(draw: &mut Draw) -> Option<&'static str> {
    match draw.below(100) {
        0..70 => Some("false"),
        70..86 => Some("true"),
        86..95 => None,
        95..98 => Some("null"),
        _ => Some("\"false\""),
    }
}

fn outcome(o: &mut Object<'_>, draw: &mut Draw, id: &str, at_us: i64) {
    let (booked, bookable) = (draw.chance(40), draw.chance(80));
    o.text("call_id", id);
    o.text("created_at", &moment::text(at_us));
    o.int("duration_seconds", draw.below(3_600));
    o.maybe("call_reason", draw.pick_or_null(10, REASONS));
    o.maybe("call_outcome", draw.pick_or_null(20, OUTCOMES));
    o.flag("is_booked", booked);
    o.flag("is_bookable", bookable);
    o.text(
        "booking_result",
        if booked {
            "Booked"
        } else if bookable {
            "Unbooked"
        } else {
            "Excused"
        },
    );
    o.flag("is_transferred", draw.chance(20));
}

fn caller(o: &mut Object<'_>, draw: &mut Draw, phone: Option<&str>) {
    let (first, last) = (draw.first_name(), draw.last_name());
    let named = draw.chance(90);
    o.maybe("first_name", named.then_some(first));
    o.maybe("last_name", named.then_some(last));
    o.maybe("phone_number", phone);
}

/// Seen in the field behind a team's column list, or assumed; none is in the published schema.
fn extras(o: &mut Object<'_>, draw: &mut Draw) {
    let words = 8 + draw.below(16);
    o.text("ai_summary", &draw.words(words));
    o.raw("service_titan_job_id", draw.pick(&["null", "\"\"", "\"62047157\"", "62047157"]));
    o.maybe(
        "non_booked_disposition",
        draw.pick_or_null(50, &["Price concern", "Outside service area"]),
    );
    o.maybe("non_booked_disposition_code", draw.pick_or_null(50, &["UNBOOKED_PRICE_CONCERN"]));
    o.maybe("job_type", draw.pick_or_null(40, &["HVAC \u{2013} Repair", "Water heater", "Drain"]));
    o.maybe("assistant_id", (!draw.chance(5)).then(|| draw.assistant()));
    o.text(
        "recording_url",
        &format!("https://recordings.example.com/{}.wav?X-Sig=a%2Fb%3D&e=1", draw.uuid()),
    );
    o.raw("cost", draw.odd_number());
    let tags = draw.below(4) as usize;
    o.list("tags", ["high-intent", "\u{fc}ber", ""].iter().take(tags), |out, tag| {
        json::text_into(out, tag)
    });
    let (noted, phone, note) = (draw.chance(60), draw.phone(), draw.words(4));
    o.object("custom", |c| {
        if noted {
            c.text("phone_number", &phone);
            c.text("note", &note);
        }
    });
    let transfers = if draw.chance(70) { 0 } else { 1 + draw.below(2) };
    o.list("transfers", 0..transfers, |out, _| {
        json::object_into(out, |t| {
            t.text("from_assistant_id", draw.assistant());
            t.text("to", &draw.phone());
            t.int("at", 1_703_302_407_333 + draw.below(1_000_000));
        });
    });
}

/// The list row and what only the detail route adds.
fn with_detail(call: &Call) -> String {
    let draw = &mut Draw::new("call-detail", call.row.place);
    let added = json::object(|o| {
        o.object("assistant", |a| {
            a.text("id", draw.assistant());
            a.raw("name", "null");
            a.object("voice", |v| {
                v.text("provider", "example");
                v.raw("speed", "1.0");
            });
        });
        let events = 3 + draw.below(6);
        o.list("events", 0..events, |out, i| json::object_into(out, |e| event(e, draw, i)));
    });
    let list_row = call.row.json.strip_suffix('}').unwrap_or_default();
    format!("{list_row},{}", added.strip_prefix('{').unwrap_or_default())
}

fn event(o: &mut Object<'_>, draw: &mut Draw, i: u64) {
    o.raw("t", &format!("{}.{}00", i * 7 / 10, i * 7 % 10));
    o.text("type", draw.pick(&["tool-call", "speech", "transfer"]));
    o.maybe("assistant_id", i.is_multiple_of(3).then(|| draw.assistant()));
    o.object("payload", |p| {
        p.object("args", |a| a.text("zip", &format!("0{:04}", draw.below(10_000))));
        p.flag("ok", draw.chance(90));
    });
}

fn transcript_of(call: &Call) -> String {
    let draw = &mut Draw::new("transcript", call.row.place);
    let turns = 4 + draw.below(12);
    json::object(|o| {
        o.text("call_id", &call.id);
        o.list("transcript", 0..turns, |out, i| json::object_into(out, |t| turn(t, draw, i)));
    })
}

/// One turn of a conversation, the assistant's first.
pub(crate) fn turn(o: &mut Object<'_>, draw: &mut Draw, i: u64) {
    let words = 3 + draw.below(20);
    o.text("role", if i.is_multiple_of(2) { "assistant" } else { "user" });
    o.text("content", &draw.words(words));
}

fn transfer(index: u64) -> (&'static str, Row) {
    let draw = &mut Draw::new("transfers", index);
    // Every rule type is in the first rows of team 101, so that an example filter finds some.
    let team = if index < 18 { 101 } else { world::any_team(draw) };
    let rule = if index < 18 {
        RULE_TYPES[index as usize % RULE_TYPES.len()]
    } else {
        draw.pick(RULE_TYPES)
    };
    let stamp = Stamp {
        team,
        at_us: moment::spread(draw, index, TRANSFERS),
        private: draw.chance(20),
        owner: world::any_owner(draw, team),
    };
    let json = json::object(|o| {
        o.text("call_id", &draw.uuid());
        o.text("created_at", &moment::text(stamp.at_us));
        o.text("first_name", draw.first_name());
        o.text("last_name", draw.last_name());
        o.text("phone_number", &draw.phone());
        o.int("duration_seconds", 0);
        o.text("transferred_to", &draw.phone());
        o.int("rule_id", draw.below(99));
        o.text("rule_type", rule);
        o.raw("recording_url", "null");
    });
    (rule, Row { place: index, stamp, json })
}
