//! Any bytes as a body: the oracle agrees, and no cut changes what comes of it.
//!
//! The first byte chooses the task, the second the cuts. Tasks are made once, so what a thread
//! remembers of earlier bodies is there for the later ones, as it is in the gateway.

use std::sync::OnceLock;

use gateway_rewrite::{Job, Owner, Reason, RowRule};
use serde::de::IgnoredAny;

use crate::cuts::of_every_cut;
use crate::oracle::{self, LINES};
use crate::setting::Setting;

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
            named(Setting::new("r.items[]", &["o.b", "o.w!", "o.w.id@", "a.b.c", "id@", "id.x"])),
        ]
        .into_iter()
        .map(|setting| {
            let job = setting.job();
            (setting, job)
        })
        .collect()
    })
}

pub fn run(input: &[u8]) {
    let [task, seed, body @ ..] = input else { return };
    let (setting, job) = &tasks()[usize::from(*task) % tasks().len()];
    let whole = of_every_cut(job, body, *seed);
    let is_too_long = whole.result.as_ref().is_err_and(|error| error.reason == Reason::RowTooLong);
    match oracle::expect(setting, body) {
        Some(expected) if !is_too_long => {
            assert!(whole.result.is_ok(), "a document is refused: {:?}", whole.result);
            assert!(whole.out == expected, "other than the oracle's");
        }
        _ => {}
    }
    if whole.result.is_ok() {
        // A hidden value's inside may be no JSON; what leaves always is, also to another reader.
        assert!(oracle::is_whole(setting, &whole.out), "accepted, and the output is no JSON");
        let out = str::from_utf8(&whole.out).expect("UTF-8");
        let mut rows = serde_json::Deserializer::from_str(out).into_iter();
        let sound = rows.by_ref().all(|row: Result<IgnoredAny, _>| row.is_ok());
        assert!(sound, "serde_json does not read the output");
    } else if setting.rows != LINES {
        assert!(!oracle::is_whole(setting, &whole.out), "refused, and the output looks whole");
    }
}
