//! One transaction on a connection: the dialect, and its bounds.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};

use bytes::BytesMut;
use futures_core::Stream;
use tokio::time::{Instant, error::Elapsed, timeout_at};
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::CALL_MAX;
use super::pool::{Link, Place};
use crate::relational::{Row, Span, Sql, Take, Value, int};
use crate::store::{StoreError, WriteError};
use crate::usage::UsageRow;

/// Rows of a flush that are sent at once.
const BATCH: usize = 10_000;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sees one state.
    Read,
    /// The same, for as long as rows keep coming.
    LongRead,
    Write,
}

/// A transaction. Dropped before its end it is given up, with the connection.
pub(super) struct Session {
    link: Link,
    place: Place,
    kind: Kind,
    deadline: Instant,
}

impl Session {
    pub(super) async fn begin(
        link: Link,
        place: Place,
        kind: Kind,
        deadline: Instant,
    ) -> Result<Session, StoreError> {
        let text = match kind {
            Kind::Read => "begin isolation level repeatable read read only",
            Kind::LongRead => {
                "begin isolation level repeatable read read only; set local statement_timeout = 0"
            }
            Kind::Write => "begin isolation level read committed read write",
        };
        let session = Session { link, place, kind, deadline };
        session.within(session.link.client.batch_execute(text)).await?;
        Ok(session)
    }

    /// Commits what went well; the connection then serves the next caller.
    pub(super) async fn end<T, E: Outcome>(self, result: Result<T, E>) -> Result<T, E> {
        let text = match &result {
            Ok(_) => "commit",
            Err(error) if error.is_refusal() => "rollback",
            Err(_) => return result,
        };
        self.within(self.link.client.batch_execute(text)).await?;
        self.place.take_back(self.link);
        result
    }

    async fn within<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        timeout_at(self.deadline, answer).await.map_err(silent)?.map_err(fault)
    }

    async fn statement(&mut self, text: &str) -> Result<Statement, StoreError> {
        if let Some(known) = self.link.statements.get(text) {
            return Ok(known.clone());
        }
        let statement = self.within(self.link.client.prepare(text)).await?;
        self.link.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    /// A statement of this dialect alone.
    async fn run_with(
        &mut self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, StoreError> {
        let statement = self.statement(text).await?;
        self.within(self.link.client.execute(&statement, values)).await
    }
}

/// Whether a call that failed left the connection as good as it was.
pub(super) trait Outcome: From<StoreError> {
    fn is_refusal(&self) -> bool;
}

impl Outcome for StoreError {
    fn is_refusal(&self) -> bool {
        matches!(self, StoreError::Cursor(_))
    }
}

impl Outcome for WriteError {
    fn is_refusal(&self) -> bool {
        matches!(self, WriteError::Refused(_))
    }
}

pub(super) fn silent(_: Elapsed) -> StoreError {
    let text = format!("the server has not answered for {} s", CALL_MAX.as_secs());
    StoreError::Unreachable(text)
}

pub(super) fn fault(error: tokio_postgres::Error) -> StoreError {
    let Some(told) = error.as_db_error() else {
        let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        return StoreError::Unreachable(format!("{error}{source}"));
    };
    let text = told.message().to_owned();
    // Said before a commit; a server that has no room for the commit itself goes down.
    if *told.code() == SqlState::DISK_FULL {
        return StoreError::Full;
    }
    match told.code().code().get(..2) {
        // Data and constraints: a row that could not have been written by this program.
        Some("21" | "22" | "23") => StoreError::Corrupt(text),
        // Unknown or forbidden tables and columns, failed triggers.
        Some("42" | "0A" | "3F" | "P0") => StoreError::Schema(text),
        // Overload, shutdown, a lost race, a server that only reads.
        _ => StoreError::Unreachable(text),
    }
}

impl Sql for Session {
    const LOCKING: &'static str = " for update";

    async fn each(
        &mut self,
        text: &str,
        values: &[Value<'_>],
        take: &mut Take<'_>,
    ) -> Result<(), StoreError> {
        let statement = self.statement(text).await?;
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let rows = self.link.client.query_raw(&statement, values);
        let mut rows = pin!(self.within(rows).await?);
        while let Some(row) =
            timeout_at(self.deadline, next(rows.as_mut())).await.map_err(silent)?
        {
            take(&row.map_err(fault)?)?;
            if self.kind == Kind::LongRead {
                self.deadline = Instant::now() + CALL_MAX;
            }
        }
        Ok(())
    }

    async fn run(&mut self, text: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let values: Vec<&(dyn ToSql + Sync)> =
            values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.run_with(text, &values).await
    }

    async fn add_counts(
        &mut self,
        span: Span,
        start: i64,
        rows: &[UsageRow],
    ) -> Result<(), StoreError> {
        let table = match span {
            Span::Hours => "usage_hours",
            Span::Days => "usage_days",
        };
        let text = format!(
            "insert into {table} as u (key, start, admitted, limited, refused) \
             select key, $1, admitted, limited, refused \
             from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) \
             as f (key, admitted, limited, refused) \
             on conflict (key, start) do update set admitted = u.admitted + excluded.admitted, \
             limited = u.limited + excluded.limited, refused = u.refused + excluded.refused"
        );
        for batch in rows.chunks(BATCH) {
            let Counted { keys, admitted, limited, refused, .. } = Counted::of(batch);
            self.run_with(&text, &[&start, &keys, &admitted, &limited, &refused]).await?;
        }
        Ok(())
    }

    async fn add_totals(&mut self, rows: &[UsageRow]) -> Result<(), StoreError> {
        let text = "insert into usage_totals as u (key, admitted, limited, refused, last_used) \
                    select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], \
                    $5::bigint[]) on conflict (key) do update set \
                    admitted = u.admitted + excluded.admitted, \
                    limited = u.limited + excluded.limited, \
                    refused = u.refused + excluded.refused, \
                    last_used = greatest(u.last_used, excluded.last_used)";
        for batch in rows.chunks(BATCH) {
            let Counted { keys, admitted, limited, refused, last_used } = Counted::of(batch);
            self.run_with(text, &[&keys, &admitted, &limited, &refused, &last_used]).await?;
        }
        Ok(())
    }

    async fn announce(&mut self, revision: u64) -> Result<(), StoreError> {
        let text = "select pg_notify($1, $2)";
        self.run_with(text, &[&super::listen::CHANNEL, &revision.to_string()]).await.map(drop)
    }
}

async fn next<S: Stream>(mut stream: Pin<&mut S>) -> Option<S::Item> {
    poll_fn(|context| stream.as_mut().poll_next(context)).await
}

/// Rows of usage by column.
#[derive(Default)]
struct Counted<'a> {
    keys: Vec<&'a str>,
    admitted: Vec<i64>,
    limited: Vec<i64>,
    refused: Vec<i64>,
    last_used: Vec<i64>,
}

impl Counted<'_> {
    fn of(rows: &[UsageRow]) -> Counted<'_> {
        let mut columns = Counted::default();
        for row in rows {
            columns.keys.push(&row.key);
            columns.admitted.push(int(row.counts.admitted));
            columns.limited.push(int(row.counts.limited));
            columns.refused.push(int(row.counts.refused));
            columns.last_used.push(int(row.last_used.0));
        }
        columns
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Int(value) => value.to_sql_checked(kind, out),
            Value::Text(text) => text.to_sql_checked(kind, out),
            Value::Flag(flag) => flag.to_sql_checked(kind, out),
        }
    }

    /// Each value says so itself.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Row for tokio_postgres::Row {
    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.try_get(at).map_err(unread)
    }

    fn text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        self.try_get(at).map_err(unread)
    }

    fn flag(&self, at: usize) -> Result<bool, StoreError> {
        self.try_get(at).map_err(unread)
    }
}

fn unread(error: tokio_postgres::Error) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
