//! What every fault that is shown of a file must be: placed, printable, with a remedy, and silent about what
//! a variable or a file holds.

use std::io;
use std::path::Path;

use gateway_settings::{Fault, LookUp, acts_on_terminal};

/// What the environment holds. Nothing that is shown may repeat it.
pub(crate) const SECRET: &str = "hidden-value";

/// So many letters and digits in a row are taken for a key, and masked wherever they stand.
const KEY_RUN: usize = 32;

/// An environment and a disk of fixed content.
pub(crate) struct Table;

impl LookUp for Table {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "PORT" => Some("8080".into()),
            "SECRET" => Some(SECRET.into()),
            "URL" => Some(format!("postgres://user:{SECRET}@db/colonnade")),
            "NASTY" => Some(format!("{SECRET}\nevil: true, [")),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("pepper") => Ok(format!("{SECRET}-{SECRET}-{SECRET}\n")),
            Some("short") => Ok(format!("{SECRET}\n")),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// Holds the faults of a text, none of which may show one of the secrets that it does not hold itself.
pub(crate) fn hold(text: &str, faults: &[Fault], secrets: &[&str]) {
    // YAML ends a line at a CR too.
    let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
    for fault in faults {
        let shown = fault.to_string();
        assert_eq!(fault.file, "file.yaml");
        let line = fault.line as usize;
        assert!((1..=lines).contains(&line), "no such line: {shown}");
        assert!(fault.column > 0, "no such column: {shown}");
        assert!(!fault.path.is_empty() && !fault.message.is_empty(), "{shown}");
        assert!(fault.help.as_deref().is_some_and(|help| !help.is_empty()), "no remedy: {shown}");
        let width = fault.source.chars().count();
        assert!((1..=width + 1).contains(&(fault.caret as usize)), "caret: {shown}");
        let is_odd = |c: char| c != '\n' && acts_on_terminal(c);
        assert!(!shown.contains(is_odd), "acts on a terminal: {shown:?}");
        let runs = shown.split(|c: char| !c.is_ascii_alphanumeric());
        assert!(
            runs.into_iter().all(|run| run.len() < KEY_RUN),
            "shows what may be a key: {shown}"
        );
        for secret in secrets.iter().filter(|secret| !text.contains(**secret)) {
            assert!(!shown.contains(secret), "shows what a variable holds: {shown}");
        }
    }
    let places: Vec<(u32, u32)> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
    assert!(places.is_sorted(), "not in the order of the file: {places:?}");
}
