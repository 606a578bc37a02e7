//! Rewrites a JSON body while it streams: drops what is not listed, hides rows, names assistants.
//!
//! A body goes in by pieces cut anywhere; what comes out is written anew from names that a
//! catalogue lists and values that were checked, so a byte that is not understood is refused and
//! never passed on. One [`Rewriter`] serves one body and carries its whole state from piece to
//! piece, because the alternative, a tree of the body, costs ten times the time and holds all of it.
//!
//! Not here: HTTP, content codings, accounts, YAML, and what a refusal looks like to a client.
//!
//! Cost: one pass, no allocation per row, column or piece once the buffers are warm. Memory is
//! bounded by [`Bounds`] and by the longest name and id that are known.
//! Sources: RFC 8259 (JSON), RFC 3629 (UTF-8).

mod catalogue;
mod error;
mod job;
mod judge;
mod lexer;
mod mask;
mod names;
mod output;
mod path;
mod rewriter;
mod scan;
mod trie;

pub use catalogue::{
    COLUMNS_MAX, Catalogue, CatalogueError, CatalogueSpec, ColumnId, ColumnSpec, ColumnsSpec,
    Unmapped, VisibilitySpec,
};
pub use error::{Reason, RewriteError};
pub use job::{Bounds, Job, Totals};
pub use judge::{Owner, RowRule};
pub use mask::Shown;
pub use names::Names;
pub use path::{Shape, ShapeError};
pub use rewriter::Rewriter;
