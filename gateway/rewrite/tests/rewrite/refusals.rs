//! What is refused, and for what. A refused body is never ended.

use gateway_rewrite::Reason::{self, *};

use crate::setting::Setting;
use crate::tree::parse;

fn filtered() -> Setting {
    Setting::new("$", &["a", "o.a", "w!", "-h"])
}

/// The value wherever it is kept or walked: as a column, in an array, in a whole value, around rows.
fn kept(value: &[u8]) -> Vec<(Setting, Vec<u8>)> {
    let around = |before: &str, after: &str| [before.as_bytes(), value, after.as_bytes()].concat();
    vec![
        (filtered(), around(r#"{"a":"#, "}")),
        (filtered(), around(r#"{"a":["#, "]}")),
        (filtered(), around(r#"{"o":[{"a":"#, "}]}")),
        (filtered(), around(r#"{"w":"#, "}")),
        (filtered(), around(r#"{"w":{"x":["#, "]}}")),
        (Setting::new("$", &[]).all(), around(r#"{"a":"#, "}")),
        (Setting::new("d", &[]).beside(&["b"]), around(r#"{"b":"#, r#","d":{}}"#)),
        (Setting::new("d", &[]).pass_envelope(), around(r#"{"x":"#, r#","d":{}}"#)),
        (Setting::new("$", &["a@"]), around(r#"{"a":"#, "}")),
    ]
}

/// C7
#[test]
fn a_kept_scalar_must_be_one_by_the_grammar() {
    for (value, reason) in [
        (&b"\"\x00\""[..], ControlByte),
        (b"\"a\nb\"", ControlByte),
        (b"\"\x1f\"", ControlByte),
        (br#""\x""#, Escape),
        (br#""\'""#, Escape),
        (br#""\U0041""#, Escape),
        (br#""\u12g4""#, Escape),
        (br#""\u12""#, Escape),
        (br#""\ud800""#, Surrogate),
        (br#""\ud800x""#, Surrogate),
        (br#""\ud800\n""#, Surrogate),
        (br#""\ud800\ud800""#, Surrogate),
        (br#""\ud800\u0041""#, Surrogate),
        (br#""\udc00""#, Surrogate),
        (br#""\udfff\ud800""#, Surrogate),
        (b"null\0", Syntax),
        (b"true\0\0\0\0", Syntax),
        (b"false\0", Syntax),
        (b"7\0", Syntax),
        (b"\0", Syntax),
        (b"\"\x80\"", Utf8),
        (b"\"\xff\"", Utf8),
        (b"\"\xc0\xaf\"", Utf8),
        (b"\"\xe0\x80\xaf\"", Utf8),
        (b"\"\xf0\x80\x80\xaf\"", Utf8),
        (b"\"\xed\xa0\x80\"", Utf8),
        (b"\"\xf4\x90\x80\x80\"", Utf8),
        (b"\"\xf5\x80\x80\x80\"", Utf8),
        (b"\"\xc3\"", Utf8),
        (b"\"\xe2\x82\"", Utf8),
        (b"\"\xe2\x82\\u0041\"", Utf8),
        (b"01", Number),
        (b"-", Number),
        (b"-a", Number),
        (b"1.", Number),
        (b"1.e1", Number),
        (b"1e", Number),
        (b"1e+", Number),
        (b"1.2.3", Number),
        (b"0x10", Number),
        (b"1_000", Number),
        (b"1a", Number),
        (b"-Infinity", Number),
        (b"+1", Syntax),
        (b".5", Syntax),
        (b"NaN", Syntax),
        (b"Infinity", Syntax),
        (b"'a'", Syntax),
        (b"undefined", Syntax),
        (b"True", Syntax),
        (b"tru", Literal),
        (b"nul1", Literal),
        (b"falsE", Literal),
        (b"nullx", Syntax),
        (b"/**/1", Syntax),
        (b"1//x\n", Syntax),
        (b"1 2", Syntax),
        (b"\xef\xbb\xbf1", Syntax),
        (b"\x0b1", Syntax),
        (b"\xc2\xa01", Syntax),
    ] {
        for (setting, body) in kept(value) {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let outcome = setting.run(&body);
            assert_eq!(outcome.result.map_err(|error| error.reason), Err(reason), "{shown}");
            assert_eq!(parse(&outcome.out).map(|_| ()), None, "{shown}");
        }
    }
}

/// C7
#[test]
fn walked_structure_must_be_by_the_grammar() {
    for (body, reason) in [
        (r#"{"a":1,}"#, Syntax),
        (r#"{"a":}"#, Syntax),
        (r#"{"w":}"#, Syntax),
        (r#"{"o":,"a":1}"#, Syntax),
        (r#"{,"a":1}"#, Syntax),
        (r#"{"a":1,,"b":1}"#, Syntax),
        (r#"{"a" 1}"#, Syntax),
        (r#"{"a"::1}"#, Syntax),
        (r#"{"a"}"#, Syntax),
        (r#"{a:1}"#, Syntax),
        (r#"{'a':1}"#, Syntax),
        (r#"{1:1}"#, Syntax),
        (r#"{"a":1 "b":2}"#, Syntax),
        (r#"{"a":1]"#, Syntax),
        (r#"{"a":[1}"#, Syntax),
        (r#"{"a":[1,]}"#, Syntax),
        (r#"{"a":[,1]}"#, Syntax),
        (r#"{"w":[1,]}"#, Syntax),
        (r#"{"w":{"x":1,}}"#, Syntax),
        (r#"{"w":{"x"}}"#, Syntax),
        (r#"{"w":[1}}"#, Syntax),
        (r#"{"h":}"#, HiddenValue),
        (r#"{"x":,"a":1}"#, HiddenValue),
        (r#"{"x":1/**/,"a":1}"#, HiddenValue),
        (r#"{"x":'y'}"#, HiddenValue),
        (r#"{"x":a"b"}"#, HiddenValue),
        (r#"{"x":1:2}"#, HiddenValue),
        (r#"{"x":1{}}"#, HiddenValue),
        (r#"{"x":]1],"a":1}"#, HiddenValue),
        (r#"{"x":"a""b"}"#, Syntax),
        (r#"{"x":{}{}}"#, Syntax),
        (r#"{"x":1 2}"#, Syntax),
        (r#" {"a":xx1}"#, Syntax),
        (r#"{x":"y,","a":1}"#, Syntax),
        (r#"{"x":[]y,"a":1}"#, Syntax),
        (r#"{"x":{}"y","a":1}"#, Syntax),
        (r#"{"x":[[]]:1,"a":1}"#, Syntax),
        (r#"{"x":[}]}"#, BracketMismatch),
        (r#"{"x":{]}}"#, BracketMismatch),
        (r#"{"x":[{"y":[}]]}}"#, BracketMismatch),
        ("{\"x\u{0}\":1}", ControlByte),
        (r#"{"\ud800":1}"#, Surrogate),
        (r#"{"x\q":1}"#, Escape),
        (r#"{"w":{"\u00":1}}"#, Escape),
        (r#"{"a":1}}"#, TrailingData),
        (r#"{"a":1},{"a":1}"#, TrailingData),
        (r#"{"a":1}{"a":1}"#, TrailingData),
        ("{\"a\":1}\n{\"a\":1}", TrailingData),
        ("{\"a\":1}\u{0}", TrailingData),
        (r#"{"a":1}x"#, TrailingData),
        (r#"null null"#, TrailingData),
        (r#"nullx"#, TrailingData),
        ("\u{feff}{\"a\":1}", ByteOrderMark),
        (")]}',\n{\"a\":1}", Syntax),
        ("cb({})", Syntax),
        ("\u{1e}{}", Syntax),
        ("", Truncated),
        ("  \n", Truncated),
        ("{", Truncated),
        (r#"{"a":1"#, Truncated),
        (r#"{"a":"x"#, Truncated),
        (r#"{"x":{"y":1}"#, Truncated),
        ("nul", Truncated),
    ] {
        let outcome = filtered().run(body);
        assert_eq!(outcome.result.map_err(|error| error.reason), Err(reason), "{body:?}");
        assert!(
            parse(&outcome.out).is_none(),
            "{body:?} became {:?}",
            String::from_utf8_lossy(&outcome.out)
        );
    }
}

/// C7: each bracket of a hidden value is answered by its own kind, whatever kinds are around it.
#[test]
fn a_hidden_bracket_is_answered_by_its_own_kind() {
    for kinds in 0..1 << 3_u32 {
        for depth in 1..=3 {
            let open: String = (0..depth).map(|at| b"[{"[kinds >> at & 1] as char).collect();
            let close: String = (0..depth).rev().map(|at| b"]}"[kinds >> at & 1] as char).collect();
            let inner = if open.ends_with('[') { "1,[],{}" } else { r#""y":[],"z":{}"# };
            let body = |close: &str| format!(r#"{{"x":{open}{inner}{close},"a":1}}"#);
            assert_eq!(filtered().accepts(body(&close)), r#"{"a":1}"#);
            for place in 0..depth {
                let mut other = close.clone().into_bytes();
                other[place] ^= b']' ^ b'}';
                let body = body(std::str::from_utf8(&other).unwrap());
                let error = filtered().run(&body).result.unwrap_err();
                let at = 5 + open.len() + inner.len() + place;
                assert_eq!((error.at, error.reason), (at as u64, BracketMismatch), "{body}");
            }
        }
    }
}

#[test]
fn other_encodings_than_utf8_are_refused() {
    let text = r#"{"a":1}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16_be: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let utf32: Vec<u8> =
        text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect();
    for (body, reason) in [
        (utf16.clone(), Syntax),
        ([b"\xff\xfe".to_vec(), utf16].concat(), Syntax),
        (utf16_be, Syntax),
        (utf32, Syntax),
        (b"\x1f\x8b\x08\x00".to_vec(), Syntax),
        (b"{\"\xff\":1}".to_vec(), Utf8),
    ] {
        assert_eq!(filtered().refuses(&body), Some(reason), "{body:?}");
    }
}

#[test]
fn every_container_counts_towards_the_depth_hidden_ones_too() {
    for open in ["[", r#"{"y":"#] {
        let close = if open == "[" { "]" } else { "}" };
        for (name, depth, reason) in [
            ("w", 7, None),
            ("w", 8, Some(TooDeep)),
            ("x", 7, None),
            ("x", 8, Some(TooDeep)),
            ("o", 7, None),
            ("o", 8, Some(TooDeep)),
            ("w", 100_000, Some(TooDeep)),
            ("x", 100_000, Some(TooDeep)),
        ] {
            let inner = if open == "[" { "" } else { "1" };
            let body =
                format!("{{\"{name}\":{}{inner}{}}}", open.repeat(depth), close.repeat(depth));
            assert_eq!(
                filtered().bounds(8, 1 << 20).refuses(&body),
                reason,
                "{name} {open} {depth}"
            );
        }
    }
    assert_eq!(filtered().bounds(0, 1 << 20).refuses("{}"), Some(TooDeep));
    for value in ["[]", "[[1]]", "{}"] {
        for name in ["a", "h", "w", "x"] {
            let body = format!(r#"{{"{name}":{value},"a":1}}"#);
            assert_eq!(filtered().bounds(1, 1 << 20).refuses(&body), Some(TooDeep), "{body}");
        }
    }
}

#[test]
fn an_error_says_at_which_byte_and_why_but_not_what() {
    let error = filtered().run(r#"{"a":"secret","b":?}"#).result.unwrap_err();
    assert_eq!((error.at, error.reason), (18, HiddenValue));
    assert_eq!(
        error.to_string(),
        "the body was refused at byte 18: a hidden value that is no JSON value"
    );
}

#[test]
fn a_broken_character_is_found_at_the_byte_that_breaks_it() {
    for (text, at) in [
        (&b"\xff"[..], 0),
        (b"x\x80", 1),
        (b"\xc3\xa9\xc0\xaf", 2),
        (b"\xc3\xff", 1),
        (b"\xe0\x80\xaf", 1),
        (b"\xed\xa0\x80", 1),
        (b"\xe2\x82x", 2),
        (b"\xf0\x9f\x91", 3),
    ] {
        let body = [b"{\"a\":\"", text, b"\"}"].concat();
        let error = filtered().run(&body).result.unwrap_err();
        assert_eq!((error.at, error.reason), (6 + at, Utf8), "{text:?}");
    }
}

#[test]
fn labels_are_distinct_words() {
    let labels: std::collections::BTreeSet<&str> = Reason::ALL.iter().map(Reason::label).collect();
    assert_eq!(labels.len(), Reason::ALL.len());
    assert!(
        labels
            .iter()
            .all(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8'))
    );
}

/// Hidden values are not read, so what is wrong inside them does not matter.
#[test]
fn the_inside_of_a_hidden_value_may_be_anything() {
    for value in [
        "NaN",
        "-Infinity",
        "0x1F",
        "+1.2.3_x",
        "\"\\q \u{0} \\ud800\"",
        "{a:'b',}",
        "[1 2 :: ,]",
        "{]x[}",
        "{\"}\":\"\\\"}\"}",
    ] {
        let body = format!("{{\"x\":{value},\"a\":1,\"h\":{value}}}");
        let expected = if value == "{]x[}" { None } else { Some(br#"{"a":1}"#.to_vec()) };
        let outcome = filtered().run(&body);
        assert_eq!(outcome.result.is_ok().then_some(outcome.out), expected, "{value}");
    }
    // Nor what is dropped because it has another form than its column.
    for (body, expected) in [
        (r#"{"a":{x:'y',},"a":1}"#, r#"{"a":1}"#),
        (r#"{"a":[1,{x:'y',},2,[NaN,],3]}"#, r#"{"a":[1,2,3]}"#),
        (r#"{"o":0x1F,"a":1}"#, r#"{"a":1}"#),
        (r#"{"o":truth,"a":1}"#, r#"{"a":1}"#),
        (r#"{"o":["\q",{"a":2}],"a":1}"#, r#"{"o":[{"a":2}],"a":1}"#),
    ] {
        assert_eq!(filtered().accepts(body), expected, "{body}");
    }
    let raw = b"{\"x\":[\xff\xfe,\"\xc0\xaf\x00\"],\"a\":1}";
    assert_eq!(filtered().accepts(raw), r#"{"a":1}"#);
}
