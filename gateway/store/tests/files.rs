//! Files that are no database, or not ours, or broken.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, Digest, KeyRecord};
use gateway_store::{Author, Change, Page, SqliteStore, Store, StoreError};

fn author() -> Author {
    Author { name: "test".to_owned(), address: None, request_id: None }
}

/// A store with some pages of records.
async fn filled(path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    let account = AccountRecord::new("acme", "starter");
    store.write(Change::CreateAccount(Box::new(account)), &author(), UnixMs(1)).await.unwrap();
    for number in 0..100 {
        let id = format!("key_{number}");
        let key = Box::new(KeyRecord::new(&id, Digest::sha256(id.as_bytes()), &["calls:read"]));
        let change = Change::CreateKey {
            account: "acme".to_owned(),
            key,
            live_max: Some(1_000),
            retry: None,
            imported: false,
        };
        store.write(change, &author(), UnixMs(2)).await.unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_new_file_and_its_log_are_readable_by_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("colonnade.db");
    let store = SqliteStore::open(&path).unwrap();
    store.load().await.unwrap();
    assert_eq!(store.path(), path.canonicalize().unwrap());
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.len() > 1, "a log lies beside it");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{:?}", file.path());
    }
}

/// Names that SQLite would take for something else.
#[test]
fn a_name_is_a_file_whatever_it_says() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "?", "a b%20'\""] {
        let path = folder.path().join(name);
        drop(SqliteStore::open(&path).unwrap());
        assert!(fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
}

#[test]
fn what_cannot_be_opened_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [folder.path(), &pipe, &folder.path().join("no/such/folder.db")] {
        let error = SqliteStore::open(path).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, StoreError::Unreachable(_)), "{text}");
        assert!(text.contains(path.to_str().unwrap()), "{text}");
    }
}

#[test]
fn what_is_no_database_is_told_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("colonnade.db");
    for bytes in [&b"version: 1\naccounts: {}\n"[..], &[0; 4096], &[0xff; 100]] {
        fs::write(&path, bytes).unwrap();
        let error = SqliteStore::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn another_program_s_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("browser.db");
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign
        .execute_batch("create table accounts (id text); insert into accounts values (1)")
        .unwrap();
    drop(foreign);
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// A disk that gave back something else: an error or the truth, never a panic and never a hang.
#[tokio::test]
async fn a_broken_file_is_an_error_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.db");
    filled(&good).await;
    let bytes = fs::read(&good).unwrap();
    assert!(bytes.len() > 50_000, "many pages");
    let broken = folder.path().join("broken.db");
    let mut faults = 0;
    for round in 0..150_usize {
        let mut copy = bytes.clone();
        // Places by a fixed linear congruence, from the head's first bytes to the last page.
        let mut seed = (round * 40_503 + 12_345) % (1 << 31);
        if round % 10 == 0 {
            copy.truncate(seed % copy.len());
        }
        for _ in 0..(1 + round % 40) * 4 {
            seed = (seed * 1_103_515_245 + 12_345) % (1 << 31);
            if let Some(byte) = copy.get_mut(seed % bytes.len()) {
                *byte = (seed >> 7) as u8;
            }
        }
        fs::write(&broken, &copy).unwrap();
        let page = || Page { after: None, limit: 100 };
        let result = match SqliteStore::open(&broken) {
            Ok(store) => {
                let loaded = store.load().await.map(drop);
                loaded.and(store.audit(None, page()).await.map(drop))
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            faults += 1;
            assert!(!error.to_string().contains("panic"), "round {round}: {error}");
        }
        for name in ["broken.db", "broken.db-wal", "broken.db-shm"] {
            let _ = fs::remove_file(folder.path().join(name));
        }
    }
    assert!(faults > 10, "{faults} of 150 were noticed");
}
