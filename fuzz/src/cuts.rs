//! One body, cut in many ways: what comes of it may not tell where.
//!
//! Byte by byte the rewriter's quick way is never taken, whole it is taken wherever it can be, and
//! between them are pieces of one length and pieces of lengths that follow no rule.

use gateway_rewrite::Job;

use crate::setting::{Outcome, rewrite};

/// What comes of the whole body, and of every cut of it.
pub(crate) fn of_every_cut(job: &Job, body: &[u8], seed: u8) -> Outcome {
    let whole = rewrite(job, [body]);
    let length = usize::from(seed).max(1) * 3;
    for (how, pieces) in [
        ("everywhere", body.chunks(1).collect()),
        ("in pieces of one length", body.chunks(length).collect()),
        ("without a rule", uneven(body, seed)),
        ("in two", in_two(body, seed)),
    ] {
        assert!(whole.agrees_with(&rewrite(job, pieces)), "cut {how}, seed {seed}");
    }
    whole
}

fn in_two(body: &[u8], seed: u8) -> Vec<&[u8]> {
    let (one, other) = body.split_at(body.len() * usize::from(seed) / 255);
    vec![one, other]
}

/// Pieces of a few bytes, of some dozens and of some hundreds, empty ones among them.
fn uneven(body: &[u8], seed: u8) -> Vec<&[u8]> {
    let mut state = u64::from(seed) << 32 | body.len() as u64 | 1 << 63;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize >> 8
    };
    let (mut pieces, mut rest) = (Vec::new(), body);
    while !rest.is_empty() {
        let most = [4, 40, 700][draw() % 3];
        let (piece, behind) = rest.split_at((draw() % most).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
