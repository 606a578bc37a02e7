//! The composition root of a serving process: runtimes, listeners, publisher.
//!
//! Not here: what it listens on (`sockets`), from ready to the end (`life`).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use gateway_admin::{ReloadOutcome, admin_router, telemetry_router};
use gateway_proxy::{
    AccessLog, Bound, Clock, Gateway, GatewayParts, MOVING_MAX, ProxyMetrics,
    register_certificates, register_new_columns, register_upstreams, serve as serve_listener,
};
use gateway_settings::AccessLog as AccessLogTarget;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::control::{ControlPlane, admin_parts, telemetry_parts};
use crate::counting::Counting;
use crate::descriptors;
use crate::exit::{Failed, failed};
use crate::feed::{self, Feed};
use crate::handover::predecessor::{Listeners, Predecessor};
use crate::life::Life;
use crate::load::Surroundings;
use crate::logging;
use crate::memory;
use crate::publish::{POLL_EVERY, Publisher};
use crate::service::Manager;
use crate::signals::Signals;
use crate::sockets::Sockets;
use crate::terminal;
use crate::traces;
use crate::upstreams::tend;

const CLOCK_TICK: Duration = Duration::from_secs(1);
/// The variable that gives one admin token with every permission.
pub(crate) const ADMIN_TOKEN: &str = "COLONNADE_ADMIN_TOKEN";
/// How long it may take to bring what is new where another process waits to be followed. Well below what that
/// one waits, so that it never ends one that serves.
const CATCH_UP: Duration = Duration::from_secs(7);
/// What a service manager shows.
pub(crate) const SERVING: &str = "serving";

/// `colonnade run`.
pub(crate) fn run(path: &Path) -> u8 {
    logging::start();
    memory::without_huge_pages();
    match Server::start(path, Surroundings::default()) {
        Ok(server) => server.until_stopped(),
        Err((code, lines)) => {
            lines.iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            code
        }
    }
}

/// The one writer of what is served, held by one task at a time.
pub(crate) type SharedPublisher = Arc<std::sync::Mutex<Publisher>>;

/// A wish to reload, and where to tell how it went.
pub(crate) type Reload = oneshot::Sender<ReloadOutcome>;

/// A serving process.
pub(crate) struct Server {
    control: tokio::runtime::Runtime,
    addresses: Addresses,
    life: Life,
}

/// Where the process listens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) proxy: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) telemetry: SocketAddr,
}

impl Server {
    /// Loads, binds and serves; goes on where a predecessor stops, if there is one. When this returns, every
    /// address answers.
    pub(crate) fn start(path: &Path, around: Surroundings) -> Result<Server, Failed> {
        let mut predecessor = Predecessor::find().map_err(|error| failed(&error))?;
        let admin_token =
            around.overrides.get(ADMIN_TOKEN).cloned().or_else(|| std::env::var(ADMIN_TOKEN).ok());
        let loaded = Loaded::load(path, around)?;
        let Loaded { control, signals, registry, publisher, store, gateway } = loaded;
        let settings = publisher.settings().clone();
        let mut sockets = Sockets::of(predecessor.as_mut());
        let bound = sockets.proxy(&publisher)?;
        let inside = control.enter();
        let admin = sockets.control("admin", settings.admin.address)?;
        let telemetry = sockets.control("telemetry", settings.telemetry.address)?;
        let sockets = sockets.kept();
        let addresses = Addresses {
            proxy: bound.iter().map(|(_, bound)| bound.address()).collect(),
            admin: admin.local_addr().map_err(|error| failed(&error))?,
            telemetry: telemetry.local_addr().map_err(|error| failed(&error))?,
        };
        let (meters, clock) = (publisher.meters(), publisher.clock());
        let (reloads, requests) = mpsc::channel(8);
        let parts = admin_parts(&gateway, &publisher, reloads.clone(), admin_token, store.clone());
        let published = publisher.published();
        let publisher = Arc::new(std::sync::Mutex::new(publisher));
        if let Some(predecessor) = &predecessor {
            predecessor.await_turn(&meters).map_err(|error| failed(&error))?;
            control.block_on(catch_up(&publisher, store.as_ref()))?;
        }
        let (stop, stopping) = watch::channel(false);
        let (data, listeners) = data_runtime(&gateway, bound, &stopping);
        let telemetry = (telemetry, telemetry_router(telemetry_parts(&gateway, registry)));
        let control_plane = ControlPlane::serve([(admin, admin_router(parts)), telemetry]);
        control.spawn(tend(published));
        if let Some((feed, counting)) = &store {
            follow_store(&control, feed, counting, &publisher, &clock);
        }
        let predecessor_ended = match predecessor {
            Some(predecessor) => {
                predecessor.follow(listeners.clone()).map_err(|error| failed(&error))?
            }
            None => Arc::new(AtomicBool::new(true)),
        };
        let manager = Manager::find();
        control.spawn(publish_loop(publisher, requests));
        control.spawn(beat(Arc::clone(&gateway), manager.clone()));
        let life = Life {
            data,
            gateway,
            stop: Some(stop),
            control_plane: Some(control_plane),
            sockets: Arc::new(sockets),
            listeners,
            predecessor_ended,
            reloads,
            signals,
            delay: Duration::from_millis(settings.drain.delay_ms),
            grace: Duration::from_millis(settings.drain.grace_ms),
            store,
            meters,
            clock,
            manager,
        };
        drop(inside);
        let server = Server { control, addresses, life };
        server.announce();
        server.life.manager.ready(SERVING);
        Ok(server)
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Serves to the end. The exit code.
    pub(crate) fn until_stopped(self) -> u8 {
        let Server { control, life, .. } = self;
        let code = control.block_on(life.live());
        control.shutdown_background();
        code
    }

    /// No other process can go on with what this one serves.
    pub(crate) fn alone(mut self) -> Server {
        self.life.sockets = Arc::default();
        self
    }

    fn announce(&self) {
        let proxy: Vec<String> = self.addresses.proxy.iter().map(ToString::to_string).collect();
        tracing::info!(
            proxy = proxy.join(","),
            admin = %self.addresses.admin,
            telemetry = %self.addresses.telemetry,
            "ready"
        );
    }
}

/// What is there before anything listens.
struct Loaded {
    control: tokio::runtime::Runtime,
    signals: Signals,
    registry: Registry,
    publisher: Publisher,
    store: Option<(Feed, Arc<Counting>)>,
    gateway: Arc<Gateway>,
}

impl Loaded {
    fn load(path: &Path, around: Surroundings) -> Result<Loaded, Failed> {
        // Of the two providers that the tree could use, ring needs nothing but a C compiler.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = Registry::new();
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        // Before anything takes its time: until then a signal ends the process.
        let signals = control.block_on(async { Signals::listen() });
        let signals = signals.map_err(|error| failed(&error))?;
        let mut feed = None;
        let publisher = Publisher::start(path, around, &registry, |settings, at| {
            let (opened, start) = feed::open(settings, &control, &registry, at)?;
            feed = Some(opened);
            Ok(start)
        });
        let publisher = publisher?;
        let store = feed.map(|feed| {
            let counting = Counting::new(&feed, publisher.meters());
            (feed, Arc::new(counting))
        });
        let gateway = gateway(&publisher, &registry, descriptors::raise())?;
        build_facts(&registry).map_err(|error| failed(&error))?;
        Ok(Loaded { control, signals, registry, publisher, store, gateway })
    }
}

fn gateway(
    publisher: &Publisher,
    registry: &Registry,
    descriptors: u64,
) -> Result<Arc<Gateway>, Failed> {
    let settings = publisher.settings();
    let access_log = match &settings.telemetry.access_log {
        AccessLogTarget::Stdout => AccessLog::stdout(),
        AccessLogTarget::Off => Ok(AccessLog::off()),
        AccessLogTarget::File(path) => AccessLog::file(path),
    }
    .map_err(|error| failed(&format!("cannot open the access log: {error}")))?;
    let metrics = ProxyMetrics::register(registry).map_err(|error| failed(&error))?;
    register_new_columns(registry, publisher.published()).map_err(|error| failed(&error))?;
    register_upstreams(registry, publisher.published()).map_err(|error| failed(&error))?;
    let listeners = settings.listeners.iter().map(|listener| listener.address.to_string());
    let with_tls = listeners.zip(publisher.tls()).filter_map(|(at, tls)| Some((at, tls?.clone())));
    register_certificates(registry, with_tls.collect()).map_err(|error| failed(&error))?;
    let connections_default = descriptors::client_connections(descriptors, settings);
    let bound = publisher.published().current().snapshot.rules.bounds.connections;
    tracing::info!(
        descriptors,
        connections = bound.unwrap_or(connections_default),
        "client connections are bounded"
    );
    if bound.is_some_and(|bound| bound > connections_default) {
        tracing::warn!(
            recommended = connections_default,
            "bounds.connections is more than the descriptors are good for"
        );
    }
    let traces = traces::start(settings, registry)?;
    Ok(Arc::new(Gateway::new(GatewayParts {
        published: publisher.published(),
        meters: publisher.meters(),
        metrics: Arc::new(metrics),
        access_log,
        clock: publisher.clock(),
        connections_default,
        traces,
    })))
}

/// `colonnade_build_info` and the process's own metrics.
fn build_facts(registry: &Registry) -> prometheus::Result<()> {
    let build = IntGaugeVec::new(
        Opts::new("colonnade_build_info", "Always 1; the version is a label."),
        &["version"],
    )?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(build))?;
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
}

/// Brings what changed since everything was read, to hold from the first request on; without it a key that was
/// revoked meanwhile would live.
async fn catch_up(
    publisher: &SharedPublisher,
    store: Option<&(Feed, Arc<Counting>)>,
) -> Result<(), Failed> {
    let caught_up = async {
        blocking(publisher, Publisher::poll).await;
        let Some((feed, _)) = store else { return Ok(()) };
        let brought = feed.bring(publisher).await;
        brought.map(drop).map_err(|error| failed(&format!("the store: {error}")))
    };
    let late = |_| {
        let place = if store.is_some() { " in the store" } else { "" };
        Err(failed(&format!("what is new{place} could not be read in time")))
    };
    timeout(CATCH_UP, caught_up).await.unwrap_or_else(late)
}

/// Brings what is new in the store, and tells it of this node and of usage.
fn follow_store(
    control: &tokio::runtime::Runtime,
    feed: &Feed,
    counting: &Arc<Counting>,
    publisher: &SharedPublisher,
    clock: &Arc<Clock>,
) {
    let now = || {
        let clock = Arc::clone(clock);
        move || clock.wall()
    };
    control.spawn(feed.clone().run(Arc::clone(publisher)));
    control.spawn(feed.clone().beat(now()));
    control.spawn(Arc::clone(counting).run(now()));
}

/// One single-thread runtime a core: connections stay where they were accepted.
fn data_runtime(
    gateway: &Arc<Gateway>,
    bound: Vec<(String, Bound)>,
    stopping: &watch::Receiver<bool>,
) -> (pingora_runtime::Runtime, Listeners) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let data = pingora_runtime::Runtime::new_no_steal(cores, "proxy");
    let mut listeners = Vec::new();
    for (name, listener) in bound {
        let (sender, moved) = mpsc::channel(MOVING_MAX);
        let serving = serve_listener(Arc::clone(gateway), listener, moved, stopping.clone());
        data.get_handle().spawn(serving);
        listeners.push((name, sender));
    }
    (data, listeners)
}

/// The publisher's task: looks at the files, reloads on demand.
async fn publish_loop(publisher: SharedPublisher, mut requests: mpsc::Receiver<Reload>) {
    let mut poll = tokio::time::interval(POLL_EVERY);
    poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = poll.tick() => {
                blocking(&publisher, Publisher::poll).await;
            }
            request = requests.recv() => {
                let Some(answer) = request else { return };
                if let Some(outcome) = blocking(&publisher, Publisher::reload).await {
                    // Nobody waits for the answer to a signal.
                    let _ = answer.send(outcome);
                }
            }
        }
    }
}

/// Follows the clock, and tells the service manager that the control runtime is alive. A reload may take long,
/// with a large directory or a name server that is away: it holds up neither.
async fn beat(gateway: Arc<Gateway>, manager: Manager) {
    let mut tick = tokio::time::interval(CLOCK_TICK);
    let mut alive = manager.alive_every().map(tokio::time::interval);
    loop {
        tokio::select! {
            _ = tick.tick() => gateway.tick(),
            () = next(&mut alive) => manager.alive(),
        }
    }
}

/// The next tick; without an interval there is none.
async fn next(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// Compiling a large directory takes a while; the control runtime must go on meanwhile.
pub(crate) async fn blocking<T: Send + 'static>(
    publisher: &SharedPublisher,
    work: impl FnOnce(&mut Publisher) -> T + Send + 'static,
) -> Option<T> {
    let publisher = Arc::clone(publisher);
    let task = tokio::task::spawn_blocking(move || {
        work(&mut publisher.lock().unwrap_or_else(PoisonError::into_inner))
    });
    task.await.ok()
}
