//! Keys come, change and go while requests run: one key's life never touches another's (K4, K9,
//! K10, K13, K15, K17), all through the directory file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::samples::CALLS;
use crate::support::answer::refusal;
use crate::support::{Config, Directory, Gateway, Key, Upstream, waiting};

fn reader(id: &str) -> Key {
    Key::new(id, &["calls:read"])
}

/// K4: load on B while A is added, renamed, limited, revoked and removed. B sees nothing of it.
#[test]
fn one_key_changing_never_disturbs_another() {
    let upstream = Upstream::answering(200, CALLS);
    let b = reader("b").limited(1_000_000, "30d");
    let without = Directory::of([b.clone()]);
    let with = |a: Key| without.clone().key("acme", a);
    let mut gateway = Gateway::start(&Config::with_upstream(&upstream), &without);
    let address = gateway.address();
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let request =
                        crate::support::request::Request::new(address, "GET", "/api/calls")
                            .bearer(&b);
                    let mut connection = crate::support::Connection::open(address);
                    let mut remaining = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let answer = request.send_on(&mut connection);
                        assert_eq!(answer.status, 200, "{}", answer.text());
                        remaining.push(answer.number("x-ratelimit-remaining"));
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                    assert!(
                        remaining.windows(2).all(|two| two[1] < two[0]),
                        "the count only ever goes down"
                    );
                })
            })
            .collect();
        for directory in [
            with(reader("a")),
            with(reader("a").with("name", "Another name")),
            with(reader("a").limited(1, "1m")),
            with(Key::with_text("a", "a-new-secret-of-the-same-key-0123456789", &["calls:read"])),
            with(reader("a").with("revoked_at", "2026-01-01T00:00:00Z")),
            without.clone(),
        ] {
            let before = asked.load(Ordering::SeqCst);
            gateway.write_directory(&directory);
            waiting::until("requests after the change", || {
                (asked.load(Ordering::SeqCst) > before + 5).then_some(())
            });
        }
        stop.store(true, Ordering::SeqCst);
        askers.into_iter().for_each(|asker| asker.join().unwrap());
    });
    let used = asked.load(Ordering::SeqCst);
    let last = gateway.get("/api/calls").bearer(&b).send();
    assert_eq!(last.number("x-ratelimit-remaining"), 1_000_000 - used - 1, "no limit was reset");
}

/// K9: a rename changes the name and nothing else; the connection in use goes on.
#[test]
fn a_rename_changes_the_name_alone() {
    let upstream = Upstream::answering(200, CALLS);
    let key = reader("k").with("name", "Key 1").limited(100, "30d");
    let mut gateway =
        Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let mut connection = gateway.connect();
    let mut names = Vec::new();
    for name in ["Key 1", "Zapier – CS Team", "Büro 受付 📞"] {
        gateway.write_directory(&Directory::of([key.clone().with("name", name)]));
        let told = gateway.get("/api/key").bearer(&key).send_on(&mut connection);
        assert_eq!(told.status, 200);
        names.push(told.json()["name"].as_str().unwrap().to_owned());
        assert_eq!(gateway.get("/api/calls").bearer(&key).send_on(&mut connection).status, 200);
        assert_eq!(upstream.last().header("x-colonnade-key-id").as_deref(), Some("k"));
    }
    assert_eq!(names, ["Key 1", "Zapier – CS Team", "Büro 受付 📞"]);
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().number("x-ratelimit-remaining"), 93);
}

/// K10: once the revocation is in force, no request passes, on kept connections neither.
#[test]
fn after_a_revocation_not_one_request_passes() {
    let upstream = Upstream::answering(200, CALLS);
    let (key, other) = (reader("k"), reader("other"));
    for gone in [
        Directory::of([other.clone(), key.clone().with("revoked_at", "2026-01-01T00:00:00Z")]),
        Directory::of([other.clone()]),
    ] {
        let mut gateway = Gateway::start(
            &Config::with_upstream(&upstream),
            &Directory::of([other.clone(), key.clone()]),
        );
        let mut kept: Vec<_> = (0..8).map(|_| gateway.connect()).collect();
        for connection in &mut kept {
            assert_eq!(gateway.get("/api/calls").bearer(&key).send_on(connection).status, 200);
        }
        gateway.write_directory(&gone);
        upstream.forget();
        for round in 0..5 {
            for connection in &mut kept {
                let answer = gateway.get("/api/calls").bearer(&key).send_on(connection);
                assert_eq!(answer.verdict(), refusal(401, "invalid_api_key"), "round {round}");
            }
        }
        assert_eq!(upstream.requests_seen(), 0);
        assert_eq!(gateway.get("/api/calls").bearer(&other).send_on(&mut kept[0]).status, 200);
    }
}

/// K13: a new secret under the same id works, the old one is dead, and the count goes on.
#[test]
fn a_new_secret_takes_the_place_of_the_old() {
    let upstream = Upstream::answering(200, CALLS);
    let old = reader("k").limited(10, "30d");
    let new = Key::with_text("k", "avoca_a-new-secret-0123456789abcdef", &["calls:read"])
        .limited(10, "30d");
    let mut gateway =
        Gateway::start(&Config::with_upstream(&upstream), &Directory::of([old.clone()]));
    assert_eq!(gateway.get("/api/calls").bearer(&old).send().number("x-ratelimit-remaining"), 9);
    gateway.write_directory(&Directory::of([new.clone()]));
    assert_eq!(gateway.get("/api/calls").bearer(&old).send().status, 401);
    assert_eq!(gateway.get("/api/calls").bearer(&new).send().number("x-ratelimit-remaining"), 8);
}

/// K15: two keys with the same scopes work side by side, each on its own limit, until the old one goes.
#[test]
fn rotation_with_an_overlap_works() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (reader("old").limited(5, "30d"), reader("new").limited(5, "30d"));
    let mut gateway =
        Gateway::start(&Config::with_upstream(&upstream), &Directory::of([old.clone()]));
    gateway.write_directory(&Directory::of([old.clone(), new.clone()]));
    for key in [&old, &new] {
        assert_eq!(
            gateway.get("/api/calls").bearer(key).send().number("x-ratelimit-remaining"),
            4,
            "{}",
            key.id
        );
    }
    gateway.write_directory(&Directory::of([new.clone()]));
    assert_eq!(gateway.get("/api/calls").bearer(&old).send().status, 401);
    assert_eq!(gateway.get("/api/calls").bearer(&new).send().status, 200);
}

/// K17: a key expires by the clock, with nobody doing anything, and stays expired.
#[test]
fn a_key_expires_by_the_clock() {
    let upstream = Upstream::answering(200, CALLS);
    let now_s = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let expires_at_s = now_s() + 6;
    let key = reader("k").with("expires_at", rfc3339(expires_at_s));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([key.clone()]));
    let mut connection = gateway.connect();
    let mut asks = || gateway.get("/api/calls").bearer(&key).send_on(&mut connection).verdict();
    assert_eq!(asks(), refusal(200, ""), "while it lives");
    let seen = waiting::until("the end of the key", || {
        let before = SystemTime::now();
        (asks() == refusal(401, "invalid_api_key")).then_some(before)
    });
    let end = UNIX_EPOCH + Duration::from_secs(expires_at_s);
    let late = seen.duration_since(end).unwrap_or_default();
    assert!(SystemTime::now() >= end, "not before its time");
    assert!(late < Duration::from_secs(5), "{late:?} late");
    assert_eq!(asks(), refusal(401, "invalid_api_key"));
    assert_eq!(gateway.metric("colonnade_auth_total", &[("reason", "expired")]), 2.0);
}

/// Seconds since 1970 as RFC 3339 in UTC (the days by Howard Hinnant's civil-from-days).
fn rfc3339(at_s: u64) -> String {
    let (days, rest) = (at_s / 86_400 + 719_468, at_s % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}
