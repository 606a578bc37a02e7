//! Who changed what.

use gateway_store::{Action, Author, Change, Page};

use crate::place::Place;
use crate::records::{
    HOUR_MS, NOW, all, author, create, digest, full_key, key, later, regenerate, rename, revoke,
    with_acme, with_plain, write, write_at,
};

/// U7: one row a change, with what it was and became.
pub(crate) async fn each_change_leaves_one_row(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    write(&*store, create("acme", full_key("key_1"))).await;
    write_at(&*store, rename("key_1", "new"), later(5)).await;
    write(&*store, regenerate("key_1", "other", HOUR_MS)).await;
    write(&*store, revoke("key_1")).await;
    write(&*store, revoke("key_1")).await;
    let rows = store.audit(None, all(100)).await.unwrap().items;
    let seen: Vec<_> =
        rows.iter().map(|row| (row.id, row.revision, row.action, row.object.as_str())).collect();
    assert_eq!(
        seen,
        [
            (6, 6, Action::KeyRevoked, "key_1"),
            (5, 5, Action::KeyRegenerated, "key_1"),
            (4, 4, Action::KeyAltered, "key_1"),
            (3, 3, Action::KeyCreated, "key_1"),
            (2, 2, Action::UserPut, "u_ann"),
            (1, 1, Action::AccountCreated, "acme"),
        ]
    );
    assert!(rows.iter().all(|row| row.account == "acme" && row.author == author()));
    let renamed = &rows[2];
    assert_eq!(renamed.at, later(5));
    assert_eq!(renamed.before["name"], "CRM „Integration“");
    assert_eq!(renamed.after["name"], "new");
    assert_eq!(rows[0].before["revoked_at"], serde_json::Value::Null);
    assert_eq!(rows[0].after["revoked_at"], NOW.0);
    assert!(rows[3].before.is_null() && rows[4].before.is_null() && rows[5].before.is_null());
    assert_eq!(rows[4].after["email"], "ann@acme.test");
    assert_eq!(rows[5].after["plan"], "professional");
}

pub(crate) async fn an_author_without_address_is_kept_so(place: Place) {
    let store = place.open().await;
    let author = Author { name: "cli:root".to_owned(), address: None, request_id: None };
    let change = Change::CreateAccount(Box::new(crate::records::acme()));
    store.write(change, &author, NOW).await.unwrap();
    assert_eq!(store.audit(None, all(1)).await.unwrap().items[0].author, author);
}

/// Whoever may read audit must not be able to import a key with it.
pub(crate) async fn no_row_holds_a_digest(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    write(&*store, create("acme", full_key("key_1"))).await;
    write(&*store, regenerate("key_1", "other", HOUR_MS)).await;
    write(&*store, rename("key_1", "new")).await;
    write(&*store, revoke("key_1")).await;
    let rows = store.audit(None, all(100)).await.unwrap().items;
    assert_eq!(rows.len(), 6);
    let text = format!("{rows:?}");
    for secret in [digest("key_1"), digest("other")] {
        let digits = secret.to_string().replace("sha256:", "");
        assert!(!text.contains(&digits) && !text.contains("digest\""), "{text}");
    }
}

pub(crate) async fn rows_are_paged_the_newest_first(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    with_plain(&*store, "other").await;
    for number in 0..5 {
        write(&*store, create("acme", key(&format!("key_{number}")))).await;
    }
    write(&*store, rename("key_0", "x")).await;
    for (account, ids) in [
        (None, vec![8, 7, 6, 5, 4, 3, 2, 1]),
        (Some("acme"), vec![8, 7, 6, 5, 4, 3, 1]),
        (Some("other"), vec![2]),
        (Some("none"), vec![]),
    ] {
        let (mut seen, mut page) = (Vec::new(), all(3));
        loop {
            let listed = store.audit(account, page).await.unwrap();
            assert!(listed.items.len() <= 3);
            seen.extend(listed.items.into_iter().map(|row| row.id));
            match listed.next {
                Some(next) => page = Page { after: Some(next), limit: 3 },
                None => break,
            }
        }
        assert_eq!(seen, ids, "{account:?}");
    }
}

/// Even a hand with SQL has to take the triggers away first.
pub(crate) async fn rows_are_neither_changed_nor_removed(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let before = store.audit(None, all(100)).await.unwrap();
    for statement in ["update audit set author = 'nobody'", "delete from audit"] {
        let refused = place.execute(statement).await.unwrap_err();
        assert!(refused.contains("only ever added to"), "{refused}");
    }
    assert_eq!(store.audit(None, all(100)).await.unwrap(), before);
}
