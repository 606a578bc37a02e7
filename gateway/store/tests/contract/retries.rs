//! Creations that are sent again, because their answer was lost.

use gateway_policy::KeyRecord;
use gateway_store::{KeyStatus, Refused};

use crate::place::Place;
use crate::records::{
    DAY_MS, NOW, all, create_again, digest, key, later, refusal, refusal_at, rename, revoke,
    stored, with_plain, write, write_at,
};

/// The caller makes a new id and a new secret each time; the first ones count.
pub(crate) async fn a_creation_sent_again_makes_one_key(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let first = write(&*store, create_again("acme", key("key_1"), "t", "r")).await;
    assert!(!first.is_replay);
    let again = write(&*store, create_again("acme", key("key_2"), "t", "r")).await;
    assert!(again.is_replay);
    assert_eq!((again.revision, &again.key), (first.revision, &first.key));
    let listed = store.keys("acme", KeyStatus::All, NOW, all(10)).await.unwrap();
    assert_eq!(listed.items, [first.key.unwrap()]);
    assert_eq!(store.audit(None, all(10)).await.unwrap().items.len(), 2);
    // As it stands by then, whatever became of it.
    write(&*store, rename("key_1", "new")).await;
    let revoked = write(&*store, revoke("key_1")).await;
    let again = write(&*store, create_again("acme", key("key_3"), "t", "r")).await;
    assert_eq!((again.is_replay, again.revision), (true, revoked.revision));
    assert_eq!(again.key, Some(stored(&*store, "key_1").await));
}

pub(crate) async fn another_request_under_the_same_token_is_refused(place: Place) {
    let store = place.open().await;
    for account in ["acme", "other"] {
        with_plain(&*store, account).await;
    }
    write(&*store, create_again("acme", key("key_1"), "t", "r")).await;
    let differs = create_again("acme", key("key_2"), "t", "another");
    assert_eq!(refusal(&*store, differs).await, Refused::RetryDiffers);
    // Tokens are an account's own.
    let other = write(&*store, create_again("other", key("key_2"), "t", "another")).await;
    assert!(!other.is_replay);
}

/// What was refused was not made, and may be tried again.
pub(crate) async fn a_refused_creation_is_not_remembered(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let no_user = KeyRecord { user: Some("u".to_owned()), ..key("key_1") };
    let refused = refusal(&*store, create_again("acme", no_user, "t", "r")).await;
    assert_eq!(refused, Refused::NoSuchUser("u".to_owned()));
    assert!(!write(&*store, create_again("acme", key("key_1"), "t", "other")).await.is_replay);
}

pub(crate) async fn a_token_is_remembered_for_a_day(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    write(&*store, create_again("acme", key("key_1"), "t", "r")).await;
    let differs = create_again("acme", key("key_2"), "t", "another");
    let refused = refusal_at(&*store, differs.clone(), later(DAY_MS - 1)).await;
    assert_eq!(refused, Refused::RetryDiffers);
    assert!(!write_at(&*store, differs, later(DAY_MS)).await.is_replay);
}

/// A client of the admin API could send a new token with every call.
pub(crate) async fn only_the_latest_thousand_are_remembered(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let made = |number: u64| {
        let id = format!("key_{number}");
        let dead = KeyRecord { expires_at: Some(NOW), ..key(&id) };
        create_again("acme", dead, &format!("t{number}"), "r")
    };
    for number in 0..=1_000 {
        write_at(&*store, made(number), later(number)).await;
    }
    let again = |number: u64| {
        let key = KeyRecord { digest: digest("new"), ..key("key_new") };
        create_again("acme", key, &format!("t{number}"), "r")
    };
    assert!(write_at(&*store, again(1), later(1_001)).await.is_replay);
    assert!(write_at(&*store, again(1_000), later(1_001)).await.is_replay);
    assert!(!write_at(&*store, again(0), later(1_001)).await.is_replay);
}
