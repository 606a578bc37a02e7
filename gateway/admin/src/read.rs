//! Records, from a store or from a file in memory: the same answers of both.
//!
//! A file has no audit and keeps no usage; who asks is told that there is none.

use std::collections::HashMap;

use gateway_policy::{AccountRecord, Directory, KeyRecord};
use gateway_store::{AuditRow, KeyStatus, Listed, Page, Refused, StoredKey, Usage, is_live};

use crate::api::Api;
use crate::node::Records;
use crate::problem::Problem;

impl Api {
    /// With its users; without its keys if it comes from a store.
    pub(crate) async fn account(&self, id: &str) -> Result<AccountRecord, Problem> {
        let found = match self.records() {
            Records::Store(store) => store.account(id).await?,
            Records::File(directory) => {
                directory().accounts.iter().find(|account| account.id == id).map(without_keys)
            }
        };
        found.ok_or_else(|| Refused::NoSuchAccount(id.to_owned()).into())
    }

    pub(crate) async fn accounts(&self, page: Page) -> Result<Listed<AccountRecord>, Problem> {
        match self.records() {
            Records::Store(store) => Ok(store.accounts(page).await?),
            Records::File(directory) => {
                let directory = directory();
                let mut all: Vec<&AccountRecord> = directory.accounts.iter().collect();
                all.sort_by(|one, other| one.id.cmp(&other.id));
                let listed = part(all, &page, |account| &account.id);
                Ok(Listed {
                    items: listed.items.into_iter().map(without_keys).collect(),
                    next: listed.next,
                })
            }
        }
    }

    pub(crate) async fn key(&self, id: &str) -> Result<StoredKey, Problem> {
        let found = match self.records() {
            Records::Store(store) => store.key(id).await?,
            Records::File(directory) => key_in(&directory(), id),
        };
        found.ok_or_else(|| Refused::NoSuchKey(id.to_owned()).into())
    }

    /// Of an account that is there.
    pub(crate) async fn keys(
        &self,
        account: &str,
        status: KeyStatus,
        page: Page,
    ) -> Result<Listed<StoredKey>, Problem> {
        let now = self.node().now();
        match self.records() {
            Records::Store(store) => Ok(store.keys(account, status, now, page).await?),
            Records::File(directory) => {
                let directory = directory();
                let record = directory.accounts.iter().find(|record| record.id == account);
                let wanted = |key: &&KeyRecord| match status {
                    KeyStatus::Active => is_live(key, now),
                    KeyStatus::Revoked => key.revoked_at.is_some(),
                    KeyStatus::Expired => key.revoked_at.is_none() && !is_live(key, now),
                    KeyStatus::All => true,
                };
                let keys = record.into_iter().flat_map(|record| &record.keys);
                let listed = part(keys.filter(wanted).collect(), &page, |key| &key.id);
                let stored = |key: &KeyRecord| of_file(account, key);
                Ok(Listed {
                    items: listed.items.into_iter().map(stored).collect(),
                    next: listed.next,
                })
            }
        }
    }

    /// Of these keys; `None` where no usage is kept. What this node has counted so far is in it.
    pub(crate) async fn usage(&self, keys: &[String]) -> Result<Option<Usages>, Problem> {
        let Records::Store(store) = self.records() else { return Ok(None) };
        if keys.is_empty() {
            return Ok(Some(Usages::default()));
        }
        self.node().flush_usage().await;
        let used = store.usage(keys, self.node().now()).await?;
        Ok(Some(Usages(used.into_iter().map(|usage| (usage.key.clone(), usage)).collect())))
    }

    pub(crate) async fn audit(
        &self,
        account: Option<&str>,
        page: Page,
    ) -> Result<Listed<AuditRow>, Problem> {
        match self.records() {
            Records::Store(store) => Ok(store.audit(account, page).await?),
            Records::File(_) => Ok(Listed { items: Vec::new(), next: None }),
        }
    }
}

/// Usage by key.
#[derive(Debug, Default)]
pub(crate) struct Usages(HashMap<String, Usage>);

impl Usages {
    /// Of a key that was never used, nothing.
    pub(crate) fn of(&self, key: &str) -> Usage {
        self.0.get(key).cloned().unwrap_or_default()
    }
}

fn key_in(directory: &Directory, id: &str) -> Option<StoredKey> {
    directory.accounts.iter().find_map(|account| {
        let key = account.keys.iter().find(|key| key.id == id)?;
        Some(of_file(&account.id, key))
    })
}

fn of_file(account: &str, key: &KeyRecord) -> StoredKey {
    StoredKey { account: account.to_owned(), record: key.clone(), revision: 0 }
}

fn without_keys(record: &AccountRecord) -> AccountRecord {
    AccountRecord {
        id: record.id.clone(),
        name: record.name.clone(),
        plan: record.plan.clone(),
        teams: record.teams.clone(),
        live_max: record.live_max,
        columns: record.columns.clone(),
        team_columns: record.team_columns.clone(),
        assistants: record.assistants.clone(),
        users: record.users.clone(),
        keys: Vec::new(),
    }
}

/// The page of a list that is here whole; its cursor is the id of the last one.
pub(crate) fn part<T>(all: Vec<T>, page: &Page, id: impl Fn(&T) -> &str) -> Listed<T> {
    let start = match &page.after {
        None => 0,
        // A cursor whose record is gone ends the list: to begin anew would repeat it for ever.
        Some(after) => all.iter().position(|item| id(item) == after).map_or(all.len(), |at| at + 1),
    };
    let limit = page.limit as usize;
    let next = (all.len() > start + limit)
        .then(|| all.get(start + limit - 1).map(|item| id(item).to_owned()))
        .flatten();
    Listed { items: all.into_iter().skip(start).take(limit).collect(), next }
}
