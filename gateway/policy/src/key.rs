//! One live or dead key as the request path uses it: compiled, shared by `Arc`, never changed.

use std::net::IpAddr;
use std::sync::Arc;

use gateway_limits::{Quotas, Slot, UnixMs};
use gateway_rewrite::{RowRule, Shown};
use ipnet::IpNet;

use crate::columns::Account;
use crate::ids::{KeyId, ResourceId, TeamId};
use crate::scope::ScopeSet;

/// Which rows a key sees (CONTRACT section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataScope {
    UserNonPrivate,
    UserFull,
    OrgNonPrivate,
    OrgFull,
    /// From before scopes existed: sees all, may only be shown and revoked.
    Legacy,
}

impl DataScope {
    pub const ALL: [DataScope; 5] = [
        DataScope::UserNonPrivate,
        DataScope::UserFull,
        DataScope::OrgNonPrivate,
        DataScope::OrgFull,
        DataScope::Legacy,
    ];

    pub fn parse(text: &str) -> Option<DataScope> {
        DataScope::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            DataScope::UserNonPrivate => "user_non_private",
            DataScope::UserFull => "user_full",
            DataScope::OrgNonPrivate => "org_non_private",
            DataScope::OrgFull => "org_full",
            DataScope::Legacy => "legacy",
        }
    }

    /// Needs an issued-to user.
    pub fn is_user(self) -> bool {
        matches!(self, DataScope::UserNonPrivate | DataScope::UserFull)
    }

    /// Never sees private rows.
    pub fn hides_private(self) -> bool {
        matches!(self, DataScope::UserNonPrivate | DataScope::OrgNonPrivate)
    }
}

/// The user a key was issued to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub email: Option<String>,
    pub active: bool,
}

/// Which teams a key reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TeamReach {
    /// Any team: the account names none, and neither does the key.
    Any,
    /// Just these; never empty.
    Only(Vec<TeamId>),
}

impl TeamReach {
    pub fn covers(&self, team: &str) -> bool {
        match self {
            TeamReach::Any => true,
            TeamReach::Only(teams) => teams.iter().any(|known| known.as_str() == team),
        }
    }

    /// The one team of an anchored key.
    pub fn anchor(&self) -> Option<&TeamId> {
        match self {
            TeamReach::Only(teams) if teams.len() == 1 => teams.first(),
            _ => None,
        }
    }
}

/// The row rules of one key, ready to share: with and without the team's part.
#[derive(Debug, Clone)]
pub(crate) struct RowRules {
    pub(crate) none: Arc<RowRule>,
    pub(crate) scope: Arc<RowRule>,
    pub(crate) scope_and_teams: Arc<RowRule>,
}

/// A key as used. Built by [`crate::compile`] only.
#[derive(Debug)]
pub struct KeyEntry {
    pub id: KeyId,
    pub name: Box<str>,
    pub account: Arc<Account>,
    pub scopes: ScopeSet,
    /// The scopes as sent up, space-separated, in declared order.
    pub scopes_text: Box<str>,
    pub data_scope: DataScope,
    pub user: Option<User>,
    pub teams: TeamReach,
    /// Whether the key reaches all of its account.
    pub whole_account: bool,
    pub expires_at: Option<UnixMs>,
    pub revoked_at: Option<UnixMs>,
    /// Empty: any address.
    pub allowed_ips: Vec<IpNet>,
    pub quotas: Arc<Quotas>,
    pub slot: Slot,
    pub(crate) rows: RowRules,
    /// Per resource: what is shown while the request names no team.
    pub(crate) shown_without_team: Vec<Arc<Shown>>,
}

impl KeyEntry {
    pub fn allows(&self, client: IpAddr) -> bool {
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|net| net.contains(&client))
    }

    /// The columns of `resource` that this key sees while `team` is chosen.
    pub fn shown(&self, resource: ResourceId, team: Option<&TeamId>) -> Option<&Arc<Shown>> {
        match team {
            Some(team) => self.account.columns.for_team(resource, team),
            None => self.shown_without_team.get(resource.index()),
        }
    }
}
