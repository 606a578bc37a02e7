//! Whether a database has the form that this program knows.

use refinery::{Migration, Runner};

use crate::store::StoreError;

/// Where refinery keeps which steps were taken.
pub(crate) const LAST_STEP: &str = "select max(version) from refinery_schema_history";

/// Whether steps are missing.
///
/// # Errors
/// A newer version of this program was here.
pub(crate) fn is_behind(runner: &Runner, step: Option<i64>) -> Result<bool, StoreError> {
    let known = runner.get_migrations().iter().map(Migration::version).max();
    let known = known.map_or(0, i64::from);
    match step {
        Some(step) if step > known => Err(StoreError::Schema(format!(
            "its schema has version {step}, and this program knows none after {known}; \
             a newer version of it was here"
        ))),
        step => Ok(step.is_none_or(|step| step < known)),
    }
}
