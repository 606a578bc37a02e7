//! Small bodies, cut in three at every pair of places.

use gateway_rewrite::{Owner, Rewriter, RowRule};

use crate::setting::{Setting, rewrite};

fn at_every_pair_of_places(setting: &Setting, body: &[u8]) {
    let job = setting.job();
    let whole = rewrite(&job, [body]);
    for first in 0..=body.len() {
        for second in first..=body.len() {
            let cut = rewrite(&job, [&body[..first], &body[first..second], &body[second..]]);
            assert!(cut.agrees_with(&whole), "cut at {first} and {second}: {cut:?}, not {whole:?}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "every pair of places is long")]
fn the_place_of_two_cuts_changes_nothing() {
    let judged =
        || Setting::new("data[]", &["a", "o.b", "w!"]).judged_by(Some("p"), &["u"], Some("t"));
    let owner = Owner { id: "u1".to_owned(), email: Some("é".to_owned()) };
    let rule =
        RowRule { hide_private: true, owner: Some(owner), teams: Some(vec!["7".to_owned()]) };
    let no_private = || RowRule { hide_private: true, ..RowRule::default() };
    let lines = || Setting::new("$*", &["a", "w!"]);
    let mapped =
        || Setting::new("$", &["a@", "w!", "w.a@"]).names(&[("é\"", "N"), ("7", "S")], None);
    for (setting, body) in [
        (
            judged(),
            r#" {"x":"\\\"","data":[{"\u0061":"é\ud83d\udc4b"},{"b":{"]":"}"},"o":[{"b":-1.5e3}]} ] } "#,
        ),
        (judged(), r#"{"data":[{"a":[1,{"x":[]},tru e]}]}"#),
        (
            judged().pass_envelope(),
            "{ \"x\" : [ 1 , \"\\u00e9\" ] ,\"data\" : [ { \"w\" : [ { } ] } ] }\n",
        ),
        (
            judged().rule(rule.clone()),
            r#"{"data":[{"p":false,"u":"\u00e9","t":7,"a":1},{"p":true},{"p":false,"u":["u1"],"t":["7"]}]}"#,
        ),
        (
            judged().rule(rule).bounds(8, 20),
            r#"{"data":[{"p":true},{"p":false,"u":"\u00e9","t":7,"a":1}]}"#,
        ),
        (mapped(), r#"{"a":"\u00e9\u0022","b":1,"w":{"a":[7, 70 ,"longer than known"]}}"#),
        (
            mapped().keep_unmapped(),
            r#"{"a":"\u00e9x","w":{"a":[7, 70 ,"longer than known\n"]},"a":"é"}"#,
        ),
        (mapped(), "{\"a\":\"\u{20ac}\u{10ffff}\",\"w\":\"\u{7ff}\u{800}\u{10000}\"}"),
        (
            lines(),
            "\r\n{\"a\":1,\"x\":[\"}\"]} \r\n\n{\"x\":{}}\n{\"w\":[{ }],\"\\u0061\":\"é\"}\t\n {}",
        ),
        (
            lines().judged_by(Some("p"), &[], None).rule(no_private()),
            "{\"p\":true,\"a\":1}\n{\"p\":false,\"a\":2}\r\n{}\n{\"p\":false,\"a\":3}",
        ),
        (
            lines().judged_by(Some("p"), &[], None).rule(no_private()).bounds(8, 15),
            "{\"p\":false}\n{\"p\":false,\"x\":\n",
        ),
        (lines(), "{\"a\":1}\n{\"x\":[1,\n2]}\n"),
    ] {
        at_every_pair_of_places(&setting, body.as_bytes());
    }
    for broken in [
        &b"{\"a\":\"\xe2\x82x\"}"[..],
        b"{\"a\":\"\xf0\x9f\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"{\"a\":\"\xe2\x82",
        b"{\"a\":\"\xc3\xa9\xff\"}",
        b"{\"a\":\"x\x80\"}",
        b"{\"a\":\"\xe0\x80\xaf\"}",
        b"{\"a\":\"\xf4\x90\x80\x80\"}",
        b"{\"a\":1],\"b\":2}",
        b"{\"b\":1,\"a\":\"x\"{\"b\":2}",
        b"{\"a\":[1,2}",
        b"{\"a\":ttrue}",
        b"{\"a\":ffalse}",
        b"{\"a\":nnull}",
    ] {
        at_every_pair_of_places(&Setting::new("$", &["a"]), broken);
    }
}

/// What is behind a member and is neither a comma nor the object's end.
#[test]
fn a_member_that_ends_wrongly_is_refused_with_the_bytes_before_it_written_as_ever() {
    let setting = Setting::new("[]", &["a", "w!", "id@", "-h", "o.a"]);
    let setting = setting.names(&[("7", "Seven")], None);
    let job = setting.job();
    let values = ["1", "\"x\"", "\"\\n\"", "null", "7", "\"7\"", "[]", "[1]", "{}", "{\"a\":1}"];
    for before in ["", "\"h\":1,", "\"a\":1,", "\"h\":1,\"a\":2,\"h\":3,"] {
        for name in ["a", "w", "id", "h", "o", "unlisted"] {
            for value in values {
                for behind in
                    ["]", "[", "{", "]}", "}}", "}]x", "},]", "},,{}]", "}{", "} ]]", ",]", ",}"]
                {
                    let body = format!("[{{}},{{{before}\"{name}\":{value}{behind},\"a\":4}}]");
                    let whole = rewrite(&job, [body.as_bytes()]);
                    let bytes = rewrite(&job, body.as_bytes().chunks(1));
                    assert!(whole.result.is_err(), "{body}");
                    assert!(bytes.agrees_with(&whole), "{body}: {whole:?}, {bytes:?}");
                }
            }
        }
    }
}

/// Where a piece ends in the middle of a row, the thread remembers the member, and the next piece may be
/// another caller's.
#[test]
fn a_piece_that_begins_in_a_row_is_not_read_with_what_another_caller_may_see() {
    let (sees, not) =
        (Setting::new("[]", &["a", "b", "c"]), Setting::new("[]", &["a", "-b", "-c"]));
    let body = br#"[{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3},{"a":1,"b":2,"c":3}]"#;
    for cut in 0..body.len() {
        let (head, tail) = body.split_at(cut);
        let (mut seen, mut hidden) = (Vec::new(), Vec::new());
        let mut bodies = [Rewriter::new(sees.job()), Rewriter::new(not.job())];
        for piece in [head, tail] {
            let [one, other] = &mut bodies;
            one.write(piece, &mut seen).unwrap();
            other.write(piece, &mut hidden).unwrap();
        }
        let [one, other] = bodies.each_mut();
        one.end(&mut seen).unwrap();
        other.end(&mut hidden).unwrap();
        assert_eq!(seen, body, "cut at {cut}");
        assert_eq!(hidden, br#"[{"a":1},{"a":1},{"a":1}]"#, "cut at {cut}");
    }
}
