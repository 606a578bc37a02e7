//! Admin and telemetry listeners, which stop before another process goes on.

use axum::Router;
use gateway_admin::serve;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
