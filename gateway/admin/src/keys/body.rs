//! What is asked of a key, and whether it makes sense: scopes that exist, a user where one is needed,
//! teams of the account, an end in the future. All faults at once.

use gateway_limits::{Quota, UnixMs};
use gateway_policy::{
    AccountRecord, DataScope, Digest, DigestKind, KeyRecord, Meters, RecordFault, Rules,
    compile_account, compile_key,
};
use ipnet::IpNet;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::api::Api;
use crate::limits::Limits;
use crate::node::KeyRules;
use crate::problem::{BodyFault, Problem};
use crate::scalar::{DigestText, Id, Name, Network, Team, Time};
use crate::schema::near;
use crate::secrecy::{holds_key, key_fault, repeated, shows_key};

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyBody {
    name: Name,
    /// Scopes of the configuration; `calls:read` or `read:calls`.
    #[schema(min_items = 1, max_items = 256)]
    scopes: Vec<String>,
    /// Which rows it sees. Without it `org_full`, unless the configuration requires it.
    data_scope: Option<DataScopeWord>,
    /// Whom it is issued to: needed with a `user_` scope, refused with any other.
    user: Option<Id>,
    /// `all`, or some of the account's.
    teams: Option<KeyTeams>,
    /// Without it, it never expires.
    expires_at: Option<Time>,
    /// Where it may be used from; without it anywhere.
    #[schema(min_items = 1, max_items = 256)]
    allowed_ips: Option<Vec<Network>>,
    /// Instead of the plan's.
    limits: Option<Limits>,
}

/// A key that exists elsewhere, by its digest.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportBody {
    name: Name,
    digest: DigestText,
    /// The masked key, such as `avoca_ab12…9f0c`.
    #[schema(min_length = 1, max_length = 64)]
    display: Option<String>,
    #[schema(min_items = 1, max_items = 256)]
    scopes: Vec<String>,
    data_scope: Option<ImportedDataScope>,
    /// From before scopes: the same as `data_scope: legacy`.
    legacy: Option<bool>,
    user: Option<Id>,
    teams: Option<KeyTeams>,
    expires_at: Option<Time>,
    #[schema(min_items = 1, max_items = 256)]
    allowed_ips: Option<Vec<Network>>,
    limits: Option<Limits>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataScopeWord {
    UserNonPrivate,
    UserFull,
    OrgNonPrivate,
    OrgFull,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportedDataScope {
    UserNonPrivate,
    UserFull,
    OrgNonPrivate,
    OrgFull,
    Legacy,
}

/// Teams that a key reaches.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum KeyTeams {
    All(AllWord),
    Only(Vec<Team>),
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AllWord {
    All,
}

impl From<DataScopeWord> for DataScope {
    fn from(word: DataScopeWord) -> DataScope {
        match word {
            DataScopeWord::UserNonPrivate => DataScope::UserNonPrivate,
            DataScopeWord::UserFull => DataScope::UserFull,
            DataScopeWord::OrgNonPrivate => DataScope::OrgNonPrivate,
            DataScopeWord::OrgFull => DataScope::OrgFull,
        }
    }
}

impl From<ImportedDataScope> for DataScope {
    fn from(word: ImportedDataScope) -> DataScope {
        match word {
            ImportedDataScope::UserNonPrivate => DataScope::UserNonPrivate,
            ImportedDataScope::UserFull => DataScope::UserFull,
            ImportedDataScope::OrgNonPrivate => DataScope::OrgNonPrivate,
            ImportedDataScope::OrgFull => DataScope::OrgFull,
            ImportedDataScope::Legacy => DataScope::Legacy,
        }
    }
}

/// What a key is asked to be, however it was asked.
pub(crate) struct Wished {
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) data_scope: Option<DataScope>,
    pub(crate) user: Option<String>,
    pub(crate) teams: Option<KeyTeams>,
    pub(crate) expires_at: Option<UnixMs>,
    pub(crate) allowed_ips: Vec<IpNet>,
    pub(crate) limits: Option<Limits>,
}

impl From<NewKeyBody> for Wished {
    fn from(body: NewKeyBody) -> Wished {
        Wished {
            name: body.name.0,
            scopes: body.scopes,
            data_scope: body.data_scope.map(DataScope::from),
            user: body.user.map(|user| user.0),
            teams: body.teams,
            expires_at: body.expires_at.map(|at| at.0),
            allowed_ips: networks(body.allowed_ips),
            limits: body.limits,
        }
    }
}

impl ImportBody {
    /// What is wished, the digest and the display; and what is wrong so far.
    pub(crate) fn parts(
        self,
        rules: &Rules,
        key_rules: &KeyRules,
    ) -> (Wished, Digest, String, Vec<BodyFault>) {
        let mut faults = Vec::new();
        let digest = self.digest.0;
        if digest.kind() == DigestKind::HmacSha256 && rules.credentials.pepper.is_none() {
            let detail = "is made under a pepper, and none is configured";
            faults.push(BodyFault::new("/digest", detail));
        }
        let display = self.display.unwrap_or_else(|| "…".to_owned());
        let is_key = |text: &str| Digest::sha256(text.as_bytes()) == digest;
        if shows_key(&display, &key_rules.prefix) || is_key(&display) {
            let detail = "looks like a whole key; show its ends only, as in `avoca_ab12…9f0c`";
            faults.push(BodyFault::new("/display", detail));
        } else if display.chars().any(char::is_control) {
            faults.push(BodyFault::new("/display", "holds control characters"));
        }
        if is_key(&self.name.0) {
            faults.push(key_fault("/name"));
        }
        let mut data_scope = self.data_scope.map(DataScope::from);
        match (self.legacy, data_scope) {
            (Some(true), None) => data_scope = Some(DataScope::Legacy),
            (Some(legacy), Some(scope)) if legacy != (scope == DataScope::Legacy) => {
                faults.push(BodyFault::new("/legacy", "contradicts `data_scope`; leave one out"));
            }
            _ => {}
        }
        let wished = Wished {
            name: self.name.0,
            scopes: self.scopes,
            data_scope,
            user: self.user.map(|user| user.0),
            teams: self.teams,
            expires_at: self.expires_at.map(|at| at.0),
            allowed_ips: networks(self.allowed_ips),
            limits: self.limits,
        };
        (wished, digest, display, faults)
    }
}

pub(crate) fn networks(list: Option<Vec<Network>>) -> Vec<IpNet> {
    list.into_iter().flatten().map(|network| network.0).collect()
}

/// What wishes are held against.
pub(crate) struct Judge<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) key_rules: &'a KeyRules,
    pub(crate) account: &'a AccountRecord,
    pub(crate) now: UnixMs,
    pub(crate) faults: Vec<BodyFault>,
}

impl Judge<'_> {
    pub(crate) fn fault(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(BodyFault::new(pointer, detail));
    }

    /// The record of a key with this id and digest, if nothing is wrong with it.
    pub(crate) fn record(
        mut self,
        wished: Wished,
        id: String,
        digest: Digest,
        display: String,
        owner: &str,
    ) -> Result<KeyRecord, Problem> {
        if holds_key(&wished.name, &self.key_rules.prefix) {
            self.faults.push(key_fault("/name"));
        }
        let scopes = self.scopes(wished.scopes);
        let data_scope = self.data_scope(wished.data_scope, wished.user.as_deref());
        let teams = self.teams(wished.teams);
        if let Some(end) = wished.expires_at {
            self.end("/expires_at", end);
        }
        let limits = self.limits("/limits", wished.limits);
        if !self.faults.is_empty() {
            return Err(Problem::invalid(self.faults));
        }
        let record = KeyRecord {
            id,
            name: wished.name,
            digest,
            display,
            scopes,
            data_scope: Some(data_scope),
            user: wished.user,
            owner: Some(owner.to_owned()),
            teams,
            expires_at: wished.expires_at,
            revoked_at: None,
            allowed_ips: wished.allowed_ips,
            limits,
            raised: None,
            previous: None,
            created_at: Some(self.now),
        };
        self.compiled(&record)?;
        Ok(record)
    }

    /// What serves must be able to: a key that would be left out is not made.
    fn compiled(&self, record: &KeyRecord) -> Result<(), Problem> {
        let account = compile_account(self.account, self.rules).map_err(|faults| {
            let why: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
            let detail = format!("The account is not served: {}.", why.join("; "));
            Problem::conflict("account_not_served", detail)
        })?;
        let meters = Meters::new();
        match compile_key(&account, self.account, record, self.rules, &meters) {
            Ok(_) => Ok(()),
            Err(faults) => Err(Problem::invalid(faults.iter().map(of_record).collect())),
        }
    }

    /// Canonical names, each once.
    fn scopes(&mut self, asked: Vec<String>) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (index, text) in asked.iter().enumerate() {
            match self.rules.scopes.find(text) {
                Ok(id) => {
                    let name = self.rules.scopes.name(id);
                    if !found.iter().any(|known| known == name) {
                        found.push(name.to_owned());
                    }
                }
                Err(_) => {
                    let known: Vec<&str> = self.rules.scopes.iter().map(|(name, _)| name).collect();
                    let detail =
                        format!("there is no scope {}; {}", repeated(text), near(text, &known));
                    self.fault(format!("/scopes/{index}"), detail);
                }
            }
        }
        found
    }

    fn data_scope(&mut self, asked: Option<DataScope>, user: Option<&str>) -> DataScope {
        if asked.is_none() && self.key_rules.data_scope_required {
            self.fault("/data_scope", "is missing, and the configuration requires it");
        }
        let scope = asked.unwrap_or(DataScope::OrgFull);
        match user {
            None if scope.is_user() => {
                self.fault("/user", format!("is missing; `{}` needs one", scope.as_str()));
            }
            Some(_) if !scope.is_user() => {
                let detail = format!("`{}` takes no user; `user_` scopes do", scope.as_str());
                self.fault("/user", detail);
            }
            Some(id) if !self.account.users.iter().any(|user| user.id == id) => {
                self.fault("/user", format!("the account has no user {}", repeated(id)));
            }
            _ => {}
        }
        scope
    }

    fn teams(&mut self, asked: Option<KeyTeams>) -> Option<Vec<String>> {
        let Some(KeyTeams::Only(teams)) = asked else { return None };
        let mut found: Vec<String> = Vec::new();
        if teams.is_empty() {
            self.fault("/teams", "names no team; `all`, or leave it out, for all of them");
        }
        for (index, team) in teams.into_iter().enumerate() {
            let team = team.into_text();
            if self.account.teams.as_ref().is_some_and(|known| !known.contains(&team)) {
                let detail = format!("the account has no team {}", repeated(&team));
                self.fault(format!("/teams/{index}"), detail);
            } else if !found.contains(&team) {
                found.push(team);
            }
        }
        Some(found)
    }

    /// An end is in the future: to end a key now is to revoke it, and says so in the audit.
    pub(crate) fn end(&mut self, pointer: &str, end: UnixMs) {
        if end <= self.now {
            self.fault(pointer, "is not in the future; to end a key at once, revoke it");
        }
    }

    pub(crate) fn limits(&mut self, pointer: &str, asked: Option<Limits>) -> Option<Vec<Quota>> {
        match asked?.quotas(pointer) {
            Ok(quotas) => Some(quotas),
            Err(faults) => {
                self.faults.extend(faults);
                None
            }
        }
    }
}

/// A fault of compiling, whose path begins with the account's and the key's.
fn of_record(fault: &RecordFault) -> BodyFault {
    const FIELDS: [&str; 6] = [".scopes", ".user", ".teams", ".limits", ".digest", ".data_scope"];
    let field = FIELDS.iter().find(|field| fault.path.contains(**field));
    let pointer = field.map_or(String::new(), |field| format!("/{}", &field[1..]));
    BodyFault::new(pointer, fault.message.clone())
}

impl Api {
    /// What wishes for keys of an account are held against.
    pub(crate) fn judge<'a>(
        &self,
        rules: &'a Rules,
        key_rules: &'a KeyRules,
        account: &'a AccountRecord,
    ) -> Judge<'a> {
        Judge { rules, key_rules, account, now: self.node().now(), faults: Vec::new() }
    }
}
