//! The 25 columns of a call, and the job of showing some of them and naming the assistant.

use std::sync::Arc;

use gateway_rewrite::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Job, Names, RowRule, Shape, Shown,
    Unmapped, VisibilitySpec,
};

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
/// What stands for an id without a name.
pub const FALLBACK: &str = "AI assistant";

/// Some of the columns shown, the assistant named, no row hidden.
///
/// # Panics
/// Never: the columns of the benches are fit for a catalogue.
pub fn job(columns: &[&str], shown: &[&str]) -> Job {
    let column = |path: &&str| ColumnSpec {
        path: (*path).to_owned(),
        whole: *path == "custom",
        assistant: *path == "assistant_id",
    };
    let catalogue = Catalogue::compile(&CatalogueSpec {
        columns: ColumnsSpec::Listed(columns.iter().map(column).collect()),
        visibility: VisibilitySpec::default(),
        unmapped: Unmapped::Null,
    })
    .expect("the columns are fit for a catalogue");
    let shown = Shown::from_ids(&catalogue, shown.iter().filter_map(|path| catalogue.column(path)));
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
