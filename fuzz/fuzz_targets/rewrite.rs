//! Any bytes as a body: the oracle agrees, and no cut changes what comes of it.
//!
//! The first byte chooses the task, the second the length of the pieces. Tasks are made once, so what
//! a thread remembers of earlier bodies is there for the later ones, as it is in the gateway.
//!
//! `cargo +nightly fuzz run rewrite fuzz/corpus/rewrite fuzz/seeds/rewrite -- -max_total_time=1800`
#![no_main]
#![allow(dead_code)]

use std::sync::OnceLock;

use gateway_rewrite::{Job, Owner, Reason, RowRule};
use libfuzzer_sys::fuzz_target;

#[path = "../../gateway/rewrite/tests/rewrite/oracle.rs"]
mod oracle;
#[path = "../../gateway/rewrite/tests/rewrite/setting.rs"]
mod setting;
#[path = "../../gateway/rewrite/tests/rewrite/tree.rs"]
mod tree;

use setting::{Outcome, Setting, rewrite};

fn tasks() -> &'static [(Setting, Job)] {
    static TASKS: OnceLock<Vec<(Setting, Job)>> = OnceLock::new();
    TASKS.get_or_init(|| {
        let columns = ["a", "-h", "o.b", "w!", "id@", "call_id", "-phone_number", "tags"];
        let plain = || Setting::new("data[]", &columns).beside(&["count", "meta.x"]);
        let named = |setting: Setting| setting.names(&[("1", "One"), ("é\"", "N")], Some("Any"));
        let judged = || plain().judged_by(Some("p"), &["u"], Some("t.id"));
        let judged_lines = || Setting::new("$*", &columns).judged_by(Some("p"), &["u"], None);
        let owner = Owner { id: "u1".to_owned(), email: Some("é".to_owned()) };
        let teams = Some(vec!["7".to_owned(), "x".to_owned()]);
        [
            plain(),
            named(plain()),
            Setting::new("$", &columns),
            Setting::new("[]", &columns).keep_unmapped(),
            plain().pass_envelope(),
            Setting::new("data", &["id@", "w.id@"]).all(),
            judged().rule(RowRule { hide_private: true, owner: Some(owner), teams: teams.clone() }),
            judged().rule(RowRule { teams, ..RowRule::default() }),
            named(plain()).bounds(6, 64),
            judged().rule(RowRule { hide_private: true, ..RowRule::default() }).bounds(80, 200),
            Setting::new("$*", &columns),
            judged_lines().rule(RowRule { hide_private: true, ..RowRule::default() }).bounds(6, 64),
        ]
        .into_iter()
        .map(|setting| {
            let job = setting.job();
            (setting, job)
        })
        .collect()
    })
}

/// Accepted bodies give the same bytes; of refused ones the one may have written more than the other.
fn agree(one: &Outcome, other: &Outcome) -> bool {
    let is_prefix = one.out.starts_with(&other.out) || other.out.starts_with(&one.out);
    one.result == other.result && is_prefix && (one.result.is_err() || one.out == other.out)
}

fuzz_target!(|input: &[u8]| {
    let [task, piece, body @ ..] = input else { return };
    let (setting, job) = &tasks()[usize::from(*task) % tasks().len()];
    let whole = rewrite(job, [body]);
    assert!(agree(&whole, &rewrite(job, body.chunks(1))), "cut everywhere");
    let piece = usize::from(*piece).max(1) * 3;
    assert!(agree(&whole, &rewrite(job, body.chunks(piece))), "in pieces of {piece}");
    let is_too_long = whole.result.as_ref().is_err_and(|error| error.reason == Reason::RowTooLong);
    match oracle::expect(setting, body) {
        Some(expected) if !is_too_long => {
            assert!(whole.result.is_ok(), "a document is refused: {:?}", whole.result);
            assert!(whole.out == expected, "other than the oracle's");
        }
        _ => {}
    }
    if whole.result.is_ok() {
        // A hidden value's inside may be no JSON; what leaves always is.
        assert!(oracle::is_whole(setting, &whole.out), "accepted, and the output is no JSON");
    }
});
