//! What passes around the rows, and where rows may be.

use gateway_rewrite::Reason;

use crate::setting::Setting;

/// C5
#[test]
fn rows_are_found_where_the_route_says() {
    for (rows, body, expected) in [
        ("data[]", r#"{"data":[{"a":1,"b":2},{"b":3}]}"#, r#"{"data":[{"a":1},{}]}"#),
        ("data[]", r#" { "data" : [ ] } "#, r#"{"data":[]}"#),
        ("data", r#"{"data":{"a":1,"b":2}}"#, r#"{"data":{"a":1}}"#),
        ("data", r#"{"data":null}"#, r#"{"data":null}"#),
        ("[]", r#"[{"a":1,"b":2}, {"b":2}, {"a":3}]"#, r#"[{"a":1},{},{"a":3}]"#),
        ("[]", " [\n] ", "[]"),
        ("$", r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        ("$", " null ", "null"),
        ("r.items[]", r#"{"r":{"items":[{"a":1,"b":2}],"n":1}}"#, r#"{"r":{"items":[{"a":1}]}}"#),
        ("r.item", r#"{"r":{"item":{"a":1,"b":2}}}"#, r#"{"r":{"item":{"a":1}}}"#),
        ("r.item", r#"{"r":{"item":null}}"#, r#"{"r":{"item":null}}"#),
        ("data[]", r#"{"\u0064ata":[{"b":1}]}"#, r#"{"\u0064ata":[{}]}"#),
    ] {
        assert_eq!(Setting::new(rows, &["a"]).accepts(body), expected, "{rows} {body}");
    }
}

#[test]
fn rows_that_come_twice_are_filtered_twice() {
    for (rows, body, expected) in [
        (
            "data[]",
            r#"{"data":[{"b":1}],"data":[{"a":1,"b":2}]}"#,
            r#"{"data":[{}],"data":[{"a":1}]}"#,
        ),
        ("data", r#"{"data":{"b":1},"\u0064ata":{"a":1}}"#, r#"{"data":{},"\u0064ata":{"a":1}}"#),
        ("r.item", r#"{"r":{},"r":{"item":{"b":1}}}"#, r#"{"r":{},"r":{"item":{}}}"#),
    ] {
        assert_eq!(Setting::new(rows, &["a"]).accepts(body), expected, "{rows} {body}");
    }
}

#[test]
fn what_is_no_row_where_a_row_should_be_is_refused() {
    use Reason::*;
    for (rows, body, reason) in [
        ("data[]", r#"{"data":[1]}"#, RowNotObject),
        ("data[]", r#"{"data":[{},null]}"#, RowNotObject),
        ("data[]", r#"{"data":["x"]}"#, RowNotObject),
        ("data[]", r#"{"data":[[{"a":1}]]}"#, RowNotObject),
        ("data[]", r#"{"data":null}"#, RowsNotArray),
        ("data[]", r#"{"data":{"a":1}}"#, RowsNotArray),
        ("data[]", r#"{"data":"x"}"#, RowsNotArray),
        ("data[]", r#"{"data":[],"data":null}"#, RowsNotArray),
        ("data", r#"{"data":[{"a":1}]}"#, RowNotObject),
        ("data", r#"{"data":"x"}"#, RowNotObject),
        ("data", r#"{"data":false}"#, RowNotObject),
        ("[]", r#"{"data":[]}"#, RowsNotArray),
        ("[]", "null", RowsNotArray),
        ("[]", "[null]", RowNotObject),
        ("$", "[]", RowNotObject),
        ("$", r#""x""#, RowNotObject),
        ("$", "1", RowNotObject),
        ("data[]", "[]", EnvelopeNotObject),
        ("data", "null", EnvelopeNotObject),
        ("r.items[]", r#"{"r":[{"items":[]}]}"#, EnvelopeNotObject),
        ("r.items[]", r#"{"r":null}"#, EnvelopeNotObject),
        ("r.items[]", r#"{"r":{"items":[]},"r":1}"#, EnvelopeNotObject),
    ] {
        assert_eq!(Setting::new(rows, &["a"]).refuses(body), Some(reason), "{rows} {body}");
        let passing = Setting::new(rows, &["a"]).pass_envelope();
        assert_eq!(passing.refuses(body), Some(reason), "all of the envelope: {rows} {body}");
    }
}

#[test]
fn a_body_without_its_rows_is_refused_and_not_ended() {
    for (rows, body) in [
        ("data[]", "{}"),
        ("data[]", r#"{"Data":[]}"#),
        ("data[]", r#"{"meta":{"data":[]}}"#),
        ("data", r#"{"dat":1,"data ":{}}"#),
        ("r.item", r#"{"r":{}}"#),
        ("r.item", r#"{"item":{}}"#),
    ] {
        let setting = Setting::new(rows, &["a"]).pass_envelope();
        assert_eq!(setting.refuses(body), Some(Reason::RowsMissing), "{rows} {body}");
        assert!(crate::tree::parse(&setting.run(body).out).is_none(), "{rows} {body}");
    }
}

/// C5
#[test]
fn of_the_envelope_only_what_is_listed_passes() {
    for (beside, around, expected) in [
        (&[][..], r#""meta":{"a":1},"count":2"#, ""),
        (&["count"], r#""meta":{"a":1},"count":2"#, r#""count":2,"#),
        (&["meta"], r#""meta": {"a" : [1, 2]} ,"count":2"#, r#""meta":{"a" : [1, 2]},"#),
        (&["meta.a"], r#""meta":{"a":1,"b":2}"#, r#""meta":{"a":1},"#),
        (
            &["meta.a"],
            r#""meta":[{"a":1,"b":2},3,null,[{"b":1}]]"#,
            r#""meta":[{"a":1},null,[{}]],"#,
        ),
        (&["meta.a"], r#""meta":"text""#, ""),
        (&["meta.a"], r#""meta":null"#, r#""meta":null,"#),
        (&["meta.a"], r#""meta":{"b":1}"#, r#""meta":{},"#),
        (
            &["meta.a.b", "meta.c"],
            r#""meta":{"a":{"b":{"x":1},"d":2},"c":3}"#,
            r#""meta":{"a":{"b":{"x":1}},"c":3},"#,
        ),
        (&["meta"], r#""meta":1,"m\u0065ta":2"#, r#""meta":1,"m\u0065ta":2,"#),
    ] {
        let setting = Setting::new("data[]", &["a"]).beside(beside);
        let body = format!(r#"{{{around},"data":[]}}"#);
        assert_eq!(
            setting.accepts(body),
            format!(r#"{{{expected}"data":[]}}"#),
            "{beside:?} {around}"
        );
    }
    let beside_deep_rows = Setting::new("r.items[]", &["a"]).beside(&["r.count"]);
    let body = r#"{"r":{"count":1,"x":2,"items":[{"b":1}]},"count":3}"#;
    assert_eq!(beside_deep_rows.accepts(body), r#"{"r":{"count":1,"items":[{}]}}"#);
}

#[test]
fn an_envelope_that_passes_passes_as_it_came() {
    let setting = Setting::new("r.items[]", &["a"]).pass_envelope();
    let body = "{ \"x\" : [1, {\"items\":[{\"b\":1}]}],\n\"r\" : { \"n\":\t1, \"items\" : [ {\"b\":1, \"a\": 2 } ,{}], \"z\":null } , \"y\":{}}";
    let expected = "{ \"x\" : [1, {\"items\":[{\"b\":1}]}],\n\"r\" : { \"n\":\t1, \"items\" : [{\"a\":2},{}], \"z\":null } , \"y\":{}}";
    assert_eq!(setting.accepts(body), expected);
    // Nor is anything of it dropped for a list that other callers are held to.
    let listed = setting.clone().beside(&["x.a", "y"]);
    assert_eq!(listed.accepts(body), expected);
    let text = r#"{"x":"text","y":[1],"r":{"items":[]}}"#;
    assert_eq!(listed.accepts(text), text);
    assert_eq!(setting.refuses(r#"{"x":nul,"r":{"items":[]}}"#), Some(Reason::Literal));
}

#[test]
fn only_a_job_that_can_change_nothing_is_the_identity() {
    use gateway_rewrite::RowRule;
    let private = RowRule { hide_private: true, ..RowRule::default() };
    for (setting, is_identity) in [
        (Setting::new("data[]", &[]).all().pass_envelope(), true),
        (Setting::new("data[]", &[]).all(), false),
        (Setting::new("data[]", &["a@"]).all().pass_envelope(), false),
        (Setting::new("data[]", &[]).pass_envelope(), false),
        (Setting::new("data[]", &[]).all().pass_envelope().rule(private), false),
    ] {
        assert_eq!(setting.job().is_identity(), is_identity, "{setting:?}");
    }
}
