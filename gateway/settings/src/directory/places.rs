//! From the path of a record's fault to its place in the file.

use std::collections::HashMap;

use crate::node::{Entry, Node, Position, Value};
use crate::report::Report;

/// Where every account, user and key stands, by its path. Ids may have dots in them, so a path
/// cannot be split; it is held against these.
pub(super) struct Places<'n> {
    root: &'n Node,
    records: HashMap<String, (&'n Node, Position)>,
}

impl<'n> Places<'n> {
    pub(super) fn of(root: &'n Node, report: &mut Report<'_>) -> Places<'n> {
        let mut records = HashMap::new();
        for account in members(root.find("accounts")) {
            let path = format!("accounts.{}", account.key);
            for section in ["users", "keys"] {
                for record in members(account.node.find(section)) {
                    if let Some(digest) = record.node.find("digest") {
                        report.secret(digest);
                    }
                    records.insert(
                        format!("{path}.{section}.{}", record.key),
                        (&record.node, record.at),
                    );
                }
            }
            records.insert(path, (&account.node, account.at));
        }
        Places { root, records }
    }

    /// The node that `path` leads to, or the last one on the way, and where to put the caret.
    pub(super) fn find(&self, path: &str) -> (&'n Node, Position) {
        let ends =
            path.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).map(|(at, _)| at);
        for end in std::iter::once(path.len()).chain(ends) {
            if let Some((node, at)) = self.records.get(&path[..end]) {
                return descend(node, *at, &path[end..]);
            }
        }
        (self.root, self.root.at)
    }
}

fn members(node: Option<&Node>) -> &[Entry] {
    match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

/// Follows `.key` and `[index]` as far as they lead; of keys with dots the longest that fits.
fn descend<'n>(node: &'n Node, at: Position, rest: &str) -> (&'n Node, Position) {
    if let Some(behind) = rest.strip_prefix('[')
        && let Some((index, behind)) = behind.split_once(']')
        && let Value::Seq(items) = &node.value
        && let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index))
    {
        return descend(item, item.at, behind);
    }
    let Some(behind) = rest.strip_prefix('.') else { return (node, at) };
    let fits = |entry: &&Entry| {
        behind
            .strip_prefix(&*entry.key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    match members(Some(node)).iter().filter(fits).max_by_key(|entry| entry.key.len()) {
        Some(entry) => descend(&entry.node, entry.node.at, &behind[entry.key.len()..]),
        None => (node, at),
    }
}
