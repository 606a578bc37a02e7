//! The route of a path among the 31 of the worked example.
//!
//! `cargo bench -p colonnade-benches --bench router`

use std::hint::black_box;

use colonnade_benches::directory::{AVOCA, rules};
use criterion::Criterion;
use http::Method;

const UUID: &str = "/api/calls/3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34/transcript";

/// Paths by what the table has to do for them; `true`: they have a route.
const PATHS: [(&str, &str, bool); 6] = [
    ("literal", "/api/calls", true),
    // A literal beside a parameter of the same place.
    ("literal_before_parameter", "/api/coach/rubrics", true),
    ("uuid", UUID, true),
    ("two_parameters", "/api/v1/teams/101/sessions/sess_8841", true),
    ("miss_at_once", "/favicon.ico", false),
    ("miss_at_the_end", "/api/v1/teams/101/sessions/sess_8841/none", false),
];

fn find(c: &mut Criterion) {
    let rules = rules(AVOCA);
    assert_eq!(rules.routes.routes().len(), 31, "the worked example");
    let mut group = c.benchmark_group("router/31_routes");
    for (name, path, found) in PATHS {
        assert_eq!(rules.routes.find(&Method::GET, path).is_ok(), found, "{path}");
        group.bench_function(name, |b| {
            b.iter(|| rules.routes.find(&Method::GET, black_box(path)).is_ok());
        });
    }
    group.bench_function("method_not_allowed", |b| {
        b.iter(|| rules.routes.find(&Method::DELETE, black_box("/api/calls")).is_err());
    });
    group.finish();
}

colonnade_benches::measure!(find);
