//! One upstream in service: which server may be asked, how many requests at once, and what came of them.
//!
//! A request takes a place (`places`) where the breaker lets it through (`breaker`), and then a server that
//! is in service (`health`, `outlier`) by the balance rule (`balance`). What came of it goes
//! back to both: [`Upstream::server_failed`] and its like are the only ones that judge.
//!
//! Not here: how it is configured (`upstreams`), its connections (`picked`), what may be tried again (`reach`).

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::uri::Scheme;
use parking_lot::{Mutex, RwLock};

use crate::balance::Balancer;
use crate::breaker::{Breaker, Pass};
use crate::budget::{Budget, Retries};
use crate::clock::Stopwatch;
use crate::endpoint::{Endpoint, Servers, resolved};
use crate::health::{self, Asked};
use crate::places::{NoPlace, Places};
use crate::pool::Pool;
use crate::tally::{Count, Tally};
use crate::upstreams::{FoundServer, FoundUpstream, ServerState, Timeouts, UpstreamSpec};

mod picked;

pub(crate) use picked::{Permit, Picked};

/// Why a request is not sent up, though the upstream's servers are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shed {
    NoPlace(NoPlace),
    BreakerOpen,
    /// No server passes its checks.
    Unhealthy,
}

/// What a server did to be counted as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symptom {
    NotAccepted,
    /// The connection ended before the answer's head.
    Died,
    /// The connection or the head did not come in time.
    Slow,
    /// It answered 502, 503 or 504.
    Gateway,
}

/// One upstream in service.
#[derive(Debug)]
pub(crate) struct Upstream {
    spec: UpstreamSpec,
    /// The `Host` to send to each server; `None` when no header can carry it.
    hosts: Vec<Option<HeaderValue>>,
    /// Exchanged whole, so that a request holds the lock for one copy of a pointer.
    servers: RwLock<Arc<Servers>>,
    balancer: Balancer,
    places: Places,
    breaker: Breaker,
    /// Who ejects looks at all servers first: two at once might eject the last two.
    ejecting: Mutex<()>,
    is_resolving: AtomicBool,
    budget: Budget,
    pool: Pool,
    /// The clock of all times that are kept here.
    since: Stopwatch,
    tally: Arc<Tally>,
}

impl Upstream {
    /// Without an address until it is resolved. What was counted of the one `before` it goes on.
    pub(crate) fn new(spec: UpstreamSpec, before: Option<&Upstream>) -> Upstream {
        let host = |address: &str| HeaderValue::from_str(spec.host.as_deref().unwrap_or(address));
        let weights = spec.servers.iter().map(|server| server.weight.max(1)).collect();
        Upstream {
            hosts: spec.servers.iter().map(|server| host(&server.address).ok()).collect(),
            servers: RwLock::new(Arc::new(vec![Vec::new(); spec.servers.len()])),
            balancer: Balancer::new(spec.balance, weights),
            places: Places::new(spec.connections_max, spec.pending_max, spec.pending_time),
            breaker: Breaker::default(),
            ejecting: Mutex::new(()),
            is_resolving: AtomicBool::new(false),
            budget: Budget::new(spec.retries),
            pool: Pool::new(&spec),
            since: Stopwatch::start(),
            tally: before.map(|before| Arc::clone(&before.tally)).unwrap_or_default(),
            spec,
        }
    }

    /// Whether it is configured like this.
    pub(crate) fn is(&self, spec: &UpstreamSpec) -> bool {
        self.spec == *spec
    }

    /// Drops kept connections that died or got old.
    pub(crate) fn sweep(&self) {
        self.pool.sweep();
        self.servers().iter().flatten().for_each(|endpoint| endpoint.http2.sweep());
    }

    /// The right to look its names up; `None` while somebody else does.
    pub(crate) fn begin_resolving(self: &Arc<Self>) -> Option<Resolving> {
        let is_free = !self.is_resolving.swap(true, Ordering::Acquire);
        is_free.then(|| Resolving(Arc::clone(self)))
    }

    pub(crate) fn resolve(&self, look_up: &impl Fn(&str) -> Vec<SocketAddr>) {
        let before = self.servers();
        let next = resolved(&self.spec, &before, look_up);
        let addresses = |servers: &Servers| -> Vec<Vec<SocketAddr>> {
            let of = |server: &Vec<Arc<Endpoint>>| server.iter().map(|one| one.address).collect();
            servers.iter().map(of).collect()
        };
        if addresses(&next) != addresses(&before) {
            // What was there goes behind the lock.
            let old = std::mem::replace(&mut *self.servers.write(), Arc::new(next));
            drop(old);
        }
    }

    /// The addresses that a server of this `host:port` was last known by.
    pub(crate) fn known(&self, server: &str) -> Vec<SocketAddr> {
        let place = self.spec.servers.iter().position(|one| one.address == server);
        let servers = self.servers();
        let of = place.and_then(|place| servers.get(place)).into_iter().flatten();
        of.map(|one| one.address).collect()
    }

    fn servers(&self) -> Arc<Servers> {
        Arc::clone(&self.servers.read())
    }

    fn now_ms(&self) -> u64 {
        self.since.elapsed().as_millis() as u64
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    fn scheme(&self) -> Scheme {
        if self.spec.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.spec.timeouts
    }

    pub(crate) fn retries(&self) -> Retries {
        self.spec.retries
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes one repeat out of the budget; `false` when there is none left.
    pub(crate) fn may_repeat(&self) -> bool {
        let may = self.budget.spend();
        self.tally.count(if may { Count::Repeated } else { Count::OverBudget });
        may
    }

    /// Whether a request that might have to be repeated must do without.
    pub(crate) fn has_spent_its_repeats(&self) -> bool {
        self.budget.is_spent()
    }

    /// Seconds after which a request that was shed may come again: a place is free soon, a silent upstream is
    /// probed and an unhealthy one checked once an interval.
    pub(crate) fn retry_after_s(&self, shed: Shed) -> u64 {
        let after = match shed {
            Shed::NoPlace(_) => Duration::ZERO,
            Shed::BreakerOpen => self.spec.breaker.probe_interval,
            Shed::Unhealthy => {
                self.spec.health.as_ref().map_or(Duration::ZERO, |rule| rule.every(false))
            }
        };
        after.as_millis().div_ceil(1_000).max(1) as u64
    }

    /// Lets a request through and takes one of the upstream's places, given back when the permit goes.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Permit, Shed> {
        let entered = self.entered().await;
        if let Err(shed) = &entered {
            self.tally.count(match shed {
                Shed::NoPlace(NoPlace::Full) => Count::ShedFull,
                Shed::NoPlace(NoPlace::Waited) => Count::ShedWaited,
                Shed::BreakerOpen => Count::ShedOpen,
                Shed::Unhealthy => Count::ShedUnhealthy,
            });
        }
        entered
    }

    async fn entered(self: &Arc<Self>) -> Result<Permit, Shed> {
        // First: who is refused must not wait for a place that a hanging request holds.
        if self.breaker.refuses(|| self.now_ms()) {
            return Err(Shed::BreakerOpen);
        }
        if self.spec.health.is_some() && !self.has_healthy() {
            return Err(Shed::Unhealthy);
        }
        self.places.take().await.map_err(Shed::NoPlace)?;
        let mut permit = Permit { upstream: Arc::clone(self), pass: Pass::Ordinary };
        let admitted = self.breaker.admit(|| self.now_ms(), &self.spec.breaker);
        permit.pass = admitted.ok_or(Shed::BreakerOpen)?;
        self.budget.earn();
        Ok(permit)
    }

    /// Whether any server passes its checks. One without an address is not asked; where none has any, none has
    /// failed.
    fn has_healthy(&self) -> bool {
        let servers = self.servers.read();
        let mut addresses = servers.iter().flatten().peekable();
        addresses.peek().is_none() || addresses.any(|one| one.health.is_healthy())
    }

    /// The next server by the balance rule, passing over `tried`.
    ///
    /// A probe goes to whoever is healthy: it is to find out who is back. So does a request that found
    /// nobody in service: the only server that passes its checks is better asked than not.
    pub(crate) fn pick(self: &Arc<Self>, pass: Pass, tried: &[Arc<Endpoint>]) -> Option<Picked> {
        let servers = self.servers();
        let now = OnceCell::new();
        let now_ms = || *now.get_or_init(|| self.now_ms());
        let untried = |one: &Endpoint| !tried.iter().any(|tried| std::ptr::eq(&**tried, one));
        let healthy = |one: &Endpoint| one.health.is_healthy() && untried(one);
        let serving = |one: &Endpoint| one.is_in_service(now_ms) && untried(one);
        let chosen = match pass {
            Pass::Ordinary => self.balancer.choose(&servers, serving),
            Pass::Probe => None,
        };
        let anybody = pass == Pass::Probe || tried.is_empty();
        let chosen = chosen
            .or_else(|| anybody.then(|| self.balancer.choose(&servers, healthy)).flatten())?;
        chosen.begin();
        Some(Picked { upstream: Arc::clone(self), endpoint: Arc::clone(chosen) })
    }

    /// A server answered, and did not say that it got no answer itself.
    pub(crate) fn server_answered(&self, endpoint: &Endpoint, pass: Pass) {
        match pass {
            Pass::Ordinary => endpoint.outlier.succeeded(|| self.now_ms()),
            Pass::Probe => endpoint.outlier.readmit(self.now_ms()),
        }
    }

    /// A server failed; ejects it where that is one time too many and others are left.
    pub(crate) fn server_failed(&self, endpoint: &Endpoint, symptom: Symptom) {
        self.tally.count(match symptom {
            Symptom::NotAccepted => Count::NotAccepted,
            Symptom::Died => Count::Died,
            Symptom::Slow => Count::Slow,
            Symptom::Gateway => Count::Gateway,
        });
        self.failed_at(endpoint, self.now_ms());
    }

    fn failed_at(&self, endpoint: &Endpoint, now_ms: u64) {
        let rule = &self.spec.outlier;
        if !endpoint.outlier.failed(now_ms, rule) {
            return;
        }
        let _alone = self.ejecting.lock();
        let servers = self.servers();
        let all = || servers.iter().flatten();
        let ejected = all().filter(|one| one.outlier.is_ejected(now_ms)).count();
        let in_service = all().filter(|one| one.is_in_service(|| now_ms)).count();
        // It may have been ejected, found unhealthy, or lost its name, while it was waited for.
        let serves = all().any(|one| std::ptr::eq(&**one, endpoint));
        if serves
            && endpoint.is_in_service(|| now_ms)
            && rule.may_eject(all().count(), ejected, in_service)
        {
            let seconds = endpoint.outlier.eject(now_ms, rule).as_secs_f64();
            self.tally.count(Count::Ejected);
            tracing::warn!(upstream = self.spec.name, server = %endpoint.address, seconds, "ejected");
        }
    }

    /// A request got its answer.
    pub(crate) fn request_answered(&self, pass: Pass) {
        if self.breaker.succeeded(pass) {
            tracing::info!(upstream = self.spec.name, "answers again");
        }
    }

    /// A request got none, whoever was asked.
    pub(crate) fn request_failed(&self, pass: Pass) {
        if self.breaker.failed(self.now_ms(), &self.spec.breaker) {
            self.tally.count(Count::Opened);
            tracing::warn!(
                upstream = self.spec.name,
                "fails; requests are refused until it answers"
            );
        } else if pass == Pass::Probe {
            tracing::debug!(upstream = self.spec.name, "still fails");
        }
    }

    /// Addresses that requests go to now; 0 while the breaker is open.
    pub(crate) fn in_service(&self) -> usize {
        if self.is_open() {
            return 0;
        }
        let now_ms = self.now_ms();
        self.servers().iter().flatten().filter(|one| one.is_in_service(|| now_ms)).count()
    }

    pub(crate) fn found(&self) -> FoundUpstream {
        let now_ms = self.now_ms();
        let mut servers = Vec::new();
        for (written, addresses) in self.spec.servers.iter().zip(self.servers().iter()) {
            let server =
                |address, state| FoundServer { server: written.address.clone(), address, state };
            let found = addresses.iter().map(|one| server(Some(one.address), one.state(now_ms)));
            servers.extend(found);
            if addresses.is_empty() {
                servers.push(server(None, ServerState::Unresolved));
            }
        }
        FoundUpstream { name: self.spec.name.clone(), breaker_open: self.is_open(), servers }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }

    pub(crate) fn pending(&self) -> usize {
        self.places.pending()
    }

    /// Begins the checks that are due.
    pub(crate) fn check_health(self: &Arc<Self>) {
        let Some(rule) = &self.spec.health else { return };
        let (every, now_ms) = (rule.every(self.has_healthy()), self.now_ms());
        for endpoint in self.servers().iter().flatten() {
            if endpoint.health.begins(now_ms, every) {
                tokio::spawn(Arc::clone(self).check(Arc::clone(endpoint)));
            }
        }
    }

    async fn check(self: Arc<Self>, endpoint: Arc<Endpoint>) {
        let Some(rule) = &self.spec.health else { return };
        let passed = match self.hosts.get(endpoint.server) {
            Some(Some(host)) => {
                let (dialer, peer) = (self.pool.dialer(), &endpoint.peer);
                let asked = Asked { dialer, peer, host, scheme: self.scheme() };
                health::passes(&asked, rule).await
            }
            _ => false,
        };
        self.tally.count(if passed { Count::CheckPassed } else { Count::CheckFailed });
        let (upstream, server) = (&self.spec.name, endpoint.address);
        match endpoint.health.ended(passed, rule) {
            Some(true) => {
                // What requests met before it was away says nothing of how it came back.
                endpoint.outlier.readmit(self.now_ms());
                tracing::info!(upstream, %server, "healthy again");
            }
            Some(false) => tracing::warn!(upstream, %server, "unhealthy: it fails its checks"),
            None => {}
        }
    }
}

/// A look at the names of an upstream, under way.
#[derive(Debug)]
pub(crate) struct Resolving(Arc<Upstream>);

impl Resolving {
    pub(crate) fn resolve(self, look_up: &impl Fn(&str) -> Vec<SocketAddr>) {
        self.0.resolve(look_up);
    }
}

impl Drop for Resolving {
    fn drop(&mut self) {
        self.0.is_resolving.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
