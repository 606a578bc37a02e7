//! What the admin API asks of the gateway that it runs in.
//!
//! One trait, so that this crate needs to know neither proxy nor settings: the composition root
//! implements it, and tests do with a node of their own.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, Digest, Directory, KeyRecord, Rules};
use gateway_store::Store;

use crate::auth::Tokens;

/// What the admin API is made of.
#[derive(Clone)]
pub struct AdminParts {
    pub records: Records,
    pub node: Arc<dyn ThisNode>,
}

impl fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminParts").field("records", &self.records).finish_non_exhaustive()
    }
}

/// Where accounts, users and keys are.
#[derive(Clone)]
pub enum Records {
    Store(Arc<dyn Store>),
    /// A file, which is changed by its owner and never here: the records as they are served.
    File(Arc<dyn Fn() -> Arc<Directory> + Send + Sync>),
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Records::Store(store) => f.debug_tuple("Store").field(store).finish(),
            Records::File(_) => f.write_str("File"),
        }
    }
}

/// The node that answers.
#[async_trait]
pub trait ThisNode: Send + Sync {
    /// Asked anew each time: a token that a reload took away is dead at once.
    fn tokens(&self) -> Tokens;

    fn status(&self) -> Status;

    /// Reads configuration and directory again.
    async fn reload(&self) -> ReloadOutcome;

    fn now(&self) -> UnixMs;

    /// What records are held against.
    fn rules(&self) -> Arc<Rules>;

    fn key_rules(&self) -> KeyRules;

    /// What people read about columns, in the order of the rules' resources.
    fn resource_notes(&self) -> Vec<ResourceNotes>;

    /// A key of the configuration's form, made of random bytes.
    ///
    /// # Errors
    /// The system gives none.
    fn new_key(&self) -> Result<NewKey, NoRandomness>;

    /// Returns once no request that begins from now on is judged by anything older than this
    /// revision of the store. May never return; the caller has a clock.
    async fn served(&self, revision: u64);

    /// Writes to the store what was counted here and is not there yet.
    async fn flush_usage(&self);

    /// What a key would get of a body.
    ///
    /// # Errors
    /// Why it would get nothing, in a sentence for people.
    fn preview(&self, ask: &PreviewAsk) -> Result<Preview, String>;
}

/// How this node is.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its id among the nodes of the store.
    pub node: String,
    pub version: &'static str,
    /// Of the snapshot that is served: counts every reload and every change.
    pub revision: u64,
    pub keys: usize,
    pub draining: bool,
    pub last_reload: ReloadOutcome,
    pub directory: DirectoryStatus,
    pub upstreams: Vec<UpstreamStatus>,
}

/// How this node finds an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamStatus {
    pub name: String,
    /// It was silent, and requests are refused but for a probe now and then.
    pub breaker_open: bool,
    pub servers: Vec<ServerStatus>,
}

/// How this node finds one address of a server.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    /// As configured.
    pub server: String,
    /// `None` where its name does not resolve.
    pub address: Option<String>,
    /// `in_service`, `ejected`, `unhealthy` or `unresolved`.
    pub state: &'static str,
}

/// What this node knows of where its records come from.
#[derive(Debug, Clone)]
pub struct DirectoryStatus {
    /// `file`, `sqlite` or `postgres`.
    pub kind: &'static str,
    /// The revision of the store that is served; `None` for a file.
    pub revision: Option<u64>,
    /// Served from the copy on disk, for the store was away at the start and still is.
    pub from_snapshot: bool,
    /// Records that are in the store and are not served, and why.
    pub left_out: Vec<String>,
}

/// How the last reload went.
#[derive(Debug, Clone, Default)]
pub struct ReloadOutcome {
    pub ok: bool,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// Why nothing was changed.
    pub faults: Vec<String>,
    /// Records that were left out of what is served.
    pub left_out: Vec<String>,
}

/// What the configuration says of new keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRules {
    /// What new keys begin with.
    pub prefix: String,
    /// What new keys look like, for those who search for leaked ones.
    pub regex: String,
    /// Live keys of an account that has no number of its own.
    pub live_max: u32,
    pub data_scope_required: bool,
}

/// What people read about a resource's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceNotes {
    pub name: String,
    /// In the order of the catalogue; empty where everything passes.
    pub columns: Vec<ColumnNotes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnNotes {
    pub path: String,
    pub label: Option<String>,
    pub personal: bool,
    pub shown_by_default: bool,
    pub always: bool,
    pub assistant: bool,
}

/// A key that was just made.
#[derive(Debug)]
pub struct NewKey {
    pub text: KeyText,
    pub digest: Digest,
    /// Masked.
    pub display: String,
}

/// The text of a key. It leaves in the answer that creates it and in no other way.
pub struct KeyText(String);

impl KeyText {
    pub fn new(text: String) -> KeyText {
        KeyText(text)
    }

    pub(crate) fn into_answer(self) -> String {
        self.0
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(…)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// What is to be previewed.
#[derive(Debug, Clone)]
pub struct PreviewAsk {
    /// With its users; its keys are not looked at.
    pub account: AccountRecord,
    pub key: KeyRecord,
    pub of: PreviewOf,
    /// The team of the request, if it names one.
    pub team: Option<String>,
    /// As the upstream would answer.
    pub body: Vec<u8>,
}

/// Whose columns, and where the rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewOf {
    /// A route as configured: `GET /api/calls/{id}`.
    Route(String),
    /// The first route of this resource.
    Resource(String),
}

/// What a key would get.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    pub body: Vec<u8>,
    /// Paths of columns that were dropped, each once.
    pub columns_hidden: Vec<String>,
    pub rows_hidden: u64,
    /// Assistant ids that got a name, and those that got the fallback or null.
    pub mapped: u64,
    pub fallback: u64,
}
