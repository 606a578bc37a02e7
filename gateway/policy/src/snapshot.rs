//! What one request decides by: an immutable snapshot, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use gateway_limits::Quotas;

use crate::credential::CredentialRules;
use crate::index::KeyIndex;
use crate::problem::ErrorStyle;
use crate::resource::Resource;
use crate::route::RouteTable;
use crate::scope::ScopeTable;
use crate::team::TeamNaming;

/// A commercial plan.
#[derive(Debug, Clone)]
pub struct Plan {
    pub name: Arc<str>,
    pub quotas: Arc<Quotas>,
}

/// The bounds of one exchange, and of how many there may be (`bounds:` of the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Client connections at once; `None`: as many as the process has descriptors for.
    pub connections: Option<usize>,
    pub connections_per_address: usize,
    pub requests_in_flight: usize,
    /// Of one address a minute.
    pub failed_authentications: u32,
    pub target_bytes: usize,
    pub header_bytes: usize,
    pub headers: usize,
    pub header_time_ms: u64,
    pub body_time_ms: u64,
    pub write_time_ms: u64,
    pub request_body_bytes: u64,
    pub decoded_body_bytes: u64,
    pub depth: u16,
    pub row_bytes: usize,
    pub hold_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            connections: None,
            connections_per_address: 1_000,
            requests_in_flight: 4_096,
            failed_authentications: 6_000,
            target_bytes: 8 << 10,
            header_bytes: 32 << 10,
            headers: 100,
            header_time_ms: 10_000,
            body_time_ms: 30_000,
            write_time_ms: 30_000,
            request_body_bytes: 1 << 20,
            decoded_body_bytes: 256 << 20,
            depth: 64,
            row_bytes: 1 << 20,
            hold_bytes: 64 << 10,
        }
    }
}

/// Paths of the proxy listener that the gateway answers itself; `None` is switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    pub key: Option<Box<str>>,
    pub docs: Option<Box<str>>,
}

impl Default for Reserved {
    fn default() -> Self {
        Reserved { key: Some("/api/key".into()), docs: Some("/api-docs".into()) }
    }
}

/// Everything that the configuration decides, compiled. Shared by all snapshots of one generation.
#[derive(Debug)]
pub struct Rules {
    pub credentials: CredentialRules,
    pub scopes: ScopeTable,
    pub resources: Vec<Resource>,
    pub plans: HashMap<Box<str>, Plan>,
    pub routes: RouteTable,
    pub teams: TeamNaming,
    pub errors: ErrorStyle,
    pub bounds: Bounds,
    pub reserved: Reserved,
    /// Records without a data scope are faults.
    pub data_scope_required: bool,
}

/// One consistent state of rules and keys. A request takes one at its start and keeps it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub revision: u64,
    pub rules: Arc<Rules>,
    pub keys: KeyIndex,
}

/// Where the one writer puts a new state and every request takes the current one.
#[derive(Debug)]
pub struct Published<T>(ArcSwap<T>);

impl<T> Published<T> {
    pub fn new(first: T) -> Published<T> {
        Published(ArcSwap::from_pointee(first))
    }

    /// The current state; a few nanoseconds, never waits.
    pub fn current(&self) -> Arc<T> {
        self.0.load_full()
    }

    /// Puts `next` in place. Requests under way keep what they took.
    pub fn publish(&self, next: T) {
        self.0.store(Arc::new(next));
    }
}
