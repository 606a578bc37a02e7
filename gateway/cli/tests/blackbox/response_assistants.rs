//! Names in place of assistants' ids (M1 to M7).

use serde_json::{Value, json};

use crate::response_support::{Rig, config, directory, key};
use crate::support::{Config, Directory, Gateway, Reply, Upstream};

const A: &str = "3f2b8c1e-9a47-4d6f-8b20-5c1d7e9f0a34";

fn names() -> Value {
    json!({
        A: "Front desk",
        "asst_1": "Callbacks",
        "12345": "By number",
        "1.0": "By its digits",
        "odd/\"\\\u{e9}\u{1f4de}": "Odd id",
        "asst_json": "Quote \" Slash / Back \\ Tab \t Newline \n Nul \u{0} Separator \u{2028} \u{1f4de} Ni\u{f1}a",
        "asst_same": "Callbacks",
    })
}

fn resources(unmapped: &str) -> String {
    format!(
        r#"
  calls:
    columns:
      call_id: {{ always: true }}
      note: {{}}
      assistant_id: {{ assistant: true }}
      transfers.from_assistant_id: {{ assistant: true }}
      transfers.at: {{}}
      blob: {{ whole: true }}
      blob.agent.id: {{ assistant: true }}
      secret_id: {{ assistant: true, shown: false }}
    unmapped: {unmapped}
  named: {{ columns: all, assistants: [agent.id, assistant_id], unmapped: {unmapped} }}"#
    )
}

const ROUTES: &str = r#"
  - { match: GET /list, upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: GET /named, upstream: calls, scope: calls:read, resource: named, rows: "data[]" }"#;

fn settings(upstream: &Upstream, unmapped: &str) -> Config {
    config(upstream).section("resources", &resources(unmapped)).section("routes", ROUTES)
}

fn people(fallback: Option<&str>) -> Directory {
    directory().acme("assistants", json!({ "names": names(), "fallback": fallback }))
}

/// The value that a row's assistant column leaves with, as written.
fn left_of(gateway: &Gateway, upstream: &Upstream, target: &str, value: &str) -> String {
    upstream.now_replies(Reply::json(format!(r#"{{"data":[{{"assistant_id":{value}}}]}}"#)));
    let answer = gateway.get(target).bearer(&key()).send();
    assert_eq!(answer.status, 200, "{value}: {}", answer.text());
    let text = answer.text();
    let inside =
        text.strip_prefix(r#"{"data":[{"assistant_id":"#).and_then(|text| text.strip_suffix("}]}"));
    inside.unwrap_or_else(|| panic!("{value}: {text}")).to_owned()
}

/// M1, M2: every kind of value, with a fallback, without one, and with `unmapped: keep`.
#[test]
fn every_kind_of_value_has_its_rule() {
    let upstream = Upstream::answering(200, "{}");
    let fall = r#""AI assistant""#;
    let table = [
        // value, with a fallback, unmapped: "null", unmapped: keep
        (r#""asst_1""#, r#""Callbacks""#, r#""Callbacks""#, r#""Callbacks""#),
        (r#""\u0061sst_\u0031""#, r#""Callbacks""#, r#""Callbacks""#, r#""Callbacks""#),
        (
            r#""3f2b8c1e\u002d9a47-4d6f-8b20-5c1d7e9f0a34""#,
            r#""Front desk""#,
            r#""Front desk""#,
            r#""Front desk""#,
        ),
        (r#""odd\/\"\\\u00e9\ud83d\udcde""#, r#""Odd id""#, r#""Odd id""#, r#""Odd id""#),
        ("\"odd/\\\"\\\\\u{e9}\u{1f4de}\"", r#""Odd id""#, r#""Odd id""#, r#""Odd id""#),
        ("12345", r#""By number""#, r#""By number""#, r#""By number""#),
        (r#""12345""#, r#""By number""#, r#""By number""#, r#""By number""#),
        ("1.0", r#""By its digits""#, r#""By its digits""#, r#""By its digits""#),
        ("1", fall, "null", "1"),
        ("1.00", fall, "null", "1.00"),
        ("12345.0", fall, "null", "12345.0"),
        (r#""asst_unknown""#, fall, "null", r#""asst_unknown""#),
        (r#""asst_\u0075nknown""#, fall, "null", r#""asst_\u0075nknown""#),
        (r#""asst_1 ""#, fall, "null", r#""asst_1 ""#),
        (r#""ASST_1""#, fall, "null", r#""ASST_1""#),
        (r#""""#, fall, "null", r#""""#),
        ("null", "null", "null", "null"),
        ("true", "null", "null", "null"),
        ("false", "null", "null", "null"),
        (r#"{"id":"asst_1"}"#, "null", "null", "null"),
        ("{}", "null", "null", "null"),
        ("[]", "[]", "[]", "[]"),
        (
            r#"["asst_1","asst_unknown",12345]"#,
            r#"["Callbacks","AI assistant","By number"]"#,
            r#"["Callbacks",null,"By number"]"#,
            r#"["Callbacks","asst_unknown","By number"]"#,
        ),
        (
            r#"["asst_1",null,true]"#,
            r#"["Callbacks",null,null]"#,
            r#"["Callbacks",null,null]"#,
            r#"["Callbacks",null,null]"#,
        ),
        (r#""asst_same""#, r#""Callbacks""#, r#""Callbacks""#, r#""Callbacks""#),
    ];
    for (unmapped, fallback) in [
        ("\"null\"", Some("AI assistant")),
        ("\"null\"", None),
        ("keep", None),
        ("keep", Some("AI assistant")),
    ] {
        let gateway = Gateway::start(&settings(&upstream, unmapped), &people(fallback));
        for (value, fallen, nulled, kept) in table {
            let expected = match (unmapped, fallback) {
                (_, Some(_)) => fallen,
                ("keep", None) => kept,
                _ => nulled,
            };
            for target in ["/list", "/named"] {
                assert_eq!(
                    left_of(&gateway, &upstream, target, value),
                    expected,
                    "{value} on {target}, {unmapped} {fallback:?}"
                );
            }
        }
    }
}

/// M4: a name is a JSON text, whatever it holds.
#[test]
fn a_name_is_written_as_json() {
    let upstream = Upstream::answering(
        200,
        r#"{"data":[{"assistant_id":"asst_json"},{"assistant_id":"nobody"}]}"#,
    );
    let fallback = "Fall \"back\" \\ \u{8} \u{1f}";
    let gateway = Gateway::start(&settings(&upstream, "\"null\""), &people(Some(fallback)));
    for target in ["/list", "/named"] {
        let answer = gateway.get(target).bearer(&key()).send();
        let body = answer.json();
        assert_eq!(body["data"][0]["assistant_id"], names()["asst_json"], "{target}");
        assert_eq!(body["data"][1]["assistant_id"], fallback, "{target}");
        assert_eq!(answer.number("content-length"), answer.body.len() as u64);
    }
}

/// M1: an empty name is a name: it stands for the id like any other, and faults no account.
#[test]
fn an_empty_name_is_a_name() {
    let upstream = Upstream::answering(200, "{}");
    let names = json!({ "names": { "asst_1": "" }, "fallback": "Somebody" });
    let gateway =
        Gateway::start(&settings(&upstream, "keep"), &directory().acme("assistants", names));
    for (value, expected) in [(r#""asst_1""#, r#""""#), (r#""nobody""#, r#""Somebody""#)] {
        assert_eq!(left_of(&gateway, &upstream, "/list", value), expected);
    }
}

/// M1, M3: columns within arrays and within a whole; doubled and escaped names.
#[test]
fn every_assistant_column_is_mapped() {
    let rig = Rig::with(|config| {
        config.section("resources", &resources("\"null\"")).section("routes", ROUTES)
    });
    for (what, target, row, shown) in [
        (
            "twice",
            "/list",
            r#"{"assistant_id":"nobody","assistant_id":"asst_1"}"#,
            r#"{"assistant_id":null,"assistant_id":"Front desk"}"#,
        ),
        (
            "an escaped name",
            "/list",
            r#"{"\u0061ssistant_id":"asst_1"}"#,
            r#"{"\u0061ssistant_id":"Front desk"}"#,
        ),
        (
            "in an array",
            "/list",
            r#"{"transfers":[{"from_assistant_id":"asst_1","to":"c4n4ry","at":1703302407333},{"from_assistant_id":"nobody"}]}"#,
            r#"{"transfers":[{"from_assistant_id":"Front desk","at":1703302407333},{"from_assistant_id":null}]}"#,
        ),
        (
            "in a whole",
            "/list",
            r#"{"blob":{"agent":{"id":"asst_1","name":"asst_1"},"id":"asst_1","more":[{"agent":{"id":"asst_1"}}]}}"#,
            r#"{"blob":{"agent":{"id":"Front desk","name":"asst_1"},"id":"asst_1","more":[{"agent":{"id":"asst_1"}}]}}"#,
        ),
        (
            "in an array of wholes",
            "/list",
            r#"{"blob":[{"agent":{"id":"nobody"}},{"agent":[{"id":"asst_1"}]}]}"#,
            r#"{"blob":[{"agent":{"id":null}},{"agent":[{"id":"Front desk"}]}]}"#,
        ),
        (
            "that is not visible",
            "/list",
            r#"{"secret_id":"c4n4ry","call_id":"c"}"#,
            r#"{"call_id":"c"}"#,
        ),
        (
            "where everything passes",
            "/named",
            r#"{"agent":{"id":"asst_1","x":[ 1 ]},"id":"asst_1","assistant_id":"asst_1","any":{"agent":{"id":"asst_1"}}}"#,
            r#"{"agent":{"id":"Front desk","x":[ 1 ]},"id":"asst_1","assistant_id":"Front desk","any":{"agent":{"id":"asst_1"}}}"#,
        ),
    ] {
        let body = format!(r#"{{"data":[{row}]}}"#);
        rig.shows(what, target, Reply::json(body), format!(r#"{{"data":[{shown}]}}"#));
    }
}

/// M5: the same text in another column, in prose, in a URL or as a name is not touched.
#[test]
fn an_id_elsewhere_is_left_alone() {
    let upstream = Upstream::answering(200, "{}");
    let gateway = Gateway::start(&settings(&upstream, "\"null\""), &people(Some("Nobody")));
    let row = |assistant: &str| {
        format!(
            r#"{{"call_id":"{A}","note":"by {A}, see https://x.test/{A}","blob":{{"{A}":3,"asst_1":["asst_1","{A}"],"assistant_id":"{A}"}},"assistant_id":"{assistant}"}}"#
        )
    };
    upstream.now_replies(Reply::json(format!(r#"{{"data":[{}]}}"#, row(A))));
    let answer = gateway.get("/list").bearer(&key()).send();
    assert_eq!(answer.text(), format!(r#"{{"data":[{}]}}"#, row("Front desk")));
}

/// M6: a name changes with the next request, on a connection that stays.
#[test]
fn a_changed_name_shows_at_once() {
    let upstream = Upstream::answering(
        200,
        r#"{"data":[{"assistant_id":"asst_1"},{"assistant_id":"nobody"}]}"#,
    );
    let mut gateway = Gateway::start(&settings(&upstream, "keep"), &people(None));
    let mut kept = gateway.connect();
    for (assistants, expected) in [
        (json!({ "names": { "asst_1": "Night shift" } }), ["Night shift", "nobody"]),
        (
            json!({ "names": { "asst_1": "Day shift" }, "fallback": "Somebody" }),
            ["Day shift", "Somebody"],
        ),
        (
            json!({ "names": { "nobody": "Now known" }, "fallback": "Somebody" }),
            ["Somebody", "Now known"],
        ),
        (json!({ "names": {} }), ["asst_1", "nobody"]),
        (Value::Null, ["asst_1", "nobody"]),
    ] {
        gateway.write_directory(&directory().acme("assistants", assistants.clone()));
        let body = gateway.get("/list").bearer(&key()).send_on(&mut kept).json();
        let shown = [&body["data"][0]["assistant_id"], &body["data"][1]["assistant_id"]];
        assert_eq!(shown, expected, "{assistants}");
    }
}

/// M7: filters by id go up as they are; the answer names names.
#[test]
fn a_filter_by_id_goes_up_as_it_is() {
    let upstream = Upstream::answering(200, r#"{"data":[{"assistant_id":"asst_1"}]}"#);
    let gateway = Gateway::start(&settings(&upstream, "keep"), &people(None));
    let answer = gateway.get("/list?assistant_id=asst_1").bearer(&key()).send();
    assert_eq!(answer.text(), r#"{"data":[{"assistant_id":"Callbacks"}]}"#);
    assert_eq!(upstream.last().target, "/list?assistant_id=asst_1");
}

/// M1, M2: mapped, fallen back and kept are told apart in the metric.
#[test]
fn mapped_names_are_counted() {
    let upstream = Upstream::answering(
        200,
        r#"{"data":[{"assistant_id":"asst_1"},{"assistant_id":"asst_1"},{"assistant_id":"nobody"}]}"#,
    );
    let gateway = Gateway::start(&settings(&upstream, "keep"), &people(Some("Somebody")));
    assert_eq!(gateway.get("/list").bearer(&key()).send().status, 200);
    crate::support::waiting::until("the counts", || {
        let count = |action| {
            gateway.metric("colonnade_columns_total", &[("resource", "calls"), ("action", action)])
        };
        ((count("mapped"), count("fallback")) == (2.0, 1.0)).then_some(())
    });
}
