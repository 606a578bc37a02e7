//! One change: what stands is read, [`Change::decide`] decides, and what is decided is written.
//!
//! All of it happens between the lock of the change counter and the commit, so that changes come one
//! after the other, and commits in the order of their revisions.

use std::time::{Duration, Instant};

use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, KeyRecord, UserRecord};
use serde_json::Value as Json;

use super::{Row, Sql, Value, at, audit, number, one, read, rows, text};
use crate::audit::Author;
use crate::change::{Change, Decided, Refused, Retry, Standing};
use crate::document::{AccountDocument, KeyDocument, UserDocument};
use crate::store::{StoreError, WriteError, Written};

/// How long a creation may be sent again.
const RETRY_MS: u64 = 24 * 3_600_000;
/// A change that waited less is decided by the time at which it was asked for.
const WAIT_THAT_MATTERS: Duration = Duration::from_secs(1);
/// Creations of one account that may be sent again: the latest.
const RETRIES_MAX: i64 = 1_000;

/// When a change was asked for. What is decided is decided by the time when its turn has come: a key may
/// have ended while it waited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    at: UnixMs,
    began: Instant,
}

impl Asked {
    /// Now.
    pub(crate) fn at(at: UnixMs) -> Asked {
        Asked { at, began: Instant::now() }
    }

    /// When it was asked for, or later by what it waited, if that is long enough to matter.
    fn now(self) -> UnixMs {
        let waited = self.began.elapsed();
        if waited < WAIT_THAT_MATTERS {
            return self.at;
        }
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        UnixMs(self.at.0.saturating_add(waited_ms))
    }
}

/// Makes a change inside of a transaction that the caller has begun, and ends.
pub(crate) async fn write<S: Sql>(
    sql: &mut S,
    change: Change,
    author: &Author,
    asked: Asked,
) -> Result<Written, WriteError> {
    let last = lock(sql).await?;
    let now = asked.now();
    let retry = retry_of(&change);
    if let Some((account, retry)) = &retry
        && let Some(key) = made_before(sql, account, retry, now).await?
    {
        let written = written(sql, last, account, Some(&key)).await?;
        return Ok(Written { is_replay: true, ..written });
    }
    let (account, standing) = stands(sql, &change, now).await?;
    let (key, before) = (key_of(&change), Before::of(&change, &standing));
    let Some(decided) = change.decide(standing, now)? else {
        return Ok(written(sql, last, &account, key.as_deref()).await?);
    };
    let revision = last + 1;
    put(sql, &account, &decided, revision).await?;
    let entry = audit::Entry {
        revision,
        at: now,
        author,
        action: decided.action,
        account: &account,
        object: &decided.object,
        before: before.document(),
        after: after(&decided),
    };
    audit::add(sql, &entry).await?;
    if let (Some((account, retry)), Some(key)) = (&retry, &decided.key) {
        remember(sql, account, retry, &key.id, now).await?;
    }
    sql.run("update meta set revision = $1", &[revision.into()]).await?;
    sql.announce(revision).await?;
    Ok(written(sql, revision, &account, key.as_deref()).await?)
}

/// The revision of the last change; nobody else makes one before this transaction ends.
async fn lock<S: Sql>(sql: &mut S) -> Result<u64, StoreError> {
    let text = format!("select revision from meta where id = 1{}", S::LOCKING);
    let revision = one(sql, &text, &[], |row| number(row, 0)).await?;
    revision.ok_or_else(|| StoreError::Corrupt("table `meta` is empty".to_owned()))
}

fn retry_of(change: &Change) -> Option<(String, Retry)> {
    match change {
        Change::CreateKey { account, retry: Some(retry), .. } => {
            Some((account.clone(), retry.clone()))
        }
        _ => None,
    }
}

/// The key that it is about, there or not.
fn key_of(change: &Change) -> Option<String> {
    change.key().or(change.brings().0).map(str::to_owned)
}

/// The key that the same request has made.
async fn made_before<S: Sql>(
    sql: &mut S,
    account: &str,
    retry: &Retry,
    now: UnixMs,
) -> Result<Option<String>, WriteError> {
    let statement = "select request, key from retries \
                     where account = $1 and token = $2 and at > $3";
    let since = Value::from(now.0.saturating_sub(RETRY_MS));
    let read = |row: &dyn Row| Ok((text(row, 0)?, text(row, 1)?));
    match one(sql, statement, &[account.into(), (&retry.token).into(), since], read).await? {
        Some((request, _)) if request != retry.request => Err(Refused::RetryDiffers.into()),
        made => Ok(made.map(|(_, key)| key)),
    }
}

async fn remember<S: Sql>(
    sql: &mut S,
    account: &str,
    retry: &Retry,
    key: &str,
    now: UnixMs,
) -> Result<(), StoreError> {
    let old = now.0.saturating_sub(RETRY_MS);
    let expired = "delete from retries where account = $1 and at <= $2";
    sql.run(expired, &[account.into(), old.into()]).await?;
    let surplus = "delete from retries where account = $1 and token in (select token \
                   from retries where account = $1 order by at desc, token limit 1000 offset $2)";
    sql.run(surplus, &[account.into(), Value::Int(Some(RETRIES_MAX - 1))]).await?;
    let put = "insert into retries (account, token, request, key, at) \
               values ($1, $2, $3, $4, $5)";
    let values =
        [account.into(), (&retry.token).into(), (&retry.request).into(), key.into(), at(now)];
    sql.run(put, &values).await.map(drop)
}

/// The records that a change names, and the account that they belong to.
async fn stands<S: Sql>(
    sql: &mut S,
    change: &Change,
    now: UnixMs,
) -> Result<(String, Standing), StoreError> {
    let key = match change.key() {
        Some(id) => read::key(sql, id).await?,
        None => None,
    };
    let owner = key.as_ref().map(|key| key.account.as_str());
    let id = change.account().or(owner).unwrap_or_default().to_owned();
    let account = read::account(sql, &id).await?;
    let (new_id, new_digest) = change.brings();
    let mut standing = Standing { account, key: key.map(|key| key.record), ..Standing::default() };
    if let Some(new_id) = new_id {
        standing.is_id_taken = read::key(sql, new_id).await?.is_some();
        standing.live_keys = live_keys(sql, &id, now).await?;
    }
    if let Some(digest) = new_digest {
        standing.is_digest_known = is_digest_known(sql, &digest.to_string()).await?;
    }
    Ok((id, standing))
}

async fn live_keys<S: Sql>(sql: &mut S, account: &str, now: UnixMs) -> Result<u32, StoreError> {
    let text = "select count(*) from keys where account = $1 and revoked_at is null \
                and (expires_at is null or expires_at > $2)";
    let count = one(sql, text, &[account.into(), at(now)], |row| number(row, 0)).await?;
    Ok(u32::try_from(count.unwrap_or_default()).unwrap_or(u32::MAX))
}

/// A digest stays known for good, also past its replacement, its grace and its key's revocation.
async fn is_digest_known<S: Sql>(sql: &mut S, digest: &str) -> Result<bool, StoreError> {
    let text = "select count(*) from digests where digest = $1";
    let count = one(sql, text, &[digest.into()], |row| number(row, 0)).await?;
    Ok(count.is_some_and(|count| count > 0))
}

async fn put<S: Sql>(
    sql: &mut S,
    account: &str,
    decided: &Decided,
    revision: u64,
) -> Result<(), StoreError> {
    if let Some(record) = &decided.account {
        return rows::put_account(sql, record, revision).await;
    }
    if let Some(record) = &decided.user {
        rows::put_user(sql, account, record, revision).await?;
    }
    if let Some(record) = &decided.key {
        rows::put_key(sql, account, record, revision).await?;
        let previous = record.previous.as_ref().map(|previous| previous.digest);
        for digest in previous.into_iter().chain([record.digest]) {
            let had = "insert into digests (digest, key) values ($1, $2) \
                       on conflict (digest) do nothing";
            sql.run(had, &[(&digest.to_string()).into(), (&record.id).into()]).await?;
        }
    }
    let touch = "update accounts set changed = $1 where id = $2";
    sql.run(touch, &[revision.into(), account.into()]).await.map(drop)
}

/// What the change is about, before it.
enum Before {
    Nothing,
    Account(AccountRecord),
    User(UserRecord),
    Key(KeyRecord),
}

impl Before {
    fn of(change: &Change, standing: &Standing) -> Before {
        let account = standing.account.as_ref();
        match change {
            Change::CreateAccount(_) | Change::CreateKey { .. } => Before::Nothing,
            Change::AlterAccount { .. }
            | Change::PutColumns { .. }
            | Change::PutAssistants { .. } => {
                account.cloned().map_or(Before::Nothing, Before::Account)
            }
            Change::PutUser { user, .. } => {
                let mut users = account.into_iter().flat_map(|account| &account.users);
                let known = users.find(|known| known.id == user.id);
                known.cloned().map_or(Before::Nothing, Before::User)
            }
            Change::AlterKey { .. } | Change::Regenerate { .. } | Change::Revoke { .. } => {
                standing.key.clone().map_or(Before::Nothing, Before::Key)
            }
        }
    }

    fn document(&self) -> Json {
        match self {
            Before::Nothing => Json::Null,
            Before::Account(record) => account_document(record),
            Before::User(record) => document(&UserDocument::from(record)),
            Before::Key(record) => document(&KeyDocument::from(record).without_digests()),
        }
    }
}

fn after(decided: &Decided) -> Json {
    let account = decided.account.as_ref().map(account_document);
    let user = || Some(document(&UserDocument::from(decided.user.as_ref()?)));
    let key = || Some(document(&KeyDocument::from(decided.key.as_ref()?).without_digests()));
    account.or_else(user).or_else(key).unwrap_or_default()
}

/// Users and keys have lines of their own.
fn account_document(record: &AccountRecord) -> Json {
    let mut account = AccountDocument::from(record);
    account.users.clear();
    account.keys.clear();
    document(&account)
}

/// Documents are objects of text and numbers, which JSON can always hold.
fn document<T: serde::Serialize>(document: &T) -> Json {
    serde_json::to_value(document).unwrap_or_default()
}

/// What stands when all is done.
async fn written<S: Sql>(
    sql: &mut S,
    revision: u64,
    account: &str,
    key: Option<&str>,
) -> Result<Written, StoreError> {
    let gone = || StoreError::Corrupt(format!("account `{account}` is not there any more"));
    let key = match key {
        Some(id) => read::key(sql, id).await?,
        None => None,
    };
    let account = read::account(sql, account).await?.ok_or_else(gone)?;
    Ok(Written { revision, account, key, is_replay: false })
}
