//! Brings the records of a directory into a store: from a file, or from another store.
//!
//! Each record is a change of its own with its line of audit. What the store has already is left as it
//! is and told, so that an import that broke off can be run again.

use std::path::Path;
use std::sync::Arc;

use gateway_policy::{AccountRecord, Directory, UnixMs, UserRecord};
use gateway_proxy::Clock;
use gateway_settings::Loaded;
use gateway_store::{Author, Change, Refused, Store, StoreError, WriteError};
use serde_json::json;
use tokio::runtime::Runtime;

use crate::args::Format;
use crate::args::directory::DirectoryArgs;
use crate::exit::{self, Failed};
use crate::load::{self, Surroundings};
use crate::{feed, terminal};

/// `colonnade accounts import`.
pub(crate) fn run(args: &DirectoryArgs, file: Option<&Path>, from: Option<&Path>) -> u8 {
    match imported(args, file, from) {
        Ok((imported, left_out)) => {
            let Imported { accounts, users, keys, mut left } = imported;
            left.extend(left_out);
            if args.format == Format::Json {
                let told =
                    json!({ "accounts": accounts, "users": users, "keys": keys, "left": left });
                println!("{}", terminal::body(&told.to_string()));
            } else {
                println!("{accounts} accounts, {users} users and {keys} keys are new here");
                left.iter().for_each(|line| println!("  left: {}", terminal::line(line)));
            }
            exit::OK
        }
        Err((code, lines)) => {
            lines.iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            code
        }
    }
}

fn imported(
    args: &DirectoryArgs,
    file: Option<&Path>,
    from: Option<&Path>,
) -> Result<(Imported, Vec<String>), Failed> {
    if args.admin.is_some() {
        let why = "an import goes to the store of a configuration: leave --admin out".to_owned();
        return Err((exit::USAGE, vec![why]));
    }
    let failed = |error: &dyn std::fmt::Display| (exit::FAILED, vec![error.to_string()]);
    let around = Surroundings::default();
    let into = configuration(&args.config.path(), &around)?;
    if load::directory_path(&into.settings).is_some() {
        let why =
            "the store of this configuration is a file: it is changed by its owner".to_owned();
        return Err((exit::USAGE, vec![why]));
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let (directory, left_out) = match (file, from) {
        (Some(file), _) => read_file(file, &into, &around)?,
        (None, Some(from)) => (read_store(from, &around, &runtime)?, Vec::new()),
        (None, None) => return Err((exit::USAGE, vec!["nothing to import from".to_owned()])),
    };
    let store = feed::store(&into.settings, &runtime)?;
    let author = Author { name: "import".to_owned(), address: None, request_id: None };
    let now = Clock::default().wall();
    let imported = runtime.block_on(import(&*store, &directory, &author, now));
    imported.map(|imported| (imported, left_out)).map_err(|error| failed(&error))
}

fn configuration(path: &Path, around: &Surroundings) -> Result<Loaded, Failed> {
    let loaded =
        load::configuration_text(path).and_then(|text| load::configuration(&text, path, around));
    loaded.map_err(|error| (exit::INVALID_CONFIGURATION, error.lines()))
}

/// The sound records of a directory file, and what is wrong with the others.
fn read_file(
    file: &Path,
    into: &Loaded,
    around: &Surroundings,
) -> Result<(Arc<Directory>, Vec<String>), Failed> {
    let bytes_max = gateway_settings::directory::DIRECTORY_BYTES_MAX as u64;
    let text = gateway_store::read_text(file, bytes_max)
        .map_err(|error| (exit::FAILED, vec![error.to_string()]))?;
    let read = load::directory(&text, file, around, &into.settings.keys)
        .map_err(|error| (exit::INVALID_CONFIGURATION, error.lines()))?;
    let left_out = read.left_out.iter().map(ToString::to_string).collect();
    Ok((read.directory, left_out))
}

fn read_store(
    from: &Path,
    around: &Surroundings,
    runtime: &Runtime,
) -> Result<Arc<Directory>, Failed> {
    let loaded = configuration(from, around)?;
    if let Some(file) = load::directory_path(&loaded.settings) {
        return read_file(file, &loaded, around).map(|(directory, _)| directory);
    }
    let store = feed::store(&loaded.settings, runtime)?;
    let delta = runtime.block_on(store.load());
    let delta = delta.map_err(|error| (exit::STORE_UNREACHABLE, vec![error.to_string()]))?;
    Ok(Arc::new(Directory { accounts: delta.accounts }))
}

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
        let known = store.account(&record.id).await?.map(|known| known.users).unwrap_or_default();
        rest(store, record, &known, author, now, &mut imported).await?;
    }
    Ok(imported)
}

/// An account's keys, and its users but for those that are there: one may have been switched off since.
async fn rest(
    store: &dyn Store,
    record: &AccountRecord,
    known: &[UserRecord],
    author: &Author,
    now: UnixMs,
    imported: &mut Imported,
) -> Result<(), StoreError> {
    let account = &record.id;
    for user in &record.users {
        if known.iter().any(|known| known.id == user.id) {
            imported.left.push(format!("accounts.{account}.users.{}: is there already", user.id));
            continue;
        }
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
            live_max: None,
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
