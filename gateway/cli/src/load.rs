//! Files and environment → settings and records. Shared by `run`, `check`, `explain` and `demo`.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::Path;

use gateway_policy::{Compiled, Meters, Rules, compile};
use gateway_settings::directory::{LoadedDirectory, load_directory};
use gateway_settings::{FILE_BYTES_MAX, Fault, KeyForm, Loaded, LookUp};
use gateway_store::{ReadError, read_text};

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
    gateway_settings::load(text, path, around).map_err(LoadError::Faulty)
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

/// A file's text of at most `bytes_max` bytes, or why not in one line.
pub(crate) fn text_of(path: &Path, bytes_max: usize) -> Result<String, LoadError> {
    read_text(path, bytes_max as u64).map_err(|error| LoadError::Unreadable(error.to_string()))
}
