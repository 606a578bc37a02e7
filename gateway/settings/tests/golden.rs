//! Files and what the reader says of them. `UPDATE_GOLDEN=1` writes the expected texts anew; the
//! review reads the difference.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gateway_settings::{Fault, KeyForm, LookUp, load, load_directory, schema_text};

/// An environment of three variables and one file.
struct Table;

impl LookUp for Table {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8080".into()),
            "UPSTREAM" => Some("hidden-value".into()),
            "DATABASE_URL" => Some("postgres://user:hidden-value@db/colonnade".into()),
            "REDIS_URL" => Some("redis://127.0.0.1:6379".into()),
            "NASTY" => Some("x\nevil: true, [".into()),
            "WEIGHT" => Some("3".into()),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("pepper") => Ok("0123456789abcdef0123456789abcdef\n".into()),
            Some("short") => Ok("hidden-value\n".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "json"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> &Path {
    Path::new(path.file_name().unwrap())
}

fn print(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

/// Compares with the file beside it, or writes that.
fn hold_against(golden: &Path, text: &str) -> Option<String> {
    if updates() {
        fs::write(golden, text).unwrap();
        return None;
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    (expected != text)
        .then(|| format!("{}\n--- expected\n{expected}--- found\n{text}", golden.display()))
}

fn hold_all(folder: &str, read: impl Fn(&str, &Path) -> String) -> usize {
    let files = yaml_files(&here(folder));
    let differences: Vec<String> = files
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            hold_against(&path.with_extension("out"), &read(&text, name(path)))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    files.len()
}

#[test]
fn every_fault_has_a_remedy_of_its_own() {
    for (path, faults) in all_faults() {
        for fault in faults {
            let help = fault.help.as_deref().unwrap_or_default();
            assert!(
                !help.is_empty() && !help.contains("`colonnade schema`"),
                "{}: {fault}",
                path.display()
            );
        }
    }
}

/// S15, K17, X12: every fault has its place and its line.
#[test]
fn every_bad_file_says_exactly_what_is_wrong() {
    let count = hold_all("tests/bad", |text, file| match load(text, file, &Table) {
        Ok(_) => panic!("{} loads", file.display()),
        Err(faults) => {
            assert!(faults.iter().any(|fault| !fault.warning), "{}: only warnings", file.display());
            print(&faults)
        }
    });
    assert!(count >= 40, "{count} bad files");
}

#[test]
fn every_good_file_loads_and_says_exactly_what_it_warns_of() {
    hold_all("tests/good", |text, file| match load(text, file, &Table) {
        Ok(loaded) => print(&loaded.warnings),
        Err(faults) => panic!("{}", print(&faults)),
    });
}

/// X12: one broken record does not take the others along.
#[test]
fn every_bad_directory_says_what_was_left_out_and_serves_the_rest() {
    hold_all("tests/directory/bad", |text, file| {
        match load_directory(text, file, &Table, &KeyForm::default()) {
            Ok(loaded) => {
                let mut text = print(&loaded.left_out);
                for account in &loaded.directory.accounts {
                    let keys: Vec<&str> = account.keys.iter().map(|key| key.id.as_str()).collect();
                    text.push_str(&format!("serves {}: {}\n", account.id, keys.join(" ")));
                }
                text
            }
            Err(faults) => format!("{}serves nothing\n", print(&faults)),
        }
    });
}

/// Reads the faults anew: the golden files may be about to be written.
#[test]
fn no_golden_text_holds_what_a_variable_expanded_to() {
    for (path, faults) in all_faults() {
        let text = format!("{}{faults:?}", print(&faults));
        for secret in
            ["hidden-value", "hunter2", "hunter3", "my-own-secret-token", "0123456789abcdef"]
        {
            assert!(!text.contains(secret), "{}: {text}", path.display());
        }
    }
}

/// The faults and warnings of every file that the golden tests read.
fn all_faults() -> Vec<(PathBuf, Vec<Fault>)> {
    let read = |path: PathBuf, directory: bool| {
        let text = fs::read_to_string(&path).unwrap();
        let faults = if directory {
            let loaded = load_directory(&text, name(&path), &Table, &KeyForm::default());
            loaded.map(|loaded| loaded.left_out).unwrap_or_else(|faults| faults)
        } else {
            load(&text, name(&path), &Table)
                .map(|loaded| loaded.warnings)
                .unwrap_or_else(|faults| faults)
        };
        (path, faults)
    };
    let settings =
        ["tests/bad", "tests/good"].into_iter().flat_map(|folder| yaml_files(&here(folder)));
    let directories = yaml_files(&here("tests/directory/bad"));
    settings
        .map(|path| read(path, false))
        .chain(directories.into_iter().map(|path| read(path, true)))
        .collect()
}

#[test]
fn every_example_loads_clean() {
    let files = yaml_files(&here("../../config/examples"));
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        let directory = path.file_name().unwrap().to_str().unwrap().contains("directory");
        if directory {
            let loaded = load_directory(&text, name(path), &Table, &KeyForm::default())
                .unwrap_or_else(|faults| panic!("{}", print(&faults)));
            assert!(loaded.left_out.is_empty(), "{}", print(&loaded.left_out));
            continue;
        }
        let loaded =
            load(&text, name(path), &Table).unwrap_or_else(|faults| panic!("{}", print(&faults)));
        let ours = !name(path).starts_with("avoca.yaml");
        assert!(!ours || loaded.warnings.is_empty(), "{}", print(&loaded.warnings));
    }
    assert!(files.len() >= 8, "{} examples", files.len());
}

/// What the annotated file says, with every key left out that has a default.
const REFERENCE_TWIN: &str = r#"
version: 1
upstreams: { calls: { servers: ["127.0.0.1:9101"] } }
plans: { starter: { limits: { minute: { requests: 60, window: 1m } } } }
scopes: { calls:read: Call records }
resources: { calls: { columns: { call_id: {} } } }
routes: [{ match: GET /api/calls, upstream: calls, scope: calls:read, resource: calls, rows: "data[]", query: [limit, offset] }]
"#;

/// The annotated file shows every default; whoever changes one of the two is told.
#[test]
fn the_reference_file_says_what_an_otherwise_empty_one_means() {
    let text = fs::read_to_string(here("../../config/gateway.yaml")).unwrap();
    let file = Path::new("gateway.yaml");
    let reference = load(&text, file, &Table).unwrap_or_else(|faults| panic!("{}", print(&faults)));
    let twin =
        load(REFERENCE_TWIN, file, &Table).unwrap_or_else(|faults| panic!("{}", print(&faults)));
    assert!(reference.warnings.is_empty(), "{}", print(&reference.warnings));
    assert_eq!(reference.settings, twin.settings);
    let (one, other) = (&reference.rules, &twin.rules);
    assert_eq!(one.bounds, other.bounds);
    assert_eq!(one.reserved, other.reserved);
    assert_eq!(one.errors, other.errors);
    assert_eq!(one.teams, other.teams);
    assert_eq!(one.credentials.accept, other.credentials.accept);
    assert_eq!(one.data_scope_required, other.data_scope_required);
    assert_eq!(format!("{:?}", one.plans), format!("{:?}", other.plans));
    assert_eq!(
        format!("{:?}", one.resources[0].visibility),
        format!("{:?}", other.resources[0].visibility)
    );
    assert_eq!(one.resources[0].defaults, other.resources[0].defaults);
    let route = |rules: &gateway_policy::Rules| {
        let route = &rules.routes.routes()[0];
        let headers = (route.forward_headers.clone(), route.return_headers.clone());
        (
            route.query.clone(),
            route.team,
            route.reach_account,
            route.account_param.clone(),
            route.errors_pass,
            headers,
        )
    };
    assert_eq!(route(one), route(other));
}

#[test]
fn the_reference_file_has_every_key_of_the_schema() {
    fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
        for (word, below) in schema.as_object().into_iter().flatten() {
            if word == "properties" {
                found.extend(below.as_object().unwrap().keys().cloned());
            }
            keys(below, found);
        }
        schema.as_array().into_iter().flatten().for_each(|below| keys(below, found));
    }
    let text = fs::read_to_string(here("../../config/gateway.yaml")).unwrap();
    let mut found = Vec::new();
    keys(&gateway_settings::schema(), &mut found);
    assert!(found.len() > 80, "{} keys", found.len());
    for key in found {
        assert!(text.contains(&format!("{key}:")), "config/gateway.yaml does not show `{key}`");
    }
}

#[test]
fn the_committed_schema_is_the_models() {
    let difference = hold_against(&here("../../config/gateway.schema.json"), &schema_text());
    assert!(difference.is_none(), "config/gateway.schema.json is old; run with UPDATE_GOLDEN=1");
}
