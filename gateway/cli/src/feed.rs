//! Opens the store, and brings what is new in it to the publisher.
//!
//! While the store is away nothing is lost: what is known goes on being served, and the first answer
//! brings all that has changed since, by revision.
//!
//! Not here: what becomes of a change (`publish`), usage (`counting`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway_policy::UnixMs;
use gateway_settings::{Settings, Store as StoreSettings};
use gateway_store::{Node, SnapshotFile, Store, StoreError};
use prometheus::Registry;
use tokio::sync::{Notify, watch};

use crate::mint;
use crate::publish::{StartError, StoreStart, Taken};
use crate::serve::{SharedPublisher, blocking};
use crate::store_metrics::StoreMetrics;
use rereads::Rereads;

mod rereads;

/// Between two looks at a store that does not answer: from the first to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// Between two looks of which the first found nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a gateway tells the others that it is there.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A store, and what this node serves of it.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) store: Arc<dyn Store>,
    /// This process among the gateways of the store.
    pub(crate) node: String,
    served: Arc<watch::Sender<u64>>,
    news: Arc<Notify>,
    /// What is served was read from the snapshot, and the store has not answered since.
    from_snapshot: Arc<AtomicBool>,
    pub(crate) metrics: Arc<StoreMetrics>,
    /// This gateway goes, and no longer says that it is there.
    leaves: Arc<AtomicBool>,
}

/// Opens the store that a configuration names, and reads all of it; or else what was last known of it.
pub(crate) fn open(
    settings: &Settings,
    runtime: &tokio::runtime::Runtime,
    registry: &Registry,
    at_ms: u64,
) -> Result<(Feed, StoreStart), StartError> {
    let place = place(settings);
    let unreachable = |error: StoreError| StartError::Store(vec![format!("{place}: {error}")]);
    let (store, snapshot) = runtime.block_on(connect(settings)).map_err(unreachable)?;
    let start = match runtime.block_on(store.load()) {
        Ok(delta) => StoreStart { deltas: vec![delta], snapshot, is_stale: false },
        Err(error) => known(&place, snapshot, error)?,
    };
    let revision = start.deltas.iter().map(|delta| delta.revision).max().unwrap_or(0);
    let node =
        mint::id("node_", at_ms).map_err(|error| StartError::Store(vec![error.to_string()]))?;
    let metrics = StoreMetrics::register(registry)
        .map_err(|error| StartError::Store(vec![error.to_string()]))?;
    let served = Arc::new(watch::Sender::new(revision));
    let from_snapshot = Arc::new(AtomicBool::new(start.is_stale));
    Ok((
        Feed {
            store,
            node,
            served,
            news: Arc::new(Notify::new()),
            from_snapshot,
            metrics,
            leaves: Arc::default(),
        },
        start,
    ))
}

/// The store alone, for a command that serves nothing.
pub(crate) fn store(
    settings: &Settings,
    runtime: &tokio::runtime::Runtime,
) -> Result<Arc<dyn Store>, StartError> {
    let connected = runtime.block_on(connect(settings));
    let told = |error| StartError::Store(vec![format!("{}: {error}", place(settings))]);
    connected.map(|(store, _)| store).map_err(told)
}

/// What a store is called in an error.
fn place(settings: &Settings) -> String {
    match &settings.store {
        StoreSettings::Sqlite(path) => path.display().to_string(),
        StoreSettings::Postgres(_) => "the PostgreSQL database".to_owned(),
        StoreSettings::File(path) => path.display().to_string(),
    }
}

type Connected = (Arc<dyn Store>, Option<SnapshotFile>);

async fn connect(settings: &Settings) -> Result<Connected, StoreError> {
    match &settings.store {
        StoreSettings::Sqlite(path) => {
            let store = gateway_store::SqliteStore::open(path)?;
            Ok((Arc::new(store), None))
        }
        StoreSettings::Postgres(url) => {
            let store = gateway_store::PostgresStore::new(url.reveal())?;
            let snapshot = SnapshotFile::new(&settings.snapshot, store.origin());
            Ok((Arc::new(store), Some(snapshot)))
        }
        StoreSettings::File(_) => Err(StoreError::Schema("it is a file".into())),
    }
}

/// What the snapshot knows of a store that cannot be read. Without one nothing is served: neither
/// everybody nor nobody would be right.
fn known(
    place: &str,
    snapshot: Option<SnapshotFile>,
    error: StoreError,
) -> Result<StoreStart, StartError> {
    let away = format!("{place}: {error}");
    use StoreError::{Full, ReadOnly, Unreachable};
    let is_away = matches!(error, Unreachable(_) | Full | ReadOnly);
    let Some(snapshot) = snapshot.filter(|_| is_away) else {
        return Err(StartError::Store(vec![away]));
    };
    match snapshot.read() {
        Ok(Some(deltas)) => {
            let snapshot_file = snapshot.path().display().to_string();
            tracing::error!(
                error = away,
                snapshot_file,
                "the store is away: what was last known is served"
            );
            Ok(StoreStart { deltas, snapshot: Some(snapshot), is_stale: true })
        }
        Ok(None) => {
            let none = format!("there is no snapshot {} to start from", snapshot.path().display());
            Err(StartError::Store(vec![away, none]))
        }
        Err(error) => Err(StartError::Store(vec![away, error.to_string()])),
    }
}

fn untaken() -> StoreError {
    StoreError::Corrupt("what is new could not be taken".to_owned())
}

impl Feed {
    /// Waits until this node serves a revision of the store.
    pub(crate) async fn serves(&self, revision: u64) {
        let mut served = self.served.subscribe();
        self.news.notify_one();
        // This holds the sender, so that there is always one.
        let _ = served.wait_for(|served| *served >= revision).await;
    }

    /// The revision of the store that is served.
    pub(crate) fn revision(&self) -> u64 {
        *self.served.borrow()
    }

    pub(crate) fn is_from_snapshot(&self) -> bool {
        self.from_snapshot.load(Ordering::Relaxed)
    }

    /// Brings what is new, for as long as the process lives.
    pub(crate) async fn run(self, publisher: SharedPublisher) {
        let mut pause = RETRY.0;
        let mut away_since: Option<Instant> = None;
        let mut rereads = Rereads::default();
        loop {
            let brought = match self.bring(&publisher).await {
                Ok(is_new) => match rereads.look(&self, &publisher).await {
                    Ok(()) => self.wait(is_new).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match brought {
                Ok(()) => {
                    if away_since.take().is_some() {
                        tracing::info!("the store answers again");
                    }
                    pause = RETRY.0;
                }
                Err(error) => {
                    if away_since.is_none() {
                        tracing::error!(%error, "the store is away: what is known is served on");
                    }
                    let since = away_since.get_or_insert_with(Instant::now);
                    let seconds = since.elapsed().as_secs();
                    blocking(&publisher, move |publisher| publisher.store_lags(seconds)).await;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    /// Brings what is new to the publisher. Whether there was anything.
    pub(crate) async fn bring(&self, publisher: &SharedPublisher) -> Result<bool, StoreError> {
        let since = self.revision();
        let delta = self.store.changes(since).await?;
        let is_new = delta.revision != since;
        let was_set_back = delta.revision < since;
        if was_set_back {
            // It was put back to an earlier state, or is another one: nothing that is known holds.
            let now = delta.revision;
            tracing::error!(since, now, "the store went back; all of it is read anew");
        }
        let taken = match was_set_back {
            true => Taken::NeedsWhole,
            false => {
                let taken = blocking(publisher, |publisher| publisher.take_delta(delta)).await;
                taken.flatten().ok_or_else(untaken)?
            }
        };
        match taken {
            Taken::Served(revision) => self.is_served(revision),
            Taken::NeedsWhole => self.bring_whole(publisher).await?,
        }
        Ok(is_new)
    }

    async fn bring_whole(&self, publisher: &SharedPublisher) -> Result<(), StoreError> {
        let delta = self.store.load().await?;
        let taken = blocking(publisher, |publisher| publisher.take_whole(delta)).await;
        self.is_served(taken.flatten().ok_or_else(untaken)?);
        Ok(())
    }

    fn is_served(&self, revision: u64) {
        self.from_snapshot.store(false, Ordering::Relaxed);
        self.served.send_replace(revision);
    }

    /// Until something may be new, here or there.
    async fn wait(&self, is_new: bool) -> Result<(), StoreError> {
        let since = self.revision();
        if !is_new {
            // What was heard of and is not there, such as another's notification, is not asked for
            // without a pause.
            let _ = tokio::time::timeout(PAUSE, self.news.notified()).await;
        }
        tokio::select! {
            news = self.store.news(since) => news,
            () = self.news.notified() => Ok(()),
        }
    }

    /// Tells the other gateways that this one is gone, so that nobody waits for it.
    pub(crate) async fn leave(&self) {
        self.leaves.store(true, Ordering::Relaxed);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let revision = self.revision();
        let node = Node { id: self.node.clone(), revision, seen_at: UnixMs(0), version };
        let _ = self.store.heartbeat(&node).await;
    }

    /// Tells the other gateways what this one serves, at each change and once a second.
    pub(crate) async fn beat(self, now: impl Fn() -> UnixMs) {
        let mut served = self.served.subscribe();
        while !self.leaves.load(Ordering::Relaxed) {
            let node = Node {
                id: self.node.clone(),
                revision: *served.borrow_and_update(),
                seen_at: now(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            // A store that is away is told of by `run`, one that is full by who has something to write.
            if self.store.heartbeat(&node).await.is_err() {
                self.metrics.writes_failed.inc();
            }
            let _ = tokio::time::timeout(HEARTBEAT, served.changed()).await;
        }
    }
}
