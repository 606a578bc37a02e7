//! Reads the records one by one: each has its form, or is reported and left out.

use gateway_policy::{
    AccountRecord, AssistantNames, ColumnLists, DataScope, KeyRecord, Quota, UnixMs, UserRecord,
};
use serde::de::DeserializeOwned;

use super::plaintext::runs;
use crate::check::{Rule, check};
use crate::compile::quota;
use crate::model::directory::{
    AccountSettings, KeySettings, KeyTeams, RecordDataScope, Teams, UserSettings,
};
use crate::model::{LimitSettings, Named};
use crate::node::{Entry, Node, Path, Value};
use crate::report::Report;

pub(super) struct Reader<'r, 't> {
    pub(super) report: &'r mut Report<'t>,
    pub(super) account: Rule<'r>,
    pub(super) user: Rule<'r>,
    pub(super) key: Rule<'r>,
}

impl<'r, 't> Reader<'r, 't> {
    /// The sound records of a mapping from ids to records.
    pub(super) fn records<T>(
        &mut self,
        node: &mut Node,
        path: &Path<'_>,
        read: fn(&mut Self, &str, &mut Node, &Path<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Value::Map(entries) = &mut node.value else {
            self.report
                .add(node.at, path.to_string(), "expected a mapping from ids to records")
                .help("write `id: { … }` below it");
            return Vec::new();
        };
        let mut records = Vec::new();
        for entry in entries {
            let name = self.report.name(&entry.key, entry.at);
            let place = path.key(&name);
            if !self.id_is_good(entry, &place) {
                continue;
            }
            records.extend(read(self, &entry.key, &mut entry.node, &place));
        }
        records
    }

    /// Ids go into headers. Of two records with one id neither is served: nobody could say which.
    fn id_is_good(&mut self, entry: &Entry, path: &Path<'_>) -> bool {
        if let Some(twin) = entry.twin {
            if twin < entry.at {
                let message = format!("is here twice; first on line {}", twin.line);
                self.report
                    .add(entry.at, path.to_string(), message)
                    .help("neither is served; remove one of the two");
            }
            return false;
        }
        let good = is_id(&entry.key);
        if !good {
            let help = "up to 128 visible ASCII characters";
            self.report.add(entry.at, path.to_string(), "this is no id").help(help);
        }
        good
    }

    /// Reads `node` by `rule` when it has no fault at all: a record with a typo in it might be one
    /// that never expires.
    fn record<T: DeserializeOwned>(
        &mut self,
        node: &mut Node,
        rule: Rule<'_>,
        path: &Path<'_>,
    ) -> Option<T> {
        let before = self.report.count();
        check(node, rule, path, self.report);
        if self.report.count() > before {
            return None;
        }
        match serde_json::from_value::<T>(node.to_json()) {
            Ok(record) => Some(record),
            // Only a hole in the schema leads here. The error is not shown: it quotes the value.
            Err(_) => {
                self.report
                    .add(node.at, path.to_string(), "does not have the form of a record")
                    .help("compare it with the records that serve");
                None
            }
        }
    }

    pub(super) fn account(
        &mut self,
        id: &str,
        node: &mut Node,
        path: &Path<'_>,
    ) -> Option<AccountRecord> {
        // Users and keys are records of their own; a fault in one is not the account's.
        let mut users = take(node, "users");
        let mut keys = take(node, "keys");
        let settings: Option<AccountSettings> = self.record(node, self.account, path);
        let teams_are_good =
            settings.as_ref().is_none_or(|settings| self.teams(settings, node, path));
        let mut read_users = Vec::new();
        let mut read_keys = Vec::new();
        if let Some(entry) = users.as_mut().filter(|entry| !is_null(&entry.node)) {
            read_users = self.records(&mut entry.node, &path.key("users"), Reader::user);
        }
        if let Some(entry) = keys.as_mut().filter(|entry| !is_null(&entry.node)) {
            read_keys = self.records(&mut entry.node, &path.key("keys"), Reader::key);
        }
        if let Value::Map(entries) = &mut node.value {
            entries.extend(users);
            entries.extend(keys);
        }
        let settings = settings.filter(|_| teams_are_good)?;
        Some(AccountRecord {
            id: id.into(),
            name: settings.name.map_or_else(|| id.into(), |name| name.0),
            plan: settings.plan,
            teams: settings.teams.map(team_ids),
            live_max: settings.live_max,
            columns: lists(settings.columns),
            team_columns: settings
                .team_columns
                .into_iter()
                .map(|(team, columns)| (team, lists(columns)))
                .collect(),
            assistants: AssistantNames {
                names: settings
                    .assistants
                    .names
                    .into_iter()
                    .map(|(id, name)| (id, name.0))
                    .collect(),
                fallback: settings.assistants.fallback.map(|name| name.0),
            },
            users: read_users,
            keys: read_keys,
        })
    }

    /// The team goes up in a header.
    fn teams(&mut self, settings: &AccountSettings, node: &Node, path: &Path<'_>) -> bool {
        let bad = settings.teams.iter().flat_map(|teams| &teams.0).position(|team| !is_id(&team.0));
        if let Some(index) = bad {
            let teams = path.key("teams");
            let at = node.find("teams").map_or(node.at, |teams| teams.at);
            self.report
                .add(at, teams.index(index).to_string(), "is no id of a team")
                .help("visible ASCII characters");
        }
        bad.is_none()
    }

    fn user(&mut self, id: &str, node: &mut Node, path: &Path<'_>) -> Option<UserRecord> {
        let settings: UserSettings = self.record(node, self.user, path)?;
        Some(UserRecord { id: id.into(), email: settings.email, active: settings.active })
    }

    fn key(&mut self, id: &str, node: &mut Node, path: &Path<'_>) -> Option<KeyRecord> {
        let settings: KeySettings = self.record(node, self.key, path)?;
        let display = self.display(settings.display.as_deref(), node, path)?;
        let limits = match settings.limits {
            Some(limits) => Some(self.limits(&limits.0, node, path)?),
            None => None,
        };
        Some(KeyRecord {
            id: id.into(),
            name: settings.name.map_or_else(|| id.into(), |name| name.0),
            digest: settings.digest.0,
            display,
            scopes: settings.scopes,
            data_scope: settings.data_scope.map(data_scope),
            user: settings.user.map(|id| id.0),
            owner: settings.owner.map(|id| id.0),
            teams: match settings.teams {
                None | Some(KeyTeams::All(_)) => None,
                Some(KeyTeams::Only(teams)) => Some(team_ids(teams)),
            },
            expires_at: settings.expires_at.map(|at| UnixMs(at.0)),
            revoked_at: settings.revoked_at.map(|at| UnixMs(at.0)),
            allowed_ips: settings
                .allowed_ips
                .unwrap_or_default()
                .into_iter()
                .map(|network| network.0)
                .collect(),
            limits,
            raised: None,
            previous: None,
            created_at: None,
        })
    }

    /// A display is what lists show, so it must not be the key.
    fn display(&mut self, display: Option<&str>, node: &Node, path: &Path<'_>) -> Option<String> {
        let display = display.unwrap_or("…");
        if !looks_like_a_key(display) {
            return Some(display.into());
        }
        let shown = node.find("display").unwrap_or(node);
        self.report.secret(shown);
        self.report
            .add(
                shown.at,
                path.key("display").to_string(),
                "looks like a whole key; a key's plain text never stands here",
            )
            .help("show its ends only, as in `avoca_ab12…9f0c`");
        None
    }

    fn limits(
        &mut self,
        limits: &Named<LimitSettings>,
        node: &Node,
        path: &Path<'_>,
    ) -> Option<Vec<Quota>> {
        let place = path.key("limits");
        let mut quotas = Vec::new();
        for (name, settings) in limits.iter() {
            match quota(name, settings) {
                Ok(quota) => quotas.push(quota),
                Err(_) => {
                    let at = node
                        .find("limits")
                        .and_then(|limits| limits.find(name))
                        .map_or(node.at, |limit| limit.at);
                    let message = "`kind: gcra` and `burst` belong together";
                    let name = self.report.name(name, at).into_owned();
                    self.report
                        .add(at, place.key(&name).key("burst").to_string(), message)
                        .help("write both, or neither");
                    return None;
                }
            }
        }
        Some(quotas)
    }
}

fn take(node: &mut Node, key: &str) -> Option<Entry> {
    let Value::Map(entries) = &mut node.value else { return None };
    // A twin stays, so that it is reported as one.
    let index = entries.iter().position(|entry| &*entry.key == key && entry.twin.is_none())?;
    Some(entries.remove(index))
}

fn is_null(node: &Node) -> bool {
    matches!(node.value, Value::Scalar { kind: crate::node::Kind::Null, .. })
}

fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Letters and digits that no masked key has: in one run, or in all of a text that masks nothing.
fn looks_like_a_key(text: &str) -> bool {
    const FEWEST: usize = 24;
    let masks = text.contains(['…', '*', ' ']) || text.contains("...");
    let all = text.chars().filter(char::is_ascii_alphanumeric).count();
    (!masks && all >= FEWEST) || runs(text).any(|run| run.len() >= FEWEST)
}

fn team_ids(Teams(teams): Teams) -> Vec<String> {
    teams.into_iter().map(|team| team.0).collect()
}

fn lists(columns: Named<Vec<String>>) -> ColumnLists {
    columns.into_iter().collect()
}

fn data_scope(scope: RecordDataScope) -> DataScope {
    match scope {
        RecordDataScope::UserNonPrivate => DataScope::UserNonPrivate,
        RecordDataScope::UserFull => DataScope::UserFull,
        RecordDataScope::OrgNonPrivate => DataScope::OrgNonPrivate,
        RecordDataScope::OrgFull => DataScope::OrgFull,
        RecordDataScope::Legacy => DataScope::Legacy,
    }
}
