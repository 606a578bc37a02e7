//! Files change under a running gateway: good ones come into force at once and whole, faulty ones
//! change nothing and are reported (S15, X12, X8, C2's mechanism).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::gateway::Launch;
use crate::support::{Config, Directory, Gate, Gateway, Key, Reply, Upstream, waiting};

fn reader(id: &str) -> Key {
    Key::new(id, &["calls:read"])
}

fn failures(gateway: &Gateway) -> f64 {
    gateway.metric("colonnade_reloads_total", &[("result", "failed")])
}

/// S15: a faulty configuration is refused as a whole, named in log, metric and status, and what
/// worked goes on working; then a good one comes into force.
#[test]
fn a_faulty_configuration_changes_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k").limited(1000, "30d");
    let directory = Directory::of([key.clone()]);
    let config = Config::with_upstream(&upstream);
    let mut gateway = Gateway::start(&config, &directory);
    let revision = gateway.metric("colonnade_revision", &[]);
    let good = config.text();
    for (what, text, named) in [
        ("a scope with a typo", good.replace("scope: calls:read", "scope: cals:read"), "cals:read"),
        ("an unknown key", good.replace("upstreams:", "upstraems:"), "upstraems"),
        ("a route without a scope", good.replace("scope: coach:read, ", ""), "scope"),
        ("a route without a resource", good.replace("resource: rubrics, ", ""), "resource"),
        ("an unknown upstream", good.replace("upstream: coach", "upstream: couch"), "couch"),
        ("no YAML", "version: [1".to_owned(), "gateway.yaml:"),
        ("nothing", String::new(), "gateway.yaml"),
        ("another version", good.replace("version: 1", "version: 2"), "version"),
        (
            "a missing variable",
            good.replace("style: problem", "style: \"${NO_SUCH_VARIABLE}\""),
            "NO_SUCH_VARIABLE",
        ),
        (
            "two routes alike",
            format!("{good}\n").replace("/api/leads, upstream", "/api/calls, upstream"),
            "/api/calls",
        ),
    ] {
        assert_ne!(text, good, "{what}");
        let before = failures(&gateway);
        gateway.reload_refused("gateway.yaml", &text, named);
        waiting::until("the count of a refused reload", || {
            (failures(&gateway) > before).then_some(())
        });
        assert_eq!(gateway.metric("colonnade_revision", &[]), revision, "{what}");
        for (target, status) in [("/api/calls", 200), ("/api/leads", 403), ("/api/nope", 404)] {
            assert_eq!(
                gateway.get(target).bearer(&key).send().status,
                status,
                "{target} after {what}"
            );
        }
        let status = gateway.admin("GET", "/admin/v1/status").send();
        assert!(status.status == 200 && status.text().contains(named), "{what}: {}", status.text());
    }
    assert_eq!(gateway.telemetry("/readyz").status, 200, "a faulty file does not fail readiness");
    gateway.reload(&config.section("errors", "{ style: flat }"), &directory);
    assert_eq!(gateway.get("/api/nope").bearer(&key).send().json()["error"], "not_found");
    assert!(gateway.metric("colonnade_revision", &[]) > revision);
}

/// A faulty directory as a whole keeps the old one, too.
#[test]
fn a_faulty_directory_changes_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    for text in
        ["", "accounts: [", "version: 1\naccounts: 7\n", "version: 9\naccounts: {}\n", "just words"]
    {
        gateway.reload_refused("directory.yaml", text, "directory.yaml");
        assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200, "after {text:?}");
    }
}

/// X12: one broken record is left out and reported; the others serve, at start and on reload.
#[test]
fn one_broken_record_does_not_empty_the_index() {
    let upstream = Upstream::answering(200, CALLS);
    let good = reader("good");
    let plain_text = "avoca_a-plaintext-key-by-mistake-0123456789";
    let twin = Key::with_text("twin", &good.text, &["calls:read"]);
    for broken in [
        reader("broken").with("digest", "sha256:tooshort"),
        reader("broken").with("digest", json!(null)),
        reader("broken").with("digest", plain_text),
        reader("broken").with("scopes", json!([])),
        reader("broken").with("scopes", json!(["cals:read"])),
        reader("broken").with("scopes", "calls:read"),
        reader("broken").with("expires_at", "next week"),
        reader("broken").with("allowed_ips", json!(["300.0.0.1/8"])),
        reader("broken").with("teams", json!([999])),
        reader("broken").with("data_scope", "org"),
        reader("broken").limited(0, "1m"),
        reader("broken").with("expiers_at", "2030-01-01T00:00:00Z"),
    ] {
        let what = broken.with("name", "broken");
        let directory = Directory::of([good.clone(), what.clone()]);
        let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
        let check = |gateway: &Gateway, when: &str| {
            assert_eq!(
                gateway.get("/api/calls").bearer(&good).send().status,
                200,
                "{when}: {what:?}"
            );
            assert_eq!(
                gateway.get("/api/calls").bearer(&what).send().status,
                401,
                "{when}: {what:?}"
            );
        };
        check(&gateway, "at start");
        assert!(
            gateway.log.all().iter().any(|line| line.contains("broken")),
            "it is reported: {what:?}"
        );
        gateway.write_directory(&Directory::of([good.clone()]));
        gateway.write_directory(&directory);
        check(&gateway, "on reload");
        assert!(
            !gateway.log.all().iter().any(|line| line.contains(plain_text)),
            "a secret is not repeated"
        );
    }
    // Two keys of one text cannot both be meant.
    let gateway = Gateway::start(
        &Config::with_upstream(&upstream),
        &Directory::of([good.clone(), twin, reader("other")]),
    );
    assert_eq!(gateway.get("/api/calls").bearer(&reader("other")).send().status, 200);
}

/// X12: an account's broken columns or names take that account and no other.
#[test]
fn a_broken_account_takes_no_other_with_it() {
    let upstream = Upstream::answering(200, CALLS);
    let (good, theirs) = (reader("good"), reader("theirs"));
    for broken in [
        json!({ "plan": "enterprise", "columns": { "calls": ["no_such_column"] } }),
        json!({ "plan": "enterprise", "columns": { "no_such_resource": ["call_id"] } }),
        json!({ "plan": "enterprise", "assistants": { "names": ["asst_1"] } }),
        json!({ "plan": "platinum" }),
        json!({ "name": "no plan" }),
        json!({ "plan": "enterprise", "teams": [1], "team_columns": { "2": { "calls": ["call_id"] } } }),
    ] {
        let directory = Directory::of([good.clone()])
            .account("globex", broken.clone())
            .key("globex", theirs.clone());
        let gateway = Gateway::start(&Config::with_upstream(&upstream), &directory);
        assert_eq!(gateway.get("/api/calls").bearer(&good).send().status, 200, "{broken}");
        assert_eq!(gateway.get("/api/calls").bearer(&theirs).send().status, 401, "{broken}");
        assert!(
            gateway.log.all().iter().any(|line| line.contains("globex")),
            "it is reported: {broken}"
        );
    }
}

/// A change of either file is seen within two seconds without anybody asking; an admin may ask, too.
#[test]
fn a_changed_file_is_seen_by_itself() {
    let upstream = Upstream::answering(200, CALLS);
    let (a, b, c) = (reader("a"), reader("b"), reader("c"));
    let config = Config::with_upstream(&upstream);
    let gateway = Gateway::start(&config, &Directory::of([a.clone()]));
    let live =
        |key: &Key| (gateway.get("/api/calls").bearer(key).send().status == 200).then_some(());
    let began = Instant::now();
    gateway.write_file("directory.yaml", &Directory::of([a.clone(), b.clone()]).text());
    waiting::until("the new key", || live(&b));
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
    let began = Instant::now();
    gateway.write_file("gateway.yaml", &config.section("errors", "{ style: flat }").text());
    waiting::until("the new style", || {
        gateway.get("/api/calls").send().json()["error"].is_string().then_some(())
    });
    assert!(began.elapsed() < Duration::from_millis(2_900), "{:?}", began.elapsed());
    gateway.write_file("directory.yaml", &Directory::of([a.clone(), b, c.clone()]).text());
    let asked = gateway.admin("POST", "/admin/v1/reload").send();
    assert!((200..300).contains(&asked.status), "{} {}", asked.status, asked.text());
    assert_eq!(
        gateway.get("/api/calls").bearer(&c).send().status,
        200,
        "in force when the admin is answered"
    );
}

/// A request keeps the rules it began with to its last byte.
#[test]
fn a_request_keeps_the_rules_it_began_with() {
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (key, other) = (reader("k"), reader("other"));
    let shown = |column: &str| {
        Directory::of([other.clone(), key.clone()]).acme("columns", json!({ "calls": [column] }))
    };
    let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &shown("duration_seconds"));
    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    gateway.write_directory(&shown("created_at").without_key("k"));
    gate.open();
    let answer = connection.answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["data"][0], json!({ "call_id": "call_1", "duration_seconds": 61 }));
    assert_eq!(
        gateway.get("/api/calls").bearer(&key).send_on(&mut connection).verdict(),
        refusal(401, "invalid_api_key")
    );
    let next = gateway.get("/api/calls").bearer(&other).send_on(&mut connection);
    assert_eq!(
        next.json()["data"][0],
        json!({ "call_id": "call_1", "created_at": "2026-08-04T13:05:00.42763Z" })
    );
}

/// C2, M6: columns and names change with the file, and every answer is wholly old or wholly new.
#[test]
fn answers_are_wholly_old_or_wholly_new() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let directory = |column: &str, name: &str| {
        Directory::of([key.clone()])
            .acme("columns", json!({ "calls": [column, "assistant_id"] }))
            .acme("assistants", json!({ "names": { "asst_1": name } }))
    };
    let (old, new) =
        (directory("created_at", "Old desk"), directory("duration_seconds", "New desk"));
    let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &old);
    let address = gateway.address();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asker = scope.spawn(|| {
            let request =
                crate::support::request::Request::new(address, "GET", "/api/calls").bearer(&key);
            let mut connection = crate::support::Connection::open(address);
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let row = request.send_on(&mut connection).json()["data"][0].clone();
                let is_old = row.get("created_at").is_some() && row["assistant_id"] == "Old desk";
                let is_new =
                    row.get("duration_seconds").is_some() && row["assistant_id"] == "New desk";
                assert!((is_old || is_new) && row.as_object().unwrap().len() == 3, "{row}");
            }
        });
        for round in 0..6 {
            let (directory, name) =
                if round % 2 == 0 { (&new, "New desk") } else { (&old, "Old desk") };
            gateway.write_directory(directory);
            let row = gateway.get("/api/calls").bearer(&key).send().json()["data"][0].clone();
            assert_eq!(row["assistant_id"], name, "the next request sees it");
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        asker.join().unwrap();
    });
}

/// Routes, upstreams and plans change with the file, for connections that are open, too.
#[test]
fn the_next_request_follows_the_new_file() {
    let (first, second) = (Upstream::answering(200, CALLS), Upstream::answering(200, CALLS));
    let key = reader("k");
    let directory = Directory::of([key.clone()]);
    let config = Config::with_upstream(&first);
    let mut gateway = Gateway::start(&config, &directory);
    let mut connection = gateway.connect();
    let mut asks =
        |gateway: &Gateway, target: &str| gateway.get(target).bearer(&key).send_on(&mut connection);
    assert_eq!(asks(&gateway, "/api/calls").number("x-ratelimit-remaining"), 2999);
    let moved = config.clone().upstream("calls", second.address());
    gateway.reload(&moved, &directory);
    assert_eq!(asks(&gateway, "/api/calls").status, 200);
    assert_eq!((first.requests_seen(), second.requests_seen()), (1, 1));
    let cheaper = moved
        .section("plans", "\n  enterprise: { limits: { minute: { requests: 100, window: 1m } } }")
        .section("routes", "\n  - { match: GET /api/other, upstream: calls, scope: calls:read, resource: calls, rows: \"data[]\" }");
    gateway.reload(&cheaper, &directory);
    assert_eq!(asks(&gateway, "/api/calls").verdict(), refusal(404, "not_found"));
    let other = asks(&gateway, "/api/other");
    assert_eq!((other.status, other.number("x-ratelimit-limit")), (200, 100));
}

/// X8: what cannot be served does not start, with the exit status for it, and says where the fault is.
#[test]
fn an_invalid_configuration_does_not_start() {
    let upstream = Upstream::answering(200, CALLS);
    let good = Config::with_upstream(&upstream).text();
    let directory = Directory::of([reader("k")]).text();
    for (text, named) in [
        (good.replace("scope: calls:read", "scope: cals:read"), "cals:read"),
        (good.replace("plans:", "plan:"), "plan"),
        (good.replace("127.0.0.1:0 }", "\"${NO_SUCH_VARIABLE}\" }"), "NO_SUCH_VARIABLE"),
        ("[".to_owned(), "gateway.yaml:1"),
    ] {
        let (code, said) = Launch::files(&text, &directory).refused();
        assert_eq!(code, Some(78), "{named}: {said}");
        assert!(said.contains(named) && said.contains("gateway.yaml"), "{named}: {said}");
    }
    let (code, said) =
        Launch::files(&good.replace("file: directory.yaml", "file: nowhere.yaml"), &directory)
            .refused();
    assert!(matches!(code, Some(69 | 78)), "{code:?}: {said}");
    assert!(said.contains("nowhere.yaml"), "{said}");
}

/// A port that is taken is a failure that names the address.
#[test]
fn a_taken_port_is_reported() {
    let upstream = Upstream::answering(200, CALLS);
    let taken = upstream.address().to_string();
    let config = Config::with_upstream(&upstream)
        .section("listeners", &format!("\n  - {{ address: \"{taken}\" }}"));
    let (code, said) =
        Launch::files(&config.text(), &Directory::of([reader("k")]).text()).refused();
    assert!(code.is_some_and(|code| code != 0), "{code:?}: {said}");
    assert!(said.contains(&taken), "{said}");
}

/// Several listeners serve alike.
#[test]
fn several_listeners_serve_alike() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k");
    let config = Config::with_upstream(&upstream)
        .section("listeners", "\n  - { address: 127.0.0.1:0 }\n  - { address: \"127.0.0.1:0\" }");
    let gateway = Gateway::start(&config, &Directory::of([key.clone()]));
    assert_eq!(gateway.addresses().len(), 2);
    for address in gateway.addresses() {
        let answer = crate::support::request::Request::new(*address, "GET", "/api/calls")
            .bearer(&key)
            .send();
        assert_eq!(answer.status, 200, "{address}");
    }
}

/// K10: a configuration that is broken never holds up a revocation, whoever asks for the reload.
#[test]
fn a_broken_configuration_does_not_hold_up_a_revocation() {
    for by_signal in [true, false] {
        let upstream = Upstream::answering(200, CALLS);
        let (kept, revoked) = (reader("kept"), reader("revoked"));
        let config = Config::with_upstream(&upstream);
        let gateway = Gateway::start(&config, &Directory::of([kept.clone(), revoked.clone()]));
        gateway.reload_refused("gateway.yaml", "version: [1", "gateway.yaml:");
        gateway.write_file("directory.yaml", &Directory::of([kept.clone()]).text());
        if by_signal {
            gateway.signal("HUP");
        } else {
            assert_eq!(gateway.admin("POST", "/admin/v1/reload").send().status, 422);
        }
        waiting::until("the end of the revoked key", || {
            (gateway.get("/api/calls").bearer(&revoked).send().status == 401).then_some(())
        });
        assert_eq!(gateway.get("/api/calls").bearer(&kept).send().status, 200);
        let status = gateway.admin("GET", "/admin/v1/status").send();
        assert!(
            status.text().contains("gateway.yaml:"),
            "the fault is still told: {}",
            status.text()
        );
    }
}
