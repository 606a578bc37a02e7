//! From where a key may be used, and how much of its account it must reach.

use crate::ask::{Ask, outcome};
use crate::world::World;

/// A list of addresses holds v4, v6 and v4 in v6 clothes, to the edges of its networks.
#[test]
fn a_key_is_used_from_its_addresses_alone() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    for (key, client, admitted) in [
        ("office", "203.0.112.255", false),
        ("office", "203.0.113.0", true),
        ("office", "203.0.113.255", true),
        ("office", "203.0.114.0", false),
        ("office", "::ffff:203.0.113.9", true),
        ("office", "::ffff:203.0.114.9", false),
        // Compatible, 6to4 and translated addresses are not the v4 address that they hold.
        ("office", "::203.0.113.9", false),
        ("office", "2002:cb00:7109::1", false),
        ("office", "64:ff9b::203.0.113.9", false),
        ("offices", "203.0.113.63", false),
        ("offices", "203.0.113.64", true),
        ("offices", "203.0.113.128", false),
        ("offices", "2001:db8:aa::1", true),
        ("offices", "2001:db8:aa:ffff:ffff:ffff:ffff:ffff", true),
        ("offices", "2001:db8:ab::", false),
        ("host_bits", "203.0.113.200", true),
        ("one_host", "203.0.113.7", true),
        ("one_host", "203.0.113.6", false),
        ("mapped", "203.0.113.9", true),
        ("mapped", "::ffff:203.0.113.9", true),
        ("mapped", "203.0.114.9", false),
        ("any_v4", "198.51.100.1", true),
        ("any_v4", "::ffff:198.51.100.1", true),
        ("any_v4", "2001:db8::1", false),
        ("any_v6", "2001:db8::1", true),
        ("any_v6", "198.51.100.1", false),
        ("any_v6", "::ffff:198.51.100.1", false),
        ("full", "198.51.100.1", true),
    ] {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let ask = Ask { client, ..Ask::get("/api/calls", &headers) };
        let expected = if admitted { "forward" } else { "403 ip_not_allowed" };
        assert_eq!(outcome(&snapshot, meters, &ask), expected, "{key} {client}");
    }
}

/// T3: a whole-account route is for keys of all the account's teams, an account's own for that account.
#[test]
fn a_key_reaches_its_whole_account_or_is_refused() {
    let world = World::new();
    let (snapshot, meters) = world.snapshot();
    for (key, path, admitted) in [
        ("full", "/api/whole", true),
        ("each", "/api/whole", true),
        ("two", "/api/whole", false),
        ("anchored", "/api/whole", false),
        ("one_twice", "/api/whole", false),
        ("any_team", "/api/whole", true),
        // Nobody knows all the teams of an account that names none.
        ("some_of_any", "/api/whole", false),
        ("full", "/api/enterprise/acme", true),
        ("anchored", "/api/enterprise/acme", true),
        ("any_team", "/api/enterprise/acme", false),
        ("any_team", "/api/enterprise/open", true),
        ("full", "/api/enterprise/open", false),
        ("full", "/api/enterprise/Acme", false),
        ("full", "/api/enterprise/acm", false),
        ("full", "/api/enterprise/acme2", false),
        ("full", "/api/enterprise/acme%20", false),
    ] {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str())];
        let expected = if admitted { "forward" } else { "403 reach_not_allowed" };
        assert_eq!(outcome(&snapshot, meters, &Ask::get(path, &headers)), expected, "{key} {path}");
    }
}
