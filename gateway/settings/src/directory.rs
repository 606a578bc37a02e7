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
mod records;

use std::path::Path as FilePath;
use std::sync::Arc;

use gateway_policy::{DigestKind, Directory, RecordFault, Rules};
use places::Places;
use plaintext::KeyTexts;
use records::Reader;
use serde_json::Value as Json;

use crate::check::Rule;
use crate::document::record_schema;
use crate::expand::{LookUp, expand};
use crate::model::directory::{AccountSettings, KeySettings, UserSettings};
use crate::node::{Node, Path, Value};
use crate::report::{Discretion, Fault, Report, quotable, suggestion};
use crate::settings::KeyForm;

/// Largest directory that is read: 256 MiB.
pub const DIRECTORY_BYTES_MAX: usize = 256 << 20;

/// The records of a directory file that have a sound form, and the faults of the others.
#[derive(Debug)]
pub struct LoadedDirectory {
    pub directory: Arc<Directory>,
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
    let directory = Arc::new(directory);
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

    /// What is allowed and probably not meant: under a pepper, live keys whose digest is of the plain
    /// form, which goes on to be accepted. Told once, at the first of them: a file may have many.
    pub fn warnings(&self, rules: &Rules) -> Vec<Fault> {
        if rules.credentials.pepper.is_none() {
            return Vec::new();
        }
        let keys = self.directory.accounts.iter().flat_map(|account| {
            account
                .keys
                .iter()
                .map(move |key| format!("accounts.{}.keys.{}", account.id, key.id))
                .zip(&account.keys)
        });
        let mut plain = keys
            .filter(|(_, key)| key.digest.kind() == DigestKind::Sha256 && key.revoked_at.is_none());
        let Some((place, _)) = plain.next() else { return Vec::new() };
        let message = match plain.count() {
            0 => "is a plain sha256 digest, which the pepper does not protect".to_owned(),
            more => format!(
                "is a plain sha256 digest, as {more} more are; the pepper does not protect them"
            ),
        };
        let mut report = Report::new(&self.file, &self.text)
            .discreet(RecordSchemas::new().discretion(&self.prefix));
        report.keys_begin_with(&self.prefix);
        let places = Places::of(&self.root, &mut report);
        let found = places.find(&format!("{place}.digest"), &report);
        let help = "replace it by the `hmac-sha256:` digest of the same key: docs/directory.md";
        report.about(found.node, found.at, found.path, &message).warning().help(help);
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
