//! One change of a key among many: one shard is copied, the other 255 are shared. The copy is also
//! dropped here, as the old snapshot is in service.
//!
//! `cargo bench -p colonnade-benches --bench index`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use colonnade_benches::directory::snapshot;
use criterion::{Criterion, criterion_group, criterion_main};

fn change(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    for keys in [10_000, 1_000_000] {
        let (snapshot, _meters) = snapshot(keys);
        let index = &snapshot.keys;
        let (digest, entry) = index.entries().next().expect("at least one key");
        group.bench_function(format!("replace_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).with(*digest, Arc::clone(entry)));
        });
        group.bench_function(format!("remove_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).without(digest));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = change
}
criterion_main!(benches);
