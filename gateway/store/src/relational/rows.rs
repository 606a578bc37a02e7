//! Rows ↔ records. What cannot be read is told with the table and the id of its row.

use std::collections::BTreeMap;

use gateway_limits::{Quota, UnixMs};
use gateway_policy::{
    AccountRecord, AssistantNames, DataScope, Digest, KeyRecord, PreviousDigest, RaisedLimits,
    UserRecord,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Row, Sql, Value, at, filled, maybe_at, maybe_number, number, text};
use crate::change::StoredKey;
use crate::document::{LimitDocument, limits, quotas};
use crate::store::StoreError;

/// Of an account, as [`account`] reads them.
macro_rules! account_columns {
    () => {
        "id, name, plan, teams, live_max, columns, team_columns, assistants, assistant_fallback"
    };
}

/// Of a key, as [`key`] reads them.
macro_rules! key_columns {
    () => {
        "id, account, name, digest, display, scopes, data_scope, user_id, owner, teams, \
         created_at, expires_at, revoked_at, allowed_ips, limits, raised_limits, raised_until, \
         previous_digest, previous_until, revision"
    };
}

pub(super) use {account_columns, key_columns};

/// Of an account or a key.
pub(super) fn id(row: &dyn Row) -> Result<String, StoreError> {
    text(row, 0)
}

/// Whose key it is.
pub(super) fn account_of_key(row: &dyn Row) -> Result<String, StoreError> {
    text(row, 1)
}

pub(super) fn account(row: &dyn Row) -> Result<AccountRecord, StoreError> {
    let id = text(row, 0)?;
    let place = Place { table: "accounts", id: &id };
    let live_max = maybe_number(row, 4)?.map(u32::try_from).transpose();
    Ok(AccountRecord {
        name: text(row, 1)?,
        plan: text(row, 2)?,
        teams: place.maybe_json(row, 3)?,
        live_max: live_max.map_err(|_| place.fault("live_max is too much"))?,
        columns: place.json::<BTreeMap<_, _>>(row, 5)?,
        team_columns: place.json(row, 6)?,
        assistants: AssistantNames {
            names: place.json(row, 7)?,
            fallback: row.text(8)?.map(str::to_owned),
        },
        users: Vec::new(),
        keys: Vec::new(),
        id,
    })
}

pub(super) async fn put_account<S: Sql>(
    sql: &mut S,
    record: &AccountRecord,
    revision: u64,
) -> Result<(), StoreError> {
    let teams = record.teams.as_ref().map(json);
    let (columns, team_columns) = (json(&record.columns), json(&record.team_columns));
    let assistants = json(&record.assistants.names);
    let text = concat!(
        "insert into accounts (",
        account_columns!(),
        ", revision, changed) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) \
         on conflict (id) do update set name = excluded.name, plan = excluded.plan, \
         teams = excluded.teams, live_max = excluded.live_max, columns = excluded.columns, \
         team_columns = excluded.team_columns, assistants = excluded.assistants, \
         assistant_fallback = excluded.assistant_fallback, revision = excluded.revision, \
         changed = excluded.changed"
    );
    let values = [
        Value::from(&record.id),
        Value::from(&record.name),
        Value::from(&record.plan),
        Value::from(&teams),
        Value::Int(record.live_max.map(i64::from)),
        Value::from(&columns),
        Value::from(&team_columns),
        Value::from(&assistants),
        Value::from(&record.assistants.fallback),
        Value::from(revision),
    ];
    sql.run(text, &values).await.map(drop)
}

/// Its account and itself, of `account, id, email, active`.
pub(super) fn user(row: &dyn Row) -> Result<(String, UserRecord), StoreError> {
    let email = row.text(2)?.map(str::to_owned);
    Ok((text(row, 0)?, UserRecord { id: text(row, 1)?, email, active: row.flag(3)? }))
}

pub(super) async fn put_user<S: Sql>(
    sql: &mut S,
    account: &str,
    record: &UserRecord,
    revision: u64,
) -> Result<(), StoreError> {
    let text = "insert into users (account, id, email, active, revision) \
                values ($1, $2, $3, $4, $5) on conflict (account, id) do update set \
                email = excluded.email, active = excluded.active, revision = excluded.revision";
    let values = [
        Value::from(account),
        Value::from(&record.id),
        Value::from(&record.email),
        Value::Flag(record.active),
        Value::from(revision),
    ];
    sql.run(text, &values).await.map(drop)
}

pub(super) fn key(row: &dyn Row) -> Result<StoredKey, StoreError> {
    let id = text(row, 0)?;
    let place = Place { table: "keys", id: &id };
    let data_scope = row.text(6)?.map(|text| DataScope::parse(text).ok_or(text));
    let networks = place.json::<Vec<String>>(row, 13)?.into_iter();
    let allowed_ips = networks.map(|text| text.parse().map_err(|_| place.fault("no network")));
    let raised_until = maybe_number(row, 16)?.map(UnixMs);
    let previous_until = maybe_number(row, 18)?.map(UnixMs);
    let previous = row.text(17)?.map(|text| place.digest(text)).transpose()?;
    let record = KeyRecord {
        name: text(row, 2)?,
        digest: place.digest(filled(row.text(3)?, 3)?)?,
        display: text(row, 4)?,
        scopes: place.json(row, 5)?,
        data_scope: data_scope.transpose().map_err(|_| place.fault("no data scope"))?,
        user: row.text(7)?.map(str::to_owned),
        owner: row.text(8)?.map(str::to_owned),
        teams: place.maybe_json(row, 9)?,
        created_at: Some(UnixMs(number(row, 10)?)),
        expires_at: maybe_number(row, 11)?.map(UnixMs),
        revoked_at: maybe_number(row, 12)?.map(UnixMs),
        allowed_ips: allowed_ips.collect::<Result<_, _>>()?,
        limits: place.quotas(row, 14)?,
        raised: place
            .pair(place.quotas(row, 15)?, raised_until)?
            .map(|(limits, until)| RaisedLimits { limits, until }),
        previous: place
            .pair(previous, previous_until)?
            .map(|(digest, until)| PreviousDigest { digest, until }),
        id: id.clone(),
    };
    Ok(StoredKey { account: text(row, 1)?, record, revision: number(row, 19)? })
}

pub(super) async fn put_key<S: Sql>(
    sql: &mut S,
    account: &str,
    record: &KeyRecord,
    revision: u64,
) -> Result<(), StoreError> {
    let (digest, scopes) = (record.digest.to_string(), json(&record.scopes));
    let teams = record.teams.as_ref().map(json);
    let networks: Vec<String> = record.allowed_ips.iter().map(ToString::to_string).collect();
    let allowed_ips = json(&networks);
    let own = record.limits.as_deref().map(|quotas| json(&limits(quotas)));
    let raised = record.raised.as_ref().map(|raised| json(&limits(&raised.limits)));
    let previous = record.previous.as_ref().map(|previous| previous.digest.to_string());
    let text = concat!(
        "insert into keys (",
        key_columns!(),
        ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
         $18, $19, $20) on conflict (id) do update set name = excluded.name, \
         digest = excluded.digest, display = excluded.display, expires_at = excluded.expires_at, \
         revoked_at = excluded.revoked_at, allowed_ips = excluded.allowed_ips, \
         limits = excluded.limits, raised_limits = excluded.raised_limits, \
         raised_until = excluded.raised_until, previous_digest = excluded.previous_digest, \
         previous_until = excluded.previous_until, revision = excluded.revision"
    );
    let values = [
        Value::from(&record.id),
        Value::from(account),
        Value::from(&record.name),
        Value::from(&digest),
        Value::from(&record.display),
        Value::from(&scopes),
        Value::Text(record.data_scope.map(DataScope::as_str)),
        Value::from(&record.user),
        Value::from(&record.owner),
        Value::from(&teams),
        at(record.created_at.unwrap_or_default()),
        maybe_at(record.expires_at),
        maybe_at(record.revoked_at),
        Value::from(&allowed_ips),
        Value::from(&own),
        Value::from(&raised),
        maybe_at(record.raised.as_ref().map(|raised| raised.until)),
        Value::from(&previous),
        maybe_at(record.previous.as_ref().map(|previous| previous.until)),
        Value::from(revision),
    ];
    sql.run(text, &values).await.map(drop)
}

/// Lists and maps of text, which JSON can always hold.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The row that is read.
struct Place<'a> {
    table: &'static str,
    id: &'a str,
}

impl Place<'_> {
    fn fault(&self, what: &str) -> StoreError {
        StoreError::Corrupt(format!("row `{}` of table `{}`: {what}", self.id, self.table))
    }

    fn json<T: DeserializeOwned>(&self, row: &dyn Row, at: usize) -> Result<T, StoreError> {
        filled(self.maybe_json(row, at)?, at)
    }

    fn maybe_json<T: DeserializeOwned>(
        &self,
        row: &dyn Row,
        at: usize,
    ) -> Result<Option<T>, StoreError> {
        let fault = |error| self.fault(&format!("column {}: {error}", at + 1));
        row.text(at)?.map(serde_json::from_str).transpose().map_err(fault)
    }

    fn quotas(&self, row: &dyn Row, at: usize) -> Result<Option<Vec<Quota>>, StoreError> {
        let documents = self.maybe_json::<Vec<LimitDocument>>(row, at)?;
        documents.map(quotas).transpose().map_err(|error| self.fault(&error.to_string()))
    }

    fn digest(&self, text: &str) -> Result<Digest, StoreError> {
        Digest::parse(text).map_err(|error| self.fault(&error.to_string()))
    }

    /// Both or neither.
    fn pair<A, B>(&self, one: Option<A>, other: Option<B>) -> Result<Option<(A, B)>, StoreError> {
        match (one, other) {
            (None, None) => Ok(None),
            (Some(one), Some(other)) => Ok(Some((one, other))),
            _ => Err(self.fault("half of a pair of columns is empty")),
        }
    }
}
