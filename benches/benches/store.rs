//! The embedded store: all records read at a start, and one change from its writing to its being read.
//!
//! `cargo bench -p colonnade-benches --bench store`; `COLONNADE_BENCH_KEYS=1000000` for another number of
//! keys. The disk decides what a write costs.

use std::hint::black_box;
use std::path::Path;

use criterion::Criterion;
use gateway_limits::UnixMs;
use gateway_policy::Digest;
use gateway_store::{AlterKey, Author, Change, SqliteStore, Store};
use rusqlite::{Connection, params};

const KEYS: u64 = 100_000;
/// Keys of one account.
const EACH: u64 = 10;

fn store(c: &mut Criterion) {
    let keys = std::env::var("COLONNADE_BENCH_KEYS").ok().and_then(|text| text.parse().ok());
    let keys: u64 = keys.unwrap_or(KEYS).max(EACH);
    let folder = tempfile::tempdir().expect("a folder for the database");
    let path = folder.path().join("colonnade.db");
    let store = SqliteStore::open(&path).expect("a new database");
    fill(&path, keys).expect("rows of keys");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut group = c.benchmark_group("store/sqlite");
    group.sample_size(10);
    group.bench_function(format!("load/{keys}_keys"), |b| {
        b.iter(|| black_box(runtime.block_on(store.load()).expect("all records")));
    });
    let mut number = 0;
    let mut write = || {
        number += 1;
        let alter = AlterKey { name: Some(format!("name {number}")), ..AlterKey::default() };
        let change = Change::AlterKey { key: format!("key_{}", number % keys), alter };
        let author = Author { name: "bench".to_owned(), address: None, request_id: None };
        let written = runtime.block_on(store.write(change, &author, UnixMs(number)));
        written.expect("a change").revision
    };
    group.bench_function(format!("write/{keys}_keys"), |b| b.iter(&mut write));
    let revision = write();
    group.bench_function(format!("changes_of_one/{keys}_keys"), |b| {
        b.iter(|| black_box(runtime.block_on(store.changes(revision - 1)).expect("one change")));
    });
    group.finish();
}

/// Past the store, which would write each key to the disk by itself.
fn fill(path: &Path, keys: u64) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    let transaction = connection.transaction()?;
    {
        let mut account = transaction.prepare(
            "insert into accounts (id, name, plan, columns, team_columns, assistants, revision, \
             changed) values (?1, 'Acme', 'starter', '{}', '{}', '[]', 1, 1)",
        )?;
        let mut key = transaction.prepare(
            "insert into keys (id, account, name, digest, display, scopes, data_scope, \
             created_at, allowed_ips, revision) values (?1, ?2, 'CRM Integration', ?3, \
             'avoca_ab12…9f0c', '[\"calls:read\",\"coach:read\"]', 'org_full', 1, '[]', 1)",
        )?;
        for number in 0..keys {
            let owner = format!("account_{}", number / EACH);
            if number % EACH == 0 {
                account.execute([&owner])?;
            }
            let id = format!("key_{number}");
            let digest = Digest::sha256(id.as_bytes()).to_string();
            key.execute(params![id, owner, digest])?;
        }
    }
    transaction.execute("update meta set revision = 1", [])?;
    transaction.commit()
}

colonnade_benches::measure!(store);
