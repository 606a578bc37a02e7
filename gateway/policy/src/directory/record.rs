//! Accounts, users and keys as a store hands them over: read, not yet held against any rules.

use std::collections::BTreeMap;

use gateway_limits::{Quota, UnixMs};
use ipnet::IpNet;

use crate::key::DataScope;
use crate::token::Digest;

/// All records, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    pub accounts: Vec<AccountRecord>,
}

/// Columns by resource.
pub type ColumnLists = BTreeMap<String, Vec<String>>;

/// Display names by assistant id, and what stands for an id without one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssistantNames {
    pub names: Vec<(String, String)>,
    pub fallback: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    pub id: String,
    pub name: String,
    pub plan: String,
    /// `None`: any team is the account's.
    pub teams: Option<Vec<String>>,
    pub live_max: Option<u32>,
    pub columns: ColumnLists,
    pub team_columns: BTreeMap<String, ColumnLists>,
    pub assistants: AssistantNames,
    pub users: Vec<UserRecord>,
    pub keys: Vec<KeyRecord>,
}

impl AccountRecord {
    /// An account of any team that shows what the resources show by default, still without keys.
    pub fn new(id: &str, plan: &str) -> AccountRecord {
        AccountRecord {
            id: id.to_owned(),
            name: id.to_owned(),
            plan: plan.to_owned(),
            teams: None,
            live_max: None,
            columns: ColumnLists::new(),
            team_columns: BTreeMap::new(),
            assistants: AssistantNames::default(),
            users: Vec::new(),
            keys: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRecord {
    pub id: String,
    pub email: Option<String>,
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: String,
    pub name: String,
    pub digest: Digest,
    /// Masked, as lists show it.
    pub display: String,
    pub scopes: Vec<String>,
    pub data_scope: Option<DataScope>,
    /// Whom the key was issued to; user data scopes only.
    pub user: Option<String>,
    /// Who made it; for audit, changes nothing.
    pub owner: Option<String>,
    /// `None`: all of the account's.
    pub teams: Option<Vec<String>>,
    pub expires_at: Option<UnixMs>,
    pub revoked_at: Option<UnixMs>,
    pub allowed_ips: Vec<IpNet>,
    /// Instead of the plan's.
    pub limits: Option<Vec<Quota>>,
    /// Instead of both, for a while.
    pub raised: Option<RaisedLimits>,
    /// The digest before the last regeneration, while its grace lasts.
    pub previous: Option<PreviousDigest>,
    /// `None`: not known, as in a directory file.
    pub created_at: Option<UnixMs>,
}

/// Limits up to an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaisedLimits {
    pub limits: Vec<Quota>,
    pub until: UnixMs,
}

/// A digest that was replaced, and up to when the key is known by it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousDigest {
    pub digest: Digest,
    pub until: UnixMs,
}

impl KeyRecord {
    /// A key of the whole account, without an end, on the plan's limits, from any address.
    pub fn new(id: &str, digest: Digest, scopes: &[&str]) -> KeyRecord {
        KeyRecord {
            id: id.to_owned(),
            name: id.to_owned(),
            digest,
            display: String::new(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            data_scope: None,
            user: None,
            owner: None,
            teams: None,
            expires_at: None,
            revoked_at: None,
            allowed_ips: Vec::new(),
            limits: None,
            raised: None,
            previous: None,
            created_at: None,
        }
    }
}
