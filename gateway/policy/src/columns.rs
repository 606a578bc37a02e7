//! What one account sees: columns by resource and team, and its assistants' names.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_rewrite::{Names, Shown};

use crate::ids::{AccountId, ResourceId, TeamId};

/// The columns an account shows, compiled: one bit set per resource, and per team where a team has
/// a list of its own.
#[derive(Debug, Clone, Default)]
pub struct AccountColumns {
    pub(crate) by_resource: Vec<Arc<Shown>>,
    pub(crate) by_team: HashMap<TeamId, Vec<Arc<Shown>>, ahash::RandomState>,
}

impl AccountColumns {
    /// The team's own list where there is one, else the account's.
    pub fn for_team(&self, resource: ResourceId, team: &TeamId) -> Option<&Arc<Shown>> {
        self.by_team.get(team).unwrap_or(&self.by_resource).get(resource.index())
    }
}

/// A tenant as used.
#[derive(Debug)]
pub struct Account {
    pub id: AccountId,
    pub name: Box<str>,
    /// The commercial plan's name; a metric label.
    pub plan: Arc<str>,
    pub columns: AccountColumns,
    pub names: Arc<Names>,
}
