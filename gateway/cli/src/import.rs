//! Brings the records of a directory into a store: from a file, or from another store.
//!
//! Each record is a change of its own with its line of audit. What the store has already is left as it
//! is and told, so that an import that broke off can be run again.

use gateway_policy::{AccountRecord, Directory, UnixMs};
use gateway_store::{Author, Change, Refused, Store, StoreError, WriteError};

/// How much was brought, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    pub(crate) accounts: u64,
    pub(crate) users: u64,
    pub(crate) keys: u64,
    /// Records that the store has already, or refuses.
    pub(crate) left: Vec<String>,
}

/// Brings all records. Keys beyond an account's number come too: they exist already.
///
/// # Errors
/// The store went away; what was brought by then stays.
pub(crate) async fn import(
    store: &dyn Store,
    directory: &Directory,
    author: &Author,
    now: UnixMs,
) -> Result<Imported, StoreError> {
    let mut imported = Imported::default();
    for record in &directory.accounts {
        let change = Change::CreateAccount(Box::new(record.clone()));
        if let Some(why) = write(store, change, author, now).await? {
            let is_there = matches!(why, Refused::AccountExists(_));
            imported.left.push(format!("accounts.{}: {why}", record.id));
            if !is_there {
                continue;
            }
        } else {
            imported.accounts += 1;
        }
        rest(store, record, author, now, &mut imported).await?;
    }
    Ok(imported)
}

/// An account's users and keys.
async fn rest(
    store: &dyn Store,
    record: &AccountRecord,
    author: &Author,
    now: UnixMs,
    imported: &mut Imported,
) -> Result<(), StoreError> {
    let account = &record.id;
    for user in &record.users {
        let change = Change::PutUser { account: account.clone(), user: user.clone() };
        match write(store, change, author, now).await? {
            None => imported.users += 1,
            Some(why) => imported.left.push(format!("accounts.{account}.users.{}: {why}", user.id)),
        }
    }
    for key in &record.keys {
        let change = Change::CreateKey {
            account: account.clone(),
            key: Box::new(key.clone()),
            live_max: u32::MAX,
            retry: None,
            imported: true,
        };
        match write(store, change, author, now).await? {
            None => imported.keys += 1,
            Some(why) => imported.left.push(format!("accounts.{account}.keys.{}: {why}", key.id)),
        }
    }
    Ok(())
}

/// Why a change was refused, if it was.
async fn write(
    store: &dyn Store,
    change: Change,
    author: &Author,
    now: UnixMs,
) -> Result<Option<Refused>, StoreError> {
    match store.write(change, author, now).await {
        Ok(_) => Ok(None),
        Err(WriteError::Refused(why)) => Ok(Some(why)),
        Err(WriteError::Store(error)) => Err(error),
    }
}
