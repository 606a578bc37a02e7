//! Accounts and keys: all, what changed, one, or a page.
//!
//! Each function is called inside of one transaction that sees one state.

use std::collections::HashMap;

use gateway_limits::UnixMs;
use gateway_policy::{AccountRecord, KeyRecord, RecordFault};

use super::rows::{self, account_columns, key_columns};
use super::{Row, Sql, Value, at, int, list, one, revision};
use crate::change::StoredKey;
use crate::store::{Delta, KeyStatus, Listed, Page, StoreError, Unreadable};

const ACCOUNTS: &str = concat!("select ", account_columns!(), " from accounts");
const KEYS: &str = concat!("select ", key_columns!(), " from keys");
const USERS: &str = "select account, id, email, active from users";

/// All there is.
pub(crate) async fn load<S: Sql>(sql: &mut S) -> Result<Delta, StoreError> {
    let revision = revision(sql).await?;
    let mut gathered = Gathered::default();
    gathered.accounts(sql, ACCOUNTS, &[]).await?;
    gathered.users(sql, USERS, &[]).await?;
    gathered.keys(sql, KEYS, &[]).await?;
    Ok(gathered.delta(revision))
}

/// What has changed since a revision.
pub(crate) async fn changes<S: Sql>(sql: &mut S, since: u64) -> Result<Delta, StoreError> {
    let revision = revision(sql).await?;
    let mut gathered = Gathered::default();
    if since < revision {
        let values = [Value::from(since)];
        let accounts = concat!("select ", account_columns!(), " from accounts where changed > $1");
        gathered.accounts(sql, accounts, &values).await?;
        let users = "select account, id, email, active from users \
                     where account in (select id from accounts where changed > $1)";
        gathered.users(sql, users, &values).await?;
        let keys = concat!("select ", key_columns!(), " from keys where revision > $1");
        gathered.keys(sql, keys, &values).await?;
    }
    Ok(gathered.delta(revision))
}

/// Rows of three tables, put together. Keys and users come in any order.
///
/// A row that cannot be read costs its record, not the others: a hand that edited one, or a newer program
/// that wrote it, must not hold up a revocation.
#[derive(Default)]
struct Gathered {
    accounts: Vec<AccountRecord>,
    by_id: HashMap<String, usize>,
    unreadable: Vec<Unreadable>,
}

impl Gathered {
    async fn accounts<S: Sql>(
        &mut self,
        sql: &mut S,
        text: &str,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let mut take = |row: &dyn Row| {
            let account = match rows::account(row) {
                Ok(account) => account,
                Err(why) => {
                    self.unreadable.push(unreadable(rows::id(row)?, None, &why));
                    return Ok(());
                }
            };
            self.by_id.insert(account.id.clone(), self.accounts.len());
            self.accounts.push(account);
            Ok(())
        };
        sql.each(text, values, &mut take).await
    }

    async fn users<S: Sql>(
        &mut self,
        sql: &mut S,
        text: &str,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let mut take = |row: &dyn Row| {
            let (account, user) = rows::user(row)?;
            if let Some(account) = self.account(&account) {
                account.users.push(user);
            }
            Ok(())
        };
        sql.each(text, values, &mut take).await
    }

    async fn keys<S: Sql>(
        &mut self,
        sql: &mut S,
        text: &str,
        values: &[Value<'_>],
    ) -> Result<(), StoreError> {
        let mut take = |row: &dyn Row| {
            match rows::key(row) {
                Ok(key) => {
                    if let Some(account) = self.account(&key.account) {
                        account.keys.push(key.record);
                    }
                }
                Err(why) => {
                    let (account, key) = (rows::account_of_key(row)?, rows::id(row)?);
                    self.unreadable.push(unreadable(account, Some(key), &why));
                }
            }
            Ok(())
        };
        sql.each(text, values, &mut take).await
    }

    /// None of an account that cannot be read.
    fn account(&mut self, id: &str) -> Option<&mut AccountRecord> {
        self.by_id.get(id).and_then(|at| self.accounts.get_mut(*at))
    }

    fn delta(mut self, revision: u64) -> Delta {
        self.accounts.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        for account in &mut self.accounts {
            account.users.sort_unstable_by(|one, other| one.id.cmp(&other.id));
            account.keys.sort_unstable_by(|one, other| age(one).cmp(&age(other)));
        }
        Delta { revision, accounts: self.accounts, unreadable: self.unreadable }
    }
}

fn unreadable(account: String, key: Option<String>, why: &StoreError) -> Unreadable {
    let path = match &key {
        Some(key) => format!("accounts.{account}.keys.{key}"),
        None => format!("accounts.{account}"),
    };
    Unreadable { account, key, fault: RecordFault::new(path, why.to_string()) }
}

fn age(key: &KeyRecord) -> (Option<UnixMs>, &str) {
    (key.created_at, &key.id)
}

/// One account with its users.
pub(crate) async fn account<S: Sql>(
    sql: &mut S,
    id: &str,
) -> Result<Option<AccountRecord>, StoreError> {
    let text = concat!("select ", account_columns!(), " from accounts where id = $1");
    let mut accounts = list(sql, text, &[id.into()], rows::account).await?;
    add_users(sql, &mut accounts).await?;
    Ok(accounts.pop())
}

/// Users of accounts that follow one another by id.
async fn add_users<S: Sql>(sql: &mut S, accounts: &mut [AccountRecord]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (accounts.first(), accounts.last()) else {
        return Ok(());
    };
    let text = "select account, id, email, active from users \
                where account >= $1 and account <= $2 order by account, id";
    let values = [(&first.id).into(), (&last.id).into()];
    for (owner, user) in list(sql, text, &values, rows::user).await? {
        let known = accounts.binary_search_by(|account| account.id.cmp(&owner));
        if let Some(account) = known.ok().and_then(|at| accounts.get_mut(at)) {
            account.users.push(user);
        }
    }
    Ok(())
}

/// Accounts by id. The cursor is the last id.
pub(crate) async fn accounts<S: Sql>(
    sql: &mut S,
    page: &Page,
) -> Result<Listed<AccountRecord>, StoreError> {
    let text =
        concat!("select ", account_columns!(), " from accounts where id > $1 order by id limit $2");
    let after = page.after.as_deref().unwrap_or_default();
    let found = list(sql, text, &[after.into(), more(page)], rows::account).await?;
    let mut listed = paged(found, page, |account| account.id.clone());
    add_users(sql, &mut listed.items).await?;
    Ok(listed)
}

/// One key.
pub(crate) async fn key<S: Sql>(sql: &mut S, id: &str) -> Result<Option<StoredKey>, StoreError> {
    let text = concat!("select ", key_columns!(), " from keys where id = $1");
    one(sql, text, &[id.into()], rows::key).await
}

/// Keys by age. The cursor is creation and id of the last.
pub(crate) async fn keys<S: Sql>(
    sql: &mut S,
    account: &str,
    status: KeyStatus,
    now: UnixMs,
    page: &Page,
) -> Result<Listed<StoredKey>, StoreError> {
    let (created_at, id) = match &page.after {
        None => (-1, ""),
        Some(cursor) => behind(cursor)?,
    };
    let (of_status, at_now) = match status {
        KeyStatus::All => ("", None),
        KeyStatus::Revoked => ("and revoked_at is not null", None),
        KeyStatus::Active => {
            ("and revoked_at is null and (expires_at is null or expires_at > $5)", Some(at(now)))
        }
        KeyStatus::Expired => ("and revoked_at is null and expires_at <= $5", Some(at(now))),
    };
    let text = format!(
        "{KEYS} where account = $1 and (created_at, id) > ($2, $3) {of_status} \
         order by created_at, id limit $4"
    );
    let values = [account.into(), Value::Int(Some(created_at)), id.into(), more(page)];
    let values: Vec<_> = values.into_iter().chain(at_now).collect();
    let found = list(sql, &text, &values, rows::key).await?;
    Ok(paged(found, page, |key| {
        let created_at = key.record.created_at.unwrap_or_default();
        format!("{}.{}", created_at.0, key.record.id)
    }))
}

fn behind(cursor: &str) -> Result<(i64, &str), StoreError> {
    let pair = cursor.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id)));
    pair.ok_or_else(|| StoreError::Cursor(cursor.to_owned()))
}

/// One more than asked for tells whether there is a next page.
pub(super) fn more(page: &Page) -> Value<'static> {
    Value::Int(Some(int(u64::from(page.limit.max(1)) + 1)))
}

/// Of one more than asked for.
pub(super) fn paged<T>(mut items: Vec<T>, page: &Page, cursor: impl Fn(&T) -> String) -> Listed<T> {
    let limit = page.limit.max(1) as usize;
    let is_more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| is_more).map(cursor);
    Listed { items, next }
}
