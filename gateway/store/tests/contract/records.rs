//! Records to test with, and the changes that are made of them.

use gateway_limits::{Quota, QuotaKind, UnixMs};
use gateway_policy::{AccountRecord, DataScope, Digest, KeyRecord, RaisedLimits, UserRecord};
use gateway_store::{
    AlterKey, Author, Change, Page, Refused, Retry, Store, StoredKey, WriteError, Written,
};

/// 2026-11-19T16:00:00Z.
pub(crate) const NOW: UnixMs = UnixMs(1_795_104_000_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

pub(crate) fn later(ms: u64) -> UnixMs {
    UnixMs(NOW.0 + ms)
}

pub(crate) fn author() -> Author {
    Author {
        name: "token:ops".to_owned(),
        address: Some("203.0.113.7".to_owned()),
        request_id: Some("r-1".to_owned()),
    }
}

/// All its fields have something in them.
pub(crate) fn acme() -> AccountRecord {
    let mut record = AccountRecord::new("acme", "professional");
    record.name = "Acme \"Heating\" – Žižkov".to_owned();
    record.teams = Some(vec!["101".to_owned(), "102".to_owned()]);
    record.live_max = Some(3);
    record.columns.insert("calls".to_owned(), vec!["call_id".to_owned(), "name".to_owned()]);
    let of_team = [("calls".to_owned(), vec!["call_id".to_owned()])];
    record.team_columns.insert("102".to_owned(), of_team.into());
    record.assistants.names =
        vec![("z".to_owned(), "Front desk".to_owned()), ("a".to_owned(), "'; --".to_owned())];
    record.assistants.fallback = Some("AI assistant".to_owned());
    record
}

pub(crate) fn ann() -> UserRecord {
    UserRecord { id: "u_ann".to_owned(), email: Some("ann@acme.test".to_owned()), active: true }
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

pub(crate) fn key(id: &str) -> KeyRecord {
    KeyRecord::new(id, digest(id), &["calls:read"])
}

/// All its fields have something in them.
pub(crate) fn full_key(id: &str) -> KeyRecord {
    let minute = Quota {
        name: "minute".into(),
        requests: 10,
        window_ms: 60_000,
        kind: QuotaKind::Gcra { burst: 4 },
    };
    let hour =
        Quota { name: "hour".into(), requests: 100, window_ms: HOUR_MS, kind: QuotaKind::Sliding };
    KeyRecord {
        name: "CRM „Integration“".to_owned(),
        display: "avoca_ab12…9f0c".to_owned(),
        scopes: vec!["leads:read".to_owned(), "calls:read".to_owned()],
        data_scope: Some(DataScope::UserFull),
        user: Some("u_ann".to_owned()),
        owner: Some("u_ann".to_owned()),
        teams: Some(vec!["102".to_owned()]),
        expires_at: Some(later(DAY_MS)),
        allowed_ips: vec!["203.0.113.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
        limits: Some(vec![minute.clone()]),
        raised: Some(RaisedLimits { limits: vec![minute, hour], until: later(HOUR_MS) }),
        ..key(id)
    }
}

pub(crate) fn create(account: &str, key: KeyRecord) -> Change {
    Change::CreateKey {
        account: account.to_owned(),
        key: Box::new(key),
        live_max: Some(10),
        retry: None,
        imported: false,
    }
}

pub(crate) fn create_again(account: &str, key: KeyRecord, token: &str, request: &str) -> Change {
    Change::CreateKey {
        account: account.to_owned(),
        key: Box::new(key),
        live_max: Some(10),
        retry: Some(Retry { token: token.to_owned(), request: request.to_owned() }),
        imported: false,
    }
}

pub(crate) fn rename(key: &str, name: &str) -> Change {
    alter(key, AlterKey { name: Some(name.to_owned()), ..AlterKey::default() })
}

pub(crate) fn alter(key: &str, alter: AlterKey) -> Change {
    Change::AlterKey { key: key.to_owned(), alter }
}

pub(crate) fn revoke(key: &str) -> Change {
    Change::Revoke { key: key.to_owned() }
}

pub(crate) fn regenerate(key: &str, text: &str, grace_ms: u64) -> Change {
    Change::Regenerate {
        key: key.to_owned(),
        digest: digest(text),
        display: format!("display of {text}"),
        grace_ms,
    }
}

pub(crate) fn all(limit: u32) -> Page {
    Page { after: None, limit }
}

/// A change that must be made, at [`NOW`].
pub(crate) async fn write(store: &dyn Store, change: Change) -> Written {
    write_at(store, change, NOW).await
}

pub(crate) async fn write_at(store: &dyn Store, change: Change, now: UnixMs) -> Written {
    store.write(change, &author(), now).await.unwrap()
}

/// Why a change that must be refused is.
pub(crate) async fn refusal(store: &dyn Store, change: Change) -> Refused {
    refusal_at(store, change, NOW).await
}

pub(crate) async fn refusal_at(store: &dyn Store, change: Change, now: UnixMs) -> Refused {
    match store.write(change.clone(), &author(), now).await {
        Err(WriteError::Refused(refused)) => refused,
        other => panic!("{change:?} came to {other:?}"),
    }
}

/// The account `acme` with its user.
pub(crate) async fn with_acme(store: &dyn Store) {
    write(store, Change::CreateAccount(Box::new(acme()))).await;
    write(store, Change::PutUser { account: "acme".to_owned(), user: ann() }).await;
}

/// An account of no teams on which nothing is said.
pub(crate) async fn with_plain(store: &dyn Store, id: &str) {
    write(store, Change::CreateAccount(Box::new(AccountRecord::new(id, "starter")))).await;
}

pub(crate) async fn stored(store: &dyn Store, id: &str) -> StoredKey {
    store.key(id).await.unwrap().unwrap()
}
