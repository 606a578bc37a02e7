//! One request and its answer, from the first byte of its head to the record of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use gateway_policy::{KeyId, Paid, Principal, Problem, Route, TeamId, UnixMs};
use gateway_rewrite::Totals;
use http::{Method, StatusCode};

use crate::clock::Stopwatch;
use crate::gateway::Serving;
use crate::reach::Trial;
use crate::spans::Recording;
use crate::trace::TraceContext;

/// Who is to blame for what the client got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fault {
    #[default]
    None,
    Client,
    Gateway,
    Upstream,
}

impl Fault {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Client => "client",
            Fault::Gateway => "gateway",
            Fault::Upstream => "upstream",
        }
    }
}

/// What is known of one exchange so far. Filled on the way, read once, by `account.rs`.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) serving: Arc<Serving>,
    pub(crate) began_at: UnixMs,
    pub(crate) began: Stopwatch,
    pub(crate) request_id: String,
    pub(crate) trace: TraceContext,
    pub(crate) client: IpAddr,
    pub(crate) principal: Option<Principal>,
    /// The key of a refused credential, where it is known.
    pub(crate) presented_key: Option<KeyId>,
    pub(crate) paid: Option<Paid>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) team: Option<TeamId>,
    pub(crate) upstream: Option<Box<str>>,
    pub(crate) upstream_us: u64,
    /// The server that is being asked, until it is known how that went.
    pub(crate) trial: Option<Trial>,
    pub(crate) status: u16,
    /// The problem's code where one was told.
    pub(crate) code: Option<&'static str>,
    pub(crate) fault: Fault,
    pub(crate) auth: AuthResult,
    pub(crate) filter_failure: Option<&'static str>,
    /// `None` until an answer was filtered.
    pub(crate) totals: Option<Totals>,
    pub(crate) cut: bool,
    /// Whether it has a line in the access log.
    pub(crate) logged: bool,
    /// `None` unless it is to have spans.
    pub(crate) recording: Option<Box<Recording>>,
}

impl Exchange {
    /// A server of the upstream is about to be asked.
    pub(crate) fn asks(&mut self, method: &Method, server: SocketAddr) {
        if let Some(recording) = &mut self.recording {
            recording.asks(method, server, self.began.elapsed());
        }
    }

    /// The upstream has been waited for; a head came with `status`.
    pub(crate) fn hears(&mut self, status: Option<StatusCode>) {
        if let Some(recording) = &mut self.recording {
            recording.hears(status, self.began.elapsed());
        }
    }
}

/// `colonnade_auth_total{result,reason}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthResult {
    NotJudged,
    Accepted,
    Refused(&'static str),
}

/// How an exchange ended short of a whole answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nothing was sent yet: the client is told.
    Told(Box<Problem>, Fault),
    /// Part of the answer is out: it is cut so that the client sees it.
    Cut(Fault),
    /// The client has gone.
    ClientGone,
}

impl Failure {
    pub(crate) fn told(problem: Problem, fault: Fault) -> Failure {
        Failure::Told(Box::new(problem), fault)
    }
}
