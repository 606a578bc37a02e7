//! Which members of a row pass.

use gateway_rewrite::{Rewriter, RowRule};

use crate::setting::Setting;

/// One row in, one row out.
fn row(columns: &[&str], row: &str) -> String {
    Setting::new("$", columns).accepts(row)
}

/// C1
#[test]
fn an_unlisted_or_hidden_column_is_absent_not_null() {
    for (columns, body, expected) in [
        (&["a"][..], r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (&["b"], r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        (&["a", "c"], r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"c":3}"#),
        (&["b"], r#"{"a":1,"b":2,"c":3}"#, r#"{"b":2}"#),
        (&["a", "-b"], r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (&["-a", "-b"], r#"{"a":1,"b":2}"#, r#"{}"#),
        (&[], r#"{"a":1,"b":2}"#, r#"{}"#),
        (&["a"], r#"{}"#, r#"{}"#),
        (&["a"], r#" { "b" : [ ] , "a" : 1 , "c" : { } } "#, r#"{"a":1}"#),
        (&["a"], r#"{"a":null}"#, r#"{"a":null}"#),
        (&["a"], r#"{"x:":1,"a":2,":":3,",":4}"#, r#"{"a":2}"#),
    ] {
        assert_eq!(row(columns, body), expected, "{columns:?} {body}");
    }
}

/// In rows that follow each other, where a name is guessed before it is read.
#[test]
fn names_that_differ_in_one_byte_are_told_apart_at_any_length() {
    for len in [1, 7, 8, 15, 16, 17, 28, 29, 30, 31, 40, 59, 60, 61, 62, 63, 64, 65, 100, 200] {
        let name = "abcdefghijklmnopqrstuvwxyz".repeat(8)[..len].to_owned();
        let setting = Setting::new("[]", &[&name, "-h"]);
        for place in 0..len {
            let mut other = name.clone();
            other.replace_range(place..=place, "_");
            for row in [
                format!(r#"{{"{name}":1,"{other}":2,"{name}":3}}"#),
                format!(r#"{{"h":[],"{name}":1,"{name}":3,"{other}":2}}"#),
                format!(r#"{{"{other}":2,"{name}":1,"{other}":"x","{name}":3}}"#),
            ] {
                let kept = format!(r#"{{"{name}":1,"{name}":3}}"#);
                let body = format!("[{row},{row},{row}]");
                assert_eq!(setting.accepts(&body), format!("[{kept},{kept},{kept}]"), "{body}");
            }
        }
    }
}

#[test]
fn white_space_around_the_members_of_a_row_is_dropped_wherever_it_stands() {
    let setting = Setting::new("[]", &["a", "agent@", "-h", "o.b"])
        .names(&[("id", "name")], None)
        .judged_by(Some("p"), &[], None);
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    let kept = r#"{"a":"x","agent":"name","o":{"b":1},"p":false,"a":2}"#;
    let kept = kept.replace(r#""p":false,"#, "");
    for blank in [" ", "\n    ", "\t\r\n"] {
        for places in 0..1 << 4_u32 {
            let [before, colon, value, behind] =
                [1, 2, 4, 8].map(|place| if places & place == 0 { "" } else { blank });
            let member =
                |name: &str, text: &str| format!("{before}\"{name}\"{colon}:{value}{text}{behind}");
            let members = [
                member("h", "1"),
                member("a", r#""x""#),
                member("x", "[1]"),
                member("agent", r#""id""#),
                member("o", &format!("{{{}}}", member("b", "1"))),
                member("p", "false"),
                member("a", "2"),
            ];
            let row = format!("{{{}}}", members.join(","));
            let body = format!("[{row},{row},{row}]");
            let expected = format!("[{kept},{kept},{kept}]");
            assert_eq!(setting.accepts(&body), expected, "{body}");
            assert_eq!(setting.clone().rule(rule.clone()).accepts(&body), expected, "{body}");
        }
    }
}

#[test]
fn a_listed_column_passes_scalars_and_the_scalars_of_an_array() {
    for (value, expected) in [
        (r#""x""#, r#"{"a":"x"}"#),
        ("1.0", r#"{"a":1.0}"#),
        ("true", r#"{"a":true}"#),
        (r#"[1,"x",null,false]"#, r#"{"a":[1,"x",null,false]}"#),
        (r#"[1,{"x":1},2]"#, r#"{"a":[1,2]}"#),
        (r#"[{"x":1},[2],3]"#, r#"{"a":[3]}"#),
        (r#"[[1],[2]]"#, r#"{"a":[]}"#),
        ("[]", r#"{"a":[]}"#),
        (r#"{"x":1}"#, r#"{}"#),
        ("{}", r#"{}"#),
    ] {
        assert_eq!(row(&["a"], &format!("{{\"a\":{value}}}")), expected, "{value}");
    }
}

/// C6
#[test]
fn a_dotted_column_is_reached_through_objects_and_arrays() {
    for (columns, value, expected) in [
        (&["a.b"][..], r#"{"b":1,"c":2}"#, r#"{"a":{"b":1}}"#),
        (&["a.b"], r#"[{"b":1},{"c":2},{"b":3,"c":4}]"#, r#"{"a":[{"b":1},{},{"b":3}]}"#),
        (&["a.b"], r#"[[{"b":1}],[[{"c":1}]],[]]"#, r#"{"a":[[{"b":1}],[[{}]],[]]}"#),
        (&["a.b"], r#"[1,"x",null,true,{"b":2}]"#, r#"{"a":[null,{"b":2}]}"#),
        (&["a.b"], "1", "{}"),
        (&["a.b"], "false", "{}"),
        (&["a.b"], "null", r#"{"a":null}"#),
        (&["a.b"], r#"{"c":{"b":1}}"#, r#"{"a":{}}"#),
        (&["a.b"], r#"{"b":{"x":1}}"#, r#"{"a":{}}"#),
        (&["a.b.c"], r#"{"b":[{"c":[1,{"d":2}],"d":3}]}"#, r#"{"a":{"b":[{"c":[1]}]}}"#),
        (&["-a.b"], r#"{"b":1}"#, "{}"),
        (&["-a.b"], "null", "{}"),
        (&["-a.b", "a.c"], r#"{"b":1,"c":2}"#, r#"{"a":{"c":2}}"#),
    ] {
        assert_eq!(row(columns, &format!("{{\"a\":{value}}}")), expected, "{columns:?} {value}");
    }
}

#[test]
fn a_column_may_be_a_scalar_and_have_columns_below() {
    for (columns, value, expected) in [
        (&["a", "a.b"][..], "1", r#"{"a":1}"#),
        (&["a", "a.b"], r#"{"b":1,"c":2}"#, r#"{"a":{"b":1}}"#),
        (&["a", "a.b"], r#"[1,{"b":2,"c":3},[4,{"b":5}]]"#, r#"{"a":[1,{"b":2},[{"b":5}]]}"#),
        (&["a", "-a.b"], r#"{"b":1}"#, "{}"),
        (&["a", "-a.b"], r#"[1,{"b":2},[3]]"#, r#"{"a":[1]}"#),
        (&["-a", "a.b"], "1", "{}"),
        (&["-a", "a.b"], "null", r#"{"a":null}"#),
        (&["-a", "a.b"], r#"[1,{"b":2}]"#, r#"{"a":[{"b":2}]}"#),
    ] {
        assert_eq!(row(columns, &format!("{{\"a\":{value}}}")), expected, "{columns:?} {value}");
    }
}

#[test]
fn a_whole_column_passes_any_value_as_it_came() {
    for value in [
        "1",
        "null",
        r#""x""#,
        "[ ]",
        "{ }",
        "{\"x\" :\t[ 1 ,\r\n {\"y\":[[]]} ] , \"x\":2}",
        r#"[[1],{"\u0061":"\/é\ud83d\udc4b"}]"#,
    ] {
        assert_eq!(
            row(&["a!"], &format!("{{\"b\":1,\"a\": {value} }}")),
            format!("{{\"a\":{value}}}")
        );
        assert_eq!(
            row(&["b.a!"], &format!("{{\"b\":[{{\"a\":{value}}}]}}")),
            format!("{{\"b\":[{{\"a\":{value}}}]}}")
        );
        assert_eq!(row(&["-a!"], &format!("{{\"a\":{value}}}")), "{}");
    }
}

#[test]
fn a_row_of_a_catalogue_of_all_columns_passes_as_it_came() {
    let all = Setting::new("data[]", &[]).all();
    assert_eq!(
        all.accepts(r#"{"x":1,"data":[ {"a" : [1, {}]} , {}]}"#),
        r#"{"data":[{"a" : [1, {}]},{}]}"#
    );
}

#[test]
fn names_are_compared_after_unescaping_and_byte_for_byte() {
    for (name, is_column) in [
        (r"email", true),
        (r"\u0065mail", true),
        (r"\u0065\u006D\u0061\u0069\u006c", true),
        (r"Email", false),
        (r"email ", false),
        (r" email", false),
        (r"email\u0000", false),
        (r"emai", false),
        (r"emails", false),
        (r"\u0435mail", false),
        ("e\u{301}mail", false),
        ("\u{feff}email", false),
        (r"e\/mail", false),
        (r"", false),
    ] {
        let body = format!("{{\"{name}\":1}}");
        let expected = if is_column { body.clone() } else { "{}".to_owned() };
        assert_eq!(row(&["email"], &body), expected, "{name}");
    }
    // Composed and decomposed are two names; a pair of surrogates is one character.
    assert_eq!(row(&["é"], "{\"é\":1,\"e\u{301}\":2,\"\\u00e9\":3}"), r#"{"é":1,"\u00e9":3}"#);
    assert_eq!(row(&["👋"], r#"{"\ud83d\udc4b":1,"👋":2}"#), r#"{"\ud83d\udc4b":1,"👋":2}"#);
    assert_eq!(row(&["a\"b"], r#"{"a\"b":1,"a\u0022b":2,"ab":3}"#), r#"{"a\"b":1,"a\u0022b":2}"#);
}

#[test]
fn each_of_two_equal_names_is_judged() {
    for (columns, body, expected) in [
        (&["a"][..], r#"{"a":1,"a":2,"b":3,"b":4}"#, r#"{"a":1,"a":2}"#),
        (&["a"], r#"{"a":1,"\u0061":{"x":1}}"#, r#"{"a":1}"#),
        (&["a.b"], r#"{"a":{"b":1},"a":{"c":2},"a":3}"#, r#"{"a":{"b":1},"a":{}}"#),
    ] {
        assert_eq!(row(columns, body), expected, "{body}");
    }
}

#[test]
fn kept_numbers_and_strings_keep_their_bytes() {
    for value in [
        "0",
        "-0",
        "1.0",
        "1e400",
        "-1E+2",
        "0.10",
        "12345678901234567890123",
        "2e-7",
        r#""2026-08-04T13:05:00.42763Z""#,
        r#""\u0041\/\b\f\n\r\t\"\\""#,
        "\"é \u{7f} \u{2028} 👋\"",
    ] {
        let body = format!("{{\"a\":{value}}}");
        assert_eq!(row(&["a"], &body), body);
    }
}

#[test]
fn dropped_members_are_counted_once_each() {
    let columns = ["a", "-b", "c.d", "-c.e", "-f.g", "-i.j.k", "-l", "l.m", "-l.n@"];
    let setting = Setting::new("data[]", &columns).beside(&["meta"]);
    for (row, hidden, unlisted) in [
        ("{}", 0, 0),
        (r#"{"a":1,"b":2}"#, 1, 0),
        (r#"{"x":1,"x":2,"b":1,"b":{}}"#, 2, 2),
        (r#"{"c":[{"d":1,"e":2,"x":3},{"e":4}]}"#, 2, 1),
        (r#"{"c":1,"a":{"x":{}},"c":null}"#, 0, 2),
        (r#"{"f":{"g":1,"x":2}}"#, 1, 0),
        (r#"{"a":[1,[2],{}]}"#, 0, 0),
        (r#"{"i":{"j":{"k":1}},"j":1}"#, 1, 1),
        (r#"{"l":1,"l":"x","l":{"m":1},"l":[],"l":null}"#, 2, 0),
        (r#"{"l":[1,{"m":{}},{"m":[2,[3]]}],"l":{"n":{}}}"#, 1, 1),
    ] {
        let totals = setting.totals(format!(r#"{{"other":1,"data":[{row}]}}"#));
        assert_eq!((totals.columns_hidden, totals.columns_unlisted), (hidden, unlisted), "{row}");
    }
}

/// Also of a body that is refused or given up half-way.
#[test]
fn the_totals_so_far_can_be_asked_for_at_any_time() {
    let mut rewriter = Rewriter::new(Setting::new("[]", &["a", "-h"]).job());
    let mut out = Vec::new();
    for (piece, is_accepted, expected) in [
        ("[", true, (0, 0, 0)),
        (r#"{"a":1,"h":2,"x":3},{"h":"#, true, (1, 2, 1)),
        ("1},{},", true, (3, 2, 1)),
        (r#"{"x":?"#, false, (3, 2, 2)),
    ] {
        assert_eq!(rewriter.write(piece.as_bytes(), &mut out).is_ok(), is_accepted, "{piece}");
        let totals = rewriter.totals();
        let counted = (totals.rows, totals.columns_hidden, totals.columns_unlisted);
        assert_eq!(counted, expected, "{piece}");
    }
}
