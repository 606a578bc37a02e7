//! What the stores do in SQL, once for all dialects.
//!
//! The statements are the same text for SQLite and PostgreSQL: parameters are `$1`, `$2` …, values are
//! whole numbers, text and truth. A dialect is what [`Sql`] asks for. It is asynchronous for a database behind a network; a database in the same process
//! is always ready at once.
//!
//! | file | holds |
//! | --- | --- |
//! | `rows` | rows ↔ records |
//! | `read` | accounts and keys, all or what changed |
//! | `write` | one change, inside a transaction |
//! | `audit`, `usage`, `nodes` | the tables of these names |
//! | `schema` | whether a database is one that this program knows |
//!
//! Not here: connections, transactions, threads (`sqlite`, `postgres`); what is allowed (`change`).

use std::future::Future;
use std::time::Duration;

use gateway_limits::UnixMs;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::store::StoreError;
use crate::usage::UsageRow;

pub(crate) mod audit;
pub(crate) mod nodes;
pub(crate) mod read;
mod rows;
pub(crate) mod schema;
pub(crate) mod usage;
pub(crate) mod write;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Flag(bool),
}

/// One row of an answer, by the places of its columns.
pub(crate) trait Row {
    fn int(&self, at: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, at: usize) -> Result<Option<&str>, StoreError>;
    fn flag(&self, at: usize) -> Result<bool, StoreError>;
}

/// What takes the rows of an answer, one after the other.
pub(crate) type Take<'a> = dyn FnMut(&dyn Row) -> Result<(), StoreError> + Send + 'a;

/// A table of counts by key and span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Hours,
    Days,
}

/// A connection that speaks one dialect.
pub(crate) trait Sql: Send {
    /// Stands behind a `select` of rows that nobody else may change before this transaction ends.
    const LOCKING: &'static str;

    /// Hands each row of the answer to `take`.
    fn each(
        &mut self,
        text: &str,
        values: &[Value<'_>],
        take: &mut Take<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many rows were written.
    fn run(
        &mut self,
        text: &str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Adds counts to the rows of a span that begins at `start`.
    fn add_counts(
        &mut self,
        span: Span,
        start: i64,
        rows: &[UsageRow],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Adds counts to the totals.
    fn add_totals(
        &mut self,
        rows: &[UsageRow],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Tells other processes of a revision, when the transaction ends.
    fn announce(&mut self, revision: u64) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// All rows of an answer, each read by `read`.
pub(crate) async fn list<S: Sql, T: Send>(
    sql: &mut S,
    text: &str,
    values: &[Value<'_>],
    read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
) -> Result<Vec<T>, StoreError> {
    let mut rows = Vec::new();
    let mut take = |row: &dyn Row| {
        rows.push(read(row)?);
        Ok(())
    };
    sql.each(text, values, &mut take).await?;
    Ok(rows)
}

/// The only row of an answer, or none.
pub(crate) async fn one<S: Sql, T: Send>(
    sql: &mut S,
    text: &str,
    values: &[Value<'_>],
    read: impl Fn(&dyn Row) -> Result<T, StoreError> + Send + Sync,
) -> Result<Option<T>, StoreError> {
    Ok(list(sql, text, values, read).await?.pop())
}

/// The revision of the last change.
pub(crate) async fn revision<S: Sql>(sql: &mut S) -> Result<u64, StoreError> {
    let revision = one(sql, "select revision from meta", &[], |row| number(row, 0)).await?;
    revision.ok_or_else(|| StoreError::Corrupt("table `meta` is empty".to_owned()))
}

/// How long [`news`] waits at most.
const NEWS_WAIT: Duration = Duration::from_secs(2);

/// Waits for a revision other than `since`, looking every so often. `look` tells `seen`.
///
/// What was seen may be older than `since`, by a look that was overtaken by a change: only a look of
/// this call's own tells that the store was set back.
pub(crate) async fn news<F: Future<Output = Result<(), StoreError>> + Send>(
    seen: &watch::Sender<u64>,
    since: u64,
    every: Duration,
    look: impl Fn() -> F + Send + Sync,
) -> Result<(), StoreError> {
    let end = Instant::now() + NEWS_WAIT;
    let mut seen = seen.subscribe();
    let mut has_looked = false;
    while Instant::now() < end {
        let revision = *seen.borrow_and_update();
        if revision > since || (has_looked && revision < since) {
            break;
        }
        let later_look = async {
            sleep(every).await;
            look().await
        };
        // What is heard of ends a look that hangs.
        tokio::select! {
            _ = seen.changed() => {}
            looked = later_look => {
                looked?;
                has_looked = true;
            }
        }
    }
    Ok(())
}

/// Wakes those who wait, if what the store says is not what they know.
pub(crate) fn tell(seen: &watch::Sender<u64>, revision: u64) {
    seen.send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
}

/// The same for a revision that was made here: others may have made later ones meanwhile.
pub(crate) fn tell_newer(seen: &watch::Sender<u64>, revision: u64) {
    seen.send_if_modified(|seen| std::mem::replace(seen, revision.max(*seen)) < revision);
}

/// What a column that is never empty holds.
fn filled<T>(value: Option<T>, at: usize) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::Corrupt(format!("column {} of a row is empty", at + 1)))
}

pub(crate) fn text(row: &dyn Row, at: usize) -> Result<String, StoreError> {
    filled(row.text(at)?, at).map(str::to_owned)
}

/// A number that is never negative.
pub(crate) fn number(row: &dyn Row, at: usize) -> Result<u64, StoreError> {
    filled(maybe_number(row, at)?, at)
}

fn maybe_number(row: &dyn Row, at: usize) -> Result<Option<u64>, StoreError> {
    let negative = |value| StoreError::Corrupt(format!("column {} of a row is {value}", at + 1));
    row.int(at)?.map(|value| u64::try_from(value).map_err(|_| negative(value))).transpose()
}

/// As databases count: up to 2⁶³ − 1, which as a time is 292 million years away.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn at(time: UnixMs) -> Value<'static> {
    Value::Int(Some(int(time.0)))
}

pub(crate) fn maybe_at(time: Option<UnixMs>) -> Value<'static> {
    Value::Int(time.map(|time| int(time.0)))
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Value::Int(Some(int(value)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(Some(text))
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Value::Text(text.as_deref())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// A look that began before a change and told after it: who knows of the change must not be sent
    /// to the store again and again.
    #[test]
    fn an_old_sight_is_looked_at_again_before_it_is_news() {
        let (seen, looks) = (watch::Sender::new(1), AtomicU64::new(0));
        let look = || async {
            tell(&seen, 2 + looks.fetch_add(1, Ordering::Relaxed));
            Ok(())
        };
        runtime().block_on(news(&seen, 2, SOON, look)).unwrap();
        assert_eq!((looks.into_inner(), *seen.borrow()), (2, 3), "2 was no news");
    }

    #[test]
    fn a_store_that_was_set_back_is_news_and_a_failed_look_is_told() {
        let seen = watch::Sender::new(9);
        let back = || async {
            tell(&seen, 3);
            Ok(())
        };
        runtime().block_on(news(&seen, 9, SOON, back)).unwrap();
        assert_eq!(*seen.borrow(), 3);
        let away = || async { Err(StoreError::Unreachable("away".to_owned())) };
        assert!(runtime().block_on(news(&seen, 3, SOON, away)).is_err());
    }

    #[test]
    fn one_s_own_change_never_hides_a_later_one() {
        let seen = watch::Sender::new(5);
        for (told, after) in [(4, 5), (5, 5), (6, 6)] {
            tell_newer(&seen, told);
            assert_eq!(*seen.borrow(), after);
        }
    }
}
