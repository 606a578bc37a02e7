//! Files and environment → settings and records. Shared by `run`, `check`, `explain` and `demo`.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use gateway_policy::{Compiled, Meters, Rules, compile};
use gateway_settings::directory::{DIRECTORY_BYTES_MAX, LoadedDirectory, load_directory};
use gateway_settings::{
    FILE_BYTES_MAX, Fault, KeyForm, Loaded, LookUp, SETTINGS_BYTES_MAX, Settings, Step, Store,
    fault_at,
};
use gateway_store::{ReadError, read_text};

use crate::traces;

/// Where `${NAME}` and `${file:PATH}` come from: overrides first, then the process. Not `Debug`: the
/// demo's admin token is among them.
#[derive(Default, Clone)]
pub(crate) struct Surroundings {
    pub(crate) overrides: HashMap<String, String>,
}

impl LookUp for Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        self.overrides.get(name).cloned().or_else(|| std::env::var(name).ok())
    }

    fn file(&self, path: &Path) -> std::io::Result<String> {
        read_text(path, FILE_BYTES_MAX as u64).map_err(|error| match error {
            ReadError::Io { source, .. } => source,
            ReadError::Irregular { kind, .. } => {
                io::Error::new(ErrorKind::InvalidInput, format!("it is a {kind}"))
            }
            ReadError::TooLarge { .. } => ErrorKind::FileTooLarge.into(),
        })
    }
}

/// Faults of a configuration, or of reading it.
#[derive(Debug)]
pub(crate) enum LoadError {
    Unreadable(String),
    Faulty(Vec<Fault>),
}

impl LoadError {
    /// One text a fault; warnings refuse nothing.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            LoadError::Unreadable(why) => vec![why.clone()],
            LoadError::Faulty(faults) => {
                faults.iter().filter(|fault| !fault.warning).map(Fault::to_string).collect()
            }
        }
    }
}

/// Parses a configuration.
pub(crate) fn configuration(
    text: &str,
    path: &Path,
    around: &Surroundings,
) -> Result<Loaded, LoadError> {
    let mut loaded = gateway_settings::load(text, path, around).map_err(LoadError::Faulty)?;
    match traces::missing(&loaded.settings, text, path) {
        Some(fault) => {
            loaded.warnings.push(fault);
            Err(LoadError::Faulty(loaded.warnings))
        }
        None => Ok(loaded),
    }
}

/// Parses a directory, whose keys look like `form`.
pub(crate) fn directory(
    text: &str,
    path: &Path,
    around: &Surroundings,
    form: &KeyForm,
) -> Result<LoadedDirectory, LoadError> {
    load_directory(text, path, around, form).map_err(LoadError::Faulty)
}

/// Compiles records against rules; the faults of both steps as one list.
pub(crate) fn keys(
    loaded: &LoadedDirectory,
    rules: &Rules,
    meters: &Meters,
) -> (Compiled, Vec<Fault>) {
    let compiled = compile(&loaded.directory, rules, meters);
    let own = loaded.faults(&compiled.left_out, rules);
    let all = loaded.left_out.iter().cloned().chain(own).collect();
    (compiled, all)
}

/// The text of the configuration, or why not in one line.
pub(crate) fn configuration_text(path: &Path) -> Result<String, LoadError> {
    let text = read_text(path, SETTINGS_BYTES_MAX as u64);
    text.map_err(|error| LoadError::Unreadable(no_configuration(&error)))
}

/// Why there is no configuration, and how one is named.
pub(crate) fn no_configuration(error: &ReadError) -> String {
    format!(
        "{error}; `--config FILE` or COLONNADE_CONFIG names the configuration, else it is \
         config/gateway.yaml"
    )
}

/// Where the directory is, if it is a file.
pub(crate) fn directory_path(settings: &Settings) -> Option<&Path> {
    match &settings.store {
        Store::File(directory) => Some(directory),
        Store::Sqlite(_) | Store::Postgres(_) => None,
    }
}

/// The text of the directory that the configuration `text` names, or the fault of its name there.
pub(crate) fn directory_text(
    directory: &Path,
    text: &str,
    path: &Path,
) -> Result<String, LoadError> {
    read_text(directory, DIRECTORY_BYTES_MAX as u64)
        .map_err(|error| LoadError::Faulty(vec![no_directory(&error, text, path)]))
}

/// The fault of a directory that cannot be read.
pub(crate) fn no_directory(error: &ReadError, text: &str, path: &Path) -> Fault {
    let help = "a directory of nobody is `version: 1` and, on the next line, `accounts: {}`; \
                docs/directory.md shows one with keys";
    fault_at(text, path, &["store", "file"].map(Step::Key), error.to_string(), help)
}
