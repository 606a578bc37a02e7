//! One resource: the catalogue of its columns, and how its rows are hidden.

use std::sync::Arc;

use gateway_rewrite::{Catalogue, ColumnId, Shown};

/// Who hides rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowVisibility {
    /// Nothing is known of rows: keys whose data scope needs more are refused.
    Unstated,
    /// The upstream enforces the data scope and user that it is told.
    Upstream,
    /// The gateway, by the columns that the catalogue judges.
    Columns,
}

/// A resource as used.
#[derive(Debug, Clone)]
pub struct Resource {
    pub name: Box<str>,
    pub catalogue: Arc<Catalogue>,
    pub visibility: RowVisibility,
    /// Shown to an account that has no list of its own: every column but those with `shown: false`.
    pub defaults: Arc<Shown>,
    /// Shown whatever a list says.
    pub always: Vec<ColumnId>,
}
