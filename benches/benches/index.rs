//! One change of a key among many: one shard is copied, the other 255 are shared. The copy is also
//! dropped here, as the old snapshot is in service. `publish_one` is the whole way of a change that a
//! store has told of: the key is compiled, the index changed, the snapshot put in place.
//!
//! `cargo bench -p colonnade-benches --bench index`

use std::hint::black_box;
use std::sync::Arc;

use colonnade_benches::directory::{account, snapshot};
use criterion::Criterion;
use gateway_policy::{Published, Snapshot, compile_account, compile_key};

fn change(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    for keys in [10_000, 1_000_000] {
        let (snapshot, meters) = snapshot(keys);
        let index = &snapshot.keys;
        let (digest, entry) = index.entries().next().expect("at least one key");
        group.bench_function(format!("replace_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).changed([], [(*digest, Arc::clone(entry))]));
        });
        group.bench_function(format!("remove_one/{keys}_keys"), |b| {
            b.iter(|| black_box(index).changed([*digest], []));
        });
        // The first key, as it was compiled into the index.
        let (record, rules) = (account(0, keys), Arc::clone(&snapshot.rules));
        let compiled = compile_account(&record, &rules).expect("an account without faults");
        let key = &record.keys[0];
        let published = Published::new(snapshot);
        group.bench_function(format!("publish_one/{keys}_keys"), |b| {
            b.iter(|| {
                let come = compile_key(&compiled, &record, black_box(key), &rules, &meters);
                let before = published.current();
                let keys = before.keys.changed([key.digest], come.expect("a key without faults"));
                let (revision, rules) = (before.revision + 1, Arc::clone(&rules));
                published.publish(Snapshot { revision, rules, keys });
            });
        });
        assert_eq!(published.current().keys.len(), keys);
    }
    group.finish();
}

colonnade_benches::measure!(change);
