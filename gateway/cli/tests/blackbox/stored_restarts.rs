//! What a store keeps through crashes, restarts and other processes at the same file.

use serde_json::{Value, json};

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::stored::{Made, Stored};
use crate::support::{Config, Directory, Key, Upstream, waiting};

/// SIGKILL at any moment loses no acknowledged change and brings no revoked key back.
#[test]
fn what_was_acknowledged_is_there_after_a_crash() {
    let upstream = Upstream::answering(200, CALLS);
    let mut stored = Stored::start(&upstream);
    let (mut live, mut dead): (Vec<Made>, Vec<Made>) = (Vec::new(), Vec::new());
    for round in 0..12 {
        let key = stored.create_reader(&format!("round {round}"));
        if let Some(old) = live.pop() {
            stored.good("POST", &format!("/keys/{}/revoke", old.id), &Value::Null);
            dead.push(old);
        }
        live.push(key);
        stored.gateway.start_again();
        assert!(live.iter().all(|key| stored.status(key) == 200), "round {round}");
        assert!(dead.iter().all(|key| stored.status(key) == 401), "round {round}");
    }
}

/// K5, X8: the text of a key is in no file, log line, metric or answer but the one that made it.
#[test]
fn a_canary_is_found_nowhere() {
    let upstream = Upstream::answering(200, CALLS);
    let mut stored = Stored::start(&upstream);
    let canary = stored.create_reader("canary");
    let regenerated =
        stored.good("POST", &format!("/keys/{}/regenerate", canary.id), &json!({ "grace": "1h" }));
    let second = stored.made(&regenerated);
    for key in [&canary, &second] {
        assert_eq!(stored.status(key), 200);
        stored.ask(key, &format!("/api/calls?fields={}", "phone_number"));
    }
    let mut said = vec![
        stored.gateway.telemetry("/metrics").text(),
        stored.read("/accounts/acme/keys?status=all").to_string(),
        stored.read(&format!("/keys/{}", canary.id)).to_string(),
        stored.read(&format!("/keys/{}/usage", canary.id)).to_string(),
        stored.read("/audit").to_string(),
        stored.read("/status").to_string(),
    ];
    stored.gateway.signal("TERM");
    stored.gateway.await_end();
    said.extend([stored.gateway.access.all().join("\n"), stored.gateway.log.all().join("\n")]);
    let mut files = 0;
    for entry in std::fs::read_dir(stored.gateway.folder()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        said.push(String::from_utf8_lossy(&bytes).into_owned());
        files += 1;
    }
    assert!(files >= 2, "the database and the configuration");
    for key in [&canary, &second] {
        // Any twenty characters of it would do for a guess.
        let parts = [&key.text[..], &key.text[6..26], &key.text[30..50], &key.text[50..70]];
        for (place, text) in said.iter().enumerate() {
            assert!(!parts.iter().any(|part| text.contains(part)), "in what was said {place}");
        }
    }
}

/// The command line and the gateway are at one database at the same time.
#[test]
fn what_the_command_line_changes_a_running_gateway_serves() {
    let upstream = Upstream::answering(200, CALLS);
    let mut stored = Stored::start(&upstream);
    let create = [
        "keys",
        "create",
        "--account",
        "acme",
        "--name",
        "from the shell",
        "--scope",
        "calls:read",
        "--team",
        "101",
        "--format",
        "json",
    ];
    let output = stored.gateway.command(&create, b"");
    assert_eq!(output.code, Some(0), "{}", output.text);
    let key = stored.made(&serde_json::from_str(output.said.trim()).unwrap());
    waiting::until("the key from the shell", || (stored.status(&key) == 200).then_some(()));
    let listed = stored.gateway.command(&["keys", "list", "--account", "acme"], b"");
    assert!(listed.code == Some(0) && listed.said.contains("from the shell"), "{}", listed.text);
    assert!(!listed.text.contains(&key.text));
    let revoked = stored.gateway.command(&["keys", "revoke", &key.id], b"");
    assert_eq!(revoked.code, Some(0), "{}", revoked.text);
    waiting::until("the end of the key", || (stored.status(&key) == 401).then_some(()));
    for (arguments, code) in [
        (vec!["keys", "show", "key_none"], 1),
        (vec!["keys", "create", "--account", "nobody", "--name", "x", "--scope", "calls:read"], 1),
        (vec!["keys", "create", "--account", "acme", "--name", "x", "--scope", "calls:fly"], 1),
        (vec!["accounts", "list"], 0),
        (vec!["accounts", "create", "beta", "--plan", "starter"], 0),
        (
            vec![
                "users",
                "put",
                "u_bob",
                "--account",
                "beta",
                "--email",
                "bob@beta.test",
                "--active",
            ],
            0,
        ),
        (vec!["users", "list", "--account", "beta"], 0),
        (vec!["accounts", "create", "gamma", "--plan", "none"], 1),
        (vec!["completions", "bash"], 0),
        (vec!["openapi"], 0),
    ] {
        let output = stored.gateway.command(&arguments, b"");
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.text);
    }
}

/// From a file to a store, and to another one: every key works on, and what was revoked stays so.
#[test]
fn a_directory_moves_from_a_file_to_a_store_and_on() {
    let upstream = Upstream::answering(200, CALLS);
    let config = Config::with_upstream(&upstream);
    let keys = [
        Key::new("live", &["calls:read"]).with("teams", json!([101])),
        Key::new("dead", &["calls:read"]).with("revoked_at", "2026-01-01T00:00:00Z"),
    ];
    let directory = Directory::of(keys.clone());
    let launch = Launch::files(
        &config.clone().section("store", "{ sqlite: one.db }").text(),
        &directory.text(),
    );
    launch.write("other.yaml", &config.clone().section("store", "{ sqlite: two.db }").text());
    for (arguments, said) in [
        (
            vec!["accounts", "import", "directory.yaml"],
            "1 accounts, 1 users and 2 keys are new here",
        ),
        (vec!["accounts", "import", "directory.yaml"], "0 accounts"),
        (
            vec!["accounts", "import", "--from", "gateway.yaml", "--config", "other.yaml"],
            "1 accounts, 1 users and 2 keys are new here",
        ),
    ] {
        let output = launch.command(&arguments, b"");
        assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.text);
        assert!(output.said.contains(said), "{arguments:?}: {}", output.text);
    }
    launch.write("gateway.yaml", &config.section("store", "{ sqlite: two.db }").text());
    let gateway = launch.start();
    let [live, dead] = keys;
    assert_eq!(gateway.get("/api/calls").bearer(&live).send().status, 200);
    assert_eq!(gateway.get("/api/calls").bearer(&dead).send().status, 401);
}

/// X12: a record that no longer fits the configuration is left out and told; the others serve.
#[test]
fn a_configuration_that_takes_a_plan_away_leaves_out_those_who_had_it() {
    let upstream = Upstream::answering(200, CALLS);
    let config = Config::with_upstream(&upstream).section("store", "{ sqlite: colonnade.db }");
    let mut stored = Stored::with(&config);
    let key = stored.create_reader("acme's");
    stored.good("POST", "/accounts", &json!({ "id": "beta", "name": "Beta", "plan": "starter" }));
    let other = json!({ "name": "beta's", "scopes": ["calls:read"] });
    let other = stored.good("POST", "/accounts/beta/keys", &other);
    let other = stored.made(&other);
    assert_eq!(stored.ask(&other, "/api/key").status, 200);
    let without = config.text().replace("  starter:", "  trial:");
    stored.gateway.write_file("gateway.yaml", &without);
    stored.gateway.signal("HUP");
    waiting::until("the account is left out", || {
        (stored.ask(&other, "/api/key").status == 401).then_some(())
    });
    assert_eq!(stored.status(&key), 200);
    assert!(stored.read("/status").to_string().contains("starter"), "{}", stored.read("/status"));
    stored.gateway.write_file("gateway.yaml", &config.text());
    stored.gateway.signal("HUP");
    waiting::until("the account is back", || {
        (stored.ask(&other, "/api/key").status == 200).then_some(())
    });
}

/// A database that cannot be read is a start that fails, not one that serves nobody or everybody.
#[test]
fn a_database_that_is_none_refuses_the_start() {
    let upstream = Upstream::answering(200, CALLS);
    let config = Config::with_upstream(&upstream).section("store", "{ sqlite: colonnade.db }");
    let launch = crate::support::gateway::Launch::files(&config.text(), "");
    launch.write("colonnade.db", "this is no database, whatever its name says\n");
    let (code, text) = launch.refused();
    assert_eq!(code, Some(69), "{text}");
    assert!(text.contains("colonnade.db"), "{text}");
}
