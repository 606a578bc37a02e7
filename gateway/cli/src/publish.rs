//! The one writer of what is served.
//!
//! The configuration is a watched file, the directory another one (`from_file`) or a store
//! (`from_store`). A change is parsed, compiled and published whole, or changes nothing and is
//! reported. Counters live in [`Meters`], outside, so no change resets a count.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_admin::ReloadOutcome;
use gateway_policy::{Directory, KeyIndex, Meters, Published, Rules, Snapshot};
use gateway_proxy::{Clock, Docs, Serving, Upstreams};
use gateway_settings::{AdminToken, Fault, Loaded, SETTINGS_BYTES_MAX, Settings, Store};
use gateway_store::{FileChange as Change, ReadError, WatchedFile};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::exit::{self, Failed};
use crate::load::{self, Surroundings};
use crate::tls::Shown;
use certificates::{Certificates, Prepared};
use from_file::FileSource;
use from_store::StoreSource;
pub(crate) use from_store::{StoreStart, Taken};

mod certificates;
mod from_file;
mod from_store;

/// How often the files are looked at.
pub(crate) const POLL_EVERY: Duration = Duration::from_millis(500);

/// Why there is nothing to serve at the start.
#[derive(Debug)]
pub(crate) enum StartError {
    Configuration(Vec<String>),
    Store(Vec<String>),
}

impl From<StartError> for Failed {
    fn from(error: StartError) -> Failed {
        match error {
            StartError::Configuration(lines) => (exit::INVALID_CONFIGURATION, lines),
            StartError::Store(lines) => (exit::STORE_UNREACHABLE, lines),
        }
    }
}

/// Watches, compiles, publishes.
pub(crate) struct Publisher {
    around: Surroundings,
    config: WatchedFile,
    /// What is known of the configuration that is served.
    served_config: u64,
    source: Source,
    certificates: Certificates,
    settings: Settings,
    rules: Arc<Rules>,
    meters: Arc<Meters>,
    clock: Arc<Clock>,
    published: Arc<Published<Serving>>,
    outcome: Arc<Mutex<ReloadOutcome>>,
    tokens: Arc<Mutex<Vec<AdminToken>>>,
    /// The records of a directory file, as they are served.
    directory: Arc<Mutex<Arc<Directory>>>,
    /// The settings in force, for whoever asks.
    shared: Arc<Mutex<Arc<Settings>>>,
    metrics: PublishMetrics,
    revision: u64,
}

/// Where accounts and keys come from. It stays as it was at the start.
enum Source {
    File(Box<FileSource>),
    Store(Box<StoreSource>),
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
                "Seconds for which the store has not answered; 0 while it does.",
            )?,
            reloads,
        })
    }
}

impl Publisher {
    /// Loads everything for the first time. A directory that is no file is opened by `open`.
    pub(crate) fn start(
        path: &Path,
        around: Surroundings,
        registry: &Registry,
        open: impl FnOnce(&Settings, u64) -> Result<StoreStart, StartError>,
    ) -> Result<Publisher, StartError> {
        let opened = Opened::read(path, &around)?;
        let Opened { config, text, loaded } = opened;
        let meters = Arc::new(Meters::new());
        let clock = Arc::new(Clock::default());
        let shown = Shown { text: &text, file: path, at: clock.wall() };
        let certificates = Certificates::start(&loaded.settings, shown)?;
        let (source, keys, faults) = match &loaded.settings.store {
            Store::File(place) => FileSource::start(place, &text, path, &around, &loaded, &meters)?,
            Store::Sqlite(_) | Store::Postgres(_) => {
                StoreSource::start(open(&loaded.settings, clock.wall().0)?, &loaded.rules, &meters)
            }
        };
        let metrics = PublishMetrics::register(registry)
            .map_err(|error| StartError::Configuration(vec![error.to_string()]))?;
        let rules = Arc::new(loaded.rules);
        let upstreams =
            Arc::new(Upstreams::build(certificates.upstream_specs(&loaded.settings), None));
        metrics.revision.set(1);
        metrics.keys.set(keys.len() as i64);
        let snapshot = Snapshot { revision: 1, rules: Arc::clone(&rules), keys };
        let outcome =
            ReloadOutcome { ok: true, at_ms: clock.wall().0, faults: Vec::new(), left_out: faults };
        let directory = match &source {
            Source::File(source) => source.directory(),
            Source::Store(_) => Arc::default(),
        };
        Ok(Publisher {
            directory: Arc::new(Mutex::new(directory)),
            shared: Arc::new(Mutex::new(Arc::new(loaded.settings.clone()))),
            around,
            config,
            served_config: content(&text),
            source,
            certificates,
            tokens: Arc::new(Mutex::new(loaded.settings.admin.tokens.clone())),
            settings: loaded.settings,
            rules,
            meters,
            clock,
            published: Arc::new(Published::new(Serving {
                docs: Arc::new(Docs::build(&snapshot.rules)),
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

    /// The records of a directory file; shared with whoever lists them.
    pub(crate) fn directory(&self) -> Arc<Mutex<Arc<Directory>>> {
        Arc::clone(&self.directory)
    }

    /// The settings in force; shared with whoever asks.
    pub(crate) fn shared_settings(&self) -> Arc<Mutex<Arc<Settings>>> {
        Arc::clone(&self.shared)
    }

    /// How the last reload went; shared with whoever shows it.
    pub(crate) fn outcome(&self) -> Arc<Mutex<ReloadOutcome>> {
        Arc::clone(&self.outcome)
    }

    /// Publishes what has changed in the files since the last look.
    pub(crate) fn poll(&mut self) {
        let is_renewed = self.certificates.have_changed();
        let mut config = changed(self.config.poll());
        if matches!(config, Ok(None)) {
            config = Ok(self.certificates.no_longer_waiting());
        }
        let mut directory = Ok(None);
        if let Source::File(source) = &mut self.source {
            if matches!(config, Ok(None)) {
                config = Ok(source.no_longer_waiting());
            }
            directory = changed(source.poll());
        }
        let mut is_good = true;
        if !matches!((&config, &directory), (Ok(None), Ok(None))) {
            is_good = self.take(&config, &directory).ok;
        }
        // A configuration in place is so with its certificates; a faulty one must not hold them up.
        if is_renewed && !(is_good && matches!(config, Ok(Some(_)))) {
            self.take_certificates(is_good);
        }
    }

    /// Reads and publishes the files, changed or not.
    pub(crate) fn reload(&mut self) -> ReloadOutcome {
        let config = told(self.config.read());
        let directory = match &mut self.source {
            Source::File(source) => told(source.read()),
            Source::Store(_) => Ok(None),
        };
        self.take(&config, &directory)
    }

    fn take(&mut self, config: &Text, directory: &Text) -> ReloadOutcome {
        let outcome = match &self.source {
            Source::File(_) => self.take_files(config, directory),
            Source::Store(_) => self.take_configuration(config),
        };
        self.tell(&outcome);
        outcome
    }

    /// First shown, then counted and logged: who sees the count finds the reason.
    fn tell(&self, outcome: &ReloadOutcome) {
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
    }

    /// Puts a configuration in place, whose keys are published next.
    fn adopt(&mut self, next: Loaded, certificates: Prepared, text: &str) {
        self.served_config = content(text);
        self.certificates.stage(certificates, text);
        warn_all(&next.warnings);
        warn_restart(&self.settings, &next.settings);
        self.settings = next.settings;
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) =
            self.settings.admin.tokens.clone();
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(self.settings.clone());
        self.rules = Arc::new(next.rules);
    }

    fn outcome_of(&self, faults: Vec<String>, left_out: Vec<String>) -> ReloadOutcome {
        ReloadOutcome { ok: faults.is_empty(), at_ms: self.clock.wall().0, faults, left_out }
    }

    fn shown(&self) -> ReloadOutcome {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes these keys under the rules in force.
    fn publish(&mut self, keys: KeyIndex, live: &HashSet<String>) {
        let before = self.published.current();
        let upstreams = self.upstreams_after(&before.upstreams);
        let docs = Arc::new(Docs::build(&self.rules));
        self.put(keys, upstreams, docs);
        self.meters.retain(&|id| live.contains(id), self.clock.wall());
    }

    fn put(&mut self, keys: KeyIndex, upstreams: Arc<Upstreams>, docs: Arc<Docs>) {
        self.revision += 1;
        self.metrics.revision.set(self.revision as i64);
        self.metrics.keys.set(keys.len() as i64);
        self.metrics.store_lag.set(0);
        let rules = Arc::clone(&self.rules);
        let snapshot = Snapshot { revision: self.revision, rules, keys };
        self.published.publish(Serving { docs, snapshot, upstreams });
        self.certificates.put_staged();
    }
}

/// A configuration that can be served.
struct Opened {
    config: WatchedFile,
    text: String,
    loaded: Loaded,
}

impl Opened {
    fn read(path: &Path, around: &Surroundings) -> Result<Opened, StartError> {
        let mut config = WatchedFile::new(path, SETTINGS_BYTES_MAX as u64);
        let text = config
            .read()
            .map_err(|error| StartError::Configuration(vec![load::no_configuration(&error)]))?;
        let loaded = load::configuration(&text, path, around)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        warn_all(&loaded.warnings);
        Ok(Opened { config, text, loaded })
    }
}

/// A file's new text, none when unchanged, or why it could not be read.
type Text = Result<Option<String>, Vec<String>>;

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

fn told(read: Result<String, ReadError>) -> Text {
    read.map(Some).map_err(|error| vec![error.to_string()])
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

/// Listeners are bound once; a reload that moves one says so.
fn warn_restart(old: &Settings, new: &Settings) {
    let listeners = || old.listeners.iter().zip(&new.listeners);
    let moved = old.listeners.len() != new.listeners.len()
        || listeners().any(|(old, new)| old.needs_restart(new))
        || old.admin.address != new.admin.address
        || old.telemetry != new.telemetry
        || old.drain != new.drain
        || !same_store(&old.store, &new.store)
        || old.snapshot != new.snapshot;
    if moved {
        tracing::warn!(
            "listeners, addresses, telemetry, drain, store and snapshot take effect at the next start"
        );
    }
}

/// A directory file may move to another place while the process runs; a store may not.
fn same_store(old: &Store, new: &Store) -> bool {
    old == new || matches!((old, new), (Store::File(_), Store::File(_)))
}
