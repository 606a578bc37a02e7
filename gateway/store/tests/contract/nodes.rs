//! Which gateways there are.

use gateway_limits::UnixMs;
use gateway_store::Node;

use crate::place::Place;
use crate::records::{DAY_MS, NOW, later};

fn node(id: &str, revision: u64, seen_at: UnixMs) -> Node {
    Node { id: id.to_owned(), revision, seen_at, version: "0.1.0".to_owned() }
}

pub(crate) async fn a_node_is_there_as_it_told_last(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    one.heartbeat(&node("b", 1, NOW)).await.unwrap();
    other.heartbeat(&node("a", 7, later(5))).await.unwrap();
    one.heartbeat(&node("b", 8, later(9))).await.unwrap();
    for (since, ids) in [(0, vec!["a", "b"]), (5, vec!["a", "b"]), (6, vec!["b"]), (10, vec![])] {
        let nodes = other.nodes(later(since)).await.unwrap();
        let seen: Vec<_> = nodes.iter().map(|node| node.id.as_str()).collect();
        assert_eq!(seen, ids, "since {since}");
    }
    assert_eq!(one.nodes(later(6)).await.unwrap(), [node("b", 8, later(9))]);
}

/// Each start is a new node.
pub(crate) async fn nodes_that_were_silent_for_a_day_are_forgotten(place: Place) {
    let store = place.open().await;
    store.heartbeat(&node("old", 1, NOW)).await.unwrap();
    store.heartbeat(&node("new", 1, later(DAY_MS))).await.unwrap();
    assert_eq!(store.nodes(NOW).await.unwrap().len(), 2);
    store.heartbeat(&node("new", 1, later(DAY_MS + 1))).await.unwrap();
    assert_eq!(store.nodes(NOW).await.unwrap(), [node("new", 1, later(DAY_MS + 1))]);
}
