//! A server that is gone, or there and silent. PostgreSQL alone: a file does neither.
//!
//! What stands between is a relay that can be told to cut, refuse or hold what goes through it: to a
//! client, a server that was stopped, killed or taken off the network.

use std::sync::Arc;
use std::time::Duration;

use gateway_store::{KeyStatus, PostgresStore, Store, StoreError, WriteError};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::place::Place;
use crate::records::{
    NOW, all, author, create, create_again, key, later, rename, with_plain, write,
};

mod relay;

use relay::{Relay, Way};

/// Calls end after 5 seconds; a busy machine may take its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store behind a relay, and one that is not.
async fn opened(place: &Place) -> (Relay, Arc<dyn Store>, Arc<dyn Store>) {
    let relay = Relay::before(&place.address()).await;
    let store = PostgresStore::connect(&relay.url()).await.unwrap();
    let direct = place.open().await;
    with_plain(&*direct, "acme").await;
    (relay, Arc::new(store), direct)
}

fn is_away<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unreachable(_)))
}

/// More callers than connections: all of them get their answer within the bound.
async fn all_calls_are_away(store: &Arc<dyn Store>, direct: &dyn Store) {
    let known = direct.load().await.unwrap().revision;
    let mut calls = JoinSet::new();
    for number in 0..20 {
        let store = Arc::clone(store);
        calls.spawn(async move {
            match number % 4 {
                0 => is_away(&store.load().await),
                1 => is_away(&store.account("acme").await),
                2 => is_away(&store.news(known).await),
                _ => {
                    let written = store.write(rename("key_1", "x"), &author(), NOW).await;
                    matches!(written, Err(WriteError::Store(StoreError::Unreachable(_))))
                }
            }
        });
    }
    let all = timeout(PATIENCE, calls.join_all()).await.expect("no call hangs");
    assert!(all.into_iter().all(|is_away| is_away));
}

/// As if nothing had been: reads, writes and news.
async fn all_is_well(store: &Arc<dyn Store>, direct: &dyn Store, known: u64) {
    let back = async {
        while store.load().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, back).await.expect("it comes back");
    assert_eq!(store.load().await.unwrap(), direct.load().await.unwrap());
    assert_eq!(store.changes(known).await.unwrap(), direct.changes(known).await.unwrap());
    let revision = write(&**store, rename("key_1", &format!("after {known}"))).await.revision;
    let name = format!("heard after {revision}");
    let waiting = tokio::spawn({
        let store = Arc::clone(store);
        async move {
            while store.changes(revision).await.unwrap().accounts.is_empty() {
                store.news(revision).await.unwrap();
            }
        }
    });
    write(direct, rename("key_1", &name)).await;
    timeout(PATIENCE, waiting).await.expect("the change is heard of").unwrap();
}

/// Polling hides a listener that hears nothing; so nothing but the listener gets through here.
pub(crate) async fn news_come_by_listening_alone(place: Place) {
    let (relay, store, direct) = opened(&place).await;
    let revision = store.load().await.unwrap().revision;
    relay.is_listened_through().await;
    relay.set(Way::Listening);
    let waiting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.news(revision).await }
    });
    write(&*direct, create("acme", key("key_1"))).await;
    timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap()
        .expect("not from a look, which gets nowhere");
    let revision = direct.load().await.unwrap().revision;
    let silent = timeout(PATIENCE, store.news(revision)).await.unwrap();
    assert!(is_away(&silent), "nothing new, and a look gets nowhere");
}

pub(crate) async fn a_silent_server_costs_a_caller_seconds_and_nothing_is_missed(place: Place) {
    let (relay, store, direct) = opened(&place).await;
    let known = write(&*store, create("acme", key("key_1"))).await.revision;
    all_is_well(&store, &*direct, known).await;
    let known = store.load().await.unwrap().revision;
    for round in 0..2 {
        relay.set(Way::Held);
        all_calls_are_away(&store, &*direct).await;
        write(&*direct, create("acme", key(&format!("meanwhile_{round}")))).await;
        relay.set(Way::Open);
        all_is_well(&store, &*direct, known).await;
    }
}

/// A gateway may start before its database does. Callers do not wait behind one another for it.
pub(crate) async fn a_server_that_is_silent_from_the_start_costs_each_caller_the_same(
    place: Place,
) {
    let (relay, _, direct) = opened(&place).await;
    write(&*direct, create("acme", key("key_1"))).await;
    relay.set(Way::Held);
    let store: Arc<dyn Store> = Arc::new(PostgresStore::new(&relay.url()).unwrap());
    all_calls_are_away(&store, &*direct).await;
    relay.set(Way::Open);
    let known = direct.load().await.unwrap().revision;
    all_is_well(&store, &*direct, known).await;
}

pub(crate) async fn a_server_that_went_away_and_came_back_is_found_again(place: Place) {
    let (relay, store, direct) = opened(&place).await;
    let known = write(&*store, create("acme", key("key_1"))).await.revision;
    for round in 0..2 {
        relay.set(Way::Cut);
        all_calls_are_away(&store, &*direct).await;
        assert!(is_away(&PostgresStore::connect(&relay.url()).await));
        write(&*direct, create("acme", key(&format!("meanwhile_{round}")))).await;
        relay.set(Way::Open);
        all_is_well(&store, &*direct, known).await;
    }
}

/// Whether it was made is not known when a call was given up; asked for again, it is made once.
pub(crate) async fn a_creation_that_was_given_up_is_made_once(place: Place) {
    let (relay, store, direct) = opened(&place).await;
    for round in 0..3 {
        let made = |number: u32| {
            let key = key(&format!("key_{round}_{number}"));
            create_again("acme", key, &format!("token {round}"), "request")
        };
        // Cut at another of its messages each time: lock, records, commit.
        relay.cut_after(2 + round * 5);
        let given_up = store.write(made(0), &author(), NOW).await;
        let is_known = given_up.is_ok();
        relay.set(Way::Open);
        let mut number = 1;
        let written = loop {
            match store.write(made(number), &author(), later(1)).await {
                Ok(written) => break written,
                Err(WriteError::Store(StoreError::Unreachable(_))) if number < 100 => number += 1,
                Err(other) => panic!("{other}"),
            }
        };
        assert!(written.is_replay || !is_known);
        let keys = direct.keys("acme", KeyStatus::All, NOW, all(50)).await.unwrap().items;
        let of_round = format!("key_{round}_");
        let count = keys.iter().filter(|key| key.record.id.starts_with(&of_round)).count();
        assert_eq!(count, 1, "round {round}");
    }
}

/// A caller that goes away in the middle leaves nothing behind that the next one could meet.
pub(crate) async fn a_call_that_nobody_waits_for_any_more_leaves_no_trace(place: Place) {
    let (relay, store, direct) = opened(&place).await;
    write(&*store, create("acme", key("key_1"))).await;
    for round in 0..6 {
        relay.hold_after(3 + round);
        let call = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.write(rename("key_1", "left"), &author(), NOW).await }
        });
        relay.holds().await;
        call.abort();
        assert!(call.await.is_err());
        relay.set(Way::Open);
        let name = format!("round {round}");
        write(&*store, rename("key_1", &name)).await;
        assert_eq!(direct.key("key_1").await.unwrap().unwrap().record.name, name);
    }
}
