//! `colonnade check`: all faults at once, of the configuration and of the directory file.

use std::path::Path;

use gateway_policy::Meters;
use gateway_settings::directory::DIRECTORY_BYTES_MAX;
use gateway_settings::{Fault, SETTINGS_BYTES_MAX, Store};
use serde_json::json;

use crate::args::Format;
use crate::exit;
use crate::load::{self, LoadError, Surroundings};
use crate::terminal;

/// Checks one configuration; the exit code.
pub(crate) fn run(path: &Path, format: Format) -> u8 {
    match findings(path) {
        Ok(findings) => {
            report(path, &findings, format);
            if findings.iter().any(|fault| !fault.warning) {
                exit::INVALID_CONFIGURATION
            } else {
                exit::OK
            }
        }
        Err(why) => {
            eprintln!("{}", terminal::body(&why));
            exit::INVALID_CONFIGURATION
        }
    }
}

fn findings(path: &Path) -> Result<Vec<Fault>, String> {
    let around = Surroundings::default();
    let faults = |error| match error {
        LoadError::Faulty(faults) => Ok(faults),
        LoadError::Unreadable(why) => Err(why),
    };
    let loaded = match load::text_of(path, SETTINGS_BYTES_MAX)
        .and_then(|text| load::configuration(&text, path, &around))
    {
        Ok(loaded) => loaded,
        Err(error) => return faults(error),
    };
    let mut all = loaded.warnings;
    if let Store::File(directory) = &loaded.settings.store {
        let form = &loaded.settings.keys;
        let records = load::text_of(directory, DIRECTORY_BYTES_MAX)
            .and_then(|text| load::directory(&text, directory, &around, form));
        match records {
            Ok(records) => all.extend(load::keys(&records, &loaded.rules, &Meters::new()).1),
            Err(error) => all.extend(faults(error)?),
        }
    }
    Ok(all)
}

fn report(path: &Path, findings: &[Fault], format: Format) {
    let faults = findings.iter().filter(|fault| !fault.warning).count();
    if format == Format::Json {
        let list: Vec<_> = findings
            .iter()
            .map(|fault| {
                json!({
                    "file": fault.file, "line": fault.line, "column": fault.column, "path": fault.path,
                    "message": fault.message, "help": fault.help,
                    "severity": if fault.warning { "warning" } else { "fault" },
                })
            })
            .collect();
        println!("{}", json!({ "ok": faults == 0, "findings": list }));
        return;
    }
    for fault in findings {
        println!("{}", terminal::body(&fault.to_string()));
    }
    let file = terminal::line(&path.display().to_string());
    match (faults, findings.len() - faults) {
        (0, 0) => println!("{file}: good"),
        (0, warnings) => println!("{file}: good, {warnings} warning(s)"),
        (faults, _) => println!("{file}: {faults} fault(s)"),
    }
}
