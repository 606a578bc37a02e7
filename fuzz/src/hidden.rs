//! Any bytes where a value is dropped: none of them leaves, and none moves where the value ends.
//!
//! The first byte chooses the task and the place, the second the cuts. A second reader of the same rules
//! (`lenient`) says of any bytes whether they are accepted and what is written; and where the bytes are
//! one dropped value, nothing at all may come of them.

use std::sync::OnceLock;

use gateway_rewrite::{Job, RowRule};

use crate::cuts::of_every_cut;
use crate::lenient::{self, Small};
use crate::setting::Setting;

/// Enough for the values around; few enough that hidden ones reach it.
const DEPTH: usize = 12;

fn tasks() -> &'static [(Small, Job)] {
    static TASKS: OnceLock<Vec<(Small, Job)>> = OnceLock::new();
    TASKS.get_or_init(|| {
        let flags = [(true, false), (false, false), (true, true), (false, true)];
        let small = |(has_envelope, is_judged)| Small { has_envelope, is_judged, depth: DEPTH };
        flags.map(small).map(|small| (small, job(small))).into()
    })
}

fn job(small: Small) -> Job {
    let rows = if small.has_envelope { "data[]" } else { "$" };
    let rule = RowRule { hide_private: small.is_judged, ..RowRule::default() };
    let setting = Setting::new(rows, &["a", "-h", "z"]).judged_by(Some("p"), &[], None);
    setting.rule(rule).bounds(DEPTH as u16, 1 << 20).job()
}

/// What stands before and behind the bytes in a row, and what should be left of it when they are one value.
const PLACES: [(&str, &str, &str); 7] = [
    (r#""a":"A","h":"#, r#","z":[0]"#, r#""a":"A","z":[0]"#),
    (r#""a":"A","h" : "#, r#" , "z":null"#, r#""a":"A","z":null"#),
    (r#""unlisted":"#, r#","a":1"#, r#""a":1"#),
    (r#""a":1,"h":[{"x":"#, r#"},2],"z":3"#, r#""a":1,"z":3"#),
    (r#""a":[1,{"x":"#, r#"},2],"z":3"#, r#""a":[1,2],"z":3"#),
    (r#""a":1,"h":"#, "", r#""a":1"#),
    // Where nothing is dropped before it is read.
    ("", "", ""),
];

pub fn run(input: &[u8]) {
    let [choice, seed, bytes @ ..] = input else { return };
    let (choice, tasks) = (usize::from(*choice), tasks());
    let (small, job) = &tasks[choice % tasks.len()];
    let place = choice / tasks.len() % (PLACES.len() + 1);
    let (body, left) = match PLACES.get(place) {
        // The bytes alone.
        None => (bytes.to_vec(), None),
        Some((before, behind, left)) => {
            let judged = if small.is_judged { r#""p":false,"# } else { "" };
            let row = [b"{", judged.as_bytes(), before.as_bytes(), bytes, behind.as_bytes(), b"}"];
            let is_dropped = !before.is_empty() && is_one_value(bytes);
            (in_envelope(*small, &row.concat()), is_dropped.then(|| format!("{{{left}}}")))
        }
    };
    let whole = of_every_cut(job, &body, *seed);
    let (is_accepted, expected) = lenient::expect(*small, &body);
    assert_eq!(whole.result.is_ok(), is_accepted, "{:?}", whole.result);
    if is_accepted {
        assert!(whole.out == expected, "other than the second reader's");
    } else {
        let agree = whole.out.starts_with(&expected) || expected.starts_with(&whole.out);
        assert!(agree, "refused, and other bytes were written before");
    }
    if let Some(left) = left {
        assert!(whole.result.is_ok(), "one dropped value is refused: {:?}", whole.result);
        assert!(whole.out == in_envelope(*small, left.as_bytes()), "bytes of a dropped value left");
    }
}

fn in_envelope(small: Small, row: &[u8]) -> Vec<u8> {
    if small.has_envelope { [br#"{"data":["#, row, b"]}"].concat() } else { row.to_vec() }
}

/// Whether the bytes are one value by the rules for dropped ones, and not too deep for any place.
fn is_one_value(bytes: &[u8]) -> bool {
    let opened = bytes.iter().filter(|byte| b"{[".contains(byte)).count();
    opened + 5 <= DEPTH && lenient::dropped_end(bytes) == Some(bytes.len())
}
