//! Keys: made, altered, regenerated, revoked, expired, listed.

use gateway_policy::{DataScope, KeyRecord, PreviousDigest};
use gateway_store::{AlterKey, KeyStatus, Page, Refused, StoreError};

use crate::place::Place;
use crate::records::{
    DAY_MS, HOUR_MS, NOW, all, alter, create, digest, full_key, key, later, refusal, refusal_at,
    regenerate, rename, revoke, stored, with_acme, with_plain, write, write_at,
};

/// K1, U4: as it was asked for, made now.
pub(crate) async fn a_key_is_there_as_it_was_made(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let written = write(&*store, create("acme", full_key("key_1"))).await;
    let expected = KeyRecord { created_at: Some(NOW), ..full_key("key_1") };
    let made = written.key.unwrap();
    assert_eq!((made.account.as_str(), made.revision), ("acme", written.revision));
    assert_eq!(made.record, expected);
    assert_eq!(written.account.keys, [], "an account comes without its keys");
    assert_eq!(stored(&*store, "key_1").await, made);
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.revision, loaded.accounts.len()), (3, 1));
    assert_eq!(loaded.accounts[0].keys, [expected]);
}

pub(crate) async fn what_a_new_key_names_must_be_there(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let no_user = KeyRecord { user: Some("u_bob".to_owned()), ..key("key_1") };
    let no_team = KeyRecord { teams: Some(vec!["101".into(), "7".into()]), ..key("key_1") };
    for (account, key, refused) in [
        ("none", key("key_1"), Refused::NoSuchAccount("none".to_owned())),
        ("acme", no_user, Refused::NoSuchUser("u_bob".to_owned())),
        ("acme", no_team, Refused::NoSuchTeam("7".to_owned())),
    ] {
        assert_eq!(refusal(&*store, create(account, key)).await, refused);
    }
    for change in [rename("key_9", "x"), revoke("key_9"), regenerate("key_9", "x", 0)] {
        assert_eq!(refusal(&*store, change).await, Refused::NoSuchKey("key_9".to_owned()));
    }
    assert_eq!(store.load().await.unwrap().revision, 2);
}

pub(crate) async fn an_id_and_a_digest_are_used_once(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    with_plain(&*store, "other").await;
    write(&*store, create("acme", key("key_1"))).await;
    write(&*store, revoke("key_1")).await;
    write(&*store, create("other", key("key_2"))).await;
    let same_id = KeyRecord { digest: digest("new"), ..key("key_1") };
    let same_digest = KeyRecord { digest: digest("key_1"), ..key("key_3") };
    for account in ["acme", "other"] {
        let refused = refusal(&*store, create(account, same_id.clone())).await;
        assert_eq!(refused, Refused::KeyExists("key_1".to_owned()));
        let refused = refusal(&*store, create(account, same_digest.clone())).await;
        assert_eq!(refused, Refused::DigestKnown);
    }
    for text in ["key_1", "key_2"] {
        assert_eq!(refusal(&*store, regenerate("key_2", text, 0)).await, Refused::DigestKnown);
    }
}

/// While a record names it, another key under the same digest would make two of one credential.
pub(crate) async fn a_replaced_digest_stays_taken(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    write(&*store, create("acme", key("key_1"))).await;
    write(&*store, create("acme", key("key_2"))).await;
    write(&*store, regenerate("key_1", "new", HOUR_MS)).await;
    let import = create("acme", KeyRecord { digest: digest("key_1"), ..key("key_3") });
    for at in [NOW, later(HOUR_MS), later(DAY_MS)] {
        assert_eq!(refusal_at(&*store, import.clone(), at).await, Refused::DigestKnown);
        let back = regenerate("key_2", "key_1", 0);
        assert_eq!(refusal_at(&*store, back, at).await, Refused::DigestKnown);
    }
    // Nothing lets go of it: who has leaked it must not find it alive again.
    write(&*store, regenerate("key_1", "newer", 0)).await;
    assert_eq!(refusal_at(&*store, import.clone(), NOW).await, Refused::DigestKnown);
    write(&*store, gateway_store::Change::Revoke { key: "key_1".to_owned() }).await;
    assert_eq!(refusal_at(&*store, import, NOW).await, Refused::DigestKnown);
}

/// K9, K21, K22: what may change does, and nothing else.
pub(crate) async fn what_is_altered_of_a_key_is_altered_alone(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    write(&*store, create("acme", full_key("key_1"))).await;
    write(&*store, create("acme", key("key_2"))).await;
    let other = stored(&*store, "key_2").await;
    let mut record = stored(&*store, "key_1").await.record;
    let name = AlterKey { name: Some("New".to_owned()), ..AlterKey::default() };
    let end = AlterKey { expires_at: Some(None), ..AlterKey::default() };
    let ips = AlterKey { allowed_ips: Some(vec![]), ..AlterKey::default() };
    let limits = AlterKey { limits: Some(None), ..AlterKey::default() };
    let raised = AlterKey { raised: Some(None), ..AlterKey::default() };
    for (asked, expected) in [
        (name, (|record| record.name = "New".to_owned()) as fn(&mut KeyRecord)),
        (end, |record| record.expires_at = None),
        (ips, |record| record.allowed_ips = vec![]),
        (limits, |record| record.limits = None),
        (raised, |record| record.raised = None),
    ] {
        expected(&mut record);
        let written = write(&*store, alter("key_1", asked.clone())).await;
        assert_eq!(written.key.unwrap().record, record);
        let again = write(&*store, alter("key_1", asked)).await;
        assert_eq!(again.revision, written.revision, "nothing was left to do");
        assert_eq!(stored(&*store, "key_1").await.record, record);
    }
    assert_eq!(stored(&*store, "key_2").await, other, "K4: another key is not touched");
}

/// K13.
pub(crate) async fn a_regenerated_key_keeps_all_but_its_secret(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    write(&*store, create("acme", full_key("key_1"))).await;
    let before = stored(&*store, "key_1").await.record;
    // Grace in milliseconds, and up to when the old one lives: never past the key's own end.
    let mut old = before.digest;
    for (text, grace_ms, until) in [
        ("second", HOUR_MS, Some(later(HOUR_MS))),
        ("third", 2 * DAY_MS, Some(later(DAY_MS))),
        ("fourth", 0, None),
    ] {
        let written = write(&*store, regenerate("key_1", text, grace_ms)).await;
        let expected = KeyRecord {
            digest: digest(text),
            display: format!("display of {text}"),
            previous: until.map(|until| PreviousDigest { digest: old, until }),
            ..before.clone()
        };
        assert_eq!(written.key.unwrap().record, expected);
        assert_eq!(stored(&*store, "key_1").await.record, expected);
        old = digest(text);
    }
}

/// K10, K11.
pub(crate) async fn a_revoked_key_stays_revoked(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    write(&*store, create("acme", full_key("key_1"))).await;
    write(&*store, regenerate("key_1", "new", HOUR_MS)).await;
    let written = write_at(&*store, revoke("key_1"), later(5)).await;
    let record = written.key.unwrap().record;
    assert_eq!((record.revoked_at, &record.previous), (Some(later(5)), &None));
    let again = write_at(&*store, revoke("key_1"), later(9)).await;
    assert_eq!(again.revision, written.revision);
    assert_eq!(again.key.unwrap().record, record);
    let extend = AlterKey { expires_at: Some(None), ..AlterKey::default() };
    for change in [rename("key_1", "x"), alter("key_1", extend), regenerate("key_1", "y", 0)] {
        assert_eq!(refusal(&*store, change).await, Refused::Revoked);
    }
    assert_eq!(store.load().await.unwrap().accounts[0].keys, [record]);
}

/// K17: from the instant on at which it ends.
pub(crate) async fn an_expired_key_stays_expired(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let short = KeyRecord { expires_at: Some(later(10)), ..key("key_1") };
    write(&*store, create("acme", short)).await;
    write_at(&*store, rename("key_1", "still there"), later(9)).await;
    let extend =
        alter("key_1", AlterKey { expires_at: Some(Some(later(99))), ..AlterKey::default() });
    for change in [rename("key_1", "x"), extend, regenerate("key_1", "y", 0)] {
        assert_eq!(refusal_at(&*store, change, later(10)).await, Refused::Expired);
    }
    let record = write_at(&*store, revoke("key_1"), later(10)).await.key.unwrap().record;
    assert_eq!(record.revoked_at, Some(later(10)));
}

/// K26.
pub(crate) async fn a_legacy_key_can_only_be_revoked(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let legacy = KeyRecord { data_scope: Some(DataScope::Legacy), ..key("key_1") };
    write(&*store, create("acme", legacy)).await;
    for change in [rename("key_1", "x"), regenerate("key_1", "y", 0)] {
        assert_eq!(refusal(&*store, change).await, Refused::Legacy);
    }
    assert!(write(&*store, revoke("key_1")).await.key.unwrap().record.revoked_at.is_some());
}

/// K19, K20: the account's own number, else the given one; only live keys count.
pub(crate) async fn a_full_account_takes_no_more_until_one_is_revoked_or_expires(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    with_plain(&*store, "plain").await;
    for (account, live_max) in [("acme", 3), ("plain", 10)] {
        let named = |number: u32| key(&format!("{account}_{number}"));
        let short = KeyRecord { expires_at: Some(later(10)), ..named(0) };
        write(&*store, create(account, short)).await;
        for number in 1..live_max {
            write(&*store, create(account, named(number))).await;
        }
        let full = Refused::TooManyLiveKeys { live_max };
        assert_eq!(refusal(&*store, create(account, named(100))).await, full);
        write(&*store, revoke(&named(1).id)).await;
        write(&*store, create(account, named(100))).await;
        assert_eq!(refusal(&*store, create(account, named(101))).await, full);
        write_at(&*store, create(account, named(101)), later(10)).await;
        assert_eq!(refusal_at(&*store, create(account, named(102)), later(10)).await, full);
    }
}

/// K8, K12, K18, K32.
pub(crate) async fn keys_are_listed_by_status_the_oldest_first(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    with_plain(&*store, "other").await;
    write(&*store, create("other", key("foreign"))).await;
    write_at(&*store, create("acme", key("live")), later(2)).await;
    let short = KeyRecord { expires_at: Some(later(10)), ..key("short") };
    write_at(&*store, create("acme", short.clone()), later(1)).await;
    write_at(&*store, create("acme", key("gone")), later(3)).await;
    let both = KeyRecord { id: "both".to_owned(), digest: digest("both"), ..short };
    write_at(&*store, create("acme", both), later(4)).await;
    for id in ["gone", "both"] {
        write_at(&*store, revoke(id), later(5)).await;
    }
    for (status, at, expected) in [
        (KeyStatus::Active, later(9), vec!["short", "live"]),
        (KeyStatus::Active, later(10), vec!["live"]),
        (KeyStatus::Expired, later(9), vec![]),
        (KeyStatus::Expired, later(10), vec!["short"]),
        (KeyStatus::Revoked, later(10), vec!["gone", "both"]),
        (KeyStatus::All, later(10), vec!["short", "live", "gone", "both"]),
    ] {
        let listed = store.keys("acme", status, at, all(10)).await.unwrap();
        let ids: Vec<_> = listed.items.iter().map(|key| key.record.id.as_str()).collect();
        assert_eq!((ids, listed.next), (expected, None), "{status:?} at {at}");
    }
    assert_eq!(store.keys("none", KeyStatus::All, NOW, all(10)).await.unwrap().items, []);
}

/// Keys of one moment, and one made while the list is read: none twice, none of the old left out.
pub(crate) async fn keys_are_paged(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let ids = ["e", "b", "d.1", "a", "c"];
    for id in ids {
        write(&*store, create("acme", key(id))).await;
    }
    let (mut seen, mut page) = (Vec::new(), all(2));
    loop {
        let listed = store.keys("acme", KeyStatus::Active, NOW, page).await.unwrap();
        seen.extend(listed.items.into_iter().map(|key| key.record.id));
        if seen.len() == 2 {
            write_at(&*store, create("acme", key("new")), later(1)).await;
        }
        match listed.next {
            Some(next) => page = Page { after: Some(next), limit: 2 },
            None => break,
        }
    }
    assert_eq!(seen, ["a", "b", "c", "d.1", "e", "new"]);
}

pub(crate) async fn a_cursor_that_no_list_gave_is_refused(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    for cursor in ["", "x", "1", "x.key_1", "99999999999999999999.key"] {
        let page = Page { after: Some(cursor.to_owned()), limit: 2 };
        let listed = store.keys("acme", KeyStatus::All, NOW, page.clone()).await;
        assert!(matches!(listed, Err(StoreError::Cursor(_))), "{cursor:?}: {listed:?}");
        if cursor != "1" {
            let listed = store.audit(None, page).await;
            assert!(matches!(listed, Err(StoreError::Cursor(_))), "{cursor:?}: {listed:?}");
        }
    }
}
