//! Admin and telemetry: what they answer with, and their listeners, which stop before another process goes on.

use std::sync::{Arc, PoisonError};

use axum::Router;
use gateway_admin::{AdminParts, Probe, Records, TelemetryParts, serve};
use gateway_proxy::Gateway;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::counting::Counting;
use crate::feed::Feed;
use crate::node::{ServingNode, all_permissions};
use crate::publish::Publisher;
use crate::serve::{ADMIN_TOKEN, Reload};

type Listening = (TcpListener, Router);

/// What serves them.
pub(crate) struct ControlPlane {
    stop: watch::Sender<bool>,
    served: [(Router, JoinHandle<TcpListener>); 2],
}

impl ControlPlane {
    /// Serves both. Must be called inside a runtime.
    pub(crate) fn serve(listeners: [Listening; 2]) -> ControlPlane {
        let (stop, stopping) = watch::channel(false);
        let served = listeners.map(|(listener, router)| {
            (router.clone(), tokio::spawn(serve(listener, router, stopping.clone())))
        });
        ControlPlane { stop, served }
    }

    /// Finishes what is under way; who comes after waits. An admin is told nothing that a successor would not
    /// know.
    pub(crate) async fn pause(self) -> Paused {
        let _ = self.stop.send(true);
        let mut listeners = Vec::new();
        for (router, serving) in self.served {
            if let Ok(listener) = serving.await {
                listeners.push((listener, router));
            }
        }
        Paused(listeners)
    }
}

/// Listeners on which nobody is served.
pub(crate) struct Paused(Vec<Listening>);

impl Paused {
    /// Serves again.
    pub(crate) fn resume(self) -> Option<ControlPlane> {
        let Paused(listeners) = self;
        listeners.try_into().ok().map(ControlPlane::serve)
    }
}

/// What telemetry is answered with.
pub(crate) fn telemetry_parts(gateway: &Arc<Gateway>, registry: Registry) -> TelemetryParts {
    let gateway = Arc::clone(gateway);
    TelemetryParts {
        metrics: Arc::new(move || {
            TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_default()
        }),
        probe: Arc::new(move || if gateway.is_draining() { Probe::Draining } else { Probe::Ready }),
    }
}

/// What admin is answered with; `admin_token` has every permission.
pub(crate) fn admin_parts(
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
