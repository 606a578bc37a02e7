//! Where a test's database is.

use std::future::Future;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gateway_store::{PostgresStore, SqliteStore, Store};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// A server on which each test makes a database.
const SERVER: &str = "COLONNADE_TEST_POSTGRES";

/// A database of one test's own. It goes when the test ends.
#[derive(Debug)]
pub(crate) enum Place {
    Sqlite(TempDir),
    /// Its URL.
    Postgres(String),
}

impl Place {
    /// One more handle on the database, as of one more process.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Place::Sqlite(folder) => {
                Arc::new(SqliteStore::open(folder.path().join("colonnade.db")).unwrap())
            }
            Place::Postgres(url) => Arc::new(PostgresStore::connect(url).await.unwrap()),
        }
    }

    /// What [`reopen`] opens it by.
    pub(crate) fn address(&self) -> String {
        match self {
            Place::Sqlite(folder) => folder.path().join("colonnade.db").display().to_string(),
            Place::Postgres(url) => url.clone(),
        }
    }

    /// A statement of somebody with SQL at hand; its error as text.
    pub(crate) async fn execute(&self, statement: &str) -> Result<(), String> {
        match self {
            Place::Sqlite(folder) => {
                let file = folder.path().join("colonnade.db");
                let connection = rusqlite::Connection::open(file).unwrap();
                connection.execute_batch(statement).map_err(|error| error.to_string())
            }
            Place::Postgres(url) => {
                let done = client(url).await.batch_execute(statement).await;
                done.map_err(|error| error.as_db_error().unwrap().message().to_owned())
            }
        }
    }
}

/// Opens a database by its [`Place::address`], as a process does that was given it.
pub(crate) async fn reopen(address: &str) -> Arc<dyn Store> {
    if address.starts_with("postgres") {
        Arc::new(PostgresStore::connect(address).await.unwrap())
    } else {
        Arc::new(SqliteStore::open(address).unwrap())
    }
}

pub(crate) fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(test(Place::Sqlite(folder)));
}

/// Says by name that a test was skipped where there is no server.
pub(crate) fn on_postgres<F: Future<Output = ()>>(name: &str, test: impl FnOnce(Place) -> F) {
    let Ok(server) = std::env::var(SERVER) else {
        // Past the harness, which would keep it to itself.
        let line = format!("skipped: postgres::{name}: {SERVER} is not set\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    };
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let database = format!("colonnade_test_{}_{number}", std::process::id());
    runtime().block_on(async {
        let made = format!("create database {database}");
        client(&server).await.batch_execute(&made).await.unwrap();
    });
    let gone = Gone { server: server.clone(), database: database.clone() };
    runtime().block_on(test(Place::Postgres(beside(&server, &database))));
    drop(gone);
}

/// Removes a database, also after a panic.
struct Gone {
    server: String,
    database: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        let gone = format!("drop database if exists {} with (force)", self.database);
        runtime()
            .block_on(async { client(&self.server).await.batch_execute(&gone).await.unwrap() });
    }
}

/// The URL of another database of the server.
fn beside(server: &str, database: &str) -> String {
    let (place, query) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = place.rsplit_once('/').unwrap();
    format!("{host}/{database}?{query}")
}

async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
