//! Which columns one caller is shown.
//!
//! A set of columns is turned into two bits a node, is the node's own column shown and is any below
//! it, beside what the catalogue knows of the node: all that the rewriter asks while it walks a row
//! is one look-up.
//!
//! Cost: three bytes a node; made once per key and configuration, not per request.

use crate::catalogue::{Catalogue, ColumnId};
use crate::facts::Facts;
use crate::trie::{NodeId, ROOT};

/// The columns of one [`Catalogue`] that a caller is shown. In a catalogue of all columns there is
/// nothing to choose, and every `Shown` shows everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// One bit a column.
    ids: Vec<u64>,
    /// By node of the catalogue.
    nodes: Vec<Facts>,
}

impl Shown {
    pub fn none(catalogue: &Catalogue) -> Shown {
        Shown::from_ids(catalogue, [])
    }

    pub fn all(catalogue: &Catalogue) -> Shown {
        Shown::from_ids(catalogue, catalogue.columns().map(|(id, _)| id))
    }

    /// `ids` must come from the same catalogue; one that it does not have is ignored.
    pub fn from_ids(catalogue: &Catalogue, ids: impl IntoIterator<Item = ColumnId>) -> Shown {
        let mut shown = Shown {
            ids: vec![0; catalogue.columns().count().div_ceil(64)],
            nodes: catalogue.all_facts().to_vec(),
        };
        for id in ids {
            shown.show(catalogue, id);
        }
        if catalogue.is_all() {
            shown.nodes[usize::from(ROOT)].show();
        }
        shown
    }

    fn show(&mut self, catalogue: &Catalogue, id: ColumnId) {
        let mut node = catalogue.node_of(id);
        let Some(facts) = self.nodes.get_mut(usize::from(node)) else { return };
        facts.show();
        self.ids[usize::from(id.0) / 64] |= 1 << (id.0 % 64);
        while node != ROOT {
            node = catalogue.trie.parent(node);
            self.nodes[usize::from(node)].show_below();
        }
    }

    pub fn contains(&self, id: ColumnId) -> bool {
        self.ids.get(usize::from(id.0) / 64).is_some_and(|word| word >> (id.0 % 64) & 1 == 1)
    }

    /// What the node is to this caller. Nothing, if the catalogue has no such node.
    #[inline]
    pub(crate) fn facts(&self, node: NodeId) -> Facts {
        self.nodes.get(usize::from(node)).copied().unwrap_or_default()
    }
}
