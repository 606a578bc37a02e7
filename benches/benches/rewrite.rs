//! List pages of many kinds fed in pieces as reads from a socket bring them, the assistant named. Beside
//! it what others would do with the whole page: a tree of `serde_json` or `simd-json`, the lazy values
//! of `sonic-rs`; and a plain copy as the limit.
//!
//! Not here: the index pass alone, which is the nearer limit. It is no part of the crate's interface.
//!
//! `cargo bench -p colonnade-benches --bench rewrite`, or `-- wide_half/100_KB`

use std::hint::black_box;

use colonnade_benches::calls::{ASSISTANTS, FALLBACK, SHOWN, job};
use colonnade_benches::pages::Rows;
use criterion::{Criterion, Throughput};
use gateway_rewrite::{Job, Rewriter};
use serde_json::Value;

const PAGES: [(&str, usize); 4] =
    [("1_KB", 1 << 10), ("10_KB", 10 << 10), ("100_KB", 100 << 10), ("1_MB", 1 << 20)];
const PIECES: [(&str, usize); 2] = [("8_KiB_pieces", 8 << 10), ("16_KiB_pieces", 16 << 10)];

/// Which columns of a row are shown.
enum Kept {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// A name, what the rows are like, and what of them is kept.
const CASES: [(&str, Rows, Kept); 6] = [
    ("wide_half", Rows::Wide, Kept::These(&SHOWN)),
    ("wide_many", Rows::Wide, Kept::AllBut(&["phone_number", "recording_url"])),
    ("wide_few", Rows::Wide, Kept::These(&["call_id", "assistant_id"])),
    ("narrow_many", Rows::Narrow, Kept::AllBut(&["phone_number", "ai_summary"])),
    ("narrow_few", Rows::Narrow, Kept::These(&["call_id", "assistant_id"])),
    ("transcripts", Rows::Transcripts, Kept::AllBut(&["transcript", "turns"])),
];

impl Kept {
    fn of(&self, rows: Rows) -> Vec<&'static str> {
        let is_kept = |name: &&str| match self {
            Kept::These(names) => names.contains(name),
            Kept::AllBut(names) => !names.contains(name),
        };
        rows.columns().iter().copied().filter(is_kept).collect()
    }
}

fn rewrite(job: &Job, page: &[u8], piece_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    let mut rewriter = Rewriter::new(job.clone());
    for piece in page.chunks(piece_bytes) {
        rewriter.write(piece, out).expect("a sound page");
    }
    rewriter.end(out).expect("a sound page");
}

fn streamed(c: &mut Criterion) {
    for (case, rows, kept) in &CASES {
        let shown = kept.of(*rows);
        let job = job(rows.columns(), &shown);
        for (name, bytes) in PAGES {
            one_page(c, &format!("rewrite/{case}/{name}"), &job, &shown, &rows.page(bytes));
        }
    }
}

fn one_page(c: &mut Criterion, name: &str, job: &Job, shown: &[&str], page: &[u8]) {
    let mut out = Vec::with_capacity(page.len());
    rewrite(job, page, usize::MAX, &mut out);
    all_show_the_same(page, shown, &out);
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(page.len() as u64));
    for (pieces, piece_bytes) in PIECES {
        group.bench_function(pieces, |b| {
            b.iter(|| rewrite(job, black_box(page), piece_bytes, &mut out));
        });
    }
    group.bench_function("serde_json_tree", |b| {
        b.iter(|| serde_json::to_vec(&tree(black_box(page), shown)).map(|out| out.len()));
    });
    let mut read = Vec::with_capacity(page.len());
    group.bench_function("simd_json_tree", |b| {
        b.iter(|| simd_tree(black_box(page), shown, &mut read, &mut out));
    });
    group.bench_function("sonic_rs_lazy", |b| {
        b.iter(|| sonic_lazy(black_box(page), shown, &mut out));
    });
    let mut copy = page.to_vec();
    group.bench_function("copy", |b| {
        b.iter(|| black_box(&mut copy).copy_from_slice(black_box(page)));
    });
    group.finish();
}

fn all_show_the_same(page: &[u8], shown: &[&str], streamed: &[u8]) {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
    let expected = tree(page, shown);
    assert_eq!(read(streamed), expected);
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    simd_tree(page, shown, &mut bytes, &mut out);
    assert_eq!(read(&out), expected);
    sonic_lazy(page, shown, &mut out);
    assert_eq!(read(&out), expected);
}

fn name_of(id: Option<&str>) -> &'static str {
    ASSISTANTS.iter().find(|(known, _)| id == Some(known)).map_or(FALLBACK, |(_, name)| name)
}

/// Parse, delete, replace: slow and easy to believe.
fn tree(page: &[u8], shown: &[&str]) -> Value {
    let mut body: Value = serde_json::from_slice(page).expect("JSON");
    for row in body["data"].as_array_mut().into_iter().flatten() {
        let Some(members) = row.as_object_mut() else { continue };
        members.retain(|name, _| shown.contains(&name.as_str()));
        if let Some(id) = members.get_mut("assistant_id") {
            *id = name_of(id.as_str()).into();
        }
    }
    body
}

/// The same with `simd-json`, which parses in place and so needs a copy.
fn simd_tree(page: &[u8], shown: &[&str], read: &mut Vec<u8>, out: &mut Vec<u8>) {
    use simd_json::prelude::*;
    read.clear();
    read.extend_from_slice(page);
    out.clear();
    let mut body = simd_json::to_borrowed_value(read).expect("JSON");
    let rows = body.get_mut("data").and_then(|rows| rows.as_array_mut());
    for row in rows.into_iter().flatten() {
        let Some(members) = row.as_object_mut() else { continue };
        members.retain(|name, _| shown.contains(&&**name));
        if let Some(id) = members.get_mut("assistant_id") {
            *id = name_of(id.as_str()).into();
        }
    }
    body.write(out).expect("a vector takes all");
}

/// `sonic-rs` without a tree: members are found one after the other and kept as they stand.
fn sonic_lazy(page: &[u8], shown: &[&str], out: &mut Vec<u8>) {
    out.clear();
    members(page, &["data", "pagination"], out, |name, value, out| {
        if name != "data" {
            out.extend_from_slice(value.as_raw_str().as_bytes());
            return;
        }
        out.push(b'[');
        for (index, row) in sonic_rs::to_array_iter(value.as_raw_str()).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            sonic_row(row.expect("JSON").as_raw_str(), shown, out);
        }
        out.push(b']');
    });
}

fn sonic_row(row: &str, shown: &[&str], out: &mut Vec<u8>) {
    use sonic_rs::JsonValueTrait;
    members(row.as_bytes(), shown, out, |name, value, out| {
        if name == "assistant_id" {
            out.push(b'"');
            out.extend_from_slice(name_of(value.as_str()).as_bytes());
            out.push(b'"');
        } else {
            out.extend_from_slice(value.as_raw_str().as_bytes());
        }
    });
}

/// Writes an object with some of its members.
fn members(
    object: &[u8],
    shown: &[&str],
    out: &mut Vec<u8>,
    mut write: impl FnMut(&str, &sonic_rs::LazyValue<'_>, &mut Vec<u8>),
) {
    out.push(b'{');
    let mut is_first = true;
    for member in sonic_rs::to_object_iter(object) {
        let (name, value) = member.expect("JSON");
        if !shown.contains(&&*name) {
            continue;
        }
        if !std::mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write(&name, &value, out);
    }
    out.push(b'}');
}

colonnade_benches::measure!(streamed);
