//! What the faults of a directory may repeat of what people wrote: nothing that could be a key.
//!
//! A key's plain text may stand anywhere in a record by mistake, in any form, and faults go to logs
//! and status pages. So nothing is shown that is not harmless by construction: the words that
//! records are made of, words near to them (a typo of a field is no key), words of the
//! configuration, short numbers, and ids that read as people write ids. The rest is a number of
//! characters, and of a source line what is left between the known words is `••••`, comments too.
//!
//! Not here: whether a text is a key (`directory::plaintext`).
//! Cost: a few set look-ups a word of what is shown; the number of faults is bounded.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value as Json;

use super::nearest;
use crate::node::Position;

/// Stands for what is not shown.
const MASK: &str = "••••";

/// Longest id that is shown, in characters.
const ID_SHOWN_MAX: usize = 40;

/// Longest run of letters and digits in an id that is shown.
const ID_RUN_MAX: usize = 19;

/// Most changes between letters and digits in an id that is shown. `acct7x` has two; random text
/// has one every other character.
const ID_CHANGES_MAX: usize = 2;

/// Most digits of a number that is shown.
const DIGITS_SHOWN_MAX: usize = 9;

/// Fewest characters behind the prefix of keys that make a text no longer shown.
pub(super) const BEHIND_PREFIX_MIN: usize = 8;

/// What people call a field that holds a key, and what messages quote beside the fields.
const MORE_WORDS: [&str; 19] = [
    "version",
    "accounts",
    "users",
    "keys",
    "true",
    "false",
    "null",
    "key",
    "secret",
    "token",
    "plaintext",
    "api_key",
    "$",
    "$$",
    "sha256:",
    "hmac-sha256:",
    "kind: gcra",
    "keys.pepper",
    "keys.data_scope",
];

/// What may be shown.
#[derive(Debug)]
pub(crate) struct Discretion {
    prefix: String,
    words: HashSet<String>,
    /// Shown when they are met exactly; nothing is near to them.
    ids: HashSet<String>,
}

impl Discretion {
    /// The words of records by their schemas; `prefix` is what keys begin with.
    pub(crate) fn new<'s>(schemas: impl IntoIterator<Item = &'s Json>, prefix: &str) -> Discretion {
        let mut words: HashSet<String> = MORE_WORDS.into_iter().map(String::from).collect();
        for format in &crate::model::format::FORMATS {
            words.extend(format.noun.split('`').skip(1).step_by(2).map(String::from));
        }
        schemas.into_iter().for_each(|schema| collect_words(schema, &mut words));
        Discretion { prefix: prefix.into(), words, ids: HashSet::new() }
    }

    /// Adds words of the configuration: plans, scopes, resources, columns.
    pub(crate) fn know_words<'w>(&mut self, words: impl IntoIterator<Item = &'w str>) {
        self.words.extend(words.into_iter().map(String::from));
    }

    /// Adds the id of a record that stands in the directory, when ids of its form are shown.
    pub(crate) fn know_id(&mut self, id: &str) {
        if self.is_plain(id) {
            self.ids.insert(id.into());
        }
    }

    /// A name in a path: the word or the id, or the place where it stands.
    pub(crate) fn name<'n>(&self, name: &'n str, at: Position) -> Cow<'n, str> {
        if self.words.contains(name) || self.is_plain(name) {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(format!("<{}:{}>", at.line, at.column))
        }
    }

    /// The name of a field that records do not have.
    pub(crate) fn unknown<'n>(&self, name: &'n str, at: Position) -> Cow<'n, str> {
        if self.is_near(name) {
            Cow::Borrowed(name)
        } else {
            Cow::Owned(format!("<{}:{}>", at.line, at.column))
        }
    }

    /// A path that is known as text alone; what lies between two dots is judged as an id.
    pub(crate) fn path(&self, path: &str) -> String {
        let shown = |part: &str| {
            let name = part.split('[').next().unwrap_or(part);
            if part.is_empty() || self.is_plain(name) { part.to_owned() } else { MASK.to_owned() }
        };
        path.split('.').map(shown).collect::<Vec<_>>().join(".")
    }

    /// A message, of which each piece in backquotes is judged. With `plain_names` pieces that read
    /// as ids do are shown too.
    pub(crate) fn message(&self, message: &str, plain_names: bool) -> String {
        let mut shown = String::with_capacity(message.len());
        for (index, part) in message.split('`').enumerate() {
            if index % 2 == 0 {
                shown.push_str(&without_long_numbers(part));
            } else if self.is_harmless(part) || (plain_names && self.is_plain(part)) {
                shown.push_str(&format!("`{part}`"));
            } else {
                let count = part.chars().count();
                shown.push_str(&format!("`…` ({count} characters)"));
            }
        }
        shown
    }

    /// A source line, and where the caret goes. Both carets are indices of characters.
    pub(super) fn line(&self, line: &[char], caret: usize) -> (String, usize) {
        let mut shown = String::with_capacity(line.len());
        let (mut length, mut moved) = (0, None);
        let mut start = 0;
        while start < line.len() {
            let end = word_end(line, start);
            let text: String = line[start..end].iter().collect();
            let word = if is_separator(line, start) || self.words.contains(&text) {
                text
            } else {
                MASK.to_owned()
            };
            if (start..end).contains(&caret) {
                moved = Some(length);
            }
            length += word.chars().count();
            shown.push_str(&word);
            start = end;
        }
        (shown, moved.unwrap_or(length))
    }

    fn is_harmless(&self, text: &str) -> bool {
        let number = text.len() <= DIGITS_SHOWN_MAX && text.bytes().all(|b| b.is_ascii_digit());
        number || self.ids.contains(text) || self.is_near(text) || self.is_reference(text)
    }

    /// `${NAME}` and `${file:PATH}`; a default is a value, and only the one of a remedy is shown.
    fn is_reference(&self, text: &str) -> bool {
        let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        inside.is_some_and(|inside| {
            let name = inside.strip_prefix("file:").unwrap_or(inside);
            self.is_plain(name.strip_suffix(":-default").unwrap_or(name))
        })
    }

    fn is_near(&self, text: &str) -> bool {
        self.words.contains(text)
            || (text.len() <= ID_SHOWN_MAX
                && !begins_like_a_key(text, &self.prefix)
                && nearest(text, self.words.iter().map(String::as_str)).is_some())
    }

    /// Whether an id reads as people write ids, and not as a generator writes keys.
    fn is_plain(&self, id: &str) -> bool {
        if id.is_empty() || id.len() > ID_SHOWN_MAX || begins_like_a_key(id, &self.prefix) {
            return false;
        }
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b'@');
        id.bytes().all(allowed)
            && id.split(|c: char| !c.is_ascii_alphanumeric()).all(|run| run.len() <= ID_RUN_MAX)
            && changes(id) <= ID_CHANGES_MAX
    }
}

/// Whether a text begins as keys do, and goes on.
pub(super) fn begins_like_a_key(text: &str, prefix: &str) -> bool {
    !prefix.is_empty()
        && text.strip_prefix(prefix).is_some_and(|rest| rest.chars().count() >= BEHIND_PREFIX_MIN)
}

/// How often letters turn to digits or digits to letters within the runs of both.
fn changes(id: &str) -> usize {
    id.as_bytes()
        .windows(2)
        .filter(|two| {
            two.iter().all(u8::is_ascii_alphanumeric)
                && two[0].is_ascii_digit() != two[1].is_ascii_digit()
        })
        .count()
}

fn without_long_numbers(text: &str) -> Cow<'_, str> {
    let is_digit = |c: char| c.is_ascii_digit();
    if text.split(|c| !is_digit(c)).all(|run| run.len() <= DIGITS_SHOWN_MAX) {
        return Cow::Borrowed(text);
    }
    let pieces = text.split_inclusive(|c| !is_digit(c)).map(|piece| {
        let digits = piece.trim_end_matches(|c| !is_digit(c));
        if digits.len() > DIGITS_SHOWN_MAX { piece.replace(digits, MASK) } else { piece.to_owned() }
    });
    Cow::Owned(pieces.collect())
}

/// A colon ends a word where it ends a key; inside of one it belongs to it.
fn is_separator(line: &[char], at: usize) -> bool {
    let next = line.get(at + 1);
    match line[at] {
        ' ' | '{' | '}' | '[' | ']' | ',' | '"' | '\'' => true,
        ':' => next.is_none_or(|c| matches!(c, ' ' | '{' | '[' | '"' | '\'')),
        '-' | '#' => next.is_none_or(|c| *c == ' '),
        _ => false,
    }
}

/// Behind the word or the separator that starts here.
fn word_end(line: &[char], start: usize) -> usize {
    if is_separator(line, start) {
        return start + 1;
    }
    (start + 1..line.len()).find(|at| is_separator(line, *at)).unwrap_or(line.len())
}

/// The names of members and the words to choose from.
fn collect_words(schema: &Json, words: &mut HashSet<String>) {
    match schema {
        Json::Object(members) => {
            for (word, below) in members {
                match (word.as_str(), below) {
                    ("properties", Json::Object(all)) => words.extend(all.keys().cloned()),
                    ("const", Json::String(one)) => {
                        words.insert(one.clone());
                    }
                    ("enum", Json::Array(all)) => {
                        words.extend(all.iter().filter_map(Json::as_str).map(String::from));
                    }
                    _ => {}
                }
                collect_words(below, words);
            }
        }
        Json::Array(all) => all.iter().for_each(|below| collect_words(below, words)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discretion() -> Discretion {
        let schema = serde_json::json!({ "properties": {
            "name": {}, "expires_at": {}, "scope": { "enum": ["org_full"] } } });
        Discretion::new([&schema], "avoca_")
    }

    #[test]
    fn an_id_is_shown_when_it_reads_as_people_write_ids() {
        for (id, shown) in [
            ("key_crm", true),
            ("acme", true),
            ("u_ann", true),
            ("101", true),
            ("acct7x", true),
            ("key_2026_11", true),
            ("ann@acme.test", true),
            ("avoca_crm", true),
            ("avoca_01234567", false),
            ("hunter2hunter2", false),
            ("6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f", false),
            ("bc_0123456789abcdef0123456789abcdef", false),
            ("aivo_sk_live_9aB8cD7eF6gH5iJ4kL3mN2oP1q", false),
            ("abcdefghijklmnopqrst", false),
            ("CLIENTKEY:CLIENTSECRET", false),
            ("", false),
            ("zwölf", false),
        ] {
            assert_eq!(discretion().is_plain(id), shown, "{id}");
        }
    }

    #[test]
    fn a_message_quotes_what_is_known_or_nearly_so_and_counts_the_rest() {
        for (message, shown) in [
            ("unknown key `expires_att`", "unknown key `expires_att`"),
            ("unknown key `hunter`", "unknown key `…` (6 characters)"),
            ("`org_all` is not `org_full`", "`org_all` is not `org_full`"),
            ("`avoca_0123456789` is no time", "`…` (16 characters) is no time"),
            ("found the number 1234567890", "found the number ••••"),
            ("found the number 123456789", "found the number 123456789"),
            ("`${NAME}` does not give it", "`${NAME}` does not give it"),
            ("`${NAME:-hunter2}` does not", "`…` (16 characters) does not"),
        ] {
            assert_eq!(discretion().message(message, false), shown, "{message}");
        }
    }

    #[test]
    fn of_a_line_only_known_words_are_shown_and_the_caret_stays_at_its_word() {
        for (line, caret, shown, at) in [
            ("  key: hunter2", 7, "  key: ••••", 7),
            (
                "  name: a, expires_at: b # c name",
                11,
                "  name: ••••, expires_at: •••• # •••• name",
                14,
            ),
            ("{name: \"a b\",key: KEY:SECRET}", 18, "{name: \"•••• ••••\",key: ••••}", 24),
            ("hunter2: {", 0, "••••: {", 0),
            ("- - x", 4, "- - ••••", 4),
            ("", 0, "", 0),
            ("name:", 5, "name:", 5),
        ] {
            let chars: Vec<char> = line.chars().collect();
            assert_eq!(discretion().line(&chars, caret), (shown.to_owned(), at), "{line}");
        }
    }
}
