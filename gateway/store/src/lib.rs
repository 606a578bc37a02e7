//! Accounts, users, keys, their usage and their audit at rest.
//!
//! A [`Store`] keeps what the admin API and the command line change, and tells every gateway what is
//! new. A directory in a file is no such store: it is read-only, and watched as a file.
//!
//! | file | holds |
//! | --- | --- |
//! | `store` | what a store does |
//! | `change` | what may be changed, and the rules of it, for every store |
//! | `audit`, `usage` | who changed what; how often keys are used |
//! | `document` | records as JSON |
//! | `relational` | what the stores do in SQL, once for both |
//! | `sqlite` | the embedded store: a file of this node |
//! | `postgres` | the store that several gateways share |
//! | `file` | a text file that is watched |
//! | `snapshot` | what was last known of a shared store |
//!
//! Not here: what the records mean to a request (`policy`), YAML (`settings`), HTTP (`admin`).

mod audit;
mod change;
mod document;
mod file;
mod postgres;
mod relational;
mod snapshot;
mod sqlite;
mod store;
mod usage;

pub use audit::{Action, AuditRow, Author};
pub use change::{
    AlterAccount, AlterKey, Change, Decided, Refused, Retry, Standing, StoredKey, is_live,
};
pub use document::{
    AccountDocument, AssistantsDocument, DocumentError, KeyDocument, LimitDocument,
    PreviousDocument, RaisedDocument, UserDocument, limits, quotas,
};
pub use file::{Change as FileChange, ReadError, WatchedFile, check_regular, read_text};
pub use postgres::PostgresStore;
pub use snapshot::{SnapshotError, SnapshotFile};
pub use sqlite::SqliteStore;
pub use store::{
    Delta, KeyStatus, Listed, Node, Page, Store, StoreError, Unreadable, WriteError, Written,
};
pub use usage::{Counts, Usage, UsageFlush, UsageRow};
