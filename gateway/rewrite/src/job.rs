//! What is to be done to one body, and what was done.

use std::sync::Arc;

use crate::{Catalogue, Names, RowRule, Shape, Shown};

/// Everything a [`Rewriter`](crate::Rewriter) needs to know. Cheap to clone: five shared pointers.
#[derive(Debug, Clone)]
pub struct Job {
    pub catalogue: Arc<Catalogue>,
    pub shape: Arc<Shape>,
    /// Must have been made from `catalogue`.
    pub shown: Arc<Shown>,
    pub names: Arc<Names>,
    pub rows: Arc<RowRule>,
    pub bounds: Bounds,
}

impl Job {
    /// Whether nothing can change: all columns, the whole envelope, no assistants, no row rule. Such
    /// a body may pass without being read; a [`Rewriter`](crate::Rewriter) would only check it.
    pub fn is_identity(&self) -> bool {
        self.catalogue.is_all()
            && self.shape.passes_envelope()
            && !self.catalogue.has_assistants()
            && !self.rows.is_in_force()
    }

    /// Bytes of the longest member name that is looked for anywhere in a body.
    pub(crate) fn longest_name(&self) -> usize {
        self.catalogue.trie.longest().max(self.shape.trie.longest())
    }
}

/// Limits of one body's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most containers one inside the other, hidden ones included. The body's own is the first.
    pub depth: u16,
    /// Most bytes of one row as it came, where rows are held until they are judged; and of what leaves of it
    /// up to an assistant's name.
    pub row_bytes: usize,
}

/// Counts of what was done, for metrics and logs. Hidden rows count in `rows` and `rows_hidden` only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Members dropped that the catalogue lists, or rows are judged by, and this caller is not shown.
    pub columns_hidden: u64,
    /// Assistant ids replaced by their name.
    pub columns_mapped: u64,
    /// Assistant ids without a name replaced by the fallback.
    pub columns_fallback: u64,
    /// Members of rows dropped that the catalogue does not list, or not in that form (an object where
    /// it lists a scalar).
    pub columns_unlisted: u64,
    /// Rows in the body, hidden ones included.
    pub rows: u64,
    /// Rows that visibility hid.
    pub rows_hidden: u64,
    /// A row that stands alone was hidden: the answer is "not found", and the output is worthless.
    pub single_row_hidden: bool,
}
