//! The composition root of a serving process: runtimes, listeners, publisher, signals, drain.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use gateway_admin::{
    AdminParts, Probe, Records, ReloadOutcome, TelemetryParts, admin_router,
    serve as serve_control, telemetry_router,
};
use gateway_proxy::{
    AccessLog, Bound, Clock, Gateway, GatewayParts, ListenerSpec, ProxyMetrics, bind,
    register_certificates, register_new_columns, register_upstreams, serve as serve_listener,
};
use gateway_settings::{AccessLog as AccessLogTarget, Settings};
use prometheus::{IntGaugeVec, Opts, Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::counting::Counting;
use crate::descriptors;
use crate::exit::{self, Failed};
use crate::feed::{self, Feed};
use crate::load::Surroundings;
use crate::logging;
use crate::node::{ServingNode, all_permissions};
use crate::publish::{POLL_EVERY, Publisher};
use crate::service::Manager;
use crate::signals::{Signals, Wish};
use crate::terminal;
use crate::upstreams::tend;

/// Least time between the last answer and the end, for the client's side to read it.
const SETTLE: Duration = Duration::from_millis(20);
const CLOCK_TICK: Duration = Duration::from_secs(1);
/// The variable that gives one admin token with every permission.
pub(crate) const ADMIN_TOKEN: &str = "COLONNADE_ADMIN_TOKEN";
/// What a service manager shows.
const SERVING: &str = "serving";
const RELOAD_FAILED: &str = "serving; the last reload failed and changed nothing";
/// How long the last flush of usage may take.
const LAST_FLUSH: Duration = Duration::from_secs(3);

/// `colonnade run`.
pub(crate) fn run(path: &Path) -> u8 {
    logging::start();
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
    data: pingora_runtime::Runtime,
    gateway: Arc<Gateway>,
    addresses: Addresses,
    stop: watch::Sender<bool>,
    reloads: mpsc::Sender<Reload>,
    signals: Signals,
    delay: Duration,
    grace: Duration,
    /// The store, and usage on its way there.
    store: Option<(Feed, Arc<Counting>)>,
    clock: Arc<Clock>,
    manager: Manager,
}

/// Where the process listens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) proxy: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) telemetry: SocketAddr,
}

impl Server {
    /// Loads, binds and serves. When this returns, every address answers.
    pub(crate) fn start(path: &Path, around: Surroundings) -> Result<Server, Failed> {
        // Of the two providers that the tree could use, ring needs nothing but a C compiler.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry = Registry::new();
        let admin_token =
            around.overrides.get(ADMIN_TOKEN).cloned().or_else(|| std::env::var(ADMIN_TOKEN).ok());
        let control = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("control")
            .enable_all()
            .build()
            .map_err(|error| failed(&error))?;
        let mut feed = None;
        let publisher = Publisher::start(path, around, &registry, |settings, at| {
            let (opened, start) = feed::open(settings, &control, at)?;
            feed = Some(opened);
            Ok(start)
        });
        let publisher = publisher?;
        let settings = publisher.settings().clone();
        let descriptors = descriptors::raise();
        let gateway = gateway(&publisher, &settings, &registry, descriptors)?;
        build_facts(&registry).map_err(|error| failed(&error))?;
        let bound = bind_all(&settings, &publisher)?;
        let (admin, telemetry) = control.block_on(control_listeners(&settings))?;
        // Before anybody hears that it is ready: a signal must find its listener.
        let signals = control.block_on(async { Signals::listen() });
        let signals = signals.map_err(|error| failed(&error))?;
        let addresses = Addresses {
            proxy: bound.iter().map(Bound::address).collect(),
            admin: admin.local_addr().map_err(|error| failed(&error))?,
            telemetry: telemetry.local_addr().map_err(|error| failed(&error))?,
        };
        let (stop, stopping) = watch::channel(false);
        let data = data_runtime(&gateway, bound, &stopping);
        let (reloads, requests) = mpsc::channel(8);
        let parts = telemetry_parts(&gateway, registry);
        control.spawn(serve_control(telemetry, telemetry_router(parts)));
        let clock = publisher.clock();
        let store = feed.map(|feed| {
            let (store, node) = (Arc::clone(&feed.store), feed.node.clone());
            (feed, Arc::new(Counting::new(store, publisher.meters(), node)))
        });
        let parts = admin_parts(&gateway, &publisher, reloads.clone(), admin_token, store.clone());
        control.spawn(serve_control(admin, admin_router(parts)));
        control.spawn(tend(publisher.published()));
        let publisher = Arc::new(std::sync::Mutex::new(publisher));
        if let Some((feed, counting)) = &store {
            let now = || {
                let clock = Arc::clone(&clock);
                move || clock.wall()
            };
            control.spawn(feed.clone().run(Arc::clone(&publisher)));
            control.spawn(feed.clone().beat(now()));
            control.spawn(Arc::clone(counting).run(now()));
        }
        let manager = Manager::find();
        control.spawn(publish_loop(publisher, requests));
        control.spawn(beat(Arc::clone(&clock), manager.clone()));
        let server = Server {
            control,
            data,
            gateway,
            addresses,
            stop,
            reloads,
            signals,
            delay: Duration::from_millis(settings.drain.delay_ms),
            grace: Duration::from_millis(settings.drain.grace_ms),
            store,
            clock,
            manager,
        };
        server.announce();
        server.manager.ready(SERVING);
        Ok(server)
    }

    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
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

    /// Serves until a signal says stop, then drains. The exit code.
    pub(crate) fn until_stopped(self) -> u8 {
        let Server { control, data, gateway, stop, reloads, mut signals, delay, grace, .. } = self;
        let (store, clock, manager) = (self.store, self.clock, self.manager);
        let outcome = control.block_on(async {
            loop {
                match signals.next().await {
                    Wish::Stop => break,
                    Wish::Reload => {
                        gateway.reopen_access_log();
                        manager.reloading();
                        let (answer, outcome) = oneshot::channel();
                        let _ = reloads.send(answer).await;
                        tokio::spawn(tell_reload(outcome, manager.clone()));
                    }
                }
            }
            manager.stopping();
            tokio::select! {
                () = drain(&gateway, &stop, delay, grace) => exit::OK,
                () = second_stop(&mut signals) => exit::FAILED,
            }
        });
        // Who stops at once does not wait for a store.
        if let Some((feed, counting)) = store.filter(|_| outcome == exit::OK) {
            let last = async {
                let flushed = counting.flush(clock.wall()).await;
                feed.leave().await;
                flushed
            };
            let flushed = control.block_on(async { tokio::time::timeout(LAST_FLUSH, last).await });
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::error!("usage that was not flushed is lost: the store does not answer");
            }
        }
        gateway.close();
        // The process ends now, whatever still hangs on a connection: to join the threads that serve
        // could wait for one that does not look up.
        std::mem::forget(data);
        control.shutdown_background();
        outcome
    }
}

/// Tells the service manager how the reload went that a signal asked for.
async fn tell_reload(outcome: oneshot::Receiver<ReloadOutcome>, manager: Manager) {
    let is_good = outcome.await.is_ok_and(|outcome| outcome.ok);
    manager.ready(if is_good { SERVING } else { RELOAD_FAILED });
}

/// Not ready, wait, stop accepting, finish what is under way.
async fn drain(gateway: &Gateway, stop: &watch::Sender<bool>, delay: Duration, grace: Duration) {
    tracing::info!(delay_ms = delay.as_millis() as u64, "draining");
    gateway.drain();
    tokio::time::sleep(delay).await;
    let _ = stop.send(true);
    let finished = async {
        while gateway.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!(under_way = gateway.in_flight(), "the grace period is over");
    }
    tokio::time::sleep(SETTLE).await;
    tracing::info!("stopped");
}

async fn second_stop(signals: &mut Signals) {
    while signals.next().await != Wish::Stop {}
}

fn failed(error: &dyn std::fmt::Display) -> Failed {
    (exit::FAILED, vec![error.to_string()])
}

fn gateway(
    publisher: &Publisher,
    settings: &Settings,
    registry: &Registry,
    descriptors: u64,
) -> Result<Arc<Gateway>, Failed> {
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
    Ok(Arc::new(Gateway::new(GatewayParts {
        published: publisher.published(),
        meters: publisher.meters(),
        metrics: Arc::new(metrics),
        access_log,
        clock: publisher.clock(),
        connections_default,
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

fn bind_all(settings: &Settings, publisher: &Publisher) -> Result<Vec<Bound>, Failed> {
    settings
        .listeners
        .iter()
        .zip(publisher.tls())
        .map(|(listener, tls)| {
            bind(ListenerSpec {
                address: listener.address.to_string(),
                tls: tls.cloned(),
                trusted_proxies: listener.trusted_proxies.clone(),
                h2c: listener.h2c,
            })
            .map_err(|error| failed(&error))
        })
        .collect()
}

/// The sockets of admin and telemetry.
async fn control_listeners(settings: &Settings) -> Result<(TcpListener, TcpListener), Failed> {
    let bound = async |what: &str, address: SocketAddr| {
        let listener = TcpListener::bind(address).await;
        listener.map_err(|error| failed(&format!("cannot listen on {address} ({what}): {error}")))
    };
    Ok((
        bound("admin", settings.admin.address).await?,
        bound("telemetry", settings.telemetry.address).await?,
    ))
}

/// One single-thread runtime a core: connections stay where they were accepted.
fn data_runtime(
    gateway: &Arc<Gateway>,
    bound: Vec<Bound>,
    stopping: &watch::Receiver<bool>,
) -> pingora_runtime::Runtime {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let data = pingora_runtime::Runtime::new_no_steal(cores, "proxy");
    for listener in bound {
        let serving = serve_listener(Arc::clone(gateway), listener, stopping.clone());
        data.get_handle().spawn(serving);
    }
    data
}

fn telemetry_parts(gateway: &Arc<Gateway>, registry: Registry) -> TelemetryParts {
    let gateway = Arc::clone(gateway);
    TelemetryParts {
        metrics: Arc::new(move || {
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
        }),
        probe: Arc::new(move || if gateway.is_draining() { Probe::Draining } else { Probe::Ready }),
    }
}

fn admin_parts(
    gateway: &Arc<Gateway>,
    publisher: &Publisher,
    reloads: mpsc::Sender<Reload>,
    admin_token: Option<String>,
    store: Option<(Feed, Arc<Counting>)>,
) -> AdminParts {
    let directory = publisher.directory();
    let records = match &store {
        Some((feed, _)) => Records::Store(Arc::clone(&feed.store)),
        None => Records::File(Arc::new(move || {
            Arc::clone(&directory.lock().unwrap_or_else(PoisonError::into_inner))
        })),
    };
    let token = admin_token.filter(|token| !token.is_empty());
    let node = ServingNode {
        gateway: Arc::clone(gateway),
        published: publisher.published(),
        clock: publisher.clock(),
        settings: publisher.shared_settings(),
        tokens: publisher.tokens(),
        token: token.map(|token| all_permissions(ADMIN_TOKEN, &token)),
        outcome: publisher.outcome(),
        reloads,
        store,
    };
    AdminParts { records, node: Arc::new(node) }
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
async fn beat(clock: Arc<Clock>, manager: Manager) {
    let mut tick = tokio::time::interval(CLOCK_TICK);
    let mut alive = manager.alive_every().map(tokio::time::interval);
    loop {
        tokio::select! {
            _ = tick.tick() => clock.tick(),
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
