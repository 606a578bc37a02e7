//! Several gateways on one PostgreSQL database, and what they do while it is away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::postgres::{Database, Relay};
use crate::support::stored::{Made, Stored};
use crate::support::{Config, Upstream, waiting};

/// A database with the account `acme`, and two gateways that reach it each by a way of its own.
struct Fleet {
    one: Stored,
    other: Stored,
    /// The way of `other`.
    way: Relay,
    config: Config,
    _upstream: Upstream,
    // Goes last.
    _database: Database,
}

impl Fleet {
    fn start(test: &str) -> Option<Fleet> {
        let database = Database::make(test)?;
        let upstream = Upstream::answering(200, CALLS);
        let on = |address| {
            let store = format!("{{ postgres: \"{}\" }}", database.url_through(address));
            Config::with_upstream(&upstream).section("store", &store)
        };
        let one = Stored::empty(&on(database.server_address()));
        one.fill();
        let way = Relay::to(database.server_address());
        let config = on(way.address());
        let other = Stored::empty(&config);
        Some(Fleet { one, other, way, config, _upstream: upstream, _database: database })
    }

    /// A key that both serve.
    fn key(&mut self, name: &str) -> Made {
        let key = self.one.create_reader(name);
        self.other.gateway.keep_key_secret(&key.text);
        waiting::until("the key at the other", || (self.other.status(&key) == 200).then_some(()));
        key
    }

    fn revoke(&self, key: &Made) -> Value {
        self.one.good("POST", &format!("/keys/{}/revoke?wait=10s", key.id), &Value::Null)
    }
}

/// K10, K14: an answer that was waited for says that every gateway refuses, and they do.
#[test]
fn a_revocation_that_is_waited_for_holds_at_every_gateway() {
    let Some(mut fleet) = Fleet::start("a_revocation_that_is_waited_for_holds_at_every_gateway")
    else {
        return;
    };
    let mut slowest = Duration::ZERO;
    for round in 0..20 {
        let key = fleet.key(&format!("round {round}"));
        let began = Instant::now();
        let answer = fleet.revoke(&key);
        slowest = slowest.max(began.elapsed());
        assert_eq!((fleet.one.status(&key), fleet.other.status(&key)), (401, 401), "{answer}");
        let nodes = answer["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 2, "{answer}");
        assert!(nodes.iter().all(|node| node["serves"] == true), "{answer}");
    }
    println!(
        "slowest of 20 revocations until both gateways had told that they refuse: {slowest:?}"
    );
    let status = fleet.other.read("/status");
    assert_eq!(status["nodes"].as_array().unwrap().len(), 2, "{status}");
}

/// The store is cut off: what is known is served, nothing can be changed, and nothing is missed.
#[test]
fn a_gateway_whose_store_is_gone_serves_on_and_catches_up() {
    let Some(mut fleet) = Fleet::start("a_gateway_whose_store_is_gone_serves_on_and_catches_up")
    else {
        return;
    };
    let (kept, revoked) = (fleet.key("kept"), fleet.key("revoked meanwhile"));
    for away in ["cut", "frozen"] {
        if away == "cut" {
            fleet.way.cut()
        } else {
            fleet.way.freeze()
        }
        let body = json!({ "name": "x", "scopes": ["calls:read"] });
        let refused = fleet.other.admin("POST", "/accounts/acme/keys", &body);
        assert_eq!((refused.status, refused.code()), (503, "store_unavailable".into()), "{away}");
        assert!(refused.header("retry-after").is_some());
        for _ in 0..200 {
            assert_eq!(fleet.other.status(&kept), 200, "{away}");
        }
        assert_eq!(fleet.other.gateway.telemetry("/readyz").status, 200, "{away}: it is ready");
        if away == "cut" {
            fleet.one.good("POST", &format!("/keys/{}/revoke", revoked.id), &Value::Null);
            assert_eq!(fleet.other.status(&revoked), 200, "it cannot know");
        }
        fleet.way.mend();
        waiting::until("what was missed", || (fleet.other.status(&revoked) == 401).then_some(()));
        assert_eq!(fleet.other.status(&kept), 200);
        let made = waiting::until("a store that takes changes", || {
            let answer = fleet.other.admin("POST", "/accounts/acme/keys", &body);
            (answer.status == 201).then(|| answer.json())
        });
        let made = fleet.other.made(&made);
        fleet.one.gateway.keep_key_secret(&made.text);
        waiting::until("the new key", || {
            (fleet.one.ask(&made, "/api/key").status == 200).then_some(())
        });
    }
}

/// A start without the store serves what was last known, and says so; no revoked key comes back.
#[test]
fn a_start_while_the_store_is_away_is_from_the_snapshot() {
    let Some(mut fleet) = Fleet::start("a_start_while_the_store_is_away_is_from_the_snapshot")
    else {
        return;
    };
    let (kept, revoked) = (fleet.key("kept"), fleet.key("revoked"));
    fleet.revoke(&revoked);
    fleet.way.cut();
    // As SIGKILL does.
    fleet.other.gateway.start_again();
    assert_eq!((fleet.other.status(&kept), fleet.other.status(&revoked)), (200, 401));
    let log = fleet.other.gateway.log.all().join("\n");
    assert!(log.contains("what was last known is served"), "{log}");
    let later = fleet.one.create_reader("later");
    assert_eq!(fleet.other.status(&later), 401, "it cannot know");
    fleet.way.mend();
    waiting::until("what was missed", || (fleet.other.status(&later) == 200).then_some(()));
    waiting::until("a status that says so", || {
        (fleet.other.read("/status")["directory"]["from_snapshot"] == false).then_some(())
    });

    let snapshot = fleet.other.gateway.folder().join("colonnade.snapshot");
    let text = std::fs::read_to_string(&snapshot).unwrap();
    assert!(!text.contains(&kept.text[6..40]), "digests, no keys");
    fleet.way.cut();
    for (what, snapshot) in [
        ("none", None),
        ("a damaged one", Some(text.replace("acme", "acne"))),
        ("one of another store", Some(text.clone())),
    ] {
        let config = if what == "one of another store" {
            let other = Relay::to("127.0.0.1:9".parse().unwrap());
            other.cut();
            let store = format!("{{ postgres: \"postgres://nobody@{}/other\" }}", other.address());
            fleet.config.clone().section("store", &store)
        } else {
            fleet.config.clone()
        };
        let launch = Launch::files(&config.text(), "");
        if let Some(text) = &snapshot {
            launch.write("colonnade.snapshot", text);
        }
        let (code, said) = launch.refused();
        assert_eq!(code, Some(69), "{what}: {said}");
    }
}

/// K10: a snapshot that cannot be kept up goes. A start from it would bring back what was revoked since.
#[test]
fn a_snapshot_that_cannot_be_written_anew_is_taken_away() {
    let Some(mut fleet) = Fleet::start("a_snapshot_that_cannot_be_written_anew_is_taken_away")
    else {
        return;
    };
    let key = fleet.key("revoked");
    let snapshot = fleet.other.gateway.folder().join("colonnade.snapshot");
    assert!(snapshot.exists());
    // Where the next one is written first: as little can be done there as on a full disk.
    std::fs::create_dir(fleet.other.gateway.folder().join("colonnade.snapshot.new")).unwrap();
    fleet.way.cut();
    fleet.other.gateway.start_again();
    assert_eq!(fleet.other.status(&key), 200, "from the snapshot");
    fleet.way.mend();
    waiting::until("a gateway that has found its store", || {
        (fleet.other.read("/status")["directory"]["from_snapshot"] == false).then_some(())
    });
    fleet.other.good("POST", &format!("/keys/{}/revoke", key.id), &Value::Null);
    assert_eq!(fleet.other.status(&key), 401);
    assert!(!snapshot.exists(), "it says that the key lives");
}

/// U2: what two gateways count is one sum.
#[test]
fn usage_of_all_gateways_is_one_sum() {
    let Some(mut fleet) = Fleet::start("usage_of_all_gateways_is_one_sum") else { return };
    let key = fleet.one.create_reader("used by both");
    waiting::until("the key at the other", || (fleet.other.status(&key) == 200).then_some(()));
    let usage =
        |at: &Stored| at.read(&format!("/keys/{}/usage", key.id))["total"].as_u64().unwrap();
    let before = usage(&fleet.other);
    for _ in 0..50 {
        assert_eq!((fleet.one.status(&key), fleet.other.status(&key)), (200, 200));
    }
    assert!(usage(&fleet.one) >= 50);
    assert_eq!(usage(&fleet.other), before + 100);
}
