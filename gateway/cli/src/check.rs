//! `colonnade check`: all faults at once, of the configuration and of the files that it names.
//!
//! A fault in one does not hide those of the others: the directory of a faulty configuration is read
//! as far as its place is known, and TLS files are tried as a start would.

use std::path::{Path, PathBuf};

use gateway_policy::Meters;
use gateway_proxy::Clock;
use gateway_settings::{Fault, KeyForm, Loaded, Settings, outline};
use serde_json::{Value, json};

use crate::args::Format;
use crate::exit;
use crate::load::{self, LoadError, Surroundings};
use crate::terminal;
use crate::tls::{self, Shown, TlsFiles};

/// What was found.
#[derive(Default)]
struct Findings {
    faults: Vec<Fault>,
    /// Files that could not be read, and why in a line.
    unreadable: Vec<(PathBuf, String)>,
}

/// A directory, and the configuration that names it.
#[derive(Clone, Copy)]
struct Named<'a> {
    directory: &'a Path,
    text: &'a str,
    path: &'a Path,
}

/// Checks one configuration; the exit code.
pub(crate) fn run(path: &Path, format: Format) -> u8 {
    let findings = findings(path);
    match format {
        Format::Json => println!("{}", terminal::body(&findings.json().to_string())),
        Format::Text => findings.print(path),
    }
    if findings.count() > 0 { exit::INVALID_CONFIGURATION } else { exit::OK }
}

fn findings(path: &Path) -> Findings {
    let mut findings = Findings::default();
    let around = Surroundings::default();
    let text = match load::configuration_text(path) {
        Ok(text) => text,
        Err(error) => {
            findings.take(path, error);
            return findings;
        }
    };
    match load::configuration(&text, path, &around) {
        Ok(Loaded { settings, rules, warnings }) => {
            findings.faults.extend(warnings);
            findings.faults.extend(tls_faults(&settings, &text, path));
            if let Some(directory) = load::directory_path(&settings) {
                let named = Named { directory, text: &text, path };
                let records = findings.directory(named, &settings.keys, &around);
                if let Some(records) = records {
                    let (_, left_out) = load::keys(&records, &rules, &Meters::new());
                    findings.faults.extend(left_out);
                    findings.faults.extend(records.warnings(&rules));
                }
            }
        }
        Err(error) => {
            findings.take(path, error);
            let outline = outline(&text, path, &around);
            if let Some((directory, keys)) =
                outline.and_then(|all| all.directory.zip(Some(all.keys)))
            {
                let named = Named { directory: &directory, text: &text, path };
                let records = findings.directory(named, &keys, &around);
                findings.faults.extend(records.into_iter().flat_map(|records| records.left_out));
            }
        }
    }
    findings
}

impl Findings {
    fn take(&mut self, path: &Path, error: LoadError) {
        match error {
            LoadError::Faulty(faults) => self.faults.extend(faults),
            LoadError::Unreadable(why) => self.unreadable.push((path.into(), why)),
        }
    }

    fn directory(
        &mut self,
        Named { directory, text, path }: Named<'_>,
        keys: &KeyForm,
        around: &Surroundings,
    ) -> Option<gateway_settings::LoadedDirectory> {
        let records = load::directory_text(directory, text, path)
            .and_then(|text| load::directory(&text, directory, around, keys));
        records.map_err(|error| self.take(directory, error)).ok()
    }

    /// How many of them are no warnings.
    fn count(&self) -> usize {
        self.faults.iter().filter(|fault| !fault.warning).count() + self.unreadable.len()
    }

    fn print(&self, path: &Path) {
        for fault in &self.faults {
            println!("{}", terminal::body(&fault.to_string()));
        }
        for (_, why) in &self.unreadable {
            eprintln!("{}", terminal::body(why));
        }
        let file = terminal::line(&path.display().to_string());
        match (self.count(), self.faults.iter().filter(|fault| fault.warning).count()) {
            (0, 0) => println!("{file}: good"),
            (0, warnings) => println!("{file}: good, {warnings} warning(s)"),
            (faults, _) => println!("{file}: {faults} fault(s)"),
        }
    }

    fn json(&self) -> Value {
        let faults = self.faults.iter().map(|fault| {
            json!({
                "file": fault.file, "line": fault.line, "column": fault.column, "path": fault.path,
                "message": fault.message, "help": fault.help,
                "severity": if fault.warning { "warning" } else { "fault" },
            })
        });
        // No line of theirs was read.
        let unreadable = self.unreadable.iter().map(|(file, why)| {
            json!({
                "file": file.display().to_string(), "line": null, "column": null, "path": "document",
                "message": why, "help": null, "severity": "fault",
            })
        });
        let all: Vec<Value> = faults.chain(unreadable).collect();
        json!({ "ok": self.count() == 0, "findings": all })
    }
}

/// What a start would say of the TLS files.
fn tls_faults(settings: &Settings, text: &str, file: &Path) -> Vec<Fault> {
    let shown = Shown { text, file, at: Clock::default().wall() };
    tls::read(settings, &mut TlsFiles::default(), shown).faults
}
