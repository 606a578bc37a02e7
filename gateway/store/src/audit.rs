//! Who changed what, when and from where. Never a secret: neither keys nor their digests.

use gateway_limits::UnixMs;
use serde_json::Value;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    AccountCreated,
    AccountAltered,
    UserPut,
    ColumnsSet,
    AssistantsSet,
    KeyCreated,
    KeyImported,
    KeyAltered,
    KeyRegenerated,
    KeyRevoked,
}

impl Action {
    pub const ALL: [Action; 10] = [
        Action::AccountCreated,
        Action::AccountAltered,
        Action::UserPut,
        Action::ColumnsSet,
        Action::AssistantsSet,
        Action::KeyCreated,
        Action::KeyImported,
        Action::KeyAltered,
        Action::KeyRegenerated,
        Action::KeyRevoked,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Action::AccountCreated => "account.created",
            Action::AccountAltered => "account.altered",
            Action::UserPut => "user.put",
            Action::ColumnsSet => "columns.set",
            Action::AssistantsSet => "assistants.set",
            Action::KeyCreated => "key.created",
            Action::KeyImported => "key.imported",
            Action::KeyAltered => "key.altered",
            Action::KeyRegenerated => "key.regenerated",
            Action::KeyRevoked => "key.revoked",
        }
    }

    pub fn parse(text: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// The admin token's name, or `cli` and the system's user.
    pub name: String,
    /// The client's address, where there is one.
    pub address: Option<String>,
    pub request_id: Option<String>,
}

/// One line of audit.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    /// Rising with time.
    pub id: u64,
    pub at: UnixMs,
    pub author: Author,
    pub action: Action,
    pub account: String,
    /// The account, user or key.
    pub object: String,
    /// What it was and became, without digests; null where it was not.
    pub before: Value,
    pub after: Value,
    pub revision: u64,
}
