//! What one body may keep in memory. What it becomes is tested from outside, in `tests/rewrite`.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::Rewriter;
use crate::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Job, Names, RowRule, Shape, Shown,
    Unmapped, VisibilitySpec,
};

/// How often parts of a body come. Miri is some thousand times slower: there fewer, of the same kinds.
const TIMES: usize = if cfg!(miri) { 40 } else { 20_000 };

fn job(rule: RowRule) -> Job {
    let column =
        |path: &str, whole, assistant| ColumnSpec { path: path.to_owned(), whole, assistant };
    let columns = vec![
        column("text", false, false),
        column("any", true, false),
        column("agent", false, true),
    ];
    let visibility =
        VisibilitySpec { private: Some("private".to_owned()), ..VisibilitySpec::default() };
    let columns = ColumnsSpec::Listed(columns);
    let spec = CatalogueSpec { columns, visibility, unmapped: Unmapped::Keep };
    let catalogue = Arc::new(Catalogue::compile(&spec).unwrap());
    Job {
        shape: Arc::new(Shape::compile("data[]", &[], false).unwrap()),
        shown: Arc::new(Shown::all(&catalogue)),
        names: Arc::new(Names::new([("asst_1", "A")], None)),
        rows: Arc::new(rule),
        bounds: Bounds { depth: 16, row_bytes: 4096 },
        catalogue,
    }
}

/// Bytes that the rewriter owns beside the job.
fn owned_bytes(rewriter: &Rewriter) -> usize {
    rewriter.name.kept.capacity()
        + rewriter.name.decoded.capacity()
        + rewriter.scalar.text.capacity()
        + rewriter.scalar.raw.capacity()
        + rewriter.output.capacity()
        + rewriter.stack.capacity() * size_of::<super::Frame>()
}

/// The most that is owned while a body streams through in pieces, and how much of it came out.
fn peak(job: &Job, parts: &[(&str, usize)]) -> (usize, usize) {
    let mut rewriter = Rewriter::new(job.clone());
    let (mut peak, mut written) = (0, 0);
    let mut out = Vec::new();
    for (part, times) in parts {
        for _ in 0..*times {
            out.clear();
            rewriter.write(part.as_bytes(), &mut out).unwrap();
            written += out.len();
            peak = peak.max(owned_bytes(&rewriter));
        }
    }
    rewriter.end(&mut out).unwrap();
    (peak, written)
}

#[test]
fn a_body_of_any_length_keeps_a_few_hundred_bytes() {
    let open = r#"{"data":[{""#;
    for (label, part, close, passes) in [
        ("a long name", "x", r#"":1}]}"#, false),
        ("a long name of escapes", r"\u0078", r#"":1}]}"#, false),
        ("many hidden members", "x\":{\"y\":[1]},\"", r#"z":1}]}"#, false),
        ("many kept members", "text\":\"a\",\"", r#"z":1}]}"#, true),
        ("many rows", "text\":[1]},{\"any\":{}}, {\"", r#"z":1}]}"#, true),
        ("many ids", "agent\":\"asst_10\",\"", r#"z":1}]}"#, true),
        (
            "a long row of whole values",
            "any\":[{\"a_name_that_nobody_knows\":1}],\"",
            r#"z":1}]}"#,
            true,
        ),
    ] {
        let body = [(open, 1), (part, TIMES), (close, 1)];
        let (peak, written) = peak(&job(RowRule::default()), &body);
        assert!(peak < 1024, "{label}: {peak}");
        assert_eq!(written > TIMES, passes, "{label}");
    }
    for (label, name, close) in [
        ("a long kept text", "text", "\"}]}"),
        ("a long whole text", "any", "\"}]}"),
        ("a long id that stays", "agent", "\"}]}"),
    ] {
        let open = format!("{{\"data\":[{{\"{name}\":\"");
        for part in ["plain text ", r"\u00e9\n", "é👋"] {
            let (peak, written) =
                peak(&job(RowRule::default()), &[(&open, 1), (part, TIMES), (close, 1)]);
            assert!(peak < 1024, "{label}: {peak}");
            assert!(written > TIMES * part.len(), "{label}");
        }
    }
}

#[test]
fn of_lines_the_one_at_hand_is_all_that_is_known() {
    let part = concat!(
        ":1}\r\n\n{\"private\":false,\"text\":\"a\",\"x\":{}}\n",
        "{\"any\":{\"y\":[1]}}\n{\"private\":false,\"agent\""
    );
    for rule in [RowRule::default(), RowRule { hide_private: true, ..RowRule::default() }] {
        let shape = Arc::new(Shape::compile("$*", &[], false).unwrap());
        let lines = Job { shape, ..job(rule) };
        let body = [("{\"text\"", 1), (part, TIMES), (":1}", 1)];
        let (peak, written) = peak(&lines, &body);
        assert!(peak < 1024, "{peak}");
        assert!(written > TIMES * 20, "{written}");
    }
}

#[test]
fn a_long_name_in_one_piece_is_not_kept_for_the_next() {
    let long = "x".repeat(5 * TIMES.max(1_000));
    for parts in [
        [format!("{{\"data\":[{{\"{long}\""), ":1}]}".to_owned()],
        [format!("{{\"data\":[{{\"{long}"), "\":1}]}".to_owned()],
        [format!("{{\"data\":[{{\"any\":{{\"{long}\""), ":1}}]}".to_owned()],
        [format!("{{\"data\":[{{\"any\":{{\"{long}"), "\":1}}]}".to_owned()],
        [format!("{{\"{long}"), "\":1,\"data\":[]}".to_owned()],
    ] {
        let parts = parts.each_ref().map(|part| (part.as_str(), 1));
        let (peak, _) = peak(&job(RowRule::default()), &parts);
        assert!(peak < 1024, "{peak} for {}", parts[1].0);
    }
}

#[test]
fn of_held_rows_one_is_kept() {
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    let row = format!("{{\"private\":false,\"text\":\"{}\"}},", "x".repeat(4000));
    let (peak, written) = peak(&job(rule), &[("{\"data\":[", 1), (&row, TIMES / 20), ("{}]}", 1)]);
    assert!(written > TIMES / 20 * 4_000);
    assert!(peak < 3 * 4096, "{peak}");
}

/// A body's bytes must not reach a log by way of `{:?}`.
#[test]
fn debug_says_where_it_is_and_nothing_of_the_body() {
    let mut rewriter = Rewriter::new(job(RowRule { hide_private: true, ..RowRule::default() }));
    let mut out = Vec::new();
    rewriter.write(br#"{"data":[{"text":"secret","agent":"secret"#, &mut out).unwrap();
    let shown = format!("{rewriter:?}");
    assert!(shown.contains("at: 41") && !shown.contains("secret"), "{shown}");
}
