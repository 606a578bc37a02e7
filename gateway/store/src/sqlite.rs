//! The embedded store: one SQLite file, which `sqlite3` can open too.
//!
//! One connection writes, a few read beside it (write-ahead log), all on threads for blocking work.
//! Several processes may have the file open: a write takes SQLite's lock at its beginning and waits
//! for it within a bound. A commit is on disk when it returns (`synchronous=full`).
//!
//! What others have written is noticed by polling `data_version`, which costs microseconds and sees
//! every process; what this one has written is known at once.
//!
//! Not here: statements (`relational`). A file on a network file system: SQLite's locks need a local
//! one.
//! Sources: <https://sqlite.org/wal.html>, <https://sqlite.org/pragma.html>.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use gateway_limits::UnixMs;
use gateway_policy::AccountRecord;
use rusqlite::Connection;
use tokio::sync::{Mutex, watch};

use crate::audit::{AuditRow, Author};
use crate::change::{Change, StoredKey};
use crate::relational::{self, audit, nodes, read, tell, tell_newer, usage, write};
use crate::store::{Delta, KeyStatus, Listed, Node, Page, Store, StoreError, WriteError, Written};
use crate::usage::{Usage, UsageFlush};

mod connection;
mod lane;

use connection::fault;
use lane::{Lane, at_once};

/// How often the file is asked whether somebody else has written.
const POLL_EVERY: Duration = Duration::from_millis(50);
/// Reads at the same time. A long one, such as of all records, leaves room for others.
const READERS: usize = 4;

/// Accounts, keys, usage and audit in a file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Lane,
    readers: Lane,
    watcher: Lane,
    /// The revision that was seen last, with the `data_version` of that moment.
    seen: watch::Sender<u64>,
    data_version: Mutex<Option<i64>>,
}

impl SqliteStore {
    /// Opens a file; makes it, readable by this user alone, where there is none. Blocks for as long
    /// as that takes.
    ///
    /// # Errors
    /// It is no database, another program's, a newer version's, or cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<SqliteStore, StoreError> {
        let path = connection::prepare(path.as_ref())?;
        let mut writer = connection::open(&path)?;
        connection::migrate(&mut writer)?;
        let revision = at_once(relational::revision(&mut writer))?;
        Ok(SqliteStore {
            writer: Lane::new(&path, 1, Some(writer)),
            readers: Lane::new(&path, READERS, None),
            watcher: Lane::new(&path, 1, None),
            seen: watch::Sender::new(revision),
            data_version: Mutex::new(None),
            path,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads in one transaction, which sees one state.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(|connection| transaction(connection, "begin", read)).await
    }

    /// Writes in one transaction, which is there wholly or not at all.
    async fn change<T, E>(
        &self,
        write: impl FnOnce(&mut Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.run(|connection| transaction(connection, "begin immediate", write)).await
    }

    /// Looks whether the file has changed, and if so to which revision.
    async fn look(&self) -> Result<(), StoreError> {
        let mut known = self.data_version.lock().await;
        let before = *known;
        let (version, revision) =
            self.watcher.run(move |connection| look(connection, before)).await?;
        if let Some(revision) = revision {
            tell(&self.seen, revision);
        }
        *known = Some(version);
        Ok(())
    }
}

fn look(
    connection: &mut Connection,
    before: Option<i64>,
) -> Result<(i64, Option<u64>), StoreError> {
    let version =
        connection.query_row("pragma data_version", [], |row| row.get(0)).map_err(fault)?;
    if before == Some(version) {
        return Ok((version, None));
    }
    Ok((version, Some(at_once(relational::revision(connection))?)))
}

/// Begins, does, and commits, or takes back whatever was done.
fn transaction<T, E: From<StoreError>>(
    connection: &mut Connection,
    begin: &str,
    work: impl FnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E> {
    connection.execute_batch(begin).map_err(fault)?;
    let result = work(connection).and_then(|done| {
        connection.execute_batch("commit").map_err(fault)?;
        Ok(done)
    });
    if result.is_err() && !connection.is_autocommit() {
        // What cannot be taken back now is taken back when the connection is closed.
        let _ = connection.execute_batch("rollback");
    }
    result
}

#[async_trait]
impl Store for SqliteStore {
    fn kind(&self) -> &'static str {
        "sqlite"
    }

    async fn load(&self) -> Result<Delta, StoreError> {
        self.read(|sql| at_once(read::load(sql))).await
    }

    async fn changes(&self, since: u64) -> Result<Delta, StoreError> {
        self.read(move |sql| at_once(read::changes(sql, since))).await
    }

    async fn news(&self, since: u64) -> Result<(), StoreError> {
        relational::news(&self.seen, since, POLL_EVERY, || self.look()).await
    }

    async fn write(
        &self,
        change: Change,
        author: &Author,
        now: UnixMs,
    ) -> Result<Written, WriteError> {
        let (author, asked) = (author.clone(), write::Asked::at(now));
        let work = move |sql: &mut Connection| at_once(write::write(sql, change, &author, asked));
        let written = self.change(work).await?;
        tell_newer(&self.seen, written.revision);
        Ok(written)
    }

    async fn account(&self, id: &str) -> Result<Option<AccountRecord>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| at_once(read::account(sql, &id))).await
    }

    async fn accounts(&self, page: Page) -> Result<Listed<AccountRecord>, StoreError> {
        self.read(move |sql| at_once(read::accounts(sql, &page))).await
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        let id = id.to_owned();
        self.read(move |sql| at_once(read::key(sql, &id))).await
    }

    async fn keys(
        &self,
        account: &str,
        status: KeyStatus,
        now: UnixMs,
        page: Page,
    ) -> Result<Listed<StoredKey>, StoreError> {
        let account = account.to_owned();
        self.read(move |sql| at_once(read::keys(sql, &account, status, now, &page))).await
    }

    async fn audit(
        &self,
        account: Option<&str>,
        page: Page,
    ) -> Result<Listed<AuditRow>, StoreError> {
        let account = account.map(str::to_owned);
        self.read(move |sql| at_once(audit::page(sql, account.as_deref(), &page))).await
    }

    async fn add_usage(&self, flush: &UsageFlush) -> Result<(), StoreError> {
        let flush = flush.clone();
        self.change(move |sql| at_once(usage::add(sql, &flush))).await
    }

    async fn usage(&self, keys: &[String], now: UnixMs) -> Result<Vec<Usage>, StoreError> {
        let keys = keys.to_vec();
        self.read(move |sql| at_once(usage::read(sql, &keys, now))).await
    }

    async fn heartbeat(&self, node: &Node) -> Result<(), StoreError> {
        let node = node.clone();
        self.change(move |sql| at_once(nodes::put(sql, &node))).await
    }

    async fn nodes(&self, since: UnixMs) -> Result<Vec<Node>, StoreError> {
        self.read(move |sql| at_once(nodes::since(sql, since))).await
    }
}
