//! What a store does, whichever it is.
//!
//! A store has one counter, its revision. Each change is one transaction that counts it up and marks
//! what it wrote with it, under a lock, so that commits come in the order of their revisions: who has
//! seen revision 8 has seen 7. A gateway asks for what is newer than what it has.
//!
//! Nothing here is reached by a customer's request.

use async_trait::async_trait;
use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, RecordFault};

use crate::audit::{AuditRow, Author};
use crate::change::{Change, Refused, StoredKey};
use crate::usage::{Usage, UsageFlush};

/// Accounts, users, keys, their usage, and who changed what.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// `sqlite` or `postgres`.
    fn kind(&self) -> &'static str;

    /// All accounts with users and keys, dead keys too.
    async fn load(&self) -> Result<Delta, StoreError>;

    /// Accounts that changed since a revision, or whose users or keys did. Their users are all there,
    /// of their keys those that changed. A revision below `since` says that the store was set back,
    /// as from a backup: then only [`load`](Store::load) tells what there is.
    async fn changes(&self, since: u64) -> Result<Delta, StoreError>;

    /// Waits until there may be something newer than a revision, or the store was set back behind
    /// it. May come back without; never waits longer than a few seconds.
    async fn news(&self, since: u64) -> Result<(), StoreError>;

    /// Makes a change, all of it or nothing. When it returns, it is on disk.
    async fn write(
        &self,
        change: Change,
        author: &Author,
        now: UnixMs,
    ) -> Result<Written, WriteError>;

    /// With its users, without its keys.
    async fn account(&self, id: &str) -> Result<Option<AccountRecord>, StoreError>;

    /// As [`account`](Store::account), by id.
    async fn accounts(&self, page: Page) -> Result<Listed<AccountRecord>, StoreError>;

    async fn key(&self, id: &str) -> Result<Option<StoredKey>, StoreError>;

    /// Keys of an account, the oldest first.
    async fn keys(
        &self,
        account: &str,
        status: KeyStatus,
        now: UnixMs,
        page: Page,
    ) -> Result<Listed<StoredKey>, StoreError>;

    /// The newest first; of one account, or of all.
    async fn audit(
        &self,
        account: Option<&str>,
        page: Page,
    ) -> Result<Listed<AuditRow>, StoreError>;

    /// Adds what a gateway counted. The same flush a second time changes nothing.
    async fn add_usage(&self, flush: &UsageFlush) -> Result<(), StoreError>;

    /// Of each key, in the order of the ids; nothing for a key that was never used.
    async fn usage(&self, keys: &[String], now: UnixMs) -> Result<Vec<Usage>, StoreError>;

    /// Tells that a gateway is there, and what it serves.
    async fn heartbeat(&self, node: &Node) -> Result<(), StoreError>;

    /// Gateways that were there since an instant.
    async fn nodes(&self, since: UnixMs) -> Result<Vec<Node>, StoreError>;
}

/// What is new, and up to which revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    pub revision: u64,
    pub accounts: Vec<AccountRecord>,
    /// Records that cannot be read, by whoever wrote them: they are in no list above, nor is anything of
    /// an account that is one of them.
    pub unreadable: Vec<Unreadable>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    pub account: String,
    /// `None`: it is the account itself.
    pub key: Option<String>,
    pub fault: RecordFault,
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// From which on the change is served. That of the last change, if there was nothing to do.
    pub revision: u64,
    /// The account as it stands now, without keys.
    pub account: AccountRecord,
    /// The key as it stands now, if the change was one of a key.
    pub key: Option<StoredKey>,
    /// The creation had been made before, with the same [`Retry`](crate::Retry).
    pub is_replay: bool,
}

/// Which keys a list has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyStatus {
    #[default]
    Active,
    Revoked,
    /// Not revoked, but past their end.
    Expired,
    All,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Behind this one; the cursor of the page before.
    pub after: Option<String>,
    /// At most so many; at least one.
    pub limit: u32,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<String>,
}

/// A gateway of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Chosen at each start.
    pub id: String,
    pub revision: u64,
    pub seen_at: UnixMs,
    pub version: String,
}

/// Why a store does not answer. Never repeats a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It may come back.
    #[error("the store cannot be reached: {0}")]
    Unreachable(String),
    /// It answers, and nothing was changed.
    #[error("the disk of the store is full")]
    Full,
    /// As `Full`: its file or its disk is set to be read only.
    #[error("the store may only be read")]
    ReadOnly,
    /// What it holds is not what was written.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
    /// Of a newer version of this program, or of none.
    #[error("the store has another form: {0}")]
    Schema(String),
    /// The caller's fault: no list has given this cursor.
    #[error("no page begins behind `{0}`")]
    Cursor(String),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Store(#[from] StoreError),
}
