//! JSON Lines: what comes of a body is what comes of its lines, each a body of its own.
//!
//! The same task is given twice, once for lines (`$*`) and once for a body that is one row (`$`), which
//! is another way through the rewriter: what is written, the totals, and the place and reason of the
//! first refusal follow from the single rows. Where every line is a document, the oracle agrees too.

use std::ops::Range;
use std::sync::OnceLock;

use gateway_rewrite::{Job, Owner, Reason, RewriteError, RowRule, Totals};

use crate::cuts::of_every_cut;
use crate::oracle;
use crate::setting::{Outcome, Setting, rewrite};

struct Task {
    setting: Setting,
    lines: Job,
    one: Job,
}

fn tasks() -> &'static [Task] {
    static TASKS: OnceLock<Vec<Task>> = OnceLock::new();
    TASKS.get_or_init(|| {
        let columns = ["a", "-h", "o.b", "w!", "id@"];
        let plain = || Setting::new("$*", &columns).names(&[("1", "One")], None);
        let owner = Owner { id: "u1".to_owned(), email: None };
        let private = RowRule { hide_private: true, ..RowRule::default() };
        let judged = || plain().judged_by(Some("p"), &["u"], Some("t")).rule(private.clone());
        let strict =
            RowRule { owner: Some(owner), teams: Some(vec!["7".to_owned()]), ..private.clone() };
        let settings = [
            plain(),
            plain().keep_unmapped().bounds(3, 64),
            judged(),
            judged().bounds(8, 30),
            judged().rule(strict),
            plain().all(),
        ];
        settings.map(|setting| task(&setting)).into()
    })
}

fn task(setting: &Setting) -> Task {
    let one = Setting { rows: "$".to_owned(), ..setting.clone() };
    Task { lines: setting.job(), one: one.job(), setting: setting.clone() }
}

pub fn run(input: &[u8]) {
    let [task, seed, body @ ..] = input else { return };
    let task = &tasks()[usize::from(*task) % tasks().len()];
    let whole = of_every_cut(&task.lines, body, *seed);
    let expected = line_by_line(&task.one, body);
    assert_eq!(whole.result, expected.result, "other than of the lines alone");
    match &whole.result {
        Ok(totals) => {
            assert!(whole.out == expected.out, "other bytes than of the lines alone");
            let written = whole.out.iter().filter(|byte| **byte == b'\n').count() as u64;
            assert_eq!(written, totals.rows - totals.rows_hidden, "lines and totals");
            assert!(oracle::is_whole(&task.setting, &whole.out), "a line is no row");
        }
        // What was written before the fault depends on the cut, but not what it was.
        Err(_) => assert!(begins_like(&whole.out, &expected.out), "other rows before the fault"),
    }
    let is_too_long = whole.result.is_err_and(|error| error.reason == Reason::RowTooLong);
    if let (Some(expected), false) = (oracle::expect(&task.setting, body), is_too_long) {
        assert!(whole.result.is_ok() && whole.out == expected, "other than the oracle's");
    }
}

fn begins_like(one: &[u8], other: &[u8]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// What should come of the body, by its lines alone; up to the first that is refused.
fn line_by_line(one: &Job, body: &[u8]) -> Outcome {
    let (mut out, mut sum) = (Vec::new(), Totals::default());
    let is_blank = |at: &Range<usize>| body[at.clone()].iter().all(|b| b" \t\r".contains(b));
    for at in lines_of(body).filter(|at| !is_blank(at)) {
        // A body that is null has no row; a line that is null, or begins so, is none.
        let first = body[at.clone()].iter().position(|byte| !b" \t\r".contains(byte));
        let first = at.start + first.unwrap_or_default();
        if body[first] == b'n' {
            let error = RewriteError { at: first as u64, reason: Reason::RowNotObject };
            return Outcome { out, result: Err(error) };
        }
        let row = rewrite(one, [&body[at.clone()]]);
        match row.result.map_err(|error| RewriteError { at: error.at + at.start as u64, ..error }) {
            Ok(totals) => {
                if !totals.single_row_hidden {
                    out.extend(row.out);
                    out.push(b'\n');
                }
                add(&mut sum, &totals);
            }
            // The mark is one at the body's first byte alone.
            Err(RewriteError { at, reason: Reason::ByteOrderMark }) if at > 0 => {
                return Outcome { out, result: Err(RewriteError { at, reason: Reason::Syntax }) };
            }
            Err(error) => return Outcome { out, result: Err(error) },
        }
    }
    Outcome { out, result: Ok(sum) }
}

fn lines_of(body: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    body.split(|byte| *byte == b'\n').map(move |line| {
        let at = start..start + line.len();
        start = at.end + 1;
        at
    })
}

fn add(sum: &mut Totals, row: &Totals) {
    sum.columns_hidden += row.columns_hidden;
    sum.columns_mapped += row.columns_mapped;
    sum.columns_fallback += row.columns_fallback;
    sum.columns_unlisted += row.columns_unlisted;
    sum.rows += row.rows;
    sum.rows_hidden += row.rows_hidden;
}
