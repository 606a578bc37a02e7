//! Which rows pass.

use std::sync::Arc;

use gateway_rewrite::{Job, Owner, Reason, RowRule};

use crate::setting::{Setting, rewrite};

fn no_private() -> RowRule {
    RowRule { hide_private: true, ..RowRule::default() }
}

fn owned_by(id: &str, email: Option<&str>) -> RowRule {
    let owner = Owner { id: id.to_owned(), email: email.map(str::to_owned) };
    RowRule { owner: Some(owner), ..RowRule::default() }
}

fn of_teams(teams: &[&str]) -> RowRule {
    let teams = teams.iter().map(|team| (*team).to_owned()).collect();
    RowRule { teams: Some(teams), ..RowRule::default() }
}

/// Whether a row passes, alone, among others, and with every column.
fn is_seen(setting: &Setting, row: &str) -> bool {
    let alone = Setting { rows: "data".to_owned(), ..setting.clone() };
    let outcome = alone.run(format!(r#"{{"data":{row}}}"#));
    let totals = outcome.result.unwrap();
    let seen = !totals.single_row_hidden;
    assert_eq!((totals.rows, totals.rows_hidden), (1, u64::from(!seen)));
    assert_eq!(outcome.out == br#"{"data":null}"#, !seen, "{row}");

    let many = Setting { rows: "[]".to_owned(), ..setting.clone() };
    let rows =
        serde_json::from_str::<Vec<serde_json::Value>>(&many.accepts(format!("[{row},{row}]")));
    assert_eq!(rows.unwrap().len(), if seen { 2 } else { 0 }, "{row}");

    let document = Setting { rows: "$".to_owned(), all: true, ..setting.clone() };
    let whole = document.accepts(row);
    assert_eq!(whole, if seen { row } else { "null" }, "{row}");
    seen
}

/// P3 P5: only JSON `false` is not private.
#[test]
fn only_a_plain_false_makes_a_row_public() {
    for columns in [&["a"][..], &["private"], &["private!"], &["-private"]] {
        let setting =
            Setting::new("data", columns).judged_by(Some("private"), &[], None).rule(no_private());
        for (row, seen) in [
            (r#"{"a":1,"private":false}"#, true),
            (r#"{"private": false ,"a":1}"#, true),
            (r#"{"\u0070rivate":false}"#, true),
            (r#"{"private":true}"#, false),
            (r#"{"private":null}"#, false),
            (r#"{"private":"false"}"#, false),
            (r#"{"private":0}"#, false),
            (r#"{"private":""}"#, false),
            (r#"{"private":[false]}"#, false),
            (r#"{"private":[]}"#, false),
            (r#"{"private":{}}"#, false),
            (r#"{"private":{"private":false}}"#, false),
            (r#"{"a":1}"#, false),
            (r#"{}"#, false),
            (r#"{"Private":false}"#, false),
            (r#"{"private":false,"private":false}"#, false),
            (r#"{"private":true,"private":false}"#, false),
            (r#"{"private":false,"privat\u0065":true}"#, false),
            (r#"{"a":{"private":false}}"#, false),
        ] {
            assert_eq!(is_seen(&setting, row), seen, "{columns:?} {row}");
        }
    }
}

#[test]
fn a_judged_column_may_lie_deep_and_hidden() {
    for columns in [&["a"][..], &["meta.x"], &["meta!"], &["-meta.x"], &["meta.private"]] {
        let setting = Setting::new("data", columns)
            .judged_by(Some("meta.private"), &[], None)
            .rule(no_private());
        for (row, seen) in [
            (r#"{"meta":{"private":false,"x":1}}"#, true),
            (r#"{"meta":[{"private":false}]}"#, true),
            (r#"{"meta":{"private":true}}"#, false),
            (r#"{"meta":[{"private":false},{"private":false}]}"#, false),
            (r#"{"meta":[{"private":false},{}]}"#, false),
            (r#"{"meta":[{"private":false},null]}"#, false),
            (r#"{"meta":{"private":false},"meta":{}}"#, false),
            (r#"{"meta":{"private":false},"meta":1}"#, false),
            (r#"{"meta":null}"#, false),
            (r#"{"meta":[]}"#, false),
            (r#"{"meta":{}}"#, false),
            (r#"{"private":false}"#, false),
            (r#"{"meta":{"meta":{"private":false}}}"#, false),
        ] {
            assert_eq!(is_seen(&setting, row), seen, "{columns:?} {row}");
        }
    }
}

/// P3 P4: a user's own rows.
#[test]
fn a_row_is_the_users_if_an_owner_column_says_so_exactly() {
    for columns in [&["a"][..], &["owner"], &["people!"]] {
        let judged =
            Setting::new("data", columns).judged_by(None, &["owner", "people.email"], None);
        let setting = judged.rule(owned_by("u1", Some("ann@acme.test")));
        for (row, seen) in [
            (r#"{"owner":"u1"}"#, true),
            (r#"{"owner":"\u00751"}"#, true),
            (r#"{"owner":"ann@acme.test"}"#, true),
            (r#"{"owner":"Ann@acme.test"}"#, false),
            (r#"{"owner":"u1 "}"#, false),
            (r#"{"owner":"u12"}"#, false),
            (r#"{"owner":""}"#, false),
            (r#"{"owner":null}"#, false),
            (r#"{"owner":["x","u1"]}"#, true),
            (r#"{"owner":["u1","x"]}"#, true),
            (r#"{"owner":"u1","people":{"email":"x"}}"#, true),
            (r#"{"owner":[["u1"]]}"#, true),
            (r#"{"owner":{"id":"u1"}}"#, false),
            (r#"{"owner":["x",{"id":"u1"}]}"#, false),
            (r#"{"people":[{"email":"x"},{"email":"ann@acme.test"}]}"#, true),
            (r#"{"people":[{"email":"x"},{}]}"#, false),
            (r#"{"owner":"x","people":{"email":"ann@acme.test"}}"#, true),
            (r#"{"owner":"u1","owner":"u1"}"#, false),
            (r#"{"owner":"u1","people":{"email":"x","email":"y"}}"#, false),
            (r#"{"owner":"u1","people":{},"people":{}}"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(is_seen(&setting, row), seen, "{columns:?} {row}");
        }
    }
    let numbered = Setting::new("data", &["a"])
        .judged_by(None, &["owner"], None)
        .rule(owned_by("17", Some("")));
    for (row, seen) in [
        (r#"{"owner":17}"#, true),
        (r#"{"owner":"17"}"#, true),
        (r#"{"owner":17.0}"#, false),
        (r#"{"owner":170}"#, false),
        (r#"{"owner":""}"#, false),
    ] {
        assert_eq!(is_seen(&numbered, row), seen, "{row}");
    }
}

#[test]
fn rows_of_other_teams_are_hidden() {
    let setting = Setting::new("data", &["team", "-x"])
        .judged_by(None, &[], Some("team"))
        .rule(of_teams(&["101", "b"]));
    for (row, seen) in [
        (r#"{"team":101}"#, true),
        (r#"{"team":"101"}"#, true),
        (r#"{"team":"b"}"#, true),
        (r#"{"team":102}"#, false),
        (r#"{"team":101.0}"#, false),
        (r#"{"team":[101,"b"]}"#, true),
        (r#"{"team":[101,102]}"#, false),
        (r#"{"team":[101,null]}"#, false),
        (r#"{"team":[101,{}]}"#, false),
        (r#"{"team":[]}"#, false),
        (r#"{"team":null}"#, false),
        (r#"{"team":true}"#, false),
        (r#"{"team":{"id":101}}"#, false),
        (r#"{"team":101,"team":101}"#, false),
        (r#"{}"#, false),
    ] {
        assert_eq!(is_seen(&setting, row), seen, "{row}");
    }
    let none = Setting::new("data", &[]).judged_by(None, &[], Some("team")).rule(of_teams(&[]));
    assert!(!is_seen(&none, r#"{"team":101}"#), "no team at all");
}

/// P6: nothing is judged that no rule asks about; and a rule that cannot be answered hides all.
#[test]
fn a_rule_hides_everything_where_the_catalogue_cannot_answer_it() {
    let row = r#"{"a":1,"private":false,"owner":"u1","team":1}"#;
    let unjudged = Setting::new("data", &["a"]);
    let all_judged = unjudged.clone().judged_by(Some("private"), &["owner"], Some("team"));
    assert!(is_seen(&all_judged, r#"{"private":true,"private":true}"#), "no rule");
    for rule in [no_private(), owned_by("u1", None), of_teams(&["1"])] {
        assert!(is_seen(&all_judged.clone().rule(rule.clone()), row), "{rule:?}");
        assert!(!is_seen(&unjudged.clone().rule(rule.clone()), row), "{rule:?}");
        let both = RowRule { hide_private: true, ..rule };
        let only_private = unjudged.clone().judged_by(Some("private"), &[], None);
        assert_eq!(
            is_seen(&only_private.rule(both.clone()), row),
            both == no_private(),
            "{both:?}"
        );
    }
}

/// P8: hidden rows leave no trace between the others.
#[test]
fn hidden_rows_leave_no_comma_and_no_count_of_columns() {
    let setting =
        Setting::new("data[]", &["a", "-b"]).judged_by(Some("p"), &[], None).rule(no_private());
    let (no, yes) = (r#"{"p":true,"a":1,"b":2,"x":3}"#, r#"{"p":false,"a":2,"b":2}"#);
    for (rows, expected, hidden) in [
        (vec![no], "", 1),
        (vec![no, yes], r#"{"a":2}"#, 1),
        (vec![yes, no], r#"{"a":2}"#, 1),
        (vec![no, yes, no, no, yes, no], r#"{"a":2},{"a":2}"#, 4),
    ] {
        let body = format!(r#"{{"data":[{}]}}"#, rows.join(" , "));
        assert_eq!(setting.accepts(&body), format!(r#"{{"data":[{expected}]}}"#), "{body}");
        let totals = setting.totals(&body);
        assert_eq!((totals.rows, totals.rows_hidden), (rows.len() as u64, hidden));
        // One of the catalogue, and the one that rows are judged by.
        assert_eq!(totals.columns_hidden, 2 * (rows.len() as u64 - hidden));
        assert_eq!(totals.columns_unlisted, 0);
        assert!(!totals.single_row_hidden);
    }
}

#[test]
fn a_row_is_judged_by_nothing_of_the_row_before_it() {
    let judged = Setting::new("[]", &["a"]).judged_by(Some("p"), &["o"], Some("t"));
    for (rule, seen, hidden) in [
        (no_private(), r#"{"p":false}"#, &[r#"{"p":true}"#, "{}"][..]),
        (owned_by("u1", None), r#"{"o":"u1"}"#, &[r#"{"o":"u2"}"#, "{}", r#"{"o":[]}"#]),
        (of_teams(&["1"]), r#"{"t":1}"#, &[r#"{"t":2}"#, "{}", r#"{"t":[]}"#]),
    ] {
        let setting = judged.clone().rule(rule);
        for other in hidden {
            let body = format!("[{seen},{other},{seen},{seen},{other},{other}]");
            assert_eq!(setting.accepts(&body), "[{},{},{}]", "{body}");
        }
    }
}

/// Which of two faults is named must not depend on where the body was cut.
#[test]
fn a_fault_behind_the_bound_of_its_row_is_not_reached() {
    let body = r#"[{"p":false,"a":?}]"#;
    for (bound, reason) in [(16, Reason::Syntax), (15, Reason::RowTooLong), (3, Reason::RowTooLong)]
    {
        let setting = Setting::new("[]", &["a"]).judged_by(Some("p"), &[], None).rule(no_private());
        let error = setting.bounds(8, bound).run(body).result.unwrap_err();
        let at = if reason == Reason::Syntax { 16 } else { 1 + bound as u64 };
        assert_eq!((error.at, error.reason), (at, reason), "{bound}");
    }
}

#[test]
fn a_held_row_may_have_as_many_bytes_as_the_bound() {
    let row = r#"{"p":false,"a":"12345678"}"#;
    for (slack, reason) in
        [(1, None), (0, None), (-1, Some(Reason::RowTooLong)), (-20, Some(Reason::RowTooLong))]
    {
        let bound = row.len().checked_add_signed(slack).unwrap();
        let setting =
            Setting::new("data[]", &["a"]).judged_by(Some("p"), &[], None).bounds(8, bound);
        let body = format!(r#"{{"data":[{row},{row}]}}"#);
        let held = setting.clone().rule(no_private());
        assert_eq!(held.refuses(&body), reason, "{slack}");
        let out = String::from_utf8(held.run(&body).out).unwrap();
        assert_eq!(out.contains("1234"), reason.is_none(), "nothing of a long row leaves: {slack}");
        assert_eq!(setting.refuses(&body), None, "a row that is not held has no bound");
    }
}

/// P3 P4 P6: what a thread remembers of one caller's rows says nothing about another's.
#[test]
fn callers_who_share_their_columns_are_judged_each_by_their_own_rule() {
    let setting =
        Setting::new("[]", &["a", "private"]).judged_by(Some("private"), &["user"], Some("team"));
    let job = setting.job();
    let row = r#"{"private":false,"a":1,"user":"u1","team":7}"#;
    let other = r#"{"private":true,"a":1,"user":"u2","team":8}"#;
    let body = format!("[{row},{other},{row},{other}]");
    let rules = [
        RowRule::default(),
        no_private(),
        owned_by("u1", None),
        of_teams(&["7"]),
        of_teams(&["8"]),
    ];
    for first in &rules {
        for (rule, [seen, others]) in rules.iter().zip([[2, 2], [2, 0], [2, 0], [2, 0], [0, 2]]) {
            let [_, out] = [first, rule].map(|rule| {
                let job = Job { rows: Arc::new(rule.clone()), ..job.clone() };
                String::from_utf8(rewrite(&job, [body.as_bytes()]).out).unwrap()
            });
            let count = |text: &str| out.matches(text).count();
            let counts = [count("\"private\":false"), count("\"private\":true")];
            assert_eq!(counts, [seen, others], "{rule:?} behind {first:?}");
        }
    }
}

/// A name may be longer than the id that came: then the bound is of what is held.
#[test]
fn a_held_row_may_become_as_long_as_the_bound_by_its_names() {
    let name = "a name that is longer than all of the row as it came, by far".to_owned();
    let setting = Setting::new("data[]", &["agent@", "a"])
        .names(&[("7", &name)], Some(&name))
        .judged_by(Some("p"), &[], None);
    for id in ["7", r#""7""#, r#""\u0037""#, r#""no name""#] {
        let row = format!(r#"{{"p":false,"agent":{id},"a":1}}"#);
        let held = format!(r#"{{"agent":"{name}""#).len();
        assert!(row.len() < held);
        for (bound, reason) in [(held, None), (held - 1, Some(Reason::RowTooLong))] {
            let setting = setting.clone().bounds(8, bound);
            let body = format!(r#"{{"data":[{row}]}}"#);
            assert_eq!(setting.clone().rule(no_private()).refuses(&body), reason, "{id}");
            assert_eq!(setting.refuses(&body), None, "a row that is not held has no bound: {id}");
        }
    }
}
