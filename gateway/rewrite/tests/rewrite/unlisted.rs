//! Names that a catalogue has not, and what is told of them.

use std::collections::BTreeSet;

use gateway_rewrite::{RowRule, UNLISTED_BYTES_MAX, UNLISTED_MAX};

use crate::oracle::{LINES, lines};
use crate::setting::{Setting, rewrite};
use crate::tree::{Kind, Value, parse};

/// What the catalogue has met behind a body, alike for every cut in three.
fn told(setting: &Setting, body: &str) -> Vec<String> {
    let whole = setting.job();
    assert!(rewrite(&whole, [body.as_bytes()]).result.is_ok(), "{body}");
    let told = whole.catalogue.unlisted();
    assert_eq!(whole.catalogue.unlisted_count(), told.len());
    let job = setting.job();
    assert!(rewrite(&job, body.as_bytes().chunks(1)).result.is_ok());
    assert_eq!(job.catalogue.unlisted(), told, "cut everywhere: {body}");
    for cut in 0..body.len().min(200) {
        let (one, other) = body.as_bytes().split_at(cut);
        let job = setting.job();
        assert!(rewrite(&job, [one, other]).result.is_ok());
        assert_eq!(job.catalogue.unlisted(), told, "cut at {cut}: {body}");
    }
    told
}

#[test]
fn what_rows_hold_and_the_catalogue_does_not_is_told_by_its_path() {
    let setting =
        Setting::new("data[]", &["a", "-h", "o.b", "w!", "id@", "-g.x"]).beside(&["meta"]);
    for (rows, expected) in [
        ("", &[][..]),
        (r#"{"a":1,"h":2,"id":"x","w":{"y":1}}"#, &[]),
        (r#"{"x":1,"a":1},{"y":{"z":1},"x":[]}"#, &["x", "y"]),
        (r#"{"o":{"b":1,"c":2,"a":3}},{"o":[{"d":1},[{"e":1}]]}"#, &["o.a", "o.c", "o.d", "o.e"]),
        (r#"{"\u0078":1,"x":2,"é":3,"\u00e9":4,"\ud83d\udc4b":5}"#, &["x", "é", "👋"]),
        (r#"{"":1,"x.y":2,"o":{"":3}}"#, &["", "o.", "x.y"]),
        // A column in another form is listed all the same; what is dropped is not looked into.
        (r#"{"a":{"x":1},"o":7,"h":{"x":1},"g":{"y":1},"a":[{"x":1}]}"#, &[]),
        (r#"{"x":1 ,  "y"  :2,"x" : 3}"#, &["x", "y"]),
    ] {
        let body = format!(r#"{{"around":1,"meta":{{"x":1}},"data":[{rows}]}}"#);
        assert_eq!(told(&setting, &body), expected, "{rows}");
    }
    let lines = Setting { rows: "$*".to_owned(), ..setting.clone() };
    assert_eq!(told(&lines, "{\"x\":1}\n\n{\"y\":1,\"o\":{\"z\":1}}"), ["o.z", "x", "y"]);
    assert!(told(&Setting::new("$", &["a@"]).all(), r#"{"x":{"y":1},"a":{"z":1}}"#).is_empty());
    assert!(told(&Setting::new("$", &["w!", "w.id@"]), r#"{"w":{"x":1,"id":2}}"#).is_empty());
}

#[test]
fn hidden_rows_tell_too_and_what_is_judged_is_known() {
    let rule = RowRule { hide_private: true, ..RowRule::default() };
    let judged = Setting::new("[]", &["a"]).judged_by(Some("meta.private"), &["user"], None);
    let body = r#"[{"meta":{"private":true,"z":1},"x":1},{"user":1,"a":1},{"meta":1,"y":1}]"#;
    for setting in [judged.clone().rule(rule), judged] {
        assert_eq!(told(&setting, body), ["x", "y"]);
    }
}

#[test]
fn a_name_of_up_to_the_bound_is_told_however_it_is_written() {
    let setting = Setting::new("$", &["a"]);
    for (letter, written) in [("x", "x"), ("x", "\\u0078"), ("é", "é"), ("é", "\\u00E9")] {
        let fits = UNLISTED_BYTES_MAX / letter.len();
        for (count, is_told) in [(fits, true), (fits + 1, false)] {
            let body = format!("{{\"{}\":1,\"y\":2}}", written.repeat(count));
            let mut expected = vec!["y".to_owned()];
            if is_told {
                expected.insert(usize::from(letter > "y"), letter.repeat(count));
            }
            assert_eq!(told(&setting, &body), expected, "{count} times {written}");
        }
    }
}

/// Maps whose keys are ids or addresses fill it once, and nothing more happens.
#[test]
fn of_many_names_the_first_are_kept() {
    let setting = Setting::new("$", &["a", "o.b"]);
    let member = |n: usize| format!("\"n{n:04}\":{n}");
    let row = |inner: String| format!("{{\"a\":1,{inner},\"o\":{{\"x\":1}}}}");
    let first: Vec<String> = (0..UNLISTED_MAX).map(|n| format!("n{n:04}")).collect();
    let members: Vec<String> = (0..1_000).map(member).collect();
    let body = row(members.join(","));
    assert_eq!(told(&setting, &body), first);

    let job = setting.job();
    for (n, member) in members.iter().enumerate() {
        let outcome = rewrite(&job, [row(member.clone()).as_bytes()]);
        assert_eq!(outcome.result.unwrap().columns_unlisted, 2);
        // With the first one comes `o.x`, which takes a place of its own.
        assert_eq!(job.catalogue.unlisted_count(), (n + 2).min(UNLISTED_MAX));
    }
    let told = job.catalogue.unlisted();
    assert_eq!((told.len(), &*told[0], &*told[63]), (UNLISTED_MAX, "n0000", "o.x"));
}

/// Names may be data: they are told to who asks for them, and no log by way of `{:?}`.
#[test]
fn debug_of_a_catalogue_holds_no_name_that_was_met() {
    let job = Setting::new("$", &["a"]).job();
    assert!(rewrite(&job, [&b"{\"secret\":1}"[..]]).result.is_ok());
    assert_eq!(job.catalogue.unlisted(), ["secret"]);
    assert!(!format!("{:?}", job.catalogue).contains("secret"));
    assert!(!format!("{job:?}").contains("115, 101, 99"), "not as bytes either");
}

/// The members of an accepted body's rows that the catalogue does not have, as dotted paths.
pub(crate) fn expect(setting: &Setting, body: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let bodies: Vec<&[u8]> = if setting.rows == LINES { lines(body).collect() } else { vec![body] };
    for body in bodies {
        let root = parse(body).unwrap();
        let way = setting.rows.trim_end_matches("[]").split('.');
        let way = way.filter(|part| !part.is_empty() && !part.starts_with('$'));
        let mut places = vec![&root];
        for name in way {
            places = places.into_iter().flat_map(|place| members_named(place, name)).collect();
        }
        for place in places {
            let rows = if setting.rows.ends_with("[]") { elements(place) } else { vec![place] };
            rows.iter().filter(|_| !setting.all).for_each(|row| {
                strangers(setting, row, "", &mut found);
            });
        }
    }
    found
}

fn members_named<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let Kind::Object(members) = &value.kind else { return Vec::new() };
    members.iter().filter(|member| member.name == name).map(|member| &member.value).collect()
}

fn elements(value: &Value) -> Vec<&Value> {
    let Kind::Array(elements) = &value.kind else { return Vec::new() };
    elements.iter().collect()
}

/// The strangers among the members of an object at a path, and in what of it is walked.
fn strangers(setting: &Setting, object: &Value, path: &str, found: &mut BTreeSet<String>) {
    let Kind::Object(members) = &object.kind else { return };
    let visibility = &setting.visibility;
    let judged = visibility.private.iter().chain(&visibility.owner).chain(&visibility.team);
    let known: Vec<&String> =
        setting.columns.iter().map(|column| &column.spec.path).chain(judged).collect();
    for member in members {
        let path =
            if path.is_empty() { member.name.clone() } else { format!("{path}.{}", member.name) };
        if known.iter().any(|known| **known == path || known.starts_with(&format!("{path}."))) {
            strangers_in(setting, &member.value, &path, 0, found);
        } else {
            found.insert(path);
        }
    }
}

fn strangers_in(
    setting: &Setting,
    value: &Value,
    path: &str,
    arrays: usize,
    found: &mut BTreeSet<String>,
) {
    let shown = || setting.columns.iter().filter(|column| column.shown);
    let leaf = shown().find(|column| column.spec.path == path).map(|column| &column.spec);
    let below = shown().any(|column| column.spec.path.starts_with(&format!("{path}.")));
    if leaf.is_some_and(|spec| spec.whole && !spec.assistant) {
        return;
    }
    match &value.kind {
        Kind::Object(_) if below => strangers(setting, value, path, found),
        Kind::Array(_) if leaf.is_some_and(|spec| spec.assistant) && arrays > 0 => {}
        Kind::Array(elements) if below || (leaf.is_some() && arrays == 0) => {
            for element in elements {
                strangers_in(setting, element, path, arrays + 1, found);
            }
        }
        _ => {}
    }
}
