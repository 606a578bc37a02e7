//! JSON as upstreams write it, and as they should not (C1, C5, C6, C7, M5).
//!
//! Accepted bodies are compared byte for byte: what is kept is the upstream's own bytes.

use crate::response_support::{LIST, Rig};
use crate::support::Reply;

/// C1, C5: what leaves of well-formed lists. `K` stands for a value that must not.
#[test]
fn kept_bytes_are_the_upstreams_and_hidden_ones_are_gone() {
    let rig = Rig::new();
    for (what, body, shown) in [
        (
            "a hidden column",
            r#"{"data":[{"call_id":"c","phone_number":"K"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "at the start",
            r#"{"data":[{"phone_number":"K","call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        ("alone", r#"{"data":[{"phone_number":"K"}]}"#, r#"{"data":[{}]}"#),
        (
            "in the catalogue and not shown",
            r#"{"data":[{"email":"K","call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "rows keep number and order",
            r#"{"data":[{"x":"K"},{"call_id":"b"},{"x":"K"},{"call_id":"a"}]}"#,
            r#"{"data":[{},{"call_id":"b"},{},{"call_id":"a"}]}"#,
        ),
        (
            "an escaped hidden name",
            r#"{"data":[{"phone\u005fnumber":"K","em\u0061il":"K","call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "an escaped shown name",
            r#"{"data":[{"\u0063\u0061ll_id":"c","x":"K"}]}"#,
            r#"{"data":[{"\u0063\u0061ll_id":"c"}]}"#,
        ),
        (
            "an escaped envelope",
            r#"{"d\u0061ta":[{"call_id":"c","x":"K"}],"\u0064":"K"}"#,
            r#"{"d\u0061ta":[{"call_id":"c"}]}"#,
        ),
        (
            "doubled names",
            r#"{"data":[{"email":"K","call_id":"a","email":"K","call_id":"b","em\u0061il":"K"}]}"#,
            r#"{"data":[{"call_id":"a","call_id":"b"}]}"#,
        ),
        (
            "rows that come twice",
            r#"{"data":[{"call_id":"a","x":"K"}],"data":[{"call_id":"b","x":"K"}]}"#,
            r#"{"data":[{"call_id":"a"}],"data":[{"call_id":"b"}]}"#,
        ),
        (
            "look-alikes",
            "{\"data\":[{\"Call_Id\":\"K\",\"call_id \":\"K\",\" call_id\":\"K\",\"call_id\\u0000\":\"K\",\"__proto__\":{\"call_id\":\"K\"},\"\":\"K\",\"call.id\":\"K\",\"cal\u{142}_id\":\"K\",\"call_id\\n\":\"K\"}]}",
            r#"{"data":[{}]}"#,
        ),
        (
            "a dotted name is no path",
            r#"{"data":[{"customer.name":"K","call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "numbers as written",
            r#"{"data":[{"n":1.0},{"n":-0},{"n":1E5},{"n":0.1000},{"n":9007199254740993},{"n":18446744073709551616},{"n":123456789012345678901234567890.5},{"n":1e400},{"n":-0.0},{"n":1e-400},{"n":1E+2}]}"#,
            r#"{"data":[{"n":1.0},{"n":-0},{"n":1E5},{"n":0.1000},{"n":9007199254740993},{"n":18446744073709551616},{"n":123456789012345678901234567890.5},{"n":1e400},{"n":-0.0},{"n":1e-400},{"n":1E+2}]}"#,
        ),
        (
            "escapes as written",
            r#"{"data":[{"note":"\u0000\b\f\n\r\t\"\\\/\u2028\ud83d\ude00\u00E9"}]}"#,
            r#"{"data":[{"note":"\u0000\b\f\n\r\t\"\\\/\u2028\ud83d\ude00\u00E9"}]}"#,
        ),
        (
            "text as written",
            "{\"data\":[{\"note\":\"Zo\u{eb} \u{65e5}\u{672c} \u{1f4de} \u{202e} \u{feff} </script>\"}]}",
            "{\"data\":[{\"note\":\"Zo\u{eb} \u{65e5}\u{672c} \u{1f4de} \u{202e} \u{feff} </script>\"}]}",
        ),
        (
            "times as written",
            r#"{"data":[{"note":"2026-08-04T13:05:00.42763Z"},{"note":"2026-08-04T13:05:00.5Z"}]}"#,
            r#"{"data":[{"note":"2026-08-04T13:05:00.42763Z"},{"note":"2026-08-04T13:05:00.5Z"}]}"#,
        ),
        (
            "literals",
            r#"{"data":[{"n":true},{"n":false},{"n":null},{"n":""}]}"#,
            r#"{"data":[{"n":true},{"n":false},{"n":null},{"n":""}]}"#,
        ),
        (
            "an empty page",
            r#"{"data":[],"pagination":{"limit":100,"offset":0,"has_more":false}}"#,
            r#"{"data":[],"pagination":{"limit":100,"offset":0,"has_more":false}}"#,
        ),
        (
            "the envelope's hidden members",
            r#"{"phone_number":"K","data":[],"total":"K","meta":{"cursor":"K","team_id":7,"more":{"team_id":"K"}}}"#,
            r#"{"data":[],"meta":{"team_id":7}}"#,
        ),
        (
            "an envelope that loses all",
            r#"{"data":[],"meta":{"cursor":"K"}}"#,
            r#"{"data":[],"meta":{}}"#,
        ),
        (
            "brackets within a hidden string",
            r#"{"data":[{"x":"K]}\"],{[\\","call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "a hidden string that ends in a backslash",
            r#"{"data":[{"x":"K\\","call_id":"c","y":"\\\"K"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "a hidden tree",
            r#"{"data":[{"x":{"call_id":"K","a":[{"call_id":"K"},[],{}],"}":"]"},"call_id":"c"}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
        (
            "rows by name within a row",
            r#"{"data":[{"call_id":"c","data":[{"call_id":"K"}]}]}"#,
            r#"{"data":[{"call_id":"c"}]}"#,
        ),
    ] {
        let body = body.replace('K', "c4n4ry");
        rig.shows(what, "/list", Reply::json(body), shown);
    }
}

/// C7: of a hidden value only the end is sought; whatever is inside does not fail the answer and
/// does not leave.
#[test]
fn the_inside_of_a_hidden_value_is_nobodys_business() {
    let rig = Rig::new();
    for (what, inside) in [
        ("not UTF-8", &b"\"c4n4ry \xff\xfe\xc3\""[..]),
        ("a raw control byte", b"\"c4n4ry \x01\n\""),
        ("a lone surrogate", br#""c4n4ry \ud83d""#),
        ("deep, and within the bound", b"[[[[[[[[\"c4n4ry\"]]]]]]]]"),
        ("a long text", &[&b"\""[..], &b"c4n4ry".repeat(30_000), b"\""].concat()),
    ] {
        let body =
            [b"{\"data\":[{\"x\":", inside, b",\"call_id\":\"c\"}],\"y\":", inside, b"}"].concat();
        rig.shows(what, "/list", Reply::json(body), r#"{"data":[{"call_id":"c"}]}"#);
    }
}

/// C7: white space anywhere that JSON allows it.
#[test]
fn white_space_changes_nothing() {
    let rig = Rig::new();
    let body = " \r\n\t{ \"x\" : \"c4n4ry\" , \"data\" :\n[ { \"call_id\"\t: \"c\" , \"y\" : [ \"c4n4ry\" ] } ,\r {\"z\":\"c4n4ry\"}]\n}\r\n ";
    let answer = rig.of("/list", Reply::json(body));
    assert_eq!(
        answer.json(),
        serde_json::json!({ "data": [{ "call_id": "c" }, {}] }),
        "{}",
        answer.text()
    );
}

/// C7: bodies that are not understood, and what they hide.
#[test]
fn what_is_not_json_in_utf8_is_refused() {
    let rig = Rig::new();
    let mark = b"\xef\xbb\xbf".as_slice();
    let utf16 =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let utf16be =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    for (what, body) in [
        ("a byte order mark", [mark, LIST.as_bytes()].concat()),
        ("UTF-16, little end first", utf16(LIST)),
        ("UTF-16 with a mark", [&b"\xff\xfe"[..], &utf16(LIST)].concat()),
        ("UTF-16, big end first", utf16be(LIST)),
        ("nothing but white space", b" \r\n\t ".to_vec()),
        ("a page", b"<html><body>c4n4ry</body></html>".to_vec()),
        ("a page behind a list", [LIST.as_bytes(), b"<!-- c4n4ry -->"].concat()),
        ("a second document", [LIST.as_bytes(), LIST.as_bytes()].concat()),
        ("a line each", b"{\"call_id\":\"c4n4ry\"}\n{\"call_id\":\"c4n4ry\"}\n".to_vec()),
        ("lists, a line each", [LIST.as_bytes(), b"\n", LIST.as_bytes()].concat()),
        ("a bracket too many", [LIST.as_bytes(), b"}"].concat()),
        ("a comma behind it", [LIST.as_bytes(), b","].concat()),
        ("NUL behind it", [LIST.as_bytes(), b"\0"].concat()),
        ("NUL before it", [b"\0", LIST.as_bytes()].concat()),
        ("a guard before it", [b")]}',\n", LIST.as_bytes()].concat()),
        ("a call around it", [b"callback(", LIST.as_bytes(), b")"].concat()),
        ("a record separator before it", [b"\x1e", LIST.as_bytes()].concat()),
        ("a form feed before it", [b"\x0c", LIST.as_bytes()].concat()),
        ("a no-break space before it", [b"\xc2\xa0", LIST.as_bytes()].concat()),
        ("gzip that nobody announced", b"\x1f\x8b\x08\x00c4n4ry\0\0\0\0".to_vec()),
        ("a text", b"\"c4n4ry\"".to_vec()),
        ("a number", b"404".to_vec()),
        ("null", b"null".to_vec()),
    ] {
        rig.refuses(what, "/list", Reply::json(body));
    }
}

/// C7: faults inside what is kept or walked, with a good row before them and a good one behind.
#[test]
fn one_wrong_byte_refuses_the_whole() {
    let rig = Rig::new();
    for wrong in [
        &b"\"note\":\"\xff\""[..],
        b"\"note\":\"\xc3\"",
        b"\"note\":\"\xc0\xaf\"",
        b"\"note\":\"\xed\xa0\x80\"",
        b"\"note\":\"\xf4\x90\x80\x80\"",
        b"\"note\":\"\xe2\x82\"",
        b"\"note\":\"a\x01\"",
        b"\"note\":\"a\nb\"",
        br#""note":"\x41""#,
        br#""note":"\u12G4""#,
        br#""note":"\U0041""#,
        br#""note":'c'"#,
        b"\"note\":c4n4ry",
        b"\"n\":01",
        b"\"n\":+1",
        b"\"n\":1.",
        b"\"n\":.5",
        b"\"n\":1e",
        b"\"n\":1e+",
        b"\"n\":-",
        b"\"n\":--1",
        b"\"n\":0x10",
        b"\"n\":1_000",
        b"\"n\":NaN",
        b"\"n\":-Infinity",
        b"\"n\":True",
        b"\"n\":nul",
        b"\"n\":nullc4n4ry",
        b"\"n\":",
        b"\"n\"",
        b"\"n\" \"c4n4ry\"",
        b"\"n\":1,",
        b",\"n\":1",
        b"\"n\":1,,\"note\":2",
        b"n:1",
        b"'n':1",
        b"1:1",
        b"null:1",
        b"\"n\":1 /* c4n4ry */",
        b"\"n\":1 // c4n4ry\n",
        b"\"\xff\":\"c4n4ry\"",
        b"\"\\q\":\"c4n4ry\"",
        b"\"a\nb\":\"c4n4ry\"",
        b"\"x\":,\"n\":1",
        b"\"x\":\"c4n4ry\" \"n\":1",
        b"\"x\":\"c4n4ry\",",
        b"\"tags\":[1,]",
        b"\"tags\":[,1]",
        b"\"tags\":[1 2]",
        b"\"tags\":[1}",
        b"\"blob\":{\"a\":01}",
        b"\"blob\":{\"a\":\"\xff\"}",
        b"\"blob\":{\"a\":1]",
        b"\"blob\":{\"a\"}",
    ] {
        let body = [
            b"{\"data\":[{\"call_id\":\"one\"},{",
            wrong,
            b"},{\"call_id\":\"three\",\"y\":\"c4n4ry\"}]}",
        ]
        .concat();
        let what = String::from_utf8_lossy(wrong).into_owned();
        rig.refuses(&what, "/list", Reply::json(body));
    }
}

/// C7: rows that are not where the route says, or are none.
#[test]
fn rows_of_another_shape_are_refused() {
    let rig = Rig::new();
    for (target, body) in [
        ("/list", "{}"),
        ("/list", "[]"),
        ("/list", r#"[{"call_id":"c4n4ry"}]"#),
        ("/list", r#"{"data":{"call_id":"c4n4ry"}}"#),
        ("/list", r#"{"data":"c4n4ry"}"#),
        ("/list", r#"{"data":7}"#),
        ("/list", r#"{"data":["c4n4ry"]}"#),
        ("/list", r#"{"data":[[{"call_id":"c4n4ry"}]]}"#),
        ("/list", r#"{"data":[{"call_id":"one"},"c4n4ry"]}"#),
        ("/list", r#"{"Data":[{"call_id":"c4n4ry"}]}"#),
        ("/list", r#"{"result":{"data":[{"call_id":"c4n4ry"}]}}"#),
        ("/list", r#"{"error":"c4n4ry"}"#),
        ("/one", r#"{"data":[{"call_id":"c4n4ry"}]}"#),
        ("/one", r#"{"data":"c4n4ry"}"#),
        ("/one", r#"{"data":true}"#),
        ("/one", r#"{"call_id":"c4n4ry"}"#),
        ("/bare", r#"{"call_id":"c4n4ry"}"#),
        ("/bare", r#"{"data":[{"call_id":"c4n4ry"}]}"#),
        ("/bare", r#"["c4n4ry"]"#),
        ("/row", r#"[{"call_id":"c4n4ry"}]"#),
        ("/row", r#""c4n4ry""#),
        ("/deep", r#"{"result":[{"call_id":"c4n4ry"}]}"#),
        ("/deep", r#"{"items":[{"call_id":"c4n4ry"}]}"#),
        ("/deep", r#"{"result":{"items":{"call_id":"c4n4ry"}}}"#),
        ("/deep", r#"{"result":"c4n4ry"}"#),
    ] {
        rig.refuses(&format!("{body} on {target}"), target, Reply::json(body));
    }
    for (target, body) in [("/one", r#"{"data":null}"#), ("/row", "null")] {
        rig.shows("null in place of the row", target, Reply::json(body), body);
    }
}

/// C7: a body that ends anywhere but at its end is refused, however complete its framing.
#[test]
fn every_prefix_of_a_list_is_refused() {
    let rig = Rig::new();
    for end in 0..LIST.len() {
        let answer = rig.of("/list", Reply::json(&LIST[..end]));
        crate::response_support::assert_refused(&format!("{end} bytes"), &answer);
    }
    rig.still_good("all of them");
}

/// C7: nesting at the bound passes and beyond it is refused, kept or not; a bottomless body neither
/// crashes nor leaves.
#[test]
fn nesting_is_bounded() {
    let rig = Rig::with(|config| config.section("bounds", "{ depth: 32 }"));
    // The document, the rows and the row are three levels of it.
    let nested = |name: &str, levels: usize| {
        format!(
            r#"{{"data":[{{"call_id":"c","{name}":{}{}}}]}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let kept = nested("blob", 29);
    rig.shows("at the bound", "/list", Reply::json(&kept), &kept);
    rig.refuses("one beyond", "/list", Reply::json(nested("blob", 30)));
    rig.shows(
        "hidden, at the bound",
        "/list",
        Reply::json(nested("x", 29)),
        r#"{"data":[{"call_id":"c"}]}"#,
    );
    for levels in [30, 100, 20_000, 500_000] {
        rig.refuses("kept", "/list", Reply::json(nested("blob", levels)));
        rig.refuses("hidden", "/list", Reply::json(nested("x", levels)));
        rig.refuses("objects", "/list", Reply::json(r#"{"data":"#.repeat(levels)));
        rig.refuses("around the rows", "/bare", Reply::json("[".repeat(levels)));
    }
}

/// C1, C5: one value longer than any buffer, one row of thousands of columns.
#[test]
fn long_values_and_wide_rows() {
    let rig = Rig::with(|config| config.section("bounds", "{ hold: 4MiB }"));
    let long = "x\u{e9}".repeat(60_000);
    let body = format!(
        r#"{{"data":[{{"call_id":"c","note":"{long}","x":"{}"}}]}}"#,
        "c4n4ry".repeat(20_000)
    );
    rig.shows(
        "a long value",
        "/list",
        Reply::json(body),
        format!(r#"{{"data":[{{"call_id":"c","note":"{long}"}}]}}"#),
    );
    let columns: String = (0..5_000).map(|n| format!(r#""k{n:05}":"c4n4ry","#)).collect();
    let body = format!(r#"{{"data":[{{{columns}"call_id":"c"}}]}}"#);
    rig.shows("a wide row", "/list", Reply::json(body), r#"{"data":[{"call_id":"c"}]}"#);
    let name = "k".repeat(200_000);
    let body = format!(r#"{{"data":[{{"{name}":"c4n4ry","call_id":"c"}}]}}"#);
    rig.shows("a long name", "/list", Reply::json(body), r#"{"data":[{"call_id":"c"}]}"#);
}
