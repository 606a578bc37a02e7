//! List pages of call rows, 12 of 25 columns kept and the assistant named, fed in pieces as reads
//! from a socket bring them. Beside it the obvious way, a tree of the whole body, as the yardstick.
//!
//! `cargo bench -p colonnade-benches --bench rewrite`

use std::hint::black_box;

use colonnade_benches::calls::{ASSISTANTS, FALLBACK, SHOWN, job, page};
use criterion::{Criterion, Throughput};
use gateway_rewrite::{Job, Rewriter};
use serde_json::Value;

const PAGES: [(&str, usize); 4] =
    [("1_KB", 1 << 10), ("10_KB", 10 << 10), ("100_KB", 100 << 10), ("1_MB", 1 << 20)];
const PIECES: [(&str, usize); 2] = [("8_KiB_pieces", 8 << 10), ("16_KiB_pieces", 16 << 10)];

fn rewrite(job: &Job, page: &[u8], piece_bytes: usize, out: &mut Vec<u8>) {
    out.clear();
    let mut rewriter = Rewriter::new(job.clone());
    for piece in page.chunks(piece_bytes) {
        rewriter.write(piece, out).expect("a sound page");
    }
    rewriter.end(out).expect("a sound page");
}

fn streamed(c: &mut Criterion) {
    let job = job();
    for (name, bytes) in PAGES {
        let page = page(bytes);
        let mut out = Vec::with_capacity(page.len());
        let mut group = c.benchmark_group(format!("rewrite/{name}"));
        group.throughput(Throughput::Bytes(page.len() as u64));
        rewrite(&job, &page, usize::MAX, &mut out);
        let streamed: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(streamed, tree(&page), "both ways show the same");
        for (pieces, piece_bytes) in PIECES {
            group.bench_function(pieces, |b| {
                b.iter(|| rewrite(&job, black_box(&page), piece_bytes, &mut out));
            });
        }
        group.bench_function("tree_of_the_whole", |b| {
            b.iter(|| serde_json::to_vec(&tree(black_box(&page))).map(|out| out.len()));
        });
        group.finish();
    }
}

/// Parse, delete, replace: slow and easy to believe.
fn tree(page: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(page).expect("JSON");
    for row in body["data"].as_array_mut().into_iter().flatten() {
        let Some(members) = row.as_object_mut() else { continue };
        members.retain(|name, _| SHOWN.contains(&name.as_str()));
        if let Some(id) = members.get_mut("assistant_id") {
            let name = ASSISTANTS.iter().find(|(known, _)| id.as_str() == Some(known));
            *id = name.map_or(FALLBACK, |(_, name)| name).into();
        }
    }
    body
}

colonnade_benches::measure!(streamed);
