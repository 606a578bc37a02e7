//! Many who change at the same time.

use std::sync::Arc;

use gateway_policy::AccountRecord;
use gateway_store::{Change, KeyStatus, Refused, Store, WriteError};
use tokio::task::JoinSet;

use crate::place::Place;
use crate::records::{NOW, all, author, create, key, later, rename, with_plain, write};

/// K19, K20: ten stay ten, however many come at once and from wherever.
pub(crate) async fn of_eleven_creations_at_once_ten_are_made(place: Place) {
    let handles = [place.open().await, place.open().await];
    for round in 0..5 {
        let account = format!("acme_{round}");
        with_plain(&*handles[0], &account).await;
        let mut rivals = JoinSet::new();
        for number in 0..11 {
            let store = Arc::clone(&handles[number % 2]);
            let change = create(&account, key(&format!("{account}_{number}")));
            rivals.spawn(async move { store.write(change, &author(), NOW).await });
        }
        let mut refused = 0;
        while let Some(result) = rivals.join_next().await {
            match result.unwrap() {
                Ok(_) => {}
                Err(WriteError::Refused(Refused::TooManyLiveKeys { live_max: 10 })) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(refused, 1);
        let listed = handles[1].keys(&account, KeyStatus::Active, NOW, all(20)).await.unwrap();
        assert_eq!(listed.items.len(), 10);
    }
}

pub(crate) async fn of_one_id_and_one_digest_one_key_is_made(place: Place) {
    let handles = [place.open().await, place.open().await];
    for account in ["a", "b", "c", "d"] {
        with_plain(&*handles[0], account).await;
    }
    let mut rivals = JoinSet::new();
    for (number, account) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let store = Arc::clone(&handles[number % 2]);
        let change = create(account, key("key_1"));
        rivals.spawn(async move { store.write(change, &author(), NOW).await.is_ok() });
    }
    let made = rivals.join_all().await.into_iter().filter(|made| *made).count();
    assert_eq!(made, 1);
}

const WRITERS: usize = 4;
const CHANGES: usize = 25;

/// Who has seen revision 8 has seen 7: a follower that only ever asks for what is newer ends with all
/// that there is, and never sees a key without its account.
pub(crate) async fn a_follower_misses_nothing_while_others_write(place: Place) {
    let reader = place.open().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = place.open().await;
        writers.spawn(async move { work(&*store, writer).await });
    }
    let mut follower = Follower::default();
    let goal = (WRITERS * (1 + CHANGES + CHANGES / 5)) as u64;
    while follower.revision < goal {
        if let Some(ended) = writers.try_join_next() {
            ended.unwrap();
        }
        follower.follow(&*reader).await;
    }
    while let Some(ended) = writers.join_next().await {
        ended.unwrap();
    }
    let all = reader.load().await.unwrap();
    assert_eq!((all.revision, follower.revision), (goal, goal));
    follower.accounts.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(follower.accounts, all.accounts);
}

/// An account, keys of it, and each fifth renamed. No revision comes twice.
async fn work(store: &dyn Store, writer: usize) {
    let account = format!("account_{writer}");
    with_plain(store, &account).await;
    let mut last = 0;
    for number in 0..CHANGES {
        let id = format!("{account}_key_{number:02}");
        let short = gateway_policy::KeyRecord { expires_at: Some(later(0)), ..key(&id) };
        let live = if number % 5 == 0 { key(&id) } else { short };
        let mut revisions = vec![write(store, create(&account, live)).await.revision];
        if number % 5 == 0 {
            revisions.push(write(store, rename(&id, "new")).await.revision);
        }
        for revision in revisions {
            assert!(revision > last);
            last = revision;
        }
    }
}

/// What a gateway keeps.
#[derive(Default)]
struct Follower {
    revision: u64,
    accounts: Vec<AccountRecord>,
}

impl Follower {
    async fn follow(&mut self, store: &dyn Store) {
        let delta = store.changes(self.revision).await.unwrap();
        assert!(delta.revision >= self.revision);
        self.revision = delta.revision;
        for newer in delta.accounts {
            match self.accounts.iter_mut().find(|known| known.id == newer.id) {
                None => self.accounts.push(newer),
                Some(known) => {
                    let mut keys = std::mem::take(&mut known.keys);
                    for key in newer.keys.iter().cloned() {
                        keys.retain(|known| known.id != key.id);
                        keys.push(key);
                    }
                    keys.sort_by(|one, other| one.id.cmp(&other.id));
                    *known = AccountRecord { keys, ..newer };
                }
            }
        }
    }
}

/// Each of the rows that rivals wrote has a revision of its own.
pub(crate) async fn each_change_has_a_revision_of_its_own(place: Place) {
    let store = place.open().await;
    with_plain(&*store, "acme").await;
    let mut rivals = JoinSet::new();
    for number in 0..20 {
        let handle = if number % 2 == 0 { Arc::clone(&store) } else { place.open().await };
        let record = AccountRecord::new(&format!("a{number}"), "starter");
        let change = Change::CreateAccount(Box::new(record));
        rivals.spawn(async move { handle.write(change, &author(), NOW).await.unwrap().revision });
    }
    let mut revisions = rivals.join_all().await;
    revisions.sort_unstable();
    assert_eq!(revisions, (2..22).collect::<Vec<u64>>());
}
