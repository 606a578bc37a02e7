//! Which kept connections to an upstream are used, and when they go.

use crate::repeats::{CONTACT, KEPT, Rig};
use crate::support::{Reply, waiting};

const METHODS: [&str; 4] = ["GET", "PUT", "DELETE", "PATCH"];

/// The one that was used last, so that the others get old and go.
#[test]
fn requests_in_turn_share_one_kept_connection() {
    let rig = Rig::with("");
    let kept = rig.fill_pool();
    // A client's connection stays on its thread, which prefers what it opened.
    let mut client = rig.gateway.connect();
    let mut ask = |turn: usize| rig.ask_on(&mut client, METHODS[turn % 4]).1;
    let turns: Vec<Vec<usize>> = (0..8).map(&mut ask).collect();
    let last = turns.last().unwrap();
    assert_eq!(last.len(), 8, "{turns:?}");
    assert!(last.iter().all(|one| *one == last[0] && kept.contains(one)), "{last:?} of {kept:?}");
}

/// It needs no repeat, and so a method that may not be repeated loses nothing either.
#[test]
fn a_connection_that_died_before_a_request_costs_it_nothing() {
    let rig = Rig::with("retries: { max: 0 }");
    for method in METHODS {
        rig.fill_pool();
        rig.upstream.end_connections();
        let accepted = rig.upstream.accepted();
        let (verdict, connections) = rig.ask(method);
        assert_eq!((verdict.0, connections), (200, vec![accepted]), "{method}");
    }
}

/// An upstream that says how long it keeps an idle connection is not asked on it later.
#[test]
fn an_upstreams_limit_of_idling_is_respected() {
    let rig = Rig::with("retries: { max: 0 }");
    for (limit, used) in [("timeout=0", [0, 1, 2]), ("timeout=3600, max=9", [3, 3, 3])] {
        rig.upstream.forget();
        rig.upstream.now_replies(Reply::with_headers(
            200,
            &[("Content-Type", "application/json"), ("Keep-Alive", limit)],
            CONTACT,
        ));
        METHODS[1..].iter().for_each(|method| assert_eq!(rig.ask(method).0.0, 200, "{method}"));
        let connections: Vec<usize> =
            rig.upstream.requests().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, used, "{limit}");
    }
}

/// What the upstream closed is closed here, though no request comes by.
#[test]
fn dead_connections_do_not_pile_up() {
    let rig = Rig::with("");
    rig.fill_pool();
    assert_eq!(rig.upstream.far_ends().len(), KEPT);
    rig.upstream.end_connections();
    waiting::until("an end of the dead connections", || {
        rig.upstream.far_ends().is_empty().then_some(())
    });
}

/// A changed upstream begins without connections, and those of the former one go; of an upstream that
/// did not change they stay.
#[test]
fn kept_connections_go_with_their_generation() {
    let mut rig = Rig::with("connections_max: 9");
    let kept = rig.fill_pool();
    rig.reload("connections_max: 9");
    assert!(kept.contains(&rig.ask("GET").1[0]));
    rig.reload("connections_max: 8");
    waiting::until("an end of the former generation's connections", || {
        rig.upstream.far_ends().is_empty().then_some(())
    });
    assert_eq!(rig.ask("GET").0.0, 200);
}
