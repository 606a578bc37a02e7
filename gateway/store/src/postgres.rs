//! The store that several gateways share: PostgreSQL.
//!
//! A few connections, each used for one call at a time; one more that listens. Every call has a bound,
//! [`CALL_MAX`], after which it is given up together with its connection: a server that is stopped, hung
//! or cut off costs a caller seconds, and nobody waits behind it. Whether a change that was given up
//! was made is not known; asked for again it is made once, where it says how it may be.
//!
//! A change locks the row of the change counter first, so that commits come in the order of the
//! revisions. It notifies the channel `colonnade` when it commits. Notifications may be lost with their
//! connection, so the revision is asked for as well, every [`POLL_EVERY`].
//!
//! Not here: statements (`relational`). A pooler between that mixes transactions of several clients:
//! settings and LISTEN belong to a connection.
//! Sources: PostgreSQL documentation, "Asynchronous Notification" and "Client Connection Defaults".

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway_limits::UnixMs;
use gateway_policy::AccountRecord;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::audit::{AuditRow, Author};
use crate::change::{Change, StoredKey};
use crate::relational::{self, audit, nodes, read, tell, tell_newer, usage, write};
use crate::store::{Delta, KeyStatus, Listed, Node, Page, Store, StoreError, WriteError, Written};
use crate::usage::{Usage, UsageFlush};

mod address;
mod listen;
mod pool;
mod schema;
mod session;

use address::Address;
use pool::Pool;
use session::Kind;

/// The longest that a call takes; of one that reads much, the longest silence within it.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(5);
/// How often the revision is asked for.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Accounts, keys, usage and audit in a PostgreSQL database.
pub struct PostgresStore {
    pool: Arc<Pool>,
    /// The revision that was heard of last.
    seen: watch::Sender<u64>,
    listener: JoinHandle<()>,
}

impl PostgresStore {
    /// The database at `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, which need not answer yet: the first
    /// call that it answers takes the steps of the schema that are missing. `sslmode=require` asks for
    /// TLS with a certificate that the system's authorities, or those of `sslrootcert=FILE`, have
    /// signed for this host. Within a Tokio runtime.
    ///
    /// # Errors
    /// The URL is none, or its certificates cannot be read.
    pub fn new(url: &str) -> Result<PostgresStore, StoreError> {
        let pool = Arc::new(Pool::new(Address::parse(url)?));
        let seen = watch::Sender::new(0);
        let listener = tokio::spawn(listen::listen(Arc::clone(&pool), seen.clone()));
        Ok(PostgresStore { pool, seen, listener })
    }

    /// As [`new`](PostgresStore::new), of a database that answers.
    ///
    /// # Errors
    /// The server does not answer, refuses, or has a database of another form.
    pub async fn connect(url: &str) -> Result<PostgresStore, StoreError> {
        let store = PostgresStore::new(url)?;
        store.pool.ready().await?;
        store.look().await?;
        Ok(store)
    }

    /// Server and database, without user and password.
    pub fn origin(&self) -> String {
        self.pool.address().to_string()
    }

    async fn look(&self) -> Result<(), StoreError> {
        let mut session = self.pool.begin(Kind::Read).await?;
        let revision = relational::revision(&mut session).await;
        tell(&self.seen, session.end(revision).await?);
        Ok(())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresStore").field(self.pool.address()).finish()
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Begins a transaction, calls, and ends it.
macro_rules! call {
    ($store:ident, $kind:expr, |$sql:ident| $call:expr) => {{
        let mut session = $store.pool.begin($kind).await?;
        let $sql = &mut session;
        let result = $call.await;
        session.end(result).await
    }};
}

#[async_trait]
impl Store for PostgresStore {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    async fn load(&self) -> Result<Delta, StoreError> {
        call!(self, Kind::LongRead, |sql| read::load(sql))
    }

    async fn changes(&self, since: u64) -> Result<Delta, StoreError> {
        call!(self, Kind::LongRead, |sql| read::changes(sql, since))
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
        let asked = write::Asked::at(now);
        let mut session = self.pool.begin(Kind::Write).await?;
        let written = write::write(&mut session, change, author, asked).await;
        let written = session.end(written).await?;
        tell_newer(&self.seen, written.revision);
        Ok(written)
    }

    async fn account(&self, id: &str) -> Result<Option<AccountRecord>, StoreError> {
        call!(self, Kind::Read, |sql| read::account(sql, id))
    }

    async fn accounts(&self, page: Page) -> Result<Listed<AccountRecord>, StoreError> {
        call!(self, Kind::Read, |sql| read::accounts(sql, &page))
    }

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        call!(self, Kind::Read, |sql| read::key(sql, id))
    }

    async fn keys(
        &self,
        account: &str,
        status: KeyStatus,
        now: UnixMs,
        page: Page,
    ) -> Result<Listed<StoredKey>, StoreError> {
        call!(self, Kind::Read, |sql| read::keys(sql, account, status, now, &page))
    }

    async fn audit(
        &self,
        account: Option<&str>,
        page: Page,
    ) -> Result<Listed<AuditRow>, StoreError> {
        call!(self, Kind::Read, |sql| audit::page(sql, account, &page))
    }

    async fn add_usage(&self, flush: &UsageFlush) -> Result<(), StoreError> {
        call!(self, Kind::Write, |sql| usage::add(sql, flush))
    }

    async fn usage(&self, keys: &[String], now: UnixMs) -> Result<Vec<Usage>, StoreError> {
        call!(self, Kind::Read, |sql| usage::read(sql, keys, now))
    }

    async fn heartbeat(&self, node: &Node) -> Result<(), StoreError> {
        call!(self, Kind::Write, |sql| nodes::put(sql, node))
    }

    async fn nodes(&self, since: UnixMs) -> Result<Vec<Node>, StoreError> {
        call!(self, Kind::Read, |sql| nodes::since(sql, since))
    }
}
