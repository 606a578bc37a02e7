//! How often keys are used.

use gateway_limits::UnixMs;
use gateway_store::{Counts, Store, Usage, UsageFlush, UsageRow};

use crate::place::Place;
use crate::records::{DAY_MS, HOUR_MS, NOW, later};

fn counts(admitted: u64, limited: u64, refused: u64) -> Counts {
    Counts { admitted, limited, refused }
}

fn row(key: &str, admitted: u64, last_used: UnixMs) -> UsageRow {
    UsageRow { key: key.to_owned(), counts: counts(admitted, 0, 0), last_used }
}

fn flush(node: &str, number: u64, at: UnixMs, rows: Vec<UsageRow>) -> UsageFlush {
    UsageFlush { node: node.to_owned(), number, at, rows }
}

async fn usage(store: &dyn Store, key: &str, now: UnixMs) -> Option<Usage> {
    store.usage(&[key.to_owned()], now).await.unwrap().pop()
}

/// U2, U8: each kind by itself, from however many nodes.
pub(crate) async fn counts_of_all_nodes_are_added(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let used = |last_used| UsageRow { counts: counts(5, 2, 1), ..row("key_1", 0, last_used) };
    one.add_usage(&flush("n1", 1, NOW, vec![used(later(3)), row("key_2", 1, NOW)])).await.unwrap();
    other.add_usage(&flush("n2", 1, NOW, vec![used(later(9))])).await.unwrap();
    one.add_usage(&flush("n1", 2, NOW, vec![used(later(6))])).await.unwrap();
    let sum = counts(15, 6, 3);
    let expected = Usage {
        key: "key_1".to_owned(),
        total: sum,
        last_used: Some(later(9)),
        day: sum,
        week: sum,
        month: sum,
    };
    for store in [one, other] {
        assert_eq!(usage(&*store, "key_1", NOW).await.unwrap(), expected);
    }
}

/// An answer that was lost is no reason to count twice.
pub(crate) async fn the_same_flush_again_adds_nothing(place: Place) {
    let store = place.open().await;
    for number in [1, 1, 2, 1, 2] {
        let rows = vec![row("key_1", 10, NOW)];
        store.add_usage(&flush("n1", number, NOW, rows)).await.unwrap();
    }
    let many: Vec<_> = (0..8).map(|_| place.open()).collect();
    let mut writers = Vec::new();
    for store in many {
        let store = store.await;
        let flush = flush("n2", 1, NOW, vec![row("key_1", 10, NOW)]);
        writers.push(tokio::spawn(async move { store.add_usage(&flush).await }));
    }
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    assert_eq!(usage(&*store, "key_1", NOW).await.unwrap().total, counts(30, 0, 0));
}

/// U3: the hour or day under way and the full ones before it. A flush counts in the hour that it
/// bears, however late it comes.
pub(crate) async fn windows_hold_what_is_as_young_as_they_are_long(place: Place) {
    let store = place.open().await;
    let now = later(20 * 60_000);
    // Age, and whether it is of the last 24 hours, 7 days and 30 days.
    for (number, (age_ms, day, week, month)) in (1..).zip([
        (0, true, true, true),
        (24 * HOUR_MS, true, true, true),
        (24 * HOUR_MS + 20 * 60_000, true, true, true),
        (24 * HOUR_MS + 20 * 60_000 + 1, false, true, true),
        (7 * DAY_MS, false, true, true),
        (7 * DAY_MS + 20 * 60_000 + 1, false, false, true),
        (30 * DAY_MS, false, false, true),
        (31 * DAY_MS, false, false, false),
        (500 * DAY_MS, false, false, false),
    ]) {
        let key = format!("key_{number}");
        let at = UnixMs(now.0 - age_ms);
        store.add_usage(&flush("n", number, at, vec![row(&key, 1, at)])).await.unwrap();
        let read = usage(&*store, &key, now).await.unwrap();
        let seen = [read.day, read.week, read.month].map(|counts| counts.admitted == 1);
        assert_eq!(seen, [day, week, month], "{age_ms} ms ago");
        assert_eq!((read.total, read.last_used), (counts(1, 0, 0), Some(at)));
    }
}

pub(crate) async fn usage_is_read_in_the_order_asked_for(place: Place) {
    let store = place.open().await;
    let rows = ["a", "b", "c"].map(|key| row(key, 1, NOW)).to_vec();
    store.add_usage(&flush("n", 1, NOW, rows)).await.unwrap();
    let asked = ["c", "never", "a"].map(str::to_owned);
    let read = store.usage(&asked, NOW).await.unwrap();
    let keys: Vec<_> = read.iter().map(|usage| usage.key.as_str()).collect();
    assert_eq!(keys, ["c", "a"]);
    assert_eq!(store.usage(&[], NOW).await.unwrap(), []);
}

/// What a gateway of another make could send.
pub(crate) async fn odd_flushes_are_added_as_well(place: Place) {
    let store = place.open().await;
    store.add_usage(&flush("n", 0, NOW, vec![])).await.unwrap();
    let twice = vec![row("b", 1, later(1)), row("a", 1, NOW), row("b", 2, NOW)];
    store.add_usage(&flush("n", 1, NOW, twice)).await.unwrap();
    let read = usage(&*store, "b", NOW).await.unwrap();
    assert_eq!((read.total.admitted, read.last_used), (3, Some(later(1))));
    let most = UsageRow { counts: counts(u64::MAX, u64::MAX, u64::MAX), ..row("c", 0, NOW) };
    for number in 2..10 {
        store.add_usage(&flush("n", number, NOW, vec![most.clone()])).await.unwrap();
    }
    assert!(usage(&*store, "c", NOW).await.unwrap().total.admitted > 1 << 40);
}

/// Many at once, as of a busy gateway; what is too old to be asked for goes.
pub(crate) async fn a_large_flush_is_added_and_old_spans_go(place: Place) {
    let store = place.open().await;
    let keys: Vec<String> = (0..5_000).map(|number| format!("key_{number}")).collect();
    let rows = |at| keys.iter().map(|key| row(key, 2, at)).collect::<Vec<_>>();
    store.add_usage(&flush("old", 1, NOW, rows(NOW))).await.unwrap();
    for (number, days) in [(1, 10), (64, 401)] {
        let at = later(days * DAY_MS);
        store.add_usage(&flush("new", number, at, rows(at))).await.unwrap();
    }
    let read = store.usage(&keys, NOW).await.unwrap();
    assert_eq!(read.len(), keys.len());
    for usage in read {
        // Of NOW's hour and day nothing is left; what came later is not older than NOW.
        assert_eq!(usage.total, counts(6, 0, 0), "{}", usage.key);
        assert_eq!(usage.month, counts(4, 0, 0), "{}", usage.key);
    }
    // The note of the first flush is gone with them.
    store.add_usage(&flush("old", 1, NOW, vec![row("key_1", 1, NOW)])).await.unwrap();
    assert_eq!(usage(&*store, "key_1", NOW).await.unwrap().total, counts(7, 0, 0));
}
