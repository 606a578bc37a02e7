//! Who may hold a place at an upstream, and how long: never a client that does not read (R11).

use crate::response_h2::Http2;
use crate::response_support::{LIST, LIST_SHOWN, Rig, config};
use crate::support::{Reply, Upstream, waiting};

/// An HTTP/2 client that gives no window holds what is its own, not the upstream's only place: that
/// is free once the upstream has answered.
#[test]
fn a_client_without_a_window_holds_no_place() {
    let upstream = Upstream::replying(Reply::json(LIST));
    let config = config(&upstream)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
        .upstream_with("calls", upstream.address(), "connections_max: 1");
    let rig = Rig::on(upstream, &config);
    let mut stalled = Http2::without_window(rig.gateway().address());
    for (target, shown) in [("/list", LIST_SHOWN), ("/plain", LIST), ("/list", LIST_SHOWN)] {
        let stream = stalled.get(target, &rig.key.text);
        stalled.await_head(stream);
        let other = waiting::until("a place for another client", || {
            let answer = rig.gateway().get("/list").bearer(&rig.key).send();
            (answer.status == 200).then_some(answer)
        });
        assert_eq!(other.text(), LIST_SHOWN, "while {target} is stalled");
        stalled.widen(stream);
        let answer = stalled.answer(stream);
        assert!(answer.is_ended && !answer.is_reset, "{target}");
        assert_eq!(String::from_utf8_lossy(&answer.body), shown, "{target}");
    }
}

/// A client that stops in the middle of a long answer is cut off at last, and its place is free. What
/// was hidden until then is counted all the same.
#[test]
fn a_client_that_stops_reading_gives_its_place_back() {
    let upstream = Upstream::replying(Reply::json(LIST));
    let config = config(&upstream)
        .section("listeners", "\n  - { address: 127.0.0.1:0, h2c: true }")
        .upstream_with("calls", upstream.address(), "connections_max: 1, timeouts: { total: 1s }");
    let rig = Rig::on(upstream, &config);
    let row = format!(r#"{{"email":"c4n4ry","call_id":"{}"}}"#, "c".repeat(1 << 10));
    let long = format!(r#"{{"data":[{}]}}"#, vec![row; 1 << 10].join(","));
    rig.upstream.now_replies(Reply::json(&long));
    let mut stalled = Http2::without_window(rig.gateway().address());
    let stream = stalled.get("/list", &rig.key.text);
    stalled.await_head(stream);
    rig.upstream.now_replies(Reply::json(LIST));
    let refused = rig.gateway().get("/list").bearer(&rig.key).send();
    assert_eq!(refused.code(), "overloaded", "the only place is taken");
    waiting::until("the place", || {
        (rig.gateway().get("/list").bearer(&rig.key).send().status == 200).then_some(())
    });
    assert!(stalled.answer(stream).is_reset, "the client sees that it got no whole answer");
    // One of each row that was judged; a short list alone has two.
    let hidden = rig.gateway().metric("colonnade_columns_total", &[("action", "hidden")]);
    assert!(hidden > 16.0, "{hidden}");
}
