//! Names of members that rows hold and their catalogue does not list: what an upstream's release added.
//!
//! The first ones are kept and never forgotten, in places that are filled from the first to the
//! last, so that a look goes from place to place without a lock, and of two threads that meet the same
//! name one keeps it. Whoever may look at the catalogue may look at the names; they are an upstream's
//! bytes, and where it uses ids or addresses as names they are data.
//!
//! Not here: when a name is met (`rewriter`), and how often: the totals count that.
//!
//! Cost: where it is full, one load. Until then at most [`UNLISTED_MAX`] comparisons of lengths, once a
//! thread and name on the quick way. Memory: at most 2 KiB and the names, 10 KiB in all.

use std::fmt;
use std::sync::OnceLock;

use crate::trie::{NodeId, Trie};

/// Most names that a catalogue keeps.
pub const UNLISTED_MAX: usize = 64;
/// Most bytes of a name that is kept, decoded, without the path to it.
pub const UNLISTED_BYTES_MAX: usize = 128;

/// The names that one catalogue has met.
pub(crate) struct Unlisted {
    /// No empty place is before a filled one.
    places: [OnceLock<Stranger>; UNLISTED_MAX],
}

/// A member that is not in the catalogue.
struct Stranger {
    /// What it is a member of.
    parent: NodeId,
    name: Box<[u8]>,
}

impl Unlisted {
    pub(crate) fn new() -> Unlisted {
        Unlisted { places: [const { OnceLock::new() }; UNLISTED_MAX] }
    }

    /// Keeps a name of a member of the objects at a node, if there is room and it is not too long.
    #[inline]
    pub(crate) fn meet(&self, parent: NodeId, name: &[u8]) {
        if !self.is_full() && name.len() <= UNLISTED_BYTES_MAX {
            self.keep(parent, name);
        }
    }

    fn is_full(&self) -> bool {
        self.places.last().is_none_or(|place| place.get().is_some())
    }

    #[cold]
    fn keep(&self, parent: NodeId, name: &[u8]) {
        for place in &self.places {
            let known = place.get_or_init(|| Stranger { parent, name: name.into() });
            if known.parent == parent && *known.name == *name {
                return;
            }
        }
    }

    fn strangers(&self) -> impl Iterator<Item = &Stranger> {
        self.places.iter().map_while(OnceLock::get)
    }

    pub(crate) fn len(&self) -> usize {
        self.strangers().count()
    }

    /// Dotted paths, sorted.
    pub(crate) fn paths(&self, trie: &Trie) -> Vec<String> {
        let path = |stranger: &Stranger| {
            let name = String::from_utf8_lossy(&stranger.name);
            match trie.path(stranger.parent) {
                parent if parent.is_empty() => name.into_owned(),
                parent => format!("{parent}.{name}"),
            }
        };
        let mut paths: Vec<String> = self.strangers().map(path).collect();
        paths.sort_unstable();
        paths
    }
}

/// How many there are; no name, which may be data.
impl fmt::Debug for Unlisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unlisted({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::trie::{ROOT, TrieBuilder};

    fn trie() -> (Trie, NodeId) {
        let mut builder = TrieBuilder::new();
        builder.insert("a").unwrap();
        let deep = builder.insert("customer.é").unwrap();
        (builder.finish(), deep)
    }

    #[test]
    fn names_are_kept_once_with_the_path_to_them() {
        let (trie, deep) = trie();
        let met = Unlisted::new();
        assert_eq!((met.len(), met.paths(&trie)), (0, Vec::new()));
        for (parent, name) in [(ROOT, "z"), (deep, "z"), (ROOT, "z"), (ROOT, ""), (ROOT, "b.c")] {
            met.meet(parent, name.as_bytes());
        }
        assert_eq!(met.paths(&trie), ["", "b.c", "customer.é.z", "z"]);
        assert_eq!(met.len(), 4);
        assert_eq!(format!("{met:?}"), "Unlisted(4)");
    }

    #[test]
    fn no_more_and_no_longer_ones_are_kept_than_the_bounds() {
        let (trie, _) = trie();
        let met = Unlisted::new();
        met.meet(ROOT, &[b'x'; UNLISTED_BYTES_MAX + 1]);
        assert_eq!(met.len(), 0);
        met.meet(ROOT, &[b'x'; UNLISTED_BYTES_MAX]);
        for n in 1..UNLISTED_MAX {
            assert_eq!((met.is_full(), met.len()), (false, n));
            met.meet(ROOT, format!("n{n}").as_bytes());
            met.meet(ROOT, format!("n{n}").as_bytes());
        }
        assert!(met.is_full());
        let full = met.paths(&trie);
        met.meet(ROOT, b"one more");
        assert_eq!((met.len(), met.paths(&trie)), (UNLISTED_MAX, full));
    }

    #[test]
    fn threads_that_meet_the_same_names_keep_each_once() {
        let (trie, _) = trie();
        let met = Unlisted::new();
        std::thread::scope(|scope| {
            for start in 0..4 {
                let met = &met;
                scope.spawn(move || {
                    for n in 0..40 {
                        met.meet(ROOT, format!("n{:02}", (n + start * 10) % 40).as_bytes());
                    }
                });
            }
        });
        let expected: Vec<String> = (0..40).map(|n| format!("n{n:02}")).collect();
        assert_eq!(met.paths(&trie), expected);
    }
}
