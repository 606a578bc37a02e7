//! What one stream holds while ten megabytes of a hostile body go through it.

use std::iter;

use gateway_rewrite::{COLUMNS_MAX, Reason, RowRule};

use crate::setting::Setting;
use crate::{Spent, stream, warm};

/// Most that one stream holds besides the row that waits for its judgement.
const STREAM_BYTES_MAX: i64 = 64 << 10;
/// The most that an operator may say.
const DEPTH: u16 = 1024;
/// What is said where an operator says nothing.
const ROW_BYTES: usize = 1 << 20;
const BODY_BYTES: usize = 10 << 20;

fn setting() -> Setting {
    Setting::new("data[]", &["text", "any!", "agent@", "o.b", "-hidden"])
        .beside(&["page"])
        .names(&[("asst_1", "Front desk"), ("asst_2", "Overflow")], None)
        .keep_unmapped()
        .bounds(DEPTH, ROW_BYTES)
}

fn judged(setting: Setting) -> Setting {
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    setting.judged_by(Some("private"), &[], None).rule(rule)
}

fn widest_catalogue() -> Setting {
    let names: Vec<String> = (0..COLUMNS_MAX).map(|n| format!("column_{n}")).collect();
    Setting::new("data[]", &names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A part between a head and a tail, again and again.
struct Hostile {
    label: &'static str,
    setting: Setting,
    head: &'static str,
    part: String,
    tail: &'static str,
}

fn hostile(label: &'static str, head: &'static str, part: &str, tail: &'static str) -> Hostile {
    Hostile { label, setting: setting(), head, part: part.to_owned(), tail }
}

fn hostile_bodies() -> Vec<Hostile> {
    // Three are around them.
    let depth = usize::from(DEPTH) - 3;
    let lists = "[".repeat(depth) + &"]".repeat(depth);
    let objects = r#"{"o":"#.repeat(depth) + "1" + &"}".repeat(depth);
    let objects_in = format!("{objects},");
    let row = |name: &str, value: &str| format!(r#"{{"{name}":{value}}},"#);
    let name = "n".repeat(40_000);
    let wide: String = (0..5_000).map(|n| format!(r#""unknown_{n}":{n},"text":"{n}","#)).collect();
    let text = r#"plain é \" \\ \u00e9\n "#;
    let (rows, rows_end, text_end) = (r#"{"data":["#, "{}]}", r#""}]}"#);
    vec![
        hostile("deep hidden lists", rows, &row("x", &lists), rows_end),
        hostile("deep hidden objects", rows, &row("hidden", &objects), rows_end),
        hostile("deep whole lists", rows, &row("any", &lists), rows_end),
        hostile("deep whole objects", rows, &row("any", &objects), rows_end),
        hostile("deep walked lists", rows, &row("o", &lists), rows_end),
        Hostile {
            setting: setting().pass_envelope(),
            ..hostile("a deep envelope that passes", r#"{"x":["#, &objects_in, r#"1],"data":[]}"#)
        },
        hostile("a deep envelope", r#"{"data":[],"page":["#, &objects_in, "1]}"),
        hostile("a long hidden text", r#"{"data":[{"hidden":""#, text, text_end),
        hostile("a long unlisted text", r#"{"data":[{"x":""#, text, text_end),
        hostile("a long shown text", r#"{"data":[{"text":""#, text, text_end),
        hostile("a long whole text", r#"{"data":[{"any":""#, text, text_end),
        Hostile {
            setting: setting().names(&[("asst_1", "Front desk")], Some("AI assistant")),
            ..hostile("a long id that is replaced", r#"{"data":[{"agent":""#, text, text_end)
        },
        hostile("a long id that stays", r#"{"data":[{"agent":""#, text, text_end),
        hostile("a long number", r#"{"data":[{"text":1"#, "0123456789", "}]}"),
        hostile("a long number as id", r#"{"data":[{"agent":1"#, "0123456789", "}]}"),
        hostile("a long name", r#"{"data":[{""#, "name ", r#"":1}]}"#),
        hostile("a long name of escapes", r#"{"data":[{""#, r"\u0061\\", r#"":1}]}"#),
        hostile("a long name in what is whole", r#"{"data":[{"any":{""#, "é ", r#"":1}}]}"#),
        hostile("a long name beside the rows", r#"{""#, "name ", r#"":1,"data":[]}"#),
        hostile("many long names", rows, &row(&name, "1"), rows_end),
        hostile(
            "many long names before blanks",
            rows,
            &row(&format!("{name}\"  :0,\"y"), "1"),
            rows_end,
        ),
        hostile("a wide row", r#"{"data":[{"#, &wide, r#""text":1}]}"#),
        hostile("many long ids", rows, &row("agent", &format!("\"{name}\"")), rows_end),
        Hostile {
            setting: judged(widest_catalogue()),
            ..hostile(
                "a catalogue of all the columns there may be",
                rows,
                r#"{"private":false},"#,
                rows_end,
            )
        },
        hostile("blanks", rows, " \n\t\r", "]}"),
    ]
}

/// Cuts a block into pieces of one byte, a few, and as many as a read brings.
fn cut(block: &[u8]) -> Vec<&[u8]> {
    let mut rest = block;
    let mut pieces = Vec::new();
    for length in [1, 61, 997, 16 << 10].into_iter().cycle() {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    pieces
}

/// Streams a body of ten megabytes, its part cut in many ways.
fn spent(body: &Hostile) -> Spent {
    let job = body.setting.job();
    // What the thread kept of the job before goes now, and is not counted as given back.
    warm(&job, br#"{"data":[]}"#);
    let block = body.part.repeat((64 << 10) / body.part.len() + 1);
    let pieces = cut(block.as_bytes());
    let middle = iter::repeat_n(&pieces, BODY_BYTES / block.len() + 1).flatten().copied();
    let (head, tail) = (iter::once(body.head.as_bytes()), iter::once(body.tail.as_bytes()));
    let mut out = Vec::with_capacity(4 * ROW_BYTES);
    stream(&job, head.chain(middle).chain(tail), &mut out)
}

#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
fn a_hostile_stream_of_ten_megabytes_holds_less_than_its_bound() {
    for body in hostile_bodies() {
        let Spent { peak, reason, .. } = spent(&body);
        assert_eq!(reason, None, "{}", body.label);
        assert!((1..=STREAM_BYTES_MAX).contains(&peak), "{}: {peak}", body.label);
    }
}

/// Rows of so many bytes, each of which is held and then shown.
fn held_rows(bytes: usize) -> Hostile {
    let (before, behind) = (r#"{"text":""#, r#"","private":false}"#);
    let text = "x".repeat(bytes - before.len() - behind.len());
    let row = format!("{before}{text}{behind},");
    Hostile { setting: judged(setting()), ..hostile("held rows", r#"{"data":["#, &row, "{}]}") }
}

/// A buffer that grows may be there twice, the new one of twice the size.
const HELD_BYTES_MAX: i64 = 3 * ROW_BYTES as i64;

/// A row as long as the bound is held; of a longer one nothing more than the bound.
#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
fn of_held_rows_one_is_held_and_none_longer_than_the_bound() {
    let endless = hostile("a row without end", r#"{"data":[{"text":""#, "xyz", r#""}]}"#);
    let endless = Hostile { setting: judged(setting()), ..endless };
    for (body, expected) in [
        (held_rows(ROW_BYTES - 1), None),
        (held_rows(ROW_BYTES), None),
        (held_rows(ROW_BYTES + 1), Some(Reason::RowTooLong)),
        (endless, Some(Reason::RowTooLong)),
    ] {
        let Spent { peak, reason, .. } = spent(&body);
        assert_eq!(reason, expected, "{}", body.label);
        assert!(peak <= STREAM_BYTES_MAX + HELD_BYTES_MAX, "{}: {peak}", body.label);
    }
}

/// Names may be longer than the ids they replace, and what is held is what would come out.
#[test]
#[cfg_attr(miri, ignore = "long bodies, and an allocator that counts")]
fn names_do_not_make_a_held_row_longer_than_its_bound() {
    let row = format!(r#"{{"private":false,"agent":[{}1]}},"#, "1,".repeat(400_000));
    let fallback = "a display name ".repeat(7);
    let body = Hostile {
        setting: judged(setting().names(&[], Some(&fallback))),
        ..hostile("names", r#"{"data":["#, &row, "{}]}")
    };
    let Spent { peak, reason, .. } = spent(&body);
    assert_eq!(reason, Some(Reason::RowTooLong));
    assert!(peak <= STREAM_BYTES_MAX + HELD_BYTES_MAX, "{peak}");
}
