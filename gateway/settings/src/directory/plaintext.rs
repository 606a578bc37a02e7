//! Keys that stand where a name or an id should.
//!
//! Names and ids are shown: in `/api/key`, in logs, to upstreams, an assistant's name to every
//! customer. So a record is left out when one of them is the text of a key: when a digest of the
//! directory is its digest, when it has the form of the configuration's keys with or without their
//! prefix, or when it begins with the prefix and goes on as keys do; and when one stands anywhere in it.
//! An account is held against the digests of its own keys alone: no other account's key can take it out.
//!
//! Not here: keys that stand anywhere else in a record. They are faults of its form. Teams, which
//! are short.
//! Cost: one hash a name (two under a pepper); the file is searched again only when one is found.

use std::collections::HashSet;

use gateway_policy::{AccountRecord, Digest, Directory, KeyRecord, Pepper, UserRecord};

use super::places::Places;
use crate::node::Node;
use crate::report::Report;
use crate::settings::{Alphabet, KeyForm};

/// Fewest characters behind the prefix that make a key of a text. Shorter ones are names:
/// `key_crm` where keys begin with `key_`. A real key that is shorter is known by its digest.
const BEHIND_PREFIX_MIN: usize = 16;

/// Fewest characters of a body that is a key without its prefix. An id may be 32 hex digits.
const BARE_MIN: usize = 40;

const HELP: &str = "names and ids are shown to people; write another, and replace the key, which is \
                    no longer a secret";

/// A record that shows a key.
struct Hit {
    /// Path of what the record is in.
    section: String,
    id: String,
    /// The field that is a key; empty for the id itself.
    field: &'static str,
}

/// What a text is. An id may look as a generator writes it, and what is shown of a key is a part of it, which its
/// own rule bounds (`records`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Name,
    Id,
    Display,
}

/// What is a key.
pub(super) struct KeyTexts<'f> {
    form: &'f KeyForm,
    pepper: Option<Pepper>,
    digests: HashSet<Digest>,
}

impl<'f> KeyTexts<'f> {
    pub(super) fn new(form: &'f KeyForm, directory: &Directory) -> KeyTexts<'f> {
        let keys = directory.accounts.iter().flat_map(|account| &account.keys);
        KeyTexts {
            form,
            pepper: form.pepper.as_ref().and_then(|text| Pepper::new(text.reveal().as_bytes())),
            digests: keys.map(|key| key.digest).collect(),
        }
    }

    /// Takes out the records that would show a key, and reports them.
    pub(super) fn leave_out(
        &self,
        directory: &mut Directory,
        root: &Node,
        report: &mut Report<'_>,
    ) {
        let mut hits = Vec::new();
        let section = || "accounts".to_owned();
        take_out(&mut directory.accounts, &mut hits, section, |account| {
            (&account.id, self.in_account(account))
        });
        for account in &mut directory.accounts {
            let section = || format!("accounts.{}.users", account.id);
            take_out(&mut account.users, &mut hits, section, |user| (&user.id, self.in_user(user)));
            let section = || format!("accounts.{}.keys", account.id);
            take_out(&mut account.keys, &mut hits, section, |key| (&key.id, self.in_key(key)));
        }
        if hits.is_empty() {
            return;
        }
        let places = Places::of(root, report);
        for Hit { section, id, field } in hits {
            let found = places.find(&format!("{section}.{id}{field}"), report);
            let mut shown = found.path;
            if field.is_empty() {
                // An id that is a key is not shown, however harmless it looks.
                let name = report.name(&id, found.at);
                let section = shown.strip_suffix(&*name).unwrap_or("accounts.");
                shown = format!("{section}<{}:{}>", found.at.line, found.at.column);
            }
            report.add(found.at, shown, "is the text of a key").help(HELP);
        }
    }

    /// The field that is a key.
    fn in_key(&self, key: &KeyRecord) -> Option<&'static str> {
        let texts = [
            ("", Some(&key.id), Of::Id),
            (".name", Some(&key.name), Of::Name),
            (".display", Some(&key.display), Of::Display),
            (".owner", key.owner.as_ref(), Of::Id),
            (".user", key.user.as_ref(), Of::Id),
        ];
        let is_key = |text: Option<&String>, of| text.is_some_and(|text| self.is_key(text, of));
        texts.into_iter().find(|(_, text, of)| is_key(*text, *of)).map(|(field, ..)| field)
    }

    fn in_user(&self, user: &UserRecord) -> Option<&'static str> {
        if self.is_key(&user.id, Of::Id) {
            return Some("");
        }
        let is_key = user.email.as_ref().is_some_and(|email| self.is_key(email, Of::Name));
        is_key.then_some(".email")
    }

    fn in_account(&self, account: &AccountRecord) -> Option<&'static str> {
        let own: HashSet<Digest> = account.keys.iter().map(|key| key.digest).collect();
        let is_key = |text: &String, of| self.has_form(text, of) || self.is_one_of(&own, text);
        let names = &account.assistants;
        if is_key(&account.id, Of::Id) {
            Some("")
        } else if is_key(&account.name, Of::Name) {
            Some(".name")
        } else if names.names.iter().any(|(_, name)| is_key(name, Of::Name)) {
            Some(".assistants.names")
        } else if names.fallback.as_ref().is_some_and(|name| is_key(name, Of::Name)) {
            Some(".assistants.fallback")
        } else {
            None
        }
    }

    fn is_key(&self, text: &str, of: Of) -> bool {
        self.has_form(text, of) || self.is_one_of(&self.digests, text)
    }

    fn is_one_of(&self, digests: &HashSet<Digest>, text: &str) -> bool {
        let text = text.as_bytes();
        digests.contains(&Digest::sha256(text))
            || self.pepper.as_ref().is_some_and(|pepper| digests.contains(&pepper.digest(text)))
    }

    fn has_form(&self, text: &str, of: Of) -> bool {
        let has_prefix = !self.form.prefix.is_empty();
        let behind = text.strip_prefix(&*self.form.prefix).filter(|_| has_prefix);
        let pair = |text: &str| {
            text.split_once(':').is_some_and(|(key, secret)| {
                self.form.pair && self.is_body(key) && self.is_body(secret)
            })
        };
        if self.is_within(text, of) {
            return true;
        }
        let Some(behind) = behind else {
            let tells = self.form.length >= BARE_MIN || (!has_prefix && of != Of::Id);
            let is_bare = |text: &str| tells && self.is_body(text);
            return runs(text).any(is_bare) || pair(text);
        };
        let belongs = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':');
        behind.len() >= BEHIND_PREFIX_MIN && behind.bytes().all(belongs)
    }

    /// Whether a key stands somewhere in a text with its prefix. In an id the prefix may be a part of a word, as
    /// `sk_` is of `task_`, with an id of a generator behind it.
    fn is_within(&self, text: &str, of: Of) -> bool {
        let prefix = &*self.form.prefix;
        let fewest = match of {
            Of::Name => BEHIND_PREFIX_MIN,
            Of::Id => self.form.length,
            Of::Display => return false,
        };
        !prefix.is_empty()
            && text.match_indices(prefix).any(|(at, _)| {
                runs(&text[at + prefix.len()..]).next().is_some_and(|run| run.len() >= fewest)
            })
    }

    fn is_body(&self, text: &str) -> bool {
        let allowed = |b: u8| match self.form.alphabet {
            Alphabet::Hex => b.is_ascii_hexdigit(),
            Alphabet::Base62 => b.is_ascii_alphanumeric(),
        };
        text.len() == self.form.length && text.bytes().all(allowed)
    }
}

/// Takes out the records of a section of which a field is a key; `seen` tells a record's id and that field.
fn take_out<T>(
    records: &mut Vec<T>,
    hits: &mut Vec<Hit>,
    section: impl Fn() -> String,
    seen: impl Fn(&T) -> (&String, Option<&'static str>),
) {
    records.retain(|record| {
        let (id, field) = seen(record);
        hits.extend(field.map(|field| Hit { section: section(), id: id.clone(), field }));
        field.is_none()
    });
}

/// Letters and digits in a row.
pub(super) fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
}
