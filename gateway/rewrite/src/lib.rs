//! Rewrites a JSON body while it streams: drops what is not listed, hides rows, names assistants.
//!
//! A body goes in by pieces cut anywhere; what comes out is written anew from names that a
//! catalogue lists and values that were checked, so a byte that is not understood is refused and
//! never passed on. One [`Rewriter`] serves one body and carries its whole state from piece to
//! piece, because the alternative, a tree of the body, costs several times the time and holds all of it.
//!
//! Not here: HTTP, content codings, accounts, YAML, and what a refusal looks like to a client.
//!
//! ```
//! use std::sync::Arc;
//! use gateway_rewrite::*;
//!
//! let column = |path: &str| ColumnSpec { path: path.to_owned(), ..ColumnSpec::default() };
//! let catalogue = Catalogue::compile(&CatalogueSpec {
//!     columns: ColumnsSpec::Listed(vec![column("call_id"), column("phone")]),
//!     visibility: VisibilitySpec::default(),
//!     unmapped: Unmapped::Null,
//! }).unwrap();
//! let job = Job {
//!     shown: Arc::new(Shown::from_ids(&catalogue, catalogue.column("call_id"))),
//!     catalogue: Arc::new(catalogue),
//!     shape: Arc::new(Shape::compile("data[]", &["count".to_owned()], false).unwrap()),
//!     names: Arc::new(Names::none()),
//!     rows: Arc::new(RowRule::default()),
//!     bounds: Bounds { depth: 64, row_bytes: 1 << 20 },
//! };
//! let (mut rewriter, mut out) = (Rewriter::new(job), Vec::new());
//! // Cut anywhere.
//! for piece in [r#"{"count":1,"data":[{"pho"#, r#"ne":"+1 555","call_id":7}]}"#] {
//!     rewriter.write(piece.as_bytes(), &mut out).unwrap();
//! }
//! rewriter.end(&mut out).unwrap();
//! assert_eq!(out, br#"{"count":1,"data":[{"call_id":7}]}"#);
//! ```
//!
//! Cost: one pass, no allocation per row, column or piece once the buffers are warm. Memory is
//! bounded by [`Bounds`] and by the longest name and id that are known.
//! Sources: RFC 8259 (JSON), RFC 3629 (UTF-8).

mod catalogue;
mod error;
mod facts;
mod index;
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
mod unlisted;

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
pub use unlisted::{UNLISTED_BYTES_MAX, UNLISTED_MAX};
