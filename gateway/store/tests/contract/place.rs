//! Where a test's database is.

use std::future::Future;
use std::sync::Arc;

use gateway_store::{SqliteStore, Store};
use tempfile::TempDir;

/// A database of one test's own. It goes when the test ends.
#[derive(Debug)]
pub(crate) enum Place {
    Sqlite(TempDir),
}

impl Place {
    /// One more handle on the database, as of one more process.
    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match self {
            Place::Sqlite(folder) => {
                Arc::new(SqliteStore::open(folder.path().join("colonnade.db")).unwrap())
            }
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
        }
    }
}

pub(crate) fn on_sqlite<F: Future<Output = ()>>(test: impl FnOnce(Place) -> F) {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(test(Place::Sqlite(folder)));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
