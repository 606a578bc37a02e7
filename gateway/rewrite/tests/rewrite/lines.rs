//! JSON Lines: each line one row.

use gateway_rewrite::{Reason, Reason::*, Rewriter, RowRule};

use crate::setting::{Setting, rewrite};

fn lines() -> Setting {
    Setting::new("$*", &["a", "o.b", "w!", "-h"])
}

fn judged() -> Setting {
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    lines().judged_by(Some("p"), &[], None).rule(rule)
}

/// What comes out, alike for every cut.
fn shown(setting: &Setting, body: impl AsRef<[u8]>) -> Result<String, (u64, Reason)> {
    let body = body.as_ref();
    let outcome = setting.run(body);
    let by_byte = rewrite(&setting.job(), body.chunks(1));
    assert_eq!(outcome.result, by_byte.result, "{}", String::from_utf8_lossy(body));
    let error = |error: gateway_rewrite::RewriteError| (error.at, error.reason);
    outcome.result.map_err(error)?;
    assert_eq!(outcome.out, by_byte.out, "{}", String::from_utf8_lossy(body));
    Ok(String::from_utf8(outcome.out).unwrap())
}

/// C1
#[test]
fn each_line_is_a_row_and_comes_out_as_one() {
    for (body, expected) in [
        ("{\"a\":1}\n{\"a\":2}\n", "{\"a\":1}\n{\"a\":2}\n"),
        ("{\"a\":1}\n{\"a\":2}", "{\"a\":1}\n{\"a\":2}\n"),
        ("{\"x\":1,\"a\":1,\"h\":2}\n{\"h\":1}\n{}\n", "{\"a\":1}\n{}\n{}\n"),
        ("{\"a\":1}\r\n{\"a\":2}\r\n", "{\"a\":1}\n{\"a\":2}\n"),
        ("{\"a\":1}\r\n{\"a\":2}\r", "{\"a\":1}\n{\"a\":2}\n"),
        (" \t{ \"a\" : 1 }\t \n", "{\"a\":1}\n"),
        ("\n\n{\"a\":1}\n \t\r\n\n{\"a\":2}\n\n ", "{\"a\":1}\n{\"a\":2}\n"),
        (
            "{\"w\":[ { } ]}\n{\"o\":[{\"b\":1,\"c\":2}]}\n",
            "{\"w\":[ { } ]}\n{\"o\":[{\"b\":1}]}\n",
        ),
        ("{\"a\":\"\\n\"}\n", "{\"a\":\"\\n\"}\n"),
        ("{\"a\":\"\u{2028}\u{85}\"}\n", "{\"a\":\"\u{2028}\u{85}\"}\n"),
        ("{\"a\":\"}\\n{\"}\n", "{\"a\":\"}\\n{\"}\n"),
        ("", ""),
        ("\n", ""),
        (" \r\n\t\n ", ""),
    ] {
        assert_eq!(shown(&lines(), body).as_deref(), Ok(expected), "{body:?}");
    }
    let totals = lines().totals("{\"a\":1,\"h\":1}\n\n{\"x\":1}\n{}");
    assert_eq!((totals.rows, totals.columns_hidden, totals.columns_unlisted), (3, 1, 1));
}

/// C7: whatever a row hides, its line's end is the end of it.
#[test]
fn no_line_feed_is_inside_of_a_row() {
    for (row, at) in [
        ("{\"a\":\n1}", 5),
        ("{\n\"a\":1}", 1),
        ("{\"a\":\"x\ny\"}", 7),
        ("{\"a\":\"x\\\ny\"}", 8),
        ("{\"a\":tr\nue}", 7),
        ("{\"a\":1\n}", 6),
        ("{\"w\":{\"x\":\n1}}", 10),
        ("{\"w\":[1,\n2]}", 8),
        ("{\"h\":\"x\ny\",\"a\":1}", 7),
        ("{\"h\":\"x\\\ny\"}", 8),
        ("{\"h\":[1,\n2]}", 8),
        ("{\"x\":{\"}\":\n1}}", 10),
        ("{\"x\":{\"y\":\"\n\"}}", 11),
        ("{\"x\":{},\n\"a\":1}", 8),
        ("{\"x\ny\":1}", 3),
        ("{\"x\"\n:1}", 4),
        ("{\"x\":\n1}", 5),
        ("{\"x\":1,\n\"a\":1}", 7),
        ("{\"a\":[1\n,2]}", 7),
        ("{\"o\":{\"b\":1}\n}", 12),
    ] {
        for before in ["", "{\"a\":0,\"h\":\"\\\"\"}\n", "\r\n"] {
            let error = Err((before.len() as u64 + at, Truncated));
            assert_eq!(shown(&lines(), format!("{before}{row}\n")), error, "{before}{row}");
            assert_eq!(shown(&judged(), format!("{before}{row}\n")), error, "{before}{row}");
        }
    }
}

/// C7
#[test]
fn a_line_that_is_no_row_is_refused() {
    for (line, at, reason) in [
        ("null", 0, RowNotObject),
        ("[]", 0, RowNotObject),
        ("[{\"a\":1}]", 0, RowNotObject),
        ("\"a\"", 0, RowNotObject),
        ("7", 0, RowNotObject),
        ("true", 0, RowNotObject),
        (",", 0, Syntax),
        ("\u{1e}{}", 0, Syntax),
        ("#", 0, Syntax),
        ("{}{}", 2, TrailingData),
        ("{} {}", 3, TrailingData),
        ("{},{}", 2, TrailingData),
        ("{\"a\":1},{\"a\":2}", 7, TrailingData),
        ("{\"a\":1},", 7, TrailingData),
        ("{\"a\":1}\r{\"a\":2}", 8, TrailingData),
        ("{\"a\":1}\u{b}", 7, TrailingData),
        ("{\"a\":1}\u{0}", 7, TrailingData),
        ("{\"a\":1}]", 7, TrailingData),
        ("{\"a\":?}", 5, Syntax),
        ("{\"x\":[}]}", 6, BracketMismatch),
    ] {
        for (before, after) in [("", "\n"), ("", ""), ("{\"a\":0}\n", "\n{}"), ("\n{}\r\n ", "")] {
            let body = format!("{before}{line}{after}");
            assert_eq!(shown(&lines(), &body), Err((before.len() as u64 + at, reason)), "{body:?}");
        }
    }
    assert_eq!(shown(&lines(), "\u{feff}{}\n"), Err((0, ByteOrderMark)));
    assert_eq!(shown(&lines(), "{}\n\u{feff}{}\n"), Err((3, Syntax)));
    assert_eq!(shown(&lines().bounds(2, 99), "{\"x\":[]}\n{\"w\":[[]]}"), Err((15, TooDeep)));
}

/// C7: an end is one only between rows or behind one.
#[test]
fn a_body_that_ends_inside_a_row_is_refused() {
    let body = "{\"a\":1,\"x\":{\"y\":\"}\"}}\r\n\n{\"w\":[\"\\u00e9\"]}\n{\"h\":-1.5}";
    let whole = |beginning: &str| {
        let mut rows = beginning.split('\n').map(str::trim).filter(|row| !row.is_empty());
        rows.all(|row| crate::tree::parse(row.as_bytes()).is_some())
    };
    let mut refused = 0;
    for end in 0..=body.len() {
        let beginning = &body[..end];
        let result = shown(&lines(), beginning).map(|_| ());
        if whole(beginning) {
            assert_eq!(result, Ok(()), "{beginning:?}");
        } else {
            assert_eq!(result, Err((end as u64, Truncated)), "{beginning:?}");
            refused += 1;
        }
    }
    let rows = body.split('\n').map(str::trim).filter(|row| !row.is_empty());
    assert_eq!(refused, rows.map(|row| row.len() - 1).sum::<usize>());
}

/// C7: what was refused for something behind a row was never written as that row.
#[test]
fn the_last_bracket_of_a_row_leaves_with_its_line_feed() {
    for setting in [lines(), judged()] {
        let mut rewriter = Rewriter::new(setting.job());
        let mut out = Vec::new();
        for (piece, so_far) in [
            ("{\"p\":false,\"a\":1}", "{\"a\":1"),
            (" \r", "{\"a\":1"),
            ("\n", "{\"a\":1}\n"),
            ("{\"p\":false}\n{\"p\":false", "{\"a\":1}\n{}\n{"),
            ("}", "{\"a\":1}\n{}\n{"),
        ] {
            rewriter.write(piece.as_bytes(), &mut out).unwrap();
            let out = String::from_utf8_lossy(&out);
            // A row that is held leaves later still.
            assert!(so_far.starts_with(&*out), "{piece:?} became {out:?}");
            assert_eq!(out.matches('\n').count(), so_far.matches('\n').count(), "{piece:?}");
        }
        rewriter.write(b"{", &mut out).unwrap_err();
        assert_eq!(out, b"{\"a\":1}\n{}\n{", "not whole");
    }
}

/// P8: a hidden row leaves nothing, no blank line either, and is no single row.
#[test]
fn hidden_rows_leave_no_line() {
    let (no, yes) = ("{\"p\":true,\"a\":1,\"h\":2}", "{\"p\":false,\"a\":2,\"h\":2}");
    for (rows, seen) in [
        (vec![no], 0),
        (vec![no, no], 0),
        (vec![yes], 1),
        (vec![no, yes], 1),
        (vec![yes, no], 1),
        (vec![no, yes, "{}", no, yes, no], 2),
    ] {
        for (feed, last) in [("\n", "\n"), ("\r\n", ""), ("\n\n", " \r")] {
            let body = rows.join(feed) + last;
            let expected = "{\"a\":2}\n".repeat(seen);
            assert_eq!(shown(&judged(), &body), Ok(expected), "{body:?}");
            let totals = judged().totals(&body);
            assert_eq!(totals.rows, rows.len() as u64);
            assert_eq!(totals.rows_hidden, (rows.len() - seen) as u64);
            // One of the catalogue, and the one that rows are judged by.
            assert_eq!((totals.columns_hidden, totals.columns_unlisted), (2 * seen as u64, 0));
            assert!(!totals.single_row_hidden, "{body:?}");
        }
    }
}

/// A row is judged by nothing of the row before it, and held no longer than its bound.
#[test]
fn the_bound_of_a_held_row_counts_from_its_bracket() {
    let row = "{\"p\":false,\"a\":\"12345\"}";
    let body = format!("{row}\n \r\n  {row}  \n{row}");
    let kept = "{\"a\":\"12345\"}\n".repeat(3);
    for (bound, expected) in [
        (row.len() + 1, Ok(kept.clone())),
        (row.len(), Ok(kept)),
        (row.len() - 1, Err((row.len() as u64 - 1, RowTooLong))),
        (5, Err((5, RowTooLong))),
    ] {
        assert_eq!(shown(&judged().bounds(8, bound), &body), expected, "{bound}");
    }
    // The line feed is no byte of the row: the row's bound is met before it, or not.
    for (bound, at, reason) in [(14, 14, RowTooLong), (15, 15, Truncated), (16, 15, Truncated)] {
        let body = "{\"p\":false,\"a\":\n1}";
        assert_eq!(shown(&judged().bounds(8, bound), body), Err((at, reason)), "{bound}");
    }
}

/// C4 M1: rows that pass whole, and ids in them.
#[test]
fn where_every_column_passes_lines_are_still_lines() {
    let setting = Setting::new("$*", &["agent.id@"]).all().names(&[("1", "One")], None);
    let body = "{ \"agent\" : {\"id\":\"1\" } }\r\n\n{\"agent\":[{\"id\":2}],\"x\":[ ]}";
    let expected = "{ \"agent\" : {\"id\":\"One\" } }\n{\"agent\":[{\"id\":null}],\"x\":[ ]}\n";
    assert_eq!(shown(&setting, body).as_deref(), Ok(expected));
    assert_eq!(shown(&setting, "{\"x\":[\n]}\n"), Err((6, Truncated)));
    assert!(!setting.job().is_identity() && !setting.job().shape.is_single());
    assert!(setting.job().shape.is_lines());
}

/// What one line remembers is nothing to the next: names, commas, depth, flags.
#[test]
fn lines_of_any_length_follow_each_other() {
    let rows = |count: usize, filler: usize| {
        let text = "x".repeat(filler);
        (0..count)
            .map(|n| match n % 4 {
                0 => format!("{{\"x\":\"{text}\",\"a\":{n},\"o\":{{\"b\":\"{text}\"}}}}"),
                1 => format!("{{\"a\":\"{text}é\",\"h\":[{n},\"\\\"]\"]}}"),
                2 => format!("{{\"w\":{{\"long\":[\"{text}\"]}},\"\\u0061\":{n}}}"),
                _ => "{}".to_owned(),
            })
            .collect::<Vec<_>>()
    };
    let one = Setting { rows: "$".to_owned(), ..lines() };
    for filler in [0, 1, 31, 32, 33, 70, 5_000] {
        let rows = rows(24, filler);
        let expected: String = rows.iter().map(|row| one.accepts(row) + "\n").collect();
        for feed in ["\n", "\r\n", "\n\n"] {
            let body = rows.join(feed);
            assert_eq!(shown(&lines(), &body), Ok(expected.clone()), "{filler}");
            for piece in [7, 64, 1000, 8192] {
                let cut = rewrite(&lines().job(), body.as_bytes().chunks(piece));
                assert!(cut.result.is_ok() && cut.out == expected.as_bytes(), "{filler} {piece}");
            }
        }
    }
}
