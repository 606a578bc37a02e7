//! Any text as a directory: what is sound serves, and no key's plain text is shown anywhere.
//!
//! A `@` in the input stands for a key in plain text, so that one can be anywhere. It must be in no fault,
//! no id and no name of what serves; faults have places and remedies as those of a configuration.

use std::path::Path;
use std::sync::OnceLock;

use gateway_policy::{Meters, Rules, compile};
use gateway_settings::{Fault, KeyForm, LoadedDirectory, load, load_directory};

use crate::faults::{SECRET, Table, hold};

/// As long as keys are; what is left of it when a line is cut is still to be seen.
const KEY: &str = "avoca_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// The least of it that must not be shown.
const PART: &str = "9abcdef0";

const CONFIGURATION: &str = "version: 1
plans: { p: { limits: { minute: { requests: 9, window: 1m } } } }
scopes: { calls:read: Calls }
resources: { calls: { columns: { call_id: {}, agent: { assistant: true } } } }
";

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| match load(CONFIGURATION, Path::new("g.yaml"), &Table) {
        Ok(loaded) => loaded.rules,
        Err(faults) => panic!("{faults:?}"),
    })
}

fn read(text: &str) -> Result<LoadedDirectory, Vec<Fault>> {
    load_directory(text, Path::new("file.yaml"), &Table, &KeyForm::default())
}

pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if text.contains(PART) {
        return;
    }
    let text = text.replace('@', KEY);
    // What stands in a text may be repeated from it; the key may not even then.
    let hold_all = |faults: &[Fault]| {
        hold(&text, faults, &[SECRET]);
        assert!(faults.iter().all(|fault| !fault.to_string().contains(PART)), "{faults:?}");
    };
    match read(&text) {
        Err(faults) => {
            assert!(faults.iter().any(|fault| !fault.warning));
            hold_all(&faults);
        }
        Ok(loaded) => {
            hold_all(&loaded.left_out);
            let compiled = compile(&loaded.directory, rules(), &Meters::new());
            hold_all(&loaded.faults(&compiled.left_out, rules()));
            hold_all(&loaded.warnings(rules()));
            let mut keys = 0;
            for account in &loaded.directory.accounts {
                let names = account.assistants.names.iter().map(|(_, name)| name);
                let names = names.chain(&account.assistants.fallback).chain([&account.name]);
                let users = account.users.iter();
                let users = users.flat_map(|user| [Some(&user.id), user.email.as_ref()]).flatten();
                let of_keys = account.keys.iter().flat_map(|key| {
                    let texts = [Some(&key.id), Some(&key.name), Some(&key.display)];
                    texts.into_iter().chain([key.owner.as_ref(), key.user.as_ref()]).flatten()
                });
                let mut shown = names.chain(users).chain(of_keys).chain([&account.id]);
                assert!(!shown.any(|text| text.contains(PART)), "a key where a name should be");
                keys += account.keys.len();
            }
            assert!(compiled.keys.len() <= keys, "more keys serve than there are");
        }
    }
}
