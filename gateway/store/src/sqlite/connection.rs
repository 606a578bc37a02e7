//! One connection to a SQLite file: how it is opened, and its dialect.

use std::fs::OpenOptions;
use std::future::{Future, ready};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use crate::file::check_regular;
use crate::relational::{Row, Span, Sql, Take, Value, int, schema};
use crate::store::StoreError;
use crate::usage::UsageRow;

/// How long a statement waits for another process.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Statements that stay prepared.
const PREPARED_MAX: usize = 64;
/// "Clnd" in the file's head: a database of this program's. The first step of the schema sets it.
const APPLICATION_ID: i64 = 1_131_179_620;
/// Two processes may open a new file at the same time.
const TRIES: u32 = 20;

mod steps {
    refinery::embed_migrations!("migrations/sqlite");
}

/// Makes the file where there is none. The full path, in which no name has a meaning of its own.
pub(super) fn prepare(path: &Path) -> Result<PathBuf, StoreError> {
    let fault = |error| StoreError::Unreachable(format!("{}: {error}", path.display()));
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(fault(error)),
        _ => {}
    }
    check_regular(path).map_err(|error| StoreError::Unreachable(error.to_string()))?;
    path.canonicalize().map_err(fault)
}

pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_WAIT).map_err(fault)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
    refuse_foreign(&connection)?;
    let pragmas = "pragma synchronous = full; pragma foreign_keys = on; \
                   pragma trusted_schema = off; pragma temp_store = memory;";
    connection.execute_batch(pragmas).map_err(fault)?;
    log_ahead(&connection)?;
    Ok(connection)
}

/// A database of another program is left as it is.
///
/// Another process may be making this one: refinery's table comes first, by itself, and then all others
/// together with the mark. So who sees one of the others before it looks for the mark finds it.
fn refuse_foreign(connection: &Connection) -> Result<(), StoreError> {
    let int = |text| connection.query_row(text, [], |row| row.get::<_, i64>(0)).map_err(fault);
    let tables = "select count(*) from sqlite_master where tbl_name <> 'refinery_schema_history'";
    if int(tables)? == 0 || int("pragma application_id")? == APPLICATION_ID {
        return Ok(());
    }
    Err(StoreError::Schema("it is a SQLite database of another program".to_owned()))
}

/// Readers beside a writer. Kept in the file; another process may be about to set it.
fn log_ahead(connection: &Connection) -> Result<(), StoreError> {
    again(|| {
        let mode = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0));
        let mode: String = mode.map_err(fault)?;
        if mode == "wal" {
            return Ok(());
        }
        let text = format!("it cannot have a write-ahead log, only `{mode}`");
        Err(StoreError::Unreachable(text))
    })
}

/// Takes the steps of the schema that are missing.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let runner = steps::migrations::runner().set_grouped(true);
    again(|| {
        let kept = "select count(*) from sqlite_master where name = 'refinery_schema_history'";
        let is_kept = connection.query_row(kept, [], |row| row.get::<_, i64>(0)).map_err(fault)?;
        let step = match is_kept {
            0 => None,
            _ => connection.query_row(schema::LAST_STEP, [], |row| row.get(0)).map_err(fault)?,
        };
        if !schema::is_behind(&runner, step)? {
            return Ok(());
        }
        let steps = runner.run(connection);
        steps.map(drop).map_err(|error| StoreError::Unreachable(error.to_string()))
    })
}

/// Until it works or another process had time enough to do it.
fn again(mut attempt: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
    for _ in 1..TRIES {
        match attempt() {
            Err(StoreError::Unreachable(_)) => std::thread::sleep(BUSY_WAIT / 100),
            done => return done,
        }
    }
    attempt()
}

pub(super) fn fault(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    let code = error.sqlite_error_code();
    match code {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::TypeMismatch) => {
            StoreError::Corrupt(text)
        }
        // The transaction is rolled back. An error of the disk is another thing: whether what was written
        // is found after a crash is not certain.
        Some(ErrorCode::DiskFull) => StoreError::Full,
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly,
        // An unknown table or column.
        Some(ErrorCode::Unknown | ErrorCode::SchemaChanged) => StoreError::Schema(text),
        Some(ErrorCode::ConstraintViolation) | None => StoreError::Corrupt(text),
        Some(_) => StoreError::Unreachable(text),
    }
}

impl Sql for Connection {
    /// The whole database is locked from the transaction's beginning.
    const LOCKING: &'static str = "";

    fn each(
        &mut self,
        text: &str,
        values: &[Value<'_>],
        take: &mut Take<'_>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(each(self, text, values, take))
    }

    fn run(
        &mut self,
        text: &str,
        values: &[Value<'_>],
    ) -> impl Future<Output = Result<u64, StoreError>> + Send {
        ready(run(self, text, values))
    }

    fn add_counts(
        &mut self,
        span: Span,
        start: i64,
        rows: &[UsageRow],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let table = match span {
            Span::Hours => "usage_hours",
            Span::Days => "usage_days",
        };
        let text = format!(
            "insert into {table} (key, start, admitted, limited, refused) \
             values ($1, $2, $3, $4, $5) on conflict (key, start) do update set \
             admitted = admitted + excluded.admitted, limited = limited + excluded.limited, \
             refused = refused + excluded.refused"
        );
        ready(rows.iter().try_for_each(|row| {
            let [admitted, limited, refused] = counts(row);
            let values = [(&row.key).into(), Value::Int(Some(start)), admitted, limited, refused];
            run(self, &text, &values).map(drop)
        }))
    }

    fn add_totals(
        &mut self,
        rows: &[UsageRow],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let text = "insert into usage_totals (key, admitted, limited, refused, last_used) \
                    values ($1, $2, $3, $4, $5) on conflict (key) do update set \
                    admitted = admitted + excluded.admitted, \
                    limited = limited + excluded.limited, \
                    refused = refused + excluded.refused, \
                    last_used = max(last_used, excluded.last_used)";
        ready(rows.iter().try_for_each(|row| {
            let [admitted, limited, refused] = counts(row);
            let last_used = Value::from(row.last_used.0);
            let values = [(&row.key).into(), admitted, limited, refused, last_used];
            run(self, text, &values).map(drop)
        }))
    }

    /// `data_version` tells.
    fn announce(&mut self, _: u64) -> impl Future<Output = Result<(), StoreError>> + Send {
        ready(Ok(()))
    }
}

fn counts(row: &UsageRow) -> [Value<'static>; 3] {
    let counts = row.counts;
    [counts.admitted, counts.limited, counts.refused].map(|count| Value::Int(Some(int(count))))
}

fn each(
    connection: &Connection,
    text: &str,
    values: &[Value<'_>],
    take: &mut Take<'_>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(&numbered(text)).map_err(fault)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        take(row)?;
    }
    Ok(())
}

fn run(connection: &Connection, text: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(&numbered(text)).map_err(fault)?;
    let count = statement.execute(params_from_iter(values)).map_err(fault)?;
    Ok(count as u64)
}

/// `$1` is a name for SQLite; `?1` is a number.
fn numbered(text: &str) -> String {
    text.replace('$', "?")
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Int(Some(value)) => ValueRef::Integer(value),
            Value::Text(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Int(None) | Value::Text(None) => ValueRef::Null,
            Value::Flag(flag) => ValueRef::Integer(flag.into()),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.get(at).map_err(fault)
    }

    fn text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        let text = self.get_ref(at).map_err(fault)?.as_str_or_null();
        text.map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    fn flag(&self, at: usize) -> Result<bool, StoreError> {
        self.get(at).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of a call that found no room it is certain that nothing was done; of one that went wrong
    /// otherwise it is not.
    #[test]
    fn a_full_disk_and_a_file_that_may_only_be_read_are_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = prepare(&folder.path().join("colonnade.db")).unwrap();
        let connection = open(&path).unwrap();
        connection.execute_batch("create table t (x); pragma max_page_count = 3").unwrap();
        let fill = "insert into t values (zeroblob(100000))";
        assert!(matches!(run(&connection, fill, &[]), Err(StoreError::Full)));
        let rows = connection.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0));
        assert_eq!(rows.unwrap(), 0);
        connection.execute_batch("pragma query_only = on").unwrap();
        let small = "insert into t values (1)";
        assert!(matches!(run(&connection, small, &[]), Err(StoreError::ReadOnly)));
    }

    /// A commit is on disk when it returns; a crashed process cannot show that it is not.
    #[test]
    fn each_connection_is_set_to_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = prepare(&folder.path().join("colonnade.db")).unwrap();
        for connection in [open(&path).unwrap(), open(&path).unwrap()] {
            for (pragma, expected) in [
                ("synchronous", "2"),
                ("foreign_keys", "1"),
                ("journal_mode", "wal"),
                ("trusted_schema", "0"),
                ("busy_timeout", "5000"),
            ] {
                let text = format!("select cast({pragma} as text) from pragma_{pragma}");
                let text = text.replace("cast(busy_timeout", "cast(timeout");
                let value: String = connection.query_row(&text, [], |row| row.get(0)).unwrap();
                assert_eq!(value, expected, "{pragma}");
            }
        }
    }
}
