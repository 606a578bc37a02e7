//! Databases that are new, of a newer program, or opened by several at once.

use gateway_store::{PostgresStore, SqliteStore, StoreError};
use tokio::task::JoinSet;

use crate::place::{Place, reopen};
use crate::records::with_acme;

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
    for (statement, named) in [
        ("update accounts set team_columns = '[1]'", "acme"),
        ("update accounts set team_columns = '{}', live_max = -1", "column 5"),
        ("update accounts set live_max = 99999999999", "acme"),
    ] {
        place.execute(statement).await.unwrap();
        let error = store.load().await.unwrap_err();
        assert!(
            matches!(&error, StoreError::Corrupt(text) if text.contains(named)),
            "{statement}: {error}"
        );
    }
    place.execute("update accounts set live_max = null").await.unwrap();
    assert_eq!(store.load().await.unwrap().accounts.len(), 1);
}

async fn failure(place: &Place) -> StoreError {
    match place {
        Place::Sqlite(_) => SqliteStore::open(place.address()).unwrap_err(),
        Place::Postgres(url) => PostgresStore::connect(url).await.unwrap_err(),
    }
}
