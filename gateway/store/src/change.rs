//! What may be changed, and what becomes of a change.
//!
//! A change is decided by [`Change::decide`] on the records as they stand, inside the store's
//! transaction, so that every store keeps the same rules: ten live keys stay ten however many are made
//! at once, a scope never changes, a revoked key never comes back. What is decided is a handful of
//! whole records to write and one line of audit.
//!
//! Not here: whether records fit the configuration (plans, scopes, columns), which the caller has
//! looked at; SQL.

use gateway_limits::{Quota, UnixMs};
use gateway_policy::{
    AccountRecord, AssistantNames, ColumnLists, DataScope, Digest, KeyRecord, PreviousDigest,
    RaisedLimits, UserRecord,
};
use ipnet::IpNet;

use crate::audit::Action;

/// Something to be changed. Ids are made by the caller.
/// Its `Debug` shows digests, never keys.
#[derive(Debug, Clone)]
pub enum Change {
    /// Users and keys of the record are not looked at.
    CreateAccount(Box<AccountRecord>),
    AlterAccount {
        account: String,
        alter: AlterAccount,
    },
    /// Makes or replaces.
    PutUser {
        account: String,
        user: UserRecord,
    },
    /// All lists of the account, or of one of its teams; no list for a team removes its own.
    PutColumns {
        account: String,
        team: Option<String>,
        columns: ColumnLists,
    },
    PutAssistants {
        account: String,
        assistants: AssistantNames,
    },
    CreateKey {
        account: String,
        key: Box<KeyRecord>,
        /// Of an account that has no number of its own. `None`: keys are not counted, for they exist.
        live_max: Option<u32>,
        retry: Option<Retry>,
        /// It was made elsewhere, and is known by its digest alone.
        imported: bool,
    },
    AlterKey {
        key: String,
        alter: AlterKey,
    },
    /// A new digest; the old one stays for `grace_ms`.
    Regenerate {
        key: String,
        digest: Digest,
        display: String,
        grace_ms: u64,
    },
    /// For good. Once more changes nothing.
    Revoke {
        key: String,
    },
}

/// What a client says to be able to send the creation of a key twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Its `Idempotency-Key`; for one account.
    pub token: String,
    /// SHA-256 of all that was asked for, in hexadecimal digits.
    pub request: String,
}

/// `None`: as it was. The inner `None`: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlterAccount {
    pub name: Option<String>,
    pub plan: Option<String>,
    pub teams: Option<Option<Vec<String>>>,
    pub live_max: Option<Option<u32>>,
}

/// As [`AlterAccount`]. Scopes, data scope, user and teams of a key never change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlterKey {
    pub name: Option<String>,
    pub expires_at: Option<Option<UnixMs>>,
    pub allowed_ips: Option<Vec<IpNet>>,
    pub limits: Option<Option<Vec<Quota>>>,
    pub raised: Option<Option<RaisedLimits>>,
}

/// A key as stored, with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    pub account: String,
    pub record: KeyRecord,
    /// Of the change that wrote it last.
    pub revision: u64,
}

/// What a change is decided by: the records it names as they stand.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// With its users, without its keys.
    pub account: Option<AccountRecord>,
    pub key: Option<KeyRecord>,
    /// Keys of the account that are live now.
    pub live_keys: u32,
    /// Another key has the id or one of its digests is the new one.
    pub is_id_taken: bool,
    pub is_digest_known: bool,
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Decided {
    pub account: Option<AccountRecord>,
    pub user: Option<UserRecord>,
    pub key: Option<KeyRecord>,
    pub action: Action,
    /// The account, user or key that it is about.
    pub object: String,
}

/// Why nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no account `{0}`")]
    NoSuchAccount(String),
    #[error("there is no key `{0}`")]
    NoSuchKey(String),
    #[error("the account has no user `{0}`")]
    NoSuchUser(String),
    #[error("the account has no team `{0}`")]
    NoSuchTeam(String),
    #[error("the team `{0}` has columns of its own; take these away first")]
    TeamHasColumns(String),
    #[error("there is an account `{0}` already")]
    AccountExists(String),
    #[error("there is a key `{0}` already")]
    KeyExists(String),
    #[error("another key has this digest")]
    DigestKnown,
    #[error("the account holds {live_max} live keys, as many as it may; revoke one first")]
    TooManyLiveKeys { live_max: u32 },
    #[error("the key is revoked, which is for good")]
    Revoked,
    #[error("the key has expired, which is for good")]
    Expired,
    #[error("a key from before scopes can only be seen and revoked")]
    Legacy,
    #[error("this Idempotency-Key was used for another request")]
    RetryDiffers,
}

impl Change {
    /// The account that it names.
    pub fn account(&self) -> Option<&str> {
        match self {
            Change::CreateAccount(record) => Some(&record.id),
            Change::AlterAccount { account, .. }
            | Change::PutUser { account, .. }
            | Change::PutColumns { account, .. }
            | Change::PutAssistants { account, .. }
            | Change::CreateKey { account, .. } => Some(account),
            Change::AlterKey { .. } | Change::Regenerate { .. } | Change::Revoke { .. } => None,
        }
    }

    /// The key that it names and that must be there.
    pub fn key(&self) -> Option<&str> {
        match self {
            Change::AlterKey { key, .. }
            | Change::Regenerate { key, .. }
            | Change::Revoke { key } => Some(key),
            _ => None,
        }
    }

    /// The id and digest that it brings and that no key may have.
    pub fn brings(&self) -> (Option<&str>, Option<&Digest>) {
        match self {
            Change::CreateKey { key, .. } => (Some(&key.id), Some(&key.digest)),
            Change::Regenerate { digest, .. } => (None, Some(digest)),
            _ => (None, None),
        }
    }

    /// What is to be written; `None`: nothing, all is as it is wished.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn decide(self, standing: Standing, now: UnixMs) -> Result<Option<Decided>, Refused> {
        match self {
            Change::CreateAccount(record) => match standing.account {
                Some(known) => Err(Refused::AccountExists(known.id)),
                None => {
                    let record = AccountRecord { users: Vec::new(), keys: Vec::new(), ..*record };
                    Ok(Some(Decided::account(record, Action::AccountCreated)))
                }
            },
            Change::CreateKey { account, key, live_max, imported, .. } => {
                let record = standing.account.as_ref().ok_or(Refused::NoSuchAccount(account))?;
                let key = created(record, *key, live_max, &standing, now)?;
                let action = if imported { Action::KeyImported } else { Action::KeyCreated };
                Ok(Some(Decided::key(key, action)))
            }
            Change::AlterAccount { account, .. }
            | Change::PutUser { account, .. }
            | Change::PutColumns { account, .. }
            | Change::PutAssistants { account, .. }
                if standing.account.is_none() =>
            {
                Err(Refused::NoSuchAccount(account))
            }
            Change::AlterKey { key, .. }
            | Change::Regenerate { key, .. }
            | Change::Revoke { key }
                if standing.key.is_none() =>
            {
                Err(Refused::NoSuchKey(key))
            }
            change => change.alter(standing, now),
        }
    }

    /// Of changes whose account or key is there.
    fn alter(self, standing: Standing, now: UnixMs) -> Result<Option<Decided>, Refused> {
        let Standing { account, key, is_digest_known, .. } = standing;
        let decided = match (self, account, key) {
            (Change::AlterAccount { alter, .. }, Some(record), _) => {
                let after = alter.of(record.clone());
                // Its lists would belong to nobody, and the account could not be served.
                if let Some(teams) = &after.teams
                    && let Some(team) = after.team_columns.keys().find(|team| !teams.contains(team))
                {
                    return Err(Refused::TeamHasColumns(team.clone()));
                }
                (after != record).then(|| Decided::account(after, Action::AccountAltered))
            }
            (Change::PutUser { user, .. }, Some(record), _) => {
                let is_same = record.users.contains(&user);
                (!is_same).then(|| Decided::user(user))
            }
            (Change::PutColumns { team, columns, .. }, Some(record), _) => {
                let after = with_columns(record.clone(), team, columns)?;
                (after != record).then(|| Decided::account(after, Action::ColumnsSet))
            }
            (Change::PutAssistants { assistants, .. }, Some(record), _) => {
                let after = AccountRecord { assistants, ..record.clone() };
                (after != record).then(|| Decided::account(after, Action::AssistantsSet))
            }
            (Change::AlterKey { alter, .. }, _, Some(record)) => {
                changeable(&record, now)?;
                let after = alter.of(record.clone());
                (after != record).then(|| Decided::key(after, Action::KeyAltered))
            }
            (Change::Regenerate { digest, display, grace_ms, .. }, _, Some(record)) => {
                changeable(&record, now)?;
                if is_digest_known {
                    return Err(Refused::DigestKnown);
                }
                let after = regenerated(record, digest, display, grace_ms, now);
                Some(Decided::key(after, Action::KeyRegenerated))
            }
            (Change::Revoke { .. }, _, Some(record)) => {
                let is_live = record.revoked_at.is_none();
                let after = KeyRecord { revoked_at: Some(now), previous: None, ..record };
                is_live.then(|| Decided::key(after, Action::KeyRevoked))
            }
            // `decide` leaves none.
            _ => None,
        };
        Ok(decided)
    }
}

/// What is over stays over, and a key from before scopes can only be revoked.
fn changeable(key: &KeyRecord, now: UnixMs) -> Result<(), Refused> {
    if key.revoked_at.is_some() {
        return Err(Refused::Revoked);
    }
    if !is_live(key, now) {
        return Err(Refused::Expired);
    }
    if key.data_scope == Some(DataScope::Legacy) {
        return Err(Refused::Legacy);
    }
    Ok(())
}

fn created(
    account: &AccountRecord,
    key: KeyRecord,
    live_max: Option<u32>,
    standing: &Standing,
    now: UnixMs,
) -> Result<KeyRecord, Refused> {
    if standing.is_id_taken {
        return Err(Refused::KeyExists(key.id));
    }
    if standing.is_digest_known {
        return Err(Refused::DigestKnown);
    }
    if let Some(user) = &key.user
        && !account.users.iter().any(|known| known.id == *user)
    {
        return Err(Refused::NoSuchUser(user.clone()));
    }
    let known = |team: &&String| account.teams.as_ref().is_none_or(|teams| teams.contains(team));
    if let Some(team) = key.teams.iter().flatten().find(|team| !known(team)) {
        return Err(Refused::NoSuchTeam(team.clone()));
    }
    if let Some(live_max) = live_max {
        let live_max = account.live_max.unwrap_or(live_max);
        if is_live(&key, now) && standing.live_keys >= live_max {
            return Err(Refused::TooManyLiveKeys { live_max });
        }
    }
    Ok(KeyRecord { created_at: key.created_at.or(Some(now)), ..key })
}

/// Neither revoked nor expired.
pub fn is_live(key: &KeyRecord, now: UnixMs) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now)
}

fn regenerated(
    record: KeyRecord,
    digest: Digest,
    display: String,
    grace_ms: u64,
    now: UnixMs,
) -> KeyRecord {
    let until = UnixMs(now.0.saturating_add(grace_ms));
    let previous = PreviousDigest {
        digest: record.digest,
        until: record.expires_at.map_or(until, |end| end.min(until)),
    };
    KeyRecord { previous: (grace_ms > 0).then_some(previous), digest, display, ..record }
}

fn with_columns(
    mut record: AccountRecord,
    team: Option<String>,
    columns: ColumnLists,
) -> Result<AccountRecord, Refused> {
    match team {
        None => record.columns = columns,
        Some(team) if record.teams.as_ref().is_some_and(|teams| !teams.contains(&team)) => {
            return Err(Refused::NoSuchTeam(team));
        }
        Some(team) if columns.is_empty() => {
            record.team_columns.remove(&team);
        }
        Some(team) => {
            record.team_columns.insert(team, columns);
        }
    }
    Ok(record)
}

impl AlterAccount {
    fn of(self, record: AccountRecord) -> AccountRecord {
        AccountRecord {
            name: self.name.unwrap_or(record.name),
            plan: self.plan.unwrap_or(record.plan),
            teams: self.teams.unwrap_or(record.teams),
            live_max: self.live_max.unwrap_or(record.live_max),
            ..record
        }
    }
}

impl AlterKey {
    fn of(self, record: KeyRecord) -> KeyRecord {
        let expires_at = self.expires_at.unwrap_or(record.expires_at);
        // A grace never outlives the key.
        let previous = record.previous.map(|previous| PreviousDigest {
            until: expires_at.map_or(previous.until, |end| end.min(previous.until)),
            ..previous
        });
        KeyRecord {
            name: self.name.unwrap_or(record.name),
            expires_at,
            previous,
            allowed_ips: self.allowed_ips.unwrap_or(record.allowed_ips),
            limits: self.limits.unwrap_or(record.limits),
            raised: self.raised.unwrap_or(record.raised),
            ..record
        }
    }
}

impl Decided {
    fn account(account: AccountRecord, action: Action) -> Decided {
        let object = account.id.clone();
        Decided { account: Some(account), user: None, key: None, action, object }
    }

    fn user(user: UserRecord) -> Decided {
        let object = user.id.clone();
        Decided { account: None, user: Some(user), key: None, action: Action::UserPut, object }
    }

    fn key(key: KeyRecord, action: Action) -> Decided {
        let object = key.id.clone();
        Decided { account: None, user: None, key: Some(key), action, object }
    }
}
