//! How many times as fast as others the rewriter is: the table of docs/rewriter.md, ready to be put there.
//!
//! All of a line take turns, many rounds of a fraction of a millisecond each, and of each the quickest round
//! counts: on a machine whose host has other work, means differ by half from minute to minute, and what was
//! measured a second later is no neighbour. A bench that prints, no gate; `rewrite` has the means.
//!
//! `cargo bench --profile dist -p colonnade-benches --bench rewrite_ratios`, with
//! `--features gateway-rewrite/avx2` on a machine that has wider vectors, for what narrower ones do. Of files
//! given behind `--`, pages of calls as `data` with columns named as here, only those are measured.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use colonnade_benches::calls::{COLUMNS, SHOWN, job};
use colonnade_benches::cases::{CASES, PAGES};
use colonnade_benches::peers::{
    all_show_the_same, rewrite, simd_room, simd_tree, sonic_lazy, tree,
};
use gateway_rewrite::Job;

const ROUNDS: usize = 150;
/// When it is only asked whether it runs.
const ROUNDS_TRIED: usize = 2;
/// Which of the turns is the one of `simd-json`.
const SIMD: usize = 4;
/// Bytes that one turn reads at least.
const TURN_BYTES: usize = 200_000;

fn main() {
    // `cargo test --benches` gives `--test`, `cargo bench` gives `--bench`.
    let (options, files): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let is_bench = options.iter().any(|option| option == "--bench");
    let rounds = if is_bench { ROUNDS } else { ROUNDS_TRIED };
    println!(
        "| case | size | GB/s, 8 KiB | GB/s, 16 KiB | `serde_json` | `sonic-rs` | `simd-json` | of a copy |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for file in &files {
        let page = std::fs::read(file).expect("a file");
        let name = Path::new(file).file_stem().map(|name| name.to_string_lossy());
        let quickest = quickest(&job(&COLUMNS, &SHOWN), &page, &SHOWN, rounds);
        let (name, size) = (name.unwrap_or_default(), page.len() as f64 / 1024.0);
        println!("| {name} | {size:.1} KB | {} |", line(page.len(), quickest));
    }
    let cases = if files.is_empty() { CASES.as_slice() } else { &[] };
    for (case, rows, kept) in cases {
        for (size, bytes) in PAGES {
            let shown = kept.of(*rows);
            let job = job(rows.columns(), &shown);
            let quickest = quickest(&job, &rows.page(bytes), &shown, rounds);
            println!("| {case} | {} | {} |", size.replace('_', " "), line(bytes, quickest));
        }
    }
}

/// Of the rewriter in pieces of 8 and 16 KiB, `serde_json`, `sonic-rs`, `simd-json` and a copy the shortest
/// time that one page took. Zero: it does not read the page.
fn quickest(job: &Job, page: &[u8], shown: &[&str], rounds: usize) -> [Duration; 6] {
    let bytes = page.len();
    let mut out = Vec::with_capacity(2 * bytes);
    rewrite(job, page, bytes, &mut out);
    all_show_the_same(page, shown, &out);
    let [mut eight, mut sixteen, mut lazy, mut read] =
        [(); 4].map(|()| Vec::with_capacity(2 * bytes));
    let mut room = simd_room(bytes);
    let mut copy = page.to_vec();
    let times = TURN_BYTES.div_ceil(bytes);
    let reads = simd_tree(page, shown, &mut room, &mut read).is_ok();
    let mut quickest = [Duration::MAX; 6];
    for _ in 0..rounds {
        let turns: [&mut dyn FnMut(); 6] = [
            &mut || rewrite(job, black_box(page), 8 << 10, &mut eight),
            &mut || rewrite(job, black_box(page), 16 << 10, &mut sixteen),
            &mut || drop(black_box(serde_json::to_vec(&tree(black_box(page), shown)))),
            &mut || sonic_lazy(black_box(page), shown, &mut lazy),
            &mut || drop(simd_tree(black_box(page), shown, &mut room, &mut read)),
            &mut || black_box(&mut copy).copy_from_slice(black_box(page)),
        ];
        for (turn, quickest) in turns.into_iter().zip(&mut quickest) {
            let began = Instant::now();
            (0..times).for_each(|_| turn());
            *quickest = (*quickest).min(began.elapsed() / times as u32);
        }
    }
    if !reads {
        quickest[SIMD] = Duration::ZERO;
    }
    quickest
}

fn line(bytes: usize, [eight, sixteen, serde, sonic, simd, copy]: [Duration; 6]) -> String {
    let speed = |time: Duration| bytes as f64 / time.as_secs_f64() / 1e9;
    let times = |time: Duration| time.as_secs_f64() / sixteen.as_secs_f64();
    format!(
        "{:.2} | {:.2} | {:.1} | {:.1} | {} | {:.1} %",
        speed(eight),
        speed(sixteen),
        times(serde),
        times(sonic),
        if simd.is_zero() { "refuses it".to_owned() } else { format!("{:.1}", times(simd)) },
        100.0 * times(copy),
    )
}
