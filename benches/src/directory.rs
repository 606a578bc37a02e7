//! Rules from a configuration's text, and snapshots with any number of keys.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;
use std::sync::Arc;

use gateway_policy::{
    AccountRecord, AssistantNames, Digest, Directory, KeyRecord, Meters, Rules, Snapshot, compile,
};
use gateway_settings::LookUp;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderMap, HeaderValue};

use crate::calls;

/// The 31 operations of the worked example, as the repository ships them.
pub const AVOCA: &str = include_str!("../../config/examples/avoca.yaml");

/// One service with lists, rows and a team rule, and limits that no bench reaches.
const CALLS: &str = r#"
version: 1
store: { file: directory.yaml }
upstreams:
  calls: { servers: ["127.0.0.1:9101"] }
plans:
  enterprise: { limits: { minute: { requests: 1000000, window: 1m } } }
scopes: { calls:read: Calls, transcripts:read: Transcripts, leads:read: Leads }
resources:
  calls:
    beside: [pagination]
    columns: { COLUMNS }
  counts: { columns: all }
teams: { header: x-team-id, query: team_id, param: teamId }
routes:
  - { match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", query: [limit, offset, start_date, end_date] }
  - { match: "GET /api/calls/{id}", upstream: calls, scope: calls:read, resource: calls, rows: data }
  - { match: "GET /api/v1/teams/{teamId:int}/calls", upstream: calls, scope: calls:read, resource: calls, rows: "data[]" }
  - { match: "GET /api/counts/**", upstream: calls, scope: calls:read, resource: counts, rows: data, team: none }
"#;

/// Keys of one account.
const KEYS_PER_ACCOUNT: usize = 10;

/// The environment of a configuration that stands for itself.
#[derive(Debug)]
struct Nothing;

impl LookUp for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The rules that a configuration's text stands for.
///
/// # Panics
/// With every fault of the text, so that a bench never runs on less than it names.
pub fn rules(text: &str) -> Arc<Rules> {
    match gateway_settings::load(text, Path::new("gateway.yaml"), &Nothing) {
        Ok(loaded) => Arc::new(loaded.rules),
        Err(faults) => panic!("the configuration has faults: {faults:?}"),
    }
}

/// The rules of [`snapshot`]: four routes, 25 columns.
pub fn calls_rules() -> Arc<Rules> {
    let mut columns = String::new();
    for path in calls::COLUMNS {
        let column = match path {
            "assistant_id" => "{ assistant: true }",
            "custom" => "{ whole: true }",
            _ => "{}",
        };
        // Printing into a string cannot fail.
        let _ = write!(columns, "{path}: {column}, ");
    }
    rules(&CALLS.replace("COLUMNS", &columns))
}

/// A snapshot with `keys` keys, ten an account, and the meters that count them.
///
/// # Panics
/// When a record was left out.
pub fn snapshot(keys: usize) -> (Snapshot, Meters) {
    snapshot_of(&directory(keys))
}

/// A snapshot of these records, and the meters that count their keys.
///
/// # Panics
/// When a record was left out.
pub fn snapshot_of(directory: &Directory) -> (Snapshot, Meters) {
    let (rules, meters) = (calls_rules(), Meters::new());
    let compiled = compile(directory, &rules, &meters);
    assert!(compiled.left_out.is_empty(), "left out: {:?}", compiled.left_out.first());
    (Snapshot { revision: 1, rules, keys: compiled.keys }, meters)
}

/// The records of `keys` keys, ten an account.
pub fn directory(keys: usize) -> Directory {
    let accounts = (0..keys).step_by(KEYS_PER_ACCOUNT);
    Directory { accounts: accounts.map(|first| account(first, keys)).collect() }
}

/// The account of key `first`, with that key and those behind it, up to `keys`.
pub fn account(first: usize, keys: usize) -> AccountRecord {
    let list = |columns: &[&str]| columns.iter().map(|column| (*column).to_owned()).collect();
    let calls = |columns: &[&str]| BTreeMap::from([("calls".to_owned(), list(columns))]);
    let names = calls::ASSISTANTS.map(|(id, name)| (id.to_owned(), name.to_owned())).to_vec();
    AccountRecord {
        name: format!("Account {first}"),
        teams: Some(list(&["101", "102"])),
        columns: calls(&calls::SHOWN),
        // One column less: rows of 102 must not pass while 101 is chosen.
        team_columns: BTreeMap::from([("102".to_owned(), calls(&calls::SHOWN[1..]))]),
        assistants: AssistantNames { names, fallback: Some(calls::FALLBACK.to_owned()) },
        keys: (first..keys.min(first + KEYS_PER_ACCOUNT)).map(key).collect(),
        ..AccountRecord::new(&format!("account_{first}"), "enterprise")
    }
}

fn key(number: usize) -> KeyRecord {
    let digest = Digest::sha256(key_text(number).as_bytes());
    KeyRecord {
        name: format!("Integration {number}"),
        display: "avoca_ab12\u{2026}9f0c".to_owned(),
        ..KeyRecord::new(&format!("key_{number}"), digest, &["calls:read", "transcripts:read"])
    }
}

/// The text of key `number`: the prefix and 64 digits, as keys are by default.
pub fn key_text(number: usize) -> String {
    format!("avoca_{number:064x}")
}

/// The headers of a request that an HTTP library sends with key `number`.
///
/// # Panics
/// Never: a key's text is fit for a header.
pub fn headers(number: usize) -> HeaderMap {
    let bearer = format!("Bearer {}", key_text(number));
    [
        (HOST, HeaderValue::from_static("api.example.com")),
        (USER_AGENT, HeaderValue::from_static("python-requests/2.32.3")),
        (ACCEPT, HeaderValue::from_static("*/*")),
        (AUTHORIZATION, bearer.try_into().expect("a key is fit for a header")),
    ]
    .into_iter()
    .collect()
}
