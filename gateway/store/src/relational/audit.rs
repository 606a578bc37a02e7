//! The table `audit`: one row a revision, never changed, which triggers see to.

use gateway_limits::UnixMs;
use serde_json::Value as Json;

use super::{Row, Sql, Value, at, list, number, read, rows, text};
use crate::audit::{Action, AuditRow, Author};
use crate::store::{Listed, Page, StoreError};

/// A row to be added.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) revision: u64,
    pub(super) at: UnixMs,
    pub(super) author: &'a Author,
    pub(super) action: Action,
    pub(super) account: &'a str,
    pub(super) object: &'a str,
    pub(super) before: Json,
    pub(super) after: Json,
}

pub(super) async fn add<S: Sql>(sql: &mut S, entry: &Entry<'_>) -> Result<(), StoreError> {
    let text = "insert into audit (revision, at, author, address, request_id, action, account, \
                object, before, after) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (before, after) = (document(&entry.before), document(&entry.after));
    let values = [
        entry.revision.into(),
        at(entry.at),
        (&entry.author.name).into(),
        (&entry.author.address).into(),
        (&entry.author.request_id).into(),
        entry.action.as_str().into(),
        entry.account.into(),
        entry.object.into(),
        (&before).into(),
        (&after).into(),
    ];
    sql.run(text, &values).await.map(drop)
}

fn document(value: &Json) -> Option<String> {
    (!value.is_null()).then(|| rows::json(value))
}

/// The newest first. The cursor is the last id.
pub(crate) async fn page<S: Sql>(
    sql: &mut S,
    account: Option<&str>,
    page: &Page,
) -> Result<Listed<AuditRow>, StoreError> {
    let no_cursor = |cursor: &String| StoreError::Cursor(cursor.clone());
    let before = match &page.after {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| no_cursor(cursor))?,
    };
    let (of_account, account) = match account {
        Some(account) => ("and account = $3", Some(Value::from(account))),
        None => ("", None),
    };
    let statement = format!(
        "select revision, at, author, address, request_id, action, account, object, before, after \
         from audit where revision < $1 {of_account} order by revision desc limit $2"
    );
    let values: Vec<_> =
        [Value::Int(Some(before)), read::more(page)].into_iter().chain(account).collect();
    let found = list(sql, &statement, &values, row).await?;
    Ok(read::paged(found, page, |row| row.id.to_string()))
}

fn row(row: &dyn Row) -> Result<AuditRow, StoreError> {
    let id = number(row, 0)?;
    let fault = |what: &str| StoreError::Corrupt(format!("row {id} of table `audit`: {what}"));
    let json = |at| {
        let text = row.text(at)?;
        let value = text.map(serde_json::from_str).transpose();
        value.map(Option::unwrap_or_default).map_err(|error| fault(&error.to_string()))
    };
    let action = text(row, 5)?;
    Ok(AuditRow {
        id,
        at: UnixMs(number(row, 1)?),
        author: Author {
            name: text(row, 2)?,
            address: row.text(3)?.map(str::to_owned),
            request_id: row.text(4)?.map(str::to_owned),
        },
        action: Action::parse(&action).ok_or_else(|| fault(&format!("no action `{action}`")))?,
        account: text(row, 6)?,
        object: text(row, 7)?,
        before: json(8)?,
        after: json(9)?,
        revision: id,
    })
}
