//! Members of every kind beside each other, in rows that follow each other: what is kept before a member is
//! handed over by the next one that is not plain, and names are guessed from the row before.

use gateway_rewrite::{Reason, RowRule};

use crate::setting::{Setting, rewrite};

/// Members and what is kept of them.
const KINDS: [(&str, Option<&str>); 25] = [
    (r#""a":1"#, Some(r#""a":1"#)),
    (r#""a":"x""#, Some(r#""a":"x""#)),
    (
        r#""a":"a text of more bytes than one look takes in, é""#,
        Some(r#""a":"a text of more bytes than one look takes in, é""#),
    ),
    (r#""a":"\n\u00e9""#, Some(r#""a":"\n\u00e9""#)),
    (r#""a":-1.5e3"#, Some(r#""a":-1.5e3"#)),
    (r#""a":[1,"é",null]"#, Some(r#""a":[1,"é",null]"#)),
    (r#""a":[1,{"x":2},[3]]"#, Some(r#""a":[1]"#)),
    (r#""a":{"y":1}"#, None),
    (r#" "b" : 2"#, Some(r#""b":2"#)),
    (r#""b":true "#, Some(r#""b":true"#)),
    (r#""agent":"id""#, Some(r#""agent":"name""#)),
    (r#""agent":"other""#, Some(r#""agent":null"#)),
    (r#""agent":null"#, Some(r#""agent":null"#)),
    (r#""w":{"n":1,"m":"é"}"#, Some(r#""w":{"n":1,"m":"é"}"#)),
    (r#""w":{"n": [ {} ]}"#, Some(r#""w":{"n": [ {} ]}"#)),
    (r#""o":{"a":1,"b":2,"x":3}"#, Some(r#""o":{"b":2}"#)),
    (r#""h":1"#, None),
    (r#""h":"a text of more bytes than one look takes in, é\"""#, None),
    (r#""h":[]"#, None),
    (r#""h": -1 "#, None),
    (r#""x":{"y":1,"z":"]"}"#, None),
    (r#""x":[[1]]"#, None),
    (r#""x":{"y":[1,{}]} "#, None),
    (r#""a_name_of_more_bytes_than_one_look_takes_in":1"#, None),
    (r#""p":false"#, None),
];

fn setting() -> Setting {
    Setting::new("[]", &["a", "b", "agent@", "w!", "o.b", "-h"])
        .names(&[("id", "name")], None)
        .judged_by(Some("p"), &[], None)
}

/// Rows of members, an empty one among them.
fn body<'a>(members: impl Iterator<Item = &'a str>) -> String {
    let row = members.collect::<Vec<_>>().join(",");
    format!("[{{{row}}},{{{row}}},{{}},{{{row}}}]")
}

#[test]
#[cfg_attr(miri, ignore = "thousands of bodies")]
fn members_of_every_kind_stand_beside_each_other() {
    let job = setting().job();
    for one in KINDS {
        for two in KINDS {
            for three in KINDS {
                let members = [one, two, three];
                let body = body(members.iter().map(|(member, _)| *member));
                let expected = self::body(members.iter().filter_map(|(_, kept)| *kept));
                let outcome = rewrite(&job, [body.as_bytes()]);
                assert_eq!(outcome.result.err(), None, "{body}");
                assert_eq!(String::from_utf8_lossy(&outcome.out), expected, "{body}");
            }
        }
    }
}

#[test]
fn members_of_every_kind_stand_beside_each_other_in_rows_that_wait_for_their_judgement() {
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    let job = setting().rule(rule).job();
    // Not what judges twice.
    let kinds = &KINDS[..KINDS.len() - 1];
    for &one in kinds {
        for &two in kinds {
            let members = [one, two, ("\"p\":false", None)];
            let row = members.map(|(member, _)| member).join(",");
            let body = format!("[{{{row}}},{{{row}}},{{\"p\":true}},{{{row}}}]");
            let row: Vec<&str> = members.iter().filter_map(|(_, kept)| *kept).collect();
            let row = row.join(",");
            let expected = format!("[{{{row}}},{{{row}}},{{{row}}}]");
            let outcome = rewrite(&job, [body.as_bytes()]);
            assert_eq!(outcome.result.err(), None, "{body}");
            assert_eq!(String::from_utf8_lossy(&outcome.out), expected, "{body}");
        }
    }
}

/// What becomes of a name depends on the object that it stands in; where a piece begins in one, it is guessed
/// from the member that the last piece cut, which may have been of another.
#[test]
#[cfg_attr(miri, ignore = "every pair of places is long")]
fn like_names_in_other_objects_are_told_apart_wherever_a_piece_begins() {
    let columns = ["-a", "b", "o.a", "-o.b", "o.c", "q.b", "-q.a"];
    let job = Setting::new("[]", &columns).job();
    let row = r#"{"b":1,"a":2,"o":{"c":3,"a":4,"b":5},"q":{"a":6,"b":7},"a":8,"b":9}"#;
    let kept = r#"{"b":1,"o":{"c":3,"a":4},"q":{"b":7},"b":9}"#;
    let body = format!("[{row},{row},{row}]");
    let expected = format!("[{kept},{kept},{kept}]");
    for first in 0..body.len() {
        for second in first..body.len().min(first + 40) {
            let body = body.as_bytes();
            let pieces = [&body[..first], &body[first..second], &body[second..]];
            let outcome = rewrite(&job, pieces);
            assert_eq!(outcome.result.err(), None, "cut at {first} and {second}");
            let out = String::from_utf8_lossy(&outcome.out);
            assert_eq!(out, expected, "cut at {first} and {second}");
        }
    }
}

/// So many objects that, of the members remembered, some that are named alike share a place of the table.
#[test]
fn like_names_in_many_objects_are_told_apart() {
    for name in ["a", "b", "id", "name", "a_longer_name", "a_name_of_more_than_thirty_two_bytes"] {
        let columns: Vec<String> = (0..55)
            .flat_map(|number| {
                let hidden = if number % 2 == 0 { "-" } else { "" };
                [format!("{hidden}o{number}.{name}"), format!("o{number}.z")]
            })
            .collect();
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let row = |is_in: &dyn Fn(usize) -> bool| {
            let object = |number: usize| {
                let member = if is_in(number) { format!("\"{name}\":1,") } else { String::new() };
                format!("\"o{number}\":{{{member}\"z\":2}}")
            };
            format!("{{{}}}", (0..55).map(object).collect::<Vec<_>>().join(","))
        };
        let (body, kept) = (row(&|_| true), row(&|number| number % 2 == 1));
        let setting = Setting::new("[]", &columns);
        assert_eq!(
            setting.accepts(format!("[{body},{body},{body}]")),
            format!("[{kept},{kept},{kept}]")
        );
    }
}

/// What is wrong behind the value of a guessed member is found at its byte, however long it is.
#[test]
fn what_stands_behind_a_value_of_a_guessed_member_is_not_passed_over() {
    let job = setting().job();
    let long = format!("\"{}\"", "x".repeat(70));
    for value in ["1", "true", "\"t\"", "[]", "{}", "[1]", "{\"y\":1}", "[[]]", &long] {
        for junk in ["x", "1:", ":", "\"\"", " 1", "[1]", ":[1]", ":{}", "\"x\"x"] {
            for times in (1..8).chain([20, 40]) {
                for name in ["a", "b", "w", "h", "x"] {
                    let junk = junk.repeat(times);
                    let row = |junk: &str| format!("{{\"b\":1,\"{name}\":{value}{junk},\"b\":2}}");
                    let body = format!("[{},{},{}]", row(""), row(&junk), row(""));
                    let whole = rewrite(&job, [body.as_bytes()]);
                    let bytes = rewrite(&job, body.as_bytes().chunks(1));
                    // Digits and letters go on with what they stand behind.
                    let is_token = |byte: u8| byte.is_ascii_alphanumeric();
                    let is_hidden = matches!(name, "h" | "x");
                    let is_one = junk.bytes().chain(value.bytes()).all(is_token);
                    assert_eq!(whole.result.is_ok(), is_one && is_hidden, "{body}");
                    assert_eq!(whole.result, bytes.result, "{body}");
                }
            }
        }
    }
}

/// How long a value is does not depend on where in the body it stands.
#[test]
fn what_stands_behind_a_value_is_not_passed_over_wherever_the_row_begins() {
    let job = setting().job();
    for (name, value) in [("b", "1"), ("b", "\"t\""), ("h", "1"), ("h", "\"t\""), ("x", "[]")] {
        for blanks in 0..8 {
            for times in 1..60 {
                let junk = ":".repeat(times);
                let blanks = " ".repeat(blanks);
                let body = format!("{blanks}[{{\"{name}\":{value}{junk},\"b\":2}}]");
                let whole = rewrite(&job, [body.as_bytes()]);
                let error = whole.result.unwrap_err();
                let behind = blanks.len() + name.len() + value.len() + 5;
                assert_eq!(error.at, behind as u64, "{body}");
            }
        }
    }
}

/// A row that ends in what no row ends in is refused there, and nothing behind it is read.
#[test]
#[cfg_attr(miri, ignore = "thousands of bodies")]
fn a_bracket_that_answers_no_brace_is_found_behind_guessed_members() {
    let job = setting().job();
    for (one, _) in KINDS {
        for (two, _) in KINDS {
            let row = [one, two].join(",");
            for close in ["]", "[", "{", ""] {
                let body = format!("[{{{row}}},{{{row}{close},{{{row}}},{{{row}}}]");
                let whole = rewrite(&job, [body.as_bytes()]);
                let bytes = rewrite(&job, body.as_bytes().chunks(1));
                assert_eq!(whole.result, bytes.result, "{body}");
                let error = whole.result.unwrap_err();
                assert_ne!(error.reason, Reason::Truncated, "{body}");
                assert!(error.at >= 2 * row.len() as u64 + 5, "{} {body}", error.at);
                let outs = [whole.out.as_slice(), &bytes.out];
                let is_prefix = outs[0].starts_with(outs[1]) || outs[1].starts_with(outs[0]);
                assert!(is_prefix, "{body}");
            }
        }
    }
}

/// Behind a name that no quote begins, what is a string and what is not are taken for each other.
#[test]
fn a_name_without_its_opening_quote_is_none_whatever_strings_follow() {
    let job = setting().job();
    for name in ["b", "h", "x", "w", "agent"] {
        for first in ["", "x", "1", ":", "[", "}", "\u{1}", "\\", " x"] {
            for value in ["1", "null", "[]", "{}", "\"b\"", "x", ""] {
                for text in ["", "[", "]", "{", "}", ",", ",,", "},{", "1,"] {
                    let known = format!("{{\"{name}\":1,\"b\":\"{text}\"}}");
                    let broken = format!("{{{first}{name}\":{value},\"b\":\"{text}\"}}");
                    for rows in [[&broken, &known, &known], [&known, &broken, &known]] {
                        let body = format!("[{},{},{}]", rows[0], rows[1], rows[2]);
                        let whole = rewrite(&job, [body.as_bytes()]);
                        let bytes = rewrite(&job, body.as_bytes().chunks(1));
                        assert!(whole.result.is_err(), "{body}");
                        assert_eq!(whole.result, bytes.result, "{body}");
                    }
                }
            }
        }
    }
}

/// Containers of a few tokens, and what a few tokens behind them make of them.
#[test]
#[cfg_attr(miri, ignore = "many thousands of bodies")]
fn containers_of_any_few_tokens_are_as_byte_by_byte() {
    const TOKENS: [&str; 14] =
        ["{", "}", "[", "]", ",", ":", "\"n\"", "\"n\":1", "1", "x", "\"", " ", "\u{1}", "\\"];
    let job = setting().job();
    let count = TOKENS.len();
    for name in ["a", "w", "x"] {
        for open in ["[", "{", "{\"n\":"] {
            for number in 0..count.pow(4) {
                let tokens = [0, 1, 2, 3].map(|at| TOKENS[number / count.pow(at) % count]);
                // All else has another number of quotes or brackets than can be closed.
                let text = tokens.concat();
                if !text.contains(['}', ']']) {
                    continue;
                }
                let row = format!("{{\"{name}\":{open}{text},\"x\":2}}");
                let known = format!("{{\"{name}\":1,\"x\":2}}");
                let body = format!("[{known},{row},{known}]");
                let whole = rewrite(&job, [body.as_bytes()]);
                let (head, tail) = body.split_at(known.len() + 1);
                let bytes =
                    rewrite(&job, [head.as_bytes()].into_iter().chain(tail.as_bytes().chunks(1)));
                assert_eq!(whole.result, bytes.result, "{body}");
                let is_accepted = whole.result.is_ok();
                assert!(!is_accepted || whole.out == bytes.out, "{body}");
            }
        }
    }
}
