//! A directory in a file, watched as the configuration is.
//!
//! Both files are taken together, or else the one that stands without the other: a broken
//! configuration must not hold up a revocation.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use gateway_admin::ReloadOutcome;
use gateway_policy::{Directory, KeyIndex, Meters};
use gateway_settings::directory::{DIRECTORY_BYTES_MAX, LoadedDirectory};
use gateway_settings::{Fault, Loaded};
use gateway_store::{FileChange as Change, ReadError, WatchedFile};

use super::{Prepared, Publisher, Source, StartError, Text, content, texts, warn_all};
use crate::load::{self, Surroundings};

/// The file, and what was read of it.
pub(super) struct FileSource {
    directory: WatchedFile,
    waiting: Option<Waiting>,
    records: LoadedDirectory,
    served: u64,
}

/// A configuration that is sound, but names a directory that cannot be served yet. It is tried again
/// when that file changes.
struct Waiting {
    config: String,
    directory: WatchedFile,
}

/// What is put in place together, once all of it is known to be sound.
struct Next {
    loaded: Option<(Loaded, Prepared)>,
    directory: Option<(LoadedDirectory, u64)>,
    moved: Option<WatchedFile>,
}

impl FileSource {
    /// Reads the directory at a place that a configuration names. Also its keys, and the records left
    /// out.
    pub(super) fn start(
        place: &Path,
        config: &str,
        path: &Path,
        around: &Surroundings,
        loaded: &Loaded,
        meters: &Meters,
    ) -> Result<(Source, KeyIndex, Vec<String>), StartError> {
        let mut directory = watched(place.to_owned());
        let text = directory.read().map_err(|error| {
            StartError::Store(vec![load::no_directory(&error, config, path).to_string()])
        })?;
        let records = load::directory(&text, directory.path(), around, &loaded.settings.keys)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        let (compiled, faults) = load::keys(&records, &loaded.rules, meters);
        warn_all(&faults);
        warn_all(&records.warnings(&loaded.rules));
        let served = content(&text);
        let source = FileSource { directory, waiting: None, records, served };
        Ok((Source::File(Box::new(source)), compiled.keys, texts(&faults)))
    }

    pub(super) fn poll(&mut self) -> Result<Change, ReadError> {
        self.directory.poll()
    }

    pub(super) fn read(&mut self) -> Result<String, ReadError> {
        self.directory.read()
    }

    /// The configuration that waits, when the directory that it names has changed.
    pub(super) fn no_longer_waiting(&mut self) -> Option<String> {
        let file = &mut self.waiting.as_mut()?.directory;
        matches!(file.poll(), Ok(Change::Text(_)))
            .then(|| self.waiting.take())?
            .map(|waiting| waiting.config)
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.records.directory)
    }
}

impl Publisher {
    /// Publishes both, or else the one that stands without the other; a file that was read is not
    /// read again until it changes.
    pub(super) fn take_files(&mut self, config: &Text, directory: &Text) -> ReloadOutcome {
        match self.apply(config, directory) {
            Ok(left_out) => self.outcome_of(Vec::new(), texts(&left_out)),
            Err(faults) => {
                let left_out = match self.salvage(config, directory) {
                    Some(left_out) => texts(&left_out),
                    None => self.shown().left_out,
                };
                self.outcome_of(faults, left_out)
            }
        }
    }

    /// Of two files that do not stand together, the one that is sound and not served yet.
    fn salvage(&mut self, config: &Text, directory: &Text) -> Option<Vec<Fault>> {
        // Without the other one it is what has just failed.
        let fresh = |text: &Text, served: u64, other: &Text| {
            matches!(text, Ok(Some(text)) if content(text) != served) && !matches!(other, Ok(None))
        };
        let (served, is_waiting) = {
            let source = self.file()?;
            (source.served, source.waiting.is_some())
        };
        if fresh(directory, served, config)
            && let Ok(left_out) = self.apply(&Ok(None), directory)
        {
            tracing::info!(revision = self.revision, "the directory alone is reloaded");
            return Some(left_out);
        }
        // One that waits for its own directory has just been tried whole.
        if !is_waiting
            && fresh(config, self.served_config, directory)
            && let Ok(left_out) = self.apply(config, &Ok(None))
        {
            tracing::info!(revision = self.revision, "the configuration alone is reloaded");
            return Some(left_out);
        }
        None
    }

    /// All or nothing: parse and compile first, then put in place.
    fn apply(&mut self, config: &Text, directory: &Text) -> Result<Vec<Fault>, Vec<String>> {
        let config = config.as_ref().map_err(Clone::clone)?.as_deref();
        let directory = directory.as_ref().map_err(Clone::clone)?.as_deref();
        let Next { loaded, directory, moved } = self.next(config, directory)?;
        if let (Some((next, certificates)), Some(config)) = (loaded, config) {
            self.adopt(next, certificates, config);
        }
        let (rules, meters) = (self.rules.clone(), self.meters.clone());
        let Some(source) = self.file() else { return Ok(Vec::new()) };
        if let Some((records, served)) = directory {
            source.served = served;
            source.records = records;
        }
        if let Some(moved) = moved {
            source.directory = moved;
        }
        let (compiled, faults) = load::keys(&source.records, &rules, &meters);
        warn_all(&faults);
        warn_all(&source.records.warnings(&rules));
        let directory = source.directory();
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = directory;
        let live: HashSet<String> =
            compiled.keys.entries().map(|(_, entry)| entry.id.as_str().to_owned()).collect();
        self.publish(compiled.keys, &live);
        Ok(faults)
    }

    /// Reads what is to be put in place, without changing what is served.
    fn next(&mut self, config: Option<&str>, directory: Option<&str>) -> Result<Next, Vec<String>> {
        let around = self.around.clone();
        let config_path = self.config.path().to_owned();
        let served_form = self.settings.keys.clone();
        if let (Some(_), Some(source)) = (config, self.file()) {
            // Whatever waits is older.
            source.waiting = None;
        }
        let loaded = config.map(|text| self.load(text)).transpose()?;
        let Some(source) = self.file() else {
            return Ok(Next { loaded: None, directory: None, moved: None });
        };
        let mut text = directory.map(Cow::Borrowed);
        let mut moved = None;
        if let (Some((next, _)), Some(config)) = (&loaded, config) {
            // What it says of another kind of store takes effect at the next start.
            let moved_to = load::directory_path(&next.settings)
                .filter(|path| *path != source.directory.path());
            if let Some(path) = moved_to {
                let mut file = watched(path.to_owned());
                match file.read() {
                    Ok(read) => text = Some(Cow::Owned(read)),
                    Err(error) => {
                        source.waiting = Some(Waiting { config: config.into(), directory: file });
                        let fault = load::no_directory(&error, config, &config_path);
                        return Err(vec![fault.to_string()]);
                    }
                }
                moved = Some(file);
            }
        }
        let path = moved.as_ref().unwrap_or(&source.directory).path().to_owned();
        let form = loaded.as_ref().map_or(&served_form, |(next, _)| &next.settings.keys);
        // What a key looks like decides which records may be shown.
        if text.is_none() && *form != served_form {
            text = Some(Cow::Owned(source.records.text().to_owned()));
        }
        let directory = match &text {
            Some(text) => match load::directory(text, &path, &around, form) {
                Ok(records) => Some((records, content(text))),
                Err(error) => {
                    if let (Some(config), Some(directory)) = (config, moved) {
                        source.waiting = Some(Waiting { config: config.into(), directory });
                    }
                    return Err(error.lines());
                }
            },
            None => None,
        };
        Ok(Next { loaded, directory, moved })
    }

    fn file(&mut self) -> Option<&mut FileSource> {
        match &mut self.source {
            Source::File(source) => Some(source),
            Source::Store(_) => None,
        }
    }
}

fn watched(path: PathBuf) -> WatchedFile {
    WatchedFile::new(path, DIRECTORY_BYTES_MAX as u64)
}
