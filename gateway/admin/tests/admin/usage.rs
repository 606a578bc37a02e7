//! Usage as it is shown.

use gateway_limits::UnixMs;
use gateway_store::{Counts, UsageFlush, UsageRow};
use serde_json::json;

use crate::node::BEGAN;
use crate::support::Admin;

const DAY_MS: u64 = 86_400_000;

fn flush(number: u64, key: &str, at: u64, counts: Counts) -> UsageFlush {
    let rows = vec![UsageRow { key: key.to_owned(), counts, last_used: UnixMs(at) }];
    UsageFlush { node: "n1".to_owned(), number, at: UnixMs(at), rows }
}

/// U1, U2, U3, U8: total, last used and three windows; 429s and refusals are told apart.
#[tokio::test]
async fn usage_is_told_by_window_and_outcome() {
    let admin = Admin::with_acme().await;
    let used = admin.key("used").await;
    // Keys of one instant are listed by id.
    admin.node.pass(1);
    let unused = admin.key("unused").await;
    let some = |admitted| Counts { admitted, ..Counts::default() };
    let days = |n: u64| BEGAN - n * DAY_MS;
    for (number, at, counts) in [
        (1, days(90), some(1_000)),
        (2, days(20), some(100)),
        (3, days(3), some(10)),
        (4, BEGAN, Counts { admitted: 1, limited: 2, refused: 3 }),
    ] {
        let flush = flush(number, &used, at, counts);
        admin.store.add_usage(&flush).await.unwrap();
    }
    let usage = admin.get(&format!("/keys/{used}/usage")).await.good();
    assert_eq!(usage["total"], json!(1_116));
    assert_eq!(usage["last_24h"], json!(6));
    assert_eq!(usage["last_7d"], json!(16));
    assert_eq!(usage["last_30d"], json!(116));
    assert_eq!(usage["last_used"], json!("2026-11-21T10:00:00Z"));
    assert_eq!(usage["detail"]["last_24h"], json!({"admitted": 1, "limited": 2, "refused": 3}));
    let none = admin.get(&format!("/keys/{unused}/usage")).await.good();
    assert_eq!((&none["total"], &none["last_used"]), (&json!(0), &json!(null)));
    let listed = admin.get("/accounts/acme/keys").await.good();
    let totals: Vec<_> =
        listed["items"].as_array().unwrap().iter().map(|key| key["usage_total"].clone()).collect();
    assert_eq!(totals, [json!(1_116), json!(0)]);
}

/// U1: what this node has counted is there when it is asked for, and stays through a new secret.
#[tokio::test]
async fn what_was_just_counted_is_told() {
    let admin = Admin::with_acme().await;
    let id = admin.key("CRM").await;
    let counts = Counts { admitted: 5, ..Counts::default() };
    admin.node.counted.lock().unwrap().push(flush(1, &id, BEGAN + 7, counts));
    let key = admin.get(&format!("/keys/{id}")).await.good();
    assert_eq!(
        (&key["usage_total"], &key["last_used"]),
        (&json!(5), &json!("2026-11-21T10:00:00.007Z"))
    );
    let renewed = admin.post(&format!("/keys/{id}/regenerate"), json!({})).await.good();
    assert_eq!(renewed["usage_total"], json!(5));
}
