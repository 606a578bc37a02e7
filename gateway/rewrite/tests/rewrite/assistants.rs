//! Names instead of assistant ids.

use crate::setting::Setting;

const NAMES: [(&str, &str); 5] = [
    ("asst_1", "Front desk"),
    ("7", "Seven"),
    ("\u{8}\u{c}\n\r\t/\"\\", "Every escape"),
    ("é\"", "Quote \" Slash / Back \\ Tab\tEnd"),
    ("null", "no"),
];

fn mapped(columns: &[&str], fallback: Option<&str>, body: &str) -> String {
    Setting::new("$", columns).names(&NAMES, fallback).accepts(body)
}

/// M1 M4
#[test]
fn an_id_is_looked_up_by_its_text_or_its_digits() {
    for (value, expected) in [
        (r#""asst_1""#, r#""Front desk""#),
        (r#""\u0061sst\u005f1""#, r#""Front desk""#),
        ("7", r#""Seven""#),
        (r#""7""#, r#""Seven""#),
        ("7.0", "null"),
        ("-7", "null"),
        (r#""ASST_1""#, "null"),
        (r#""asst_1 ""#, "null"),
        (r#""asst_12""#, "null"),
        (r#""""#, "null"),
        (r#""é\"""#, r#""Quote \" Slash / Back \\ Tab\tEnd""#),
        (r#""\b\f\n\r\t\/\"\\""#, r#""Every escape""#),
        (r#""\u0008\u000C\u000a\u000D\u0009\u002f\u0022\u005c""#, r#""Every escape""#),
        (r#""\u00e9\u0022""#, r#""Quote \" Slash / Back \\ Tab\tEnd""#),
        ("null", "null"),
        ("true", "null"),
        ("false", "null"),
        (r#"{"id":"asst_1"}"#, "null"),
        (
            r#"["asst_1",7,null,"x",true,{"a":"asst_1"},["asst_1"]]"#,
            r#"["Front desk","Seven",null,null,null,null,null]"#,
        ),
        ("[ ]", "[]"),
    ] {
        let body = format!("{{\"id\":\"asst_1\",\"agent\":{value}}}");
        let expected = format!("{{\"id\":\"asst_1\",\"agent\":{expected}}}");
        assert_eq!(mapped(&["id", "agent@"], None, &body), expected, "{value}");
    }
}

/// M2
#[test]
fn an_id_without_a_name_gets_the_fallback_or_what_unmapped_says() {
    let long = format!("\"{}\"", "x\\u0079".repeat(50));
    for (value, fallback, null, keep) in [
        (r#""asst_9""#, r#""AI \"1\"""#, "null", r#""asst_9""#),
        (r#""\u0061sst_9""#, r#""AI \"1\"""#, "null", r#""\u0061sst_9""#),
        ("12.50e1", r#""AI \"1\"""#, "null", "12.50e1"),
        (&long, r#""AI \"1\"""#, "null", &long),
        (r#""asst_1""#, r#""Front desk""#, r#""Front desk""#, r#""Front desk""#),
        ("null", "null", "null", "null"),
        ("true", "null", "null", "null"),
        ("{}", "null", "null", "null"),
    ] {
        let body = format!("{{\"agent\":{value}}}");
        let expected = |text: &str| format!("{{\"agent\":{text}}}");
        let setting = || Setting::new("$", &["agent@"]);
        assert_eq!(
            mapped(&["agent@"], Some("AI \"1\""), &body),
            expected(fallback),
            "fallback for {value}"
        );
        assert_eq!(mapped(&["agent@"], None, &body), expected(null), "null for {value}");
        let keeping = setting().names(&NAMES, None).keep_unmapped();
        assert_eq!(keeping.accepts(&body), expected(keep), "keep {value}");
        let falling_back = setting().names(&NAMES, Some("AI \"1\"")).keep_unmapped();
        assert_eq!(
            falling_back.accepts(&body),
            expected(fallback),
            "the fallback wins over keep: {value}"
        );
    }
    let nameless = Setting::new("$", &["agent@"]);
    assert_eq!(nameless.accepts(r#"{"agent":"a"}"#), r#"{"agent":null}"#);
    assert_eq!(
        nameless.keep_unmapped().accepts(r#"{"agent":"a","agent":[1,"b"]}"#),
        r#"{"agent":"a","agent":[1,"b"]}"#
    );
}

/// M3
#[test]
fn ids_are_replaced_at_configured_paths_of_any_depth() {
    for (columns, body, expected) in [
        (
            &["t.agent@"][..],
            r#"{"t":[{"agent":"asst_1","x":1},[{"agent":7}]]}"#,
            r#"{"t":[{"agent":"Front desk"},[{"agent":"Seven"}]]}"#,
        ),
        (
            &["t!", "t.agent@"],
            r#"{"t":{ "agent" : "asst_1" , "x":[1] }}"#,
            r#"{"t":{ "agent" : "Front desk" , "x":[1] }}"#,
        ),
        (
            &["t!", "-t.agent@"],
            r#"{"t":[{"agent":7},{"agent":[7, null]}]}"#,
            r#"{"t":[{"agent":"Seven"},{"agent":["Seven", null]}]}"#,
        ),
        (&["-t!", "t.agent@"], r#"{"t":{"agent":7,"x":1}}"#, r#"{"t":{"agent":"Seven"}}"#),
        (&["-t!", "-t.agent@"], r#"{"t":{"agent":7,"x":1}}"#, "{}"),
        (&["-agent@"], r#"{"agent":"asst_1"}"#, "{}"),
        (
            &["agent@", "agent.id@", "agent.x"],
            r#"{"agent":{"id":7,"x":1,"y":2}}"#,
            r#"{"agent":{"id":"Seven","x":1}}"#,
        ),
        (
            &["agent@", "agent.id@"],
            r#"{"agent":7,"agent":"asst_1","agent":[{"id":7},"asst_1"],"agent":"x"}"#,
            r#"{"agent":"Seven","agent":"Front desk","agent":[{"id":"Seven"},"Front desk"],"agent":null}"#,
        ),
        (&["agent@", "-agent.id@"], r#"{"agent":{"id":7}}"#, r#"{"agent":null}"#),
        (&["-agent@", "agent.id@"], r#"{"agent":7}"#, "{}"),
    ] {
        assert_eq!(mapped(columns, None, body), expected, "{columns:?} {body}");
    }
    let all = Setting::new("data[]", &["agent.id@", "agent@"]).all().names(&NAMES, None);
    let body =
        r#"{"data":[{"x" : 7, "agent" : "asst_1"},{"agent":{"id": 7, "x": 7}},{"agent":[[7],7]}]}"#;
    let expected = r#"{"data":[{"x" : 7, "agent" : "Front desk"},{"agent":{"id": "Seven", "x": 7}},{"agent":[null,"Seven"]}]}"#;
    assert_eq!(all.accepts(body), expected);
}

/// M5
#[test]
fn the_same_id_elsewhere_is_not_touched() {
    let columns = ["call_id", "text", "url", "asst_1", "agent@", "raw!"];
    let body = r#"{"call_id":"asst_1","text":"by asst_1","url":"/a/asst_1","asst_1":"asst_1","agent":"asst_1","raw":{"agent":"asst_1"}}"#;
    let expected = r#"{"call_id":"asst_1","text":"by asst_1","url":"/a/asst_1","asst_1":"asst_1","agent":"Front desk","raw":{"agent":"asst_1"}}"#;
    assert_eq!(mapped(&columns, None, body), expected);
    let beside = Setting::new("data[]", &["agent@"]).beside(&["agent"]).names(&NAMES, None);
    assert_eq!(
        beside.accepts(r#"{"agent":7,"data":[{"agent":7}]}"#),
        r#"{"agent":7,"data":[{"agent":"Seven"}]}"#
    );
}

#[test]
fn replaced_ids_are_counted() {
    let setting = Setting::new("$", &["a@"]);
    let body = r#"{"a":[7,"asst_1","x",null,true,{}],"a":8}"#;
    for (setting, mapped, fallback) in [
        (setting.clone().names(&NAMES, None), 2, 0),
        (setting.clone().names(&NAMES, Some("AI")), 2, 2),
        (setting.clone().names(&NAMES, None).keep_unmapped(), 2, 0),
        (setting, 0, 0),
    ] {
        let totals = setting.totals(body);
        assert_eq!(
            (totals.columns_mapped, totals.columns_fallback),
            (mapped, fallback),
            "{setting:?}"
        );
    }
}
