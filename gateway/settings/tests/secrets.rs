//! A key's plain text in the wrong place of a directory: no fault repeats it, no record shows it.
#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;

use gateway_policy::{Digest, Meters, compile};
use gateway_settings::{Fault, KeyForm, LoadedDirectory, LookUp, load, load_directory};

struct Nothing;

impl LookUp for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

const CONFIGURATION: &str = "version: 1
plans: { p: { limits: { minute: { requests: 9, window: 1m } } } }
scopes: { calls:read: Calls }
resources: { calls: { columns: { call_id: {} } } }
";

/// Every form that keys have somewhere, and what no output may have of it.
const KEYS: [(&str, &str); 9] = [
    ("avoca_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "9abcdef0"),
    ("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "9abcdef0"),
    ("aivo_sk_live_9aB8cD7eF6gH5iJ4kL3mN2oP1q", "9aB8cD"),
    ("6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f", "4c6d"),
    ("CLIENTKEY0123456789ab:CLIENTSECRET0123456789", "SECRET"),
    ("avoca_A1b2C3d4E5f6G7h8I9j0K1l2M3n4", "C3d4"),
    ("hunter2hunter2", "hunter2"),
    ("correct horse battery staple", "battery"),
    ("a`b`c`s3cret", "s3cret"),
];

fn directory(fields: &str) -> String {
    format!(
        "version: 1\naccounts:\n  acme:\n    plan: p\n    keys:\n      k1:\n        digest: \"{}\"\n        scopes: [calls:read]\n{fields}",
        Digest::sha256(b"another key")
    )
}

fn read(text: &str) -> Result<LoadedDirectory, Vec<Fault>> {
    load_directory(text, Path::new("d.yaml"), &Nothing, &KeyForm::default())
}

/// All that is said of a directory, also when it meets the configuration; and how many keys serve.
fn said_of(text: &str) -> (String, usize) {
    let rules = load(CONFIGURATION, Path::new("g.yaml"), &Nothing).unwrap().rules;
    let (faults, keys) = match read(text) {
        Ok(loaded) => {
            let compiled = compile(&loaded.directory, &rules, &Meters::new());
            let mut faults = loaded.left_out.clone();
            faults.extend(loaded.faults(&compiled.left_out, &rules));
            (faults, compiled.keys.len())
        }
        Err(faults) => (faults, 0),
    };
    let said = faults.iter().map(|fault| format!("{fault}\n{fault:?}\n")).collect();
    (said, keys)
}

/// A6: whatever the field, whatever the form of the key.
#[test]
fn a_key_in_any_place_of_a_record_is_in_no_fault() {
    for (key, secret) in KEYS {
        for fields in [
            format!("        key: \"{key}\"\n"),
            format!("        key: >\n          {key}\n"),
            format!("        key: [\"{key}\"]\n"),
            format!("        key: {{ value: \"{key}\" }}\n"),
            format!("        digets: \"{key}\"\n"),
            format!("        \"{key}\": 1\n"),
            format!("        bogus: 1 # {key}\n"),
            format!("        scopes: [\"{key}\"]\n"),
            format!("        data_scope: \"{key}\"\n"),
            format!("        user: \"{key}\"\n        data_scope: user_full\n"),
            format!("        expires_at: \"{key}\"\n"),
            format!("        revoked_at: \"${{X:-{key}}}\"\n"),
            format!("        owner: \"${{{key}}}\"\n"),
            format!("        owner: \"${{file:{key}}}\"\n"),
            format!("        allowed_ips: [\"{key}\"]\n"),
            format!("        limits: \"{key}\"\n"),
            format!("        limits: {{ \"{key}\": 1 }}\n"),
            format!("        limits: {{ minute: {{ requests: \"{key}\", window: \"{key}\" }} }}\n"),
            format!("        limits: {{ \"{key}\": {{ requests: 1, window: 1m, burst: 2 }} }}\n"),
            format!("        teams: \"{key}\"\n"),
            format!("        teams: [\"{key}\", \"{key}\"]\n        bogus: 1\n"),
            format!("        key: {key}: x\n"),
            format!("        key: \"{key}\n"),
            format!("      \"{key}\": {{ bogus: 1 }}\n"),
            format!("      \"{key}\": 1\n"),
            format!("      \"{key}\": {{}}\n      \"{key}\": {{}}\n"),
            format!("    users: {{ \"{key}\": {{ active: \"{key}\" }} }}\n"),
            format!("    plan: \"{key}\"\n"),
            format!("    columns: {{ \"{key}\": [\"{key}\"], calls: [\"{key}\"] }}\n"),
            format!("    team_columns: {{ \"{key}\": {{ calls: [\"{key}\"] }} }}\n"),
            format!("    assistants: {{ names: {{ \"{key}\": [1] }} }}\n"),
            format!("    bogus: \"{key}\"\n"),
            format!("  \"{key}\": {{ plan: \"{key}\" }}\n"),
            format!("\"{key}\": 1\n"),
            format!("version: \"{key}\"\n"),
        ] {
            let (said, _) = said_of(&directory(&fields));
            assert!(!said.is_empty(), "nothing is said of {fields}");
            assert!(!said.contains(secret), "{fields}{said}");
        }
    }
}

/// A6: names and ids are shown to callers, so a record with a key in their place does not serve.
#[test]
fn a_record_whose_name_or_id_is_a_key_is_left_out() {
    let own = "a-key of no known form";
    let digest = Digest::sha256(own.as_bytes());
    let record = |id: &str, fields: &str| {
        format!(
            "version: 1\naccounts:\n  acme:\n    plan: p\n    keys:\n      good: {{ digest: \"{}\", scopes: [calls:read] }}\n      \
             {id}: {{ digest: \"{digest}\", scopes: [calls:read], {fields} }}\n",
            Digest::sha256(b"goodkey1")
        )
    };
    let hex = "0123456789abcdef".repeat(4);
    for (id, fields, serves) in [
        ("k1", "name: CRM".to_owned(), true),
        ("k1", "name: avoca_crm".to_owned(), true),
        ("k1", "display: avoca_ab12…9f0c".to_owned(), true),
        ("k1", format!("name: \"{own}\""), false),
        ("k1", format!("owner: \"{own}\""), false),
        ("k1", format!("user: \"{own}\", data_scope: user_full"), false),
        ("k1", format!("display: \"{own}\""), false),
        ("k1", "display: 6f1c…3e4f".to_owned(), true),
        ("k1", "name: goodkey1".to_owned(), false),
        ("goodkey1", "name: CRM".to_owned(), false),
        ("k1", format!("name: {hex}"), false),
        ("k1", format!("name: avoca_{hex}"), false),
        ("k1", format!("name: avoca_{}", &hex[..16]), false),
        ("k1", format!("name: \"CRM (avoca_{hex})\""), false),
        ("k1", format!("owner: \"avoca_{hex}/\""), false),
        ("k1", format!("name: \"xavoca_{} y\"", &hex[..16]), false),
        ("k1", "name: \"the avoca_crm integration\"".to_owned(), true),
        ("k1", format!("name: \"CRM ({hex})\""), false),
        ("k1", format!("owner: xavoca_{}", &hex[..26]), true),
        ("k1", format!("display: avoca_{}…9f0c", &hex[..16]), true),
        (&*format!("avoca_{hex}"), "name: CRM".to_owned(), false),
    ] {
        let (said, keys) = said_of(&record(id, &fields));
        assert_eq!(keys, 1 + usize::from(serves), "{id} {fields}\n{said}");
        assert_eq!(said.is_empty(), serves, "{id} {fields}\n{said}");
        assert!(!said.contains(own) && !said.contains(&hex[..16]), "{said}");
        assert!(!said.contains("goodkey1"), "{said}");
        assert!(serves || said.contains("is the text of a key"), "{said}");
    }
}

/// A display is masked, whatever form the key has.
#[test]
fn a_display_that_masks_nothing_is_a_fault() {
    for (display, good) in [
        ("avoca_ab12…9f0c", true),
        ("sk_live_****1234", true),
        ("6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f", false),
        ("CLIENTKEY01234:CLIENTSECRET0123", false),
        ("avoca_0123456789abcdef01234567…", false),
    ] {
        let (said, keys) = said_of(&directory(&format!("        display: \"{display}\"\n")));
        assert_eq!(keys == 1, good, "{display} {said}");
        assert!(!said.contains(display), "{said}");
    }
}

/// Assistants' names go to every customer.
#[test]
fn an_account_that_would_show_a_key_is_left_out() {
    let other = "avoca_0123456789abcdef0123";
    for field in [
        "name: goodkey1",
        "assistants: { names: { a: goodkey1 } }",
        "assistants: { fallback: goodkey1 }",
        &*format!("name: \"of {other}\""),
        &*format!("assistants: {{ names: {{ a: \"of {other}\" }} }}"),
    ] {
        let text = format!(
            "version: 1\naccounts:\n  acme:\n    plan: p\n    {field}\n    keys: {{ good: {{ digest: \"{}\", scopes: [calls:read] }} }}\n",
            Digest::sha256(b"goodkey1")
        );
        let (said, keys) = said_of(&text);
        assert_eq!(keys, 0, "{field}");
        assert!(said.contains("is the text of a key"), "{said}");
        assert!(!said.contains("goodkey1") && !said.contains(other), "{said}");
    }
}

/// A user's id and e-mail are shown to the account's administrators.
#[test]
fn a_user_who_would_show_a_key_is_left_out() {
    let hex = "0123456789abcdef".repeat(4);
    let prefixed = format!("avoca_{hex}");
    for (user, is_key) in [
        ("u1: { email: ann@acme.test }".to_owned(), false),
        ("desk_01hzx3k9p2m4n6q8r0stvwxyz1: {}".to_owned(), false),
        (format!("u1: {{ email: {prefixed}@acme.test }}"), true),
        (format!("u1: {{ email: {hex}@acme.test }}"), true),
        (format!("{prefixed}: {{}}"), true),
        (format!("x-{prefixed}-y: {{}}"), true),
    ] {
        let text =
            format!("version: 1\naccounts: {{ acme: {{ plan: p, users: {{ {user} }} }} }}\n");
        let (said, _) = said_of(&text);
        assert_eq!(said.contains("is the text of a key"), is_key, "{user} {said}");
        assert_eq!(said.is_empty(), !is_key, "{user} {said}");
        assert!(!said.contains(&hex[..16]), "{said}");
    }
}

/// No key of one account takes out another: whoever adds it chooses its digest.
#[test]
fn the_digests_of_other_accounts_take_no_account_out() {
    let account = |id: &str, name: &str, key: &str| {
        let digest = Digest::sha256(key.as_bytes());
        format!(
            "  {id}:\n    name: {name}\n    plan: p\n    teams: [101]\n    keys: {{ k_{id}: {{ digest: \"{digest}\", scopes: [calls:read] }} }}\n"
        )
    };
    let text = format!(
        "version: 1\naccounts:\n{}{}",
        account("acme", "Acme", "101"),
        account("other", "Other", "Acme")
    );
    let (said, keys) = said_of(&text);
    assert_eq!((said.as_str(), keys), ("", 2));
}

/// Ids may be what generators write, where keys are that short, too.
#[test]
fn ids_of_32_digits_are_no_keys() {
    let id = "0123456789abcdef".repeat(2);
    let text = directory(&format!("        owner: {id}\n        name: CRM\n"))
        .replace("k1:", &format!("{id}:"));
    for prefix in ["avoca_", ""] {
        let form = KeyForm { prefix: prefix.into(), length: 32, ..KeyForm::default() };
        let loaded = load_directory(&text, Path::new("d.yaml"), &Nothing, &form).unwrap();
        assert!(loaded.left_out.is_empty(), "{prefix:?}: {:?}", loaded.left_out);
        let named = text.replace("CRM", &id);
        let loaded = load_directory(&named, Path::new("d.yaml"), &Nothing, &form).unwrap();
        assert_eq!(loaded.left_out.len(), usize::from(prefix.is_empty()), "{prefix:?}");
    }
}

/// Where keys are pairs, both halves of one are.
#[test]
fn a_pair_is_a_key_where_keys_are_pairs() {
    let half = "0123456789abcdef".repeat(4);
    let form = KeyForm { pair: true, ..KeyForm::default() };
    let text = directory(&format!("        name: \"avoca_{half}:{half}\"\n"));
    let loaded = load_directory(&text, Path::new("d.yaml"), &Nothing, &form).unwrap();
    assert_eq!(loaded.left_out.len(), 1, "{:?}", loaded.left_out);
    assert!(loaded.directory.accounts[0].keys.is_empty());
}

/// What an operator needs is still said: the record, the field, what is expected, what was meant.
#[test]
fn faults_name_the_record_and_the_word_that_was_meant() {
    for (fields, told) in [
        (
            "        expiers_at: 2027-01-01T00:00:00Z\n",
            "accounts.acme.keys.k1.expiers_at: unknown key `expiers_at`",
        ),
        ("        scopes: [cals:read]\n", "`cals:read`"),
        ("        teams: [999]\n    teams: [101]\n", "team `999` is not one of the account's"),
        ("    plan: q\n", "accounts.acme.plan"),
        (
            "        limits: { minute: { requests: 0, window: 1m } }\n",
            "0 is below the minimum of 1",
        ),
        ("        digest: hunter2\n", "a key's plain text never stands here"),
    ] {
        let text = directory(fields)
            .replace("        scopes: [calls:read]\n        scopes", "        scopes");
        let text = text
            .replace("    plan: p\n", if fields.contains("plan") { "" } else { "    plan: p\n" });
        let text = if fields.contains("digest") {
            text.replacen("        digest: \"sha256", "        # \"", 1)
        } else {
            text
        };
        let (said, _) = said_of(&text);
        assert!(said.contains(told), "{fields}{said}");
    }
}

/// In the configuration, too, what begins as keys do is masked.
#[test]
fn what_begins_as_keys_do_is_masked_in_faults_of_the_configuration() {
    for (text, prefix) in [
        ("keys: { prefix: acme- }\nbogus: acme-hunter2-hunter2\n", "acme-"),
        ("bogus: avoca_hunter2-hunter2\n", "avoca_"),
        ("avoca_hunter2-hunter2: 1\n", "avoca_"),
        ("errors: { style: avoca_hunter2-hunter2 }\n", "avoca_"),
    ] {
        let faults =
            load(&format!("version: 1\n{text}"), Path::new("g.yaml"), &Nothing).unwrap_err();
        let said: String = faults.iter().map(|fault| format!("{fault}\n{fault:?}\n")).collect();
        assert!(said.contains(&format!("{prefix}****")), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}
