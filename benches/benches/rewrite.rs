//! List pages of many kinds fed in pieces as reads from a socket bring them, the assistant named. Beside
//! it what others would do with the whole page: a tree of `serde_json` or `simd-json`, the lazy values
//! of `sonic-rs`; and a plain copy as the limit.
//!
//! Not here: the index pass alone, which is the nearer limit. It is no part of the crate's interface.
//!
//! `cargo bench -p colonnade-benches --bench rewrite`, or `-- wide_half/100_KB`

use std::hint::black_box;

use colonnade_benches::calls::job;
use colonnade_benches::cases::{CASES, PAGES, PIECES};
use colonnade_benches::peers::{
    all_show_the_same, rewrite, simd_room, simd_tree, sonic_lazy, tree,
};
use criterion::{Criterion, Throughput};
use gateway_rewrite::Job;

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
    let mut room = simd_room(page.len());
    group.bench_function("simd_json_tree", |b| {
        b.iter(|| simd_tree(black_box(page), shown, &mut room, &mut out));
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

colonnade_benches::measure!(streamed);
