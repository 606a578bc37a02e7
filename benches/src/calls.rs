//! Bodies of call rows with 25 columns each, and the job of showing twelve of them.

use std::fmt::Write;
use std::sync::Arc;

use gateway_rewrite::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Job, Names, RowRule, Shape, Shown,
    Unmapped, VisibilitySpec,
};

use crate::draw::Draw;

/// The columns of a row in the order of its members.
pub const COLUMNS: [&str; 25] = [
    "call_id",
    "created_at",
    "duration_seconds",
    "call_reason",
    "call_outcome",
    "is_booked",
    "is_bookable",
    "booking_result",
    "is_transferred",
    "first_name",
    "last_name",
    "phone_number",
    "ai_summary",
    "service_titan_job_id",
    "non_booked_disposition",
    "non_booked_disposition_code",
    "job_type",
    "assistant_id",
    "recording_url",
    "cost",
    "tags",
    "custom",
    "team_id",
    "user_email",
    "is_private",
];

/// What the account of every bench sees.
pub const SHOWN: [&str; 12] = [
    "call_id",
    "created_at",
    "duration_seconds",
    "call_reason",
    "call_outcome",
    "is_booked",
    "booking_result",
    "is_transferred",
    "job_type",
    "assistant_id",
    "cost",
    "team_id",
];

/// The account's assistants, id and name. Rows use a fifth id too, which has no name.
pub const ASSISTANTS: [(&str, &str); 4] = [
    ("3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34", "Front Desk"),
    (
        "b7d40f92-1c58-4e3a-9f6d-2a8b3c4d5e6f",
        "After-Hours \u{2014} Ni\u{f1}a \u{201c}Dispatch\u{201d}",
    ),
    ("asst_callback_001", "Callback Team"),
    ("asst_overflow_es", "Recepci\u{f3}n"),
];
const UNNAMED: &str = "asst_unknown_77";
/// What stands for an id without a name.
pub const FALLBACK: &str = "AI assistant";

const HEAD: &str = "{\"data\":[";
const TAIL: &str = "],\"pagination\":{\"limit\":1000,\"offset\":0,\"has_more\":false}}";

/// A list page of exactly `bytes` bytes, or of one row where that is longer.
pub fn page(bytes: usize) -> Vec<u8> {
    let mut draw = Draw::new(7);
    let mut page = String::from(HEAD);
    let last = row(&mut draw.clone(), 0, "").len() + TAIL.len();
    for index in 0.. {
        let row = row(&mut draw, index, "");
        if page.len() + row.len() + 1 + last > bytes {
            break;
        }
        page.push_str(&row);
        page.push(',');
    }
    let mut seed = Draw::new(7);
    let stretch = bytes.saturating_sub(page.len() + last);
    page.push_str(&row(&mut seed, 0, &stretched(stretch)));
    page.push_str(TAIL);
    page.into_bytes()
}

/// Words of exactly `bytes` bytes.
fn stretched(bytes: usize) -> String {
    "the technician will call ahead ".chars().cycle().take(bytes).collect()
}

fn row(draw: &mut Draw, index: usize, stretch: &str) -> String {
    let first = ["Ann", "Jos\u{e9}", "Mary-Lou", "D'Angelo"][draw.below(4)];
    let last = ["Smith", "Nu\u{f1}ez", "O'Brien", "Lee"][draw.below(4)];
    let assistant = match draw.below(5) {
        4 => UNNAMED,
        known => ASSISTANTS[known].0,
    };
    let (id, seconds, phone) = (draw.draw(), draw.below(3_600), 2_000_000 + draw.below(7_000_000));
    let mut row = String::with_capacity(1_024 + stretch.len());
    // Printing into a string cannot fail.
    let _ = write!(
        row,
        concat!(
            r#"{{"call_id":"{id:016x}-4d6f","created_at":"2026-11-{day:02}T12:{minute:02}:00Z","#,
            r#""duration_seconds":{seconds},"call_reason":"Service request","#,
            r#""call_outcome":"Appointment booked","is_booked":{booked},"is_bookable":true,"#,
            r#""booking_result":"Booked","is_transferred":false,"first_name":"{first}","#,
            r#""last_name":"{last}","phone_number":"+1555{phone}","#,
            r#""ai_summary":"Caller asks for a visit; says \"soon\". {stretch}","#,
            r#""service_titan_job_id":"62047157","non_booked_disposition":null,"#,
            r#""non_booked_disposition_code":null,"job_type":"HVAC – Repair","#,
            r#""assistant_id":"{assistant}","#,
            r#""recording_url":"https://recordings.example.com/a.wav?X-Sig=a%2Fb%3D&e=1","#,
            r#""cost":0.{cost:04},"tags":["high-intent","über"],"custom":{{"note":"gate code"}},"#,
            r#""team_id":101,"user_email":"ann@acme.test","is_private":false}}"#,
        ),
        id = id,
        day = 1 + index % 28,
        minute = index % 60,
        seconds = seconds,
        booked = index.is_multiple_of(3),
        first = first,
        last = last,
        phone = phone,
        stretch = stretch,
        assistant = assistant,
        cost = seconds,
    );
    row
}

/// Twelve of 25 columns shown, the assistant named, no row hidden.
///
/// # Panics
/// Never: the columns are fit for a catalogue.
pub fn job() -> Job {
    let column = |path: &&str| ColumnSpec {
        path: (*path).to_owned(),
        whole: *path == "custom",
        assistant: *path == "assistant_id",
    };
    let catalogue = Catalogue::compile(&CatalogueSpec {
        columns: ColumnsSpec::Listed(COLUMNS.iter().map(column).collect()),
        visibility: VisibilitySpec::default(),
        unmapped: Unmapped::Null,
    })
    .expect("the columns are fit for a catalogue");
    let shown = Shown::from_ids(&catalogue, SHOWN.iter().filter_map(|path| catalogue.column(path)));
    let shape = Shape::compile("data[]", &["pagination".to_owned()], false);
    Job {
        shown: Arc::new(shown),
        catalogue: Arc::new(catalogue),
        shape: Arc::new(shape.expect("a place of rows")),
        names: Arc::new(Names::new(ASSISTANTS, Some(FALLBACK))),
        rows: Arc::new(RowRule::default()),
        bounds: Bounds { depth: 64, row_bytes: 1 << 20 },
    }
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn a_page_has_the_size_it_was_asked_for() {
        for bytes in [1 << 10, 10 << 10, 100 << 10, 1 << 20] {
            assert_eq!(page(bytes).len(), bytes);
        }
    }
}
