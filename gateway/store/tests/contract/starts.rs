//! Databases that are new, of a newer program, or opened by several at once.

use gateway_store::{AlterAccount, Change, PostgresStore, SqliteStore, StoreError};
use tokio::task::JoinSet;

use crate::place::{Place, reopen};
use crate::records::{with_acme, write};

/// Gateways of a new fleet start together; none of them may find a half-made schema.
pub(crate) async fn many_may_open_a_new_database_at_once(place: Place) {
    let mut opening = JoinSet::new();
    for _ in 0..6 {
        let address = place.address();
        opening.spawn(async move { reopen(&address).await });
    }
    let stores = opening.join_all().await;
    with_acme(&*stores[0]).await;
    for store in stores {
        assert_eq!(store.load().await.unwrap().accounts.len(), 1);
    }
}

/// An older program must not write into a schema that it does not know.
pub(crate) async fn a_newer_schema_is_told_and_left_alone(place: Place) {
    with_acme(&*place.open().await).await;
    let newer = "insert into refinery_schema_history (version, name, applied_on, checksum) \
                 values (999, 'x', 'x', 'x')";
    place.execute(newer).await.unwrap();
    let error = failure(&place).await;
    assert!(matches!(&error, StoreError::Schema(text) if text.contains("999")), "{error}");
    place.execute("delete from refinery_schema_history where version = 999").await.unwrap();
    assert_eq!(place.open().await.load().await.unwrap().revision, 2);
}

pub(crate) async fn what_cannot_be_read_is_told_with_its_row(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let beta = gateway_policy::AccountRecord::new("beta", "starter");
    write(&*store, Change::CreateAccount(Box::new(beta))).await;
    let digest = gateway_policy::Digest::sha256(b"odd");
    let odd = Change::CreateKey {
        account: "beta".to_owned(),
        key: Box::new(gateway_policy::KeyRecord::new("key_odd", digest, &["calls:read"])),
        live_max: None,
        retry: None,
        imported: false,
    };
    write(&*store, odd).await;
    for (statement, named) in [
        ("update accounts set team_columns = '[1]' where id = 'acme'", "acme"),
        ("update accounts set team_columns = '{}', live_max = -1 where id = 'acme'", "column 5"),
        ("update accounts set live_max = 99999999999 where id = 'acme'", "acme"),
    ] {
        place.execute(statement).await.unwrap();
        let read = store.load().await.unwrap();
        assert_eq!(read.accounts.len(), 1, "{statement}: the other one is read");
        let [one] = &*read.unreadable else { panic!("{statement}: {:?}", read.unreadable) };
        let fault = &one.fault;
        assert_eq!(fault.path, "accounts.acme");
        assert!(fault.message.contains(named), "{statement}: {}", fault.message);
    }
    place.execute("update accounts set live_max = null").await.unwrap();
    place.execute("update keys set data_scope = 'of a later version' where id = 'key_odd'").await.unwrap();
    let read = store.load().await.unwrap();
    assert_eq!((read.accounts.len(), read.unreadable.len()), (2, 1));
    assert_eq!(read.unreadable[0].fault.path, "accounts.beta.keys.key_odd");
    assert!(read.accounts[1].keys.is_empty());
    let since = read.revision;
    write(&*store, rename_account("acme")).await;
    let changes = store.changes(since).await.unwrap();
    assert_eq!((changes.accounts.len(), changes.unreadable.len()), (1, 0), "it holds nothing up");
}

/// Only the start that brings a step of the schema needs to make tables. PostgreSQL alone: a file has
/// no users.
pub(crate) async fn a_user_who_may_make_no_tables_can_start(place: Place) {
    let owner = place.open().await;
    with_acme(&*owner).await;
    let database = place.address().rsplit('/').next().unwrap().replace('?', "");
    let role = format!("{database}_role");
    let rights = format!(
        "revoke create on schema public from public; drop role if exists {role}; \
         create role {role} login; \
         grant select, insert, update, delete on all tables in schema public to {role}"
    );
    place.execute(&rights).await.unwrap();
    let address = place.address().replace("postgres@", &format!("{role}@"));
    let store = PostgresStore::connect(&address).await.unwrap();
    assert_eq!(write(&store, rename_account("acme")).await.revision, 3);
    let refused = place.execute(&format!("set role {role}; delete from audit")).await.unwrap_err();
    assert!(refused.contains("only ever added to"), "{refused}");
    drop(store);
    place.execute(&format!("drop owned by {role}; drop role {role}")).await.unwrap();
}

fn rename_account(account: &str) -> Change {
    let alter = AlterAccount { name: Some("New".to_owned()), ..AlterAccount::default() };
    Change::AlterAccount { account: account.to_owned(), alter }
}

async fn failure(place: &Place) -> StoreError {
    match place {
        Place::Sqlite(_) => SqliteStore::open(place.address()).unwrap_err(),
        Place::Postgres(url) => PostgresStore::connect(url).await.unwrap_err(),
    }
}
