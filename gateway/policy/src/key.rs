//! One live or dead key as the request path uses it: compiled, shared by `Arc`, never changed.

use std::collections::HashMap;
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

/// The row rules of one key, ready to share.
#[derive(Debug, Clone)]
pub(crate) struct RowRules {
    pub(crate) none: Arc<RowRule>,
    /// What the data scope asks.
    pub(crate) scope: Arc<RowRule>,
    /// That, and rows of the key's own teams only.
    pub(crate) scope_and_teams: Arc<RowRule>,
    /// By chosen team and resource: the rule above, or the team's own rows alone where the team shows
    /// what another one within reach may hide. Empty where no choice makes such a difference.
    pub(crate) by_team: HashMap<TeamId, Vec<Arc<RowRule>>, ahash::RandomState>,
}

impl RowRules {
    /// What the data scope asks, and rows of this team only.
    pub(crate) fn of_team(&self, team: &TeamId) -> Arc<RowRule> {
        let teams = Some(vec![team.as_str().to_owned()]);
        Arc::new(RowRule { teams, ..(*self.scope).clone() })
    }
}

/// Limits up to an instant. They count in the same words as the others, as far as kinds and windows
/// are the same.
#[derive(Debug, Clone)]
pub(crate) struct Raised {
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) slot: Slot,
    pub(crate) until: UnixMs,
}

/// A key as used. Built by [`crate::compile_key`] only.
#[derive(Debug, Clone)]
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
    /// Empty: any address. None in v6 clothes.
    pub allowed_ips: Vec<IpNet>,
    pub quotas: Arc<Quotas>,
    pub slot: Slot,
    /// What holds instead for a while.
    pub(crate) raised: Option<Raised>,
    pub(crate) rows: RowRules,
    /// Per resource: what is shown while the request names no team.
    pub(crate) shown_without_team: Vec<Arc<Shown>>,
}

impl KeyEntry {
    /// The limits in force at an instant, and where they are counted.
    pub fn limits(&self, at: UnixMs) -> (&Arc<Quotas>, Slot) {
        match &self.raised {
            Some(raised) if at < raised.until => (&raised.quotas, raised.slot),
            _ => (&self.quotas, self.slot),
        }
    }

    /// The same key with an end.
    pub(crate) fn until(&self, end: UnixMs) -> KeyEntry {
        KeyEntry { expires_at: Some(end), ..self.clone() }
    }

    /// A v4 address in v6 clothes (`::ffff:192.0.2.1`) is that v4 address.
    pub fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.allowed_ips.is_empty() || self.allowed_ips.iter().any(|net| net.contains(&client))
    }

    /// The columns of `resource` that this key sees while `team` is chosen.
    pub fn shown(&self, resource: ResourceId, team: Option<&TeamId>) -> Option<&Arc<Shown>> {
        match team {
            Some(team) => self.account.columns.for_team(resource, team),
            None => self.shown_without_team.get(resource.index()),
        }
    }

    /// The rows of `resource`, whose rows tell their team, that this key sees while `team` is chosen.
    pub(crate) fn row_rule(
        &self,
        resource: ResourceId,
        team: Option<&TeamId>,
    ) -> Option<Arc<RowRule>> {
        let rules = &self.rows;
        let Some(team) = team.filter(|_| !rules.by_team.is_empty()) else {
            return Some(Arc::clone(&rules.scope_and_teams));
        };
        if let Some(by_resource) = rules.by_team.get(team) {
            return by_resource.get(resource.index()).map(Arc::clone);
        }
        // A key of any team chose one that has no list of its own: not known before it is named.
        let shown = self.shown(resource, Some(team))?;
        let same = shown == self.shown(resource, None)?;
        Some(if same { Arc::clone(&rules.scope_and_teams) } else { rules.of_team(team) })
    }
}
