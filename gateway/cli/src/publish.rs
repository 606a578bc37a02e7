//! The one writer of what is served.
//!
//! Configuration and directory are watched files. A change of either is parsed, compiled and
//! published whole, or changes nothing and is reported. Counters live in [`Meters`], outside, so
//! no change resets a count.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_admin::ReloadOutcome;
use gateway_policy::{Meters, Published, Rules, Snapshot};
use gateway_proxy::{Clock, Docs, Serving, Upstreams};
use gateway_settings::directory::{DIRECTORY_BYTES_MAX, LoadedDirectory};
use gateway_settings::{AdminToken, Fault, SETTINGS_BYTES_MAX, Settings};
use gateway_store::{FileChange as Change, WatchedFile};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::load::{self, Surroundings};
use crate::serve::upstream_specs;

/// How often the files are looked at.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(500);

/// Why there is nothing to serve at the start.
#[derive(Debug)]
pub(crate) enum StartError {
    Configuration(Vec<String>),
    Store(Vec<String>),
}

/// Watches, compiles, publishes.
pub(crate) struct Publisher {
    around: Surroundings,
    config: WatchedFile,
    directory: WatchedFile,
    waiting: Option<Waiting>,
    settings: Settings,
    rules: Arc<Rules>,
    records: LoadedDirectory,
    meters: Arc<Meters>,
    clock: Arc<Clock>,
    published: Arc<Published<Serving>>,
    outcome: Arc<Mutex<ReloadOutcome>>,
    tokens: Arc<Mutex<Vec<AdminToken>>>,
    served: Served,
    metrics: PublishMetrics,
    revision: u64,
}

/// A configuration that is sound, but names a directory that cannot be served yet. It is tried again
/// when that file changes.
struct Waiting {
    config: String,
    directory: WatchedFile,
}

struct PublishMetrics {
    revision: IntGauge,
    keys: IntGauge,
    reloads: IntCounterVec,
    store_lag: IntGauge,
}

impl PublishMetrics {
    fn register(registry: &Registry) -> prometheus::Result<PublishMetrics> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let reloads = IntCounterVec::new(
            Opts::new("colonnade_reloads_total", "Reloads of configuration or directory."),
            &["result"],
        )?;
        registry.register(Box::new(reloads.clone()))?;
        // Both are there from the start, so that a rate over the first failure is not lost.
        reloads.with_label_values(&["ok"]);
        reloads.with_label_values(&["failed"]);
        Ok(PublishMetrics {
            revision: gauge("colonnade_revision", "Revision that is served.")?,
            keys: gauge("colonnade_keys", "Keys in the index, dead ones too.")?,
            store_lag: gauge(
                "colonnade_store_lag_seconds",
                "Age of the oldest change not yet served.",
            )?,
            reloads,
        })
    }
}

impl Publisher {
    /// Loads everything for the first time.
    pub(crate) fn start(
        path: &Path,
        around: Surroundings,
        registry: &Registry,
    ) -> Result<Publisher, StartError> {
        let mut config = WatchedFile::new(path, SETTINGS_BYTES_MAX as u64);
        let text = config
            .read()
            .map_err(|error| StartError::Configuration(vec![load::no_configuration(&error)]))?;
        let config_content = content(&text);
        let loaded = load::configuration(&text, path, &around)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        warn_all(&loaded.warnings);
        let place = load::directory_path(&loaded.settings, &text, path)
            .map_err(|fault| StartError::Store(vec![fault.to_string()]))?;
        let mut directory = watched_directory(place);
        let text = directory.read().map_err(|error| {
            StartError::Store(vec![load::no_directory(&error, &text, path).to_string()])
        })?;
        let records = load::directory(&text, directory.path(), &around, &loaded.settings.keys)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        let meters = Arc::new(Meters::new());
        let metrics = PublishMetrics::register(registry)
            .map_err(|error| StartError::Configuration(vec![error.to_string()]))?;
        let rules = Arc::new(loaded.rules);
        let (compiled, faults) = load::keys(&records, &rules, &meters);
        warn_all(&faults);
        warn_all(&records.warnings(&rules));
        let upstreams = Arc::new(Upstreams::build(upstream_specs(&loaded.settings), None));
        metrics.revision.set(1);
        metrics.keys.set(compiled.keys.len() as i64);
        let snapshot = Snapshot { revision: 1, rules: Arc::clone(&rules), keys: compiled.keys };
        let clock = Arc::new(Clock::default());
        let outcome = ReloadOutcome {
            ok: true,
            at_ms: clock.wall().0,
            faults: Vec::new(),
            left_out: texts(&faults),
        };
        Ok(Publisher {
            around,
            config,
            directory,
            waiting: None,
            tokens: Arc::new(Mutex::new(loaded.settings.admin.tokens.clone())),
            served: Served { config: config_content, directory: content(&text) },
            settings: loaded.settings,
            rules,
            records,
            meters,
            clock,
            published: Arc::new(Published::new(Serving {
                docs: Docs::build(&snapshot.rules),
                snapshot,
                upstreams,
            })),
            outcome: Arc::new(Mutex::new(outcome)),
            metrics,
            revision: 1,
        })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn published(&self) -> Arc<Published<Serving>> {
        Arc::clone(&self.published)
    }

    pub(crate) fn meters(&self) -> Arc<Meters> {
        Arc::clone(&self.meters)
    }

    pub(crate) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.clock)
    }

    /// The admin tokens in force; shared with whoever judges them.
    pub(crate) fn tokens(&self) -> Arc<Mutex<Vec<AdminToken>>> {
        Arc::clone(&self.tokens)
    }

    /// How the last reload went; shared with whoever shows it.
    pub(crate) fn outcome(&self) -> Arc<Mutex<ReloadOutcome>> {
        Arc::clone(&self.outcome)
    }

    /// Publishes what has changed in the files since the last look.
    pub(crate) fn poll(&mut self) {
        let mut config = changed(self.config.poll());
        if matches!(config, Ok(None)) {
            config = Ok(self.no_longer_waiting());
        }
        let directory = changed(self.directory.poll());
        if !matches!((&config, &directory), (Ok(None), Ok(None))) {
            self.take(&config, &directory);
        }
    }

    /// The configuration that waits, when the directory that it names has changed.
    fn no_longer_waiting(&mut self) -> Option<String> {
        let file = &mut self.waiting.as_mut()?.directory;
        matches!(file.poll(), Ok(Change::Text(_)))
            .then(|| self.waiting.take())?
            .map(|waiting| waiting.config)
    }

    /// Reads and publishes both files, changed or not.
    pub(crate) fn reload(&mut self) -> ReloadOutcome {
        let told = |error: gateway_store::ReadError| vec![error.to_string()];
        let config = self.config.read().map(Some).map_err(told);
        let directory = self.directory.read().map(Some).map_err(told);
        self.take(&config, &directory)
    }

    /// Publishes both, or else the one that stands without the other: a broken configuration must not
    /// hold up a revocation, and a file that was read is not read again until it changes.
    fn take(&mut self, config: &Text, directory: &Text) -> ReloadOutcome {
        let outcome = match self.apply(config, directory) {
            Ok(left_out) => self.outcome_of(Vec::new(), texts(&left_out)),
            Err(faults) => {
                let left_out = match self.salvage(config, directory) {
                    Some(left_out) => texts(&left_out),
                    None => self.shown().left_out,
                };
                self.outcome_of(faults, left_out)
            }
        };
        // First shown, then counted and logged: who sees the count finds the reason.
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome.clone();
        let result = if outcome.ok { "ok" } else { "failed" };
        self.metrics.reloads.with_label_values(&[result]).inc();
        if outcome.ok {
            let left_out = outcome.left_out.len();
            tracing::info!(revision = self.revision, left_out, "reloaded");
        }
        for fault in &outcome.faults {
            tracing::error!(fault, "reload failed, the last good state is kept");
        }
        outcome
    }

    /// Of two files that do not stand together, the one that is sound and not served yet.
    fn salvage(&mut self, config: &Text, directory: &Text) -> Option<Vec<Fault>> {
        // Without the other one it is what has just failed.
        let fresh = |text: &Text, served: u64, other: &Text| {
            matches!(text, Ok(Some(text)) if content(text) != served) && !matches!(other, Ok(None))
        };
        if fresh(directory, self.served.directory, config)
            && let Ok(left_out) = self.apply(&Ok(None), directory)
        {
            tracing::info!(revision = self.revision, "the directory alone is reloaded");
            return Some(left_out);
        }
        // One that waits for its own directory has just been tried whole.
        if self.waiting.is_none()
            && fresh(config, self.served.config, directory)
            && let Ok(left_out) = self.apply(config, &Ok(None))
        {
            tracing::info!(revision = self.revision, "the configuration alone is reloaded");
            return Some(left_out);
        }
        None
    }

    fn outcome_of(&self, faults: Vec<String>, left_out: Vec<String>) -> ReloadOutcome {
        ReloadOutcome { ok: faults.is_empty(), at_ms: self.clock.wall().0, faults, left_out }
    }

    fn shown(&self) -> ReloadOutcome {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All or nothing: parse and compile first, then put in place.
    fn apply(&mut self, config: &Text, directory: &Text) -> Result<Vec<Fault>, Vec<String>> {
        let config = config.as_ref().map_err(Clone::clone)?.as_deref();
        let next = match config {
            Some(text) => {
                // Whatever waits is older.
                self.waiting = None;
                let path = self.config.path();
                Some(load::configuration(text, path, &self.around).map_err(|error| error.lines())?)
            }
            None => None,
        };
        let mut text = directory.as_ref().map_err(Clone::clone)?.as_deref().map(Cow::Borrowed);
        let mut moved = None;
        if let (Some(next), Some(config)) = (&next, config) {
            let path = load::directory_path(&next.settings, config, self.config.path())
                .map_err(|fault| vec![fault.to_string()])?;
            if path != self.directory.path() {
                let mut file = watched_directory(path);
                match file.read() {
                    Ok(read) => text = Some(Cow::Owned(read)),
                    Err(error) => {
                        self.waiting = Some(Waiting { config: config.into(), directory: file });
                        let fault = load::no_directory(&error, config, self.config.path());
                        return Err(vec![fault.to_string()]);
                    }
                }
                moved = Some(file);
            }
        }
        let path = moved.as_ref().unwrap_or(&self.directory).path().to_owned();
        let form = next.as_ref().map_or(&self.settings.keys, |next| &next.settings.keys);
        // What a key looks like decides which records may be shown.
        if text.is_none() && *form != self.settings.keys {
            text = Some(Cow::Owned(self.records.text().to_owned()));
        }
        let records = match &text {
            Some(text) => match load::directory(text, &path, &self.around, form) {
                Ok(records) => Some(records),
                Err(error) => {
                    if let (Some(config), Some(directory)) = (config, moved) {
                        self.waiting = Some(Waiting { config: config.into(), directory });
                    }
                    return Err(error.lines());
                }
            },
            None => None,
        };
        if let (Some(next), Some(config)) = (next, config) {
            self.served.config = content(config);
            warn_all(&next.warnings);
            warn_restart(&self.settings, &next.settings);
            self.settings = next.settings;
            *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) =
                self.settings.admin.tokens.clone();
            self.rules = Arc::new(next.rules);
        }
        if let (Some(records), Some(text)) = (records, &text) {
            self.served.directory = content(text);
            self.records = records;
        }
        if let Some(moved) = moved {
            self.directory = moved;
        }
        Ok(self.publish())
    }

    fn publish(&mut self) -> Vec<Fault> {
        let (compiled, faults) = load::keys(&self.records, &self.rules, &self.meters);
        warn_all(&faults);
        warn_all(&self.records.warnings(&self.rules));
        let before = self.published.current();
        let specs = upstream_specs(&self.settings);
        let upstreams = Arc::new(Upstreams::build(specs, Some(&before.upstreams)));
        self.revision += 1;
        self.metrics.revision.set(self.revision as i64);
        self.metrics.keys.set(compiled.keys.len() as i64);
        self.metrics.store_lag.set(0);
        let live: std::collections::HashSet<String> =
            compiled.keys.entries().map(|(_, entry)| entry.id.as_str().to_owned()).collect();
        let snapshot = Snapshot {
            revision: self.revision,
            rules: Arc::clone(&self.rules),
            keys: compiled.keys,
        };
        self.published.publish(Serving { docs: Docs::build(&snapshot.rules), snapshot, upstreams });
        self.meters.retain(&|id| live.contains(id), self.clock.wall());
        faults
    }
}

/// A file's new text, none when unchanged, or why it could not be read.
type Text = Result<Option<String>, Vec<String>>;

/// What the texts in service are known by.
#[derive(Debug, Clone, Copy)]
struct Served {
    config: u64,
    directory: u64,
}

fn content(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn changed(polled: Result<Change, gateway_store::ReadError>) -> Text {
    match polled {
        Ok(Change::None) => Ok(None),
        Ok(Change::Text(text)) => Ok(Some(text)),
        Err(error) => Err(vec![error.to_string()]),
    }
}

fn texts(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn warn_all(faults: &[Fault]) {
    for fault in faults {
        if fault.warning {
            tracing::warn!(%fault, "configuration warning");
        } else {
            tracing::error!(%fault, "record left out");
        }
    }
}

fn watched_directory(path: PathBuf) -> WatchedFile {
    WatchedFile::new(path, DIRECTORY_BYTES_MAX as u64)
}

/// Listeners are bound once; a reload that moves one says so.
fn warn_restart(old: &Settings, new: &Settings) {
    let moved = old.listeners != new.listeners
        || old.admin.address != new.admin.address
        || old.telemetry != new.telemetry
        || old.drain != new.drain;
    if moved {
        tracing::warn!("listeners, addresses, telemetry and drain take effect at the next start");
    }
}
