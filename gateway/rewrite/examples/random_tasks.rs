//! Random bodies with what the rewriter makes of them, a JSON line each, for a reader of another make.
//!
//! Writes to standard output as many tasks as its first argument says, drawn from the seed that its
//! second says: the settings, the body, where it was cut, and what came out or why it was refused.
//! Bytes are written in hexadecimal digits, for a damaged body is no text. Two bodies of five are damaged,
//! by preference with what one reader of JSON takes and another does not.
//!
//! `cargo xtask ci --only oracle` gives them to `tests/second_oracle.py`.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "the tests in that folder use more of it")]
#[path = "../tests/rewrite/documents.rs"]
mod documents;
#[allow(dead_code, reason = "the tests in that folder use more of it")]
#[path = "../tests/rewrite/setting.rs"]
mod setting;

use std::io::{BufWriter, Write};

use gateway_rewrite::Unmapped;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use setting::{Setting, rewrite};

/// What readers differ about, and what breaks a document.
const DAMAGES: [&[u8]; 37] = [
    b"NaN",
    b"-Infinity",
    b"+1",
    b"01",
    b"1.",
    b".5",
    b"1e",
    b"-",
    b"'",
    b"/**/",
    b"//\n",
    b"\n",
    b",",
    b",,",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\ud800",
    b"\\udc00",
    b"\\u12",
    b"\\x",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\x0b",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    "\u{feff}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{663}".as_bytes(),
    b"True",
];

#[derive(Debug, Clone)]
enum Damage {
    Insert(usize, &'static [u8]),
    Replace(usize, &'static [u8]),
    End(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<usize>();
    prop_oneof![
        4 => (place, select(&DAMAGES[..])).prop_map(|(place, with)| Damage::Insert(place, with)),
        4 => (place, select(&DAMAGES[..])).prop_map(|(place, with)| Damage::Replace(place, with)),
        1 => place.prop_map(Damage::End),
    ]
}

fn damaged(mut body: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let (Damage::Insert(place, _) | Damage::Replace(place, _) | Damage::End(place)) = *damage;
        let place = place % (body.len() + 1);
        match damage {
            Damage::Insert(_, with) => drop(body.splice(place..place, with.iter().copied())),
            Damage::Replace(_, with) => {
                let end = body.len().min(place + 1);
                body.splice(place..end, with.iter().copied());
            }
            Damage::End(_) => body.truncate(place),
        }
    }
    body
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let (Some(Ok(count)), Some(Ok(seed)), None) = (numbers.next(), numbers.next(), numbers.next())
    else {
        eprintln!("usage: random_tasks COUNT SEED");
        std::process::exit(2);
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let damages = prop_oneof![3 => Just(Vec::new()), 2 => vec(damage(), 1..3)];
    // What is read in one look may be shorter or longer than a value, a row or the body.
    let filler = prop_oneof![20 => Just(0), 4 => 0..200usize, 1 => 4_000..10_000usize];
    let tasks = (documents::task(), filler, vec(any::<usize>(), 0..6), damages);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for _ in 0..count {
        let task = tasks.new_tree(&mut runner).unwrap().current();
        let ((setting, body), filler, cuts, damages) = task;
        let body = body.replace("than any id", &"é,\\\"".repeat(filler));
        let line =
            line(&setting, &damaged(body.into_bytes(), &damages), &cuts, !damages.is_empty());
        writeln!(out, "{line}").unwrap();
    }
    out.flush().unwrap();
}

fn line(setting: &Setting, body: &[u8], cuts: &[usize], is_damaged: bool) -> Value {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    let pieces = places.windows(2).map(|pair| &body[pair[0]..pair[1]]);
    let outcome = rewrite(&setting.job(), pieces);
    let columns = setting.columns.iter().map(|column| {
        let spec = &column.spec;
        json!({"path": spec.path, "whole": spec.whole, "assistant": spec.assistant, "shown": column.shown})
    });
    let rule = &setting.rule;
    let owner = rule.owner.as_ref().map(|owner| json!({"id": owner.id, "email": owner.email}));
    json!({
        "rows": setting.rows,
        "beside": setting.beside,
        "pass_envelope": setting.pass_envelope,
        "all": setting.all,
        "columns": columns.collect::<Vec<_>>(),
        "judged": {
            "private": setting.visibility.private,
            "owner": setting.visibility.owner,
            "team": setting.visibility.team,
        },
        "rule": {"hide_private": rule.hide_private, "owner": owner, "teams": rule.teams},
        "keep_unmapped": setting.unmapped == Unmapped::Keep,
        "names": setting.names,
        "fallback": setting.fallback,
        "depth": setting.bounds.depth,
        "damaged": is_damaged,
        "body": hex(body),
        "cuts": places,
        "out": hex(&outcome.out),
        "refused": outcome.result.err().map(|error| error.reason.label()),
        "row_hidden": outcome.result.is_ok_and(|totals| totals.single_row_hidden),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
