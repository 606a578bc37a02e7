//! The one writer of what is served.
//!
//! Configuration and directory are watched files. A change of either is parsed, compiled and
//! published whole, or changes nothing and is reported. Counters live in [`Meters`], outside, so
//! no change resets a count.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gateway_admin::ReloadOutcome;
use gateway_policy::{Meters, Published, Rules, Snapshot};
use gateway_proxy::{Clock, Docs, Serving, Upstreams};
use gateway_settings::directory::LoadedDirectory;
use gateway_settings::{Fault, Settings, Store};
use gateway_store::{Change, WatchedFile};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::load::{self, LoadError, Surroundings};
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
    settings: Settings,
    rules: Arc<Rules>,
    records: LoadedDirectory,
    meters: Arc<Meters>,
    clock: Arc<Clock>,
    published: Arc<Published<Serving>>,
    outcome: Arc<Mutex<ReloadOutcome>>,
    metrics: PublishMetrics,
    revision: u64,
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
        let mut config = WatchedFile::new(path);
        let unreadable = |error: gateway_store::ReadError| vec![error.to_string()];
        let text = config.read().map_err(|error| StartError::Configuration(unreadable(error)))?;
        let loaded = load::configuration(&text, path, &around)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        warn_all(&loaded.warnings);
        let mut directory =
            WatchedFile::new(directory_path(&loaded.settings).map_err(StartError::Store)?);
        let text = directory.read().map_err(|error| StartError::Store(unreadable(error)))?;
        let records = load::directory(&text, directory.path(), &around)
            .map_err(|error| StartError::Configuration(error.lines()))?;
        let meters = Arc::new(Meters::new());
        let metrics = PublishMetrics::register(registry)
            .map_err(|error| StartError::Configuration(vec![error.to_string()]))?;
        let rules = Arc::new(loaded.rules);
        let (compiled, faults) = load::keys(&records, &rules, &meters);
        warn_all(&faults);
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

    /// How the last reload went; shared with whoever shows it.
    pub(crate) fn outcome(&self) -> Arc<Mutex<ReloadOutcome>> {
        Arc::clone(&self.outcome)
    }

    /// Publishes what has changed in the files since the last look.
    pub(crate) fn poll(&mut self) {
        let config = changed(self.config.poll());
        let directory = changed(self.directory.poll());
        match (config, directory) {
            (Ok(None), Ok(None)) => {}
            (config, directory) => {
                self.take_both(config, directory);
            }
        }
    }

    /// Reads and publishes both files, changed or not.
    pub(crate) fn reload(&mut self) -> ReloadOutcome {
        let told = |error: gateway_store::ReadError| vec![error.to_string()];
        let config = self.config.read().map(Some).map_err(told);
        let directory = self.directory.read().map(Some).map_err(told);
        self.take_both(config, directory)
    }

    /// Both at once, or where that fails the directory alone: a broken configuration must not hold
    /// up a revocation.
    fn take_both(&mut self, config: Text, directory: Text) -> ReloadOutcome {
        let again = directory.clone();
        let both = matches!((&config, &directory), (Ok(Some(_)) | Err(_), Ok(Some(_))));
        let outcome = self.take(config, directory);
        if both && !outcome.ok {
            let alone = self.take(Ok(None), again);
            // What the operator must hear of is the configuration.
            let outcome = ReloadOutcome { left_out: alone.left_out, ..outcome };
            *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome.clone();
            return outcome;
        }
        outcome
    }

    fn take(&mut self, config: Text, directory: Text) -> ReloadOutcome {
        let result = self.apply(config, directory);
        let at_ms = self.clock.wall().0;
        let outcome = match result {
            Ok(left_out) => {
                self.metrics.reloads.with_label_values(&["ok"]).inc();
                tracing::info!(revision = self.revision, left_out = left_out.len(), "reloaded");
                ReloadOutcome { ok: true, at_ms, faults: Vec::new(), left_out: texts(&left_out) }
            }
            Err(faults) => {
                self.metrics.reloads.with_label_values(&["failed"]).inc();
                for fault in &faults {
                    tracing::error!(fault, "reload failed, the last good state is kept");
                }
                let left_out = self.shown().left_out;
                ReloadOutcome { ok: false, at_ms, faults, left_out }
            }
        };
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome.clone();
        outcome
    }

    fn shown(&self) -> ReloadOutcome {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All or nothing: parse and compile first, then put in place.
    fn apply(&mut self, config: Text, directory: Text) -> Result<Vec<Fault>, Vec<String>> {
        let lines = |error: LoadError| error.lines();
        let next = match config? {
            Some(text) => {
                Some(load::configuration(&text, self.config.path(), &self.around).map_err(lines)?)
            }
            None => None,
        };
        let mut text = directory?;
        let mut moved = None;
        if let Some(next) = &next {
            let path = directory_path(&next.settings)?;
            if path != self.directory.path() {
                let mut file = WatchedFile::new(path);
                text = Some(file.read().map_err(|error| vec![error.to_string()])?);
                moved = Some(file);
            }
        }
        let path = moved.as_ref().unwrap_or(&self.directory).path().to_owned();
        let records = match text {
            Some(text) => Some(load::directory(&text, &path, &self.around).map_err(lines)?),
            None => None,
        };
        if let Some(next) = next {
            warn_all(&next.warnings);
            warn_restart(&self.settings, &next.settings);
            self.settings = next.settings;
            self.rules = Arc::new(next.rules);
        }
        if let Some(records) = records {
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

fn directory_path(settings: &Settings) -> Result<PathBuf, Vec<String>> {
    match &settings.store {
        Store::File(path) => Ok(path.clone()),
        Store::Sqlite(_) | Store::Postgres(_) => Err(vec![
            "this version serves the directory from a file only: set `store: { file: directory.yaml }`".to_owned(),
        ]),
    }
}

/// Listeners are bound once; a reload that moves one says so.
fn warn_restart(old: &Settings, new: &Settings) {
    let moved = old.listeners != new.listeners
        || old.admin.address != new.admin.address
        || old.admin.tokens != new.admin.tokens
        || old.telemetry != new.telemetry
        || old.drain != new.drain;
    if moved {
        tracing::warn!("listeners, admin, telemetry and drain take effect at the next start");
    }
}
