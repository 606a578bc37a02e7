//! A tree of member names, and the look-up of a name below a node.
//!
//! Every member of every row is looked up once, so the children of a node are a small open-addressed
//! table keyed by a name's first and last eight bytes and its length, which up to 16 bytes are the
//! name. The names come from configuration, so nobody outside can make a table cluster.
//!
//! Nodes are numbered so that a parent comes before its children: facts about "below" are computed by
//! one backward pass, without recursion.

use std::collections::HashMap;

/// The place of a node in its trie. The root is 0.
pub(crate) type NodeId = u16;

/// "No node": a name that the trie does not have.
pub(crate) const NO_NODE: NodeId = NodeId::MAX;
pub(crate) const ROOT: NodeId = 0;

/// Names while they are collected; [`TrieBuilder::finish`] makes the table.
#[derive(Debug)]
pub(crate) struct TrieBuilder {
    /// By node, its children in the order of insertion.
    children: Vec<Vec<(NodeId, String)>>,
    known: HashMap<(NodeId, String), NodeId, ahash::RandomState>,
}

impl TrieBuilder {
    pub(crate) fn new() -> TrieBuilder {
        TrieBuilder { children: vec![Vec::new()], known: HashMap::default() }
    }

    /// The node of a dotted path, made where it is missing. None when there are too many nodes.
    pub(crate) fn insert(&mut self, path: &str) -> Option<NodeId> {
        path.split('.').try_fold(ROOT, |parent, name| {
            let key = (parent, name.to_owned());
            if let Some(child) = self.known.get(&key) {
                return Some(*child);
            }
            let child = NodeId::try_from(self.children.len()).ok().filter(|id| *id != NO_NODE)?;
            self.children.push(Vec::new());
            self.children[usize::from(parent)].push((child, key.1.clone()));
            self.known.insert(key, child);
            Some(child)
        })
    }

    pub(crate) fn finish(self) -> Trie {
        let mut trie = Trie {
            tables: Vec::with_capacity(self.children.len()),
            slots: Vec::new(),
            names: Vec::new(),
            longest: 0,
            parents: vec![NO_NODE; self.children.len()],
        };
        for (parent, children) in (0..).zip(&self.children) {
            let table = append_table(children, &mut trie.slots, &mut trie.names);
            trie.tables.push(table);
            for (child, name) in children {
                trie.parents[usize::from(*child)] = parent;
                trie.longest = trie.longest.max(name.len());
            }
        }
        trie
    }
}

fn append_table(
    children: &[(NodeId, String)],
    slots: &mut Vec<Slot>,
    names: &mut Vec<u8>,
) -> Table {
    let first = slots.len();
    if children.is_empty() {
        return Table { first, mask: 0, empty: true };
    }
    let size = (children.len() * 4).next_power_of_two();
    slots.resize(first + size, Slot::EMPTY);
    for (child, name) in children {
        let ends = ends_of(name.as_bytes());
        let mut probe = ends.hash() & (size - 1);
        while slots[first + probe].child != NO_NODE {
            probe = (probe + 1) & (size - 1);
        }
        slots[first + probe] = Slot { ends, start: names.len(), len: name.len(), child: *child };
        names.extend_from_slice(name.as_bytes());
    }
    Table { first, mask: size - 1, empty: false }
}

#[derive(Debug, Clone, Copy)]
struct Table {
    first: usize,
    mask: usize,
    empty: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    ends: Ends,
    start: usize,
    len: usize,
    child: NodeId,
}

impl Slot {
    const EMPTY: Slot = Slot { ends: Ends { head: 0, tail: 0 }, start: 0, len: 0, child: NO_NODE };
}

/// A finished tree of names.
#[derive(Debug)]
pub(crate) struct Trie {
    tables: Vec<Table>,
    slots: Vec<Slot>,
    names: Vec<u8>,
    longest: usize,
    parents: Vec<NodeId>,
}

impl Trie {
    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// Bytes of the longest name, so that a longer one need not be remembered.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// The parent of a node; [`NO_NODE`] for the root. Always smaller than the node.
    pub(crate) fn parent(&self, node: NodeId) -> NodeId {
        self.parents.get(usize::from(node)).copied().unwrap_or(NO_NODE)
    }

    /// The dotted path of a node; of the root, nothing. A look at every name for each part of it.
    pub(crate) fn path(&self, node: NodeId) -> String {
        let mut parts = Vec::new();
        let mut node = node;
        while let Some(slot) = self.slots.iter().find(|slot| slot.child == node)
            && node != NO_NODE
        {
            parts.push(String::from_utf8_lossy(&self.names[slot.start..slot.start + slot.len]));
            node = self.parent(node);
        }
        parts.reverse();
        parts.join(".")
    }

    /// The child of `node` with exactly this (unescaped) name, or [`NO_NODE`].
    #[inline]
    pub(crate) fn child(&self, node: NodeId, name: &[u8]) -> NodeId {
        let Some(table) = self.tables.get(usize::from(node)) else {
            return NO_NODE;
        };
        if table.empty {
            return NO_NODE;
        }
        let ends = ends_of(name);
        let mut probe = ends.hash() & table.mask;
        loop {
            let slot = &self.slots[table.first + probe];
            if slot.child == NO_NODE {
                return NO_NODE; // Most of the table is empty, so this is always reached.
            }
            // Up to 16 bytes the ends are the whole name.
            let is_equal = slot.ends == ends
                && slot.len == name.len()
                && (name.len() <= 16 || &self.names[slot.start..slot.start + slot.len] == name);
            if is_equal {
                return slot.child;
            }
            probe = (probe + 1) & table.mask;
        }
    }
}

/// The first and the last eight bytes of a name, overlapping in a shorter one; of one below eight
/// bytes the first and last four, below four all of them in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ends {
    head: u64,
    tail: u64,
}

impl Ends {
    #[inline]
    fn hash(self) -> usize {
        let mixed = (self.head ^ 0x9e37_79b9_7f4a_7c15)
            .wrapping_mul(self.tail.rotate_left(29) ^ 0xff51_afd7_ed55_8ccd);
        (mixed ^ (mixed >> 32)) as usize
    }
}

#[inline]
fn ends_of(name: &[u8]) -> Ends {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return Ends { head: u64::from_le_bytes(*head), tail: u64::from_le_bytes(*tail) };
    }
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return Ends { head: u64::from(head), tail: u64::from(tail) };
    }
    Ends { head: name.iter().fold(0, |ends, byte| ends << 8 | u64::from(*byte)), tail: 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_is_found_below_its_parent_only_and_byte_equal() {
        let mut builder = TrieBuilder::new();
        let deep = builder.insert("customer.name").unwrap();
        let flat = builder.insert("name").unwrap();
        let trie = builder.finish();
        let customer = trie.child(ROOT, b"customer");
        for (node, name, expected) in [
            (ROOT, &b"name"[..], flat),
            (customer, b"name", deep),
            (customer, b"customer", NO_NODE),
            (ROOT, b"Name", NO_NODE),
            (ROOT, b"name ", NO_NODE),
            (ROOT, b"", NO_NODE),
            (flat, b"name", NO_NODE),
            (NO_NODE, b"name", NO_NODE),
        ] {
            assert_eq!(trie.child(node, name), expected, "{node} {name:?}");
        }
        assert_eq!(trie.longest(), 8);
        assert_eq!((trie.parent(deep), trie.parent(ROOT)), (customer, NO_NODE));
        for (node, path) in [(deep, "customer.name"), (flat, "name"), (ROOT, ""), (NO_NODE, "")] {
            assert_eq!(trie.path(node), path);
        }
    }

    /// The ends of a name must tell all names of up to 16 bytes apart.
    #[test]
    fn names_of_any_length_are_told_apart_by_any_byte() {
        for len in (1..40).step_by(if cfg!(miri) { 7 } else { 1 }) {
            let name = "abcdefghijklmnopqrstuvwxyz0123456789ABCD"[..len].to_owned();
            let mut builder = TrieBuilder::new();
            let id = builder.insert(&name).unwrap();
            let trie = builder.finish();
            assert_eq!(trie.child(ROOT, name.as_bytes()), id);
            for place in 0..len {
                let mut other = name.clone().into_bytes();
                other[place] ^= 1;
                assert_eq!(trie.child(ROOT, &other), NO_NODE, "{name} at {place}");
                assert_eq!(trie.child(ROOT, &name.as_bytes()[..place]), NO_NODE);
                assert_eq!(trie.child(ROOT, &name.as_bytes()[place + 1..]), NO_NODE);
            }
        }
    }

    /// Names of one letter have the same ends at every length.
    #[test]
    fn equal_ends_of_another_length_are_another_name() {
        let mut builder = TrieBuilder::new();
        let id = builder.insert(&"a".repeat(10)).unwrap();
        let trie = builder.finish();
        for len in 0..40 {
            let expected = if len == 10 { id } else { NO_NODE };
            assert_eq!(trie.child(ROOT, "a".repeat(len).as_bytes()), expected, "{len}");
        }
    }

    #[test]
    fn many_names_of_like_ends_are_told_apart() {
        let mut builder = TrieBuilder::new();
        // Under Miri, some thousand times slower, a few.
        let count = if cfg!(miri) { 30 } else { 500 };
        let names: Vec<String> =
            (0..count).map(|n| format!("a_common_head_{n:05}_a_common_tail")).collect();
        let ids: Vec<NodeId> = names.iter().map(|name| builder.insert(name).unwrap()).collect();
        let trie = builder.finish();
        for (name, id) in names.iter().zip(ids) {
            assert_eq!(trie.child(ROOT, name.as_bytes()), id, "{name}");
        }
        assert_eq!(trie.child(ROOT, b"a_common_head_00500_a_common_tail"), NO_NODE);
    }
}
