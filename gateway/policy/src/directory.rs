//! Records of accounts, users and keys → the index that requests use.
//!
//! One broken record never takes the others along: a key is left out alone, an account's broken
//! columns, names or plan take the account. Each fault names its place.
//!
//! What a key sees of rows and columns is put together in `seen`.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use gateway_limits::{Meters, Quota, Quotas, Slot};
use gateway_rewrite::{Names, Shown};
use ipnet::{IpNet, Ipv4Net};

use crate::columns::{Account, AccountColumns};
use crate::ids::{AccountId, KeyId, TeamId};
use crate::index::KeyIndex;
use crate::key::{DataScope, KeyEntry, Raised, TeamReach, User};
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::snapshot::{Plan, Rules};
use crate::token::{Digest, DigestKind};

mod record;
mod seen;

pub use record::{
    AccountRecord, AssistantNames, ColumnLists, Directory, KeyRecord, PreviousDigest, RaisedLimits,
    UserRecord,
};

/// A record that was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFault {
    /// Place in the directory, such as `accounts.acme.keys.key_crm.scopes[1]`.
    pub path: String,
    pub message: String,
    pub help: Option<String>,
}

impl RecordFault {
    /// A fault without a remedy of its own.
    pub fn new(path: String, message: impl Into<String>) -> RecordFault {
        RecordFault { path, message: message.into(), help: None }
    }
}

/// What the records came to.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub keys: KeyIndex,
    pub left_out: Vec<RecordFault>,
}

/// Keys as the index takes them. One in its grace is there under both of its digests.
pub type Entries = Vec<(Digest, Arc<KeyEntry>)>;

/// Compiles all records against the rules. Cold path; linear in the number of keys.
pub fn compile(directory: &Directory, rules: &Rules, meters: &Meters) -> Compiled {
    let (mut entries, mut left_out) = (Entries::new(), Vec::new());
    let mut digests = std::collections::HashMap::new();
    let mut ids = HashSet::new();
    for record in &directory.accounts {
        let place = format!("accounts.{}", record.id);
        let account = match compile_account(record, rules) {
            Ok(account) => account,
            Err(faults) => {
                left_out.extend(faults);
                continue;
            }
        };
        for key in &record.keys {
            let at = format!("{place}.keys.{}", key.id);
            if !ids.insert(key.id.as_str()) {
                let message = format!("another account has a key with the id `{}`", key.id);
                left_out.push(RecordFault::new(at, message));
                continue;
            }
            if let Some(first) = digests.insert(key.digest, key.id.clone()) {
                let message = format!("key `{first}` has the same digest");
                left_out.push(RecordFault::new(format!("{at}.digest"), message));
                digests.insert(key.digest, first);
                continue;
            }
            match compile_key(&account, record, key, rules, meters) {
                Ok(compiled) => entries.extend(compiled),
                Err(faults) => left_out.extend(faults),
            }
        }
    }
    Compiled { keys: KeyIndex::build(entries), left_out }
}

/// Compiles an account, without its keys.
///
/// # Errors
/// Everything that is wrong with it: none of its keys can be compiled.
pub fn compile_account(
    record: &AccountRecord,
    rules: &Rules,
) -> Result<CompiledAccount, Vec<RecordFault>> {
    let mut compiler = Compiler { rules, faults: Vec::new() };
    let account = compiler.account(record, &format!("accounts.{}", record.id));
    account.ok_or(compiler.faults)
}

/// Compiles one key of an account, which was compiled of the same record. No more than two entries.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_key(
    account: &CompiledAccount,
    record: &AccountRecord,
    key: &KeyRecord,
    rules: &Rules,
    meters: &Meters,
) -> Result<Entries, Vec<RecordFault>> {
    let mut compiler = Compiler { rules, faults: Vec::new() };
    let place = format!("accounts.{}.keys.{}", record.id, key.id);
    let entry = compiler.key(record, account, key, meters, &place).ok_or(compiler.faults)?;
    let mut entries = Entries::new();
    if let Some(previous) = key.previous.as_ref().filter(|_| key.revoked_at.is_none()) {
        // Never past the key's own end.
        let until = entry.expires_at.map_or(previous.until, |end| end.min(previous.until));
        entries.push((previous.digest, Arc::new(entry.until(until))));
    }
    entries.push((key.digest, Arc::new(entry)));
    Ok(entries)
}

struct Compiler<'a> {
    rules: &'a Rules,
    faults: Vec<RecordFault>,
}

/// An account and what its keys need of it.
#[derive(Debug, Clone)]
pub struct CompiledAccount {
    account: Arc<Account>,
    plan: Plan,
    teams: Option<Vec<TeamId>>,
}

impl Compiler<'_> {
    fn fault(&mut self, path: String, message: impl Into<String>) {
        self.faults.push(RecordFault::new(path, message));
    }

    fn account(&mut self, record: &AccountRecord, place: &str) -> Option<CompiledAccount> {
        let before = self.faults.len();
        let plan = self.rules.plans.get(record.plan.as_str()).cloned();
        if plan.is_none() {
            self.fault(format!("{place}.plan"), format!("no plan `{}` is configured", record.plan));
        }
        let defaults: Vec<Arc<Shown>> =
            self.rules.resources.iter().map(|resource| Arc::clone(&resource.defaults)).collect();
        let at = format!("{place}.columns");
        let by_resource = self.lists(&record.columns, &defaults, &at);
        let mut columns = AccountColumns { by_resource, ..AccountColumns::default() };
        for (team, lists) in &record.team_columns {
            let at = format!("{place}.team_columns.{team}");
            if record.teams.as_ref().is_some_and(|teams| !teams.contains(team)) {
                self.fault(at, format!("team `{team}` is not one of the account's"));
                continue;
            }
            let shown = self.lists(lists, &columns.by_resource, &at);
            columns.by_team.insert(TeamId::from(team.as_str()), shown);
        }
        let plan = plan.filter(|_| self.faults.len() == before)?;
        let names = record.assistants.names.iter().map(|(id, name)| (id, name));
        let account = Account {
            id: AccountId::from(record.id.as_str()),
            name: record.name.as_str().into(),
            plan: Arc::clone(&plan.name),
            columns,
            names: Arc::new(Names::new(names, record.assistants.fallback.as_deref())),
        };
        let teams = record.teams.as_deref().map(distinct);
        Some(CompiledAccount { account: Arc::new(account), plan, teams })
    }

    /// One bit set per resource: the list's where there is one, else the base's.
    fn lists(&mut self, lists: &ColumnLists, base: &[Arc<Shown>], place: &str) -> Vec<Arc<Shown>> {
        let mut shown = base.to_vec();
        for (name, columns) in lists {
            let at = format!("{place}.{name}");
            let known = self.rules.resources.iter().position(|resource| *resource.name == **name);
            match known
                .and_then(|index| Some((shown.get_mut(index)?, &self.rules.resources[index])))
            {
                Some((place, resource)) => match listed(resource, columns) {
                    Ok(list) => *place = Arc::new(list),
                    Err(unknown) => {
                        for (index, column) in unknown {
                            let message = format!("`{name}` has no column `{column}`");
                            self.fault(format!("{at}[{index}]"), message);
                        }
                    }
                },
                None => self.fault(at, format!("no resource `{name}` is configured")),
            }
        }
        shown
    }

    fn key(
        &mut self,
        record: &AccountRecord,
        account: &CompiledAccount,
        key: &KeyRecord,
        meters: &Meters,
        place: &str,
    ) -> Option<KeyEntry> {
        let before = self.faults.len();
        let scopes = self.scopes(key, place);
        let data_scope = self.data_scope(key, place);
        let user = self.user(record, key, data_scope, place);
        let (teams, whole_account) = self.teams(account, key, place);
        let own = key.limits.as_deref();
        let quotas = self.quotas(own, place).unwrap_or_else(|| Arc::clone(&account.plan.quotas));
        let raised = key.raised.as_ref().map(|raised| (&*raised.limits, raised.until));
        let raised =
            raised.and_then(|(limits, until)| Some((self.quotas(Some(limits), place)?, until)));
        if key.digest.kind() == DigestKind::HmacSha256 && self.rules.credentials.pepper.is_none() {
            self.fault(format!("{place}.digest"), "an hmac-sha256 digest needs `keys.pepper`");
        }
        if self.faults.len() > before {
            return None;
        }
        let slot = self.slot(meters, &key.id, &quotas, place)?;
        let raised = match raised {
            Some((quotas, until)) => {
                let slot = self.slot(meters, &key.id, &quotas, place)?;
                Some(Raised { quotas, slot, until })
            }
            None => None,
        };
        let columns = &account.account.columns;
        let shown_without_team = seen::without_team(columns, &teams, self.rules);
        Some(KeyEntry {
            id: KeyId::from(key.id.as_str()),
            name: key.name.as_str().into(),
            scopes_text: self.rules.scopes.names(&scopes).join(" ").into(),
            scopes,
            data_scope,
            rows: seen::rows(data_scope, user.as_ref(), &teams, columns, &shown_without_team),
            shown_without_team,
            account: Arc::clone(&account.account),
            user,
            teams,
            whole_account,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            allowed_ips: key.allowed_ips.iter().copied().map(plain).collect(),
            quotas,
            slot,
            raised,
        })
    }

    fn slot(&mut self, meters: &Meters, id: &str, quotas: &Quotas, place: &str) -> Option<Slot> {
        match meters.assign(id, quotas) {
            Ok(slot) => Some(slot),
            Err(full) => {
                self.fault(place.to_owned(), full.to_string());
                None
            }
        }
    }

    fn scopes(&mut self, key: &KeyRecord, place: &str) -> ScopeSet {
        let mut set = ScopeSet::default();
        for (index, text) in key.scopes.iter().enumerate() {
            match self.rules.scopes.find(text) {
                Ok(id) => set.insert(id),
                Err(error) => self.fault(format!("{place}.scopes[{index}]"), error.to_string()),
            }
        }
        if key.scopes.is_empty() {
            self.fault(format!("{place}.scopes"), "a key needs at least one scope");
        }
        set
    }

    fn data_scope(&mut self, key: &KeyRecord, place: &str) -> DataScope {
        key.data_scope.unwrap_or_else(|| {
            if self.rules.data_scope_required {
                let message = "`data_scope` is missing, and `keys.data_scope` is `required`";
                self.fault(place.to_owned(), message);
            }
            DataScope::OrgFull
        })
    }

    fn user(
        &mut self,
        record: &AccountRecord,
        key: &KeyRecord,
        data_scope: DataScope,
        place: &str,
    ) -> Option<User> {
        let at = format!("{place}.user");
        match (&key.user, data_scope.is_user()) {
            (None, false) => None,
            (None, true) => {
                self.fault(place.to_owned(), format!("`{}` needs a `user`", data_scope.as_str()));
                None
            }
            (Some(_), false) => {
                self.fault(at, format!("`{}` takes no `user`", data_scope.as_str()));
                None
            }
            (Some(id), true) => {
                let user = record.users.iter().find(|user| user.id == *id);
                if user.is_none() {
                    self.fault(at, format!("the account has no user `{id}`"));
                }
                user.map(|user| User {
                    id: user.id.clone(),
                    email: user.email.clone(),
                    active: user.active,
                })
            }
        }
    }

    /// The key's reach, and whether that is all of the account.
    fn teams(
        &mut self,
        account: &CompiledAccount,
        key: &KeyRecord,
        place: &str,
    ) -> (TeamReach, bool) {
        match (&key.teams, &account.teams) {
            (None, None) => (TeamReach::Any, true),
            (None, Some(all)) => (TeamReach::Only(all.clone()), true),
            (Some(own), all) => {
                if own.is_empty() {
                    self.fault(format!("{place}.teams"), "a key reaches at least one team");
                }
                for (index, team) in own.iter().enumerate() {
                    if all
                        .as_ref()
                        .is_some_and(|all| !all.iter().any(|known| known.as_str() == team))
                    {
                        let at = format!("{place}.teams[{index}]");
                        self.fault(at, format!("team `{team}` is not one of the account's"));
                    }
                }
                let reach = distinct(own);
                let whole =
                    all.as_ref().is_some_and(|all| all.iter().all(|team| reach.contains(team)));
                (TeamReach::Only(reach), whole)
            }
        }
    }

    fn quotas(&mut self, limits: Option<&[Quota]>, place: &str) -> Option<Arc<Quotas>> {
        match Quotas::new(limits?.to_vec()) {
            Ok(quotas) => Some(Arc::new(quotas)),
            Err(error) => {
                self.fault(format!("{place}.limits"), error.to_string());
                None
            }
        }
    }
}

/// One team written twice is one, and then the anchor of a key that has no other.
fn distinct(teams: &[String]) -> Vec<TeamId> {
    let mut seen = HashSet::new();
    let first = teams.iter().map(String::as_str).filter(|team| seen.insert(*team));
    first.map(TeamId::from).collect()
}

/// A v4 network in v6 clothes, such as `::ffff:192.0.2.0/120`, as the v4 network that clients are in.
fn plain(net: IpNet) -> IpNet {
    let (IpAddr::V4(address), Some(prefix)) =
        (net.network().to_canonical(), net.prefix_len().checked_sub(96))
    else {
        return net;
    };
    Ipv4Net::new(address, prefix).map_or(net, IpNet::V4)
}

/// The listed columns and those that are always shown; else the ones that do not exist.
fn listed<'a>(resource: &Resource, columns: &'a [String]) -> Result<Shown, Vec<(usize, &'a str)>> {
    if resource.catalogue.is_all() {
        return Ok(Shown::all(&resource.catalogue));
    }
    let mut ids = resource.always.clone();
    let mut unknown = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        match resource.catalogue.column(column) {
            Some(id) => ids.push(id),
            None => unknown.push((index, column.as_str())),
        }
    }
    if unknown.is_empty() { Ok(Shown::from_ids(&resource.catalogue, ids)) } else { Err(unknown) }
}
