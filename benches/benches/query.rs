//! What a query costs: against a list of names, and read by the guard with 12 of 25 columns shown.
//!
//! `cargo bench -p colonnade-benches --bench query`

use std::hint::black_box;

use colonnade_benches::calls::{COLUMNS, SHOWN, job};
use criterion::Criterion;
use gateway_policy::{QUERY_COLUMNS_DEFAULT, QueryRule};

const PAGE: &str = "limit=100&offset=200&start_date=2026-11-01&end_date=2026-11-30";

/// Queries by what the guard has to do for them; `true`: they pass.
const QUERIES: [(&str, &str, bool); 5] = [
    ("nothing_like_a_column", PAGE, true),
    ("selected_columns", "fields=call_id,created_at,cost&sort=-created_at", true),
    ("filter_on_a_shown_column", "filter[call_outcome]=Booked&limit=100", true),
    ("hidden_column_in_a_name", "limit=100&user_email__icontains=acme", false),
    ("hidden_column_in_a_value", "limit=100&sort=-phone_number", false),
];

fn check(c: &mut Criterion) {
    let job = job(&COLUMNS, &SHOWN);
    let allow =
        QueryRule::Allow(["limit", "offset", "start_date", "end_date"].map(Into::into).to_vec());
    let guard = QueryRule::Guard { columns: QUERY_COLUMNS_DEFAULT.map(Into::into).to_vec() };
    let ask = |rule: &QueryRule, query| {
        rule.check(Some(query), &job.catalogue, &job.shown, Some("team_id")).is_ok()
    };
    assert!(ask(&allow, PAGE), "all four are listed");
    let mut group = c.benchmark_group("query");
    group.bench_function("allow_list", |b| b.iter(|| ask(&allow, black_box(PAGE))));
    for (name, query, passes) in QUERIES {
        assert_eq!(ask(&guard, query), passes, "{query}");
        group.bench_function(format!("guard/{name}"), |b| b.iter(|| ask(&guard, black_box(query))));
    }
    group.finish();
}

colonnade_benches::measure!(check);
