//! The directory file: accounts, users and keys.
//!
//! Only a file that is no YAML, or of another version, is refused as a whole. Everything else that
//! is wrong costs the smallest record around it: a key alone, a user alone, or an account with all
//! of its keys when its own columns, names, teams or plan are at fault.
//!
//! Records may hold a key's plain text by mistake, anywhere. It is a fault, and it is shown nowhere:
//! what faults repeat of the file is only what is harmless (`report::discretion`), and a record
//! whose name or id is a key is left out, because names and ids are shown (`plaintext`).
//!
//! Cost: linear in the size of the file; about 100 bytes of memory a value while it is read.

mod places;
mod plaintext;

use std::path::Path as FilePath;

use gateway_policy::{
    AccountRecord, AssistantNames, ColumnLists, DataScope, Directory, KeyRecord, Quota,
    RecordFault, Rules, UnixMs, UserRecord,
};
use places::Places;
use plaintext::KeyTexts;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::check::{Rule, check};
use crate::compile::quota;
use crate::document::record_schema;
use crate::expand::{LookUp, expand};
use crate::model::Named;
use crate::model::directory::{
    AccountSettings, KeySettings, KeyTeams, RecordDataScope, Teams, UserSettings,
};
use crate::node::{Entry, Node, Path, Value};
use crate::report::{Discretion, Fault, Report, quotable, suggestion};
use crate::settings::KeyForm;

/// Largest directory that is read: 256 MiB.
pub const DIRECTORY_BYTES_MAX: usize = 256 << 20;

/// The records of a directory file that have a sound form, and the faults of the others.
#[derive(Debug)]
pub struct LoadedDirectory {
    pub directory: Directory,
    /// Records that were left out, with their places.
    pub left_out: Vec<Fault>,
    file: String,
    text: String,
    prefix: String,
    root: Node,
}

/// Reads a directory file. `file` is what faults call it; `form` is what its keys look like, so that
/// one in the wrong place is known.
///
/// # Errors
/// The faults of a file that cannot be read at all: no YAML, another version, no accounts.
pub fn load_directory(
    text: &str,
    file: &FilePath,
    look_up: &dyn LookUp,
    form: &KeyForm,
) -> Result<LoadedDirectory, Vec<Fault>> {
    let name = file.display().to_string();
    let schemas = RecordSchemas::new();
    let mut report = Report::new(&name, text).discreet(schemas.discretion(&form.prefix));
    report.keys_begin_with(&form.prefix);
    let base = file.parent().unwrap_or(FilePath::new(""));
    let Some((root, mut directory)) = read(text, base, look_up, &schemas, &mut report) else {
        return Err(report.finish());
    };
    KeyTexts::new(form, &directory).leave_out(&mut directory, &root, &mut report);
    let (left_out, prefix) = (report.finish(), form.prefix.clone());
    Ok(LoadedDirectory { directory, left_out, file: name, text: text.into(), prefix, root })
}

impl LoadedDirectory {
    /// Gives the faults that `gateway_policy::compile` found in the records their places. They may
    /// quote the words of `rules`, and little else.
    pub fn faults(&self, records: &[RecordFault], rules: &Rules) -> Vec<Fault> {
        if records.is_empty() {
            return Vec::new();
        }
        let mut discretion = RecordSchemas::new().discretion(&self.prefix);
        discretion.know_words(rules.scopes.iter().map(|(scope, _)| scope));
        discretion.know_words(rules.plans.keys().map(|name| &**name));
        for resource in &rules.resources {
            discretion.know_words([&*resource.name]);
            discretion.know_words(resource.catalogue.columns().map(|(_, path)| path));
        }
        let ids = self.directory.accounts.iter().flat_map(|account| &account.keys);
        ids.for_each(|key| discretion.know_id(&key.id));
        let mut report = Report::new(&self.file, &self.text).discreet(discretion);
        report.keys_begin_with(&self.prefix);
        let places = Places::of(&self.root, &mut report);
        for fault in records {
            let found = places.find(&fault.path, &report);
            // What a message quotes must not end the quote.
            let sound = !fault.path.contains('`') && !found.has_backquote();
            let message = if sound { &*fault.message } else { "is not sound" };
            let (at, path) = (found.at, found.path);
            report.about(found.node, at, path, message).help(
                fault.help.as_deref().unwrap_or("the record is left out until this is mended"),
            );
        }
        report.finish()
    }

    /// The text that was read.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The forms of the three kinds of records.
struct RecordSchemas {
    account: Json,
    user: Json,
    key: Json,
}

impl RecordSchemas {
    fn new() -> RecordSchemas {
        RecordSchemas {
            account: record_schema::<AccountSettings>(),
            user: record_schema::<UserSettings>(),
            key: record_schema::<KeySettings>(),
        }
    }

    fn discretion(&self, prefix: &str) -> Discretion {
        Discretion::new([&self.account, &self.user, &self.key], prefix)
    }
}

fn read(
    text: &str,
    base: &FilePath,
    look_up: &dyn LookUp,
    schemas: &RecordSchemas,
    report: &mut Report<'_>,
) -> Option<(Node, Directory)> {
    let mut root = crate::read_tree(text, DIRECTORY_BYTES_MAX, report)?;
    check_root(&root, report)?;
    expand(&mut root, base, look_up);
    let mut reader = Reader {
        report,
        account: Rule::root(&schemas.account)?,
        user: Rule::root(&schemas.user)?,
        key: Rule::root(&schemas.key)?,
    };
    let mut directory = Directory::default();
    if let Value::Map(entries) = &mut root.value
        && let Some(accounts) = entries.iter_mut().find(|entry| &*entry.key == "accounts")
    {
        let path = Path::Root;
        let read = reader.records(&mut accounts.node, &path.key("accounts"), Reader::account);
        directory.accounts = read;
    }
    Some((root, directory))
}

/// `None` when nothing of the file may be used.
fn check_root(root: &Node, report: &mut Report<'_>) -> Option<()> {
    let Value::Map(entries) = &root.value else {
        let help = "a directory has `version: 1` and `accounts:`";
        report.add(root.at, String::new(), "expected a mapping").help(help);
        return None;
    };
    let mut good = true;
    match root.find("version") {
        Some(version) if version.written() == Some("1") => {}
        Some(version) => {
            let shown = quotable(version.written().unwrap_or("this"));
            report
                .add(
                    version.at,
                    "version".into(),
                    format!("`{shown}` is not a version that is read; 1 is"),
                )
                .help("write `version: 1`");
            good = false;
        }
        None => {
            report.add(root.at, "version".into(), "is missing").help("write `version: 1`");
            good = false;
        }
    }
    if !matches!(root.find("accounts").map(|node| &node.value), Some(Value::Map(_))) {
        let at = root.find("accounts").map_or(root.at, |node| node.at);
        report
            .add(at, "accounts".into(), "expected a mapping")
            .help("write `accounts: {}` if there are none");
        good = false;
    }
    for entry in entries {
        if !["version", "accounts"].contains(&&*entry.key) {
            let help = suggestion(&entry.key, ["version", "accounts"]);
            let path = report.unknown_name(&entry.key, entry.at).into_owned();
            let message = format!("unknown key `{}`", quotable(&entry.key));
            report.add(entry.at, path, message).maybe_help(help);
        } else if entry.twin.is_some_and(|twin| twin < entry.at) {
            report
                .add(entry.at, entry.key.to_string(), format!("`{}` is here twice", entry.key))
                .help("remove one of the two");
            good = false;
        }
    }
    good.then_some(())
}

struct Reader<'r, 't> {
    report: &'r mut Report<'t>,
    account: Rule<'r>,
    user: Rule<'r>,
    key: Rule<'r>,
}

impl<'r, 't> Reader<'r, 't> {
    /// The sound records of a mapping from ids to records.
    fn records<T>(
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

    fn account(&mut self, id: &str, node: &mut Node, path: &Path<'_>) -> Option<AccountRecord> {
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
        limits: &Named<crate::model::LimitSettings>,
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
    (!masks && all >= FEWEST)
        || text.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= FEWEST)
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
