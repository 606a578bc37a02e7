//! One change of a key among many: one shard is copied, the other 255 are shared. The copy is also
//! dropped here, as the old snapshot is in service.
//!
//! `cargo bench -p colonnade-benches --bench index`

use std::hint::black_box;
use std::sync::Arc;

use colonnade_benches::directory::snapshot;
use criterion::Criterion;

fn change(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    for keys in [10_000, 1_000_000] {
        let (snapshot, _meters) = snapshot(keys);
        let index = &snapshot.keys;
        let (digest, entry) = index.entries().next().expect("at least one key");
        group.bench_function(format!("replace_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).changed([], [(*digest, Arc::clone(entry))]));
        });
        group.bench_function(format!("remove_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).changed([*digest], []));
        });
    }
    group.finish();
}

colonnade_benches::measure!(change);
