//! From ready to the end: reloads, the exchange of the binary, the drain.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gateway_admin::ReloadOutcome;
use gateway_policy::Meters;
use gateway_proxy::{Clock, Gateway, MOVING_MAX, Moved};
use pingora_runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::control::ControlPlane;
use crate::counting::Counting;
use crate::exit;
use crate::feed::Feed;
use crate::handover::predecessor::Listeners;
use crate::handover::successor::{Successor, SuccessorError};
use crate::serve::{Reload, SERVING};
use crate::service::Manager;
use crate::signals::{Signals, Wish};

/// Least time between the last answer and the end, for the client's side to read it.
const SETTLE: Duration = Duration::from_millis(20);
const RELOAD_FAILED: &str = "serving; the last reload failed and changed nothing";
/// How long the last flush of usage may take.
const LAST_FLUSH: Duration = Duration::from_secs(3);
/// How long it may take until each thread has come by.
const SEEN_TIME: Duration = Duration::from_secs(5);
/// How often is looked whether anything is still under way.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process that serves, as it is looked after.
pub(crate) struct Life {
    pub(crate) data: Runtime,
    pub(crate) gateway: Arc<Gateway>,
    /// Tells the proxy's listeners to stop. Once a successor serves it is gone.
    pub(crate) stop: Option<watch::Sender<bool>>,
    pub(crate) control_plane: Option<ControlPlane>,
    /// All listening sockets by name, for a process that is to go on with them.
    pub(crate) sockets: Arc<Vec<(String, TcpListener)>>,
    /// The proxy's listeners, and the way to each for connections.
    pub(crate) listeners: Listeners,
    /// Whether the process before this one has nothing more to give.
    pub(crate) predecessor_ended: Arc<AtomicBool>,
    pub(crate) reloads: mpsc::Sender<Reload>,
    pub(crate) signals: Signals,
    pub(crate) delay: Duration,
    pub(crate) grace: Duration,
    /// The store, and usage on its way there.
    pub(crate) store: Option<(Feed, Arc<Counting>)>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) manager: Manager,
}

/// The thread that gives connections to the successor.
type Giving = JoinHandle<()>;
/// A successor that loads.
type Preparing = JoinHandle<Result<Successor, SuccessorError>>;

impl Life {
    /// Serves until a signal says stop or a successor serves, then finishes what is under way. The exit code.
    pub(crate) async fn live(mut self) -> u8 {
        let giving = self.serve().await;
        // They would keep the addresses open.
        self.sockets = Arc::default();
        let Life { gateway, stop, delay, grace, signals, predecessor_ended, .. } = &mut self;
        // Of two processes that hear the same signal, the one that only finishes was told already.
        let stops = if giving.is_some() { 2 } else { 1 };
        let finished = async {
            match giving {
                Some(giving) => outlive(gateway, predecessor_ended, giving, *grace).await,
                None => drain(gateway, stop.as_ref(), *delay, *grace).await,
            }
        };
        let code = tokio::select! {
            () = finished => exit::OK,
            () = stopped(signals, stops) => exit::FAILED,
        };
        // Who stops at once does not wait for a store.
        if code == exit::OK
            && let Some((feed, counting)) = &self.store
        {
            last_flush(feed, counting, &self.clock).await;
        }
        self.gateway.close();
        // The process ends now, whatever still hangs on a connection: to join the threads that serve
        // could wait for one that does not look up.
        std::mem::forget(self.data);
        code
    }

    /// Serves until it is told to stop, or is followed: then what gives the connections away is returned.
    async fn serve(&mut self) -> Option<Giving> {
        let mut preparing: Option<Preparing> = None;
        loop {
            tokio::select! {
                wish = self.signals.next() => match wish {
                    // A successor that still loads ends when its way here does.
                    Wish::Stop => {
                        self.manager.stopping();
                        return None;
                    }
                    Wish::Reload => self.reload().await,
                    Wish::Exchange if self.sockets.is_empty() => {
                        tracing::warn!("this process cannot hand over what it serves");
                    }
                    Wish::Exchange if preparing.is_some() => {
                        tracing::warn!("a new process loads already");
                    }
                    Wish::Exchange => preparing = Some(self.prepare()),
                },
                prepared = joined(&mut preparing) => {
                    preparing = None;
                    let followed = match prepared {
                        Ok(successor) => self.hand_over(successor).await,
                        Err(error) => Err(error),
                    };
                    match followed {
                        Ok(giving) => return Some(giving),
                        Err(SuccessorError::Stopped) => {
                            self.manager.stopping();
                            return None;
                        }
                        Err(error) => tracing::error!(%error, "no other process took over; this one goes on"),
                    }
                }
            }
        }
    }

    async fn reload(&self) {
        self.gateway.reopen_access_log();
        self.manager.reloading();
        let (answer, outcome) = oneshot::channel();
        let _ = self.reloads.send(answer).await;
        tokio::spawn(tell_reload(outcome, self.manager.clone()));
    }

    /// Starts a successor, which loads everything meanwhile.
    fn prepare(&self) -> Preparing {
        tracing::info!("a new process is started to take over");
        let sockets = Arc::clone(&self.sockets);
        spawn_blocking(move || Successor::start(&sockets)?.await_prepared())
    }

    /// Lets a successor serve. On an error this process serves on.
    async fn hand_over(&mut self, successor: Successor) -> Result<Giving, SuccessorError> {
        let Some(control_plane) = self.control_plane.take() else {
            return Err(SuccessorError::Unserved);
        };
        // First nobody changes a key here any more, then nobody uses one.
        let paused = tokio::select! {
            paused = control_plane.pause() => paused,
            () = stopped(&mut self.signals, 1) => return Err(SuccessorError::Stopped),
        };
        let (sender, moved) = mpsc::channel(MOVING_MAX);
        self.gateway.move_connections(Some(sender));
        if let Some(stop) = &self.stop {
            stop.send_replace(true);
        }
        match self.stop_judging(successor).await {
            Ok(successor) => {
                tracing::info!(pid = successor.pid(), "another process took over");
                self.manager.followed_by(successor.pid());
                // Whoever asked for a stop meanwhile meant the service.
                if timeout(Duration::ZERO, self.signals.next()).await == Ok(Wish::Stop) {
                    successor.stop();
                }
                // Without it the listeners do not wait for a failure any more.
                self.stop = None;
                let listeners = self.listeners.clone();
                Ok(spawn_blocking(move || successor.give(moved, &listeners)))
            }
            Err(error) => {
                // In this order: who hears of a stop must find the successor, or that there is no stop.
                if let Some(stop) = &self.stop {
                    stop.send_replace(false);
                }
                self.gateway.move_connections(None);
                tokio::spawn(take_back(moved, self.listeners.clone()));
                self.control_plane = paused.resume();
                Err(error)
            }
        }
    }

    /// Waits until nobody judges here any more, and the successor, which has all counts by then, serves.
    async fn stop_judging(&self, successor: Successor) -> Result<Successor, SuccessorError> {
        if timeout(SEEN_TIME, all_have_seen_it(&self.data)).await.is_err() {
            return Err(SuccessorError::Unserved);
        }
        let (meters, now) = (Arc::clone(&self.meters), self.clock.wall());
        let serving = spawn_blocking(move || successor.await_serving(&meters, now)).await;
        serving.unwrap_or(Err(SuccessorError::Unserved))
    }
}

/// Connections that were on their way to a successor that failed go on here.
async fn take_back(mut moved: mpsc::Receiver<Moved>, listeners: Listeners) {
    while let Some(moved) = moved.recv().await {
        if let Some((_, listener)) = listeners.get(moved.listener) {
            let _ = listener.send(moved).await;
        }
    }
}

/// What was prepared; nothing comes where nothing is.
async fn joined(preparing: &mut Option<Preparing>) -> Result<Successor, SuccessorError> {
    match preparing {
        Some(preparing) => preparing.await.unwrap_or(Err(SuccessorError::Unserved)),
        None => std::future::pending().await,
    }
}

/// When this returns, no thread is judging a request that it began before. Between a look at whether there is
/// a successor and the judgement nothing waits, so a task that was begun after the look has ended when
/// another of the same thread runs.
async fn all_have_seen_it(data: &Runtime) {
    let Runtime::NoSteal(threads) = data else { return };
    for thread in 0..threads.threads() {
        let _ = threads.get_runtime_at(thread).spawn(async {}).await;
    }
}

/// Tells the service manager how the reload went that a signal asked for.
async fn tell_reload(outcome: oneshot::Receiver<ReloadOutcome>, manager: Manager) {
    let is_good = outcome.await.is_ok_and(|outcome| outcome.ok);
    manager.ready(if is_good { SERVING } else { RELOAD_FAILED });
}

/// Not ready, wait, stop accepting, finish what is under way.
async fn drain(
    gateway: &Gateway,
    stop: Option<&watch::Sender<bool>>,
    delay: Duration,
    grace: Duration,
) {
    tracing::info!(delay_ms = delay.as_millis() as u64, "draining");
    gateway.drain();
    tokio::time::sleep(delay).await;
    if let Some(stop) = stop {
        stop.send_replace(true);
    }
    finish(|| gateway.in_flight(), grace).await;
}

/// What is under way ends here, and its connection goes to the successor then; so do those that a
/// predecessor still has to give.
async fn outlive(
    gateway: &Gateway,
    predecessor_ended: &AtomicBool,
    giving: Giving,
    grace: Duration,
) {
    let begun = Instant::now();
    let expected = || usize::from(!predecessor_ended.load(Ordering::Acquire));
    finish(|| gateway.connections() + expected(), grace).await;
    // Nothing more can be given; what waits is.
    gateway.move_connections(None);
    let left = grace.saturating_sub(begun.elapsed()).max(SETTLE);
    if timeout(left, giving).await.is_err() {
        tracing::warn!("connections that waited to be handed over are closed");
    }
}

async fn finish(left: impl Fn() -> usize, grace: Duration) {
    let finished = async {
        while left() > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(grace, finished).await.is_err() {
        tracing::warn!(under_way = left(), "the grace period is over");
    }
    tokio::time::sleep(SETTLE).await;
    tracing::info!("stopped");
}

/// Waits for so many signals to stop.
async fn stopped(signals: &mut Signals, count: usize) {
    for _ in 0..count {
        while signals.next().await != Wish::Stop {}
    }
}

async fn last_flush(feed: &Feed, counting: &Counting, clock: &Clock) {
    let last = async {
        let flushed = counting.flush(clock.wall()).await;
        feed.leave().await;
        flushed
    };
    if !matches!(tokio::time::timeout(LAST_FLUSH, last).await, Ok(Ok(()))) {
        tracing::error!("usage that was not flushed is lost: the store does not answer");
    }
}
