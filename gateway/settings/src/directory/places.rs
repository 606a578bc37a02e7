//! From the path of a record's fault to its place in the file.

use std::collections::HashMap;

use crate::node::{Entry, Node, Position, Value};
use crate::report::Report;

/// Where every account, user and key stands, by its path. Ids may have dots in them, so a path
/// cannot be split; it is held against these.
pub(super) struct Places<'n> {
    root: &'n Node,
    records: HashMap<String, Record<'n>>,
}

struct Record<'n> {
    node: &'n Node,
    at: Position,
    /// The path, as it may be shown.
    shown: String,
}

/// The node that a path leads to, or the last one on the way.
pub(super) struct Found<'n> {
    pub(super) node: &'n Node,
    /// Where to put the caret.
    pub(super) at: Position,
    /// The path, as it may be shown.
    pub(super) path: String,
}

impl Found<'_> {
    pub(super) fn has_backquote(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { text, .. } if text.contains('`'))
    }
}

impl<'n> Places<'n> {
    pub(super) fn of(root: &'n Node, report: &mut Report<'_>) -> Places<'n> {
        let mut records = HashMap::new();
        for account in members(root.find("accounts")) {
            let path = format!("accounts.{}", account.key);
            let shown = format!("accounts.{}", report.name(&account.key, account.at));
            for section in ["users", "keys"] {
                for record in members(account.node.find(section)) {
                    if let Some(digest) = record.node.find("digest") {
                        report.secret(digest);
                    }
                    let name = report.name(&record.key, record.at);
                    let shown = format!("{shown}.{section}.{name}");
                    records.insert(
                        format!("{path}.{section}.{}", record.key),
                        Record { node: &record.node, at: record.at, shown },
                    );
                }
            }
            records.insert(path, Record { node: &account.node, at: account.at, shown });
        }
        Places { root, records }
    }

    /// The place of `path`, which is not taken as it may be shown.
    pub(super) fn find(&self, path: &str, report: &Report<'_>) -> Found<'n> {
        let ends =
            path.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
        for end in std::iter::once(path.len()).chain(ends) {
            if let Some(record) = self.records.get(&path[..end]) {
                let found = Found { node: record.node, at: record.at, path: record.shown.clone() };
                return descend(found, &path[end..], report);
            }
        }
        Found { node: self.root, at: self.root.at, path: "accounts".into() }
    }
}

fn members(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

/// Follows `.key` and `[index]` as far as they lead; of keys with dots the longest that fits.
fn descend<'n>(found: Found<'n>, rest: &str, report: &Report<'_>) -> Found<'n> {
    let Found { node, at, path } = found;
    if let Some(behind) = rest.strip_prefix('[')
        && let Some((index, behind)) = behind.split_once(']')
        && let Value::Seq(items) = &node.value
        && let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index))
    {
        let path = format!("{path}[{index}]");
        return descend(Found { node: item, at: item.at, path }, behind, report);
    }
    let Some(behind) = rest.strip_prefix('.') else { return Found { node, at, path } };
    let fits = |entry: &&Entry| {
        behind
            .strip_prefix(&*entry.key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    match members(Some(node)).iter().filter(fits).max_by_key(|entry| entry.key.len()) {
        Some(entry) => {
            let path = format!("{path}.{}", report.name(&entry.key, entry.at));
            let found = Found { node: &entry.node, at: entry.node.at, path };
            descend(found, &behind[entry.key.len()..], report)
        }
        // A field that is not there.
        None => Found { node, at, path: format!("{path}.{}", report.name(behind, at)) },
    }
}
