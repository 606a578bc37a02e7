//! The life of a key through the admin API, on the embedded store.

use serde_json::{Value, json};

use crate::samples::CALLS;
use crate::support::postgres::Database;
use crate::support::stored::{Made, Stored};
use crate::support::{Config, Upstream, waiting};

/// Runs a test on SQLite, and on PostgreSQL where there is a server.
fn on_each_store(name: &str, test: impl Fn(Stored)) {
    let upstream = Upstream::answering(200, CALLS);
    test(Stored::start(&upstream));
    if let Some(database) = Database::make(name) {
        let url = database.url_through(database.server_address());
        let store = format!("{{ postgres: \"{url}\" }}");
        let stored = Stored::empty(&Config::with_upstream(&upstream).section("store", &store));
        stored.fill();
        test(stored);
    }
}

/// K1, K5, K7, K8, U4, U5, U6: the whole key is in the answer that makes it, and nowhere else.
#[test]
fn a_new_key_is_shown_once_and_works_at_once() {
    on_each_store("a_new_key_is_shown_once_and_works_at_once", |mut stored| {
        let body = json!({ "name": "CRM", "scopes": ["calls:read"], "data_scope": "org_full", "teams": ["101"] });
        let answer = stored.admin("POST", "/accounts/acme/keys", &body);
        assert_eq!(answer.status, 201, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let key = stored.made(&answer.json());
        assert_eq!((key.text.len(), &key.text[..6]), (70, "avoca_"));
        assert_eq!(stored.status(&key), 200, "in force when the answer is there");
        let shown = stored.read(&format!("/keys/{}", key.id));
        let listed = stored.read("/accounts/acme/keys");
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        for view in [&shown, &listed["items"][0]] {
            assert_eq!(view["name"], "CRM");
            assert_eq!(view["scopes"], json!(["calls:read"]));
            assert_eq!(view["data_scope"], "org_full");
            assert_eq!(view["teams"], json!(["101"]));
            assert_eq!(view["status"], "active");
            assert!(view["created_at"].as_str().unwrap().ends_with('Z'), "{view}");
            assert!(!view.to_string().contains(&key.text[10..66]), "{view}");
            let display = view["display"].as_str().unwrap();
            assert!(display.split('…').next().unwrap().len() <= 12, "{display}");
        }
    });
}

/// K9, K13, K14, K4, R12: a rename changes the name alone; a regenerated key keeps all but its text.
#[test]
fn a_key_keeps_its_id_limits_and_usage_through_rename_and_regenerate() {
    on_each_store(
        "a_key_keeps_its_id_limits_and_usage_through_rename_and_regenerate",
        |mut stored| {
            let body = json!({
                "name": "one", "scopes": ["calls:read"], "teams": ["101"],
                "limits": { "minute": { "requests": 100, "window": "30d" } },
            });
            let old = stored.create(&body);
            let left = |answer: &crate::support::Answer| answer.number("x-ratelimit-remaining");
            assert_eq!(left(&stored.ask(&old, "/api/calls")), 99);
            stored.good("PATCH", &format!("/keys/{}", old.id), &json!({ "name": "two" }));
            assert_eq!(left(&stored.ask(&old, "/api/calls")), 98);
            let answer = stored.good("POST", &format!("/keys/{}/regenerate", old.id), &json!({}));
            let new = stored.made(&answer);
            assert_eq!(new.id, old.id);
            assert_ne!(new.text, old.text);
            assert_eq!(stored.status(&old), 401, "at once");
            assert_eq!(left(&stored.ask(&new, "/api/calls")), 97, "the count goes on");
            let shown = stored.read(&format!("/keys/{}", new.id));
            assert_eq!(
                (shown["name"].as_str(), &shown["scopes"]),
                (Some("two"), &json!(["calls:read"]))
            );
            let usage = stored.read(&format!("/keys/{}/usage", new.id));
            assert_eq!(usage["total"], 3, "{usage}");
        },
    );
}

/// K15: with a grace both texts work, up to its end.
#[test]
fn a_replaced_text_works_through_its_grace_and_no_longer() {
    on_each_store("a_replaced_text_works_through_its_grace_and_no_longer", |mut stored| {
        let old = stored.create_reader("rotated");
        let path = format!("/keys/{}/regenerate", old.id);
        let new = stored.good("POST", &path, &json!({ "grace": "8s" }));
        let new = stored.made(&new);
        assert_eq!((stored.status(&old), stored.status(&new)), (200, 200));
        waiting::until("the end of the grace", || (stored.status(&old) == 401).then_some(()));
        assert_eq!(stored.status(&new), 200);
        let newest = stored.good("POST", &path, &json!({ "grace": "1h" }));
        let newest = stored.made(&newest);
        assert_eq!((stored.status(&new), stored.status(&newest)), (200, 200));
        stored.good("POST", &format!("/keys/{}/revoke", old.id), &Value::Null);
        assert_eq!(
            (stored.status(&new), stored.status(&newest)),
            (401, 401),
            "no grace for a revoked one"
        );
    });
}

/// K10, K11, K12, K20, K32: revoked for good, listed for audit, its place free at once.
#[test]
fn a_revoked_key_is_refused_from_the_answer_on_and_never_comes_back() {
    on_each_store(
        "a_revoked_key_is_refused_from_the_answer_on_and_never_comes_back",
        |mut stored| {
            let keys: Vec<Made> = (0..10).map(|n| stored.create_reader(&format!("k{n}"))).collect();
            let one_more = json!({ "name": "11", "scopes": ["calls:read"] });
            let refused = stored.admin("POST", "/accounts/acme/keys", &one_more);
            assert_eq!(refused.status, 409, "K19: {}", refused.text());
            let gone = &keys[3];
            let answer = stored.good("POST", &format!("/keys/{}/revoke", gone.id), &Value::Null);
            assert_eq!(answer["status"], "revoked", "{answer}");
            assert_eq!(stored.status(gone), 401);
            assert_eq!(stored.admin("POST", "/accounts/acme/keys", &one_more).status, 201);
            for (method, path, body) in [
                ("PATCH", String::new(), json!({ "name": "x" })),
                ("PATCH", String::new(), json!({ "expires_at": null })),
                ("POST", "/regenerate".to_owned(), json!({})),
            ] {
                let answer = stored.admin(method, &format!("/keys/{}{path}", gone.id), &body);
                assert_eq!(answer.status, 409, "{method} {path} {body}: {}", answer.text());
            }
            assert_eq!(stored.status(gone), 401);
            let of = |status: &str| -> Vec<String> {
                let listed = stored.read(&format!("/accounts/acme/keys?status={status}"));
                let ids = listed["items"].as_array().unwrap().iter();
                ids.map(|key| key["id"].as_str().unwrap().to_owned()).collect()
            };
            assert!(!of("active").contains(&gone.id));
            assert_eq!(of("revoked"), std::slice::from_ref(&gone.id));
            assert!(
                keys.iter().filter(|key| key.id != gone.id).all(|key| stored.status(key) == 200),
                "K4"
            );
        },
    );
}

/// K10: no request that begins after the answer passes, on connections that were there before.
#[test]
fn nothing_passes_after_the_answer_that_says_revoked() {
    on_each_store("nothing_passes_after_the_answer_that_says_revoked", |mut stored| {
        for round in 0..5 {
            let key = stored.create_reader(&format!("hammered {round}"));
            let revoked = std::sync::atomic::AtomicBool::new(false);
            let after = std::thread::scope(|scope| {
                let asking: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            let bearer = format!("Bearer {}", key.text);
                            let mut connection = stored.gateway.connect();
                            let (mut before, mut after) = (0, 0);
                            for _ in 0..2_000 {
                                let is_late = revoked.load(std::sync::atomic::Ordering::SeqCst);
                                let request = stored
                                    .gateway
                                    .get("/api/calls")
                                    .header("Authorization", &bearer);
                                let status = request.send_on(&mut connection).status;
                                match (is_late, status) {
                                    (true, 200) => after += 1,
                                    (true, _) => break,
                                    (false, 200) => before += 1,
                                    (false, _) => {}
                                }
                            }
                            (before, after)
                        })
                    })
                    .collect();
                std::thread::sleep(std::time::Duration::from_millis(100));
                stored.good("POST", &format!("/keys/{}/revoke", key.id), &Value::Null);
                revoked.store(true, std::sync::atomic::Ordering::SeqCst);
                asking.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(after.iter().all(|(before, _)| *before > 0), "they were asking: {after:?}");
            assert!(after.iter().all(|(_, after)| *after == 0), "{after:?}");
        }
    });
}

/// K17, K18: a key ends by the clock, without anybody doing anything.
#[test]
fn a_key_ends_by_the_clock_and_is_listed_as_expired() {
    on_each_store("a_key_ends_by_the_clock_and_is_listed_as_expired", |mut stored| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let ends = rfc3339(now.as_secs() + 9);
        let key = stored.create(
            &json!({ "name": "short", "scopes": ["calls:read"], "teams": ["101"], "expires_at": ends }),
        );
        assert_eq!(stored.status(&key), 200);
        waiting::until("the end of the key", || (stored.status(&key) == 401).then_some(()));
        assert_eq!(stored.read(&format!("/keys/{}", key.id))["status"], "expired");
        let listed = stored.read("/accounts/acme/keys?status=expired");
        assert_eq!(listed["items"][0]["id"], key.id.as_str());
        let again = json!({ "expires_at": null });
        assert_eq!(stored.admin("PATCH", &format!("/keys/{}", key.id), &again).status, 409, "K11");
    });
}

fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
    let z = days as i64 + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// R10: a limit is raised for a while; what was counted stays counted.
#[test]
fn limits_are_raised_for_a_period_without_forgetting_the_count() {
    on_each_store("limits_are_raised_for_a_period_without_forgetting_the_count", |mut stored| {
        let key = stored.create(&json!({
            "name": "spiky", "scopes": ["calls:read"], "teams": ["101"],
            "limits": { "minute": { "requests": 3, "window": "30d" } },
        }));
        let limit = |answer: &crate::support::Answer| {
            (
                answer.status,
                answer.number("x-ratelimit-limit"),
                answer.number("x-ratelimit-remaining"),
            )
        };
        for left in [2, 1, 0] {
            assert_eq!(limit(&stored.ask(&key, "/api/calls")), (200, 3, left));
        }
        assert_eq!(limit(&stored.ask(&key, "/api/calls")), (429, 3, 0));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let until = rfc3339(now.as_secs() + 10);
        let raised = json!({ "limits": { "minute": { "requests": 100, "window": "30d" } }, "limits_until": until });
        stored.good("PATCH", &format!("/keys/{}", key.id), &raised);
        assert_eq!(limit(&stored.ask(&key, "/api/calls")), (200, 100, 96));
        waiting::until("the end of the period", || {
            (limit(&stored.ask(&key, "/api/calls")).1 == 3).then_some(())
        });
        assert_eq!(stored.status(&key), 429);
    });
}

/// K29, K28: who is switched off cannot use a key issued to them; the key stays.
#[test]
fn a_user_who_is_switched_off_takes_the_keys_issued_to_them_along() {
    on_each_store(
        "a_user_who_is_switched_off_takes_the_keys_issued_to_them_along",
        |mut stored| {
            let ann = stored.create(&json!({
            "name": "Ann's", "scopes": ["calls:read"], "teams": ["101"], "data_scope": "user_full", "user": "u_ann",
        }));
            let org = stored.create_reader("org");
            assert_eq!(stored.status(&ann), 200);
            for (active, status) in [(false, 403), (true, 200)] {
                let body = json!({ "email": "ann@acme.test", "active": active });
                stored.good("PUT", "/accounts/acme/users/u_ann", &body);
                assert_eq!((stored.status(&ann), stored.status(&org)), (status, 200), "{active}");
            }
            assert_eq!(stored.read("/accounts/acme/keys")["items"].as_array().unwrap().len(), 2);
        },
    );
}

/// C2, M6: columns and names are in force with the next request.
#[test]
fn columns_and_assistants_are_in_force_with_the_next_request() {
    on_each_store("columns_and_assistants_are_in_force_with_the_next_request", |mut stored| {
        let key = stored.create_reader("crm");
        let row = |stored: &Stored| stored.ask(&key, "/api/calls").json()["data"][0].clone();
        assert_eq!(row(&stored)["duration_seconds"], 61);
        stored.good(
            "PUT",
            "/accounts/acme/columns",
            &json!({ "calls": ["call_id", "assistant_id"] }),
        );
        assert_eq!(row(&stored), json!({ "call_id": "call_1", "assistant_id": null }));
        let names = json!({ "names": { "asst_1": "Front desk" }, "fallback": null });
        stored.good("PUT", "/accounts/acme/assistants", &names);
        assert_eq!(row(&stored)["assistant_id"], "Front desk");
        stored.good("PUT", "/accounts/acme/columns?team=101", &json!({ "calls": ["created_at"] }));
        let shown = row(&stored);
        assert_eq!(
            shown.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["call_id", "created_at"]
        );
        let preview = json!({ "key": key.id, "resource": "calls", "body": serde_json::from_str::<Value>(CALLS).unwrap() });
        let previewed = stored.good("POST", "/accounts/acme/preview", &preview);
        assert!(!previewed.to_string().contains("+15550100"), "{previewed}");
        assert!(previewed.to_string().contains("2026-08-04T13:05:00"), "{previewed}");
    });
}

/// U1, U2, U8: every request of a live key is counted once, told apart, across a clean restart.
#[test]
fn usage_is_exact_and_survives_a_clean_stop() {
    on_each_store("usage_is_exact_and_survives_a_clean_stop", |mut stored| {
        let key = stored.create(&json!({
            "name": "busy", "scopes": ["calls:read"], "teams": ["101"],
            "limits": { "minute": { "requests": 1000, "window": "30d" } },
        }));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let bearer = format!("Bearer {}", key.text);
                    let mut connection = stored.gateway.connect();
                    for _ in 0..150 {
                        let request =
                            stored.gateway.get("/api/calls").header("Authorization", &bearer);
                        request.send_on(&mut connection);
                    }
                });
            }
        });
        let usage = stored.read(&format!("/keys/{}/usage", key.id));
        assert_eq!(usage["total"], 1200, "{usage}");
        for window in ["total", "last_24h", "last_7d", "last_30d"] {
            assert_eq!(usage[window], 1200, "{window}: {usage}");
            let told_apart = json!({ "admitted": 1000, "limited": 200, "refused": 0 });
            assert_eq!(usage["detail"][window], told_apart, "{window}");
        }
        assert_eq!(stored.ask(&key, "/api/leads").status, 429);
        stored.gateway.signal("TERM");
        stored.gateway.await_end();
        stored.gateway.start_again();
        let usage = stored.read(&format!("/keys/{}/usage", key.id));
        assert_eq!(usage["total"], 1201, "{usage}");
        assert!(usage["last_used"].is_string(), "{usage}");
    });
}

/// U7: who did what, without a secret.
#[test]
fn every_change_is_one_line_of_audit() {
    on_each_store("every_change_is_one_line_of_audit", |mut stored| {
        let key = stored.create_reader("audited");
        stored.good("PATCH", &format!("/keys/{}", key.id), &json!({ "name": "renamed" }));
        stored.good("POST", &format!("/keys/{}/revoke", key.id), &Value::Null);
        stored.good("POST", &format!("/keys/{}/revoke", key.id), &Value::Null);
        let audit = stored.read("/audit");
        let actions: Vec<&str> = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["action"].as_str().unwrap())
            .collect();
        assert_eq!(
            actions,
            ["key.revoked", "key.altered", "key.created", "user.put", "account.created"]
        );
        let digest = crate::support::directory::sha256(key.text.as_bytes());
        assert!(!audit.to_string().contains(&digest) && !audit.to_string().contains(&key.text));
    });
}
