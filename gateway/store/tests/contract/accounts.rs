//! Accounts, their users, columns and assistants.

use gateway_policy::{AccountRecord, AssistantNames, ColumnLists, UserRecord};
use gateway_store::{AlterAccount, Change, Delta, Page, Refused};

use crate::place::Place;
use crate::records::{acme, all, ann, refusal, with_acme, with_plain, write};

pub(crate) async fn a_new_store_is_empty(place: Place) {
    let store = place.open().await;
    assert_eq!(store.load().await.unwrap(), Delta::default());
    assert_eq!(store.account("acme").await.unwrap(), None);
    assert_eq!(store.key("key_1").await.unwrap(), None);
    assert_eq!(store.accounts(all(10)).await.unwrap().items, []);
    assert_eq!(store.audit(None, all(10)).await.unwrap().items, []);
}

pub(crate) async fn an_account_is_there_as_it_was_made(place: Place) {
    let store = place.open().await;
    // Users and keys of the record are not looked at.
    let given = AccountRecord { users: vec![ann()], ..acme() };
    let written = write(&*store, Change::CreateAccount(Box::new(given))).await;
    assert_eq!((written.revision, written.key, written.is_replay), (1, None, false));
    assert_eq!(written.account, acme());
    assert_eq!(store.account("acme").await.unwrap(), Some(acme()));
    let delta = Delta { revision: 1, accounts: vec![acme()], ..Delta::default() };
    assert_eq!(store.load().await.unwrap(), delta);
    assert_eq!(place.open().await.load().await.unwrap(), delta, "by another handle");
}

pub(crate) async fn an_account_is_made_once(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let refused = refusal(&*store, Change::CreateAccount(Box::new(acme()))).await;
    assert_eq!(refused, Refused::AccountExists("acme".to_owned()));
    assert_eq!(store.load().await.unwrap().revision, 2);
}

pub(crate) async fn what_is_altered_of_an_account_is_altered_alone(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let before = store.account("acme").await.unwrap().unwrap();
    let nothing = AlterAccount::default;
    let named = AlterAccount { name: Some("New".to_owned()), ..nothing() };
    let moved = AlterAccount { plan: Some("starter".to_owned()), ..nothing() };
    let of_any_team = AlterAccount { teams: Some(None), ..nothing() };
    let unbounded = AlterAccount { live_max: Some(None), ..nothing() };
    let mut after = before;
    for (alter, expected) in [
        (named, (|record| record.name = "New".to_owned()) as fn(&mut AccountRecord)),
        (moved, |record| record.plan = "starter".to_owned()),
        (of_any_team, |record| record.teams = None),
        (unbounded, |record| record.live_max = None),
    ] {
        expected(&mut after);
        let change = Change::AlterAccount { account: "acme".to_owned(), alter };
        assert_eq!(write(&*store, change).await.account, after);
        assert_eq!(store.account("acme").await.unwrap().as_ref(), Some(&after));
    }
    let change = Change::AlterAccount { account: "none".to_owned(), alter: nothing() };
    assert_eq!(refusal(&*store, change).await, Refused::NoSuchAccount("none".to_owned()));
}

pub(crate) async fn users_are_made_and_replaced(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let zoe = UserRecord { id: "u_zoe".to_owned(), email: None, active: true };
    let left = UserRecord { active: false, email: None, ..ann() };
    for (user, users) in
        [(zoe.clone(), vec![ann(), zoe.clone()]), (left.clone(), vec![left, zoe])]
    {
        let change = Change::PutUser { account: "acme".to_owned(), user };
        assert_eq!(write(&*store, change).await.account.users, users);
        assert_eq!(store.account("acme").await.unwrap().unwrap().users, users);
        assert_eq!(store.load().await.unwrap().accounts[0].users, users);
    }
    let change = Change::PutUser { account: "none".to_owned(), user: ann() };
    assert_eq!(refusal(&*store, change).await, Refused::NoSuchAccount("none".to_owned()));
}

pub(crate) async fn columns_are_set_for_the_account_and_for_each_team(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let set = |team: Option<&str>, columns: &[&str]| Change::PutColumns {
        account: "acme".to_owned(),
        team: team.map(str::to_owned),
        columns: columns
            .iter()
            .map(|resource| ((*resource).to_owned(), vec!["id".to_owned()]))
            .collect(),
    };
    let record = write(&*store, set(None, &["leads"])).await.account;
    assert_eq!(record.columns.keys().collect::<Vec<_>>(), ["leads"]);
    assert_eq!(record.team_columns.keys().collect::<Vec<_>>(), ["102"], "of a team, untouched");
    let record = write(&*store, set(Some("101"), &["leads", "coach"])).await.account;
    assert_eq!(record.team_columns["101"].len(), 2);
    let record = write(&*store, set(Some("102"), &[])).await.account;
    assert_eq!(record.team_columns.keys().collect::<Vec<_>>(), ["101"], "no list, no entry");
    let record = write(&*store, set(None, &[])).await.account;
    assert_eq!(record.columns, ColumnLists::new());
    let refused = refusal(&*store, set(Some("103"), &["leads"])).await;
    assert_eq!(refused, Refused::NoSuchTeam("103".to_owned()));
}

/// M1: names are tried in the order that they were given.
pub(crate) async fn assistants_are_replaced_in_their_order(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let pair = |id: &str| (id.to_owned(), format!("{id}\u{0}\t\\ \"name\""));
    let assistants =
        AssistantNames { names: vec![pair("z"), pair("a"), pair("m")], fallback: None };
    let change = Change::PutAssistants { account: "acme".to_owned(), assistants };
    let written = write(&*store, change).await.account.assistants;
    assert_eq!(written.names, [pair("z"), pair("a"), pair("m")]);
    assert_eq!(written.fallback, None);
    let change = Change::PutAssistants {
        account: "none".to_owned(),
        assistants: AssistantNames::default(),
    };
    assert_eq!(refusal(&*store, change).await, Refused::NoSuchAccount("none".to_owned()));
}

pub(crate) async fn what_is_as_wished_is_no_change(place: Place) {
    let store = place.open().await;
    with_acme(&*store).await;
    let account = || "acme".to_owned();
    for change in [
        Change::AlterAccount { account: account(), alter: AlterAccount::default() },
        Change::PutUser { account: account(), user: ann() },
        Change::PutColumns { account: account(), team: None, columns: acme().columns },
        Change::PutAssistants { account: account(), assistants: acme().assistants },
    ] {
        let written = write(&*store, change.clone()).await;
        assert_eq!(written.revision, 2, "{change:?}");
        assert_eq!(written.account.users, [ann()]);
    }
    assert_eq!(store.audit(None, all(10)).await.unwrap().items.len(), 2);
}

pub(crate) async fn accounts_are_paged_by_id(place: Place) {
    let store = place.open().await;
    for id in ["b", "a", "B", "é", "a_2", "a.1"] {
        with_plain(&*store, id).await;
        let user = UserRecord { id: format!("of {id}"), ..ann() };
        write(&*store, Change::PutUser { account: id.to_owned(), user }).await;
    }
    let mut seen = Vec::new();
    let mut page = all(2);
    loop {
        let listed = store.accounts(page).await.unwrap();
        assert!(listed.items.len() <= 2);
        for AccountRecord { id, users, .. } in listed.items {
            let users: Vec<_> = users.into_iter().map(|user| user.id).collect();
            assert_eq!(users, [format!("of {id}")]);
            seen.push(id);
        }
        match listed.next {
            Some(next) => page = Page { after: Some(next), limit: 2 },
            None => break,
        }
    }
    assert_eq!(seen, ["B", "a", "a.1", "a_2", "b", "é"]);
    let listed = store.accounts(all(6)).await.unwrap();
    assert_eq!((listed.items.len(), listed.next), (6, None), "a page that is just filled");
}
