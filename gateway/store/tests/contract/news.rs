//! What gateways hear of each other's changes.

use std::time::Duration;

use gateway_store::{Change, Delta, Store};
use tokio::time::{Instant, timeout};

use crate::place::Place;
use crate::records::{acme, ann, create, full_key, key, rename, revoke, with_acme, with_plain, write};

/// Far more than any store needs; a busy machine must not fail a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Accounts with their users and the ids of their keys.
fn seen(delta: &Delta) -> Vec<(&str, usize, Vec<&str>)> {
    delta
        .accounts
        .iter()
        .map(|account| {
            let keys = account.keys.iter().map(|key| key.id.as_str()).collect();
            (account.id.as_str(), account.users.len(), keys)
        })
        .collect()
}

pub(crate) async fn changes_are_what_is_newer(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await; // 1, 2
    with_plain(&*store, "other").await; // 3
    write(&*store, create("acme", full_key("key_1"))).await; // 4
    write(&*store, create("acme", key("key_2"))).await; // 5
    write(&*store, create("other", key("key_3"))).await; // 6
    write(&*store, rename("key_1", "new")).await; // 7
    write(&*store, Change::PutUser { account: "other".to_owned(), user: ann() }).await; // 8
    for (since, expected) in [
        (0, vec![("acme", 1, vec!["key_1", "key_2"]), ("other", 1, vec!["key_3"])]),
        (4, vec![("acme", 1, vec!["key_1", "key_2"]), ("other", 1, vec!["key_3"])]),
        (5, vec![("acme", 1, vec!["key_1"]), ("other", 1, vec!["key_3"])]),
        (6, vec![("acme", 1, vec!["key_1"]), ("other", 1, vec![])]),
        (7, vec![("other", 1, vec![])]),
        (8, vec![]),
    ] {
        let delta = store.changes(since).await.unwrap();
        assert_eq!((delta.revision, seen(&delta)), (8, expected), "since {since}");
    }
    let all = store.load().await.unwrap();
    assert_eq!(store.changes(0).await.unwrap(), all);
    write(&*store, revoke("key_1")).await;
    let delta = store.changes(8).await.unwrap();
    assert!(delta.accounts[0].keys[0].revoked_at.is_some(), "a dead key is told too");
}

/// A store that was set back, as from a backup, says so by its revision.
pub(crate) async fn a_revision_that_never_was_is_told(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    assert_eq!(store.changes(50).await.unwrap().revision, 2);
    let began = Instant::now();
    store.news(50).await.unwrap();
    assert!(began.elapsed() < PATIENCE);
}

pub(crate) async fn two_handles_see_each_other_s_news(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    with_plain(&*one, "acme").await;
    let mut known = 0;
    for number in 0..10 {
        let revision = write(&*one, create("acme", key(&format!("key_{number}")))).await.revision;
        assert!(heard(&*other, revision).await >= known);
        known = revision;
        let revision = write(&*other, rename(&format!("key_{number}"), "new")).await.revision;
        heard(&*one, revision).await;
    }
    let alone = timeout(PATIENCE, other.news(known + 1)).await;
    alone.expect("without news it comes back too").unwrap();
}

/// Waits for a revision as a gateway does.
async fn heard(store: &dyn Store, revision: u64) -> u64 {
    let wait = async {
        let mut known = store.changes(revision - 1).await.unwrap().revision;
        while known < revision {
            store.news(known).await.unwrap();
            known = store.changes(known).await.unwrap().revision;
        }
        known
    };
    timeout(PATIENCE, wait).await.expect("the change is heard of")
}

/// A change wakes who waits already, without his asking again.
pub(crate) async fn who_waits_is_woken(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    for store in [&one, &other] {
        let revision = one.load().await.unwrap().revision;
        let waiting = {
            let store = std::sync::Arc::clone(store);
            tokio::spawn(async move { heard(&*store, revision + 1).await })
        };
        let mut record = acme();
        record.id = format!("account_{revision}");
        write(&*one, Change::CreateAccount(Box::new(record))).await;
        assert_eq!(waiting.await.unwrap(), revision + 1);
    }
}
