//! Bodies on which the rewriter once erred, one file each in `tests/vectors`.
//!
//! A file holds the body behind a first line: the rows' path, a blank, and the columns as
//! [`Setting`] writes them. Each is compared with the oracle, in one piece and byte by byte.

// The crate reads no files; this test's cases are files.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use crate::oracle;
use crate::setting::{Setting, rewrite};

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn what_failed_once_does_not_fail_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let line = text.iter().position(|byte| *byte == b'\n').unwrap();
        let head = std::str::from_utf8(&text[..line]).unwrap();
        let (rows, columns) = head.split_once(' ').unwrap_or((head, ""));
        let setting = Setting::new(rows, &columns.split_whitespace().collect::<Vec<_>>());
        let body = &text[line + 1..];
        let expected = oracle::expect(&setting, body);
        for pieces in [vec![body], body.chunks(1).collect()] {
            let outcome = rewrite(&setting.job(), pieces);
            assert_eq!(
                outcome.result.is_ok().then_some(outcome.out),
                expected,
                "{}",
                path.display()
            );
        }
        seen += 1;
    }
    assert!(seen > 0, "there are vectors");
}
