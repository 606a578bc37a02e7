//! What one key sees: its columns while no team is chosen, its rows by data scope and team.
//!
//! Teams may have column lists of their own, and a key may reach several teams. So that no row comes
//! out with columns that its team hides, an answer without a chosen team shows what all of them
//! show; and where the chosen team shows more than that, rows of the others do not pass (decisions 5 and 10).
//!
//! Cost: for a key of several teams, one rule for each team it reaches and a pointer for each of
//! those and each resource, if any of them has a list of its own; nothing otherwise.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_rewrite::{Owner, RowRule, Shown};

use crate::columns::AccountColumns;
use crate::ids::TeamId;
use crate::key::{DataScope, RowRules, TeamReach, User};
use crate::snapshot::Rules;

/// What a key sees while no team is chosen. Rows of every team it reaches may be in such an
/// answer, so a column must be on the account's list and on the own list of each of those teams.
pub(super) fn without_team(
    columns: &AccountColumns,
    reach: &TeamReach,
    rules: &Rules,
) -> Vec<Arc<Shown>> {
    let mut shown = columns.by_resource.clone();
    for (_, lists) in own_lists(columns, reach) {
        for ((shown, list), resource) in shown.iter_mut().zip(lists).zip(&rules.resources) {
            let ids = resource.catalogue.columns().map(|(id, _)| id);
            let both = ids.filter(|id| shown.contains(*id) && list.contains(*id));
            *shown = Arc::new(Shown::from_ids(&resource.catalogue, both));
        }
    }
    shown
}

/// The row rules of a key. `without_team` is what [`without_team`] came to for it.
pub(super) fn rows(
    data_scope: DataScope,
    user: Option<&User>,
    reach: &TeamReach,
    columns: &AccountColumns,
    without_team: &[Arc<Shown>],
) -> RowRules {
    let owner = user.map(|user| Owner { id: user.id.clone(), email: user.email.clone() });
    let scope = RowRule { hide_private: data_scope.hides_private(), owner, teams: None };
    let teams = match reach {
        TeamReach::Any => None,
        TeamReach::Only(teams) => Some(teams.iter().map(|team| team.as_str().to_owned()).collect()),
    };
    let mut rules = RowRules {
        none: Arc::new(RowRule::default()),
        scope_and_teams: Arc::new(RowRule { teams, ..scope.clone() }),
        scope: Arc::new(scope),
        by_team: HashMap::default(),
    };
    for team in namable(columns, reach) {
        let own = rules.of_team(team);
        let shown = columns.by_team.get(team).unwrap_or(&columns.by_resource);
        let by_resource = shown.iter().zip(without_team).map(|(shown, without)| {
            Arc::clone(if shown == without { &rules.scope_and_teams } else { &own })
        });
        rules.by_team.insert(team.clone(), by_resource.collect());
    }
    rules
}

/// The teams that a request of this key may choose and that are known beforehand, where it makes a
/// difference which: some team that the key reaches has a list of its own, and it reaches another.
fn namable<'a>(columns: &'a AccountColumns, reach: &'a TeamReach) -> Vec<&'a TeamId> {
    let mut own = own_lists(columns, reach).map(|(team, _)| team);
    match reach {
        TeamReach::Any => own.collect(),
        TeamReach::Only(teams) if teams.len() > 1 && own.next().is_some() => teams.iter().collect(),
        TeamReach::Only(_) => Vec::new(),
    }
}

/// The teams within reach that have lists of their own.
fn own_lists<'a>(
    columns: &'a AccountColumns,
    reach: &'a TeamReach,
) -> impl Iterator<Item = (&'a TeamId, &'a Vec<Arc<Shown>>)> {
    columns.by_team.iter().filter(|(team, _)| reach.covers(team.as_str()))
}
