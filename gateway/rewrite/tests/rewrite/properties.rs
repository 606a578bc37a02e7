//! Random documents against the oracle, and what no cut and no hidden garbage may change.

use std::sync::Arc;

use gateway_rewrite::{Job, Reason, Rewriter, Shown, UNLISTED_MAX};
use proptest::prelude::*;

use crate::documents::{HIDDEN, garbage, task};
use crate::oracle;
use crate::setting::{Outcome, Setting, rewrite};
use crate::unlisted;

fn pieces<'a>(body: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect()
}

/// What comes of a body, which must be what the oracle makes of the whole, wherever it is cut.
fn as_the_oracle_says(
    setting: &Setting,
    body: &[u8],
    cuts: &[usize],
) -> Result<Outcome, TestCaseError> {
    let job = setting.job();
    let whole = rewrite(&job, [body]);
    let expected = oracle::expect(setting, body);
    let accepted = whole.result.is_ok().then(|| String::from_utf8_lossy(&whole.out));
    prop_assert_eq!(accepted, expected.as_deref().map(String::from_utf8_lossy));
    prop_assert!(whole.agrees_with(&rewrite(&job, pieces(body, cuts))), "cut at {:?}", cuts);
    prop_assert!(whole.agrees_with(&rewrite(&job, body.chunks(1))), "cut everywhere");
    Ok(whole)
}

/// A thousand cases, or as many as `PROPTEST_CASES` says.
#[allow(clippy::disallowed_methods, reason = "a test may be told how long to look")]
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let is_told = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_told { default.cases } else { 1000 }, ..default }
}

proptest! {
    #![proptest_config(config())]

    /// C1 C3 C5 C6 C7 M1 M2 M5 P3 P4 P5 P6: the network may cut a body anywhere and nobody can tell
    /// where; what comes out is what the oracle makes of the whole document.
    #[test]
    fn the_oracle_agrees_and_cuts_do_not_matter(
        (setting, body) in task(),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let whole = as_the_oracle_says(&setting, body.as_bytes(), &cuts)?;
        if whole.result.is_ok() {
            // Another reader agrees that it is JSON; it does not take numbers beyond a float.
            let out = String::from_utf8_lossy(&whole.out).replace("1e400", "1");
            let rows: Vec<&str> =
                if setting.rows == "$*" { out.lines().collect() } else { vec![&out] };
            for row in rows {
                prop_assert!(serde_json::from_str::<serde_json::Value>(row).is_ok(), "{}", row);
            }
        }
    }

    /// M5: what is read in one look may be shorter or longer than a value, a row or the body.
    #[test]
    fn lengths_do_not_matter(
        (setting, body) in task(),
        len in prop_oneof![0..200usize, 4_000..20_000usize],
        filler in proptest::sample::select(&["x", "é", "\\\"", ",", "\\\\"][..]),
        cuts in proptest::collection::vec(any::<usize>(), 0..4),
    ) {
        let body = body.replace("than any id", &filler.repeat(len));
        as_the_oracle_says(&setting, body.as_bytes(), &cuts)?;
    }

    /// C1 C5: a thread at two bodies in turn, for callers who are shown other columns, mixes nothing up.
    #[test]
    fn bodies_in_turn_do_not_mix(
        (one, body) in task(),
        (other, _) in task(),
        piece in 1..60usize,
    ) {
        let mut other = other;
        other.rows.clone_from(&one.rows);
        let jobs = [one.job(), other.job()];
        let alone = jobs.each_ref().map(|job| rewrite(job, [body.as_bytes()]));
        let mut rewriters = jobs.map(Rewriter::new);
        let mut outs = [Vec::new(), Vec::new()];
        for piece in body.as_bytes().chunks(piece) {
            for (rewriter, out) in rewriters.iter_mut().zip(&mut outs) {
                // A refusal is found again at the end.
                let _ = rewriter.write(piece, out);
            }
        }
        for ((mut rewriter, mut out), alone) in rewriters.into_iter().zip(outs).zip(alone) {
            let result = rewriter.end(&mut out);
            let in_turn = Outcome { result, out };
            prop_assert!(in_turn.agrees_with(&alone));
        }
    }

    /// C7: a damaged body is refused alike for every cut, or is still a document; never a panic.
    #[test]
    fn damage_is_found_at_the_same_byte_for_every_cut(
        (setting, body) in task(),
        damage in proptest::collection::vec((any::<usize>(), damaging_byte(), any::<bool>()), 1..4),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
        row_bytes in prop_oneof![Just(1 << 20), 1..200usize],
    ) {
        let mut body = body.into_bytes();
        for (place, byte, insert) in damage {
            let place = place % body.len().max(1);
            if insert || body.is_empty() { body.insert(place, byte) } else { body[place] = byte }
        }
        let mut setting = setting;
        setting.bounds.row_bytes = row_bytes;
        let job = setting.job();
        let whole = rewrite(&job, [body.as_slice()]);
        prop_assert!(whole.agrees_with(&rewrite(&job, pieces(&body, &cuts))), "cut at {:?}", cuts);
        prop_assert!(whole.agrees_with(&rewrite(&job, body.chunks(1))), "cut everywhere");
        let is_too_long = whole.result.is_err_and(|error| error.reason == Reason::RowTooLong);
        if let (Some(expected), false) = (oracle::expect(&setting, &body), is_too_long) {
            prop_assert_eq!(whole.result.err(), None, "still a document");
            prop_assert_eq!(String::from_utf8_lossy(&whole.out), String::from_utf8_lossy(&expected));
        }
        if whole.result.is_ok() {
            prop_assert!(oracle::is_whole(&setting, &whole.out), "{}", String::from_utf8_lossy(&whole.out));
        }
    }

    /// C1 C7: what is hidden cannot change what is seen, however strange it is.
    #[test]
    fn garbage_in_hidden_values_changes_no_byte_of_the_output(
        (setting, body) in task(),
        garbage in proptest::collection::vec(garbage(), 1..5),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut setting = setting;
        setting.all = false;
        setting.pass_envelope = false;
        setting.beside.clear();
        setting.bounds.depth = 64;
        setting.columns.iter_mut().for_each(|column| column.spec.whole = false);
        let job = setting.job();
        let plain = rewrite(&job, [body.as_bytes()]);
        prop_assume!(plain.result.is_ok());
        let mut strange = Vec::new();
        for (index, part) in body.split(HIDDEN).enumerate() {
            if index > 0 {
                let mut garbage = garbage[index % garbage.len()].clone();
                if setting.rows == "$*" {
                    // A line feed ends the row, wherever it hides.
                    garbage.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'.');
                }
                strange.extend_from_slice(&garbage);
            }
            strange.extend_from_slice(part.as_bytes());
        }
        let outcome = rewrite(&job, pieces(&strange, &cuts));
        prop_assert_eq!(outcome.result, plain.result);
        prop_assert_eq!(String::from_utf8_lossy(&outcome.out), String::from_utf8_lossy(&plain.out));
    }

    /// What rows hold and the catalogue does not is told alike for every cut, for rows that are hidden
    /// and for a catalogue that other callers share.
    #[test]
    fn names_that_are_not_listed_are_told_for_every_cut(
        (setting, body) in task(),
        cuts in proptest::collection::vec(any::<usize>(), 0..6),
    ) {
        let body = body.as_bytes();
        let told = |pieces: Vec<&[u8]>| {
            let job = setting.job();
            let outcome = rewrite(&job, pieces);
            outcome.result.is_ok().then(|| job.catalogue.unlisted())
        };
        let whole = told(vec![body]);
        if whole.is_none() {
            return Ok(());
        }
        let expected: Vec<String> = unlisted::expect(&setting, body).into_iter().collect();
        prop_assert!(expected.len() < UNLISTED_MAX, "documents are small");
        let expected = Some(expected);
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(&told(pieces(body, &cuts)), &expected, "cut at {:?}", cuts);
        prop_assert_eq!(&told(body.chunks(1).collect()), &expected, "cut everywhere");
        let job = setting.job();
        let none = Arc::new(Shown::none(&job.catalogue));
        let other = Job { shown: none, ..job.clone() };
        prop_assert!(rewrite(&other, [body]).result.is_ok());
        prop_assert!(rewrite(&job, [body]).result.is_ok());
        prop_assert_eq!(Some(job.catalogue.unlisted()), expected, "behind another caller");
    }

    /// C7: a body that ends too early is refused, wherever it ends.
    #[test]
    fn no_beginning_of_a_body_is_taken_for_a_whole((setting, body) in task(), place in any::<usize>()) {
        let body = body.trim_end().as_bytes();
        let beginning = &body[..place % body.len().max(1)];
        let outcome = setting.run(beginning);
        if setting.rows == "$*" {
            // Whole lines are a body, though a shorter one.
            let expected = oracle::expect(&setting, beginning);
            prop_assert_eq!(outcome.result.is_ok().then_some(outcome.out), expected);
            return Ok(());
        }
        prop_assert!(outcome.result.is_err());
        prop_assert!(crate::tree::parse(&outcome.out).is_none(), "a refused body never looks whole");
    }
}

fn damaging_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        6 => proptest::sample::select(&b"{}[]\",:\\ \n\r0e-.ntfu\x00\x1f\x7f\xc3\xa9\xed\xa0\xff\xf0\xe2"[..]),
        1 => any::<u8>(),
    ]
}
