use gateway_policy::Digest;

use super::*;

fn delta(account: &str, keys: &[&str]) -> Delta {
    let key = |id: &&str| KeyRecord::new(id, Digest::sha256(id.as_bytes()), &["calls:read"]);
    let keys = keys.iter().map(key).collect();
    let record = AccountRecord { keys, ..AccountRecord::new(account, "starter") };
    Delta { revision: 2, accounts: vec![record], unreadable: Vec::new() }
}

fn unreadable(account: &str, key: Option<&str>) -> Unreadable {
    let fault = RecordFault::new(format!("accounts.{account}"), "it cannot be read".to_owned());
    Unreadable { account: account.to_owned(), key: key.map(str::to_owned), fault }
}

/// Else each change beside it would read the whole store.
#[test]
fn only_a_change_of_a_record_that_could_not_be_read_hides_anything() {
    let mut holdings = Holdings::default();
    let known = vec![unreadable("acme", Some("key_odd")), unreadable("beta", None)];
    holdings.fill(Delta { revision: 1, accounts: Vec::new(), unreadable: known });
    for (account, keys, hidden) in [
        ("gamma", &["key_1"][..], false),
        ("acme", &[], false),
        ("acme", &["key_1", "key_2"], false),
        // It can be read again.
        ("acme", &["key_1", "key_odd"], true),
        // Its other keys have not changed, and are not in it.
        ("beta", &["key_1"], true),
        ("beta", &[], true),
        // The id of an account alone does not make a key.
        ("gamma", &["key_odd"], false),
    ] {
        assert_eq!(holdings.is_hidden_by(&delta(account, keys)), hidden, "{account} {keys:?}");
    }
    let worse = Delta { unreadable: vec![unreadable("gamma", None)], ..delta("delta", &[]) };
    assert!(holdings.is_hidden_by(&worse), "a record that has become unreadable is taken out");
    assert!(!Holdings::default().is_hidden_by(&delta("acme", &["key_odd"])));
}
