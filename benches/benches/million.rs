//! A million keys: what they take of memory, and how long a start takes to read and compile them.
//!
//! Resident memory is read from `/proc` before and after each step, and nothing is freed in between,
//! so that a difference is what the step holds. The times are of one run each: seconds do not need
//! criterion. Not here: a store's own reading (`store`), one change (`index`).
//!
//! `cargo bench -p colonnade-benches --bench million [-- KEYS]`; the snapshot file, some 700 MB, goes to
//! `TMPDIR`.

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use colonnade_benches::directory::{directory, snapshot_of};
use gateway_store::SnapshotFile;

const KEYS: usize = 1_000_000;
/// When it is only asked whether it runs.
const KEYS_TRIED: usize = 1_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_measured = arguments.iter().any(|argument| argument == "--bench");
    let told = arguments.iter().find_map(|argument| argument.parse().ok());
    let keys = told.unwrap_or(if is_measured { KEYS } else { KEYS_TRIED });
    println!("{keys} keys, ten an account; 12 columns and 5 names each");

    let before = resident_bytes();
    let records = timed("making records", || directory(keys));
    let with_records = resident_bytes();
    println!("  records: {} bytes a key", (with_records - before) / keys);
    let (snapshot, meters) = timed("compiling records into an index", || snapshot_of(&records));
    let with_index = resident_bytes();
    println!("  index and counters: {} bytes a key", (with_index - with_records) / keys);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("snapshot");
    let mut file = SnapshotFile::new(&path, "a bench");
    let written = timed("writing the snapshot file, fsync included", || {
        file.write(1, records.accounts.iter())
    });
    written.expect("a written snapshot");
    let bytes = fs::metadata(&path).expect("the snapshot").len() as usize;
    println!("  the file: {} bytes a key", bytes / keys);
    let read = timed("reading the snapshot file", || SnapshotFile::new(&path, "a bench").read());
    let deltas = read.expect("a good snapshot").expect("a snapshot");
    let accounts: usize = deltas.iter().map(|delta| delta.accounts.len()).sum();
    assert_eq!(accounts, records.accounts.len());
    black_box((snapshot, meters));
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", began.elapsed().as_secs_f64());
    result
}

/// Second field of `statm`: pages that are in memory. Zero where there is no such file.
fn resident_bytes() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}
