//! What a body asks of the allocator: how often (here), and how much it holds at most (`memory`).
//!
//! Apart from the other tests, because it has an allocator of its own. The thread's work area, which
//! one body leaves to the next, is there before anything is counted; a test says how large it is.
#![allow(clippy::unwrap_used)]

mod counting;
mod memory;
#[allow(dead_code, reason = "the tests in that folder use more of it")]
#[path = "../rewrite/setting.rs"]
mod setting;

use std::iter;

use gateway_rewrite::{Job, Owner, Reason, Rewriter, RowRule};

use counting::{Counts, counts, forget_peak};
use setting::{Setting, rewrite};

/// Most that a thread keeps from body to body: index and memo, docs/rewriter.md.
const THREAD_BYTES_MAX: i64 = (34 + 50) << 10;
/// Most allocations of one body, however long it is and however it is cut: one or two of
/// `Rewriter::new`, the rest while the few buffers of a stream grow to their size.
const ALLOCATIONS_MAX: u64 = 20;

/// A stream's counts: of `Rewriter::new` alone, of all of it, and the most it held.
struct Spent {
    new: u64,
    all: u64,
    peak: i64,
    reason: Option<Reason>,
}

/// Streams the pieces through one rewriter. `out` is emptied behind each, as by a caller who sends
/// it on, and must have room for what one piece can set free.
fn stream<'a>(job: &Job, pieces: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) -> Spent {
    forget_peak();
    let before = counts();
    let mut rewriter = Rewriter::new(job.clone());
    let new = counts().allocations - before.allocations;
    let mut result = Ok(());
    for piece in pieces {
        out.clear();
        result = rewriter.write(piece, out);
        if result.is_err() {
            break;
        }
    }
    out.clear();
    let result = result.and_then(|()| rewriter.end(out));
    let Counts { allocations, peak, .. } = counts();
    Spent {
        new,
        all: allocations - before.allocations,
        peak: peak - before.live,
        reason: result.err().map(|error| error.reason),
    }
}

/// What a thread has when the first body has gone through.
fn warm(job: &Job, body: &[u8]) {
    assert_eq!(rewrite(job, [body]).result.err(), None, "{}", String::from_utf8_lossy(body));
}

fn everything_judged(setting: Setting) -> Setting {
    let owner = Owner { id: "u1".to_owned(), email: Some("ann@acme.test".to_owned()) };
    let teams = vec!["101".to_owned(), "102".to_owned()];
    setting.judged_by(Some("private"), &["user"], Some("team")).rule(RowRule {
        hide_private: true,
        owner: Some(owner),
        teams: Some(teams),
    })
}

/// Kinds of rows, and what stands in a list again and again.
fn kinds() -> Vec<(&'static str, Setting, String)> {
    let columns = ["id", "text", "cost", "-phone", "-note", "any!", "o.b", "-o.c", "list"];
    let plain = || Setting::new("data[]", &columns).beside(&["page"]);
    let row = r#"{"id":"c_1","phone":"+1 555","text":"é said \"so\"","cost":-2.50e1,"note":{"x":["]}",{}]},"any":{"a":[1,{"b":null}]},"unlisted":[true,{"y":"\\"}],"o":{"b":[1,"\u00e9"],"c":"x"},"list":["a",{"x":1},7]}"#;
    let spread = row.replace(",\"", ",\n      \"").replace("\":", "\" : ").replace("}]", "\n }\t]");
    let escaped = [("id", "\\u0069d"), ("text", "t\\u0065xt"), ("phone", "\\u0070hone")];
    let escaped = escaped.iter().fold(row.to_owned(), |row, (name, spelled)| {
        row.replace(&format!("\"{name}\":"), &format!("\"{spelled}\":"))
    });
    let many: String = (0..400).map(|n| format!(r#""unlisted_{n}":"x{n}","#)).collect();
    let many = format!(r#"{{{many}"id":1}}"#);
    let judged_rows = [
        r#"{"text":"seen","private":false,"user":["x","ann@acme.test"],"team":101}"#,
        r#"{"text":"hidden, it is private","private":true,"user":"u1","team":101}"#,
        r#"{"te\u0078t":"hidden, another's","any":[1,2],"user":"u2","private":false,"team":"102"}"#,
        r#"{"cost":7,"team":[101,"102"],"o":{"b":1},"user":"\u0075\u0031","private":false}"#,
    ]
    .join(",");
    let lines = |setting: Setting| Setting { rows: "$*".to_owned(), beside: Vec::new(), ..setting };
    let judged_lines = judged_rows.replace("},{", "}\r\n\n{");
    let ids = r#"{"agent":"asst_1","a":{"id":["asst_1","\u0061sst_2",77,null,true,{"x":1}]},"b":[{"id":"nobody's"},{"id":77}],"id":"asst_1"}"#;
    let names = [("asst_1", "Front \"desk\""), ("asst_2", "Überlauf"), ("77", "Seventy-seven")];
    let mapped = || Setting::new("data[]", &["agent@", "a.id@", "b!", "b.id@", "id"]);
    vec![
        ("plain rows", plain(), row.to_owned()),
        ("spread over lines", plain(), spread),
        ("escaped names", plain(), escaped),
        ("more names than are remembered", plain(), many),
        ("everything passes", Setting::new("data[]", &[]).all(), row.to_owned()),
        ("rows held and hidden", everything_judged(plain()), judged_rows),
        ("plain lines", lines(plain()), row.to_owned()),
        ("lines held and hidden", everything_judged(lines(plain())), judged_lines),
        ("ids with a fallback", mapped().names(&names, Some("AI")), ids.to_owned()),
        ("ids that stay", mapped().names(&names, None).keep_unmapped(), ids.to_owned()),
        (
            "rows held, with ids",
            everything_judged(mapped()).names(&names, None),
            ids.replace('}', r#","private":false,"user":"u1","team":101}"#).replace("{,", "{"),
        ),
    ]
}

/// A list of so many rows of which each is as long as a multiple of `multiple` bytes, comma or line
/// feed included.
fn list(setting: &Setting, row: &str, times: usize, multiple: usize) -> Vec<u8> {
    let blank = " ".repeat((row.len() + 1).next_multiple_of(multiple) - row.len() - 1);
    let rows = vec![format!("{row}{blank}"); times];
    if setting.rows == "$*" {
        return rows.join("\n").into_bytes();
    }
    let rows = rows.join(",");
    format!(r#"{{"data":[{rows}],"page":{{"more":false}}}}"#).into_bytes()
}

/// The row stands at the same place of a piece every time, so a body of ten times the rows, which is
/// of ten times the pieces, could not be cheaper by chance; and by turns every byte of it is the last of a piece.
#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
fn ten_times_the_rows_in_ten_times_the_pieces_allocate_as_often() {
    let mut out = Vec::with_capacity(1 << 20);
    for (label, setting, row) in kinds() {
        let job = setting.job();
        warm(&job, &list(&setting, &row, 2, 1));
        for piece in [1, 2, 7, 64, row.len() + 1] {
            let [one, ten] = [2, 20].map(|times| list(&setting, &row, times, piece));
            for first in (1..=piece).step_by(piece.div_ceil(50)) {
                let spent = [&one, &ten].map(|body| {
                    let (head, rest) = body.split_at(first);
                    stream(&job, iter::once(head).chain(rest.chunks(piece)), &mut out)
                });
                let what = format!("{label}, pieces of {piece} behind one of {first}");
                assert_eq!(spent[0].reason.or(spent[1].reason), None, "{what}");
                assert_eq!(spent[0].all, spent[1].all, "{what}");
                assert!(spent[0].all <= ALLOCATIONS_MAX, "{what}: {}", spent[0].all);
            }
        }
    }
}

/// The stack of frames; where rows are judged, what was met of their members.
#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
fn a_new_rewriter_allocates_once_and_once_more_where_rows_are_judged() {
    for (label, setting, row) in kinds() {
        let job = setting.job();
        let body = list(&setting, &row, 2, 1);
        warm(&job, &body);
        let mut out = Vec::with_capacity(body.len() * 2);
        let spent = stream(&job, iter::once(body.as_slice()), &mut out);
        let is_judged = setting.rule.is_in_force();
        assert_eq!(spent.new, 1 + u64::from(is_judged), "{label}");
        if !is_judged && label.starts_with("plain") {
            assert_eq!(spent.all, spent.new, "{label}: nothing more, in one piece");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
#[allow(clippy::disallowed_methods, reason = "a thread that has no work area yet")]
fn a_thread_keeps_its_work_area_and_nothing_else() {
    let setting = Setting::new("data[]", &["id"]);
    let kept = std::thread::spawn(move || {
        let job = setting.job();
        let body = list(&setting, r#"{"id":1,"x":[{"y":2}]}"#, 1000, 1);
        let mut out = Vec::with_capacity(body.len());
        let before = counts().live;
        let first = stream(&job, body.chunks(16 << 10), &mut out);
        let after_one = counts().live - before;
        let second = stream(&job, body.chunks(16 << 10), &mut out);
        assert_eq!((first.reason, second.reason), (None, None));
        assert_eq!(counts().live - before, after_one, "a second body adds nothing");
        after_one
    });
    let kept = kept.join().unwrap();
    assert!((1..=THREAD_BYTES_MAX).contains(&kept), "{kept}");
}
